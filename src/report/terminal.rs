//! The report for the person who started the run.
//!
//! By default one screen: what the verdict means, each finding with the command that shows it again, what was not tested and
//! how to change that, the numbers, and the command to type next. When there is more than a screen holds, reasons and
//! warnings give way before findings do, and the counts always stay. Everything that gives way is in the JSON report and in
//! the verbose form. The text is for people and not stable; ASCII but for what the contract or the target said.

mod details;

use std::iter;

use super::{
    command,
    document::{Coverage, Finding, Report, Summary},
    line::{duration, first_of, plural, printable, shorten},
    not_tested,
    verdict::{RunVerdict, Verdict},
};

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are used.
    pub colour: bool,
    /// Columns of the terminal; 0 when there is no limit. Lines are cut to it, except commands and remedies.
    pub width: usize,
    /// How much is said.
    pub verbosity: Verbosity,
}

impl Default for Style {
    /// No colour, 100 columns, one screen.
    fn default() -> Self {
        Self { colour: false, width: 100, verbosity: Verbosity::Normal }
    }
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// The verdict and what decided it.
    Quiet,
    /// At most one screen.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

/// Rows of one screen.
const SCREEN: usize = 30;

/// How much of each list is shown.
#[derive(Debug, Clone, Copy)]
struct Layout {
    errors: usize,
    /// Findings and stale waivers.
    findings: usize,
    warnings: usize,
    /// Whether a warning has the line with its replay command, too.
    warning_replay: bool,
    reasons: usize,
    /// Whether an empty line separates the sections.
    gaps: bool,
}

impl Layout {
    const EVERYTHING: Self =
        Self { errors: usize::MAX, findings: usize::MAX, warnings: usize::MAX, warning_replay: true, reasons: usize::MAX, gaps: true };

    /// From generous to tight; the first that fits on a screen is taken.
    fn screens() -> impl Iterator<Item = Self> {
        let full = Self { errors: 3, findings: 10, warnings: 5, warning_replay: true, reasons: 3, gaps: true };
        let fewer = [
            Self { warning_replay: false, ..full },
            Self { warning_replay: false, warnings: 2, reasons: 1, ..full },
            Self { warning_replay: false, warnings: 0, reasons: 0, ..full },
        ];
        let tight = Self { errors: 1, findings: 0, warnings: 0, warning_replay: false, reasons: 0, gaps: false };
        let tightest = (1..=full.findings).rev().map(move |findings| Self { findings, ..tight });
        [full].into_iter().chain(fewer).chain(tightest)
    }
}

/// The text, with a line break after each line.
pub fn render(report: &Report, style: &Style) -> String {
    let rows = match style.verbosity {
        Verbosity::Quiet => join(vec![vec![verdict_row(report)], findings(report, Layout::EVERYTHING)], false),
        Verbosity::Normal => screen(report, style),
        Verbosity::Verbose => join(details::sections(report), true),
    };
    rows.iter().map(|row| row.text(style) + "\n").collect()
}

/// The most generous layout that fits, or the tightest.
fn screen(report: &Report, style: &Style) -> Vec<Row> {
    let height = |rows: &[Row]| rows.iter().map(|row| row.height(style)).sum::<usize>();
    let mut rows = Vec::new();
    for layout in Layout::screens() {
        rows = join(sections(report, layout), layout.gaps);
        if height(&rows) <= SCREEN {
            break;
        }
    }
    rows
}

/// One section per paragraph of the text.
fn sections(report: &Report, layout: Layout) -> Vec<Vec<Row>> {
    vec![
        head(report),
        errors(report, layout),
        findings(report, layout),
        warnings(report, layout),
        untested(report, layout),
        numbers(report, layout.gaps),
        command::next(report).map(|next| Row::whole("next:", Colour::Bold, next)).into_iter().collect(),
    ]
}

fn join(sections: Vec<Vec<Row>>, gaps: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        if gaps && !rows.is_empty() {
            rows.push(Row::plain(""));
        }
        rows.extend(section);
    }
    rows
}

fn verdict_row(report: &Report) -> Row {
    let (label, colour) = match report.verdict {
        RunVerdict::Conformant => ("CONFORMANT", Colour::Green),
        RunVerdict::Deviating => ("DEVIATING", Colour::Red),
        RunVerdict::Usage => ("USAGE", Colour::Red),
        RunVerdict::Unreachable => ("UNREACHABLE", Colour::Red),
        RunVerdict::Incomplete => ("INCOMPLETE", Colour::Yellow),
        RunVerdict::Internal => ("INTERNAL", Colour::Red),
        RunVerdict::Residue => ("RESIDUE", Colour::Red),
    };
    Row::whole(label, colour, format!("(exit {}): {}.", report.exit_code, report.meaning()))
}

