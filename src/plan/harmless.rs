//! What is left of a plan where nothing may be written: reads that need nothing to be made before.

use std::collections::BTreeSet;

use super::build::{Built, Profile, build};
use super::script::Script;
use super::sequence::{Action, Call, Epoch, Facts, Persona, Plan, Purpose, Step};
use crate::contract::Contract;

/// Methods that write nothing.
const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// What symbols stand for without anything having been made.
const GIVEN: [&str; 6] = ["admin.token", "machine.token", "resource", "origin", "run", "tag"];

/// Calls per sequence: few enough to run side by side.
const CALLS_PER_SEQUENCE: usize = 25;

/// The harmless part of what would be planned if everything were allowed.
pub fn build_harmless(contract: &Contract, facts: &Facts, seed: u64, profile: Profile, only: &[String]) -> Built {
    // Who is turned away, and what an administrator reads, depends on no setting; the answers are foreseen under those found.
    let all = Facts { may_change_settings: true, ..facts.clone() };
    let built = build(contract, &all, seed, profile, only);
    Built { plan: harmless(contract, facts, &built.plan), left_out: built.left_out, coverage: None }
}

/// The steps of a plan that write nothing and need nothing, each once, foreseen under the settings as found.
pub fn harmless(contract: &Contract, facts: &Facts, plan: &Plan) -> Plan {
    let mut known = BTreeSet::new();
    let mut calls: Vec<(&Step, &Call)> = Vec::new();
    for step in plan.sequences().flat_map(|sequence| &sequence.steps) {
        if let Action::Call(call) = &step.action
            && is_harmless(step, call)
            && known.insert((step.persona, &call.method, &call.target, &call.headers))
        {
            calls.push((step, call));
        }
    }
    let sequences = calls.chunks(CALLS_PER_SEQUENCE).enumerate().map(|(index, chunk)| {
        let mut script = Script::new(contract, facts, None);
        for (step, call) in chunk {
            script.call(step.persona, step.purpose.clone(), (*call).clone(), &[]);
        }
        script.finish(format!("harmless/{}", index + 1))
    });
    let epoch = Epoch { settings: None, alone: false, sequences: sequences.collect() };
    let epochs = if calls.is_empty() { Vec::new() } else { vec![epoch] };
    Plan { facts: facts.clone(), epochs, ..plan.clone() }
}

fn is_harmless(step: &Step, call: &Call) -> bool {
    let persona = matches!(step.persona, Persona::Admin | Persona::MachineWithoutScope | Persona::Anonymous | Persona::Forged);
    let looks = matches!(step.purpose, Purpose::Look(_));
    let bodiless = call.body.is_none() && call.body_base64.is_none();
    let given = |symbol: &str| GIVEN.contains(&symbol) || symbol.starts_with("padding#");
    persona && !looks && bodiless && METHODS.contains(&call.method.as_str()) && call.symbols().all(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Published, Version};

    #[test]
    fn what_is_left_reads_only_and_needs_nothing() {
        let document = serde_json::from_str(include_str!("../../fixtures/documents/management-1.43.json")).unwrap();
        let published = Published::read(&document).unwrap();
        let mut contract = Contract::embedded(Version::NEWEST).unwrap();
        contract.adopt(&published);
        let facts = Facts { published: Some(published), can_sign_in: true, ..Facts::default() };
        let plan = build_harmless(&contract, &facts, 1, Profile::Standard, &[]).plan;
        assert!(!plan.facts.may_change_settings);
        let mut operations = BTreeSet::new();
        let mut personas = BTreeSet::new();
        for step in plan.sequences().flat_map(|sequence| &sequence.steps) {
            let Action::Call(call) = &step.action else { panic!("{}", step.line()) };
            assert!(METHODS.contains(&call.method.as_str()) && step.capture.is_empty(), "{}", step.line());
            operations.extend(call.operation.clone());
            personas.insert(step.persona);
        }
        assert!(operations.len() > 100, "{}", operations.len());
        let all = [Persona::Admin, Persona::MachineWithoutScope, Persona::Anonymous, Persona::Forged];
        assert_eq!(personas, BTreeSet::from(all));
        assert_eq!(harmless(&contract, &facts, &plan), plan, "nothing more is left out of it");
    }
}
