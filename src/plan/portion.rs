//! The part of a plan that judges one operation, planned alone.

use std::collections::BTreeSet;

use rand::SeedableRng as _;

use super::build::{Draft, Profile, WAYS_IN_TURN, build};
use super::epoch::{Need, fields};
use super::script::Script;
use super::sequence::{Epoch, Facts, PLAN_VERSION, Plan, Step};
use super::{lives, matrix, proofs, providers, published, races, toggles};
use crate::contract::{Contract, MessageKind, Operation};

/// What is planned of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Id of the operation.
    pub operation: String,
    /// Which of its sequences.
    pub reach: Reach,
}

/// A part of the sequences in which an operation comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its accepted cases.
    Accepted,
    /// Its guards, broken one by one and together.
    Refused,
    /// Its races.
    Races,
    /// The stories, and the toggles, that it has a part in.
    Stories,
    /// Everything of the standard profile that it has a part in.
    Standard,
}

impl Portion {
    /// The plan of this part; what the settings as found forbid is left out.
    pub fn plan(&self, contract: &Contract, facts: &Facts, seed: u64) -> Plan {
        if self.reach == Reach::Standard {
            return build(contract, facts, seed, Profile::Standard, std::slice::from_ref(&self.operation)).plan;
        }
        let names = fields(contract);
        let mut plan = Plan { plan_version: PLAN_VERSION, contract: contract.version, seed, facts: facts.clone(), epochs: Vec::new() };
        for draft in self.drafts(contract, facts, seed) {
            if !facts.may_change_settings && (draft.alone || !draft.need.met_by(facts)) {
                continue;
            }
            let settings = (draft.need != Need::default()).then(|| draft.need.settings(&names)).filter(|_| facts.may_change_settings);
            let mut script = Script::new(contract, facts, settings.as_ref());
            (draft.write)(&mut script);
            let sequence = script.finish(draft.id);
            if sequence.steps.iter().any(|step| step.operation() == Some(&self.operation)) {
                plan.epochs.push(Epoch { settings, alone: draft.alone, sequences: vec![sequence] });
            }
        }
        plan
    }

    fn drafts<'a>(&self, contract: &'a Contract, facts: &'a Facts, seed: u64) -> Vec<Draft<'a>> {
        let wanted = |operation: &Operation| operation.id == self.operation;
        match self.reach {
            Reach::Accepted => matrix::lap(contract, facts, &wanted),
            Reach::Refused => matrix::matrix(contract, facts, WAYS_IN_TURN, &wanted),
            Reach::Races => races::races(contract, facts, Profile::Standard),
            Reach::Stories | Reach::Standard => {
                let mut drafts = lives::lives(contract, facts);
                drafts.extend(proofs::proofs(contract, facts));
                drafts.extend(providers::providers(contract, facts));
                drafts.extend(published::documented(contract, facts));
                drafts.extend(toggles::toggles(contract, &mut rand::rngs::StdRng::seed_from_u64(seed)));
                drafts
            }
        }
    }
}

/// The operations that are sent together with others, where a target lets everything be tried.
pub fn raced(contract: &Contract) -> BTreeSet<String> {
    let facts = Facts {
        may_change_settings: true,
        can_sign_in: true,
        has_provider: true,
        keeps_tokens: true,
        has_storage: true,
        may_wait: true,
        channels: MessageKind::ALL.to_vec(),
        ..Facts::default()
    };
    let names = fields(contract);
    let sequences = races::races(contract, &facts, Profile::Standard).into_iter().map(|draft| {
        let settings = (draft.need != Need::default()).then(|| draft.need.settings(&names));
        let mut script = Script::new(contract, &facts, settings.as_ref());
        (draft.write)(&mut script);
        script.finish(draft.id)
    });
    let together = |step: &Step| step.together.and(step.operation()).map(str::to_owned);
    sequences.flat_map(|sequence| sequence.steps.iter().filter_map(together).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn a_portion_speaks_of_its_operation_in_every_sequence() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let facts = Facts { may_change_settings: true, can_sign_in: true, ..Facts::default() };
        for reach in [Reach::Accepted, Reach::Refused, Reach::Races] {
            let portion = Portion { operation: "UpdateProfile".into(), reach };
            let plan = portion.plan(&contract, &facts, 1);
            assert!(plan.sequences().count() > 0, "{reach:?}");
            let speaks = |step: &super::super::Step| step.operation() == Some("UpdateProfile");
            assert!(plan.sequences().all(|sequence| sequence.steps.iter().any(speaks)), "{reach:?}");
            assert_eq!(plan, portion.plan(&contract, &facts, 1), "the same portion is the same plan");
        }
    }
}