fn head(report: &Report) -> Vec<Row> {
    let about = format!(
        "{}, contract {}, profile {}, mode {}, seed {}",
        report.target.endpoint, report.contract, report.profile, report.mode, report.seed
    );
    vec![verdict_row(report), Row::cut("target:", Colour::Dim, about)]
}

/// What went wrong on our side, and what did not show again.
fn errors(report: &Report, layout: Layout) -> Vec<Row> {
    let run = report.errors.iter().map(|error| {
        let mut lines = error.lines();
        let first = Row::cut("error:", Colour::Red, lines.next().unwrap_or_default());
        // The place of a mistake, where there is room for it.
        iter::once(first).chain(lines.filter(|_| layout.errors > 1).map(Row::plain)).collect()
    });
    let single = |row| vec![row];
    let rows = run.chain(noted(report, Verdict::Error, "ERROR", Colour::Red).into_iter().map(single));
    let mut rows: Vec<Vec<Row>> = rows.chain(noted(report, Verdict::Flaky, "FLAKY", Colour::Yellow).into_iter().map(single)).collect();
    let hidden = rows.len().saturating_sub(layout.errors);
    rows.truncate(layout.errors);
    rows.into_iter().flatten().chain(more(hidden, report)).collect()
}

/// What makes the verdict `deviating`.
fn findings(report: &Report, layout: Layout) -> Vec<Row> {
    let shown = report.findings.iter().take(layout.findings);
    let mut rows: Vec<Row> = shown.flat_map(|finding| deviation("FAIL", Colour::Red, report, finding, true)).collect();
    let stale = stale_waivers(report);
    let hidden = (report.findings.len() + stale.len()).saturating_sub(layout.findings);
    rows.extend(stale.into_iter().take(layout.findings.saturating_sub(report.findings.len())));
    rows.extend(more(hidden, report));
    rows
}

fn stale_waivers(report: &Report) -> Vec<Row> {
    noted(report, Verdict::StaleWaiver, "STALE WAIVER", Colour::Red)
}

fn warnings(report: &Report, layout: Layout) -> Vec<Row> {
    let total = report.warnings.len();
    if total == 0 {
        return Vec::new();
    }
    let mut rows = vec![Row::plain(format!("warnings: {total} (SHOULD; findings under --strict)"))];
    for warning in report.warnings.iter().take(layout.warnings) {
        rows.extend(deviation("WARN", Colour::Yellow, report, warning, layout.warning_replay));
    }
    if layout.warnings > 0 {
        rows.extend(more(total.saturating_sub(layout.warnings), report));
    }
    rows
}

/// `FAIL ACC-FIELD-02 UpdateProfile  expected …, got …` and the command that shows it again.
fn deviation(label: &'static str, colour: Colour, report: &Report, finding: &Finding, replay: bool) -> Vec<Row> {
    let requirement = first_of(&finding.requirements).unwrap_or_else(|| printable(&finding.check));
    let operation = first_of(&finding.operations).map(|name| format!(" {name}")).unwrap_or_default();
    let observed = if finding.reproduces() { String::new() } else { format!("observed {}, ", finding.confirmed) };
    let text = format!("{requirement}{operation}  {observed}expected {}, got {}", finding.expected, finding.actual);
    let mut rows = vec![Row::cut(label, colour, text)];
    if replay {
        rows.extend(command::replay(report, finding).map(|command| Row::whole("    ", Colour::Dim, command)));
    }
    rows
}

/// `STALE WAIVER ACC-PHONE-01 UpdatePrimaryPhone  why` for each requirement and operation with the verdict.
fn noted(report: &Report, verdict: Verdict, label: &'static str, colour: Colour) -> Vec<Row> {
    report
        .with_verdict(verdict)
        .map(|(requirement, part)| {
            let operation = part.map(|part| format!(" {}", part.operation)).unwrap_or_default();
            let note = part.and_then(|part| part.note.as_deref()).map(|note| format!("  {note}")).unwrap_or_default();
            Row::cut(label, colour, format!("{requirement}{operation}{note}"))
        })
        .collect()
}

/// `... and 3 more (see conformance-out/r1)`, when something is hidden.
fn more(hidden: usize, report: &Report) -> Option<Row> {
    let place = report.out.as_ref().map_or_else(|| "--report json:PATH".to_owned(), |out| printable(out));
    (hidden > 0).then(|| Row::plain(format!("... and {hidden} more (see {place})")))
}

