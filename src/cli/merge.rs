//! `report merge`: one report of the runs of all partitions.

use std::path::PathBuf;

use super::progress::Volume;
use super::settings::{Format, ReportTarget};
use super::{Failure, Settings, print, session};
use crate::contract::Contract;
use crate::report::html::{self, Material};
use crate::report::{Report, RunVerdict, Tool, json, junit, markdown, merge};

pub(super) const EXAMPLE: &str =
    "Example:\n  $ logto-conformance report merge part-1.json part-2.json --report json:whole.json --report junit:whole.xml";

/// Arguments of `report merge`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// JSON report of each partition, or the folder of its run
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write the whole report: json, junit, markdown or html, with :PATH (may be repeated) [default: JSON to the terminal]
    #[arg(long, value_name = "FORMAT:PATH", value_parser = written)]
    report: Vec<ReportTarget>,
    /// Accept that matching requirements cannot be tested; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub allow_untestable: Vec<String>,
}

fn written(text: &str) -> Result<ReportTarget, String> {
    let target: ReportTarget = text.parse()?;
    match (target.format, &target.path) {
        (Format::Json | Format::Junit | Format::Markdown | Format::Html, Some(_)) => Ok(target),
        _ => Err("write json:PATH, junit:PATH, markdown:PATH or html:PATH".to_owned()),
    }
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let reports = args.files.iter().map(|path| Ok((path.display().to_string(), super::compare::read(path)?)));
    let reports: Vec<(String, Report)> = reports.collect::<Result<_, Failure>>()?;
    let contract = contract_of(&reports)?;
    let report = merge::merge(reports, &contract, &settings.run.allow_untestable)
        .map_err(|error| Failure::Usage(format!("{error}\n  help: {}", error.remedy())))?;
    for target in &args.report {
        let text = match target.format {
            Format::Junit => junit::render(&report),
            Format::Markdown => markdown::render(&report),
            Format::Html => html::render(&report, &Material::of(&contract)),
            _ => json::render(&report),
        };
        if let Some(path) = &target.path {
            session::write(path, &text)?;
        }
    }
    if args.report.is_empty() {
        print(&json::render(&report))?;
        return Ok(report.verdict);
    }
    session::show(&report, Volume::default())
}

/// The contract that the reports tell of; another version of the program may have had another.
fn contract_of(reports: &[(String, Report)]) -> Result<Contract, Failure> {
    let this = Tool::this();
    let wrong =
        |name: &str, what: String| Failure::Usage(format!("{name}: {what}\n  help: put reports together with the program that wrote them"));
    let mut version = None;
    for (name, report) in reports {
        if report.tool != this {
            let (tool, own) = (&report.tool, &this);
            return Err(wrong(name, format!("{} {} wrote it, and this is {} {}", tool.name, tool.version, own.name, own.version)));
        }
        let parsed = report.contract.parse();
        let known = parsed.map_err(|_| wrong(name, format!("there is no contract {}", report.contract)))?;
        version.get_or_insert(known);
    }
    let version = version.ok_or_else(|| Failure::Usage("no report is given\n  help: name the JSON reports of all partitions".into()))?;
    Ok(Contract::embedded(version)?)
}
