//! `check`: test a deployment.

use super::Settings;
use super::print_error;
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str =
    "Example:\n  $ logto-conformance check --target https://logto.example.com --mode isolated --report junit:conformance.xml";

/// Arguments of `check` that are no settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Run only what matches: an operation, requirement or sequence; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
}

/// Plans, runs and judges; prints the result.
#[expect(clippy::needless_pass_by_value, reason = "the body to come takes the arguments apart")]
pub fn run(_args: Args, _settings: &Settings) -> RunVerdict {
    print_error("`check` is not built in");
    RunVerdict::Internal
}
