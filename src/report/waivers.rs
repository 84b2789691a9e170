//! Waivers for what a run found, to be completed by somebody who knows the reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::document::{Finding, Report};
use super::verdict::Verdict;

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
    fn a_proposal_without_reasons_is_refused() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let text =
            "[[waiver]]\nrequirement = \"ACC-FIELD-01\"\noperation = \"UpdateProfile\"\nexpected = \"a\"\nactual = \"b\"\nreason = \"\"\n";
        let error = Waivers::parse("w.toml", text, &contract, "2026-11-22").map(drop).unwrap_err();
        assert!(error.to_string().contains("the waiver has no reason"), "{error}");
    }
}
