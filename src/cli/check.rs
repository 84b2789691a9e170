//! `check`: test a deployment.

use super::Settings;
use super::print_error;
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance check --target https://logto.example.com --report junit:out.xml";

/// Arguments of `check` that are no settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Run only what matches: an operation, requirement or sequence; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
}

/// Plans, runs and judges; prints the result.
pub fn run(_args: Args, _settings: &Settings) -> RunVerdict {
    print_error("`check` is not built in");
    RunVerdict::Internal
}
