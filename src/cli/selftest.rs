//! `selftest`: every fault against every check.

use super::Settings;
use super::print_error;
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance selftest --only 'guard-*' --seeds 5";

/// Arguments of `selftest`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only faults whose name matches; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Try each fault with this many seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
}

/// Runs the catalogue of faults and prints the kill matrix.
pub fn run(_args: Args, _settings: &Settings) -> RunVerdict {
    print_error("`selftest` is not built in");
    RunVerdict::Internal
}
