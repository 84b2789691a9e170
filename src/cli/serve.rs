//! `serve`: the reference deployment.

use url::Url;

use super::Settings;
use super::print_error;
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance serve --port 3001 --json";

/// Arguments of `serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Port on the loopback interface; a free one when not given
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// Address under which clients reach it, when something stands in front
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,
    /// Deviate from the contract in this way, a name of fixtures/faults.yaml (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Print endpoint and credentials as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Serves until it is stopped.
pub fn run(_args: Args, _settings: &Settings) -> RunVerdict {
    print_error("`serve` is not built in");
    RunVerdict::Internal
}
