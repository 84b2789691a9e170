//! The report as `JUnit` XML.
//!
//! One suite per collection, one case per requirement and operation with evidence, named `UpdateProfile::ACC-PROFILE-03`.
//!
//! | verdict | element |
//! |---|---|
//! | `fail` (a finding), `stale-waiver` | `<failure>` |
//! | `fail` (only a warning), `waived` | passes, with a note in `<system-out>` |
//! | `flaky` | passes, with a `<flakyFailure>` |
//! | `error` | `<error>` |
//! | `untestable`, `out-of-scope` | `<skipped>` with the reason and the remedy |
//!
//! A server that reads only this file must come to the process's verdict. So each finding fails at least one case, whatever the
//! requirement rows say, and a run that ended for a reason of its own (internal, unreachable, incomplete …) has an `<error>` in
//! the suite `run`. That suite also takes what belongs to no operation; it is missing when it would be empty.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{
    command,
    document::{Collection, Finding, Level, NotTested, Report, RequirementOperation, RequirementRow},
    line::printable,
    verdict::{RunVerdict, Verdict},
};

/// Name of the suite for what belongs to no single operation.
const RUN: &str = "run";

/// `JUnit` XML with a final line break. Equal reports give equal bytes.
pub fn render(report: &Report) -> String {
    let mut suites = Suites::new(report);
    for requirement in &report.requirements {
        suites.add_requirement(requirement);
    }
    suites.add_orphans();
    suites.add_end();
    let mut document = quick_junit::Report::new(&report.tool.name);
    document.set_time(Duration::from_millis(report.summary.duration_ms));
    document.add_test_suites(suites.finish());
    let text = document.to_string().expect("UTF-8 text is written to memory, which does not fail");
    let mut text = without_total_of_skipped(&text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The schema by which Jenkins judges a file knows `skipped` on suites only.
fn without_total_of_skipped(text: &str) -> String {
    let Some((start, rest)) = text.split_once("<testsuites ") else { return text.to_owned() };
    let (tag, rest) = rest.split_once('>').unwrap_or((rest, ""));
    let tag: Vec<&str> = tag.split(' ').filter(|word| !word.starts_with("skipped=\"")).collect();
    format!("{start}<testsuites {}>{rest}", tag.join(" "))
}

/// The suites while they grow.
struct Suites<'a> {
    report: &'a Report,
    collections: BTreeMap<&'a str, Collection>,
    account: TestSuite,
    management: TestSuite,
    run: TestSuite,
    /// Ids of the findings that a case shows already.
    shown: BTreeSet<&'a str>,
}

impl<'a> Suites<'a> {
    fn new(report: &'a Report) -> Self {
        Self {
            report,
            collections: report.operations.iter().map(|row| (row.id.as_str(), row.collection)).collect(),
            account: suite(report, &Collection::Account.to_string()),
            management: suite(report, &Collection::Management.to_string()),
            run: suite(report, RUN),
            shown: BTreeSet::new(),
        }
    }

    fn add_requirement(&mut self, requirement: &'a RequirementRow) {
        if requirement.operations.is_empty() {
            let whole =
                RequirementOperation { operation: String::new(), verdict: requirement.verdict, evidence: requirement.evidence, note: None };
            self.add_row(requirement, &whole);
        }
        for row in &requirement.operations {
            self.add_row(requirement, row);
        }
    }

    /// One case, unless the row says that nothing was looked at and nothing stands in the way.
    fn add_row(&mut self, requirement: &'a RequirementRow, row: &RequirementOperation) {
        let untried = row.evidence == 0 && matches!(row.verdict, Verdict::Pass | Verdict::Waived | Verdict::Flaky);
        if untried {
            return;
        }
        let name = match row.operation.as_str() {
            "" => printable(&requirement.id),
            operation => format!("{}::{}", printable(operation), printable(&requirement.id)),
        };
        let mut output = Vec::new();
        let status = self.status(requirement, row, &mut output);
        let mut case = TestCase::new(name, status);
        if !output.is_empty() {
            case.set_system_out(output.join("\n"));
        }
        self.place(&row.operation, case);
    }

    fn status(&mut self, requirement: &'a RequirementRow, row: &RequirementOperation, output: &mut Vec<String>) -> TestCaseStatus {
        let note = row.note.as_deref().map(printable);
        match row.verdict {
            Verdict::Pass => {
                output.extend(note);
                TestCaseStatus::success()
            }
            Verdict::Waived => {
                output.push(format!("waived: {}", note.as_deref().unwrap_or("a waiver expects this deviation")));
                TestCaseStatus::success()
            }
            Verdict::Fail => {
                output.extend(note);
                self.deviation(requirement, row, output)
            }
            Verdict::StaleWaiver => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(row.verdict.word());
                status.set_message("the waived deviation is gone: remove the waiver");
                if let Some(note) = note {
                    status.set_description(note);
                }
                status
            }
            Verdict::Flaky => {
                let mut rerun = TestRerun::new(NonSuccessKind::Failure);
                rerun.set_type(row.verdict.word());
                rerun.set_message(note.as_deref().unwrap_or("a deviation was seen and did not reproduce"));
                let mut status = TestCaseStatus::success();
                status.add_rerun(rerun);
                status
            }
            Verdict::Error => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_type(row.verdict.word());
                status.set_message(note.as_deref().unwrap_or("the harness could not judge this"));
                status
            }
            Verdict::Untestable => skipped(row, &requirement.id, &self.report.untestable),
            Verdict::OutOfScope => skipped(row, &requirement.id, &self.report.out_of_scope),
        }
    }

    /// A failure for what decides the verdict, a note for what only warns.
    fn deviation(&mut self, requirement: &'a RequirementRow, row: &RequirementOperation, output: &mut Vec<String>) -> TestCaseStatus {
        let concerns = |finding: &&Finding| {
            finding.requirements.contains(&requirement.id) && (row.operation.is_empty() || finding.operations.contains(&row.operation))
        };
        let findings: Vec<&Finding> = self.report.findings.iter().filter(concerns).collect();
        if !findings.is_empty() {
            self.shown.extend(findings.iter().map(|finding| finding.id.as_str()));
            return failure(self.report, &findings);
        }
        let warnings: Vec<&Finding> = self.report.warnings.iter().filter(concerns).collect();
        if warnings.is_empty() && requirement.level == Level::Must {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message("the requirement does not hold");
            return status;
        }
        output.push("warning: a SHOULD requirement does not hold".to_owned());
        output.extend(warnings.iter().map(|warning| explanation(self.report, warning)));
        TestCaseStatus::success()
    }

    /// A case for each finding that no requirement row shows.
    fn add_orphans(&mut self) {
        for finding in &self.report.findings {
            if self.shown.contains(finding.id.as_str()) {
                continue;
            }
            let operation = finding.operations.first().map_or("", String::as_str);
            let name = format!("{}::{}", if operation.is_empty() { RUN } else { operation }, finding.check);
            self.place(operation, TestCase::new(printable(&name), failure(self.report, &[finding])));
        }
    }

    /// A case for a run that ended for a reason of its own.
    fn add_end(&mut self) {
        let verdict = self.report.verdict;
        if matches!(verdict, RunVerdict::Conformant | RunVerdict::Deviating) {
            return;
        }
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(verdict.word());
        status.set_message(verdict.meaning());
        let mut lines: Vec<String> = self.report.errors.iter().map(|error| printable(error)).collect();
        lines.extend(command::next(self.report).map(|command| format!("next: {command}")));
        status.set_description(lines.join("\n"));
        self.place("", TestCase::new(verdict.word(), status));
    }

    /// Puts the case into the suite of the operation's collection.
    fn place(&mut self, operation: &str, mut case: TestCase) {
        let suite = match self.collections.get(operation) {
            Some(Collection::Account) => &mut self.account,
            Some(Collection::Management) => &mut self.management,
            None => &mut self.run,
        };
        case.set_classname(suite.name.as_str());
        suite.add_test_case(case);
    }

    fn finish(self) -> Vec<TestSuite> {
        let mut suites = vec![self.account, self.management];
        if !self.run.test_cases.is_empty() {
            suites.push(self.run);
        }
        suites
    }
}

