use super::*;
use crate::contract::Version;
use crate::report::sample;

fn contract() -> Contract {
    Contract::embedded(Version::NEWEST).unwrap()
}

/// A part that tested nothing.
fn part(index: u32, of: u32) -> Report {
    let partition = Partition { index, of, plan: "abc".to_owned(), idle_waivers: Some(Vec::new()) };
    let requirements = ["ACC-FIELD-01", "ACC-AUTH-01", "MGT-USER-09"].map(|id| RequirementRow {
        id: id.to_owned(),
        level: Level::Must,
        verdict: Verdict::OutOfScope,
        evidence: 0,
        operations: Vec::new(),
    });
    let out_of_scope = [("ACC-FIELD-01", ELSEWHERE), ("ACC-AUTH-01", ELSEWHERE), ("MGT-USER-09", "excluded")]
        .map(|(id, why)| sample::not_tested(id, why, "fix"));
    Report { partition: Some(partition), requirements: requirements.into(), out_of_scope: out_of_scope.into(), ..sample::minimal() }
}

/// The part, in which a requirement showed something on operations.
fn showing(mut report: Report, requirement: &str, operations: &[(&str, Verdict, u64)]) -> Report {
    let row = report.requirements.iter_mut().find(|row| row.id == requirement).unwrap();
    let part = |&(operation, verdict, evidence): &(&str, Verdict, u64)| RequirementOperation {
        operation: operation.to_owned(),
        verdict,
        evidence,
        note: (verdict != Verdict::Pass).then(|| verdict.to_string()),
    };
    row.operations = operations.iter().map(part).collect();
    row.evidence = operations.iter().map(|(.., evidence)| evidence).sum();
    row.verdict = operations.iter().map(|(_, verdict, _)| *verdict).max_by_key(|verdict| rank(*verdict)).unwrap();
    report.out_of_scope.retain(|entry| entry.requirement != requirement);
    report
}

fn merged(parts: Vec<Report>) -> Report {
    merge(named(parts), &contract(), &[]).unwrap()
}

fn named(parts: Vec<Report>) -> Vec<(String, Report)> {
    parts.into_iter().enumerate().map(|(index, part)| (format!("{}.json", index + 1), part)).collect()
}

fn told(parts: Vec<Report>) -> String {
    merge(named(parts), &contract(), &[]).unwrap_err().to_string()
}

/// Makes a part one of another plan.
type Change = fn(&mut Report);

#[test]
fn what_does_not_belong_together_is_refused() {
    assert_eq!(told(vec![sample::minimal()]), "1.json tells of a whole plan, not of a partition");
    assert_eq!(told(vec![part(2, 3)]), "no report tells of the partitions 1/3, 3/3");
    assert_eq!(told(vec![part(1, 2), part(1, 2)]), "partition 1/2 is there twice: 1.json and 2.json");
    let cases: [(Change, &str); 8] = [
        (|report| report.seed = 7, "seed: 7 against 1"),
        (|report| report.contract = "1.42".into(), "contract: 1.42 against 1.43"),
        (|report| report.profile = "quick".into(), "profile: quick against standard"),
        (|report| report.mode = crate::report::Mode::Isolated, "mode: isolated against exclusive"),
        (|report| report.tool.version = "0.0.1".into(), "program: logto-conformance 0.0.1 against logto-conformance 0.1.0"),
        (|report| report.target.kind = crate::report::TargetKind::Remote, "kind of target: a deployment against the embedded reference"),
        (|report| report.partition.as_mut().unwrap().plan = "def".into(), "plan: def against abc"),
        (|report| report.partition.as_mut().unwrap().of = 3, "number of partitions: 3 against 2"),
    ];
    for (change, expected) in cases {
        let mut second = part(2, 2);
        change(&mut second);
        assert_eq!(told(vec![part(1, 2), second]), format!("2.json and 1.json differ in their {expected}"));
    }
}

#[test]
fn what_one_part_tested_is_tested_and_what_none_tested_is_not() {
    let first = showing(part(1, 2), "ACC-AUTH-01", &[("GetProfile", Verdict::Pass, 2)]);
    let second = showing(part(2, 2), "ACC-AUTH-01", &[("GetProfile", Verdict::Pass, 3), ("UpdateProfile", Verdict::Pass, 1)]);
    let report = merged(vec![second, first]);
    let rows: Vec<(&str, Verdict, u64)> = report.requirements.iter().map(|row| (row.id.as_str(), row.verdict, row.evidence)).collect();
    assert_eq!(
        rows,
        [("ACC-FIELD-01", Verdict::Untestable, 0), ("ACC-AUTH-01", Verdict::Pass, 6), ("MGT-USER-09", Verdict::OutOfScope, 0)]
    );
    assert_eq!(report.requirements[1].operations[0].evidence, 5);
    assert_eq!(report.untestable, [sample::not_tested("ACC-FIELD-01", "no exchange gave evidence", "see the errors of the run")]);
    assert_eq!(report.out_of_scope, [sample::not_tested("MGT-USER-09", "excluded", "fix")]);
    assert_eq!((report.verdict, report.partition), (RunVerdict::Incomplete, None));
    let allowed = merge(named(vec![part(1, 1)]), &contract(), &["ACC-*".to_owned()]).unwrap();
    assert_eq!((allowed.verdict, allowed.exit_code), (RunVerdict::Conformant, 0));
}

