//! What the page shows, as plain values in the order of the page.

use std::cmp::Reverse;

use serde::Serialize;

use super::Material;
use super::diagram::Diagram;
use super::heat::{self, Heat};
use crate::report::document::{Finding, NotTested, Report, TargetKind};
use crate::report::line::{duration, printable};
use crate::report::verdict::Verdict;
use crate::report::{command, markdown, not_tested};

/// Slowest operations that are listed.
const SLOWEST: usize = 15;

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    verdict: &'static str,
    exit_code: u8,
    meaning: String,
    next: Option<String>,
    target: String,
    facts: Vec<(&'static str, String)>,
    numbers: Vec<Number>,
    errors: Vec<String>,
    findings: Vec<FindingView>,
    findings_count: usize,
    warnings_count: usize,
    operations: Heat,
    levels: Heat,
    untested: Vec<Untested>,
    untested_count: usize,
    stale: Vec<(String, String, String)>,
    goals: Vec<Goal>,
    unreached: Vec<(String, String, String)>,
    slowest: Vec<Slow>,
    requirements: Vec<RequirementView>,
    verdict_counts: Vec<(String, usize)>,
    checks: Vec<(String, u64, u64, u64)>,
    abstained: Vec<(String, String, u64)>,
    configuration: String,
    tool: String,
}

#[derive(Debug, Serialize)]
struct Number {
    name: &'static str,
    value: String,
    detail: String,
}

#[derive(Debug, Serialize)]
struct FindingView {
    id: String,
    level: String,
    check: String,
    requirements: Vec<(String, Option<String>)>,
    operations: Vec<String>,
    cause: String,
    expected: String,
    actual: String,
    shown: String,
    origin: String,
    replay: Option<String>,
    script: Option<String>,
    curl: Option<String>,
    issue: String,
    diagram: Option<Diagram>,
}

