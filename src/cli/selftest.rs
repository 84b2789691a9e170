//! `selftest`: every fault against every check, and every secret against every output.

mod kills;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;

use super::canaries::{Hunt, hunt};
use super::session::{self, Wish};
use super::{Failure, Settings, print};
use crate::contract::glob;
use crate::engine::Event;
use crate::plan::Profile;
use crate::reference::Fault;
use crate::report::{Report, RunVerdict};
use kills::{Kills, Row};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance selftest --only '*-ignored' --seeds 5";

/// Arguments of `selftest`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only faults whose name matches, or `canaries`, the search for secrets in what is told and kept; `*` stands for any
    /// text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// How much is tested: quick, standard or deep
    #[arg(long, value_name = "PROFILE", value_parser = super::settings::profile, default_value_t)]
    pub profile: Profile,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Try each fault with this many seeds, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Test to the end with each fault, for all checks that catch it; without, the first finding is enough
    #[arg(long)]
    pub matrix: bool,
}

/// Name of the search for secrets, beside those of the faults.
const CANARIES: &str = "canaries";

/// Runs the catalogue of faults and prints the kill matrix.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let catalogue = Fault::catalogue().map_err(|error| Failure::Internal(error.to_string()))?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|pattern| glob(pattern, name));
    let chosen: Vec<Fault> = catalogue.into_iter().filter(|fault| wanted(&fault.id)).collect();
    let searches = wanted(CANARIES);
    if chosen.is_empty() && !searches {
        return Err(Failure::Usage("no fault matches `--only`\n  help: the names stand in fixtures/faults.yaml".into()));
    }
    let (kills, found) = session::block_on(async {
        tokio::select! {
            // Runs that are dropped end, and their deployments with them.
            () = session::signal() => Err(Failure::Incomplete("the self-test was ended".into())),
            done = test(args, settings, chosen, searches) => done,
        }
    })?;
    if args.json {
        let mut all = kills.document();
        all["canaries"] = found.as_ref().map(document).into();
        print(&format!("{all:#}\n"))?;
    } else {
        let mut text = if kills.rows.is_empty() { String::new() } else { kills.text() };
        text.extend(found.as_ref().map(told));
        print(&text)?;
    }
    Ok(verdict(kills.survivors().count(), kills.alarms(), found.as_ref()))
}

/// Tests the reference without a fault and with each, several side by side, and searches for secrets.
async fn test(args: &Args, settings: &Settings, chosen: Vec<Fault>, searches: bool) -> Result<(Kills, Option<Hunt>), Failure> {
    let mut false_alarms = BTreeMap::new();
    let seeds = args.seed..=args.seed.saturating_add(args.seeds - 1);
    for seed in seeds.clone().filter(|_| !chosen.is_empty()) {
        let report = trial(args, settings, seed, None).await?.0;
        false_alarms.insert(seed, report.summary.findings + report.warnings.len() as u64);
    }
    let jobs = seeds.flat_map(|seed| chosen.iter().cloned().map(move |fault| (fault, seed))).enumerate();
    let jobs: Vec<(usize, (Fault, u64))> = jobs.collect();
    let far = Far::new(jobs.len() as u64);
    let side_by_side = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let rows: Vec<Result<(usize, Row), Failure>> = futures_util::stream::iter(jobs)
        .map(|(place, (fault, seed))| {
            let far = &far;
            async move {
                let (report, requests) = trial(args, settings, seed, Some(fault.clone())).await?;
                let row = Row::of(fault, seed, &report, requests);
                far.tell(&row);
                Ok((place, row))
            }
        })
        .buffer_unordered(side_by_side)
        .collect()
        .await;
    far.0.finish_and_clear();
    // In the order of the catalogue, whichever was done first.
    let rows = rows.into_iter().collect::<Result<BTreeMap<usize, Row>, Failure>>()?.into_values().collect();
    let found = if searches { Some(canaries().await?) } else { None };
    Ok((Kills { profile: args.profile, matrix: args.matrix, rows, false_alarms }, found))
}

/// How far the self-test is, on standard error: a bar on a terminal, elsewhere a line after every tenth of it; and at once what
/// survives.
struct Far(ProgressBar);

impl Far {
    fn new(jobs: u64) -> Self {
        let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(ProgressBar::with_draw_target(Some(jobs), target))
    }

