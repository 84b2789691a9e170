//! `compare`: what changed between two runs.

use std::path::{Path, PathBuf};

use super::{Failure, print};
use crate::report::compare::{self, Comparison};
use crate::report::{Report, RunVerdict, json};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance compare before/report.json after/report.json --report markdown:changes.md\n\n\
                                  Exit code 1 says that a finding is new or changed; what is gone makes nothing worse.";

/// Arguments of `compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// JSON report of the run that counts as known, or the folder of a run
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// JSON report of the run that is looked at, or the folder of a run
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Write the comparison: json or markdown, with :PATH (may be repeated)
    #[arg(long, value_name = "FORMAT:PATH", value_parser = written)]
    report: Vec<(Form, PathBuf)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A format of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Markdown,
}

fn written(text: &str) -> Result<(Form, PathBuf), String> {
    match text.split_once(':') {
        Some(("json", path)) if !path.is_empty() => Ok((Form::Json, path.into())),
        Some(("markdown", path)) if !path.is_empty() => Ok((Form::Markdown, path.into())),
        _ => Err("write json:PATH or markdown:PATH".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Result<RunVerdict, Failure> {
    let comparison = Comparison::of(&read(&args.base)?, &read(&args.new)?);
    for (form, path) in &args.report {
        let text = match form {
            Form::Json => compare::json(&comparison),
            Form::Markdown => compare::markdown(&comparison),
        };
        std::fs::write(path, text).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))?;
    }
    print(&if args.json { compare::json(&comparison) } else { compare::text(&comparison) })?;
    Ok(comparison.verdict())
}

/// A report, or the one in a run's folder.
pub(super) fn read(path: &Path) -> Result<Report, Failure> {
    let path = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
    let place = path.display();
    let remedy = "give what `check` wrote with `--report json:PATH`, or a folder of conformance-out";
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure::Usage(format!("failed to read {place}: {error}\n  help: {remedy}")))?;
    json::read(&text).map_err(|error| Failure::Usage(format!("{place}: {error}\n  help: {remedy}")))
}
