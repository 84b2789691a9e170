//! Runs plans against a target and judges recordings.

mod confirm;
mod enter;
mod event;
mod execute;
mod facts;
pub mod har;
mod inspect;
mod obtain;
mod published;
mod reduce;
mod run;
mod score;
mod stage;
mod time;
mod together;

pub use confirm::{Confirmation, REPLAYS};
pub use event::{Event, Listener};
pub use execute::{Context, Judged, Sighted, Trace, execute};
pub use inspect::{Departure, Inspection, Tally, inspect};
pub use run::{Exemplar, Found, OperationTally, RunError, RunOptions, RunResult, plan, run};
pub use score::{Fate, Score, Sight, fates, score, table};
pub use time::{Time, Waits};