    fn tell(&self, row: &Row) {
        self.0.inc(1);
        let (all, done) = (self.0.length().unwrap_or_default(), self.0.position());
        let tenth = |done: u64| done * 10 / all.max(1);
        let mut lines: Vec<String> = row.survived().into_iter().collect();
        if self.0.is_hidden() && tenth(done) > tenth(done - 1) {
            lines.push(format!("{done}/{all} faults, {} s", self.0.elapsed().as_secs()));
        }
        // There is nowhere to tell when that fails.
        self.0.suspend(|| lines.iter().for_each(|line| drop(writeln!(std::io::stderr(), "{line}"))));
    }
}

/// What a run reports, and how many requests were sent until what became its first finding was sighted. Unless the whole
/// matrix is asked for, the first finding ends a run with a fault.
async fn trial(args: &Args, settings: &Settings, seed: u64, fault: Option<Fault>) -> Result<(Report, Option<u64>), Failure> {
    let mut settings = settings.clone();
    settings.target = super::settings::TargetSettings::default();
    settings.run = super::settings::RunSettings { profile: Some(args.profile), seed: Some(seed), ..Default::default() };
    let ends_early = fault.is_some() && !args.matrix;
    let (stop, sighted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(u64::MAX)));
    let (ended, first) = (Arc::clone(&stop), Arc::clone(&sighted));
    let listener = move |event: &Event| {
        if let Event::Confirmed { holds: true, after, .. } = event {
            first.fetch_min(*after, Ordering::Relaxed);
            ended.fetch_or(ends_early, Ordering::Relaxed);
        }
    };
    let wish = Wish {
        faults: fault.into_iter().collect(),
        quiet: true,
        impatient: ends_early,
        stop,
        listener: Some(Arc::new(listener)),
        ..Wish::default()
    };
    let report = Box::pin(session::run(&settings, wish)).await?;
    let sighted = sighted.load(Ordering::Relaxed);
    Ok((report, (sighted < u64::MAX).then_some(sighted)))
}

/// How the self-test ends.
fn verdict(survivors: usize, false_alarms: u64, found: Option<&Hunt>) -> RunVerdict {
    let telling = found.is_some_and(|found| !found.hits.is_empty());
    if survivors == 0 && false_alarms == 0 && !telling { RunVerdict::Conformant } else { RunVerdict::Deviating }
}

/// Searches what this program says and keeps for the secrets of its runs.
async fn canaries() -> Result<Hunt, Failure> {
    let folder = Scratch(std::env::temp_dir().join(format!("logto-conformance-selftest-{}", std::process::id())));
    let program = std::env::current_exe()?;
    hunt(&program, &folder.0).await.map_err(|error| Failure::Internal(error.to_string()))
}

/// A folder that is gone with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to be told about an error here.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the search came to, in a line and one for each hit.
fn told(found: &Hunt) -> String {
    let Hunt { commands, secrets, files, hits } = found;
    let mut text = format!("canaries: {secrets} secrets looked for in {files} outputs of {commands} commands, {} told\n", hits.len());
    for hit in hits {
        let _ = writeln!(text, "told: {hit}");
    }
    text
}

fn document(found: &Hunt) -> serde_json::Value {
    json!({"commands": found.commands, "secrets": found.secrets, "files": found.files, "hits": found.hits})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::canaries::Hit;

    #[test]
    fn a_secret_that_is_told_is_a_deviation_with_a_line_of_its_own() {
        let mut found = Hunt { commands: 2, secrets: 3, files: 4, hits: Vec::new() };
        assert_eq!(verdict(0, 0, Some(&found)), RunVerdict::Conformant);
        assert_eq!(told(&found), "canaries: 3 secrets looked for in 4 outputs of 2 commands, 0 told\n");
        found.hits.push(Hit { file: "r.json".into(), secret: "password".into(), written: "in base64" });
        assert_eq!(verdict(0, 0, Some(&found)), RunVerdict::Deviating);
        assert!(told(&found).ends_with(", 1 told\ntold: r.json holds a secret (password), in base64\n"), "{}", told(&found));
        assert_eq!(
            (verdict(1, 0, None), verdict(0, 1, None), verdict(0, 0, None)),
            (RunVerdict::Deviating, RunVerdict::Deviating, RunVerdict::Conformant)
        );
    }
}
