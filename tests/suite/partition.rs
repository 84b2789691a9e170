//! A plan that is shared out: the reports of all parts, put together, say what one run of the whole plan says.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::path::PathBuf;
use std::process::{Command, Output};

use logto_conformance::report::{Finding, OutcomeRow, Report, RunVerdict, Verdict, json};

const PARTS: usize = 8;

/// A folder of its own for one test; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-{}-partition-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_logto-conformance")).args(arguments).current_dir(&self.0).env_clear().output().unwrap()
    }

    /// The report and the exit code of `check` with some flags.
    fn check(&self, name: &str, flags: &[&str]) -> (Report, i32) {
        let (json, out) = (format!("json:{name}.json"), format!("out-{name}"));
        let output = self.run(&[&["check", "--report", &json, "--out", &out], flags].concat());
        let text = std::fs::read_to_string(self.0.join(format!("{name}.json")));
        let text = text.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (json::read(&text).unwrap(), output.status.code().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a finding says, whichever of its sequences was reduced.
fn said(finding: &Finding) -> impl std::fmt::Debug + PartialEq + use<> {
    let Finding { id, level, requirements, check, operations, expected, actual, also_seen_in, .. } = finding.clone();
    (id, level, requirements, check, operations, expected, actual, also_seen_in)
}

/// Requirement by requirement: verdict, and verdict and evidence on each operation.
fn verdicts(report: &Report) -> Vec<(String, Verdict, String)> {
    let rows = report.requirements.iter();
    rows.map(|row| {
        let parts = row.operations.iter().map(|part| format!("{} {} {}", part.operation, part.verdict, part.evidence > 0));
        (row.id.clone(), row.verdict, parts.collect::<Vec<_>>().join(", "))
    })
    .collect()
}

/// Compares row by row, so that a difference is short.
fn same<T: PartialEq + std::fmt::Debug>(merged: &[T], whole: &[T]) {
    for (merged, whole) in merged.iter().zip(whole) {
        assert_eq!(merged, whole);
    }
    assert_eq!(merged.len(), whole.len());
}

#[test]
fn the_parts_put_together_are_the_whole() {
    let folder = Folder::new("whole");
    let selection = ["--profile", "quick", "--fault", "custom-data-merged", "--only", "UpdateProfile"];
    let (whole, code) = folder.check("whole", &selection);
    assert_eq!((whole.verdict, code), (RunVerdict::Deviating, 1));
    assert_eq!(whole.partition, None);
    let mut sequences = 0;
    let mut deviating = 0;
    let parts: Vec<String> = (1..=PARTS).map(|index| format!("part-{index}")).collect();
    let one = |index: usize| {
        let partition = format!("{}/{PARTS}", index + 1);
        folder.check(&parts[index], &[&selection[..], &["--partition", &partition]].concat())
    };
    // Two at a time, as on two machines.
    let halves = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || (half..PARTS).step_by(2).map(|index| (index, one(index))).collect::<Vec<_>>()));
        halves.map(|half| half.join().unwrap())
    });
    for (index, (part, code)) in halves.into_iter().flatten() {
        let partition = format!("{}/{PARTS}", index + 1);
        assert!(part.untestable.is_empty() && part.errors.is_empty(), "{partition}: {:?} {:?}", part.untestable, part.errors);
        let expected = if part.findings.is_empty() { RunVerdict::Conformant } else { RunVerdict::Deviating };
        assert_eq!((part.verdict, code), (expected, i32::from(expected.exit_code())), "{partition}");
        sequences += part.sequences.len();
        deviating += usize::from(!part.findings.is_empty());
    }
    assert_eq!(sequences, whole.sequences.len());
    assert!((1..PARTS).contains(&deviating), "{deviating} parts found something");

    let mut arguments = vec!["report", "merge", "--report", "json:merged.json"];
    // A run's folder stands for its report.
    let files: Vec<String> = parts.iter().skip(1).rev().map(|name| format!("{name}.json")).chain(["out-part-1".to_owned()]).collect();
    arguments.extend(files.iter().map(String::as_str));
    let output = folder.run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let merged = json::read(&std::fs::read_to_string(folder.0.join("merged.json")).unwrap()).unwrap();

    let findings = |report: &Report| report.findings.iter().chain(&report.warnings).map(said).collect::<Vec<_>>();
    assert_eq!(findings(&merged), findings(&whole));
    assert_eq!((merged.verdict, merged.exit_code, &merged.partition), (whole.verdict, whole.exit_code, &None));
    same(&verdicts(&merged), &verdicts(&whole));
    same(&merged.untestable, &whole.untestable);
    same(&merged.out_of_scope, &whole.out_of_scope);
    assert_eq!(merged.summary.operations, whole.summary.operations);
    assert_eq!(merged.summary.outcomes, whole.summary.outcomes);
    assert_eq!(merged.summary.requirements, whole.summary.requirements);
    let outcomes = |report: &Report| -> Vec<_> {
        // Which requests of a race get which answer is for chance to say.
        let row = |row: &OutcomeRow| (row.operation.clone(), row.status, row.code.clone(), row.predicted, row.observed > 0);
        report.outcomes.iter().map(row).collect()
    };
    same(&outcomes(&merged), &outcomes(&whole));
    let ran = |report: &Report| {
        let mut rows = report.sequences.clone();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows
    };
    same(&ran(&merged), &ran(&whole));
    let calls = |report: &Report| report.levels.iter().map(|row| (row.field.clone(), row.level.clone(), row.calls)).collect::<Vec<_>>();
    same(&calls(&merged), &calls(&whole));
}

#[test]
fn what_is_no_part_of_one_plan_is_refused_with_the_remedy() {
    let folder = Folder::new("refused");
    let narrow = ["--profile", "quick", "--only", "routes"];
    folder.check("whole", &narrow);
    folder.check("one", &[&narrow[..], &["--partition", "1/2"]].concat());
    folder.check("two", &[&narrow[..], &["--partition", "2/2", "--seed", "2"]].concat());
    std::fs::write(folder.0.join("none.json"), "{}").unwrap();
    let told = |files: &[&str]| {
        let output = folder.run(&[&["report", "merge"], files].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(&["none.json"]).starts_with("error: none.json: not a report: "), "{}", told(&["none.json"]));
    assert!(told(&["absent.json"]).starts_with("error: failed to read absent.json: "), "{}", told(&["absent.json"]));
    assert_eq!(
        told(&["whole.json"]),
        "error: whole.json tells of a whole plan, not of a partition\n  help: give the reports of `check --partition M/N`\n"
    );
    assert_eq!(
        told(&["one.json"]),
        "error: no report tells of the partitions 2/2\n  help: give the reports of all partitions; one that brought no report must run again\n"
    );
    assert!(told(&["one.json", "two.json"]).starts_with("error: two.json and one.json differ in their seed: 2 against 1\n  help: run all"));
    assert!(told(&["one.json", "one.json"]).starts_with("error: partition 1/2 is there twice: one.json and one.json\n"));
}
