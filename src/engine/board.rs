//! What a run has seen so far: counts, evidence, examples and deviations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::confirm::Confirmation;
use super::execute::{Judged, Sighted, Trace};
use crate::check::{self, Result};
use crate::contract::{Collection, Outcome};
use crate::model::wire::{Answer, Request};
use crate::plan::Settings;

/// Counts of one operation.
#[derive(Debug, Clone, Default)]
pub struct OperationTally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Admitted outcomes seen.
    pub outcomes: BTreeMap<String, u64>,
    /// Passes, failures and abstentions by check.
    pub checks: BTreeMap<String, (u64, u64, u64)>,
    /// How long each answer took.
    pub times: Vec<Duration>,
}

/// An exchange that shows an outcome of an operation.
#[derive(Debug, Clone)]
pub struct Exemplar {
    /// The operation.
    pub operation: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether a guard that the whole collection shares refused it.
    pub shared: bool,
    /// What was sent.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
    /// What the symbols of its sequence stood for.
    pub symbols: Arc<BTreeMap<String, String>>,
}

/// A confirmed or flaky deviation.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it showed first.
    pub sighted: Sighted,
    /// Its replays.
    pub confirmation: Confirmation,
    /// Steps of the sequence it showed in.
    pub reduced_from: usize,
    /// How often it showed in the run.
    pub seen: u64,
    /// Requests that the run had sent when it showed first.
    pub after: u64,
    /// The settings it showed under.
    pub settings: Option<Settings>,
}

/// What one sequence showed.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its name.
    pub id: String,
    /// Requests it sent.
    pub requests: usize,
    /// Requirements and operations that deviated, confirmed or not.
    pub deviates: BTreeSet<(String, String)>,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Board {
    pub(super) operations: BTreeMap<String, OperationTally>,
    pub(super) checks: BTreeMap<String, (u64, u64, u64)>,
    pub(super) evidence: BTreeMap<(String, String), u64>,
    pub(super) abstentions: BTreeMap<(String, String), u64>,
    pub(super) exemplars: Vec<Exemplar>,
    shown: BTreeSet<(Subject, String)>,
    pub(super) sequences: Vec<Ran>,
    pub(super) found: Vec<Found>,
    pub(super) troubles: Vec<String>,
}

impl Board {
    /// Counts what a sequence showed.
    pub(super) fn add(&mut self, trace: &Trace) {
        for exchange in &trace.exchanges {
            let operation = exchange.operation.clone().unwrap_or_default();
            if exchange.operation.is_some() {
                let tally = self.operations.entry(operation.clone()).or_default();
                *tally.statuses.entry(exchange.status).or_default() += 1;
                if let Some(outcome) = &exchange.matched {
                    *tally.outcomes.entry(outcome.to_string()).or_default() += 1;
                }
            }
            self.keep(exchange, trace);
            for judgement in &exchange.judgements {
                let counts = self.checks.entry(judgement.check.to_owned()).or_default();
                if exchange.operation.is_some() {
                    let tally = self.operations.entry(operation.clone()).or_default();
                    let (pass, fail, abstain) = tally.checks.entry(judgement.check.to_owned()).or_default();
                    *match &judgement.result {
                        Result::Pass => pass,
                        Result::Fail(_) => fail,
                        Result::Abstain(_) => abstain,
                    } += 1;
                }
                match &judgement.result {
                    Result::Pass => {
                        counts.0 += 1;
                        *self.evidence.entry((judgement.requirement.clone(), operation.clone())).or_default() += 1;
                    }
                    Result::Fail(_) => counts.1 += 1,
                    Result::Abstain(reason) => {
                        counts.2 += 1;
                        *self.abstentions.entry((judgement.check.to_owned(), reason.clone())).or_default() += 1;
                    }
                }
            }
        }
        self.troubles.extend(trace.troubles.iter().cloned());
    }

