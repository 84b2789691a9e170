//! `drift`: the documents that a deployment publishes of its own API, against the contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Failure, Settings, print, session};
use crate::contract::{Contract, Drift, DriftKind, drift};
use crate::model::wire::Request;
use crate::report::{Report, RunVerdict};
use crate::target::Client;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance drift --target https://logto.example.com --evidence conformance-out/RUN/report.json\n\n\
                                  Exit code 1 says that something differs.";

/// Where a deployment publishes its documents.
const PUBLISHED: [&str; 2] = ["/api/.well-known/user.openapi.json", "/api/.well-known/management.openapi.json"];

/// Arguments of `drift`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// OpenAPI documents; without any, those that the target publishes
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// JSON report of a run on the same deployment: tells whether the document is wrong or the contract is old
    #[arg(long, value_name = "REPORT")]
    evidence: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let documents = if args.files.is_empty() {
        session::block_on(fetch(settings))?
    } else {
        args.files.iter().map(|path| read(path)).collect::<Result<_, _>>()?
    };
    let evidence = args.evidence.as_deref().map(super::compare::read).transpose()?;
    let found = drift(&contract, &documents);
    let rows: Vec<(Drift, String)> = found.into_iter().map(|drift| (drift.clone(), verdict(&drift, evidence.as_ref()))).collect();
    print(&if args.json { machine(&contract, &rows) } else { text(&contract, &rows) })?;
    Ok(if rows.is_empty() { RunVerdict::Conformant } else { RunVerdict::Deviating })
}

fn read(path: &Path) -> Result<Value, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!("failed to read {}: {error}\n  help: give an OpenAPI document in JSON", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    document.get("paths").and_then(Value::as_object).ok_or_else(|| wrong(&"it has no `paths`"))?;
    Ok(document)
}

/// The documents of the target. They need no credentials.
async fn fetch(settings: &Settings) -> Result<Vec<Value>, Failure> {
    let Some(options) = settings.target.client_options() else {
        return Err(Failure::Usage("drift needs documents\n  help: give --target, or files".into()));
    };
    let client = Client::new(options).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut documents = Vec::new();
    for path in PUBLISHED {
        let answer = client.send(&Request::new("GET", path)).await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let found = answer.status == 200;
        documents.extend(answer.into_json().filter(|document| found && document.get("paths").is_some()));
    }
    if documents.is_empty() {
        return Err(Failure::Incomplete(format!("the target publishes no document at {}", PUBLISHED.join(" or "))));
    }
    Ok(documents)
}

/// Which side is mistaken, as far as a run can tell.
fn verdict(drift: &Drift, evidence: Option<&Report>) -> String {
    let Some(row) = evidence.and_then(|report| report.operations.iter().find(|row| row.id == drift.operation)) else {
        return String::new();
    };
    let seen = drift.what.parse().ok().and_then(|status: u16| row.statuses.get(&status)).copied().unwrap_or(0);
    match drift.kind {
        DriftKind::StatusAdded if seen > 0 => format!("the contract is old: seen {seen} times"),
        DriftKind::StatusAdded => format!("the document seems wrong: not seen in {} requests", row.requests),
        DriftKind::StatusMissing if seen > 0 => format!("the document is wrong: seen {seen} times"),
        DriftKind::OperationMissing if row.statuses.keys().any(|status| *status < 300) => {
            "the document is wrong: the operation answers".to_owned()
        }
        _ => String::new(),
    }
}

fn text(contract: &Contract, rows: &[(Drift, String)]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (drift, verdict) in rows {
        if last != Some(&drift.route) {
            let _ = writeln!(text, "{} ({})", drift.route, drift.operation);
            last = Some(&drift.route);
        }
        let what = if drift.what.is_empty() { String::new() } else { format!(" {}", drift.what) };
        let verdict = if verdict.is_empty() { String::new() } else { format!("; {verdict}") };
        let _ = writeln!(text, "  {}{what}: contract {}, document {}{verdict}", drift.kind.word(), drift.contract, drift.document);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (drift, _) in rows {
        *counts.entry(drift.kind.word()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    let summary = if counts.is_empty() { "no difference".to_owned() } else { counts.join(", ") };
    let _ = writeln!(text, "{}contract {}: {summary}", if rows.is_empty() { "" } else { "\n" }, contract.version);
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn machine(contract: &Contract, rows: &[(Drift, String)]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|(drift, verdict)| {
            let mut row = json!(drift);
            row["evidence"] = json!((!verdict.is_empty()).then_some(verdict));
            row
        })
        .collect();
    format!("{:#}\n", json!({"schema_version": 1, "contract": contract.version, "drift": rows}))
}
