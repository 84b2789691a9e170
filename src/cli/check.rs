//! `check`: test a deployment.

use std::path::PathBuf;

use super::progress::Volume;
use super::session::{self, Wish};
use super::{Failure, Settings};
use crate::report::{RunVerdict, waivers};

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
    /// Compare with the reviewed snapshots of this folder; what differs is written beside them as .snap.new for `cargo insta review`
    #[arg(long, value_name = "DIR")]
    pub snapshots: Option<PathBuf>,
    /// How much is said.
    #[command(flatten)]
    pub volume: Volume,
    /// Propose waivers for what this run finds; each needs a reason before the file can be used
    #[arg(long, value_name = "FILE")]
    pub write_waivers: Option<PathBuf>,
}

/// Plans, runs and judges; prints the result.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let faults = super::serve::faults(&args.fault)?;
    let wish = Wish { only: args.only.clone(), faults, snapshots: args.snapshots.clone(), volume: args.volume, ..Wish::default() };
    let report = session::block_on(session::run(settings, wish))?;
    if let Some(path) = &args.write_waivers {
        let text = waivers::proposed(&report, &session::today());
        std::fs::write(path, text).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))?;
    }
    session::show(&report, args.volume)
}