fn untested(report: &Report, layout: Layout) -> Vec<Row> {
    let (untestable, out_of_scope) = (not_tested::count(&report.untestable), not_tested::count(&report.out_of_scope));
    if untestable + out_of_scope == 0 {
        return vec![Row::plain("not tested: none")];
    }
    let mut rows = vec![Row::plain(format!("not tested: {untestable} untestable, {out_of_scope} out of scope"))];
    let reasons = [&report.untestable, &report.out_of_scope].into_iter().flat_map(|list| not_tested::groups(list));
    rows.extend(reasons.take(layout.reasons).map(|group| {
        let text = format!("{}x {} -> {}", group.requirements.len(), printable(group.reason), printable(group.fix));
        Row::whole(" ", Colour::None, text)
    }));
    rows
}

fn numbers(report: &Report, coverage_too: bool) -> Vec<Row> {
    let Summary { operations, outcomes, requirements, .. } = &report.summary;
    let residue = match (report.summary.residue, command::restore(report)) {
        (0, _) => Row::plain("residue: none"),
        (left, None) => Row::cut("residue:", Colour::Red, format!("{left} not put back")),
        (left, Some(restore)) => Row::whole("residue:", Colour::Red, format!("{left} not put back, undo with {restore}")),
    };
    let published = match operations.published {
        0 => String::new(),
        listed => format!(", {}/{listed} published operations", operations.published_exercised),
    };
    let mut rows = vec![
        Row::plain(format!(
            "{} in {}, {}, {:.1} req/s{published}",
            plural(report.summary.requests, "request"),
            plural(report.summary.sequences, "sequence"),
            duration(report.summary.duration_ms),
            report.summary.requests_per_second,
        )),
        Row::plain(format!(
            "operations {}/{} exercised, {} succeeded; outcomes {} observed, {} predicted, {} specified",
            operations.exercised, operations.specified, operations.succeeded, outcomes.observed, outcomes.predicted, outcomes.specified,
        )),
        Row::plain(format!(
            "requirements {}: {} pass, {} fail, {} waived, {} stale waiver, {} flaky, {} untestable, {} unjudged",
            requirements.total,
            requirements.pass,
            requirements.fail,
            requirements.waived,
            requirements.stale_waiver,
            requirements.flaky,
            requirements.untestable,
            requirements.unjudged(),
        )),
    ];
    rows.extend(report.coverage.as_ref().filter(|_| coverage_too).map(coverage));
    rows.push(residue);
    rows
}

/// `plan reaches outcomes 310/400, …; 900 combinations; 240 password computations`
fn coverage(coverage: &Coverage) -> Row {
    let goals: Vec<String> =
        coverage.goals.iter().map(|goal| format!("{} {}/{}", printable(&goal.name), goal.reached, goal.goal)).collect();
    Row::plain(format!("plan reaches {}; {}", goals.join(", "), plural(coverage.passwords as u64, "password computation")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    None,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Colour {
    /// The parameter of the ANSI sequence that switches it on.
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Red => Some("1;31"),
            Self::Green => Some("1;32"),
            Self::Yellow => Some("1;33"),
        }
    }
}

/// One line: a coloured label and text.
#[derive(Debug, Clone)]
struct Row {
    label: &'static str,
    colour: Colour,
    text: String,
    /// Whether the text may be cut to the terminal's width.
    cut: bool,
}

impl Row {
    fn cut(label: &'static str, colour: Colour, text: impl AsRef<str>) -> Self {
        Self { label, colour, text: printable(text.as_ref()), cut: true }
    }

    /// A line that must be readable to its end, such as a command.
    fn whole(label: &'static str, colour: Colour, text: impl AsRef<str>) -> Self {
        Self { cut: false, ..Self::cut(label, colour, text) }
    }

    fn plain(text: impl AsRef<str>) -> Self {
        Self::cut("", Colour::None, text)
    }

    /// Columns that the label and the space after it take.
    fn indent(&self) -> usize {
        if self.label.is_empty() { 0 } else { self.label.len() + 1 }
    }

    /// Rows of the terminal that the line takes.
    fn height(&self, style: &Style) -> usize {
        if self.cut || style.width == 0 {
            return 1;
        }
        (self.indent() + self.text.chars().count()).div_ceil(style.width).max(1)
    }

    fn text(&self, style: &Style) -> String {
        let limited = self.cut && style.width > 0 && style.verbosity != Verbosity::Verbose;
        let text = if limited { shorten(&self.text, style.width.saturating_sub(self.indent())) } else { self.text.clone() };
        match (self.label, self.colour.code()) {
            ("", _) => text,
            (label, Some(code)) if style.colour => format!("\u{1b}[{code}m{label}\u{1b}[0m {text}"),
            (label, _) => format!("{label} {text}"),
        }
    }
}

#[cfg(test)]
mod tests;
