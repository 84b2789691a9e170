//! `compare` on real runs: the reference with and without faults.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Fault, and the requirement and operation of the finding that it brings.
const FAULTS: [(&str, &str, &str); 5] = [
    ("address-scope-ignored", "ACC-SCOPE-01", "UpdateOtherProfile"),
    ("mfa-readable-without-scope", "ACC-SCOPE-01", "GetMfaSettings"),
    ("unscoped-machine-manages", "MGT-SCOPE-01", "UpdateAccountCenterSettings"),
    ("deletion-of-nobody", "MGT-USER-05", "DeleteUser"),
    ("same-password-taken", "ACC-PASSWORD-02", "UpdatePassword"),
];

/// A deployment in a process of its own; ends with the value.
struct Served {
    child: Child,
    line: Value,
}

impl Served {
    fn start(faults: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.env_clear().args(["serve", "--json"]).stdout(Stdio::piped());
        for fault in faults {
            command.args(["--fault", fault]);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line: serde_json::from_str(&line).unwrap() }
    }

    /// A configuration that leads to it; the secret stands in a file beside.
    fn configure(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.secret")), self.line["client_secret"].as_str().unwrap()).unwrap();
        let text = format!(
            "target = {}\nclient-id = {}\nclient-secret = {{ file = \"{name}.secret\" }}\nresource = {}\nmode = \"exclusive\"\n",
            self.line["endpoint"], self.line["client_id"], self.line["resource"]
        );
        std::fs::write(dir.join(format!("{name}.toml")), text).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

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
    assert_eq!(named(&comparison), expected());
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

#[test]
fn deployments_are_compared_as_they_are_and_with_a_known_run() {
    let dir = std::env::temp_dir().join(format!("logto-conformance-{}-compare-live", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let (sound, broken) = (Served::start(&[]), Served::start(&FAULTS.map(|(fault, _, _)| fault)));
    sound.configure(&dir, "sound");
    broken.configure(&dir, "broken");
    // Variables do not reach into a configuration that is named; what a URL alone does not say comes from there.
    let said = |key: &str| sound.line[key].as_str().unwrap().to_owned();
    let variables = [
        ("TARGET", "http://127.0.0.1:9".to_owned()),
        ("CLIENT_ID", said("client_id")),
        ("CLIENT_SECRET", said("client_secret")),
        ("RESOURCE", said("resource")),
        ("MODE", "exclusive".to_owned()),
    ]
    .map(|(name, value)| (format!("LOGTO_CONFORMANCE_{name}"), value));
    let compare = |base: &str, new: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.current_dir(&dir).env_clear().envs(variables.clone());
        command.args(["compare", base, new, "--json", "--profile", "standard"]);
        for (_, _, operation) in FAULTS {
            command.args(["--only", operation]);
        }
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let secrets = [&sound, &broken].map(|served| served.line["client_secret"].as_str().unwrap());
        assert!(!secrets.iter().any(|secret| told.contains(secret)), "{told}");
        let comparison: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
        (output.status.code(), comparison)
    };
    let (code, comparison) = compare("sound.toml", "broken.toml");
    assert_eq!((code, named(&comparison)), (Some(1), expected()));
    assert_eq!((&comparison["findings"]["gone"], &comparison["caveats"]), (&serde_json::json!([]), &serde_json::json!([])));
    // The folder of the first run against the deployment itself, by its address.
    let out = dir.join("conformance-out");
    let kept = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let report: Value = serde_json::from_str(&std::fs::read_to_string(path.join("report.json")).unwrap()).unwrap();
        report["verdict"] != "deviating"
    });
    let (code, same) = compare(kept.unwrap().to_str().unwrap(), sound.line["endpoint"].as_str().unwrap());
    let none = serde_json::json!([]);
    assert_eq!((code, &same["findings"]["new"], &same["findings"]["gone"], &same["requirements"]), (Some(0), &none, &none, &none));
    let _ = std::fs::remove_dir_all(&dir);
}

/// Requirement and operation of each new finding.
fn named(comparison: &Value) -> BTreeSet<(String, String)> {
    comparison["findings"]["new"]
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
        .collect()
}

fn expected() -> BTreeSet<(String, String)> {
    FAULTS.iter().map(|(_, id, operation)| ((*id).to_owned(), (*operation).to_owned())).collect()
}
