//! The part of a plan that judges one thing, planned alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::SeedableRng as _;

use super::build::{Draft, Profile, WAYS_IN_TURN, stories};
use super::epoch::{Need, fields};
use super::parallel::in_parallel;
use super::script::Script;
use super::sequence::{Epoch, Facts, PLAN_VERSION, Plan, Step};
use super::{matrix, published, races, toggles};
use crate::contract::guard::Guard;
use crate::contract::{Contract, MessageKind, Operation, glob};

/// A part of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Portion {
    /// Sequences in which one operation comes up.
    Operation {
        /// Its id.
        operation: String,
        /// Which of its sequences.
        reach: Reach,
    },
    /// The refusals of one operation by guards of some kinds.
    Guards {
        /// Its id.
        operation: String,
        /// Names of the kinds; guards of every kind when there are none.
        kinds: Vec<String>,
        /// Whether each is broken in every way, and what that may have done is looked at.
        thoroughly: bool,
    },
    /// The stories, races and probes of paths and documents whose names fit one of these patterns.
    Named(Vec<String>),
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
    /// The stories, and the toggles, that try it.
    Stories,
}

impl Portion {
    /// The plan of this part; what the settings as found forbid is left out.
    pub fn plan(&self, contract: &Contract, facts: &Facts, seed: u64) -> Plan {
        let names = fields(contract);
        let mut plan = Plan { plan_version: PLAN_VERSION, contract: contract.version, seed, facts: facts.clone(), epochs: Vec::new() };
        let possible = |draft: &Draft<'_>| facts.may_change_settings || !draft.alone && draft.need.met_by(facts);
        let settings_for =
            |draft: &Draft<'_>| (draft.need != Need::default()).then(|| draft.need.settings(&names)).filter(|_| facts.may_change_settings);
        let drafts = self.drafts(contract, facts, seed).into_iter().filter(possible);
        let drafts: Vec<_> = drafts.map(|draft| (settings_for(&draft), draft)).collect();
        let written = in_parallel(&drafts.iter().collect::<Vec<_>>(), |(settings, draft)| {
            let mut script = Script::new(contract, facts, settings.as_ref());
            (draft.write)(&mut script);
            script.finish(&draft.id)
        });
        for ((settings, draft), sequence) in drafts.iter().zip(written) {
            let wanted = |step: &Arc<Step>| match self {
                Self::Operation { operation, reach: Reach::Stories } => step.tries(operation),
                Self::Operation { operation, .. } | Self::Guards { operation, .. } => step.operation() == Some(operation),
                Self::Named(_) => true,
            };
            if sequence.steps.iter().any(wanted) {
                plan.epochs.push(Epoch { settings: settings.clone(), alone: draft.alone, sequences: vec![sequence] });
            }
        }
        plan
    }

    fn drafts<'a>(&self, contract: &'a Contract, facts: &'a Facts, seed: u64) -> Vec<Draft<'a>> {
        let (id, reach) = match self {
            Self::Operation { operation, reach } => (operation, reach),
            Self::Guards { operation, kinds, thoroughly } => {
                let Some(operation) = contract.operation(operation) else { return Vec::new() };
                let of_kind = |guard: &Guard| kinds.is_empty() || kinds.iter().any(|kind| kind == guard.kind.name());
                return matrix::broken(contract, facts, operation, *thoroughly, &of_kind);
            }
            Self::Named(patterns) => {
                let mut drafts = vec![matrix::routes(contract)];
                drafts.extend(stories(contract, facts));
                drafts.extend(races::races(contract, facts, Profile::Standard));
                drafts.extend(published::admin_only(contract, facts));
                drafts.extend(published::documented(contract, facts));
                drafts.retain(|draft| patterns.iter().any(|pattern| glob(pattern, &draft.id)));
                return drafts;
            }
        };
        let wanted = |operation: &Operation| operation.id == *id;
        match reach {
            Reach::Accepted => matrix::lap(contract, facts, &wanted),
            Reach::Refused => matrix::matrix(contract, facts, WAYS_IN_TURN, &wanted),
            Reach::Races => races::races(contract, facts, Profile::Standard),
            Reach::Stories => {
                let mut drafts = stories(contract, facts);
                drafts.extend(published::documented(contract, facts));
                drafts.extend(toggles::toggles(contract, &mut rand::rngs::StdRng::seed_from_u64(seed)));
                drafts
            }
        }
    }
}

