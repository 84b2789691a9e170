//! `replay`: a stored sequence again.

use std::path::PathBuf;

use super::Settings;
use super::print_error;
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance replay finding.json --target https://logto.example.com";

/// Arguments of `replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A finding or a plan, as `check` wrote it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the file's sequences and judges them.
pub fn run(_args: Args, _settings: &Settings) -> RunVerdict {
    print_error("`replay` is not built in");
    RunVerdict::Internal
}
