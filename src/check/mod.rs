//! Judges exchanges: what a deviation is, for which requirement, how binding, and whether it is waived.

mod judge;
mod pagination;
mod published;
mod race;
mod reach;
mod waiver;

pub use judge::{About, Deviation, Judgement, Result, judge, outcome, requirement_for};
pub use race::judge_race;
pub use reach::{guards_of, requirements_of};
pub use waiver::{Waiver, WaiverError, Waivers};
