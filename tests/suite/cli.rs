//! The program as its users run it: real binary, real files, no network.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder of its own for one test; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(arguments).current_dir(&self.0).env_clear();
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run(arguments: &[&str]) -> Ended {
    Folder::new(&format!("plain-{:?}", std::thread::current().id()).replace(['(', ')'], "")).run(arguments)
}

const GOOD_HAR: &str = r#"{"log": {"entries": [{
    "startedDateTime": "2026-01-02T03:04:05Z",
    "request": {"method": "GET", "url": "https://example.com/api/my-account", "headers": []},
    "response": {"status": STATUS, "headers": [{"name": "content-type", "value": "application/json"}], "content": {"text": BODY}}
}]}}"#;

fn har(status: u16, body: &str) -> String {
    GOOD_HAR.replace("STATUS", &status.to_string()).replace("BODY", &Value::from(body).to_string())
}

#[test]
fn without_a_command_the_help_is_shown_and_nothing_is_claimed() {
    let ended = run(&[]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("Usage: logto-conformance <COMMAND>"));
    assert_eq!(run(&["--help"]).code, 0);
    assert!(run(&["--version"]).out.starts_with("logto-conformance "));
}

#[test]
fn a_wrong_command_line_is_usage() {
    let ended = run(&["chekc"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("'check'"), "{}", ended.err);
    let ended = run(&["check", "--report", "hra:x"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("`hra` is no format; did you mean `har`?"), "{}", ended.err);
}

#[test]
fn list_shows_operations_for_people_and_programs() {
    let text = run(&["list"]);
    assert_eq!(text.code, 0);
    let row = text.out.lines().find(|line| line.starts_with("GetProfile ")).unwrap();
    assert!(row.contains("GET") && row.contains("/api/my-account") && row.contains("ACC-AUTH-01"), "{row}");
    let json: Value = serde_json::from_str(&run(&["list", "--json"]).out).unwrap();
    let operations = json["operations"].as_array().unwrap();
    assert!(text.out.contains(&format!("\n{} operations, contract 1.43\n", operations.len())));
    assert_eq!(operations[0]["guards"][0], "authorization(present)");
    for (flag, name) in [("--requirements", "requirements"), ("--guards", "guards")] {
        let json: Value = serde_json::from_str(&run(&["list", flag, "--json"]).out).unwrap();
        assert!(json[name].as_array().unwrap().len() > 20);
        assert_eq!(run(&["list", flag]).code, 0);
    }
}

#[test]
fn explain_finds_what_is_known_and_names_what_is_near() {
    for (id, said) in [
        ("UpdateProfile", "PATCH /api/my-account"),
        ("acc-field-01", "absent counts as Off"),
        ("auth.forbidden", "GetProfile: 403 scope(openid)"),
        ("unique", "operations: UpdateProfile"),
        ("secrecy", "requirements: GEN-SECRET-01"),
        ("4", "exit code 4, verdict of a run: incomplete"),
        ("PATCH /api/my-account", "operation UpdateProfile"),
        ("stale-waiver", "the waiver must go"),
    ] {
        let ended = run(&["explain", id]);
        assert_eq!(ended.code, 0, "{id}");
        assert!(ended.out.contains(said), "{id}: {}", ended.out);
    }
    let ended = run(&["explain", "UpdateProfil"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(
        ended.err.starts_with("error: `UpdateProfil` is not known to contract 1.43\n  help: the nearest names are `UpdateProfile`; "),
        "{}",
        ended.err
    );
}

#[test]
fn a_bundle_is_json_without_references_to_elsewhere() {
    for collection in ["account", "management"] {
        for version in ["1.42", "1.43"] {
            let ended = run(&["spec", "bundle", collection, "--contract", version]);
            assert_eq!(ended.code, 0, "{}", ended.err);
            let document: Value = serde_json::from_str(&ended.out).unwrap();
            assert_eq!((document["openapi"].as_str(), document["info"]["version"].as_str()), (Some("3.1.0"), Some(version)));
            let references = ended.out.lines().filter(|line| line.trim_start().starts_with("\"$ref\":"));
            let references: Vec<&str> = references.collect();
            assert!(references.len() > 10 && references.iter().all(|line| line.contains("\"#/components/schemas/")));
        }
    }
    assert_eq!(run(&["spec", "bundle", "account", "--contract", "1.41"]).code, 2);
    assert_eq!(run(&["spec", "bundle", "both"]).code, 2);
}

#[test]
fn the_schemas_of_what_is_written_are_printed() {
    for format in ["report", "plan"] {
        let ended = run(&["spec", "schema", format]);
        let schema: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((ended.code, schema["$id"].as_str().unwrap()), (0, &*format!("urn:logto-conformance:{format}:1")));
    }
    assert_eq!(run(&["spec", "schema", "har"]).code, 2);
}

#[test]
fn inspect_ends_with_0_when_nothing_is_wrong_and_1_otherwise() {
    let folder = Folder::new("inspect");
    folder.file("good.har", &har(401, r#"{"code": "auth.authorization_header_missing", "message": "x"}"#));
    let ended = folder.run(&["inspect", "good.har", "--report", "json:out.json"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let total = ended.out.lines().find(|line| line.starts_with("total")).unwrap();
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["total", "1", "1", "0", "0", "0", "0"]);
    let report: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("out.json")).unwrap()).unwrap();
    assert_eq!((&report["total"]["predicted"], &report["total"]["wrong"]), (&Value::from(1), &Value::from(0)));

    folder.file("bad.har", &har(200, r#"{"id": "x", "hasSecurityVerificationMethod": true}"#));
    let ended = folder.run(&["inspect", "bad.har"]);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("  wrong ACC-AUTH-01 authorization GetProfile (1 times, first bad.har#1)\n"), "{}", ended.out);

    let waiver = "[[waiver]]\nrequirement = \"ACC-AUTH-01\"\noperation = \"GetProfile\"\nreason = \"a test\"\n";
    folder.file("waivers.toml", waiver);
    let ended = folder.run(&["inspect", "bad.har", "--waivers", "waivers.toml"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("  waived ACC-AUTH-01"), "{}", ended.out);
}

#[test]
fn known_deviations_are_waived_unless_that_is_switched_off() {
    let folder = Folder::new("known");
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/recordings/06-management-users-basic.har.gz");
    let known = folder.run(&["inspect", recording]);
    assert_eq!(known.code, 0, "{}{}", known.out, known.err);
    assert!(known.out.contains("waived GEN-ROBUST-01 robustness CreateUser"), "{}", known.out);
    assert_eq!(folder.run(&["inspect", recording, "--no-waivers"]).code, 1);
    // A server error that nobody expects is not waived.
    folder.file("500.har", &har(500, r#"{"message": "Internal server error."}"#));
    assert_eq!(folder.run(&["inspect", "500.har"]).code, 1);
}

#[test]
fn a_recording_with_nothing_to_judge_is_no_success() {
    let folder = Folder::new("nothing");
    folder.file("other.har", &har(200, "{}").replace("/api/my-account", "/elsewhere"));
    assert_eq!(folder.run(&["inspect", "other.har"]).code, 2);
}

#[test]
fn a_malformed_recording_is_named_with_its_place() {
    let folder = Folder::new("har");
    folder.file("cut.har", "{\"log\": {\n  \"entries\": [");
    let ended = folder.run(&["inspect", "cut.har"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.err,
        "error: failed to read cut.har: it is neither JSON nor gzip of JSON: EOF while parsing a list at line 2 column 14\n  help: give a HAR 1.2 file, plain or gzip; save it again from the recorder\n"
    );
    folder.file("entry.har", &har(200, "{}").replace("https://example.com", ""));
    let ended = folder.run(&["inspect", "entry.har"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("entry.har, log.entries[0]: `request.url` is no absolute URL"), "{}", ended.err);
    assert_eq!(folder.run(&["inspect", "absent.har"]).code, 2);
}

#[test]
fn a_wrong_waiver_file_is_named_with_line_and_remedy() {
    let folder = Folder::new("waiver");
    folder
        .file("good.har", &har(401, "{}"))
        .file("w.toml", "[[waiver]]\nrequirement = \"ACC-FELD-01\"\noperation = \"*\"\nreason = \"x\"\n");
    let ended = folder.run(&["inspect", "good.har", "--waivers", "w.toml"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.err,
        "error: w.toml:2: `ACC-FELD-01` matches no requirement\n  | requirement = \"ACC-FELD-01\"\n  |               ^^^^^^^^^^^^^\n  help: did you mean `ACC-FIELD-01`?\n"
    );
    folder.file("w.toml", "[[waiver]]\nrequirement = \"*\"\noperation = \"*\"\nreason = \"x\"\nuntil = \"2020-01-01\"\n");
    let ended = folder.run(&["inspect", "good.har", "--waivers", "w.toml"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.starts_with("error: w.toml:5: the waiver expired on 2020-01-01\n"), "{}", ended.err);
}

#[test]
fn a_wrong_configuration_is_named_with_line_and_remedy() {
    let folder = Folder::new("config");
    folder.file("conformance.toml", "contract = \"1.43\"\nseeds = 1\n");
    let ended = folder.run(&["list"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(
        ended.err.ends_with("conformance.toml:2: `seeds` is no setting\n  | seeds = 1\n  | ^^^^^\n  help: did you mean `seed`?\n"),
        "{}",
        ended.err
    );
    folder.file("conformance.toml", "contract = \"1.42\"\n");
    assert!(folder.run(&["list"]).out.contains("contract 1.42"));
    assert!(folder.run(&["list", "--contract", "1.43"]).out.contains("contract 1.43"));
    let output = folder.command(&["list"]).env("LOGTO_CONFORMANCE_CONTRACT", "1.43").output().unwrap();
    assert!(Ended::from(output).out.contains("contract 1.43"));
    let output = folder.command(&["list"]).env("LOGTO_CONFORMANCE_CONTRACT", "latest").output().unwrap();
    let ended = Ended::from(output);
    assert_eq!(ended.code, 2);
    assert!(ended.err.starts_with("error: LOGTO_CONFORMANCE_CONTRACT: invalid value 'latest'"), "{}", ended.err);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = Folder::new("pipe");
    let mut child = folder.command(&["spec", "bundle", "account"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn the_ledger_of_another_run_is_not_written_over() {
    let folder = Folder::new("ledger");
    fs::create_dir_all(folder.0.join("out")).unwrap();
    folder.file("out/ledger.jsonl", "{}\n");
    let ended = folder.run(&["check", "--profile", "quick", "--only", "lap/GetProfile", "--out", "out"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.starts_with("error: out holds the ledger of another run\n  help: choose another folder with --out"), "{}", ended.err);
    assert_eq!(fs::read_to_string(folder.0.join("out/ledger.jsonl")).unwrap(), "{}\n");
}

#[test]
fn quiet_says_the_verdict_and_verbose_each_request_without_secrets() {
    let folder = Folder::new("volume");
    let check = ["check", "--profile", "quick", "--only", "lap/GetProfile"];
    let quiet = folder.run(&[&check[..], &["--quiet"]].concat());
    assert_eq!((quiet.out.lines().count(), quiet.err.as_str()), (1, ""), "{}", quiet.out);
    let verbose = folder.run(&[&check[..], &["-vv"]].concat());
    assert!(verbose.err.contains("\nGET /api/my-account 200 ") && verbose.err.contains("\nepoch 1: "), "{}", verbose.err);
    assert!(verbose.out.contains("\ncheck status: "), "{}", verbose.out);
    assert_eq!(folder.run(&["check", "-q", "-v"]).code, 2);
}

#[test]
fn results_of_a_run_stand_beside_the_requirements() {
    let folder = Folder::new("results");
    let checked = folder.run(&["check", "--profile", "quick", "--only", "lap/GetProfile", "--report", "json:r.json"]);
    assert!([0, 4].contains(&checked.code), "{}", checked.err);
    let list = ["list", "--traceability", "--json", "--results", "r.json"];
    let listed: Value = serde_json::from_str(&folder.run(&list).out).unwrap();
    let row = listed["requirements"].as_array().unwrap().iter().find(|row| row["id"] == "ACC-PROFILE-01").unwrap();
    assert_eq!(row["trials"], serde_json::json!(["account::GetProfile::ACC-PROFILE-01"]));
    assert_eq!((&row["verdict"], &row["results"]["account::GetProfile::ACC-PROFILE-01"]["result"]), (&"pass".into(), &"passed".into()));

    let other = folder.run(&[&list[..], &["--contract", "1.42"]].concat());
    assert_eq!((other.code, other.err.as_str()), (2, "error: r.json: speaks of contract 1.43, not 1.42\n  help: add `--contract 1.43`\n"));
    folder.file("r.json", "{}");
    assert_eq!(folder.run(&list).code, 2);
    assert_eq!(folder.run(&["list", "--traceability", "--results", "r.json"]).code, 2, "results are for programs");
}
