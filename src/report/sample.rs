//! Reports for the tests of all formats.

use std::collections::BTreeMap;

use serde_json::json;

use super::{document::*, verdict::*};
use crate::plan::{OperationCoverage, Reached, Unreached};

/// A run that found nothing because nothing was planned; every list is empty.
pub(crate) fn minimal() -> Report {
    Report {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "logto-conformance".to_owned(), version: "0.1.0".to_owned() },
        contract: "1.43".to_owned(),
        target: Target { endpoint: "http://127.0.0.1:3001".to_owned(), kind: TargetKind::Embedded },
        seed: 1,
        profile: "standard".to_owned(),
        mode: Mode::Exclusive,
        partition: None,
        verdict: RunVerdict::Conformant,
        exit_code: 0,
        summary: Summary::default(),
        operations: Vec::new(),
        facts: BTreeMap::new(),
        requirements: Vec::new(),
        outcomes: Vec::new(),
        coverage: None,
        levels: Vec::new(),
        sequences: Vec::new(),
        findings: Vec::new(),
        warnings: Vec::new(),
        untestable: Vec::new(),
        out_of_scope: Vec::new(),
        abstained: Vec::new(),
        errors: Vec::new(),
        out: None,
    }
}

/// A deviating run against a remote target that shows every verdict once and fills every list.
pub(crate) fn full() -> Report {
    let requirements = vec![
        on("ACC-PROFILE-03", Verdict::Pass, &[("UpdateProfile", Verdict::Pass, 12, None)]),
        on("ACC-FIELD-02", Verdict::Fail, &[("UpdateProfile", Verdict::Fail, 7, None), ("UpdateOtherProfile", Verdict::Pass, 3, None)]),
        on("MGT-PAGE-01", Verdict::Waived, &[("ListUsers", Verdict::Waived, 4, Some("known, LOG-7, until 2027-01-01"))]),
        on("ACC-PHONE-01", Verdict::StaleWaiver, &[("UpdatePrimaryPhone", Verdict::StaleWaiver, 2, Some("waivers.toml:3"))]),
        on("ACC-RACE-01", Verdict::Flaky, &[("UpdateProfile", Verdict::Flaky, 5, Some("got 500 once"))]),
        on("ACC-MAIL-01", Verdict::Untestable, &[("UpdatePrimaryEmail", Verdict::Untestable, 0, None)]),
        on("MGT-USER-09", Verdict::Error, &[("ListUsers", Verdict::Error, 1, Some("the answer could not be read"))]),
        on("MGT-SET-01", Verdict::OutOfScope, &[]),
        RequirementRow { level: Level::Should, ..on("ACC-ORDER-01", Verdict::Fail, &[("UpdatePrimaryEmail", Verdict::Fail, 2, None)]) },
    ];
    let mut report = Report {
        target: Target { endpoint: "https://logto.example".to_owned(), kind: TargetKind::Remote },
        mode: Mode::Isolated,
        summary: Summary {
            requests: 1_204,
            sequences: 96,
            duration_ms: 4_200,
            requests_per_second: Summary::rate(1_204, 4_200),
            operations: OperationCounts { specified: 91, exercised: 78, succeeded: 70, published: 284, published_exercised: 268 },
            outcomes: OutcomeCounts { specified: 400, predicted: 310, observed: 305 },
            requirements: RequirementCounts::of(&requirements),
            checks: BTreeMap::from([
                ("schema".to_owned(), CheckCounts { pass: 1_180, fail: 0, abstain: 24 }),
                ("status".to_owned(), CheckCounts { pass: 1_200, fail: 4, abstain: 0 }),
            ]),
            findings: 1,
            residue: 0,
        },
        operations: vec![
            operation("UpdateProfile", Collection::Account, "PATCH", "/api/my-account"),
            operation("UpdateOtherProfile", Collection::Account, "PATCH", "/api/my-account/profile"),
            operation("UpdatePrimaryEmail", Collection::Account, "POST", "/api/my-account/primary-email"),
            operation("UpdatePrimaryPhone", Collection::Account, "POST", "/api/my-account/primary-phone"),
            operation("ListUsers", Collection::Management, "GET", "/api/users"),
        ],
        facts: BTreeMap::from([("connectors".to_owned(), json!([{"id": "c1", "type": "Email"}]))]),
        requirements,
        outcomes: vec![outcome(204, None, true, 3), outcome(422, Some("user.email_already_in_use"), true, 0), outcome(500, None, false, 1)],
        coverage: Some(coverage()),
        levels: vec![level("name", "Off", 12, &["field-02-a1"]), level("name", "Edit", 30, &[])],
        sequences: vec![SequenceRow {
            id: "lives/suspension".to_owned(),
            requests: 12,
            deviates: vec![Place { requirement: "ACC-FIELD-02".to_owned(), operation: "UpdateProfile".to_owned() }],
        }],
        findings: vec![finding()],
        warnings: vec![warning()],
        untestable: vec![not_tested("ACC-MAIL-01", "no channel for mail", "set [channel] in conformance.toml")],
        out_of_scope: vec![not_tested("MGT-SET-01", "mode isolated writes no settings", "--mode exclusive")],
        abstained: vec![Abstention { check: "schema".to_owned(), reason: "no schema for text".to_owned(), count: 24 }],
        out: Some("conformance-out/r1".to_owned()),
        ..minimal()
    };
    report.set_verdict(RunVerdict::Deviating);
    report
}

