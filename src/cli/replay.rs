//! `replay`: a stored sequence again.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use super::progress::Volume;
use super::session::{self, Wish};
use super::{Failure, Settings};
use crate::contract::Version;
use crate::plan::{PLAN_VERSION, Plan, flaw};
use crate::report::RunVerdict;
use crate::target::Mode;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance replay finding.json --target https://logto.example.com";

/// Arguments of `replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A finding or a plan, as `check` wrote it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Deviation of the embedded reference, a name of fixtures/faults.yaml (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// How much is said.
    #[command(flatten)]
    pub volume: Volume,
}

/// Runs the file's sequences and judges them.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let place = args.file.display();
    let unread = |error: &dyn std::fmt::Display| Failure::Usage(format!("failed to read {place}: {error}"));
    let file = File::open(&args.file).map_err(|error| unread(&error))?;
    let plan: Plan = serde_json::from_reader(BufReader::new(file)).map_err(|error| {
        if error.is_io() {
            return unread(&error);
        }
        Failure::Usage(format!("{place}:{}: is no plan: {error}\n  help: replay what `check` wrote to findings/", error.line()))
    })?;
    if plan.plan_version != PLAN_VERSION {
        return Err(Failure::Usage(format!("{place}: is a plan of format {}, this program reads {PLAN_VERSION}", plan.plan_version)));
    }
    if !Version::KNOWN.contains(&plan.contract) {
        let known: Vec<String> = Version::KNOWN.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage(format!(
            "{place}: is a plan for contract {}, this program knows {}",
            plan.contract,
            known.join(" and ")
        )));
    }
    if let Some((sequence, step, why)) = flaw(&plan) {
        return Err(Failure::Usage(format!(
            "{place}: step {step} of `{sequence}` cannot be executed: {why}\n  help: restore the file, or `capture` the symbol in an earlier step"
        )));
    }
    let mut settings = settings.clone();
    if settings.contract.contract.is_none() {
        settings.contract.contract = Some(plan.contract);
    }
    // A stored sequence names the settings it needs.
    if plan.epochs.iter().any(|epoch| epoch.settings.is_some()) && settings.run.mode.is_none() {
        settings.run.mode = Some(Mode::Exclusive);
    }
    let faults = super::serve::faults(&args.fault)?;
    let wish = Wish { plan: Some(plan), faults, volume: args.volume, ..Wish::default() };
    let report = session::block_on(session::run(&settings, wish))?;
    session::show(&report, args.volume)
}
