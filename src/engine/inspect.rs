//! Judges recorded traffic offline, in order, with state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::crowd::{Order, orders, writes_something};
use super::har::{Recorded, Recording};
use crate::check::{Deviation, Result as CheckResult, Waivers, judge};
use crate::contract::guard::Guard;
use crate::contract::{Collection, Contract};
use crate::model::wire::{Answer, Request};
use crate::model::{Call, Entity, Key, Kind, Observation, Relation, Route, Scene, State, States, Term, Truth, observe, route};
use crate::target::has_symbol;

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
                first.judgement.0 == departure.judgement.0
                    && first.deviation == departure.deviation
                    && first.operation == departure.operation
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
    let mut deployments: BTreeMap<&str, States> = BTreeMap::new();
    for moment in moments(recordings) {
        let states = deployments.entry(&moment.entry.origin).or_insert_with(|| States::certain(State::default()));
        let judged = judge_exchange(contract, states, &moment, waivers);
        *states = judged.states;
        let Some(operation) = judged.operation else {
            inspection.unspecified += 1;
            continue;
        };
        let tally = inspection.operations.entry(operation).or_default();
        match judged.standing {
            Standing::Predicted => tally.predicted += 1,
            Standing::Either => tally.either += 1,
            Standing::Waived => tally.waived += 1,
            Standing::Wrong => tally.wrong += 1,
            Standing::Abstained(reason) => {
                tally.abstained += 1;
                *inspection.abstentions.entry(reason).or_default() += 1;
            }
        }
        inspection.departures.extend(judged.departures);
    }
    inspection
}

/// One recorded exchange with its place and time.
pub(super) struct Moment<'a> {
    pub(super) entry: &'a Recorded,
    file: String,
    /// Milliseconds since 1970; that of the exchange before when the recording does not say it.
    pub(super) now: i64,
    /// Whether the order of the calls that it depends on is known.
    order: Order,
}

impl Moment<'_> {
    /// File and entry, counted from 1.
    pub(super) fn place(&self) -> String {
        format!("{}#{}", self.file, self.entry.index + 1)
    }
}

/// The exchanges of all recordings in order.
pub(super) fn moments(recordings: &[Recording]) -> impl Iterator<Item = Moment<'_>> {
    let mut last = 0;
    let entries = recordings.iter().flat_map(|recording| {
        let file = recording.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        recording.entries.iter().zip(orders(&recording.entries)).map(move |(entry, order)| (file.clone(), entry, order))
    });
    entries.map(move |(file, entry, order)| {
        last = entry.started_ms.unwrap_or(last);
        Moment { entry, file, now: last, order }
    })
}

/// How an exchange stands to the contract.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    Predicted,
    Either,
    Abstained(String),
    Waived,
    Wrong,
}

/// What one exchange came to.
pub(super) struct Judged {
    /// The operation; `None` when it is not specified (the standing then says nothing).
    pub(super) operation: Option<String>,
    pub(super) standing: Standing,
    pub(super) departures: Vec<Departure>,
    /// The states afterwards.
    pub(super) states: States,
}

/// Judges one exchange in the states it meets.
pub(super) fn judge_exchange(contract: &Contract, states: &States, moment: &Moment<'_>, waivers: &mut Waivers) -> Judged {
    let (request, answer) = (&moment.entry.request, &moment.entry.answer);
    let mut observation = observe(contract, states, request, answer, moment.now);
    // What a read shows may be older than the writes beside it, and what lost a race changed nothing.
    let older = moment.order == Order::Beside && !writes_something(moment.entry);
    let refused = (400..500).contains(&answer.status) && matches!(observation.relation, Some(Relation::Different(_)));
    if older || refused && moment.order != Order::Known {
        observation.states = states.clone();
    }
    let Some(operation) = observation.operation.clone() else {
        return Judged { operation: None, standing: Standing::Predicted, departures: Vec::new(), states: observation.states };
    };
    if let Some(reason) = foreign_object(contract, states, request, moment.now, &observation) {
        let mut states = observation.states;
        states.each(|state| adopt(contract, state, request, answer));
        return Judged { operation: Some(operation), standing: Standing::Abstained(reason), departures: Vec::new(), states };
    }
    let mut departures = Vec::new();
    for judgement in judge(contract, request, answer, &observation) {
        let CheckResult::Fail(deviation) = judgement.result else { continue };
        // Recordings are trimmed: a header that is not there may have been there.
        if judgement.check == "headers" && deviation.actual == "none" {
            continue;
        }
        // Nor has a symbol the shape of what it stands for.
        if judgement.check == "schema" && has_symbol(&answer.body) {
            continue;
        }
        let waived = waivers.covers(&judgement.requirement.id, &operation, &deviation).is_some();
        let detail = match &observation.relation {
            Some(Relation::Different(difference)) => difference.to_string(),
            _ => format!("expected {}, got {}", deviation.expected, deviation.actual),
        };
        departures.push(Departure {
            operation: operation.clone(),
            place: moment.place(),
            comment: moment.entry.comment.clone().unwrap_or_default(),
            judgement: (judgement.check, judgement.requirement.id.clone()),
            deviation,
            detail,
            waived,
        });
    }
    if let Some(doubt) = doubt(moment).filter(|_| !departures.is_empty()) {
        let standing = Standing::Abstained(doubt.into());
        return Judged { operation: Some(operation), standing, departures: Vec::new(), states: observation.states };
    }
    let standing = match observation.relation {
        _ if !departures.is_empty() && departures.iter().all(|departure| departure.waived) => Standing::Waived,
        _ if !departures.is_empty() => Standing::Wrong,
        Some(Relation::Predicted) => Standing::Predicted,
        Some(Relation::Either) => Standing::Either,
        Some(Relation::Abstained(reason)) => Standing::Abstained(reason),
        Some(Relation::Different(_)) | None => Standing::Wrong,
    };
    Judged { operation: Some(operation), standing, departures, states: observation.states }
}

