//! Runs plans and judges recordings.
pub mod har;
mod inspect;
mod score;

pub use inspect::{Departure, Inspection, Tally, inspect};
pub use score::{Fate, Score, Sight, fates, score, table};
