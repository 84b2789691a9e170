//! What a run has seen so far: counts, examples and deviations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::confirm::Confirmation;
use super::counts::Counts;
use super::execute::{Sighted, Trace};
use crate::contract::{Collection, Outcome};
use crate::model::wire::{Answer, Request};
use crate::plan::Settings;

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
    pub(super) counts: Counts,
    pub(super) exemplars: Vec<Exemplar>,
    shown: BTreeSet<(Subject, Outcome)>,
    pub(super) sequences: Vec<Ran>,
    pub(super) found: Vec<Found>,
    /// Deviations that the waivers expect, each once.
    pub(super) waived: Vec<Sighted>,
    pub(super) troubles: Vec<String>,
}

impl Board {
    /// Takes over what a sequence showed first of all, and what went wrong with it.
    pub(super) fn add(&mut self, trace: &Trace) {
        for shown in &trace.shown {
            if self.shown.insert((shown.subject.clone(), shown.outcome.clone())) {
                self.exemplars.push(Exemplar {
                    operation: shown.operation.clone(),
                    outcome: shown.outcome.clone(),
                    shared: matches!(shown.subject, Subject::Collection(_)),
                    request: shown.request.clone(),
                    answer: shown.answer.clone(),
                    symbols: Arc::clone(&trace.symbols),
                });
            }
        }
        self.troubles.extend(trace.troubles.iter().cloned());
    }

    /// Counts what a sequence counted, and lets go of the exchanges of it that will not be kept: their outcome was seen before,
    /// in an earlier epoch or in an earlier sequence of this one (`first` says in which).
    pub(super) fn count(&mut self, sequence: usize, trace: &mut Trace, first: &mut First) {
        self.counts.add_all(std::mem::take(&mut trace.counts));
        trace.shown.retain(|shown| {
            let outcome = (shown.subject.clone(), shown.outcome.clone());
            let earliest = first.get(&outcome).is_none_or(|earlier| sequence < *earlier);
            let keeps = !self.shown.contains(&outcome) && earliest;
            if keeps {
                first.insert(outcome, sequence);
            }
            keeps
        });
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

/// The first exchange of a sequence that shows an outcome: the admitted one, or what came instead.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What it is an example of.
    pub subject: Subject,
    /// The operation.
    pub operation: String,
    /// The outcome.
    pub outcome: Outcome,
    /// What was sent.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

/// By subject and outcome, the earliest sequence of an epoch that showed it so far.
pub type First = BTreeMap<(Subject, Outcome), usize>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::guard::Status;

    /// What one sequence showed: of each exchange the operation, the collection that shares the refusal, and the status.
    fn trace(shown: &[(&str, Option<Collection>, u16)]) -> Trace {
        let mut trace = Trace::default();
        for (operation, shared, status) in shown {
            trace.show(Shown {
                subject: shared.map_or_else(|| Subject::Operation((*operation).to_owned()), Subject::Collection),
                operation: (*operation).to_owned(),
                outcome: Outcome { status: Status::Exact(*status), code: None },
                request: Request::new("GET", *operation),
                answer: Answer { status: *status, ..Answer::default() },
            });
        }
        trace
    }

    fn kept(trace: &Trace) -> Vec<(&str, u16)> {
        trace.shown.iter().map(|shown| (&*shown.operation, shown.answer.status)).collect()
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
                board.count(place, &mut ended, &mut first);
                traces[place] = Some(ended);
            }
            let [Some(one), Some(two)] = &traces else { panic!("both have ended") };
            assert_eq!(kept(one), [("A", 200), ("A", 401)], "{order:?}");
            if order == [0, 1] {
                assert_eq!(kept(two), [("B", 401)], "only what is new is kept");
            }
            board.add(one);
            board.add(two);
            let examples: Vec<(&str, u16)> = board.exemplars.iter().map(|one| (&*one.operation, one.answer.status)).collect();
            assert_eq!(examples, [("A", 200), ("A", 401), ("B", 401)], "{order:?}");
            let mut later = trace(&plan[1]);
            board.count(0, &mut later, &mut First::new());
            assert_eq!(kept(&later), [], "of an earlier epoch everything is known");
        }
    }
}
