//! `check`: test a deployment.

use super::session::{self, Wish};
use super::{Failure, Settings};
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance check --target https://logto.example.com --report junit:out.xml";

/// Arguments of `check` that are no settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Run only sequences whose name, or one of whose operations, matches; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Deviation of the embedded reference, a name of fixtures/faults.yaml (may be repeated)
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub fault: Vec<String>,
}

/// Plans, runs and judges; prints the result.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let faults = super::serve::faults(&args.fault)?;
    let wish = Wish { only: args.only.clone(), faults, ..Wish::default() };
    let report = session::block_on(session::run(settings, wish))?;
    session::show(&report)
}