fn outcome(status: u16, code: Option<&str>, predicted: bool, observed: u64) -> OutcomeRow {
    OutcomeRow {
        operation: "UpdatePrimaryEmail".to_owned(),
        status,
        code: code.map(str::to_owned),
        properties: vec!["email".to_owned()],
        predicted,
        observed,
    }
}

/// A deviation from a MUST requirement.
pub(super) fn finding() -> Finding {
    Finding {
        id: "field-02-a1".to_owned(),
        level: Level::Must,
        requirements: vec!["ACC-FIELD-02".to_owned()],
        check: "guard".to_owned(),
        operations: vec!["UpdateProfile".to_owned()],
        cause: "the field level of `name` is ignored".to_owned(),
        expected: "400 account_center.field_not_editable".to_owned(),
        actual: "200".to_owned(),
        confirmed: "3/3".to_owned(),
        steps: 2,
        reduced_from: 41,
        reduction_requests: 12,
        also_seen_in: 5,
        replay: Some("conformance-out/r1/findings/field-02-a1.json".to_owned()),
        curl: Some("conformance-out/r1/findings/field-02-a1.sh".to_owned()),
        sequence: vec!["admin CreateUser -> 200".to_owned(), "user#1 UpdateProfile {\"name\": \"x\"} -> 200".to_owned()],
    }
}

fn warning() -> Finding {
    Finding {
        id: "order-01-b2".to_owned(),
        level: Level::Should,
        requirements: vec!["ACC-ORDER-01".to_owned()],
        operations: vec!["UpdatePrimaryEmail".to_owned()],
        cause: "scope is checked before the identity".to_owned(),
        expected: "401 verification_record.permission_denied".to_owned(),
        actual: "400 auth.unauthorized".to_owned(),
        replay: None,
        curl: None,
        sequence: Vec::new(),
        ..finding()
    }
}

/// A requirement that was not tested.
pub(super) fn not_tested(requirement: &str, reason: &str, fix: &str) -> NotTested {
    NotTested { requirement: requirement.to_owned(), reason: reason.to_owned(), fix: fix.to_owned() }
}

fn operation(id: &str, collection: Collection, method: &str, path: &str) -> OperationRow {
    OperationRow {
        id: id.to_owned(),
        collection,
        method: method.to_owned(),
        path: path.to_owned(),
        requests: 30,
        statuses: BTreeMap::from([(200, 20), (400, 9)]),
        published: collection == Collection::Management,
        checks: BTreeMap::from([("status".to_owned(), CheckCounts { pass: 28, fail: 1, abstain: 1 })]),
        time: Some(Timing { answers: 30, total_us: 60_000, slowest_us: 9_100 }),
    }
}

fn level(field: &str, level: &str, calls: u64, findings: &[&str]) -> LevelRow {
    let findings = findings.iter().map(|id| (*id).to_owned()).collect();
    LevelRow { field: field.to_owned(), level: level.to_owned(), calls, findings }
}

fn on(id: &str, verdict: Verdict, operations: &[(&str, Verdict, u64, Option<&str>)]) -> RequirementRow {
    let operations: Vec<RequirementOperation> = operations
        .iter()
        .map(|&(operation, verdict, evidence, note)| RequirementOperation {
            operation: operation.to_owned(),
            verdict,
            evidence,
            note: note.map(str::to_owned),
        })
        .collect();
    let evidence = operations.iter().map(|row| row.evidence).sum();
    RequirementRow { id: id.to_owned(), level: Level::Must, verdict, evidence, operations }
}

fn coverage() -> Coverage {
    let (name, operation) = ("outcomes".to_owned(), "UpdatePrimaryEmail".to_owned());
    Coverage {
        passwords: 240,
        goals: vec![Reached { name, reached: 310, goal: 400 }],
        combinations: 900,
        operations: vec![OperationCoverage { operation: operation.clone(), requests: 12, passwords: 3, reached: 2, outcomes: 3 }],
        unreached: vec![Unreached {
            operation,
            outcome: "400 verification_record.not_found".to_owned(),
            reason: "needs a message channel".to_owned(),
        }],
    }
}
