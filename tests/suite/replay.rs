//! Stored sequences: each file of fixtures/replay is named after the fault that it must catch, and passes without it. What
//! the program writes can be replayed, satisfies the published schema, and runs as a shell script.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]
#![expect(clippy::print_stdout, reason = "says what was not tested")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use logto_conformance::contract::{Contract, Version};
use logto_conformance::engine::{REPLAYS, RunOptions, RunResult, run};
use logto_conformance::plan::{PLAN_SCHEMA, Plan};
use logto_conformance::reference::{Fault, Reference, ReferenceOptions};
use logto_conformance::target::{AdminCredentials, ClientOptions, Mode};
use serde_json::Value;

/// Replays a plan against the reference.
async fn replay(plan: Plan, faults: Vec<Fault>) -> RunResult {
    drop(rustls::crypto::ring::default_provider().install_default());
    let contract = Contract::embedded(plan.contract).unwrap();
    let running = Reference::start(ReferenceOptions { faults, ..ReferenceOptions::new(contract) }).await.unwrap();
    let client = ClientOptions::new(running.endpoint.parse().unwrap());
    let credentials = AdminCredentials {
        client_id: running.client_id.clone(),
        client_secret: running.client_secret.clone(),
        resource: running.resource.clone(),
    };
    let result = run(RunOptions {
        seed: plan.seed,
        version: Some(Version::NEWEST),
        plan: Some(plan),
        ..RunOptions::new(client, credentials, Mode::Exclusive, "replay".into(), "replay".into())
    });
    let result = result.await.unwrap();
    running.shutdown().await.unwrap();
    result
}

fn stored() -> Vec<(Fault, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/replay");
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let fault = |path: &Path| Fault::named(path.file_stem().unwrap().to_str().unwrap()).unwrap();
    paths.iter().map(|path| (fault(path), fs::read_to_string(path).unwrap())).collect()
}

/// One plan with the sequences of all files.
fn all(stored: &[(Fault, Plan)]) -> Plan {
    let mut all = stored[0].1.clone();
    all.epochs = stored.iter().flat_map(|(_, plan)| plan.epochs.clone()).collect();
    all
}

#[tokio::test]
async fn stored_sequences_catch_their_fault_and_pass_without_it() {
    let stored: Vec<(Fault, Plan)> = stored().into_iter().map(|(fault, text)| (fault, serde_json::from_str(&text).unwrap())).collect();
    let clean = replay(all(&stored), Vec::new()).await;
    assert!(clean.found.is_empty() && clean.troubles.is_empty(), "{:?} {:?}", clean.found, clean.troubles);
    assert!(clean.counts.evidence().count() >= stored.len(), "{:?}", clean.counts);
    let mut checks = Vec::new();
    for (fault, plan) in stored {
        let faulty = replay(plan, vec![fault.clone()]).await;
        let caught = faulty.found.iter().find(|found| {
            (&found.sighted.operation, &found.sighted.requirement) == (&fault.operation, &fault.requirement)
                && found.confirmation.shown == REPLAYS
        });
        let caught = caught.unwrap_or_else(|| panic!("{} is not caught: {:?}", fault.id, faulty.found));
        checks.push(caught.sighted.check);
    }
    checks.sort_unstable();
    checks.dedup();
    assert!(checks.len() >= 10, "only {checks:?} have a stored sequence");
}

fn complaints(text: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(PLAN_SCHEMA).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let plan: Value = serde_json::from_str(text).unwrap();
    validator.iter_errors(&plan).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn stored_sequences_satisfy_the_schema_and_mistakes_do_not() {
    jsonschema::meta::validate(&serde_json::from_str(PLAN_SCHEMA).unwrap()).unwrap();
    let stored = stored();
    for (fault, text) in &stored {
        assert_eq!(complaints(text), Vec::<String>::new(), "{}", fault.id);
    }
    let text = &stored[0].1;
    for (right, wrong) in [
        ("\"plan_version\": 1", "\"plan_version\": 2"),
        ("\"persona\": \"admin\"", "\"persona\": \"boss\""),
        ("\"method\"", "\"verb\""),
        ("\"target\": \"/", "\"target\": \""),
        ("\"purpose\": \"setup\"", "\"purpose\": \"teardown\""),
    ] {
        assert!(text.contains(right), "{right}");
        assert!(!complaints(&text.replacen(right, wrong, 1)).is_empty(), "{wrong} was accepted");
    }
}

/// The served reference; stopped with the value.
struct Served(Child, Value);

impl Served {
    fn new(fault: &str) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        let mut child = serve.args(["serve", "--json", "--fault", fault]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, serde_json::from_str(&line).unwrap())
    }

    /// Runs a command with the credentials in its environment.
    fn run(&self, mut command: Command) -> (Option<i32>, String) {
        for name in ["client_id", "client_secret", "resource"] {
            command.env(format!("LOGTO_CONFORMANCE_{}", name.to_uppercase()), self.1[name].as_str().unwrap());
        }
        let output = command.env("LOGTO_CONFORMANCE_TARGET", self.1["endpoint"].as_str().unwrap()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code(), text)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_run_writes_is_valid_replays_and_runs_as_a_script() {
    let served = Served::new("same-password-taken");
    let out = std::env::temp_dir().join(format!("logto-conformance-replay-{}", std::process::id()));
    let _ = fs::remove_dir_all(&out);
    let plan = out.join("plan.json");
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(arguments);
        command
    };
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let report = format!("plan:{}", path(&plan));
    let (code, text) =
        served.run(program(&["check", "--out", &path(&out), "--report", &report, "--mode", "exclusive", "--only", "UpdatePassword"]));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(complaints(&fs::read_to_string(&plan).unwrap()), Vec::<String>::new());
    let report: Value = serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["requirements"][0] == "ACC-PASSWORD-02").unwrap();
    let (sequence, script) = (finding["replay"].as_str().unwrap(), finding["curl"].as_str().unwrap());
    assert_eq!(complaints(&fs::read_to_string(sequence).unwrap()), Vec::<String>::new());
    let mut again = program(&["replay", sequence]);
    again.current_dir(&out);
    let (code, text) = served.run(again);
    assert!(code == Some(1) && text.contains("ACC-PASSWORD-02"), "{text}");
    let secret = served.1["client_secret"].as_str().unwrap();
    assert!(!fs::read_to_string(script).unwrap().contains(secret), "the script holds a secret");
    if Command::new("curl").arg("--version").output().is_err() {
        println!("curl is not installed: the script was not run");
    } else {
        let mut shell = Command::new("sh");
        shell.arg(script);
        let (code, text) = served.run(shell);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("! 5. POST /api/my-account/password: 204 (expected 422 user.same_password)"), "{text}");
    }
    fs::remove_dir_all(&out).unwrap();
}
