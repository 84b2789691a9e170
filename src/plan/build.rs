//! Builds a plan: drafts sequences, gathers them under settings, writes them while the model thinks along.

use std::fmt;

use rand::SeedableRng as _;

use super::coverage::{Effort, Sight, add_walks};
use super::epoch::{Need, fields};
use super::goal::Coverage;
use super::parallel::in_parallel;
use super::script::Script;
use super::sequence::{Epoch, Facts, PLAN_VERSION, Plan, Sequence};
use super::{lives, matrix, proofs, providers, published, races, toggles, values};
use crate::contract::{Contract, Operation, glob};

/// Ways, besides the first, to break a guard of many operations that each of them tries in the standard profile.
pub(super) const WAYS_IN_TURN: usize = 1;

/// What writes a sequence, on whichever thread has time.
pub type Write<'a> = Box<dyn Fn(&mut Script<'_>) + Send + Sync + 'a>;

/// A sequence that is not written yet.
pub struct Draft<'a> {
    /// Name.
    pub id: String,
    /// Settings it needs.
    pub need: Need,
    /// It changes settings itself.
    pub alone: bool,
    /// Writes it.
    pub write: Write<'a>,
}

/// How much is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The opening lap, the stories, a late refusal of each write, each operation by those who may not call it, a round of races,
    /// a few settings and a few walks.
    Quick,
    /// The guard matrix and all toggles as well.
    #[default]
    Standard,
    /// Every way to break every guard, many walks and many rounds of races.
    Deep,
}

impl Profile {
    /// What may be spent on walks.
    const fn effort(self) -> Effort {
        match self {
            Self::Quick => Effort { candidates: 10, requests: 300 },
            Self::Standard => Effort { candidates: 60, requests: 600 },
            Self::Deep => Effort { candidates: 1_000, requests: 30_000 },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Deep => "deep",
        })
    }
}

/// A plan, and what was left out of it.
#[derive(Debug, Clone)]
pub struct Built {
    /// The plan.
    pub plan: Plan,
    /// Sequences that cannot run under the settings as found, which may not be changed.
    pub left_out: Vec<String>,
    /// What it reaches of the coverage goal; of a whole plan only.
    pub coverage: Option<Coverage>,
}

/// All stories: of users, of proofs, of identity providers.
pub(super) fn stories<'a>(contract: &'a Contract, facts: &'a Facts) -> Vec<Draft<'a>> {
    let mut drafts = lives::lives(contract, facts);
    drafts.extend(proofs::proofs(contract, facts));
    drafts.extend(providers::providers(contract, facts));
    drafts
}

/// Builds the plan of a run. `only` keeps the sequences whose name, or one of whose operations, fits a pattern.
pub fn build<'a>(contract: &'a Contract, facts: &'a Facts, seed: u64, profile: Profile, only: &[String]) -> Built {
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let mut drafts = vec![matrix::routes(contract)];
    drafts.extend(matrix::lap(contract, facts, &|_| true));
    drafts.extend(stories(contract, facts));
    drafts.extend(races::races(contract, facts, profile));
    let toggles = toggles::toggles(contract, &mut rng);
    if profile == Profile::Quick {
        drafts.extend(toggles.into_iter().rev().take(4));
        drafts.extend(matrix::late_refusals(contract, facts));
        drafts.extend(matrix::wrong_callers(contract, facts));
    } else {
        drafts.extend(toggles);
        let named = |operation: &Operation| only.iter().any(|pattern| glob(pattern, &operation.id));
        let all = !contract.operations.iter().any(|operation| named(operation));
        let most = if profile == Profile::Deep { usize::MAX } else { WAYS_IN_TURN };
        drafts.extend(matrix::matrix(contract, facts, most, &|operation| all || named(operation)));
    }
    drafts.extend(published::admin_only(contract, facts));
    drafts.extend(published::documented(contract, facts));
    drafts.extend(values::drafts(contract, facts, seed, profile));
    let names = fields(contract);
    let mut groups: Vec<(Need, bool, Vec<Draft<'a>>)> = Vec::new();
    let mut left_out = Vec::new();
    for draft in drafts {
        if !facts.may_change_settings {
            if draft.alone || !draft.need.met_by(facts) {
                left_out.push(draft.id);
                continue;
            }
            match groups.first_mut() {
                Some((_, _, members)) => members.push(draft),
                None => groups.push((Need::default(), false, vec![draft])),
            }
            continue;
        }
        // What needs no settings runs under those found, before anything is changed.
        let indifferent = |need: &Need| *need == Need::default();
        let place = groups.iter().position(|(need, alone, _)| {
            *alone == draft.alone && indifferent(need) == indifferent(&draft.need) && need.join(&draft.need).is_some()
        });
        match place {
            Some(index) => {
                groups[index].0 = groups[index].0.join(&draft.need).expect("just tried");
                groups[index].2.push(draft);
            }
            None => groups.push((draft.need.clone(), draft.alone, vec![draft])),
        }
    }
    // A name with a stroke is none of an operation: what it does not fit need not be written. But walks go where nothing
    // else went.
    let elsewhere = |pattern: &String| pattern.split_once('/').is_some_and(|(family, _)| !glob(family, "walks"));
    let by_name = !only.is_empty() && only.iter().all(elsewhere);
    let may_be_wanted = |id: &str| !by_name || only.iter().any(|pattern| glob(pattern, id));
    let wanted = |(need, alone, mut drafts): (Need, bool, Vec<Draft<'a>>)| {
        let settings = (need != Need::default()).then(|| need.settings(&names)).filter(|_| facts.may_change_settings);
        drafts.retain(|draft| may_be_wanted(&draft.id));
        (settings, alone, drafts)
    };
    let groups: Vec<_> = groups.into_iter().map(wanted).collect();
    let tasks: Vec<_> =
        groups.iter().flat_map(|(settings, _, drafts)| drafts.iter().map(move |draft| (settings.as_ref(), draft))).collect();
    let mut written = in_parallel(&tasks, |(settings, draft)| {
        let mut script = Script::new(contract, facts, settings);
        (draft.write)(&mut script);
        script.finish_seen(&draft.id)
    })
    .into_iter();
    let mut epochs = Vec::new();
    let mut sights: Vec<Vec<Sight>> = Vec::new();
    for (settings, alone, drafts) in groups {
        let (sequences, shown): (Vec<Sequence>, Vec<Vec<Sight>>) = written.by_ref().take(drafts.len()).unzip();
        sights.extend(shown);
        epochs.push(Epoch { settings, alone, sequences });
    }
    if !by_name {
        add_walks(contract, facts, seed, profile.effort(), &mut epochs, &mut sights);
    }
    let speaks_of = |sequence: &Sequence, pattern: &str| {
        glob(pattern, &sequence.id) || sequence.steps.iter().any(|step| step.operation().is_some_and(|operation| glob(pattern, operation)))
    };
    for epoch in &mut epochs {
        epoch
            .sequences
            .retain(|sequence| !sequence.steps.is_empty() && (only.is_empty() || only.iter().any(|pattern| speaks_of(sequence, pattern))));
    }
    epochs.retain(|epoch| !epoch.sequences.is_empty());
    let plan = Plan { plan_version: PLAN_VERSION, contract: contract.version, seed, facts: facts.clone(), epochs };
    let coverage = only.is_empty().then(|| Coverage::of(contract, &plan, &sights));
    Built { plan, left_out, coverage }
}