/// An empty suite that says which run it is of.
fn suite(report: &Report, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_properties([
        Property::new("tool", format!("{} {}", report.tool.name, report.tool.version)),
        Property::new("contract", &report.contract),
        Property::new("target", printable(&report.target.endpoint)),
        Property::new("seed", report.seed.to_string()),
        Property::new("profile", printable(&report.profile)),
        Property::new("mode", report.mode.to_string()),
    ]);
    suite
}

/// One failure for all findings of a case; the first gives the message.
fn failure(report: &Report, findings: &[&Finding]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    if let [first, ..] = findings {
        status.set_type(printable(&first.check));
        status.set_message(printable(&first.cause));
    }
    let texts: Vec<String> = findings.iter().map(|finding| explanation(report, finding)).collect();
    status.set_description(texts.join("\n\n"));
    status
}

/// All that a reader needs to understand and repeat a finding.
fn explanation(report: &Report, finding: &Finding) -> String {
    let mut lines = vec![
        format!("cause:     {}", printable(&finding.cause)),
        format!("expected:  {}", printable(&finding.expected)),
        format!("actual:    {}", printable(&finding.actual)),
        format!("confirmed: {}", printable(&finding.confirmed)),
        format!("steps:     {} (reduced from {})", finding.steps, finding.reduced_from),
    ];
    lines.extend(finding.sequence.iter().enumerate().map(|(index, call)| format!("  {}. {}", index + 1, printable(call))));
    lines.extend(command::replay(report, finding).map(|command| format!("replay:    {command}")));
    lines.extend(finding.curl.as_deref().map(|path| format!("curl:      {}", printable(path))));
    lines.join("\n")
}

