//! Confirms a deviation: reduces its sequence to what it depends on and replays that on fresh data.

use std::collections::BTreeSet;

use super::execute::{Context, Sighted, execute};
use crate::plan::{Purpose, Sequence, Settings, Step};

/// Replays that a finding needs.
pub const REPLAYS: usize = 3;

/// Replays of a race, which may be lost now and then only.
const RACES: usize = 4;

/// A deviation after its replays.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// How many of the tries showed it.
    pub shown: usize,
    /// Replays; of a race also the execution it was seen in.
    pub tries: usize,
    /// It is a race: one observation is enough.
    pub race: bool,
    /// The reduced sequence.
    pub sequence: Sequence,
    /// Requests the replays took.
    pub requests: u64,
}

impl Confirmation {
    /// Whether the deviation is a finding.
    pub const fn holds(&self) -> bool {
        self.race || self.shown == self.tries
    }
}

/// Replays a deviation: first only the steps it depends on, then with what was written about the same users, then
/// everything before it.
pub async fn confirm(context: &Context, sequence: &Sequence, settings: Option<&Settings>, sighted: &Sighted) -> Confirmation {
    if sequence.is_race(sighted.step) && ["race", "robustness"].contains(&sighted.check) {
        return race(context, sequence, settings, sighted).await;
    }
    let before = context.requests.load(std::sync::atomic::Ordering::Relaxed);
    let mut best: Option<(usize, Sequence)> = None;
    for slice in slices(context, sequence, sighted.step) {
        if best.as_ref().is_some_and(|(_, known)| known.steps == slice.steps) {
            continue;
        }
        let mut shown = 0;
        for _ in 0..REPLAYS {
            let trace = execute(context, &slice, settings).await;
            if trace.deviations.iter().any(|other| other.same(sighted)) {
                shown += 1;
            } else {
                break;
            }
        }
        if best.as_ref().is_none_or(|(most, _)| shown > *most) {
            best = Some((shown, slice));
        }
        if shown == REPLAYS {
            break;
        }
    }
    let (shown, sequence) = best.unwrap_or_else(|| (0, sequence.clone()));
    let requests = context.requests.load(std::sync::atomic::Ordering::Relaxed) - before;
    Confirmation { shown, tries: REPLAYS, race: false, sequence, requests }
}

/// Counts how often a race that was lost once is lost. Its sequence holds nothing else, so there is nothing to reduce.
async fn race(context: &Context, sequence: &Sequence, settings: Option<&Settings>, sighted: &Sighted) -> Confirmation {
    let before = context.requests.load(std::sync::atomic::Ordering::Relaxed);
    let mut shown = 1;
    for _ in 0..RACES {
        let trace = execute(context, sequence, settings).await;
        shown += usize::from(trace.deviations.iter().any(|other| other.same(sighted)));
    }
    let requests = context.requests.load(std::sync::atomic::Ordering::Relaxed) - before;
    Confirmation { shown, tries: 1 + RACES, race: true, sequence: sequence.clone(), requests }
}

fn slices(context: &Context, sequence: &Sequence, failing: usize) -> Vec<Sequence> {
    let steps = &sequence.steps[..=failing];
    let mut wanted = BTreeSet::from([failing]);
    if let Purpose::Look(of) = steps[failing].purpose {
        wanted.insert(of);
    }
    let needed = close(steps, wanted.clone());
    // Whatever wrote about a user that the failing steps speak of.
    let users: BTreeSet<&str> =
        needed.iter().flat_map(|index| steps[*index].gives()).filter(|symbol| symbol.starts_with("user#")).collect();
    let speaks =
        |step: &Step| step.needs().iter().any(|symbol| users.contains(symbol)) || step.gives().iter().any(|symbol| users.contains(symbol));
    let token_of_user = |step: &Step| {
        step.needs().iter().any(|symbol| symbol.starts_with("token#") && needed.iter().any(|index| steps[*index].gives().contains(symbol)))
    };
    let writes =
        |step: &Step| step.operation().and_then(|id| context.contract.operation(id)).is_some_and(crate::contract::Operation::writes);
    let mut related = wanted;
    related.extend((0..failing).filter(|index| {
        let step = &steps[*index];
        writes(step) && matches!(step.purpose, Purpose::Probe(_)) && (speaks(step) || token_of_user(step))
    }));
    let related = close(steps, related);
    [needed.clone(), related, (0..=failing).collect()].into_iter().map(|kept| pick(sequence, &kept)).collect()
}

/// The steps and everything they depend on by symbols.
fn close(steps: &[Step], mut wanted: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut open: Vec<usize> = wanted.iter().copied().collect();
    while let Some(index) = open.pop() {
        for symbol in steps[index].needs() {
            let giver = (0..index).rev().find(|earlier| steps[*earlier].gives().contains(&symbol));
            if let Some(giver) = giver.filter(|giver| wanted.insert(*giver)) {
                open.push(giver);
            }
        }
    }
    wanted
}

/// The kept steps, renumbered.
fn pick(sequence: &Sequence, kept: &BTreeSet<usize>) -> Sequence {
    let order: Vec<usize> = kept.iter().copied().collect();
    let steps = order.iter().map(|index| {
        let mut step = sequence.steps[*index].clone();
        if let Purpose::Look(of) = step.purpose {
            step.purpose = order.iter().position(|known| *known == of).map_or(Purpose::Probe("look".into()), Purpose::Look);
        }
        step
    });
    Sequence { id: sequence.id.clone(), steps: steps.collect() }
}
