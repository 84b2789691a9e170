//! `inspect`: recorded traffic judged offline.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use include_dir::{Dir, include_dir};
use serde_json::json;

use super::settings::{Format, ReportTarget, Settings};
use super::table::table;
use super::{Failure, print, session};
use crate::check::{WaiverError, Waivers};
use crate::contract::Contract;
use crate::engine::har::{self, Recording};
use crate::engine::{Departure, Inspection, Score, Tally, fates, inspect, table as scored};
use crate::report::RunVerdict;
use crate::target::SecretRegister;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance inspect monday.har.gz tuesday.har --report json:out.json";

static WAIVERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/waivers");

/// Arguments of `inspect`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// HAR files, plain or gzip, in the order of recording
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Expect no deviation, not even the known ones of this version
    #[arg(long, conflicts_with = "waivers")]
    no_waivers: bool,
    /// Write the result as JSON
    #[arg(long, value_name = "json:PATH", value_parser = json_report)]
    report: Vec<PathBuf>,
    /// Tell which rules the recordings prove: try each with a small error in it, and list what no exchange contradicts
    #[arg(long)]
    mutants: bool,
    /// Show every departure with its details, not only the first of each cause
    #[arg(long, short)]
    verbose: bool,
}

fn json_report(text: &str) -> Result<PathBuf, String> {
    match text.parse()? {
        ReportTarget { format: Format::Json, path: Some(path) } => Ok(path),
        _ => Err("write json:PATH".to_owned()),
    }
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let mut waivers = if args.no_waivers { Waivers::default() } else { waivers(&contract, settings)? };
    let recordings = args.files.iter().map(|path| har::read(path)).collect::<Result<Vec<_>, _>>()?;
    let secrets = secrets(&recordings);
    let waivers_before = waivers.clone();
    let mut inspection = inspect(&contract, &recordings, &mut waivers);
    mask(&mut inspection, &secrets);
    for path in &args.report {
        let text = format!("{:#}\n", document(&contract, &inspection));
        std::fs::write(path, text).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))?;
    }
    print(&text(&contract, &inspection, args.verbose))?;
    if args.mutants {
        let mut scores = fates(&contract, &recordings, &waivers_before);
        for sight in scores.iter_mut().filter_map(|score| score.first.as_mut()) {
            sight.detail = secrets.redact(&sight.detail);
        }
        print(&format!("\n{}\n{}", by_operation(&scores), scored(&scores)))?;
    }
    if inspection.total().total() == 0 {
        return Err(Failure::Usage("the recordings hold no exchange of a specified operation\n  help: `list` shows the operations".into()));
    }
    Ok(if inspection.total().wrong == 0 { RunVerdict::Conformant } else { RunVerdict::Deviating })
}

/// The given waivers, or those that come with the program for this version.
fn waivers(contract: &Contract, settings: &Settings) -> Result<Waivers, Failure> {
    let today = session::today();
    if settings.waivers.waivers.is_empty() {
        return Ok(shipped_waivers(contract, &today)?);
    }
    let mut all = Waivers::default();
    for path in &settings.waivers.waivers {
        all.extend(Waivers::read(path, contract, &today)?);
    }
    Ok(all)
}

/// The waivers that come with the program for the contract's version.
pub(super) fn shipped_waivers(contract: &Contract, today: &str) -> Result<Waivers, WaiverError> {
    let name = format!("logto-{}.toml", contract.version);
    let text = WAIVERS.get_file(&name).and_then(include_dir::File::contents_utf8).unwrap_or_default();
    Waivers::parse(&name, text, contract, today)
}

/// A recording holds live secrets; what is printed about it must not.
fn secrets(recordings: &[Recording]) -> SecretRegister {
    let secrets = SecretRegister::new();
    for entry in recordings.iter().flat_map(|recording| &recording.entries) {
        secrets.harvest_request(&entry.request);
        secrets.harvest(&entry.answer);
    }
    secrets
}

/// Masks what may hold values. The words of the contract stay: a password such as `Password` must not hide an operation.
fn mask(inspection: &mut Inspection, secrets: &SecretRegister) {
    for departure in &mut inspection.departures {
        let Departure { comment, deviation, detail, .. } = departure;
        for text in [comment, &mut deviation.expected, &mut deviation.actual, detail] {
            *text = secrets.redact(text);
        }
    }
}

