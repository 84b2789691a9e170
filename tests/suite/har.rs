//! The exchanges of a run as a recording, and the recording judged again.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of its own for one test; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-{}-har-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_logto-conformance")).args(arguments).current_dir(&self.0).env_clear().output().unwrap()
    }

    /// A file of JSON.
    fn read(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.0.join(name)).unwrap()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/har.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn what_a_run_took_down_is_a_recording_that_is_judged_the_same() {
    let folder = Folder::new("run");
    let check =
        ["check", "--profile", "quick", "--only", "lap/*", "--only", "UpdatePassword", "--report", "har:run.har", "--report", "json"];
    let checked = folder.run(&[&check[..], &["--out", "out"]].concat());
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    assert!(!folder.0.join("run.har.part").exists());
    let har = folder.read("run.har");
    let errors: Vec<String> = schema().iter_errors(&har).map(|error| format!("{}: {error}", error.instance_path())).take(3).collect();
    assert_eq!(errors, Vec::<String>::new());
    let entries = har["log"]["entries"].as_array().unwrap();
    let asked = folder.read("out/report.json")["summary"]["requests"].as_u64().unwrap();
    assert!(entries.len() as u64 >= asked, "{} of {asked} requests, and those that set up and cleaned up", entries.len());
    // A clock that skips what is waited for moves on at once; it never goes back.
    let times: Vec<&str> = entries.iter().map(|entry| entry["startedDateTime"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "in the order of sending");

    let judged = folder.run(&["inspect", "run.har", "--report", "json:judged.json", "--no-waivers"]);
    let told = String::from_utf8_lossy(&judged.stdout);
    assert_eq!(judged.status.code(), Some(0), "{told}");
    let total = &folder.read("judged.json")["total"];
    let count = |name: &str| total[name].as_u64().unwrap();
    assert_eq!(count("wrong"), 0, "{told}");
    // What is hidden keeps some from being judged, not most.
    assert!(count("predicted") * 10 > count("exchanges") * 7, "{told}");
}
