//! What calls show, and the walks that show what nothing else does.

use std::collections::BTreeSet;

use super::parallel::in_parallel;
use super::sequence::{Epoch, Facts, Persona, Settings};
use super::walk::walk;
use crate::contract::{Contract, Operation, Outcome};
use crate::model::Survey;

/// What one call shows, as the model predicts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    /// The operation.
    pub operation: String,
    /// Status and code.
    pub outcome: String,
    /// Index of the guard that refuses it.
    pub refused: Option<usize>,
    /// What it meets.
    pub survey: Survey,
    /// Who sends it.
    pub persona: Persona,
    /// It only prepares what others need.
    pub setup: bool,
}

impl Sight {
    /// What a call shows; who sends it is said later.
    pub fn new(operation: &str, outcome: &Outcome, refused: Option<usize>, survey: Survey) -> Self {
        Self { operation: operation.to_owned(), outcome: outcome.to_string(), refused, survey, persona: Persona::Admin, setup: true }
    }

    /// Whether it is accepted.
    fn succeeds(&self) -> bool {
        self.outcome.starts_with('2')
    }
}

/// Something to be seen: a call as it shows, and what had been done last when it did.
type Goal = (Sight, Option<String>);

/// How many walks are thought through, and how many requests those that are kept may cost.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Walks to choose from.
    pub candidates: u64,
    /// Requests of the walks that are kept.
    pub requests: usize,
}

/// A walk is kept when at least one of so many of its requests shows something new.
const WORTH: usize = 3;

/// Adds the walks that show what nothing planned so far shows, each under settings that something else needs anyway. `sights`
/// holds what the sequences planned so far show, and then what the walks do as well.
pub fn add_walks(contract: &Contract, facts: &Facts, seed: u64, effort: Effort, epochs: &mut [Epoch], sights: &mut Vec<Vec<Sight>>) {
    let mut shown: BTreeSet<Goal> = sights.iter().flat_map(|sights| goals(contract, sights)).collect();
    let mut places: Vec<&mut Epoch> = epochs.iter_mut().filter(|epoch| !epoch.alone && is_open(epoch)).collect();
    let mut left = effort.requests;
    let tasks: Vec<(u64, Option<&Settings>)> =
        (0..effort.candidates).zip(places.iter().map(|place| place.settings.as_ref()).cycle()).collect();
    let walks = in_parallel(&tasks, |(index, settings)| walk(contract, facts, settings, seed, index));
    let count = places.len();
    for (index, (walk, own)) in walks.into_iter().enumerate() {
        let new: Vec<Goal> = goals(contract, &own).into_iter().filter(|goal| !shown.contains(goal)).collect();
        if walk.steps.len() <= left && new.len() * WORTH >= walk.steps.len() {
            left -= walk.steps.len();
            shown.extend(new);
            places[index % count].sequences.push(walk);
            sights.push(own);
        }
    }
}

/// Whether users can do something under the settings.
fn is_open(epoch: &Epoch) -> bool {
    epoch.settings.as_ref().is_none_or(|settings| settings.enabled)
}

/// What the calls of a sequence show, each after the accepted write before it.
fn goals(contract: &Contract, sights: &[Sight]) -> BTreeSet<Goal> {
    let mut last: Option<String> = None;
    let mut goals = BTreeSet::new();
    for sight in sights.iter().filter(|sight| !sight.setup) {
        goals.insert((sight.clone(), last.clone()));
        if sight.succeeds() && contract.operation(&sight.operation).is_some_and(Operation::writes) {
            last = Some(sight.operation.clone());
        }
    }
    goals
}
