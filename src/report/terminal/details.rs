//! The verbose form: everything the report says, but for the outcomes that came as predicted.

use super::{
    super::{
        command,
        document::{CheckCounts, Finding, Report},
        line::printable,
        not_tested,
        verdict::Verdict,
    },
    Colour, Layout, Row, deviation, errors, head, noted, numbers, stale_waivers, untested, warnings,
};

/// One section per paragraph of the text.
pub(super) fn sections(report: &Report) -> Vec<Vec<Row>> {
    let mut sections = vec![head(report), facts(report), errors(report, Layout::EVERYTHING)];
    sections.extend(report.findings.iter().map(|finding| whole(report, "FAIL", Colour::Red, finding)));
    sections.push(stale_waivers(report));
    sections.push(warnings(report, Layout { warnings: 0, ..Layout::EVERYTHING }));
    sections.extend(report.warnings.iter().map(|warning| whole(report, "WARN", Colour::Yellow, warning)));
    sections.extend([
        reserved(report),
        not_tested_rows(report),
        abstained(report),
        checks(report),
        operations(report),
        outcomes(report),
        numbers(report, true),
        command::next(report).map(|next| Row::whole("next:", Colour::Bold, next)).into_iter().collect(),
    ]);
    sections
}

fn facts(report: &Report) -> Vec<Row> {
    report.facts.iter().map(|(name, fact)| Row::plain(format!("fact {name}: {fact}"))).collect()
}

/// A finding with its cause, its reduction and its sequence.
fn whole(report: &Report, label: &'static str, colour: Colour, finding: &Finding) -> Vec<Row> {
    let mut rows = deviation(label, colour, report, finding, false);
    let mut detail = |text: String| rows.push(Row::plain(format!("     {text}")));
    detail(format!("{} (check {}, {})", finding.cause, finding.check, finding.level));
    detail(format!("requirements: {}; operations: {}", finding.requirements.join(", "), finding.operations.join(", ")));
    detail(format!(
        "confirmed {}, {} steps reduced from {} with {} requests, also seen in {} sequences",
        finding.confirmed, finding.steps, finding.reduced_from, finding.reduction_requests, finding.also_seen_in
    ));
    finding.sequence.iter().enumerate().for_each(|(index, call)| detail(format!("  {}. {call}", index + 1)));
    command::replay(report, finding).into_iter().for_each(&mut detail);
    finding.curl.iter().for_each(|path| detail(format!("curl: {path}")));
    rows
}

/// Requirements about which less than `pass` is claimed, without a finding.
fn reserved(report: &Report) -> Vec<Row> {
    let mut rows = noted(report, Verdict::Waived, "WAIVED", Colour::None);
    rows.extend(noted(report, Verdict::Flaky, "FLAKY", Colour::None));
    rows
}

fn not_tested_rows(report: &Report) -> Vec<Row> {
    let mut rows = untested(report, Layout { reasons: 0, ..Layout::EVERYTHING });
    for list in [&report.untestable, &report.out_of_scope] {
        for group in not_tested::groups(list) {
            let ids: Vec<&str> = group.requirements.into_iter().collect();
            rows.push(Row::plain(format!("  {}x {} -> {}", ids.len(), printable(group.reason), printable(group.fix))));
            rows.push(Row::plain(format!("     {}", ids.join(", "))));
        }
    }
    rows
}

fn abstained(report: &Report) -> Vec<Row> {
    report.abstained.iter().map(|row| Row::plain(format!("{} abstained {}x: {}", row.check, row.count, row.reason))).collect()
}

fn checks(report: &Report) -> Vec<Row> {
    let line = |(name, counts): (&String, &CheckCounts)| {
        Row::plain(format!("check {name}: {} pass, {} fail, {} abstain", counts.pass, counts.fail, counts.abstain))
    };
    report.summary.checks.iter().map(line).collect()
}

fn operations(report: &Report) -> Vec<Row> {
    report
        .operations
        .iter()
        .map(|row| {
            let statuses: Vec<String> = row.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
            Row::plain(format!("{} {} {}  {}x  {}", row.id, row.method, row.path, row.requests, statuses.join(", ")))
        })
        .collect()
}

/// Outcomes that did not come as predicted.
fn outcomes(report: &Report) -> Vec<Row> {
    let surprises = report.outcomes.iter().filter(|row| row.predicted != (row.observed > 0));
    surprises
        .map(|row| {
            let what = if row.predicted { "predicted, not observed" } else { "observed, not predicted" };
            Row::plain(format!("outcome {} {} {}: {what}", row.operation, row.status, row.code.as_deref().unwrap_or("-")))
        })
        .collect()
}
