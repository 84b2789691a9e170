//! How a trial ends, from the report of a run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::case::{Case, case_of};
use crate::contract::{CHECKS, Contract};
use crate::report::{Finding, Level, NotTested, Report, RunVerdict, Verdict};

/// How a trial ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The requirement holds, or a waiver expects that it does not.
    Passed,
    /// It does not hold, or a waiver is stale; why.
    Failed(String),
    /// It deviates from what is only recommended; how.
    Warned(String),
    /// It could not be tested; why, and what to do about it.
    Untested(String),
}

/// How a trial ends after a run.
pub fn ended(contract: &Contract, report: &Report, case: &Case) -> Ended {
    let Some(row) = report.requirements.iter().find(|row| row.id == case.requirement) else {
        return Ended::Untested("this version of the contract does not have the requirement".into());
    };
    let mut verdicts: Vec<(Verdict, &str, Option<&str>)> = row
        .operations
        .iter()
        .filter(|part| case_of(contract, &part.operation, &row.id) == *case)
        .map(|part| (part.verdict, part.operation.as_str(), part.note.as_deref()))
        .collect();
    if !case.is_specified() && verdicts.is_empty() && row.operations.is_empty() {
        verdicts.push((row.verdict, case.operation.as_str(), None));
    }
    let having = |wanted: Verdict| verdicts.iter().find(move |(verdict, ..)| *verdict == wanted);
    if let Some((_, operation, _)) = having(Verdict::Fail) {
        return failed(report, &row.id, operation, row.level);
    }
    if let Some((_, operation, note)) = having(Verdict::Flaky) {
        return Ended::Failed(format!("flaky on {operation}: {}", note.unwrap_or("it did not show again")));
    }
    if having(Verdict::Waived).or_else(|| having(Verdict::Pass)).is_some() {
        return Ended::Passed;
    }
    let missing = report.untestable.iter().chain(&report.out_of_scope).find(|entry| entry.requirement == row.id);
    Ended::Untested(match missing {
        Some(NotTested { reason, fix, .. }) => format!("{reason} -> {fix}"),
        None => format!("no exchange of {} gave evidence -> run the standard profile in exclusive mode", case.operation),
    })
}

/// Whether a run showed the deviation that a waiver expects of the case.
pub fn is_waived(contract: &Contract, report: &Report, case: &Case) -> bool {
    let row = report.requirements.iter().find(|row| row.id == case.requirement);
    let parts = row.into_iter().flat_map(|row| &row.operations);
    parts.into_iter().any(|part| part.verdict == Verdict::Waived && case_of(contract, &part.operation, &case.requirement) == *case)
}

/// What is to be said of a requirement that does not hold on an operation.
pub(super) fn failed(report: &Report, requirement: &str, operation: &str, level: Level) -> Ended {
    let speaks =
        |finding: &&Finding| finding.requirements.iter().any(|id| id == requirement) && finding.operations.iter().any(|id| id == operation);
    if let Some(finding) = report.findings.iter().find(speaks) {
        return Ended::Failed(told(finding));
    }
    match report.warnings.iter().find(speaks) {
        Some(finding) => Ended::Warned(format!("{level} only: {}", finding.cause)),
        None => Ended::Failed(format!("{requirement} does not hold on {operation}")),
    }
}

/// A finding for people.
fn told(finding: &Finding) -> String {
    let mut text = format!(
        "{}\n  check:     {}\n  expected:  {}\n  actual:    {}\n  confirmed: {}\n",
        finding.cause, finding.check, finding.expected, finding.actual, finding.confirmed
    );
    for (index, step) in finding.sequence.iter().enumerate() {
        let _ = writeln!(text, "  {:>2}. {step}", index + 1);
    }
    if let Some(replay) = &finding.replay {
        let _ = writeln!(text, "  again:     logto-conformance replay {replay}");
    }
    text
}

/// What the errors of a report begin with that speak of snapshots.
const SNAPSHOT: &str = "snapshot ";

/// What does not agree with the reviewed snapshots.
pub fn unreviewed(report: &Report) -> Vec<&str> {
    report.errors.iter().map(String::as_str).filter(|error| error.starts_with(SNAPSHOT)).collect()
}

/// Whether a line about snapshots speaks of the one with this name: by its name, or by the path of its file.
pub fn is_about(line: &str, snapshot: &str) -> bool {
    let subject = line.strip_prefix(SNAPSHOT).unwrap_or_default();
    let file = format!("{snapshot}.snap is ");
    subject.strip_prefix(snapshot).is_some_and(|rest| rest.starts_with(' '))
        || subject.strip_prefix(&file).is_some()
        || subject.contains(&format!("/{file}"))
}

/// The checks that judged nothing in a run.
pub fn idle(report: &Report) -> Vec<&'static str> {
    let judged = |check: &&str| report.summary.checks.get(*check).is_some_and(|counts| counts.pass + counts.fail > 0);
    CHECKS.iter().copied().filter(|check| !judged(check)).collect()
}

/// What a run found that none of the trials tells: trouble, what is left behind, and deviations where none was thought of.
pub fn unheard(contract: &Contract, report: &Report, cases: &[Case]) -> Vec<String> {
    let known: BTreeSet<&Case> = cases.iter().collect();
    let mut told: Vec<String> =
        report.errors.iter().filter(|error| !["stale waiver", SNAPSHOT].iter().any(|told| error.starts_with(told))).cloned().collect();
    for row in &report.requirements {
        for part in row.operations.iter().filter(|part| part.verdict == Verdict::Fail) {
            let case = case_of(contract, &part.operation, &row.id);
            if !known.contains(&case)
                && let Ended::Failed(why) = failed(report, &row.id, &part.operation, row.level)
            {
                told.push(format!("{case}: {why}"));
            }
        }
    }
    if matches!(report.verdict, RunVerdict::Internal | RunVerdict::Unreachable | RunVerdict::Residue) && told.is_empty() {
        told.push(report.verdict.meaning().to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{CheckCounts, sample};

    #[test]
    fn a_line_about_a_snapshot_is_about_no_other() {
        let name = "account/GetProfile.200";
        for line in [
            "snapshot account/GetProfile.200 differs: see `cargo insta review`",
            "snapshot /home/a b/snapshots/account/GetProfile.200.snap is unreferenced: remove it",
        ] {
            assert!(is_about(line, name), "{line}");
            assert!(!is_about(line, "GetProfile.20") && !is_about(line, "account/GetProfile"), "{line}");
        }
    }

    #[test]
    fn a_check_that_judged_nothing_is_idle() {
        let mut report = sample::full();
        assert!(!idle(&report).contains(&"schema") && idle(&report).contains(&"race"));
        let none = CheckCounts { pass: 0, fail: 0, abstain: 7 };
        report.summary.checks.insert("schema".into(), none);
        assert!(idle(&report).contains(&"schema"), "to abstain is not to judge");
    }
}
