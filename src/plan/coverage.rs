//! What a sequence shows, so that walks which show nothing new can be left out.

use std::collections::BTreeSet;

use super::sequence::{Epoch, Facts, Persona, Purpose, Sequence};
use super::walk::walk;
use crate::contract::{Contract, Operation};

/// Something to be seen: how an operation answers whom, and what had been done last when it did.
type Goal = (String, String, Persona, Option<String>);

/// How many walks are thought through, and how many requests those that are kept may cost.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Walks to choose from.
    pub candidates: u64,
    /// Requests of the walks that are kept.
    pub requests: usize,
}

/// A walk is kept when at least one of so many of its requests shows something new.
const WORTH: usize = 5;

/// Adds the walks that show what nothing planned so far shows, each under settings that something else needs anyway.
pub fn add_walks(contract: &Contract, facts: &Facts, seed: u64, effort: Effort, epochs: &mut [Epoch]) {
    let mut shown: BTreeSet<Goal> =
        epochs.iter().flat_map(|epoch| &epoch.sequences).flat_map(|sequence| goals(contract, sequence)).collect();
    let mut places: Vec<&mut Epoch> = epochs.iter_mut().filter(|epoch| !epoch.alone && is_open(epoch)).collect();
    let mut left = effort.requests;
    let count = places.len() as u64;
    for index in (0..effort.candidates).take_while(|_| count > 0) {
        let Some(place) = usize::try_from(index % count).ok().and_then(|place| places.get_mut(place)) else { break };
        let walk = walk(contract, facts, place.settings.as_ref(), seed, index);
        let new: Vec<Goal> = goals(contract, &walk).into_iter().filter(|goal| !shown.contains(goal)).collect();
        if walk.steps.len() <= left && new.len() * WORTH >= walk.steps.len() {
            left -= walk.steps.len();
            shown.extend(new);
            place.sequences.push(walk);
        }
    }
}

/// Whether users can do something under the settings.
fn is_open(epoch: &Epoch) -> bool {
    epoch.settings.as_ref().is_none_or(|settings| settings.enabled)
}

/// What the steps of a sequence show.
fn goals(contract: &Contract, sequence: &Sequence) -> BTreeSet<Goal> {
    let mut last: Option<String> = None;
    let mut goals = BTreeSet::new();
    for step in &sequence.steps {
        let (Some(operation), Some(outcome)) = (step.operation(), &step.expect) else { continue };
        if step.purpose != Purpose::Setup {
            goals.insert((operation.to_owned(), outcome.clone(), step.persona, last.clone()));
        }
        if outcome.starts_with('2') && contract.operation(operation).is_some_and(Operation::writes) && step.purpose != Purpose::Setup {
            last = Some(operation.to_owned());
        }
    }
    goals
}
