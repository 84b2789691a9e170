//! The commands a reader may type next, ready to be pasted into a shell.

use super::{
    document::{Finding, Report, TargetKind},
    line::printable,
    verdict::{RunVerdict, Verdict},
};

const PROGRAM: &str = "logto-conformance";

/// Runs the finding's reduced sequence again, if its replay file was written.
pub(super) fn replay(report: &Report, finding: &Finding) -> Option<String> {
    let path = finding.replay.as_deref()?;
    Some(format!("{PROGRAM} replay {}{}", word(path), target(report)))
}

/// Puts back what the run left on the target, if the run kept a ledger.
pub(super) fn restore(report: &Report) -> Option<String> {
    let out = report.out.as_deref()?;
    Some(format!("{PROGRAM} restore {}", word(&format!("{}/ledger.jsonl", out.trim_end_matches('/')))))
}

/// The one command that helps most after this run.
pub(super) fn next(report: &Report) -> Option<String> {
    if report.summary.residue > 0
        && let Some(restore) = restore(report)
    {
        return Some(restore);
    }
    match report.verdict {
        RunVerdict::Conformant => after_success(report),
        RunVerdict::Deviating => explain_first(report),
        RunVerdict::Usage => Some(format!("{PROGRAM} check --help")),
        RunVerdict::Unreachable | RunVerdict::Incomplete => Some(explain(&report.verdict.exit_code().to_string())),
        RunVerdict::Internal => Some(format!("{PROGRAM} check{} --seed {}", target(report), report.seed)),
        RunVerdict::Residue => restore(report),
    }
}

/// Explains the first requirement that decided a `deviating` verdict.
fn explain_first(report: &Report) -> Option<String> {
    let found = report.findings.iter().find_map(|finding| finding.requirements.first());
    let stale = || report.with_verdict(Verdict::StaleWaiver).map(|(requirement, _)| requirement).next();
    found.map(String::as_str).or_else(stale).map(explain)
}

fn explain(requirement: &str) -> String {
    format!("{PROGRAM} explain {}", word(requirement))
}

/// After a conforming run: look at a warning, go on to the own deployment, or look deeper.
fn after_success(report: &Report) -> Option<String> {
    if let Some(requirement) = report.warnings.iter().find_map(|warning| warning.requirements.first()) {
        return Some(explain(requirement));
    }
    if report.target.kind == TargetKind::Embedded {
        return Some(format!("{PROGRAM} check --target URL"));
    }
    (report.profile == "quick").then(|| format!("{PROGRAM} check{} --profile standard", target(report)))
}

/// ` --target URL` for a deployment outside this process.
fn target(report: &Report) -> String {
    match report.target.kind {
        TargetKind::Embedded => String::new(),
        TargetKind::Remote => format!(" --target {}", word(&report.target.endpoint)),
    }
}

/// One word of a POSIX shell.
fn word(text: &str) -> String {
    let text = printable(text);
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-:+=@%,".contains(character);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(word("out/a-1.json"), "out/a-1.json");
        assert_eq!(word("my run/it's $x"), r"'my run/it'\''s $x'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn the_next_command_fits_the_verdict() {
        let next_after = |verdict| {
            let mut report = sample::minimal();
            report.set_verdict(verdict);
            report.target.kind = TargetKind::Remote;
            report.out = Some("out/r1".to_owned());
            next(&report)
        };
        let texts: Vec<String> = RunVerdict::ALL.into_iter().map(|verdict| next_after(verdict).unwrap_or_default()).collect();
        assert_eq!(
            texts,
            [
                "",
                "",
                "logto-conformance check --help",
                "logto-conformance explain 3",
                "logto-conformance explain 4",
                "logto-conformance check --target http://127.0.0.1:3001 --seed 1",
                "logto-conformance restore out/r1/ledger.jsonl",
            ]
        );
    }

    #[test]
    fn residue_comes_before_everything_else() {
        let mut report = sample::full();
        report.summary.residue = 1;
        assert_eq!(next(&report).unwrap(), "logto-conformance restore conformance-out/r1/ledger.jsonl");
        report.out = None;
        assert_eq!(next(&report).unwrap(), "logto-conformance explain ACC-FIELD-02");
    }

    #[test]
    fn a_stale_waiver_is_explained_when_nothing_was_found() {
        let mut report = sample::full();
        report.findings.clear();
        assert_eq!(next(&report).unwrap(), "logto-conformance explain ACC-PHONE-01");
    }

    #[test]
    fn success_leads_on() {
        let mut report = sample::minimal();
        assert_eq!(next(&report).unwrap(), "logto-conformance check --target URL");
        report.warnings = sample::full().warnings;
        assert_eq!(next(&report).unwrap(), "logto-conformance explain ACC-ORDER-01");
    }
}
