//! The page as text. What a browser makes of it is tested in `tests/suite/html.rs`.

use super::*;
use crate::report::{Finding, sample};

fn material() -> Material {
    let pair = |id: &str, text: &str| BTreeMap::from([(id.to_owned(), text.to_owned())]);
    Material { sentences: pair("ACC-FIELD-02", "A field that is Off is not shown."), scripts: pair("field-02-a1", "#!/bin/sh\ncurl x\n") }
}

#[test]
fn every_part_of_a_full_report_is_on_the_page() {
    let page = render(&sample::full(), &material());
    for part in [
        "deviating",
        "exit code 1",
        "the target breaks the contract",
        "A field that is Off is not shown.",
        "400 account_center.field_not_editable",
        "no channel for mail",
        "To make it testable: set [channel] in conformance.toml",
        "#!&#x2f;bin&#x2f;sh",
        "LOG-7",
        "needs a message channel",
        "slowest ms",
        "9.1",
        "Settings of the target",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
}

#[test]
fn nothing_is_fetched_from_elsewhere() {
    let page = render(&sample::full(), &material());
    for mark in ["src=\"http", "url(", "@import", "<link rel=\"stylesheet"] {
        assert!(!page.contains(mark), "{mark}");
    }
}

#[test]
fn an_empty_report_is_a_page_too() {
    let page = render(&sample::minimal(), &Material::default());
    assert!(page.contains("Nothing deviates from the contract."));
    assert!(page.trim_end().ends_with("</html>"));
}

#[test]
fn what_a_target_sent_is_never_markup() {
    let hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut report = sample::full();
    let finding = Finding {
        cause: hostile.into(),
        expected: hostile.into(),
        actual: hostile.into(),
        sequence: vec![format!("user: GET {hostile}")],
        ..sample::finding()
    };
    report.findings = vec![finding];
    report.errors = vec![hostile.into()];
    report.facts.insert(hostile.into(), hostile.into());
    let page = render(&report, &Material::default());
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
    assert_eq!(page.matches("</script>").count(), 1);
}
