//! Requests sent together, from the plan to the report: the reference keeps them apart, and a fault that does not is found.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
    let output = command.args(arguments).current_dir(folder).env_clear().output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_race_that_is_lost_is_found_counted_and_can_be_replayed() {
    let folder = std::env::temp_dir().join(format!("logto-conformance-races-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let plan = ["check", "--profile", "quick", "--only", "races/*", "--report", "plan:plan.json", "--report", "json:clean.json"];
    let (code, text) = run(&folder, &plan);
    let clean: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("clean.json")).unwrap()).unwrap();
    assert_eq!((code, clean["summary"]["checks"]["race"]["fail"].as_u64()), (0, Some(0)), "{text}");
    assert!(clean["summary"]["checks"]["race"]["pass"].as_u64().unwrap() >= 40, "{text}");
    for (fault, finding) in
        [("subject-token-raced", "FAIL OIDC-RACE-01 IssueToken"), ("last-identifiers-raced", "FAIL ACC-RACE-01 DeletePrimaryEmail")]
    {
        let (code, text) = run(&folder, &["replay", "plan.json", "--fault", fault]);
        assert!(code == 1 && text.contains(finding) && text.matches("FAIL").count() == text.matches(finding).count(), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