/// Why a departure of the exchange would say nothing about the deployment.
fn doubt(moment: &Moment<'_>) -> Option<&'static str> {
    let hides = hides(&moment.entry.request, &moment.entry.answer).then_some("the recording hides a value that may decide");
    hides.or((moment.order != Order::Known).then_some("calls were under way together, and the recording does not tell which arrived first"))
}

/// Whether a symbol stands in place of a value that may decide. Of tokens and proofs it is enough that equal ones are equal.
fn hides(request: &Request, answer: &Answer) -> bool {
    let decides = |name: &str| !["authorization", "logto-verification-id", "cookie"].contains(&name);
    let headers = request.headers.iter().filter(|(name, _)| decides(name));
    let mut parts = headers.map(|(_, value)| value.as_bytes()).chain([request.target.as_bytes(), &request.body, &answer.body]);
    parts.any(has_symbol)
}

/// Why an answer cannot be judged although it departs: it speaks of something that was made before the recording began.
fn foreign_object(contract: &Contract, states: &States, request: &Request, now: i64, observation: &Observation) -> Option<String> {
    let Some(Relation::Different(difference)) = &observation.relation else { return None };
    let state = states.first();
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let refused =
        difference.actual.code.as_deref() == Some("auth.unauthorized") && difference.actual.status.admits(401) && difference.body.is_none();
    if refused && might_open(contract, state, request, now) {
        return Some("the token was refused; what ended it is not in the recording".into());
    }
    let (kind, _) = difference.guard.as_ref()?;
    match kind.as_str() {
        "authorization" if bearer.is_some_and(|token| state.find(Kind::Token, token).is_none()) => {
            Some("the token was issued outside the recording".into())
        }
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

/// Whether `401 auth.unauthorized` can only mean that a token of the right kind is dead: no entry of the operation itself
/// answers so here.
fn might_open(contract: &Contract, state: &State, request: &Request, now: i64) -> bool {
    let Route::Operation(operation, path) = route(contract, &request.method, request.path()) else { return false };
    let call = Call::read(operation, path, request);
    let fits = call.token(state).is_some_and(|token| token.known("use").is_none_or(|known| known == usage(operation.collection)));
    let scene = Scene { call: &call, state, now };
    let says_so = |guard: &Guard| guard.refusal().status.admits(401) && guard.refusal().code.as_deref() == Some("auth.unauthorized");
    fits && !operation
        .own_guards()
        .any(|guard| says_so(guard) && scene.applies(guard) == Truth::Yes && scene.holds(&guard.kind) == Truth::No)
}

/// The use of tokens that open a collection.
const fn usage(collection: Collection) -> &'static str {
    match collection {
        Collection::Account => "account",
        Collection::Management => "management",
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
        let usage = usage(operation.collection);
        let scope = if usage == "management" { Term::Known(json!("all")) } else { Term::Unknown };
        let entity = Entity::default().with("use", usage).with("alive", true).with("expiresAt", Value::Null).with("scope", scope);
        state.insert(Key::new(Kind::Token, token), entity);
    }
    if let (Some(id), Some(json)) = (path.get("userId"), answer.json())
        && state.find(Kind::User, id).is_none()
        && operation.method != "DELETE"
    {
        state.insert(Key::new(Kind::User, id.clone()), Entity::from_json(json));
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
