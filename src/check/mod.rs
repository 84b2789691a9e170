//! Judges exchanges: what a deviation is, for which requirement, how binding, and whether it is waived.

mod docket;
mod evidence;
mod judge;
mod pagination;
mod published;
mod race;
mod reach;
mod waiver;

pub use docket::Docket;
pub use evidence::{About, Evidence, requirement_for};
pub use judge::{Deviation, Judgement, Result, judge, outcome};
pub use race::judge_race;
pub use reach::{guards_of, requirements_of};
pub use waiver::{Waiver, WaiverError, Waivers};
