//! Snapshots under the real `cargo insta`, in the package that `init` makes. Without the tool nothing is tried, and said so.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// What `init` makes in a folder of its own; gone with the value.
struct Package(PathBuf);

impl Package {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-insta-{}", std::process::id()));
        let init = Command::new(env!("CARGO_BIN_EXE_logto-conformance")).arg("init").arg(&dir).output().unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        Self(dir)
    }

    /// Compares a reference that deviates in these ways with the package's snapshots.
    fn check(&self, faults: &[&str]) -> Output {
        let reference = Served::new(faults);
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(["check", "--profile", "quick", "--mode", "exclusive", "--only", "lap/GetProfile", "--only", "lap/GetMfaSettings"]);
        command.args(["--snapshots", "snapshots"]).current_dir(&self.0).env_remove("CI");
        for (name, value) in &reference.variables {
            command.env(name, value);
        }
        command.output().unwrap()
    }

    fn insta(&self, arguments: &[&str]) -> String {
        let output = Command::new("cargo").arg("insta").args(arguments).current_dir(self.0.join("snapshots")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo insta {arguments:?}: {text}");
        text
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, extension, found);
                } else if path.extension().is_some_and(|known| known == extension) {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0.join("snapshots"), extension, &mut found);
        found.sort();
        found
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A reference in a process of its own, and how to reach it.
struct Served {
    process: Child,
    variables: Vec<(String, String)>,
}

impl Served {
    fn new(faults: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(["serve", "--json"]).stdout(Stdio::piped());
        for fault in faults {
            command.args(["--fault", fault]);
        }
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let names = [("endpoint", "TARGET"), ("client_id", "CLIENT_ID"), ("client_secret", "CLIENT_SECRET"), ("resource", "RESOURCE")];
        let variables =
            names.map(|(key, name)| (format!("LOGTO_CONFORMANCE_{name}"), told[key].as_str().unwrap().to_owned())).into_iter().collect();
        Self { process, variables }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn differences_are_reviewed_with_the_real_tool() {
    let has_tool = Command::new("cargo").args(["insta", "--version"]).output().is_ok_and(|output| output.status.success());
    if !has_tool {
        println!("SKIPPED: cargo-insta is not installed; `cargo install cargo-insta --locked` brings it");
        return;
    }
    let package = Package::new();
    let first = package.check(&[]);
    assert_eq!(first.status.code(), Some(1), "what nobody has reviewed deviates: {}", String::from_utf8_lossy(&first.stdout));
    assert!(package.insta(&["pending-snapshots"]).contains("GetProfile.200.snap"));
    package.insta(&["accept"]);
    assert!(package.files("new").is_empty());
    let reviewed = package.files("snap");
    assert!(reviewed.len() >= 2, "{reviewed:?}");
    assert_eq!(package.check(&[]).status.code(), Some(0), "as reviewed");

    let second = package.check(&["tenant-shown"]);
    assert_eq!(second.status.code(), Some(1));
    let pending = package.files("new");
    assert!(!pending.is_empty(), "{}", String::from_utf8_lossy(&second.stdout));
    let before = fs::read_to_string(pending[0].with_extension("")).unwrap();
    package.insta(&["reject"]);
    assert!(package.files("new").is_empty());
    assert_eq!(fs::read_to_string(pending[0].with_extension("")).unwrap(), before, "rejected, so nothing has changed");

    package.check(&["tenant-shown"]);
    package.insta(&["accept"]);
    assert_ne!(fs::read_to_string(pending[0].with_extension("")).unwrap(), before, "accepted");
}
