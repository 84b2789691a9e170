//! `list`: what the contract consists of.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::settings::Settings;
use super::table::table;
use super::{Failure, coverage, print};
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{Contract, Requirement};
use crate::plan::Profile;
use crate::report::{self, Report, RunVerdict};
use crate::trials::trace;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance list --requirements --json";

/// Arguments of `list`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// List the requirements instead of the operations
    #[arg(long, conflicts_with = "guards")]
    requirements: bool,
    /// List the guard kinds instead of the operations
    #[arg(long)]
    guards: bool,
    /// List what the plans of the profiles reach on the embedded reference, without running them
    #[arg(long, conflicts_with_all = ["requirements", "guards"])]
    coverage: bool,
    /// List for each requirement the checks and the trials that prove it, as a page in Markdown or as JSON
    #[arg(long, conflicts_with_all = ["requirements", "guards", "coverage"])]
    traceability: bool,
    /// Add how the trials ended, from a report of `check --report json:FILE`
    #[arg(long, value_name = "FILE", requires = "traceability", requires = "json")]
    results: Option<PathBuf>,
    /// Only this profile
    #[arg(long, value_name = "PROFILE", requires = "coverage", value_parser = super::settings::profile)]
    profile: Option<Profile>,
    /// Seed of the plans
    #[arg(long, value_name = "N", requires = "coverage", default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    if args.coverage {
        let profiles = args.profile.map_or_else(|| vec![Profile::Quick, Profile::Standard, Profile::Deep], |profile| vec![profile]);
        print(&coverage::text(&profiles, args.seed, args.json, settings)?)?;
        return Ok(RunVerdict::Conformant);
    }
    let contract = Contract::embedded(settings.contract.or_newest())?;
    if args.traceability {
        let report = args.results.as_deref().map(|path| report_of(path, &contract)).transpose()?;
        let text = if args.json { format!("{:#}\n", trace::document(&contract, report.as_ref())) } else { trace::page(&contract) };
        print(&text)?;
        return Ok(RunVerdict::Conformant);
    }
    let (name, head, rows) = if args.requirements {
        ("requirements", ["id", "level", "operations", "checks", "text"].as_slice(), requirements(&contract))
    } else if args.guards {
        ("guards", ["kind", "operations", "demands"].as_slice(), guards(&contract))
    } else {
        ("operations", ["id", "method", "path", "guards", "outcomes", "requirements"].as_slice(), operations(&contract))
    };
    if args.json {
        let rows: Vec<&Value> = rows.iter().map(|(_, json)| json).collect();
        print(&format!("{:#}\n", json!({"contract": contract.version, name: rows})))?;
    } else {
        let cells: Vec<Vec<String>> = rows.into_iter().map(|(cells, _)| cells).collect();
        print(&format!("{}\n{} {name}, contract {}\n", table(head, &cells), cells.len(), contract.version))?;
    }
    Ok(RunVerdict::Conformant)
}

/// The report of a file, which must speak of the same contract.
fn report_of(path: &Path, contract: &Contract) -> Result<Report, Failure> {
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let report = report::json::read(&text).map_err(|error| wrong(error.to_string()))?;
    if report.contract != contract.version.to_string() {
        let (found, wanted) = (&report.contract, contract.version);
        return Err(wrong(format!("speaks of contract {found}, not {wanted}\n  help: add `--contract {found}`")));
    }
    Ok(report)
}

/// One row for people and the same for programs.
type Row = (Vec<String>, Value);

fn operations(contract: &Contract) -> Vec<Row> {
    let row = |operation: &crate::contract::Operation| {
        let outcomes = operation.outcomes();
        let cells = vec![
            operation.id.clone(),
            operation.method.clone(),
            operation.path.clone(),
            operation.guards.len().to_string(),
            outcomes.len().to_string(),
            operation.requirements.join(" "),
        ];
        let json = json!({
            "id": operation.id, "collection": operation.collection, "method": operation.method, "path": operation.path, "summary": operation.summary,
            "guards": operation.guards.iter().map(Guard::label).collect::<Vec<_>>(), "outcomes": outcomes, "requirements": operation.requirements,
        });
        (cells, json)
    };
    contract.operations.iter().map(|operation| row(operation)).collect()
}

fn requirements(contract: &Contract) -> Vec<Row> {
    let row = |requirement: &Requirement| {
        let operations: Vec<&str> =
            contract.operations.iter().filter(|o| o.requirements.contains(&requirement.id)).map(|o| o.id.as_str()).collect();
        // General requirements are named by no operation: they speak of all.
        let count = if operations.is_empty() { "-".to_owned() } else { operations.len().to_string() };
        let checks = if requirement.excluded.is_some() { "(excluded)".to_owned() } else { requirement.checks.join(" ") };
        let cells = vec![requirement.id.clone(), level(requirement), count, checks, requirement.text.clone()];
        let json = json!({
            "id": requirement.id, "level": requirement.level, "text": requirement.text, "source": requirement.source, "collection": requirement.collection,
            "guards": requirement.guards, "checks": requirement.checks, "excluded": requirement.excluded, "operations": operations,
        });
        (cells, json)
    };
    contract.requirements.iter().map(|requirement| row(requirement)).collect()
}

fn guards(contract: &Contract) -> Vec<Row> {
    let row = |(kind, meaning): &(&str, &str)| {
        let uses =
            |operation: &&std::sync::Arc<crate::contract::Operation>| operation.guards.iter().any(|guard| guard.kind.name() == *kind);
        let operations: Vec<&str> = contract.operations.iter().filter(uses).map(|operation| operation.id.as_str()).collect();
        let cells = vec![(*kind).to_owned(), operations.len().to_string(), meaning.trim().to_owned()];
        (cells, json!({"kind": kind, "demands": meaning.trim(), "operations": operations}))
    };
    GuardKind::MEANINGS.iter().map(row).collect()
}

/// `MUST` or `SHOULD`.
pub(super) fn level(requirement: &Requirement) -> String {
    json!(requirement.level).as_str().unwrap_or_default().to_owned()
}
