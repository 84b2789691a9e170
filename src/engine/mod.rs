//! Runs plans against a target and judges recordings.

mod board;
mod confirm;
mod counts;
mod crowd;
mod diagnosis;
mod enter;
mod event;
mod execute;
mod facts;
mod going;
pub mod har;
mod hold;
mod inspect;
mod limits;
mod obtain;
mod published;
mod reduce;
mod run;
mod score;
mod stage;
mod telling;
mod time;
mod times;
mod together;

pub use board::{Exemplar, Found, Ran, Shown, Subject};
pub use confirm::{Confirmation, REPLAYS};
pub use counts::{Counts, OperationTally, Words};
pub use diagnosis::{Diagnosis, Health, Obstacle, Reach, Symptom, diagnose};
pub use event::{Event, Listener};
pub use execute::{Context, Sighted, Trace, execute};
pub use inspect::{Departure, Inspection, Tally, inspect};
pub use limits::Limits;
pub use run::{RunError, RunOptions, RunResult, WaiversFor, plan, run};
pub use score::{Fate, Score, Sight, fates, score, table};
pub use time::{Time, Waits};
pub use times::Times;
