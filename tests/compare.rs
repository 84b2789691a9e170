//! `compare` on real runs: the reference with and without faults.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Fault, and the requirement and operation of the finding that it brings.
const FAULTS: [(&str, &str, &str); 5] = [
    ("address-scope-ignored", "ACC-SCOPE-01", "UpdateOtherProfile"),
    ("mfa-readable-without-scope", "ACC-SCOPE-01", "GetMfaSettings"),
    ("unscoped-machine-manages", "MGT-SCOPE-01", "UpdateAccountCenterSettings"),
    ("deletion-of-nobody", "MGT-USER-05", "DeleteUser"),
    ("same-password-taken", "ACC-PASSWORD-02", "UpdatePassword"),
];

fn run(dir: &Path, name: &str, faults: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
    command.current_dir(dir).env_clear().args(["check", "--out", name]);
    for (_, _, operation) in FAULTS {
        command.args(["--only", operation]);
    }
    for fault in faults {
        command.args(["--fault", fault]);
    }
    let output = command.output().unwrap();
    let wanted = i32::from(!faults.is_empty());
    assert_eq!(output.status.code(), Some(wanted), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn five_faults_are_five_new_findings() {
    let dir = std::env::temp_dir().join(format!("logto-conformance-{}-compare", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    run(&dir, "before", &[]);
    run(&dir, "after", &FAULTS.map(|(fault, _, _)| fault));
    let compare = |base: &str, new: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        let output = command.current_dir(&dir).env_clear().args(["compare", base, new, "--json"]).output().unwrap();
        let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), comparison)
    };
    let (code, comparison) = compare("before", "after");
    assert_eq!(code, Some(1));
    let named: BTreeSet<(String, String)> = comparison["findings"]["new"]
        .as_array()
        .unwrap()
        .iter()
        // A guard that is gone changes which one answers next: a warning of its own.
        .filter(|finding| finding["level"] == "MUST")
        .flat_map(|finding| {
            let names =
                |member: &str| finding[member].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>();
            let operations = names("operations");
            names("requirements")
                .into_iter()
                .flat_map(move |id| operations.clone().into_iter().map(move |operation| (id.clone(), operation)))
        })
        .collect();
    let expected: BTreeSet<(String, String)> =
        FAULTS.iter().map(|(_, id, operation)| ((*id).to_owned(), (*operation).to_owned())).collect();
    assert_eq!(named, expected);
    assert_eq!(comparison["findings"]["gone"], serde_json::json!([]));
    let (code, back) = compare("after", "before");
    assert_eq!(
        (code, back["findings"]["gone"].as_array().map(Vec::len)),
        (Some(0), comparison["findings"]["new"].as_array().map(Vec::len))
    );
    let (code, same) = compare("after", "after");
    assert_eq!((code, same["findings"]["changed"].clone()), (Some(0), serde_json::json!([])));
    let _ = std::fs::remove_dir_all(&dir);
}
