//! Which mutants of the contract recorded traffic can tell from the contract.
//!
//! One pass over the recordings judges the contract and all mutants side by side. A mutant meets the same states as the
//! contract until it makes something else of an answer, so only exchanges at which its guards lead elsewhere have to be
//! judged a second time. An exchange that contradicts a mutant is counted, and the mutant goes on from the contract's
//! states: the count says how many exchanges contradict it, each for itself.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::panic::resume_unwind;
use std::thread;

use super::har::Recording;
use super::inspect::{Judged, Moment, Standing, judge_exchange, moments};
use crate::check::Waivers;
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{Change, Contract, Mutant, Operation};
use crate::model::{Call, Route, Scene, State, States, Truth, route};

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// At least one exchange contradicts it.
    Caught,
    /// No exchange contradicts it, but it predicts fewer answers.
    Weakened,
    /// Nothing recorded tells it from the contract: the rule is unproven.
    Survived,
    /// No request at all can tell it from the contract.
    Equivalent,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Caught => "caught",
            Self::Weakened => "weakened",
            Self::Survived => "survived",
            Self::Equivalent => "equivalent",
        })
    }
}

/// What recordings say about one mutant.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The mutant's id.
    pub id: String,
    /// What became of it.
    pub fate: Fate,
    /// Exchanges that contradict it, but not the contract.
    pub wrong: usize,
    /// Exchanges whose answer the contract predicts, and the mutant only admits or does not judge.
    pub vaguer: usize,
    /// Exchanges at which the mutant's guards led elsewhere than the contract's, whether or not the answer shows it.
    pub met: usize,
    /// The first exchange that contradicts it (or that it is vaguer about): place, comment and what differs.
    pub first: Option<Sight>,
}

/// An exchange that tells a mutant from the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// File and entry, counted from 1.
    pub place: String,
    /// Comment of the entry.
    pub comment: String,
    /// What the mutant makes of it.
    pub detail: String,
}

/// Scores every mutant of the contract, in the order of [`Mutant::all`]. Uses all processors.
pub fn score(contract: &Contract, recordings: &[Recording], waivers: &Waivers) -> Vec<Score> {
    race(contract, recordings, waivers, usize::MAX)
}

/// As [`score`], but leaves each mutant at the first exchange that contradicts it: the fates and first differences are the
/// same, the counts are not. Takes about half the time.
pub fn fates(contract: &Contract, recordings: &[Recording], waivers: &Waivers) -> Vec<Score> {
    race(contract, recordings, waivers, 1)
}

/// Follows each mutant until so many exchanges contradict it.
fn race(contract: &Contract, recordings: &[Recording], waivers: &Waivers, enough: usize) -> Vec<Score> {
    let mutants = Mutant::all(contract);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut scores: Vec<(usize, Score)> = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let trials = mutants.iter().enumerate().skip(part).step_by(threads);
                let trials: Vec<(usize, Trial<'_>)> =
                    trials.map(|(index, mutant)| (index, Trial::new(contract, mutant, waivers))).collect();
                scope.spawn(move || run(contract, recordings, waivers, trials, enough))
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    scores.sort_by_key(|(index, _)| *index);
    scores.into_iter().map(|(_, score)| score).collect()
}

/// A mutant on its way through the recordings.
struct Trial<'a> {
    mutant: &'a Mutant,
    contract: Contract,
    waivers: Waivers,
    /// The states of deployments in which they are not the contract's.
    apart: BTreeMap<&'a str, States>,
    score: Score,
}

fn run<'a>(
    contract: &Contract,
    recordings: &'a [Recording],
    waivers: &Waivers,
    mut trials: Vec<(usize, Trial<'a>)>,
    enough: usize,
) -> Vec<(usize, Score)> {
    let mut waivers = waivers.clone();
    let mut deployments: BTreeMap<&str, States> = BTreeMap::new();
    for moment in moments(recordings) {
        let before = deployments.entry(&moment.entry.origin).or_insert_with(|| States::certain(State::default()));
        let judged = judge_exchange(contract, before, &moment, &mut waivers);
        let paths = Paths::of(contract, before, &moment);
        for (_, trial) in trials.iter_mut().filter(|(_, trial)| trial.score.wrong < enough) {
            trial.step(&moment, before, &judged, paths.as_ref());
        }
        *before = judged.states;
    }
    trials.into_iter().map(|(index, trial)| (index, trial.end())).collect()
}

impl<'a> Trial<'a> {
    fn new(contract: &Contract, mutant: &'a Mutant, waivers: &Waivers) -> Self {
        let score = Score { id: mutant.id.clone(), fate: Fate::Survived, wrong: 0, vaguer: 0, met: 0, first: None };
        Self { mutant, contract: mutant.apply(contract), waivers: waivers.clone(), apart: BTreeMap::new(), score }
    }

