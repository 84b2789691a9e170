//! `selftest`: every fault against every check.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use serde_json::json;

use super::session::{self, Wish};
use super::table::table;
use super::{Failure, Settings, print};
use crate::contract::glob;
use crate::reference::Fault;
use crate::report::{Report, RunVerdict};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance selftest --only '*-ignored' --seeds 5";

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
    let chosen: Vec<Fault> =
        catalogue.into_iter().filter(|fault| args.only.is_empty() || args.only.iter().any(|pattern| glob(pattern, &fault.id))).collect();
    if chosen.is_empty() {
        return Err(Failure::Usage("no fault matches `--only`\n  help: the names stand in fixtures/faults.yaml".into()));
    }
    let (clean, rows) = session::block_on(async {
        let mut clean = Vec::new();
        for seed in 1..=args.seeds {
            clean.push(one(settings, seed, None).await?);
        }
        let jobs: Vec<(Fault, u64)> = (1..=args.seeds).flat_map(|seed| chosen.iter().cloned().map(move |fault| (fault, seed))).collect();
        let rows: Vec<Result<Row, Failure>> = futures_util::stream::iter(jobs)
            .map(|(fault, seed)| async move { Ok(row(fault.clone(), seed, &one(settings, seed, Some(fault)).await?)) })
            .buffered(2)
            .collect()
            .await;
        Ok((clean, rows.into_iter().collect::<Result<Vec<Row>, Failure>>()?))
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
        print(&format!("{:#}\n", json!({"faults": faults, "checks": checks, "false_alarms": false_alarms})))?;
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
        print(&text)?;
    }
    Ok(if survivors.is_empty() && false_alarms == 0 { RunVerdict::Conformant } else { RunVerdict::Deviating })
}

async fn one(settings: &Settings, seed: u64, fault: Option<Fault>) -> Result<Report, Failure> {
    let mut settings = settings.clone();
    settings.target = super::settings::TargetSettings::default();
    settings.run = super::settings::RunSettings { seed: Some(seed), ..Default::default() };
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
