//! The report: what a run found, in the shapes its readers want.
//!
//! ```text
//!                       ┌─► json      the stable, machine-readable form; its schema is specs/schemas/report.schema.json
//! engine, check ─► Report ─► junit     one test case per requirement and operation, for the CI server
//!                       ├─► terminal  one screen for the person who started the run
//!                       ├─► markdown  the step summary of a GitHub workflow
//!                       ├─► github    its annotations
//!                       ├─► html      one page for a browser
//!                       ├─► compare   what changed between two of them
//!                       └─► merge     one of the reports of all partitions
//! exchanges ──────────────► har       what went over the wire, without the secrets
//! ```
//!
//! [`Report`] is the JSON document itself. Every other format but `har` is a plain function of it, so no format can know
//! more than the JSON says, and a stored report can be turned into any of them later. Nothing here reads a clock or the
//! environment, prints, or knows a secret: [`Report::masked`] is the one door through which free text loses its secrets,
//! and the caller goes through it before it calls a renderer.
//!
//! Text that the target sent may hold anything; each renderer makes it harmless for its own format (control characters
//! on a terminal, markup in Markdown, invalid characters in XML).

mod assemble;
mod command;
pub mod compare;
mod curl;
pub mod document;
pub mod github;
mod har;
pub mod html;
pub mod json;
pub mod junit;
mod levels;
mod line;
pub mod markdown;
mod mask;
pub mod merge;
mod not_tested;
#[cfg(test)]
pub(crate) mod sample;
mod scope;
pub mod terminal;
pub mod verdict;
pub mod waivers;

pub use assemble::{Circumstances, Reproduction, assemble, plan_text};
pub use document::{
    Abstention, CheckCounts, Collection, Finding, IdleWaiver, Level, LevelRow, Mode, NotTested, OperationCounts, OperationRow,
    OutcomeCounts, OutcomeRow, Partition, Place, Report, RequirementCounts, RequirementOperation, RequirementRow, SCHEMA_VERSION,
    SequenceRow, Summary, Target, TargetKind, Timing, Tool,
};
pub use har::Har;
pub use verdict::{RunVerdict, Verdict};
