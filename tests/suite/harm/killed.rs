//! Runs that are killed, or break, at any moment: nothing is left, or `restore` leaves nothing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use logto_conformance::contract::{Contract, Version};
use logto_conformance::engine::{Event, RunError, RunOptions, run};
use logto_conformance::plan::Profile;
use logto_conformance::reference::{Reference, ReferenceOptions};
use logto_conformance::target::{AdminCredentials, Channel, ChannelKind, ChannelOptions, ClientOptions, Mode, SecretRegister};
use serde_json::Value;

use super::program::Folder;
use super::tenant::Tenant;

/// Panics planted at different events of a run.
const PANICS: [u64; 6] = [1, 2, 3, 12, 40, 90];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_fault_of_ours_in_the_middle_leaves_nothing_behind() {
    runtime().block_on(async {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let reference = Reference::start(ReferenceOptions::new(contract)).await.unwrap();
        let credentials = AdminCredentials {
            client_id: reference.client_id.clone(),
            client_secret: reference.client_secret.clone(),
            resource: reference.resource.clone(),
        };
        break_in_the_middle(&reference.endpoint, &credentials, &["lap/*", "toggles/*"]).await;
    });
}

/// By hand: `cargo test --test suite on_a_target -- --ignored` with `LOGTO_CONFORMANCE_TARGET` and credentials set.
#[test]
#[ignore = "breaks runs on the target of the environment"]
fn a_fault_of_ours_leaves_nothing_on_a_target() {
    let named = |name: &str| std::env::var(format!("LOGTO_CONFORMANCE_{name}")).unwrap();
    runtime().block_on(async {
        let credentials = AdminCredentials {
            client_id: named("CLIENT_ID"),
            client_secret: named("CLIENT_SECRET"),
            resource: "https://default.logto.app/api".into(),
        };
        break_in_the_middle(named("TARGET").trim_end_matches('/'), &credentials, &["lap/*", "toggles/*", "proofs/*"]).await;
    });
}

/// Runs that break at one event after the other: all else on the target is as before.
async fn break_in_the_middle(endpoint: &str, credentials: &AdminCredentials, only: &[&str]) {
    let tenant = Tenant::open(endpoint, &credentials.client_id, &credentials.client_secret, &credentials.resource).await;
    let before = tenant.foreign().await;
    let mut broken = 0;
    for (number, at) in PANICS.into_iter().enumerate() {
        let seen = AtomicU64::new(0);
        let secrets = SecretRegister::new();
        let channel = ChannelOptions { kind: ChannelKind::local_webhook(), secrets: secrets.clone() };
        let client = ClientOptions::new(endpoint.parse().unwrap());
        let result = run(RunOptions {
            channel: Some(Arc::new(Channel::open(&channel).await.unwrap())),
            profile: Profile::Quick,
            jobs: 8,
            version: Some(Version::NEWEST),
            only: only.iter().map(|pattern| (*pattern).to_owned()).collect(),
            secrets,
            listener: Arc::new(move |event: &Event| {
                if matches!(event, Event::Exchanged(_)) {
                    return;
                }
                let now = seen.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now != at, "planted at {event:?}");
            }),
            ..RunOptions::new(client, credentials.clone(), Mode::Exclusive, format!("panic{number}"), "panic".into())
        });
        match result.await {
            Err(RunError::Internal(text)) => {
                assert!(text.contains("fault of ours"), "{text}");
                broken += 1;
            }
            // The plan has fewer events, or it was the last, which only tells of the clean-up.
            Ok(result) => assert_eq!(result.residue, Vec::<String>::new()),
            Err(error) => panic!("event {at}: {error}"),
        }
        assert_eq!(tenant.residue().await, Vec::<String>::new(), "event {at}");
        assert_eq!(tenant.foreign().await, before, "event {at}");
    }
    assert!(broken >= 4, "{broken} runs broke");
}

/// A reference in a process of its own; ends with the value.
struct Served {
    child: Child,
    line: Value,
}

impl Served {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        let mut child = command.args(["serve", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line: serde_json::from_str(&line).unwrap() }
    }

    fn get(&self, name: &str) -> &str {
        self.line[name].as_str().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Numbers that look drawn, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// By hand: `HARM_KILLS=60 HARM_SEED=1 cargo test --test suite harm -- --ignored --nocapture`.
#[cfg(unix)]
#[test]
#[ignore = "takes minutes"]
#[expect(clippy::print_stdout, reason = "a trial that is run by hand tells its figures")]
fn runs_that_are_killed_leave_nothing() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (kills, seed) = (number("HARM_KILLS", 50), number("HARM_SEED", 1));
    let runtime = runtime();
    let served = Served::start();
    let credentials = (served.get("client_id"), served.get("client_secret"));
    let (tenant, before) = runtime.block_on(async {
        let tenant = Tenant::open(served.get("endpoint"), credentials.0, credentials.1, served.get("resource")).await;
        let before = tenant.foreign().await;
        (tenant, before)
    });
    let mut dice = Dice(seed);
    let mut longest = Duration::ZERO;
    let mut tally = std::collections::BTreeMap::<String, u64>::new();
    for kill in 0..kills {
        let folder = Folder::new(&format!("kill-{kill}"));
        let signal = ["INT", "TERM", "KILL"][usize::try_from(kill % 3).unwrap()];
        let mode = if dice.below(4) == 0 { "isolated" } else { "exclusive" };
        let mut arguments = vec!["check", "--target", served.get("endpoint"), "--mode", mode, "--profile", "quick", "--out", "out"];
        if mode == "exclusive" {
            arguments.extend(["--channel", "webhook", "--provider", "127.0.0.1:0"]);
        }
        let mut child = folder.start(credentials, &arguments);
        // From the moment it begins to write its ledger on, so that few kills come before there is anything to lose.
        let ledger = folder.0.join("out/ledger.jsonl");
        while !ledger.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(dice.below(20_000)));
        let open = std::fs::read_to_string(&ledger).unwrap_or_default().matches("\"intend\"").count();
        // It may have ended by itself meanwhile.
        Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
        let asked = Instant::now();
        let code = folder.end(child);
        if signal != "KILL" {
            longest = longest.max(asked.elapsed());
        }
        let mut end = format!("{signal} exit {code}");
        if code == -1 {
            let restored = folder.end(folder.start(credentials, &["restore", "out/ledger.jsonl"]));
            assert_eq!(restored, 0, "kill {kill}:\n{}", folder.said());
            end.push_str(", restored");
        }
        let (residue, after) = runtime.block_on(async { (tenant.residue().await, tenant.foreign().await) });
        assert_eq!(residue, Vec::<String>::new(), "kill {kill} ({end}, {open} intents):\n{}", folder.said());
        assert_eq!(after, before, "kill {kill} ({end}):\n{}", folder.said());
        println!("kill {kill}: {mode} {end}, {open} intents before, {} ms to the end", asked.elapsed().as_millis());
        *tally.entry(end).or_default() += 1;
    }
    println!("{kills} kills, seed {seed}: residue 0 each time; longest end after a signal {} ms; {tally:?}", longest.as_millis());
}
