//! Requests that were sent together: their answers are right if some order of the requests explains them all.

use super::observe::{Observation, Relation, observe, observe_nothing};
use super::pattern::Mismatch;
use super::predict::predict;
use super::state::{State, States, Term};
use super::wire::{Answer, Request};
use crate::contract::guard::Status;
use crate::contract::{Contract, Outcome};

/// A request and its answer; none when it was lost.
pub type Exchange<'a> = (&'a Request, Option<&'a Answer>);

/// What was made of requests that were sent together.
#[derive(Debug, Clone)]
pub struct Together {
    /// What was made of each answer; `None` where it was lost. Answers that no order explains have no relation.
    pub members: Vec<Option<Observation>>,
    /// Why no order explains them.
    pub conflict: Option<Conflict>,
    /// The states that the orders which explain all answers lead to.
    pub states: States,
}

/// How answers depart from what every order admits.
#[derive(Debug, Clone, PartialEq)]
pub enum Conflict {
    /// An outcome came more often than in any order.
    TooOften {
        /// The first request that has the outcome.
        member: usize,
        /// The outcome.
        outcome: Outcome,
        /// How often it may come.
        most: usize,
        /// Outcomes that one of the requests has in some order.
        instead: Vec<Outcome>,
    },
    /// Each outcome can come, but not these together.
    Combination {
        /// The outcomes by request of every order.
        orders: Vec<Vec<Option<Outcome>>>,
    },
    /// The outcomes fit, a body does not.
    Body {
        /// The request.
        member: usize,
        /// Where its answer departs in the order that explains most.
        mismatch: Mismatch,
    },
}

impl Conflict {
    /// The request that the conflict is put to.
    pub const fn member(&self) -> usize {
        match self {
            Self::TooOften { member, .. } | Self::Body { member, .. } => *member,
            Self::Combination { .. } => 0,
        }
    }
}

/// Looks for orders of the requests in which each answer is admitted. An answer that was lost, and a server error that
/// nothing admits, leave open whether the request did anything.
pub fn observe_together(contract: &Contract, states: &States, exchanges: &[Exchange<'_>], now: i64) -> Together {
    if let Some(explained) = Search::explain(contract, states, exchanges, now) {
        return explained;
    }
    let failed = |answer: &Answer| answer.status >= 500;
    let known: Vec<Exchange<'_>> = exchanges.iter().map(|(request, answer)| (*request, answer.filter(|answer| !failed(answer)))).collect();
    if known.iter().zip(exchanges).any(|(known, exchange)| known.1.is_none() && exchange.1.is_some())
        && let Some(mut explained) = Search::explain(contract, states, &known, now)
    {
        for (member, (request, answer)) in explained.members.iter_mut().zip(exchanges) {
            if let (None, Some(answer)) = (&member, answer) {
                *member = Some(observe(contract, &explained.states, request, answer, now));
            }
        }
        return explained;
    }
    unexplained(contract, states, exchanges, now)
}

/// A walk through the orders, one request after the other; what an order does not explain is not followed further.
struct Search<'a> {
    contract: &'a Contract,
    exchanges: &'a [Exchange<'a>],
    now: i64,
    before: State,
    members: Vec<Option<Observation>>,
    explained: Option<Vec<Option<Observation>>>,
    ends: Vec<State>,
    /// The body that did not fit after most others had: how many had, and whose it is.
    stopped: Option<(usize, usize, Mismatch)>,
}