/// What became of the mutants of each operation.
fn by_operation(scores: &[Score]) -> String {
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for score in scores {
        let owner = score.id.split('/').next().unwrap_or_default();
        counts.entry(owner).or_default()[score.fate as usize] += 1;
    }
    let rows: Vec<Vec<String>> = counts
        .iter()
        .map(|(owner, fates)| std::iter::once((*owner).to_owned()).chain(fates.iter().map(ToString::to_string)).collect())
        .collect();
    table(&["rules of", "caught", "weakened", "survived", "equivalent"], &rows)
}

fn text(contract: &Contract, inspection: &Inspection, verbose: bool) -> String {
    let mut rows: Vec<Vec<String>> = inspection.operations.iter().map(|(id, tally)| row(id, *tally)).collect();
    let total = inspection.total();
    rows.push(row("total", total));
    rows.push(row_of("", |count| percent(count, total.total()), total));
    let mut text = table(&["operation", "exchanges", "predicted", "either", "abstained", "waived", "wrong"], &rows);
    let _ = writeln!(text, "\ncontract {}; {} exchanges of operations that are not specified", contract.version, inspection.unspecified);
    if !inspection.abstentions.is_empty() {
        text.push_str("\nabstained because\n");
        let mut reasons: Vec<(&String, &usize)> = inspection.abstentions.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
        for (reason, count) in reasons {
            let _ = writeln!(text, "  {count:>6}  {reason}");
        }
    }
    if !inspection.departures.is_empty() {
        text.push_str("\ndepartures\n");
    }
    let causes = inspection.causes();
    let shown = if verbose { inspection.departures.iter().map(|departure| (departure, 1)).collect() } else { causes };
    for (departure, count) in shown {
        let (check, requirement) = &departure.judgement;
        let mark = if departure.waived { "waived" } else { "wrong" };
        let _ = writeln!(text, "  {mark} {requirement} {check} {} ({count} times, first {})", departure.operation, departure.place);
        let _ = writeln!(text, "    expected {}\n    got      {}", departure.deviation.expected, departure.deviation.actual);
        if verbose {
            let _ = writeln!(text, "    {}", departure.detail.replace('\n', "\n    "));
            if !departure.comment.is_empty() {
                let _ = writeln!(text, "    recorded as: {}", departure.comment);
            }
        }
    }
    printable(&text)
}

/// Recorded text may hold anything; a terminal must not act on it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn row(name: &str, tally: Tally) -> Vec<String> {
    row_of(name, |count| count.to_string(), tally)
}

fn row_of(name: &str, cell: impl Fn(usize) -> String, tally: Tally) -> Vec<String> {
    let counts = [tally.total(), tally.predicted, tally.either, tally.abstained, tally.waived, tally.wrong];
    std::iter::once(name.to_owned()).chain(counts.map(cell)).collect()
}

/// Per mille in whole numbers, so that equal counts give equal text everywhere.
fn percent(count: usize, total: usize) -> String {
    let mille = (count * 1000 + total / 2).checked_div(total).unwrap_or(0);
    format!("{}.{}%", mille / 10, mille % 10)
}

fn document(contract: &Contract, inspection: &Inspection) -> serde_json::Value {
    let counts = |tally: Tally| {
        json!({
            "exchanges": tally.total(), "predicted": tally.predicted, "either": tally.either, "abstained": tally.abstained, "waived": tally.waived,
            "wrong": tally.wrong,
        })
    };
    let operations = inspection.operations.iter().map(|(id, tally)| (id.clone(), counts(*tally))).collect::<serde_json::Map<_, _>>();
    let causes = inspection.causes().into_iter().map(|(departure, count)| {
        json!({
            "operation": departure.operation, "check": departure.judgement.0, "requirement": departure.judgement.1, "expected": departure.deviation.expected,
            "actual": departure.deviation.actual, "waived": departure.waived, "count": count, "first": departure.place,
        })
    });
    json!({
        "schema_version": 1, "contract": contract.version, "total": counts(inspection.total()), "unspecified": inspection.unspecified,
        "operations": operations, "abstentions": inspection.abstentions, "causes": causes.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn the_waivers_that_come_along_fit_their_contract() {
        for file in WAIVERS.files() {
            let name = file.path().display().to_string();
            let version: Version = name.trim_start_matches("logto-").trim_end_matches(".toml").parse().unwrap();
            let contract = Contract::embedded(version).unwrap();
            Waivers::parse(&name, file.contents_utf8().unwrap(), &contract, "2026-01-01").unwrap();
        }
    }

    #[test]
    fn shares_are_rounded_and_nothing_of_nothing_is_none() {
        assert_eq!([percent(1, 3), percent(2, 3), percent(5, 5), percent(0, 0)], ["33.3%", "66.7%", "100.0%", "0.0%"]);
    }
}
