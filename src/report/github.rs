//! Annotations of a GitHub workflow: one line per finding, read by the runner from standard output.

use super::command;
use super::document::{Finding, Report};
use super::line::{first_of, printable};

/// The runner shows ten annotations of each kind and step.
const MOST: usize = 10;

/// One line per finding, warning and error; empty for a run without any.
pub fn annotations(report: &Report) -> String {
    let findings = report.findings.iter().take(MOST).map(|finding| line("error", &title(finding), &message(report, finding)));
    let warnings = report.warnings.iter().take(MOST).map(|finding| line("warning", &title(finding), &message(report, finding)));
    let errors = report.errors.iter().take(MOST).map(|error| line("error", "conformance run", &printable(error)));
    findings.chain(errors).chain(warnings).collect()
}

fn title(finding: &Finding) -> String {
    let requirement = first_of(&finding.requirements).unwrap_or_default();
    format!("{requirement} {} {}", finding.check, first_of(&finding.operations).unwrap_or_default())
}

fn message(report: &Report, finding: &Finding) -> String {
    let replay = command::replay(report, finding).map_or_else(String::new, |command| format!("\n{command}"));
    format!("expected {}, got {}{replay}", printable(&finding.expected), printable(&finding.actual))
}

fn line(kind: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={}::{}\n", property(title), data(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_finding_is_an_error_and_a_warning_a_warning() {
        let text = annotations(&sample::full());
        assert_eq!(
            text,
            "::error title=ACC-FIELD-02 guard UpdateProfile::expected 400 account_center.field_not_editable, got 200%0Alogto-conformance \
             replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example\n::warning title=ACC-ORDER-01 guard \
             UpdatePrimaryEmail::expected 401 verification_record.permission_denied, got 400 auth.unauthorized\n"
        );
        assert_eq!(annotations(&sample::minimal()), "");
    }

    #[test]
    fn what_a_target_sent_starts_no_command() {
        let mut report = sample::full();
        report.findings[0].actual = "1\n::set-env name=PATH::x\r100%".to_owned();
        let text = annotations(&report);
        assert!(text.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")), "{text}");
        assert!(text.contains("100%25"));
    }
}