impl<'a> Search<'a> {
    fn run(contract: &'a Contract, states: &States, exchanges: &'a [Exchange<'a>], now: i64) -> Self {
        let members = vec![None; exchanges.len()];
        let before = states.first().clone();
        let mut search = Self { contract, exchanges, now, before, members, explained: None, ends: Vec::new(), stopped: None };
        search.walk(states, &mut vec![true; exchanges.len()]);
        search
    }

    fn explain(contract: &'a Contract, states: &States, exchanges: &'a [Exchange<'a>], now: i64) -> Option<Together> {
        let search = Self::run(contract, states, exchanges, now);
        let members = search.explained?;
        Some(Together { members, conflict: None, states: States::any_of(search.ends) })
    }

    fn walk(&mut self, states: &States, open: &mut Vec<bool>) {
        if open.iter().all(|open| !open) {
            return self.arrive(states.clone());
        }
        for next in 0..open.len() {
            // Of exchanges that are alike, the order does not matter.
            if !open[next] || (0..next).any(|other| open[other] && self.alike(other, next)) {
                continue;
            }
            let Some(mut after) = self.step(states, next) else { continue };
            after.each(|state| loosen(state, &self.before));
            open[next] = false;
            self.walk(&after, open);
            open[next] = true;
        }
    }

    /// The states after one request. A success whose body does not fit may have been read a moment after the write.
    fn step(&mut self, states: &States, next: usize) -> Option<States> {
        self.members[next] = None;
        let (request, answer) = self.exchanges[next];
        let Some(answer) = answer else { return Some(observe_nothing(self.contract, states, request, self.now)) };
        let observation = observe(self.contract, states, request, answer, self.now);
        if let Some(Relation::Different(difference)) = &observation.relation {
            let mismatch = difference.body.clone()?;
            self.stop(next, mismatch);
            let predictions = states.iter().flat_map(|state| predict(self.contract, state, request, self.now).alternatives);
            let fits = predictions.filter(|one| one.guard.is_none() && one.outcome.status.admits(answer.status));
            return Some(States::any_of(fits.map(|alternative| alternative.next).collect()));
        }
        let after = observation.states.clone();
        self.members[next] = Some(observation);
        Some(after)
    }

    /// All requests had their turn. Bodies that were read later show what is there now.
    fn arrive(&mut self, mut states: States) {
        let mut members = self.members.clone();
        for (index, (request, answer)) in self.exchanges.iter().enumerate() {
            let (None, Some(answer)) = (&members[index], answer) else { continue };
            let seen = observe(self.contract, &states, request, answer, self.now);
            if let Some(Relation::Different(_)) = seen.relation {
                return;
            }
            states = seen.states.clone();
            members[index] = Some(seen);
        }
        self.ends.extend(states.iter().cloned());
        self.explained.get_or_insert(members);
    }

    fn alike(&self, one: usize, other: usize) -> bool {
        let shown = |answer: &Answer| (answer.status, answer.body.clone());
        let ((one, first), (other, second)) = (self.exchanges[one], self.exchanges[other]);
        one == other && first.map(shown) == second.map(shown)
    }

    fn stop(&mut self, member: usize, mismatch: Mismatch) {
        let explained = self.members.iter().flatten().count();
        if self.stopped.as_ref().is_none_or(|(most, ..)| explained > *most) {
            self.stopped = Some((explained, member, mismatch));
        }
    }
}

/// Of changes that overlap in time, the one that is stored last may have begun first: `updatedAt` does not tell their order.
fn loosen(state: &mut State, before: &State) {
    for key in state.changed_since(before) {
        let least = match before.get(&key).map(|entity| entity.get("updatedAt")) {
            Some(Term::Known(value)) => value.as_f64().map_or(Term::Unknown, Term::AtLeast),
            Some(open) => open.clone(),
            None => continue,
        };
        state.update(&key, |entity| {
            if matches!(entity.get("updatedAt"), Term::Known(_)) {
                entity.set("updatedAt", least);
            }
        });
    }
}

/// No order explains the answers: says why, and goes on with what they plainly say.
fn unexplained(contract: &Contract, states: &States, exchanges: &[Exchange<'_>], now: i64) -> Together {
    let mut after = states.clone();
    let mut members = Vec::new();
    for (request, answer) in exchanges {
        members.push(answer.map(|answer| {
            let seen = observe(contract, &after, request, answer, now);
            after = seen.states.clone();
            Observation { relation: None, matched: None, ..seen }
        }));
    }
    let mut orders = Vec::new();
    for state in states.iter() {
        foretell(contract, state, exchanges, &mut vec![None; exchanges.len()], now, &mut orders);
    }
    let seen: Vec<Option<Outcome>> = exchanges.iter().map(|(_, answer)| answer.map(outcome)).collect();
    let stopped = Search::run(contract, states, exchanges, now).stopped;
    Together { members, conflict: Some(conflict(&seen, &orders, stopped)), states: after }
}

fn conflict(seen: &[Option<Outcome>], orders: &[Vec<Option<Outcome>>], stopped: Option<(usize, usize, Mismatch)>) -> Conflict {
    let fits = |order: &Vec<Option<Outcome>>| {
        order.iter().zip(seen).all(|(known, seen)| seen.as_ref().is_none_or(|seen| known.as_ref().is_some_and(|known| admits(known, seen))))
    };
    if let Some((_, member, mismatch)) = stopped.filter(|_| orders.iter().any(fits)) {
        return Conflict::Body { member, mismatch };
    }
    for (member, outcome) in seen.iter().enumerate().filter_map(|(member, seen)| Some((member, seen.as_ref()?))) {
        let count = |outcomes: &[Option<Outcome>]| outcomes.iter().flatten().filter(|known| admits(known, outcome)).count();
        let most = orders.iter().map(|order| count(order)).max().unwrap_or(0);
        if count(seen) > most {
            let others = orders.iter().flatten().flatten().filter(|known| !admits(known, outcome));
            let mut instead: Vec<Outcome> = Vec::new();
            for other in others {
                if !instead.contains(other) {
                    instead.push(other.clone());
                }
            }
            instead.sort_by_key(ToString::to_string);
            return Conflict::TooOften { member, outcome: outcome.clone(), most, instead };
        }
    }
    Conflict::Combination { orders: orders.to_vec() }
}

/// The outcomes by request of every order.
fn foretell(
    contract: &Contract,
    state: &State,
    exchanges: &[Exchange<'_>],
    done: &mut Vec<Option<Outcome>>,
    now: i64,
    orders: &mut Vec<Vec<Option<Outcome>>>,
) {
    if done.iter().all(Option::is_some) {
        if !orders.contains(done) {
            orders.push(done.clone());
        }
        return;
    }
    for next in 0..done.len() {
        if done[next].is_some() || (0..next).any(|other| done[other].is_none() && exchanges[other].0 == exchanges[next].0) {
            continue;
        }
        for alternative in predict(contract, state, exchanges[next].0, now).alternatives {
            done[next] = Some(alternative.outcome);
            foretell(contract, &alternative.next, exchanges, done, now, orders);
        }
        done[next] = None;
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let json = answer.json().filter(|_| answer.status >= 400);
    let code = json.as_ref().and_then(|json| json.get("code")).and_then(serde_json::Value::as_str);
    Outcome { status: Status::Exact(answer.status), code: code.map(str::to_owned) }
}

/// Whether a foretold outcome is the one seen.
fn admits(known: &Outcome, seen: &Outcome) -> bool {
    matches!(seen.status, Status::Exact(status) if known.admits(status, seen.code.as_deref()))
}

#[cfg(test)]
#[path = "race_tests.rs"]
mod tests;
