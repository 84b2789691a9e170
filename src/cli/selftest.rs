//! `selftest`: every fault against every check, and every secret against every output.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use futures_util::StreamExt as _;
use serde_json::json;

use super::canaries::{Hunt, hunt};
use super::session::{self, Wish};
use super::table::table;
use super::{Failure, Settings, print};
use crate::contract::glob;
use crate::plan::Profile;
use crate::reference::Fault;
use crate::report::{Report, RunVerdict};

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
    /// Try each fault with this many seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
}

/// Name of the search for secrets, beside those of the faults.
const CANARIES: &str = "canaries";

struct Row {
    fault: Fault,
    seed: u64,
    by: BTreeSet<String>,
    requirements: BTreeSet<String>,
    operations: BTreeSet<String>,
    requests: u64,
}

impl Row {
    fn killed(&self) -> bool {
        !self.by.is_empty()
    }

    /// Whether the operation and the requirement that the catalogue expects are named.
    fn named(&self) -> bool {
        self.operations.contains(&self.fault.operation) && self.requirements.contains(&self.fault.requirement)
    }
}

/// Runs the catalogue of faults and prints the kill matrix.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let catalogue = Fault::catalogue().map_err(|error| Failure::Internal(error.to_string()))?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|pattern| glob(pattern, name));
    let chosen: Vec<Fault> = catalogue.into_iter().filter(|fault| wanted(&fault.id)).collect();
    let searches = wanted(CANARIES);
    if chosen.is_empty() && !searches {
        return Err(Failure::Usage("no fault matches `--only`\n  help: the names stand in fixtures/faults.yaml".into()));
    }
    let (clean, rows, found) = session::block_on(async {
        let mut clean = Vec::new();
        for seed in (1..=args.seeds).filter(|_| !chosen.is_empty()) {
            clean.push(one(settings, args.profile, seed, None).await?);
        }
        let jobs: Vec<(Fault, u64)> = (1..=args.seeds).flat_map(|seed| chosen.iter().cloned().map(move |fault| (fault, seed))).collect();
        let rows: Vec<Result<Row, Failure>> = futures_util::stream::iter(jobs)
            .map(|(fault, seed)| async move { Ok(row(fault.clone(), seed, &one(settings, args.profile, seed, Some(fault)).await?)) })
            .buffered(2)
            .collect()
            .await;
        let found = if searches { Some(canaries().await?) } else { None };
        Ok((clean, rows.into_iter().collect::<Result<Vec<Row>, Failure>>()?, found))
    })?;
    let false_alarms: u64 = clean.iter().map(|report| report.summary.findings + report.warnings.len() as u64).sum();
    let survivors: Vec<&Row> = rows.iter().filter(|row| !row.killed() && row.fault.excused.is_none()).collect();
    if args.json {
        let faults: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({"id": row.fault.id, "class": row.fault.class, "seed": row.seed, "killed": row.killed(), "by": row.by, "named": row.named(),
                       "requirements": row.requirements, "operations": row.operations, "requests": row.requests})
            })
            .collect();
        let checks: Vec<_> = crate::contract::CHECKS
            .iter()
            .map(|check| json!({"check": check, "kills": rows.iter().filter(|row| row.by.contains(*check)).count(),
                                "alone": rows.iter().filter(|row| row.by.len() == 1 && row.by.contains(*check)).map(|row| &row.fault.id).collect::<Vec<_>>()}))
            .collect();
        print(&format!(
            "{:#}\n",
            json!({"faults": faults, "checks": checks, "false_alarms": false_alarms, "canaries": found.as_ref().map(document)})
        ))?;
    } else {
        let lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let verdict = if row.killed() { if row.named() { "killed" } else { "killed, other name" } } else { "SURVIVED" };
                vec![
                    row.fault.id.clone(),
                    verdict.into(),
                    row.by.iter().cloned().collect::<Vec<_>>().join(" "),
                    row.fault.excused.clone().filter(|_| !row.killed()).unwrap_or_default(),
                ]
            })
            .collect();
        let mut text = table(&["fault", "verdict", "checks", "note"], &lines);
        let killed = rows.iter().filter(|row| row.killed()).count();
        let named = rows.iter().filter(|row| row.killed() && row.named()).count();
        let _ = writeln!(
            text,
            "\n{killed} of {} killed, {named} with the expected operation and requirement; {} findings without a fault",
            rows.len(),
            false_alarms
        );
        for row in &survivors {
            let _ = writeln!(text, "survived: {} (seed {}): {}", row.fault.id, row.seed, row.fault.what);
        }
        if rows.is_empty() {
            text.clear();
        }
        text.extend(found.as_ref().map(told));
        print(&text)?;
    }
    Ok(verdict(survivors.len(), false_alarms, found.as_ref()))
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

async fn one(settings: &Settings, profile: Profile, seed: u64, fault: Option<Fault>) -> Result<Report, Failure> {
    let mut settings = settings.clone();
    settings.target = super::settings::TargetSettings::default();
    settings.run = super::settings::RunSettings { profile: Some(profile), seed: Some(seed), ..Default::default() };
    session::run(&settings, Wish { faults: fault.into_iter().collect(), quiet: true, ..Wish::default() }).await
}

fn row(fault: Fault, seed: u64, report: &Report) -> Row {
    let all = || report.findings.iter().chain(&report.warnings);
    Row {
        fault,
        seed,
        by: all().map(|finding| finding.check.clone()).collect(),
        requirements: all().flat_map(|finding| finding.requirements.iter().cloned()).collect(),
        operations: all().flat_map(|finding| finding.operations.iter().cloned()).collect(),
        requests: report.summary.requests,
    }
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
