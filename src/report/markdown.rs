//! The report as GitHub-flavoured Markdown, for the step summary of a workflow.

use std::fmt::Write as _;

use super::{
    command,
    document::{Finding, NotTested, Report},
    line::{duration, first_of, printable},
    not_tested,
    verdict::{RunVerdict, Verdict},
};

/// Rows of a table. GitHub cuts a step summary off at 1 MiB; a reader stops long before.
const ROWS: usize = 50;

/// Markdown with a final line break. Equal reports give equal bytes.
pub fn render(report: &Report) -> String {
    let sections = [
        Some(head(report)),
        errors(report),
        deviations("Findings", report, &report.findings),
        stale_waivers(report),
        deviations("Warnings (SHOULD)", report, &report.warnings),
        untested("Untestable", &report.untestable),
        untested("Out of scope", &report.out_of_scope),
        numbers(report),
        next(report),
    ];
    sections.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn head(report: &Report) -> String {
    let sign = match report.verdict {
        RunVerdict::Conformant => ":white_check_mark:",
        RunVerdict::Incomplete => ":warning:",
        _ => ":x:",
    };
    format!(
        "## {sign} Logto conformance: {}\n\nExit code {}: {}.\n\nTarget {}, contract {}, profile {}, mode {}, seed {}.\n",
        report.verdict,
        report.exit_code,
        report.meaning(),
        code(&report.target.endpoint),
        cell(&report.contract),
        cell(&report.profile),
        report.mode,
        report.seed,
    )
}

fn errors(report: &Report) -> Option<String> {
    let lines: Vec<String> = report.errors.iter().take(ROWS).map(|error| format!("- {}", cell(error))).collect();
    section("Errors", lines, report.errors.len())
}

fn deviations(title: &str, report: &Report, findings: &[Finding]) -> Option<String> {
    let rows = findings.iter().take(ROWS).map(|finding| {
        let requirement = first_of(&finding.requirements).unwrap_or_else(|| finding.check.clone());
        let replay = command::replay(report, finding).map(|command| code(&command)).unwrap_or_default();
        [
            cell(&requirement),
            cell(&first_of(&finding.operations).unwrap_or_default()),
            cell(&finding.expected),
            cell(&finding.actual),
            cell(&finding.cause),
            cell(&finding.confirmed),
            finding.steps.to_string(),
            replay,
        ]
    });
    let rows = table(["Requirement", "Operation", "Expected", "Actual", "Cause", "Confirmed", "Steps", "Replay"], rows);
    section(&format!("{title}: {}", findings.len()), rows, findings.len())
}

fn stale_waivers(report: &Report) -> Option<String> {
    let stale: Vec<_> = report.with_verdict(Verdict::StaleWaiver).collect();
    let rows = stale.iter().take(ROWS).map(|(requirement, part)| {
        let operation = part.map(|part| cell(&part.operation)).unwrap_or_default();
        [cell(requirement), operation, part.and_then(|part| part.note.as_deref()).map(cell).unwrap_or_default()]
    });
    let rows = table(["Requirement", "Operation", "Waiver"], rows);
    section(&format!("Stale waivers: {}", stale.len()), rows, stale.len())
}

fn untested(title: &str, listed: &[NotTested]) -> Option<String> {
    let groups = not_tested::groups(listed);
    let rows = groups.iter().take(ROWS).map(|group| [group.requirements.len().to_string(), cell(group.reason), cell(group.fix)]);
    let rows = table(["Requirements", "Reason", "Remedy"], rows);
    section(&format!("{title}: {}", not_tested::count(listed)), rows, groups.len())
}

fn numbers(report: &Report) -> Option<String> {
    let summary = &report.summary;
    let (operations, outcomes, requirements) = (&summary.operations, &summary.outcomes, &summary.requirements);
    let rows = [
        ["Requests".to_owned(), format!("{} in {} sequences", summary.requests, summary.sequences)],
        ["Duration".to_owned(), format!("{}, {:.1} req/s", duration(summary.duration_ms), summary.requests_per_second)],
        [
            "Operations".to_owned(),
            format!("{} exercised, {} succeeded, {} specified", operations.exercised, operations.succeeded, operations.specified),
        ],
        [
            "Operations of the target's document".to_owned(),
            format!("{} exercised, {} listed", operations.published_exercised, operations.published),
        ],
        [
            "Outcomes".to_owned(),
            format!("{} observed, {} predicted, {} specified", outcomes.observed, outcomes.predicted, outcomes.specified),
        ],
        [
            "Requirements".to_owned(),
            format!(
                "{} pass, {} fail, {} waived, {} stale waiver, {} flaky, {} untestable, {} unjudged, {} total",
                requirements.pass,
                requirements.fail,
                requirements.waived,
                requirements.stale_waiver,
                requirements.flaky,
                requirements.untestable,
                requirements.unjudged(),
                requirements.total
            ),
        ],
        ["Residue".to_owned(), if summary.residue == 0 { "none".to_owned() } else { summary.residue.to_string() }],
    ];
    let count = rows.len();
    section("Numbers", table(["What", "How many"], rows.into_iter()), count)
}

fn next(report: &Report) -> Option<String> {
    command::next(report).map(|command| format!("Next: {}\n", code(&command)))
}

/// One finding as the text of an issue: plain Markdown for people who do not have this program.
pub(super) fn issue(report: &Report, finding: &Finding, script: Option<&str>) -> String {
    let mut text = format!(
        "### {} {}: {}\n\n{} deviates from {} ({}).\n\n| | |\n| --- | --- |\n| Expected | {} |\n| Actual | {} |\n\n{}\n",
        cell(&finding.check),
        finding.level,
        cell(&first_of(&finding.operations).unwrap_or_default()),
        cell(&finding.operations.join(", ")),
        cell(&finding.requirements.join(", ")),
        if finding.reproduces() { format!("confirmed {}", finding.confirmed) } else { format!("observed {}", finding.confirmed) },
        cell(&finding.expected),
        cell(&finding.actual),
        cell(&finding.cause),
    );
    if !finding.sequence.is_empty() {
        let steps: Vec<String> =
            finding.sequence.iter().enumerate().map(|(index, line)| format!("{}. {}", index + 1, code(line))).collect();
        let _ = write!(text, "\nShortest sequence that shows it:\n\n{}\n", steps.join("\n"));
    }
    if let Some(command) = command::replay(report, finding) {
        let _ = write!(text, "\nAgain: {}\n", code(&command));
    }
    if let Some(script) = script {
        // A fence is longer than any inside.
        let longest = script.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let script = script.trim_end();
        let _ = write!(text, "\n<details><summary>With sh and curl</summary>\n\n{fence}sh\n{script}\n{fence}\n\n</details>\n");
    }
    let _ = write!(text, "\nContract {}, {} {}.\n", cell(&report.contract), cell(&report.tool.name), cell(&report.tool.version));
    text
}

/// A heading over lines, with a note about the rows left out; nothing when there is nothing to say.
fn section(title: &str, mut lines: Vec<String>, total: usize) -> Option<String> {
    if total == 0 {
        return None;
    }
    if total > ROWS {
        lines.push(String::new());
        lines.push(format!("and {} more in the JSON report", total - ROWS));
    }
    Some(format!("### {title}\n\n{}\n", lines.join("\n")))
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let head = [format!("| {} |", header.join(" | ")), format!("|{}", " --- |".repeat(N))];
    head.into_iter().chain(rows.map(|row| format!("| {} |", row.join(" | ")))).collect()
}

/// Text on one line that Markdown and HTML take literally, also inside a table.
pub(super) fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // As entities, because a backslash is not enough for a mention, an issue number, a table's pipe in code, or a link.
            '@' => escaped.push_str("&#64;"),
            '#' => escaped.push_str("&#35;"),
            '|' => escaped.push_str("&#124;"),
            ':' => escaped.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '$' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The same, in the font of code.
fn code(text: &str) -> String {
    format!("<code>{}</code>", cell(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_deviating_run() {
        insta::assert_snapshot!(render(&sample::full()), @r##"
        ## :x: Logto conformance: deviating

        Exit code 1: the target breaks the contract, or a waiver is stale.

        Target <code>https&#58;//logto.example</code>, contract 1.43, profile standard, mode isolated, seed 1.

        ### Findings: 1

        | Requirement | Operation | Expected | Actual | Cause | Confirmed | Steps | Replay |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        | ACC-FIELD-02 | UpdateProfile | 400 account\_center.field\_not\_editable | 200 | the field level of \`name\` is ignored | 3/3 | 2 | <code>logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https&#58;//logto.example</code> |

        ### Stale waivers: 1

        | Requirement | Operation | Waiver |
        | --- | --- | --- |
        | ACC-PHONE-01 | UpdatePrimaryPhone | waivers.toml&#58;3 |

        ### Warnings (SHOULD): 1

        | Requirement | Operation | Expected | Actual | Cause | Confirmed | Steps | Replay |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        | ACC-ORDER-01 | UpdatePrimaryEmail | 401 verification\_record.permission\_denied | 400 auth.unauthorized | scope is checked before the identity | 3/3 | 2 |  |

        ### Untestable: 1

        | Requirements | Reason | Remedy |
        | --- | --- | --- |
        | 1 | no channel for mail | set \[channel\] in conformance.toml |

        ### Out of scope: 1

        | Requirements | Reason | Remedy |
        | --- | --- | --- |
        | 1 | mode isolated writes no settings | --mode exclusive |

        ### Numbers

        | What | How many |
        | --- | --- |
        | Requests | 1204 in 96 sequences |
        | Duration | 4.2 s, 286.6 req/s |
        | Operations | 78 exercised, 70 succeeded, 91 specified |
        | Operations of the target's document | 268 exercised, 284 listed |
        | Outcomes | 305 observed, 310 predicted, 400 specified |
        | Requirements | 1 pass, 2 fail, 1 waived, 1 stale waiver, 1 flaky, 1 untestable, 2 unjudged, 9 total |
        | Residue | none |

        Next: <code>logto-conformance explain ACC-FIELD-02</code>
        "##);
    }

    #[test]
    fn a_conformant_run() {
        insta::assert_snapshot!(render(&sample::minimal()), @r##"
        ## :white_check_mark: Logto conformance: conformant

        Exit code 0: every MUST requirement that was promised was tested and holds, or is waived.

        Target <code>http&#58;//127.0.0.1&#58;3001</code>, contract 1.43, profile standard, mode exclusive, seed 1.

        ### Numbers

        | What | How many |
        | --- | --- |
        | Requests | 0 in 0 sequences |
        | Duration | 0 ms, 0.0 req/s |
        | Operations | 0 exercised, 0 succeeded, 0 specified |
        | Operations of the target's document | 0 exercised, 0 listed |
        | Outcomes | 0 observed, 0 predicted, 0 specified |
        | Requirements | 0 pass, 0 fail, 0 waived, 0 stale waiver, 0 flaky, 0 untestable, 0 unjudged, 0 total |
        | Residue | none |

        Next: <code>logto-conformance check --target URL</code>
        "##);
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "a|b `c` <script> @team #1 [x](https://evil.example)\n| new row |";
        assert_eq!(
            cell(hostile),
            "a&#124;b \\`c\\` &lt;script&gt; &#64;team &#35;1 \\[x\\](https&#58;//evil.example)\\\\n&#124; new row &#124;"
        );
    }

    #[test]
    fn a_table_ends_somewhere() {
        let mut report = sample::full();
        report.findings = vec![sample::finding(); 60];
        let text = render(&report);
        assert_eq!(text.matches("| ACC-FIELD-02 |").count(), ROWS);
        assert!(text.contains("and 10 more in the JSON report"));
    }
}