    fn step(&mut self, moment: &Moment<'a>, before: &States, judged: &Judged, paths: Option<&Paths<'_>>) {
        let origin = moment.entry.origin.as_str();
        let apart = self.apart.get(origin);
        let concerned = paths.filter(|paths| self.mutant.concerns(paths.call.operation));
        let elsewhere = concerned.is_some_and(|paths| paths.may_differ(&self.mutant.change) && paths.differ(&self.contract));
        self.score.met += usize::from(elsewhere);
        // A departure is judged by all entries of the list, not only by those that lead to it.
        let same = !elsewhere && (concerned.is_none() || judged.departures.is_empty());
        if apart.is_none() && same {
            return;
        }
        let own = judge_exchange(&self.contract, apart.unwrap_or(before), moment, &mut self.waivers);
        let contradicted = own.standing == Standing::Wrong && judged.standing != Standing::Wrong;
        let vaguer = judged.standing == Standing::Predicted && matches!(own.standing, Standing::Either | Standing::Abstained(_));
        let first_of_kind = contradicted && self.score.wrong == 0 || vaguer && self.score.first.is_none();
        if first_of_kind {
            let detail = match (&own.standing, own.departures.first()) {
                (_, Some(departure)) => departure.detail.clone(),
                (Standing::Abstained(reason), None) => reason.clone(),
                _ => "one of several answers".to_owned(),
            };
            self.score.first = Some(Sight { place: moment.place(), comment: moment.entry.comment.clone().unwrap_or_default(), detail });
        }
        self.score.wrong += usize::from(contradicted);
        self.score.vaguer += usize::from(vaguer);
        if contradicted || own.states == judged.states {
            self.apart.remove(origin);
        } else {
            self.apart.insert(origin, own.states);
        }
    }

    fn end(self) -> Score {
        let mut score = self.score;
        score.fate = match &score {
            Score { wrong: 1.., .. } => Fate::Caught,
            Score { vaguer: 1.., .. } => Fate::Weakened,
            _ if self.mutant.is_equivalent() => Fate::Equivalent,
            _ => Fate::Survived,
        };
        score
    }
}

/// The entries that decide about a call of a specified operation in each possible state.
struct Paths<'a> {
    call: Call<'a>,
    states: &'a States,
    now: i64,
    by_state: Vec<Vec<(&'a Guard, Truth)>>,
}

impl<'a> Paths<'a> {
    fn of(contract: &'a Contract, states: &'a States, moment: &'a Moment<'_>) -> Option<Self> {
        let request = &moment.entry.request;
        let Route::Operation(operation, path) = route(contract, &request.method, request.path()) else { return None };
        let call = Call::read(operation, path, request);
        let now = moment.now;
        let by_state = states.iter().map(|state| path_of(operation, &Scene { call: &call, state, now })).collect();
        Some(Self { call, states, now, by_state })
    }

    /// Whether a change can matter here at all; spares most of the work of [`Paths::differ`].
    ///
    /// An entry decides by itself, except `not-locked`, which asks how the entries after it will decide.
    fn may_differ(&self, change: &Change) -> bool {
        let decides = |guard: &Guard| self.by_state.iter().flatten().any(|(other, _)| *other == guard);
        let interwoven = || self.call.operation.guards.iter().any(|guard| matches!(guard.kind, GuardKind::NotLocked(_)));
        match change {
            Change::Always(_) => true,
            Change::Drop(guard) => decides(guard) || interwoven(),
            Change::Swap(first, second) => decides(first) || decides(second) || interwoven(),
        }
    }

    /// Whether another contract decides about the call by other entries. If not, it admits the same answers with the
    /// same states afterwards.
    fn differ(&self, other: &Contract) -> bool {
        let Some(operation) = other.operation(&self.call.operation.id) else { return true };
        let call = Call { operation, ..self.call.clone() };
        self.states.iter().zip(&self.by_state).any(|(state, path)| {
            let own = path_of(operation, &Scene { call: &call, state, now: self.now });
            let alike = |((one, holds), (other, held)): (&(&Guard, Truth), &(&Guard, Truth))| {
                holds == held && one.kind == other.kind && one.refusal == other.refusal && one.on_refusal == other.on_refusal
            };
            own.len() != path.len() || !path.iter().zip(&own).all(alike)
        })
    }
}

/// The entries that are, or may be, broken, up to the first that certainly is.
fn path_of<'a>(operation: &'a Operation, scene: &Scene<'_>) -> Vec<(&'a Guard, Truth)> {
    let mut path = Vec::new();
    for guard in &operation.guards {
        let broken = match scene.applies(guard) {
            Truth::No => continue,
            applies => applies.and(scene.holds(&guard.kind).not()),
        };
        if broken != Truth::No {
            path.push((guard, broken));
        }
        if broken == Truth::Yes {
            break;
        }
    }
    path
}

/// The scores as a table for people, those that survived first, and a line of totals.
pub fn table(scores: &[Score]) -> String {
    let mut rows: Vec<&Score> = scores.iter().collect();
    rows.sort_by_key(|score| match score.fate {
        Fate::Survived => 0,
        Fate::Weakened => 1,
        Fate::Equivalent => 2,
        Fate::Caught => 3,
    });
    let width = scores.iter().map(|score| score.id.chars().count()).max().unwrap_or(0).min(72);
    let mut text = format!("{:<10} {:>5} {:>6} {:>5}  {:<width$}  first difference\n", "fate", "wrong", "vaguer", "met", "mutant");
    for score in rows {
        let first = score.first.as_ref().map_or_else(String::new, |sight| format!("{}: {}", sight.place, sight.detail));
        let line = format!("{:<10} {:>5} {:>6} {:>5}  {:<width$}  {first}", score.fate, score.wrong, score.vaguer, score.met, score.id);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let count = |fate| scores.iter().filter(|score| score.fate == fate).count();
    let totals = [Fate::Caught, Fate::Weakened, Fate::Survived, Fate::Equivalent].map(|fate| format!("{} {fate}", count(fate)));
    writeln!(text, "{} mutants: {}", scores.len(), totals.join(", ")).expect("writing to a String does not fail");
    text
}
