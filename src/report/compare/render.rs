//! A comparison for a terminal, for a step summary, and for programs.

use std::fmt::Write as _;

use super::{Comparison, Finding, OutcomeDifference, VerdictDifference};
use crate::report::line::{plural, printable};
use crate::report::markdown::cell;

/// Pretty-printed JSON with a final line break.
pub fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("a comparison has only string keys, so it serialises");
    text.push('\n');
    text
}

/// One screen for people.
pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (name, side) in [("base", &comparison.base), ("new", &comparison.new)] {
        let (target, findings) = (printable(&side.target), plural(side.findings as u64, "finding"));
        let warnings = plural(side.warnings as u64, "warning");
        let _ = writeln!(text, "{name:<5}{}: {target}, contract {}, {findings}, {warnings}", side.verdict, printable(&side.contract));
    }
    for caveat in &comparison.caveats {
        let _ = writeln!(text, "note: {}", printable(caveat));
    }
    let findings = &comparison.findings;
    for (title, sign, list) in [("new", '+', &findings.new), ("gone", '-', &findings.gone)] {
        if !list.is_empty() {
            let _ = writeln!(text, "\n{title}: {}", plural(list.len() as u64, "finding"));
        }
        for finding in list {
            let _ = writeln!(text, "  {sign} {}", head(finding));
            let _ = writeln!(text, "      expected {}\n      got      {}", printable(&finding.expected), printable(&finding.actual));
        }
    }
    if !findings.changed.is_empty() {
        let _ = writeln!(text, "\nchanged: {}", plural(findings.changed.len() as u64, "finding"));
    }
    for changed in &findings.changed {
        let _ = writeln!(text, "  ~ {}", head(&changed.new));
        let _ = writeln!(text, "      was {}\n      is  {}", difference(&changed.base), difference(&changed.new));
    }
    if !comparison.requirements.is_empty() {
        let _ = writeln!(text, "\nrequirements with another verdict: {}", comparison.requirements.len());
    }
    for row in &comparison.requirements {
        let _ = writeln!(text, "  {:<20} {} -> {}", printable(&row.requirement), word(row, true), word(row, false));
    }
    if !comparison.outcomes.is_empty() {
        let _ = writeln!(text, "\noutcomes that one run saw and the other did not: {}", comparison.outcomes.len());
    }
    for row in &comparison.outcomes {
        let sign = if row.base == 0 { '+' } else { '-' };
        let _ = writeln!(text, "  {sign} {} {} ({} before, {} now)", printable(&row.operation), outcome(row), row.base, row.new);
    }
    let _ = writeln!(
        text,
        "\n{}: {} new, {} gone, {} changed, {} the same",
        if comparison.is_empty() { "no difference" } else { "findings" },
        findings.new.len(),
        findings.gone.len(),
        findings.changed.len(),
        findings.same
    );
    text
}

/// GitHub-flavoured Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let findings = &comparison.findings;
    let mut text = format!(
        "## Logto conformance: {} new, {} gone, {} changed\n\n{} ({}) against {} ({}); {} findings are the same.\n",
        findings.new.len(),
        findings.gone.len(),
        findings.changed.len(),
        cell(&comparison.new.target),
        comparison.new.verdict,
        cell(&comparison.base.target),
        comparison.base.verdict,
        findings.same
    );
    for caveat in &comparison.caveats {
        let _ = writeln!(text, "\n> {}", cell(caveat));
    }
    let rows = |title: &str, list: &[Finding]| {
        let rows = list.iter().map(|finding| {
            let names = [finding.requirements.join(", "), finding.check.clone(), finding.operations.join(", ")];
            let [requirements, check, operations] = names.map(|name| cell(&name));
            format!("| {requirements} | {check} | {operations} | {} | {} |\n", cell(&finding.expected), cell(&finding.actual))
        });
        let head = "| Requirement | Check | Operation | Expected | Actual |\n| --- | --- | --- | --- | --- |\n";
        if list.is_empty() { String::new() } else { format!("\n### {title}: {}\n\n{head}{}", list.len(), rows.collect::<String>()) }
    };
    text.push_str(&rows("New", &findings.new));
    text.push_str(&rows("Gone", &findings.gone));
    if !findings.changed.is_empty() {
        let _ = write!(
            text,
            "\n### Changed: {}\n\n| Requirement | Operation | Was | Is |\n| --- | --- | --- | --- |\n",
            findings.changed.len()
        );
    }
    for changed in &findings.changed {
        let (requirements, operations) = (cell(&changed.new.requirements.join(", ")), cell(&changed.new.operations.join(", ")));
        let _ = writeln!(
            text,
            "| {requirements} | {operations} | {} | {} |",
            cell(&difference(&changed.base)),
            cell(&difference(&changed.new))
        );
    }
    if !comparison.outcomes.is_empty() {
        let _ = write!(
            text,
            "\n### Outcomes that differ: {}\n\n| Operation | Outcome | Base | New |\n| --- | --- | --- | --- |\n",
            comparison.outcomes.len()
        );
    }
    for row in &comparison.outcomes {
        let _ = writeln!(text, "| {} | {} | {} | {} |", cell(&row.operation), cell(&outcome(row)), row.base, row.new);
    }
    text
}

fn head(finding: &Finding) -> String {
    let names = format!("{} {} {} on {}", finding.level, finding.check, finding.requirements.join(" "), finding.operations.join(" "));
    format!("{} ({})", printable(&names), printable(&finding.id))
}

fn difference(finding: &Finding) -> String {
    printable(&format!("{} instead of {} on {}", finding.actual, finding.expected, finding.operations.join(" ")))
}

fn outcome(row: &OutcomeDifference) -> String {
    printable(&row.code.as_ref().map_or_else(|| row.status.to_string(), |code| format!("{} {code}", row.status)))
}

fn word(row: &VerdictDifference, base: bool) -> &'static str {
    let verdict = if base { row.base } else { row.new };
    verdict.map_or("unknown", super::Verdict::word)
}