#[test]
fn what_the_plan_left_out_stays_out_of_scope() {
    let mut first = part(1, 1);
    first.out_of_scope[0].reason = ELSEWHERE_AT_MOST.to_owned();
    first.profile = "quick".to_owned();
    let report = merged(vec![first]);
    assert_eq!(report.requirements[0].verdict, Verdict::OutOfScope);
    assert_eq!(report.out_of_scope[0].reason, "the profile or `--only` left it out");
}

#[test]
fn one_cause_in_several_parts_is_one_finding() {
    let found = |index: u32, steps: u64, operation: &str, level: Level| {
        let mut report = showing(part(index, 2), "ACC-FIELD-01", &[(operation, Verdict::Fail, 1)]);
        let finding = Finding { steps, level, operations: vec![operation.to_owned()], also_seen_in: 2, ..sample::finding() };
        if level == Level::Must {
            report.findings.push(finding);
        } else {
            report.warnings.push(finding);
        }
        report.set_verdict(if level == Level::Must { RunVerdict::Deviating } else { RunVerdict::Conformant });
        report
    };
    let report = merged(vec![found(1, 5, "UpdateProfile", Level::Should), found(2, 3, "GetProfile", Level::Must)]);
    let finding = &report.findings[0];
    assert_eq!((report.findings.len(), report.warnings.len(), report.summary.findings), (1, 0, 1));
    assert_eq!((finding.steps, finding.level, finding.also_seen_in), (3, Level::Must, 5));
    assert_eq!(finding.operations, ["GetProfile", "UpdateProfile"]);
    assert_eq!((report.verdict, report.requirements[0].verdict), (RunVerdict::Deviating, Verdict::Fail));
}

#[test]
fn a_waiver_is_stale_if_no_part_shows_its_deviation_although_one_could() {
    let waiver = IdleWaiver { requirement: "ACC-FIELD-*".into(), operation: "UpdateProfile".into(), text: "w.toml:1: gone".into() };
    let idle = |index: u32, waivers: &[IdleWaiver]| {
        let mut report = showing(part(index, 2), "ACC-FIELD-01", &[("UpdateProfile", Verdict::Pass, 1)]);
        report.partition.as_mut().unwrap().idle_waivers = Some(waivers.to_vec());
        report
    };
    let stale = merged(vec![idle(1, std::slice::from_ref(&waiver)), idle(2, std::slice::from_ref(&waiver))]);
    assert_eq!((stale.verdict, stale.errors.as_slice()), (RunVerdict::Deviating, &["stale waiver: w.toml:1: gone".to_owned()][..]));
    assert_eq!(stale.requirements[0].verdict, Verdict::StaleWaiver);
    let needed = merged(vec![idle(1, std::slice::from_ref(&waiver)), idle(2, &[])]);
    assert_eq!((needed.requirements[0].verdict, needed.errors.len()), (Verdict::Pass, 0));
    let mut stopped = idle(2, &[]);
    stopped.partition.as_mut().unwrap().idle_waivers = None;
    assert_eq!(merged(vec![idle(1, &[waiver]), stopped]).requirements[0].verdict, Verdict::Pass, "a part that was ended misses nothing");
}

#[test]
fn what_went_wrong_in_a_part_went_wrong_in_the_whole() {
    let good = |index| showing(part(index, 2), "ACC-AUTH-01", &[("GetProfile", Verdict::Pass, 1)]);
    let mut left = good(2);
    left.summary.residue = 1;
    left.errors.push("not put back: a user".into());
    left.out = Some("out/b".into());
    left.set_verdict(RunVerdict::Residue);
    let report = merged(vec![good(1), left]);
    assert_eq!((report.verdict, report.summary.residue, report.out.as_deref()), (RunVerdict::Residue, 1, None));
    assert_eq!(
        report.errors,
        ["partition 2/2: not put back: a user", "partition 2/2: finish its clean-up with `logto-conformance restore out/b/ledger.jsonl`"]
    );
    let mut ended = good(2);
    ended.errors.push("the run was ended before the plan was done".into());
    ended.set_verdict(RunVerdict::Incomplete);
    let allowed = |parts| merge(named(parts), &contract(), &["*".to_owned()]).unwrap().verdict;
    assert_eq!(allowed(vec![good(1), ended]), RunVerdict::Incomplete);
    assert_eq!(allowed(vec![good(1), good(2)]), RunVerdict::Conformant);
}

#[test]
fn counts_are_added_up() {
    let counted = |index: u32, operation: &str| {
        let mut report = part(index, 2);
        let full = sample::full();
        report.operations = full.operations.into_iter().filter(|row| row.id == operation || row.id == "UpdateProfile").collect();
        report.summary = Summary { requests: 30, sequences: 4, duration_ms: 2_000, ..full.summary };
        (report.levels, report.sequences, report.abstained) = (full.levels, full.sequences, full.abstained);
        report
    };
    let report = merged(vec![counted(1, "UpdatePrimaryEmail"), counted(2, "ListUsers")]);
    let summary = &report.summary;
    assert_eq!((summary.requests, summary.sequences, summary.duration_ms), (60, 8, 4_000));
    assert!((summary.requests_per_second - 15.0).abs() < f64::EPSILON);
    assert_eq!((summary.operations.exercised, summary.operations.succeeded, summary.operations.published_exercised), (3, 2, 1));
    assert_eq!(summary.checks["status"], CheckCounts { pass: 2_400, fail: 8, abstain: 0 });
    let row = report.operations.iter().find(|row| row.id == "UpdateProfile").unwrap();
    assert_eq!((row.requests, row.statuses[&200], row.time.unwrap().slowest_us), (60, 40, 9_100));
    assert_eq!((report.levels[0].calls, report.levels.len(), report.abstained[0].count), (24, 2, 48));
}