    /// Keeps an exchange, if it is the first of its outcome: the admitted one, or what came instead.
    fn keep(&mut self, exchange: &Judged, trace: &Trace) {
        let (Some(operation), Some((subject, outcome)), Some((request, answer))) = (&exchange.operation, shows(exchange), &exchange.wire)
        else {
            return;
        };
        if !self.shown.insert((subject, outcome.to_string())) {
            return;
        }
        self.exemplars.push(Exemplar {
            operation: operation.clone(),
            outcome,
            shared: exchange.shared.is_some(),
            request: request.clone(),
            answer: answer.clone(),
            symbols: Arc::clone(&trace.symbols),
        });
    }

    /// Lets go of the exchanges of a sequence that will not be kept: their outcome was seen before, in an earlier epoch, in an
    /// earlier sequence of this one (`first` says in which) or further up in the same.
    pub(super) fn let_go(&self, sequence: usize, trace: &mut Trace, first: &mut First) {
        for exchange in &mut trace.exchanges {
            let Some((subject, outcome)) = shows(exchange) else { continue };
            let outcome = (subject, outcome.to_string());
            let earliest = first.get(&outcome).is_none_or(|earlier| sequence < *earlier);
            if self.shown.contains(&outcome) || !earliest {
                exchange.wire = None;
            } else {
                first.insert(outcome, sequence);
            }
        }
    }
}

/// What an exchange is an example of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A refusal that a whole collection shares.
    Collection(Collection),
    /// The operation of this id.
    Operation(String),
}

/// By subject and outcome, the earliest sequence of an epoch that showed it so far.
pub type First = BTreeMap<(Subject, String), usize>;

/// What an exchange would be the example of, if it is kept.
fn shows(exchange: &Judged) -> Option<(Subject, Outcome)> {
    let (operation, (_, answer)) = (exchange.operation.as_ref()?, exchange.wire.as_ref()?);
    let deviates = exchange.judgements.iter().any(|judgement| matches!(judgement.result, Result::Fail(_)));
    let seen = || deviates.then(|| check::outcome(answer));
    let subject = exchange.shared.map_or_else(|| Subject::Operation(operation.clone()), Subject::Collection);
    Some((subject, exchange.matched.clone().or_else(seen)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::guard::Status;

    /// What one sequence showed: of each exchange the operation, the collection that shares the refusal, and the status.
    fn trace(shown: &[(&str, Option<Collection>, u16)]) -> Trace {
        let exchange = |(operation, shared, status): &(&str, Option<Collection>, u16)| Judged {
            operation: Some((*operation).to_owned()),
            status: *status,
            matched: Some(Outcome { status: Status::Exact(*status), code: None }),
            judgements: Vec::new(),
            shared: *shared,
            wire: Some((Request::new("GET", *operation), Answer { status: *status, ..Answer::default() })),
        };
        Trace { exchanges: shown.iter().map(exchange).collect(), ..Trace::default() }
    }

    fn kept(trace: &Trace) -> Vec<bool> {
        trace.exchanges.iter().map(|exchange| exchange.wire.is_some()).collect()
    }

    #[test]
    fn the_first_of_the_plan_is_kept_whoever_ends_first() {
        let shared = Some(Collection::Account);
        let plan = [[("A", None, 200), ("A", shared, 401), ("A", None, 200)], [("B", shared, 401), ("A", None, 200), ("B", None, 401)]];
        for order in [[0, 1], [1, 0]] {
            let (mut board, mut first) = (Board::default(), First::new());
            let mut traces = [None, None];
            for place in order {
                let mut ended = trace(&plan[place]);
                board.let_go(place, &mut ended, &mut first);
                traces[place] = Some(ended);
            }
            let [Some(one), Some(two)] = &traces else { panic!("both have ended") };
            assert_eq!(kept(one), [true, true, false], "{order:?}");
            if order == [0, 1] {
                assert_eq!(kept(two), [false, false, true], "only what is new is kept");
            }
            board.add(one);
            board.add(two);
            let examples: Vec<(&str, u16)> = board.exemplars.iter().map(|one| (&*one.operation, one.answer.status)).collect();
            assert_eq!(examples, [("A", 200), ("A", 401), ("B", 401)], "{order:?}");
            let mut later = trace(&plan[1]);
            board.let_go(0, &mut later, &mut First::new());
            assert_eq!(kept(&later), [false; 3], "of an earlier epoch everything is known");
        }
    }
}