/// A target that lets everything be tried.
fn unlimited() -> Facts {
    Facts {
        may_change_settings: true,
        can_sign_in: true,
        has_provider: true,
        keeps_tokens: true,
        has_storage: true,
        may_wait: true,
        channels: MessageKind::ALL.to_vec(),
        ..Facts::default()
    }
}

/// The names of the stories that there are where a target lets everything be tried, and those of the races without the number
/// of the round: `lives/suspension`, `races/username`.
pub fn flows(contract: &Contract) -> BTreeSet<String> {
    let facts = unlimited();
    let races = races::races(contract, &facts, Profile::Standard);
    let names = races.iter().filter_map(|draft| draft.id.rsplit_once('/')).map(|(name, _)| name.to_owned());
    stories(contract, &facts).into_iter().map(|draft| draft.id).chain(names).collect()
}

/// The operations that are sent together with others, where a target lets everything be tried.
pub fn raced(contract: &Contract) -> BTreeSet<String> {
    let facts = unlimited();
    let names = fields(contract);
    let sequences = races::races(contract, &facts, Profile::Standard).into_iter().map(|draft| {
        let settings = (draft.need != Need::default()).then(|| draft.need.settings(&names));
        let mut script = Script::new(contract, &facts, settings.as_ref());
        (draft.write)(&mut script);
        script.finish(draft.id)
    });
    let together = |step: &Arc<Step>| step.together.and(step.operation()).map(str::to_owned);
    sequences.flat_map(|sequence| sequence.steps.iter().filter_map(together).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Purpose;
    use super::*;
    use crate::contract::Version;

    #[test]
    fn a_portion_speaks_of_its_operation_in_every_sequence() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let facts = Facts { may_change_settings: true, can_sign_in: true, ..Facts::default() };
        for reach in [Reach::Accepted, Reach::Refused, Reach::Races] {
            let portion = Portion::Operation { operation: "UpdateProfile".into(), reach };
            let plan = portion.plan(&contract, &facts, 1);
            assert!(plan.sequences().count() > 0, "{reach:?}");
            let speaks = |step: &Arc<Step>| step.operation() == Some("UpdateProfile");
            assert!(plan.sequences().all(|sequence| sequence.steps.iter().any(speaks)), "{reach:?}");
            assert_eq!(plan, portion.plan(&contract, &facts, 1), "the same portion is the same plan");
        }
    }

    #[test]
    fn a_portion_of_guards_breaks_no_others() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let defaults: serde_json::Value = serde_json::from_str(include_str!("../reference/defaults.json")).unwrap();
        let facts = Facts {
            account_center: defaults["accountCenter"].clone(),
            sign_in_experience: defaults["signInExperience"].clone(),
            ..unlimited()
        };
        let labels = |kinds: &[&str]| {
            let kinds = kinds.iter().copied().map(str::to_owned).collect();
            let plan = Portion::Guards { operation: "UpdateProfile".into(), kinds, thoroughly: true }.plan(&contract, &facts, 1);
            let label = |step: &Arc<Step>| match &step.purpose {
                Purpose::Probe(label) if step.operation() == Some("UpdateProfile") => Some(label.clone()),
                _ => None,
            };
            plan.sequences().flat_map(|sequence| sequence.steps.iter().filter_map(label).collect::<Vec<_>>()).collect::<BTreeSet<_>>()
        };
        let (field, party) = (labels(&["field"]), labels(&["first-party"]));
        assert!(field.contains("name: field name ReadOnly") && field.iter().all(|label| label.contains(": field ")), "{field:?}");
        assert!(!party.is_empty() && party.iter().all(|label| label.ends_with(": third-party application")), "{party:?}");
        assert_eq!(labels(&["pagination"]), BTreeSet::new());
    }

    #[test]
    fn a_flow_is_planned_alone_by_its_name_as_in_the_whole_plan() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let facts = Facts { may_change_settings: true, can_sign_in: true, ..Facts::default() };
        let planned = |pattern: &str| {
            let plan = Portion::Named(vec![pattern.into()]).plan(&contract, &facts, 1);
            plan.sequences().map(|sequence| sequence.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(planned("lives/suspension"), ["lives/suspension"]);
        assert_eq!(planned("races/username/*"), ["races/username/1", "races/username/2"]);
        assert_eq!(planned("routes"), ["routes"]);
        assert_eq!(planned("lives/nothing"), Vec::<String>::new());
        let flows = flows(&contract);
        for name in ["lives/suspension", "proofs/codes", "providers/accounts", "races/username"] {
            assert!(flows.contains(name), "{flows:?}");
        }
    }
}