/// A skipped case with every reason listed for the requirement.
fn skipped(row: &RequirementOperation, requirement: &str, listed: &[NotTested]) -> TestCaseStatus {
    let reasons: BTreeSet<String> = listed
        .iter()
        .filter(|entry| entry.requirement == requirement)
        .map(|entry| format!("{}; fix: {}", printable(&entry.reason), printable(&entry.fix)))
        .collect();
    let listed = reasons.into_iter().collect::<Vec<_>>().join(" | ");
    let message = match row.note.as_deref().map(printable) {
        Some(note) if listed.is_empty() => note,
        Some(note) => format!("{note}; {listed}"),
        None => listed,
    };
    let mut status = TestCaseStatus::skipped();
    status.set_type(row.verdict.word());
    status.set_message(if message.is_empty() { row.verdict.word().to_owned() } else { message });
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn parse(report: &Report) -> quick_junit::Report {
        quick_junit::Report::deserialize_from_str(&render(report)).unwrap()
    }

    fn named<'a>(document: &'a quick_junit::Report, name: &str) -> &'a TestCase {
        let cases = document.test_suites.iter().flat_map(|suite| &suite.test_cases);
        cases.into_iter().find(|case| case.name.as_str() == name).unwrap()
    }

    /// (tests, failures, errors, skipped) of each suite.
    fn counts(document: &quick_junit::Report) -> Vec<(&str, usize, usize, usize, usize)> {
        let row = |suite: &'_ TestSuite| (suite.tests, suite.failures, suite.errors, suite.skipped);
        document
            .test_suites
            .iter()
            .map(|suite| {
                let (tests, failures, errors, skipped) = row(suite);
                (suite.name.as_str(), tests, failures, errors, skipped)
            })
            .collect()
    }

    #[test]
    fn counts_match_the_report() {
        let document = parse(&sample::full());
        assert_eq!(counts(&document), [("account", 7, 2, 0, 1), ("management", 2, 0, 1, 0), ("run", 1, 0, 0, 1)]);
        assert_eq!((document.tests, document.failures, document.errors), (10, 2, 1));
    }

    #[test]
    fn an_empty_run_has_both_suites() {
        assert_eq!(counts(&parse(&sample::minimal())), [("account", 0, 0, 0, 0), ("management", 0, 0, 0, 0)]);
    }

    #[test]
    fn a_failure_explains_itself() {
        let document = parse(&sample::full());
        let case = named(&document, "UpdateProfile::ACC-FIELD-02");
        assert_eq!(case.classname.as_deref(), Some("account"));
        let TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, ty, description, .. } = &case.status else {
            panic!("not a failure: {:?}", case.status);
        };
        assert_eq!(message.as_deref(), Some("the field level of `name` is ignored"));
        assert_eq!(ty.as_deref(), Some("guard"));
        insta::assert_snapshot!(description.as_deref().unwrap(), @r##"
        cause:     the field level of `name` is ignored
        expected:  400 account_center.field_not_editable
        actual:    200
        confirmed: 3/3
        steps:     2 (reduced from 41)
          1. admin CreateUser -> 200
          2. user#1 UpdateProfile {"name": "x"} -> 200
        replay:    logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
        curl:      conformance-out/r1/findings/field-02-a1.sh
        "##);
    }

    #[test]
    fn waived_and_warned_cases_pass_with_a_note() {
        let document = parse(&sample::full());
        let waived = named(&document, "ListUsers::MGT-PAGE-01");
        assert!(matches!(waived.status, TestCaseStatus::Success { .. }));
        assert_eq!(waived.system_out.as_deref(), Some("waived: known, LOG-7, until 2027-01-01"));
        let warned = named(&document, "UpdatePrimaryEmail::ACC-ORDER-01");
        assert!(matches!(warned.status, TestCaseStatus::Success { .. }));
        assert!(warned.system_out.as_deref().unwrap().starts_with("warning: "));
    }

    #[test]
    fn a_strict_should_fails() {
        let mut report = sample::full();
        report.findings.append(&mut report.warnings);
        let document = parse(&report);
        let case = named(&document, "UpdatePrimaryEmail::ACC-ORDER-01");
        assert!(matches!(case.status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. }));
    }

    /// The attributes that the schema of Jenkins' xUnit plugin (junit-10.xsd) admits where this program writes any.
    #[test]
    fn jenkins_knows_every_attribute() {
        let known: &[(&str, &[&str])] = &[
            ("testsuites", &["name", "time", "tests", "failures", "errors"]),
            ("testsuite", &["name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"]),
            ("testcase", &["name", "time", "classname", "group"]),
            ("failure", &["type", "message"]),
            ("error", &["type", "message"]),
            ("skipped", &["type", "message"]),
            ("property", &["name", "value"]),
        ];
        let text = render(&sample::full());
        let mut seen = 0;
        for (element, attributes) in known {
            for tag in text.split(&format!("<{element} ")).skip(1).map(|rest| rest.split('>').next().unwrap()) {
                // Values hold no quotation marks: they are escaped.
                for name in tag.split('"').step_by(2).filter_map(|part| part.trim().strip_suffix('=')) {
                    assert!(attributes.contains(&name), "<{element} {name}=…>");
                    seen += 1;
                }
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn skipped_cases_name_the_remedy() {
        let document = parse(&sample::full());
        let message = |name| match &named(&document, name).status {
            TestCaseStatus::Skipped { message, .. } => message.as_deref().unwrap().to_owned(),
            other => panic!("not skipped: {other:?}"),
        };
        assert_eq!(message("UpdatePrimaryEmail::ACC-MAIL-01"), "no channel for mail; fix: set [channel] in conformance.toml");
        assert_eq!(message("MGT-SET-01"), "mode isolated writes no settings; fix: --mode exclusive");
    }

    #[test]
    fn a_flaky_case_passes_and_shows_it() {
        let document = parse(&sample::full());
        let TestCaseStatus::Success { flaky_runs } = &named(&document, "UpdateProfile::ACC-RACE-01").status else {
            panic!("not a success");
        };
        assert_eq!(flaky_runs[0].message.as_deref(), Some("got 500 once"));
    }

    #[test]
    fn a_row_without_evidence_is_no_case() {
        let mut report = sample::full();
        report.requirements[0].operations[0].evidence = 0;
        let document = parse(&report);
        assert_eq!(document.tests, 9);
    }

    #[test]
    fn a_finding_without_a_row_fails_a_case_of_its_own() {
        let mut report = sample::full();
        report.requirements.clear();
        let document = parse(&report);
        assert_eq!(counts(&document), [("account", 1, 1, 0, 0), ("management", 0, 0, 0, 0)]);
        named(&document, "UpdateProfile::guard");
    }

    #[test]
    fn a_run_that_broke_off_is_never_green() {
        for verdict in RunVerdict::ALL {
            let mut report = sample::minimal();
            report.set_verdict(verdict);
            report.errors.push("cannot connect".to_owned());
            let expected = usize::from(!matches!(verdict, RunVerdict::Conformant | RunVerdict::Deviating));
            assert_eq!(parse(&report).errors, expected, "{verdict}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut report = sample::full();
        report.findings[0].actual = "]]></failure>\u{0}\u{1b}[31m\u{ffff}<x a='&'>".to_owned();
        let document = parse(&report);
        let TestCaseStatus::NonSuccess { description, .. } = &named(&document, "UpdateProfile::ACC-FIELD-02").status else {
            panic!("not a failure");
        };
        let expected = "actual:    ]]></failure>\\u{0}\\u{1b}[31m\\u{ffff}<x a='&'>\n";
        assert!(description.as_deref().unwrap().contains(expected));
    }
}
