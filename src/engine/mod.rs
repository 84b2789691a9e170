//! Runs plans and judges recordings.
pub mod har;
mod inspect;

pub use inspect::{Departure, Inspection, Tally, inspect};
