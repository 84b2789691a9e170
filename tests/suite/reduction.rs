//! Trial of the reduction: faults of the reference are found, reduced and measured against the shortest sequences that
//! somebody could write by hand (fixtures/reductions.yaml).
//!
//! Also which faults the profile `quick` finds. The short versions run with the other tests. All faults with ten seeds each:
//!
//! ```sh
//! cargo test --release --test suite reduction -- --ignored --nocapture
//! ```
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]
#![expect(clippy::print_stdout, reason = "the trial's table is what it is run for")]

use std::sync::Arc;

use logto_conformance::check::Waivers;
use logto_conformance::contract::{Contract, Version};
use logto_conformance::engine::{Found, RunOptions, RunResult, run};
use logto_conformance::plan::Profile;
use logto_conformance::reference::{Fault, Reference, ReferenceOptions};
use logto_conformance::target::{AdminCredentials, ClientOptions, Mode};
use serde::Deserialize;

/// Sequences at a time.
const JOBS: usize = 8;

const MINIMA: &str = include_str!("../../fixtures/reductions.yaml");

#[derive(Debug, Deserialize)]
struct Entry {
    fault: String,
    minimum: usize,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    alone: bool,
}

/// What reducing one fault's deviations took.
struct Outcome {
    fault: String,
    minimum: usize,
    /// Steps of the shortest sequence that shows it.
    steps: usize,
    /// Requests of the reductions, one number for each deviation.
    requests: Vec<u64>,
    /// Deviations that did not show in each replay.
    unsure: Vec<String>,
}

async fn check(fault: &Fault, only: Vec<String>, seed: u64, profile: Profile, jobs: usize) -> RunResult {
    check_but(fault, only, seed, profile, jobs, "").await
}

/// A run that expects what the waivers say.
async fn check_but(fault: &Fault, only: Vec<String>, seed: u64, profile: Profile, jobs: usize, waivers: &'static str) -> RunResult {
    drop(rustls::crypto::ring::default_provider().install_default());
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let running =
        Reference::start(ReferenceOptions { faults: vec![fault.clone()], seed, ..ReferenceOptions::new(contract) }).await.unwrap();
    let client = ClientOptions::new(running.endpoint.parse().unwrap());
    let credentials = AdminCredentials {
        client_id: running.client_id.clone(),
        client_secret: running.client_secret.clone(),
        resource: running.resource.clone(),
    };
    let options = RunOptions {
        profile,
        seed,
        jobs,
        version: Some(Version::NEWEST),
        only,
        waivers: Arc::new(move |contract| Waivers::parse("waivers.toml", waivers, contract, "2026-01-01")),
        ..RunOptions::new(client, credentials, Mode::Exclusive, format!("trial{seed}"), "trial".into())
    };
    let result = run(options).await.unwrap();
    running.shutdown().await.unwrap();
    result
}

/// Whether only the time of a change tells of it, which it does not where both fall into one millisecond.
fn in_time(found: &Found) -> bool {
    found.sighted.detail.starts_with("/updatedAt:")
}

/// What was seen, and how often again.
fn told(found: &Found) -> String {
    let (sequence, confirmation) = (&found.confirmation.sequence.id, &found.confirmation);
    format!("{}/{} {sequence}: {} {}", confirmation.shown, confirmation.tries, found.sighted.operation, found.sighted.detail)
}

