//! Waivers for what a run found, to be completed by somebody who knows the reason; and those that nothing was found for.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::json;

use super::document::{Finding, Report};
use super::verdict::Verdict;
use crate::check::{Waiver, WaiverError};

/// A waiver file with an entry for each requirement and operation that a finding speaks of. The reasons are empty, which every
/// command that reads the file complains about: nobody waives by accident. `today` is a date such as `2026-11-22`.
pub fn proposed(report: &Report, today: &str) -> String {
    let mut text = format!(
        "# Proposed on {today} from the findings of a run. Each entry needs a reason; `until` (a date or a version) lets it end.\n"
    );
    let mut known = BTreeSet::new();
    for finding in report.findings.iter().chain(&report.warnings) {
        for (requirement, operation) in places(report, finding) {
            if known.insert((requirement, operation, &finding.expected, &finding.actual)) {
                let _ = write!(
                    text,
                    "\n# {}\n[[waiver]]\nrequirement = {}\noperation = {}\nexpected = {}\nactual = {}\nreason = \"\"\n",
                    finding.cause.lines().next().unwrap_or_default(),
                    quoted(requirement),
                    quoted(operation),
                    quoted(&finding.expected),
                    quoted(&finding.actual)
                );
            }
        }
    }
    text
}

/// What is to be said of a waiver whose deviation could have shown and did not: its place, like any mistake of a waiver file.
/// `files` are names and texts.
pub fn stale(waiver: &Waiver, files: &[(String, String)]) -> WaiverError {
    let (requirement, operation) = (waiver.requirement.get_ref(), waiver.operation.get_ref());
    let what = format!("{requirement} on {operation} was expected to deviate and does not");
    let file = waiver.place.rsplit_once(':').map_or("", |(file, _)| file);
    let text = files.iter().find(|(name, _)| name == file).map(|(_, text)| text.as_str());
    let shown = text.and_then(|text| pointed(text, waiver.requirement.span())).unwrap_or_default();
    WaiverError { place: waiver.place.clone(), what: what + &shown, remedy: "remove the waiver".into() }
}

/// The line in which a place begins, with carets below the place.
fn pointed(text: &str, span: Range<usize>) -> Option<String> {
    let (before, place) = (text.get(..span.start)?, text.get(span)?);
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    let carets = "^".repeat(place.lines().next()?.chars().count().max(1));
    Some(format!("\n  | {}\n  | {}{carets}", text[start..].lines().next()?, " ".repeat(before[start..].chars().count())))
}

/// Where the report says that what a finding speaks of fails.
fn places<'a>(report: &'a Report, finding: &'a Finding) -> impl Iterator<Item = (&'a str, &'a str)> {
    let rows = report.requirements.iter().filter(|row| finding.requirements.contains(&row.id));
    rows.flat_map(|row| {
        let failing = row.operations.iter().filter(|part| part.verdict == Verdict::Fail && finding.operations.contains(&part.operation));
        failing.map(|part| (row.id.as_str(), part.operation.as_str()))
    })
}

/// A text of TOML: what JSON escapes, TOML reads.
fn quoted(text: &str) -> String {
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Waivers;
    use crate::contract::{Contract, Version};
    use crate::report::sample;

    #[test]
    fn a_proposal_is_a_waiver_file_once_it_has_reasons() {
        let report = sample::full();
        let text = proposed(&report, "2026-11-22");
        assert!(text.contains("[[waiver]]"), "{text}");
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        for entry in parsed["waiver"].as_array().unwrap() {
            assert_eq!(entry["reason"].as_str(), Some(""));
            let speaks = |finding: &&Finding| Some(finding.expected.as_str()) == entry["expected"].as_str();
            assert!(report.findings.iter().chain(&report.warnings).any(|finding| speaks(&finding)));
        }
    }

    #[test]
    fn a_stale_waiver_is_told_like_any_mistake_of_its_file() {
        let text = "# ü\n[[waiver]]\nrequirement = \"ACC-FIELD-01\"\noperation = \"UpdateProfile\"\nreason = \"known\"\n";
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let waivers = Waivers::parse("w.toml", text, &contract, "2026-11-22").unwrap();
        let files = [("other.toml".to_owned(), String::new()), ("w.toml".to_owned(), text.to_owned())];
        let told: Vec<String> = waivers.stale(|_| true).into_iter().map(|waiver| stale(waiver, &files).to_string()).collect();
        let expected = "w.toml:3: ACC-FIELD-01 on UpdateProfile was expected to deviate and does not\n  \
                        | requirement = \"ACC-FIELD-01\"\n  |               ^^^^^^^^^^^^^^\n  help: remove the waiver";
        assert_eq!(told, [expected]);
    }

    /// The mistakes in what a waiver says are told by those who read it; these are in the file itself.
    #[test]
    fn a_file_that_cannot_be_read_is_told_with_its_place() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let told = |text: &str| Waivers::parse("w.toml", text, &contract, "2026-11-22").map(drop).unwrap_err().to_string();
        assert_eq!(told("[[waiver]\n"), "w.toml:1: unclosed array table, expected `]`\n  | [[waiver]\n  |          ^");
        assert_eq!(
            told("[[waiver]]\nrequirement = 1\n"),
            "w.toml:2: invalid type: integer `1`, expected a string\n  | requirement = 1\n  |               ^"
        );
        let absent = Waivers::read(std::path::Path::new("absent/w.toml"), &contract, "2026-11-22").map(drop).unwrap_err();
        assert_eq!(
            absent.to_string(),
            "absent/w.toml: cannot be read: No such file or directory (os error 2)\n  help: name an existing waiver file"
        );
    }

    #[test]
    fn a_proposal_without_reasons_is_refused() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let text =
            "[[waiver]]\nrequirement = \"ACC-FIELD-01\"\noperation = \"UpdateProfile\"\nexpected = \"a\"\nactual = \"b\"\nreason = \"\"\n";
        let error = Waivers::parse("w.toml", text, &contract, "2026-11-22").map(drop).unwrap_err();
        assert!(error.to_string().contains("the waiver has no reason"), "{error}");
    }
}
