//! Judges recorded traffic offline, in order, with state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::har::Recording;
use crate::check::{Deviation, Result as CheckResult, Waivers, judge};
use crate::contract::Contract;
use crate::model::wire::{Answer, Request};
use crate::model::{Entity, Key, Kind, Observation, Relation, State, States, Term, observe, route, Route};

/// Counts of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The one predicted answer came.
    pub predicted: usize,
    /// One of several admitted answers came.
    pub either: usize,
    /// Nothing definite was predicted.
    pub abstained: usize,
    /// Another answer came, and a waiver expects it.
    pub waived: usize,
    /// Another answer came.
    pub wrong: usize,
}

impl Tally {
    /// All exchanges.
    pub const fn total(&self) -> usize {
        self.predicted + self.either + self.abstained + self.waived + self.wrong
    }

    fn add(&mut self, other: Self) {
        self.predicted += other.predicted;
        self.either += other.either;
        self.abstained += other.abstained;
        self.waived += other.waived;
        self.wrong += other.wrong;
    }
}

/// One exchange that departs from the prediction.
#[derive(Debug, Clone)]
pub struct Departure {
    /// Operation.
    pub operation: String,
    /// File and entry, counted from 1.
    pub place: String,
    /// Comment of the entry.
    pub comment: String,
    /// Check and requirement.
    pub judgement: (&'static str, String),
    /// What differs.
    pub deviation: Deviation,
    /// The exact difference, values included.
    pub detail: String,
    /// Whether a waiver expects it.
    pub waived: bool,
}

/// What an inspection found.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// Counts by operation.
    pub operations: BTreeMap<String, Tally>,
    /// Departures in order.
    pub departures: Vec<Departure>,
    /// Reasons for abstaining with their number.
    pub abstentions: BTreeMap<String, usize>,
    /// Exchanges of operations that are not specified.
    pub unspecified: usize,
}

impl Inspection {
    /// Counts over all operations.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.operations.values() {
            total.add(*tally);
        }
        total
    }

    /// The first departure of each cause (same check and same difference), with the number of its exchanges.
    pub fn causes(&self) -> Vec<(&Departure, usize)> {
        let mut causes: Vec<(&Departure, usize)> = Vec::new();
        for departure in &self.departures {
            let same = |(first, _): &&mut (&Departure, usize)| {
                first.judgement.0 == departure.judgement.0 && first.deviation == departure.deviation && first.operation == departure.operation
            };
            match causes.iter_mut().find(same) {
                Some((_, count)) => *count += 1,
                None => causes.push((departure, 1)),
            }
        }
        causes
    }
}

/// Judges recordings in order; they are consecutive parts of one deployment's life.
pub fn inspect(contract: &Contract, recordings: &[Recording], waivers: &mut Waivers) -> Inspection {
    let mut inspection = Inspection::default();
    let mut deployments: BTreeMap<String, States> = BTreeMap::new();
    let mut last = 0;
    for recording in recordings {
        let name = recording.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for entry in &recording.entries {
            let now = entry.started_ms.unwrap_or(last);
            last = now;
            let states = deployments.entry(entry.origin.clone()).or_insert_with(|| States::certain(State::default()));
            let observation = observe(contract, states, &entry.request, &entry.answer, now);
            let Some(operation) = observation.operation.clone() else {
                inspection.unspecified += 1;
                *states = observation.states;
                continue;
            };
            let tally = inspection.operations.entry(operation.clone()).or_default();
            let foreign = foreign_object(contract, states, &entry.request, &observation);
            if let Some(reason) = foreign {
                tally.abstained += 1;
                *inspection.abstentions.entry(reason).or_default() += 1;
                *states = observation.states;
                states.each(|state| adopt(contract, state, &entry.request, &entry.answer));
                continue;
            }
            let mut departed = false;
            let mut all_waived = true;
            for judgement in judge(contract, &entry.request, &entry.answer, &observation) {
                let CheckResult::Fail(deviation) = judgement.result else { continue };
                let waived = waivers.covers(&judgement.requirement, &operation, &deviation).is_some();
                departed = true;
                all_waived &= waived;
                let detail = match &observation.relation {
                    Some(Relation::Different(difference)) => difference.to_string(),
                    _ => format!("expected {}, got {}", deviation.expected, deviation.actual),
                };
                inspection.departures.push(Departure {
                    operation: operation.clone(),
                    place: format!("{name}#{}", entry.index + 1),
                    comment: entry.comment.clone().unwrap_or_default(),
                    judgement: (judgement.check, judgement.requirement),
                    deviation,
                    detail,
                    waived,
                });
            }
            match &observation.relation {
                _ if departed && all_waived => tally.waived += 1,
                _ if departed => tally.wrong += 1,
                Some(Relation::Predicted) => tally.predicted += 1,
                Some(Relation::Either) => tally.either += 1,
                Some(Relation::Abstained(reason)) => {
                    tally.abstained += 1;
                    *inspection.abstentions.entry(reason.clone()).or_default() += 1;
                }
                Some(Relation::Different(_)) | None => tally.wrong += 1,
            }
            *states = observation.states;
        }
    }
    inspection
}

/// Why an answer cannot be judged although it departs: it speaks of something that was made before the recording began.
fn foreign_object(contract: &Contract, states: &States, request: &Request, observation: &Observation) -> Option<String> {
    let Some(Relation::Different(difference)) = &observation.relation else { return None };
    let state = states.first();
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if difference.actual.code.as_deref() == Some("auth.unauthorized") && difference.actual.status.admits(401) && difference.body.is_none() {
        return Some("the token was refused; what ended it is not in the recording".into());
    }
    let (kind, _) = difference.guard.as_ref()?;
    match kind.as_str() {
        "authorization" if bearer.is_some_and(|token| state.find(Kind::Token, token).is_none()) => Some("the token was issued outside the recording".into()),
        "identity-verified" => {
            let id = request.header("logto-verification-id")?;
            state.find(Kind::Record, id).is_none().then(|| "the verification record was made outside the recording".into())
        }
        "exists" => {
            let Route::Operation(_, path) = route(contract, &request.method, request.path()) else { return None };
            let id = path.get("userId")?;
            state.find(Kind::User, id).is_none().then(|| "the user was made outside the recording".into())
        }
        _ => None,
    }
}

/// Takes over what an accepted request shows to exist.
fn adopt(contract: &Contract, state: &mut State, request: &Request, answer: &Answer) {
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if let (401, Some(token)) = (answer.status, bearer) {
        state.update(&Key::new(Kind::Token, token), |token| token.set("alive", false));
    }
    if !(200..300).contains(&answer.status) {
        return;
    }
    let Route::Operation(operation, path) = route(contract, &request.method, request.path()) else { return };
    if let Some(token) = bearer.filter(|token| state.find(Kind::Token, token).is_none()) {
        let usage = match operation.collection {
            crate::contract::Collection::Account => "account",
            crate::contract::Collection::Management => "management",
        };
        let scope = if usage == "management" { Term::Known(json!("all")) } else { Term::Unknown };
        let entity = Entity::default().with("use", usage).with("alive", true).with("expiresAt", Value::Null).with("scope", scope);
        state.insert(Key::new(Kind::Token, token), entity);
    }
    if let (Some(id), Some(json)) = (path.get("userId"), answer.json())
        && state.find(Kind::User, id).is_none()
        && operation.method != "DELETE"
    {
        state.insert(Key::new(Kind::User, id.clone()), Entity::from_json(&json));
    }
}