async fn outcome(minimum: &Entry, seed: u64) -> Outcome {
    let fault = Fault::named(&minimum.fault).unwrap();
    let only = if minimum.only.is_empty() { vec![fault.operation.clone()] } else { minimum.only.clone() };
    let result = check(&fault, only, seed, Profile::Standard, if minimum.alone { 1 } else { JOBS }).await;
    let confirmed = result.found.iter().filter(|found| found.confirmation.holds());
    let steps = confirmed.map(|found| found.confirmation.sequence.steps.len()).min();
    Outcome {
        fault: minimum.fault.clone(),
        minimum: minimum.minimum,
        steps: steps.unwrap_or_else(|| panic!("seed {seed}: {} was not confirmed", fault.id)),
        requests: result.found.iter().map(|found| found.confirmation.requests).collect(),
        unsure: result.found.iter().filter(|found| !found.confirmation.holds() && !in_time(found)).map(told).collect(),
    }
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

/// Runs the trial, prints its table and judges it.
fn trial(faults: impl Fn(&Entry) -> bool, seeds: u64) {
    let minima: Vec<Entry> = serde_saphyr::from_str(MINIMA).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut outcomes = Vec::new();
    for seed in 1..=seeds {
        for minimum in minima.iter().filter(|minimum| faults(minimum)) {
            let outcome = runtime.block_on(outcome(minimum, seed));
            println!(
                "{:30} seed {seed:2}: {} steps, by hand {}; requests {:?}; not confirmed: {:?}",
                outcome.fault, outcome.steps, outcome.minimum, outcome.requests, outcome.unsure
            );
            outcomes.push(outcome);
        }
    }
    let requests: Vec<u64> = outcomes.iter().flat_map(|outcome| outcome.requests.clone()).collect();
    let (median, most) = (median(requests.clone()), requests.iter().max().unwrap());
    println!("{} reductions: {median} requests (median), {most} (maximum)", requests.len());
    assert!(median <= 20, "a reduction takes {median} requests");
    for outcome in outcomes {
        assert!(outcome.steps <= outcome.minimum + 1, "{}: {} steps, by hand {}", outcome.fault, outcome.steps, outcome.minimum);
        assert!(outcome.unsure.is_empty(), "{}: not confirmed on a deterministic target: {:?}", outcome.fault, outcome.unsure);
    }
}

/// Finds each of the faults by the profile `quick`, whatever the seed.
fn found_by_quick(faults: impl Fn(&Fault) -> bool, seeds: u64) {
    let faults: Vec<Fault> = Fault::catalogue().unwrap().into_iter().filter(|fault| fault.excused.is_none() && faults(fault)).collect();
    assert!(!faults.is_empty());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut missed = Vec::new();
    for seed in 1..=seeds {
        for fault in &faults {
            let result = runtime.block_on(check(fault, Vec::new(), seed, Profile::Quick, JOBS));
            let found = result.found.iter().filter(|found| found.confirmation.holds()).count();
            println!("{:35} seed {seed:2}: {found} found in {} requests", fault.id, result.requests);
            if found == 0 {
                missed.push((fault.id.clone(), seed));
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn quick_finds_one_of_each_kind_of_wrong_storage() {
    let some = ["refused-settings-kept", "created-name-lost", "custom-data-merged"];
    found_by_quick(|fault| some.contains(&fault.id.as_str()), 1);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn quick_finds_whatever_is_stored_wrongly() {
    use logto_conformance::reference::FaultClass;
    let stored = [FaultClass::LostWrite, FaultClass::ChangedAlthoughRefused, FaultClass::StaleRead, FaultClass::Merge];
    found_by_quick(|fault| stored.contains(&fault.class), 10);
}

#[test]
fn what_is_expected_is_neither_reduced_nor_replayed() {
    let fault = Fault::named("custom-data-merged").unwrap();
    let expected = "[[waiver]]\nrequirement = \"*\"\noperation = \"*\"\nreason = \"a test\"\n";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let run = |waivers| runtime.block_on(check_but(&fault, vec![fault.operation.clone()], 1, Profile::Standard, 1, waivers));
    let (unexpected, expected) = (run(""), run(expected));
    assert!(!unexpected.found.is_empty() && unexpected.waived.is_empty());
    assert!(expected.found.is_empty() && !expected.waived.is_empty());
    for (index, sighted) in expected.waived.iter().enumerate() {
        assert!(!expected.waived[..index].iter().any(|known| known.same(sighted)), "{sighted:?} twice");
    }
    let confirming: u64 = unexpected.found.iter().map(|found| found.confirmation.requests).sum();
    assert!(unexpected.requests > expected.requests + confirming, "{} and {}", unexpected.requests, expected.requests);
}

#[test]
fn a_few_faults_are_reduced_to_what_they_need() {
    trial(|minimum| ["deletion-of-nobody", "same-password-taken"].contains(&minimum.fault.as_str()), 1);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn every_fault_is_reduced_to_what_it_needs() {
    trial(|_| true, 10);
}
