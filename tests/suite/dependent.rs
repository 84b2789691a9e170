//! A crate of somebody else that depends on this one and checks its own `axum` server.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The test that the other crate needs.
const CHECK: &str = "\
use logto_conformance::trials::Conformance;

fn main() -> std::process::ExitCode {
    Conformance::new().server(gateway::start).main()
}
";

/// What it tests: a gateway, which forgets a header when it is told to.
const SERVER: &str = r#"
use axum::{Router, middleware::map_response, response::Response};
use logto_conformance::contract::{Contract, Version};
use logto_conformance::reference::{Reference, ReferenceOptions};

pub async fn start(endpoint: String) -> (Router, String, String) {
    let behind = Reference::app(ReferenceOptions::new(Contract::embedded(Version::NEWEST).unwrap()), &endpoint).unwrap();
    let gateway = behind.router.layer(map_response(async |mut response: Response| {
        if std::env::var_os("FORGETFUL").is_some() {
            response.headers_mut().remove("logto-core-request-id");
        }
        response
    }));
    (gateway, behind.client_id, behind.client_secret)
}
"#;

const MANIFEST: &str = r#"[package]
name = "gateway"
version = "0.0.0"
edition = "2024"

[dependencies]
axum = { version = "0.8", default-features = false }
logto-conformance = { path = 'PATH' }

[[test]]
name = "conformance"
harness = false

[workspace]

"#;

/// The other crate, which stays in the folder of built things, so that it is built once.
struct Gateway(PathBuf);

impl Gateway {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway");
        for folder in ["src", "tests"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        // With the same versions and profile, dependencies that are built already are built for it, too. This crate is built
        // anew: for one trial it need not be optimised.
        let ours = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let kept = |table: &&str| table.starts_with("profile.dev") && !table.contains(env!("CARGO_PKG_NAME"));
        let profile = ours.split("\n[").filter(kept).map(|table| format!("[{table}\n"));
        let manifest = MANIFEST.replace("PATH", &root.display().to_string()) + &profile.collect::<String>();
        fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
        for (file, text) in [("Cargo.toml", manifest.as_str()), ("src/lib.rs", SERVER), ("tests/conformance.rs", CHECK)] {
            let path = dir.join(file);
            if fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn test(&self, name: &str, variables: &[(&str, &str)]) -> Output {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--offline", "--quiet", "--test", "conformance", "--target-dir"]).arg(target);
        command.args(["--", "--exact", name]).current_dir(&self.0).envs(variables.iter().copied());
        command.output().unwrap()
    }
}

#[test]
fn an_own_axum_server_is_checked_in_ten_lines() {
    assert!(CHECK.lines().count() <= 10);
    let gateway = Gateway::new();
    let trial = "account::GetProfile::GEN-HEADERS-01";
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let conforming = gateway.test(trial, &[]);
    assert!(conforming.status.success() && text(&conforming).contains("1 passed"), "{}", text(&conforming));
    let deviating = gateway.test(trial, &[("FORGETFUL", "1")]);
    assert!(!deviating.status.success() && text(&deviating).contains("1 failed"), "{}", text(&deviating));
    assert!(text(&deviating).contains("logto-core-request-id"), "{}", text(&deviating));
}
