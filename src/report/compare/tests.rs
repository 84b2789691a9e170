//! What counts as new, gone, changed and the same.

use super::*;
use crate::report::{Level, sample};

fn finding(id: &str, operation: &str, actual: &str) -> Finding {
    Finding { id: id.to_owned(), operations: vec![operation.to_owned()], actual: actual.to_owned(), ..sample::finding() }
}

fn with(findings: &[Finding]) -> Report {
    let mut report = sample::minimal();
    report.findings = findings.to_vec();
    report
}

fn ids(list: &[Finding]) -> Vec<&str> {
    list.iter().map(|finding| finding.id.as_str()).collect()
}

#[test]
fn findings_are_new_gone_changed_or_the_same() {
    let base = with(&[finding("a", "A", "200"), finding("b", "B", "200"), finding("c", "C", "200")]);
    let new = with(&[finding("a", "A", "200"), finding("b2", "B", "500"), finding("d", "D", "200")]);
    let Findings { new, gone, changed, same } = Comparison::of(&base, &new).findings;
    assert_eq!((ids(&new), ids(&gone), same), (vec!["d"], vec!["c"], 1));
    assert_eq!((changed[0].base.id.as_str(), changed[0].new.id.as_str(), changed.len()), ("b", "b2", 1));
}

#[test]
fn a_finding_on_more_operations_is_changed() {
    let mut wider = finding("a", "A", "200");
    wider.operations.push("B".to_owned());
    let comparison = Comparison::of(&with(&[finding("a", "A", "200")]), &with(&[wider]));
    assert_eq!(comparison.findings.changed.len(), 1);
    assert_eq!(comparison.verdict(), RunVerdict::Deviating);
}

#[test]
fn only_what_got_worse_is_an_error() {
    let (none, one) = (with(&[]), with(&[finding("a", "A", "200")]));
    assert_eq!(Comparison::of(&none, &one).verdict(), RunVerdict::Deviating);
    assert_eq!(Comparison::of(&one, &none).verdict(), RunVerdict::Conformant);
    assert_eq!(Comparison::of(&one, &one).verdict(), RunVerdict::Conformant);
    let mut warned = with(&[]);
    warned.warnings = vec![Finding { level: Level::Should, ..finding("a", "A", "200") }];
    assert_eq!(Comparison::of(&none, &warned).verdict(), RunVerdict::Conformant);
    assert!(!Comparison::of(&none, &warned).is_empty());
    assert!(Comparison::of(&one, &one).is_empty());
}

#[test]
fn outcomes_verdicts_and_caveats_are_told() {
    let base = sample::full();
    let mut new = sample::full();
    new.outcomes[0].observed = 0;
    new.outcomes[1].observed = 7;
    new.requirements[0].verdict = Verdict::Untestable;
    new.seed = 2;
    let text = text(&Comparison::of(&base, &new));
    for line in [
        "note: seed 1 against 2",
        "  - UpdatePrimaryEmail 204 (3 before, 0 now)",
        "  + UpdatePrimaryEmail 422 user.email_already_in_use (0 before, 7 now)",
        "  ACC-PROFILE-03       pass -> untestable",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_three_forms_name_the_same_findings() {
    let comparison = Comparison::of(&with(&[finding("b", "B", "a|b")]), &with(&[finding("d", "D", "x\u{1b}[31m")]));
    for text in [text(&comparison), markdown(&comparison), json(&comparison)] {
        assert!(text.contains("a|b") || text.contains("a&#124;b"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("ACC-FIELD-02"), "{text}");
    }
}
