use super::*;
use crate::report::sample;

fn plain(report: &Report) -> String {
    render(report, &Style::default())
}

/// A report with as many findings, warnings and reasons as told.
fn many(findings: usize, warnings: usize, reasons: usize) -> Report {
    let mut report = sample::full();
    report.requirements.clear();
    report.findings = (0..findings)
        .map(|index| {
            let mut finding = sample::finding();
            finding.requirements = vec![format!("ACC-FIELD-{index:02}")];
            finding
        })
        .collect();
    report.warnings = vec![sample::finding(); warnings];
    report.untestable = (0..reasons).map(|index| sample::not_tested(&format!("R-{index}"), &format!("why {index}"), "fix")).collect();
    report
}

#[test]
fn a_deviating_run() {
    insta::assert_snapshot!(plain(&sample::full()), @r##"
    DEVIATING (exit 1): the target breaks the contract, or a waiver is stale.
    target: https://logto.example, contract 1.43, profile standard, mode isolated, seed 1

    ERROR MGT-USER-09 ListUsers  the answer could not be read
    FLAKY ACC-RACE-01 UpdateProfile  got 500 once

    FAIL ACC-FIELD-02 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    STALE WAIVER ACC-PHONE-01 UpdatePrimaryPhone  waivers.toml:3

    warnings: 1 (SHOULD; findings under --strict)
    WARN ACC-ORDER-01 UpdatePrimaryEmail  expected 401 verification_record.permission_denied, got 400...

    not tested: 1 untestable, 1 out of scope
      1x no channel for mail -> set [channel] in conformance.toml
      1x mode isolated writes no settings -> --mode exclusive

    1204 requests in 96 sequences, 4.2 s, 286.6 req/s, 268/284 published operations
    operations 78/91 exercised, 70 succeeded; outcomes 305 observed, 310 predicted, 400 specified
    requirements 9: 1 pass, 2 fail, 1 waived, 1 stale waiver, 1 flaky, 1 untestable, 2 unjudged
    plan reaches outcomes 310/400; 240 password computations
    residue: none

    next: logto-conformance explain ACC-FIELD-02
    "##);
}

#[test]
fn a_conformant_run() {
    insta::assert_snapshot!(plain(&sample::minimal()), @r##"
    CONFORMANT (exit 0): every MUST requirement that was promised was tested and holds, or is waived.
    target: http://127.0.0.1:3001, contract 1.43, profile standard, mode exclusive, seed 1

    not tested: none

    0 requests in 0 sequences, 0 ms, 0.0 req/s
    operations 0/0 exercised, 0 succeeded; outcomes 0 observed, 0 predicted, 0 specified
    requirements 0: 0 pass, 0 fail, 0 waived, 0 stale waiver, 0 flaky, 0 untestable, 0 unjudged
    residue: none

    next: logto-conformance check --target URL
    "##);
}

#[test]
fn a_run_with_more_than_a_screen() {
    insta::assert_snapshot!(plain(&many(14, 9, 9)), @r##"
    DEVIATING (exit 1): the target breaks the contract, or a waiver is stale.
    target: https://logto.example, contract 1.43, profile standard, mode isolated, seed 1
    FAIL ACC-FIELD-00 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    FAIL ACC-FIELD-01 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    FAIL ACC-FIELD-02 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    FAIL ACC-FIELD-03 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    FAIL ACC-FIELD-04 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    FAIL ACC-FIELD-05 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    ... and 8 more (see conformance-out/r1)
    warnings: 9 (SHOULD; findings under --strict)
    not tested: 9 untestable, 1 out of scope
    1204 requests in 96 sequences, 4.2 s, 286.6 req/s, 268/284 published operations
    operations 78/91 exercised, 70 succeeded; outcomes 305 observed, 310 predicted, 400 specified
    requirements 9: 1 pass, 2 fail, 1 waived, 1 stale waiver, 1 flaky, 1 untestable, 2 unjudged
    residue: none
    next: logto-conformance explain ACC-FIELD-00
    "##);
}

#[test]
fn a_run_that_left_something_behind() {
    let mut report = sample::minimal();
    report.out = Some("conformance-out/my run".to_owned());
    report.summary.residue = 2;
    report.errors = vec!["failed to delete user#3: connection reset".to_owned()];
    report.set_verdict(RunVerdict::Residue);
    insta::assert_snapshot!(plain(&report), @r##"
    RESIDUE (exit 6): something created or changed on the target could not be put back.
    target: http://127.0.0.1:3001, contract 1.43, profile standard, mode exclusive, seed 1

    error: failed to delete user#3: connection reset

    not tested: none

    0 requests in 0 sequences, 0 ms, 0.0 req/s
    operations 0/0 exercised, 0 succeeded; outcomes 0 observed, 0 predicted, 0 specified
    requirements 0: 0 pass, 0 fail, 0 waived, 0 stale waiver, 0 flaky, 0 untestable, 0 unjudged
    residue: 2 not put back, undo with logto-conformance restore 'conformance-out/my run/ledger.jsonl'

    next: logto-conformance restore 'conformance-out/my run/ledger.jsonl'
    "##);
}

#[test]
fn everything() {
    insta::assert_snapshot!(render(&sample::full(), &Style { verbosity: Verbosity::Verbose, ..Style::default() }), @r##"
    DEVIATING (exit 1): the target breaks the contract, or a waiver is stale.
    target: https://logto.example, contract 1.43, profile standard, mode isolated, seed 1

    fact connectors: [{"id":"c1","type":"Email"}]

    ERROR MGT-USER-09 ListUsers  the answer could not be read
    FLAKY ACC-RACE-01 UpdateProfile  got 500 once

    FAIL ACC-FIELD-02 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         the field level of `name` is ignored (check guard, MUST)
         requirements: ACC-FIELD-02; operations: UpdateProfile
         confirmed 3/3, 2 steps reduced from 41 with 12 requests, also seen in 5 sequences
           1. admin CreateUser -> 200
           2. user#1 UpdateProfile {"name": "x"} -> 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
         curl: conformance-out/r1/findings/field-02-a1.sh

    STALE WAIVER ACC-PHONE-01 UpdatePrimaryPhone  waivers.toml:3

    warnings: 1 (SHOULD; findings under --strict)

    WARN ACC-ORDER-01 UpdatePrimaryEmail  expected 401 verification_record.permission_denied, got 400 auth.unauthorized
         scope is checked before the identity (check guard, SHOULD)
         requirements: ACC-ORDER-01; operations: UpdatePrimaryEmail
         confirmed 3/3, 2 steps reduced from 41 with 12 requests, also seen in 5 sequences

    WAIVED MGT-PAGE-01 ListUsers  known, LOG-7, until 2027-01-01
    FLAKY ACC-RACE-01 UpdateProfile  got 500 once

    not tested: 1 untestable, 1 out of scope
      1x no channel for mail -> set [channel] in conformance.toml
         ACC-MAIL-01
      1x mode isolated writes no settings -> --mode exclusive
         MGT-SET-01

    schema abstained 24x: no schema for text

    check schema: 1180 pass, 0 fail, 24 abstain
    check status: 1200 pass, 4 fail, 0 abstain

    UpdateProfile PATCH /api/my-account  30x  200: 20, 400: 9
    UpdateOtherProfile PATCH /api/my-account/profile  30x  200: 20, 400: 9
    UpdatePrimaryEmail POST /api/my-account/primary-email  30x  200: 20, 400: 9
    UpdatePrimaryPhone POST /api/my-account/primary-phone  30x  200: 20, 400: 9
    ListUsers GET /api/users  30x  200: 20, 400: 9

    outcome UpdatePrimaryEmail 422 user.email_already_in_use: predicted, not observed
    outcome UpdatePrimaryEmail 500 -: observed, not predicted

    1204 requests in 96 sequences, 4.2 s, 286.6 req/s, 268/284 published operations
    operations 78/91 exercised, 70 succeeded; outcomes 305 observed, 310 predicted, 400 specified
    requirements 9: 1 pass, 2 fail, 1 waived, 1 stale waiver, 1 flaky, 1 untestable, 2 unjudged
    plan reaches outcomes 310/400; 240 password computations
    residue: none

    next: logto-conformance explain ACC-FIELD-02
    "##);
}

#[test]
fn a_race_shows_how_often_it_was_observed() {
    let mut report = sample::full();
    report.findings[0].confirmed = "1/20".to_owned();
    assert!(plain(&report).contains("FAIL ACC-FIELD-02 UpdateProfile  observed 1/20, expected 400 "));
}

#[test]
fn quiet_is_the_verdict_and_what_decided_it() {
    let quiet = Style { verbosity: Verbosity::Quiet, ..Style::default() };
    insta::assert_snapshot!(render(&sample::full(), &quiet), @r##"
    DEVIATING (exit 1): the target breaks the contract, or a waiver is stale.
    FAIL ACC-FIELD-02 UpdateProfile  expected 400 account_center.field_not_editable, got 200
         logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example
    STALE WAIVER ACC-PHONE-01 UpdatePrimaryPhone  waivers.toml:3
    "##);
    assert_eq!(render(&sample::minimal(), &quiet).lines().count(), 1);
    let many = render(&many(99, 9, 9), &quiet);
    assert_eq!(many.lines().filter(|line| line.starts_with("FAIL ")).count(), 99);
}

#[test]
fn one_screen_whatever_was_found() {
    for (findings, warnings, reasons) in [(0, 0, 0), (3, 3, 3), (5, 5, 5), (10, 0, 0), (10, 9, 9), (99, 99, 99)] {
        let mut report = many(findings, warnings, reasons);
        for errors in 0..5 {
            report.errors = vec!["trouble".to_owned(); errors];
            let text = plain(&report);
            assert!(text.lines().count() <= SCREEN, "{findings} findings, {errors} errors:\n{text}");
            let shown = text.lines().filter(|line| line.starts_with("FAIL ")).count();
            assert!(shown >= findings.min(6), "findings give way last:\n{text}");
            assert!(shown <= 10);
        }
    }
}

#[test]
fn lines_are_cut_but_commands_and_remedies_are_not() {
    let text = render(&sample::full(), &Style { width: 40, ..Style::default() });
    assert!(text.contains("FAIL ACC-FIELD-02 UpdateProfile  expe...\n"), "{text}");
    let replay = "logto-conformance replay conformance-out/r1/findings/field-02-a1.json --target https://logto.example\n";
    assert!(text.contains(replay), "{text}");
    assert!(text.contains("-> set [channel] in conformance.toml\n"), "{text}");
}

#[test]
fn no_width_cuts_nothing() {
    let mut report = sample::full();
    report.findings[0].actual = "x".repeat(500);
    assert!(render(&report, &Style { width: 0, ..Style::default() }).contains(&"x".repeat(500)));
}

#[test]
fn colours_only_when_asked_and_never_from_the_target() {
    let mut report = sample::full();
    report.findings[0].actual = "\u{1b}[2J\u{7}200".to_owned();
    assert!(!plain(&report).contains('\u{1b}'));
    let coloured = render(&report, &Style { colour: true, ..Style::default() });
    assert!(coloured.starts_with("\u{1b}[1;31mDEVIATING\u{1b}[0m (exit 1)"));
    assert!(!coloured.contains("\u{1b}[2J"));
}