#[derive(Debug, Serialize)]
struct Untested {
    kind: &'static str,
    reason: String,
    fix: String,
    requirements: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Goal {
    name: String,
    reached: usize,
    all: usize,
    percent: usize,
}

#[derive(Debug, Serialize)]
struct Slow {
    operation: String,
    route: String,
    answers: u64,
    mean: String,
    slowest: String,
}

#[derive(Debug, Serialize)]
struct RequirementView {
    id: String,
    level: String,
    verdict: String,
    evidence: u64,
    sentence: String,
    operations: usize,
    notes: Vec<String>,
}

impl Page {
    pub(super) fn of(report: &Report, material: &Material) -> Self {
        let findings = report.findings.iter().chain(&report.warnings).map(|finding| finding_view(report, finding, material)).collect();
        let stale = report.with_verdict(Verdict::StaleWaiver).map(|(id, part)| {
            let operation = part.map(|part| part.operation.clone()).unwrap_or_default();
            (id.to_owned(), operation, part.and_then(|part| part.note.clone()).unwrap_or_default())
        });
        let untested: Vec<Untested> =
            untested("untestable", &report.untestable).into_iter().chain(untested("out of scope", &report.out_of_scope)).collect();
        let coverage = report.coverage.clone().unwrap_or_default();
        let goals = coverage.goals.iter().map(|goal| Goal {
            name: goal.name.clone(),
            reached: goal.reached,
            all: goal.goal,
            percent: (goal.reached * 100).checked_div(goal.goal).unwrap_or(100),
        });
        Self {
            verdict: report.verdict.word(),
            exit_code: report.exit_code,
            meaning: report.meaning(),
            next: command::next(report),
            target: printable(&report.target.endpoint),
            facts: facts(report),
            numbers: numbers(report),
            errors: report.errors.iter().map(|error| printable(error)).collect(),
            findings,
            findings_count: report.findings.len(),
            warnings_count: report.warnings.len(),
            operations: heat::operations(report),
            levels: heat::levels(report),
            untested_count: not_tested::count(&report.untestable) + not_tested::count(&report.out_of_scope),
            untested,
            stale: stale.collect(),
            goals: goals.collect(),
            unreached: coverage.unreached.into_iter().map(|row| (row.operation, row.outcome, row.reason)).collect(),
            slowest: slowest(report),
            requirements: requirements(report, material),
            verdict_counts: Verdict::ALL
                .iter()
                .map(|verdict| (verdict.to_string(), report.requirements.iter().filter(|row| row.verdict == *verdict).count()))
                .filter(|(_, count)| *count > 0)
                .collect(),
            checks: report.summary.checks.iter().map(|(name, counts)| (name.clone(), counts.pass, counts.fail, counts.abstain)).collect(),
            abstained: report.abstained.iter().map(|row| (row.check.clone(), printable(&row.reason), row.count)).collect(),
            configuration: serde_json::to_string_pretty(&report.facts).unwrap_or_default(),
            tool: format!("{} {}", report.tool.name, report.tool.version),
        }
    }
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let kind = match report.target.kind {
        TargetKind::Embedded => "embedded reference",
        TargetKind::Remote => "remote deployment",
    };
    let mut facts = vec![
        ("target", printable(&report.target.endpoint)),
        ("kind", kind.to_owned()),
        ("contract", report.contract.clone()),
        ("profile", report.profile.clone()),
        ("mode", report.mode.to_string()),
        ("seed", report.seed.to_string()),
    ];
    facts.extend(report.out.iter().map(|out| ("kept in", printable(out))));
    facts
}

fn numbers(report: &Report) -> Vec<Number> {
    let summary = &report.summary;
    let requirements = &summary.requirements;
    let number = |name, value: String, detail: String| Number { name, value, detail };
    vec![
        number("findings", summary.findings.to_string(), format!("and {} warnings", report.warnings.len())),
        number(
            "requirements that hold",
            format!("{}/{}", requirements.pass, requirements.total),
            format!("{} fail, {} waived, {} flaky", requirements.fail, requirements.waived, requirements.flaky),
        ),
        number(
            "operations called",
            format!("{}/{}", summary.operations.exercised, summary.operations.specified),
            format!("{} succeeded, {} more published", summary.operations.succeeded, summary.operations.published_exercised),
        ),
        number(
            "outcomes seen",
            format!("{}/{}", summary.outcomes.observed, summary.outcomes.specified),
            format!("{} predicted", summary.outcomes.predicted),
        ),
        number(
            "requests",
            summary.requests.to_string(),
            format!("{} sequences, {}, {:.1}/s", summary.sequences, duration(summary.duration_ms), summary.requests_per_second),
        ),
        number(
            "left on the target",
            if summary.residue == 0 { "nothing".to_owned() } else { summary.residue.to_string() },
            if summary.residue == 0 { "everything was put back".to_owned() } else { "finish with `restore`".to_owned() },
        ),
    ]
}

fn finding_view(report: &Report, finding: &Finding, material: &Material) -> FindingView {
    let script = material.scripts.get(&finding.id).cloned();
    let origin = format!(
        "{} of {} steps, after {} requests; also seen in {} other sequences",
        finding.steps, finding.reduced_from, finding.reduction_requests, finding.also_seen_in
    );
    FindingView {
        id: finding.id.clone(),
        level: finding.level.to_string(),
        check: finding.check.clone(),
        requirements: finding.requirements.iter().map(|id| (id.clone(), material.sentences.get(id).cloned())).collect(),
        operations: finding.operations.clone(),
        cause: finding.cause.lines().map(printable).collect::<Vec<_>>().join("\n"),
        expected: printable(&finding.expected),
        actual: printable(&finding.actual),
        shown: if finding.reproduces() { format!("confirmed {}", finding.confirmed) } else { format!("observed {}", finding.confirmed) },
        origin,
        replay: command::replay(report, finding),
        issue: markdown::issue(report, finding, script.as_deref()),
        script,
        curl: finding.curl.clone(),
        diagram: Diagram::of(finding),
    }
}

fn untested(kind: &'static str, rows: &[NotTested]) -> Vec<Untested> {
    let groups = not_tested::groups(rows).into_iter();
    groups
        .map(|group| Untested {
            kind,
            reason: printable(group.reason),
            fix: printable(group.fix),
            requirements: group.requirements.iter().map(|id| (*id).to_owned()).collect(),
        })
        .collect()
}

fn slowest(report: &Report) -> Vec<Slow> {
    let mut timed: Vec<_> = report.operations.iter().filter_map(|row| Some((row, row.time?))).collect();
    timed.sort_by_key(|(row, time)| (Reverse(time.mean_us()), row.id.clone()));
    timed
        .into_iter()
        .take(SLOWEST)
        .map(|(row, time)| Slow {
            operation: row.id.clone(),
            route: format!("{} {}", row.method, row.path),
            answers: time.answers,
            mean: milliseconds(time.mean_us()),
            slowest: milliseconds(time.slowest_us),
        })
        .collect()
}

/// `12.3`: milliseconds with one decimal.
fn milliseconds(microseconds: u64) -> String {
    format!("{}.{}", microseconds / 1_000, microseconds % 1_000 / 100)
}

fn requirements(report: &Report, material: &Material) -> Vec<RequirementView> {
    report
        .requirements
        .iter()
        .map(|row| RequirementView {
            id: row.id.clone(),
            level: row.level.to_string(),
            verdict: row.verdict.to_string(),
            evidence: row.evidence,
            sentence: material.sentences.get(&row.id).cloned().unwrap_or_default(),
            operations: row.operations.len(),
            notes: row
                .operations
                .iter()
                .filter_map(|part| part.note.as_ref().map(|note| format!("{}: {}", part.operation, printable(note))))
                .collect(),
        })
        .collect()
}
