//! `observe`: what an answer says about the states a deployment may be in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::pattern::{Lesson, Mismatch, Teaching, brief};
use super::predict::{Alternative, Prediction, predict, successes};
use super::route::{Route, route};
use super::session;
use super::state::{Entity, Key, Kind, State, States, Term};
use super::wire::{Answer, Request};
use crate::contract::guard::Status;
use crate::contract::{Contract, Outcome};

/// How an answer relates to the prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    /// The one admitted answer.
    Predicted,
    /// One of several admitted answers (a lost answer, a race, a limit in time).
    Either,
    /// Nothing definite was predicted, and why.
    Abstained(String),
    /// Not admitted.
    Different(Box<Difference>),
}

/// How an answer departs from what the contract admits.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The operation; `None` where the router answers.
    pub operation: Option<String>,
    /// The admitted answer nearest to what was seen.
    pub expected: Outcome,
    /// The guard expected to refuse, as kind and label.
    pub guard: Option<(String, String)>,
    /// What was seen.
    pub actual: Outcome,
    /// Where the body departs, when status and code are right.
    pub body: Option<Mismatch>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mismatch) = &self.body {
            mismatch.fmt(f)
        } else {
            write!(f, "expected {}", self.expected)?;
            if let Some((_, label)) = &self.guard {
                write!(f, " ({label})")?;
            }
            write!(f, ", got {}", self.actual)
        }
    }
}

/// What was made of one exchange.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The operation; `None` when the request names no specified one.
    pub operation: Option<String>,
    /// How the answer relates to the prediction; `None` when nothing was predicted.
    pub relation: Option<Relation>,
    /// The admitted outcome that was seen, with the index of the guard that refused.
    pub matched: Option<(Outcome, Option<usize>)>,
    /// The states afterwards.
    pub states: States,
}

/// Compares an answer with what each possible state admits, and keeps the states that explain it.
pub fn observe(contract: &Contract, states: &States, request: &Request, answer: &Answer, now: i64) -> Observation {
    let seen = Seen::read(request, answer);
    let predictions: Vec<(&State, Prediction<'_>)> = states.iter().map(|state| (state, predict(contract, state, request, now))).collect();
    let operation = predictions.first().and_then(|(_, prediction)| prediction.operation()).map(|operation| operation.id.clone());
    if predictions.iter().all(|(_, prediction)| prediction.alternatives.is_empty()) {
        let mut states = states.clone();
        states.each(|state| learn_elsewhere(contract, state, request, answer));
        return Observation { operation: None, relation: None, matched: None, states };
    }
    let mut kept: Vec<(State, (Outcome, Option<usize>))> = Vec::new();
    let mut nearest: Option<Difference> = None;
    let mut unknown = None;
    let mut admitted = 0_usize;
    for (state, prediction) in &predictions {
        unknown = unknown.or_else(|| prediction.unknown.clone());
        let before = kept.len();
        for alternative in &prediction.alternatives {
            admitted += 1;
            match seen.compare(alternative) {
                Ok(lessons) => {
                    kept.push((learn(alternative.next.clone(), &lessons), (alternative.outcome.clone(), alternative.guard)));
                }
                Err(body) => {
                    let closer = match (&nearest, &body) {
                        (None, _) => true,
                        (Some(found), body) => found.body.is_none() && (body.is_some() || alternative.guard.is_none()),
                    };
                    if closer {
                        let guard = alternative.guard.and_then(|index| prediction.operation().map(|operation| &operation.guards[index]));
                        nearest = Some(Difference {
                            operation: operation.clone(),
                            expected: alternative.outcome.clone(),
                            guard: guard.map(|guard| (guard.kind.name().to_owned(), guard.label())),
                            actual: seen.outcome(),
                            body,
                        });
                    }
                }
            }
        }
        // Of several refusals by what was never seen, the answer does not tell which it was: nothing is learnt, and the
        // states do not multiply. (One refusal alone may leave two states.)
        let guards: BTreeSet<Option<usize>> = kept[before..].iter().map(|(_, (_, guard))| *guard).collect();
        if prediction.unknown.is_some() && guards.len() > 1 && !guards.contains(&None) {
            kept.truncate(before + 1);
            kept[before].0 = (*state).clone();
        }
    }
    if let Some((_, matched)) = kept.first().cloned() {
        let relation = match unknown {
            Some(reason) => Relation::Abstained(reason),
            None if admitted > predictions.len() || predictions.len() > 1 && admitted > 1 => Relation::Either,
            None => Relation::Predicted,
        };
        let states = States::any_of(kept.into_iter().map(|(state, _)| state).collect());
        return Observation { operation, relation: Some(relation), matched: Some(matched), states };
    }
    let recovered = predictions.iter().map(|(state, prediction)| recover(state, prediction, &seen, now)).collect();
    let relation = match nearest {
        Some(difference) => Relation::Different(Box::new(difference)),
        None => Relation::Abstained("nothing is predicted".into()),
    };
    Observation { operation, relation: Some(relation), matched: None, states: States::any_of(recovered) }
}

/// The states after a request whose answer was lost: each admitted effect may have happened, or none.
pub fn observe_nothing(contract: &Contract, states: &States, request: &Request, now: i64) -> States {
    let mut open: Vec<State> = states.iter().cloned().collect();
    for state in states.iter() {
        open.extend(predict(contract, state, request, now).alternatives.into_iter().map(|alternative| alternative.next));
    }
    States::any_of(open)
}

/// The state after an admitted answer was given with this body: what the body shows is bound into it.
pub fn accept(alternative: &Alternative, body: Option<&Value>) -> Result<State, Mismatch> {
    let lessons = alternative.body.matches(body)?;
    Ok(learn(alternative.next.clone(), &lessons))
}

/// An answer as the comparison needs it.
struct Seen<'a> {
    answer: &'a Answer,
    json: Option<&'a Value>,
    bodiless: bool,
}

impl<'a> Seen<'a> {
    fn read(request: &Request, answer: &'a Answer) -> Self {
        let not_modified = answer.status == 304 && request.header("if-none-match").is_some();
        Self { answer, json: answer.json(), bodiless: request.method == "HEAD" || not_modified }
    }

    fn outcome(&self) -> Outcome {
        Outcome { status: Status::Exact(self.answer.status), code: self.code().map(str::to_owned) }
    }

    fn code(&self) -> Option<&str> {
        self.json.and_then(|json| json.get("code")).and_then(Value::as_str)
    }

    /// `Err(None)`: status or code differ. `Err(Some(…))`: only the body differs.
    fn compare(&self, alternative: &Alternative) -> Result<Vec<Lesson>, Option<Mismatch>> {
        let expected = &alternative.outcome;
        let unmodified = self.answer.status == 304 && self.bodiless && expected.status == Status::Exact(200);
        if !expected.status.admits(self.answer.status) && !unmodified {
            return Err(None);
        }
        if self.bodiless {
            return Ok(Vec::new());
        }
        let refused = alternative.guard.is_some() || self.answer.status >= 400;
        if refused {
            return if expected.admits(self.answer.status, self.code()) { Ok(Vec::new()) } else { Err(None) };
        }
        let body = if self.answer.body.is_empty() { None } else { self.json };
        alternative.body.matches(body).map_err(Some)
    }
}

/// Writes what an answer taught into a state.
fn learn(mut state: State, lessons: &[Lesson]) -> State {
    let mut born = BTreeMap::new();
    for lesson in lessons {
        if let (Teaching::Identity(property), Some(id)) = (&lesson.teaching, lesson.value.as_str()) {
            state.update(&lesson.key, |entity| entity.set(property.clone(), lesson.value.clone()));
            match born.get(&lesson.key) {
                // A second made-up text is a property like others.
                Some(known) => state.update(known, |entity| entity.set(property.clone(), lesson.value.clone())),
                None => drop(born.insert(lesson.key.clone(), state.rename(&lesson.key, id))),
            }
        }
    }
    for lesson in lessons {
        match &lesson.teaching {
            Teaching::Member(kind) if session::naming(*kind).is_some() => {
                if let Some(entity) = session::adopted(*kind, &lesson.value) {
                    session::adopt(*kind, entity.with("owner", lesson.key.id.as_str()), &mut state);
                }
            }
            Teaching::Member(kind) => {
                let entity = Entity::from_json(&lesson.value).with("owner", lesson.key.id.as_str());
                let key = lesson.value.get("id").and_then(Value::as_str).map(|id| Key::new(*kind, id));
                state.insert(key.unwrap_or_else(|| Key::unborn(*kind, &state)), entity);
            }
            Teaching::All(kind) => {
                session::forget_anonymous(*kind, &lesson.key, &mut state);
                state.told_all(*kind, &lesson.key);
            }
            Teaching::Some(kind) => session::may_have_been_shown(*kind, &lesson.key, &mut state),
            Teaching::Property(_) | Teaching::Identity(_) => {}
        }
        let Teaching::Property(property) = &lesson.teaching else { continue };
        let key = born.get(&lesson.key).unwrap_or(&lesson.key).clone();
        // Most answers show what is known already.
        let known = property != "hasPassword" && state.get(&key).and_then(|entity| entity.known(property)) == Some(&lesson.value);
        if property == "hasSecurityVerificationMethod" || known {
            continue;
        }
        if key.kind == Kind::Settings && state.get(&key).is_none() {
            state.insert(key.clone(), Entity::default());
        }
        state.update(&key, |entity| {
            if property == "hasPassword" && lesson.value == false {
                entity.set("password", Value::Null);
            }
            entity.set(property.clone(), lesson.value.clone());
        });
        if key.kind == Kind::Token
            && property == "user"
            && let Some(id) = lesson.value.as_str()
        {
            session::learn_owner(&key, id, &mut state);
            let user = Key::new(Kind::User, id);
            if state.get(&user).is_none() {
                state.insert(user, Entity::default().with("id", lesson.value.clone()));
            }
        }
    }
    state
}

/// After an answer that nothing admits: what it touched is no longer known, what it plainly says is.
fn recover(state: &State, prediction: &Prediction<'_>, seen: &Seen<'_>, now: i64) -> State {
    let Some(call) = &prediction.call else { return state.clone() };
    let mut next = state.clone();
    if (200..300).contains(&seen.answer.status) {
        let accepted = successes(call, state, now);
        let nearest = accepted.iter().find(|alternative| alternative.outcome.status.admits(seen.answer.status)).or(accepted.first());
        if let Some(accepted) = nearest {
            next = match accepted.body.matches(seen.json) {
                Ok(lessons) => learn(accepted.next.clone(), &lessons),
                Err(_) => accepted.next.clone(),
            };
        }
        for key in next.changed_since(state).iter().filter(|key| key.is_unborn()) {
            next.remove(key);
        }
    }
    // Whatever a call is refused with that had to be refused, it leaves nothing behind.
    let refused = prediction.unknown.is_none() && prediction.alternatives.iter().all(|alternative| alternative.guard.is_some());
    if (call.operation.writes() && !(refused && seen.answer.status >= 400)) || (200..300).contains(&seen.answer.status) {
        for key in [call.caller(state), call.subject()].into_iter().flatten() {
            // Where the deployment failed it hardly did anything that others would meet.
            next.update(&key, if seen.answer.status >= 500 { Entity::forget_all } else { Entity::doubt });
        }
        for name in call.operation.settings() {
            next.update(&Key::new(Kind::Settings, name), Entity::forget_all);
        }
    }
    next
}

/// What traffic outside the specified operations teaches and unteaches (`sightings.yaml`).
fn learn_elsewhere(contract: &Contract, state: &mut State, request: &Request, answer: &Answer) {
    if !(200..300).contains(&answer.status) {
        return;
    }
    let Route::Elsewhere(Some(index), path) = route(contract, &request.method, request.path()) else { return };
    let sighting = &contract.sightings[index];
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let caller = bearer.and_then(|token| state.find(Kind::Token, token)).and_then(|token| token.text("user").flatten().map(str::to_owned));
    for target in &sighting.forgets {
        let (entity, property) = target.split_once('.').unwrap_or((target, ""));
        let id = match entity {
            "caller" | "caller-tokens" => caller.clone(),
            "user" | "user-tokens" => path.get("userId").cloned(),
            _ => None,
        };
        // Counters only ever go back to zero here: what is zero stays zero.
        let forget = |user: &mut Entity| match property {
            "" => user.forget_all(),
            "failures" if user.known("failures").is_some_and(|count| count == 0) => {}
            _ => user.set(property, Term::Unknown),
        };
        match (entity, id) {
            ("users", _) => state.update_all(Kind::User, |_| true, forget),
            ("account-center", _) => state.update(&Key::account_center(), forget),
            ("factors", _) => state.update_all(Kind::Factor, |_| true, forget),
            ("profile-fields", _) => state.update_all(Kind::CustomProfileField, |_| true, forget),
            ("tenant", _) => state.update(&Key::tenant(), forget),
            ("caller-tokens" | "user-tokens", Some(id)) => {
                state.update_all(Kind::Token, |token| token.text("user") == Some(Some(&id)), forget);
            }
            (_, Some(id)) => {
                state.update(&Key::new(Kind::User, id.clone()), forget);
                state.update(&Key::new(Kind::User, id), |user| user.set("updatedAt", Term::Unknown));
            }
            _ => {}
        }
    }
    let Some(json) = answer.json() else { return };
    for (kind, id_key) in &sighting.learns {
        let id = json.get(id_key).and_then(Value::as_str).map(str::to_owned);
        let mut entity = Entity::from_json(json);
        for (name, value) in &sighting.with {
            entity.set(name.clone(), value.clone());
        }
        match (kind.as_str(), id) {
            ("sign-in", Some(_)) => remember_sign_in(state, request),
            ("record", Some(id)) => state.insert(Key::new(Kind::Record, id), entity),
            ("connector", Some(id)) => state.insert(Key::new(Kind::Connector, id), entity),
            _ => {}
        }
    }
}

/// Remembers who proved a password at sign-in, so that the next authorization code can be attributed.
fn remember_sign_in(state: &mut State, request: &Request) {
    let Some(body) = super::json::parse(&request.body).ok() else { return };
    let (Some(kind), Some(value)) = (body.pointer("/identifier/type").and_then(Value::as_str), body.pointer("/identifier/value")) else {
        return;
    };
    let property = match kind {
        "email" => "primaryEmail",
        "phone" => "primaryPhone",
        _ => "username",
    };
    let who = state.all(Kind::User).find(|(_, user)| user.known(property) == Some(value)).map(|(id, _)| Value::from(id));
    let key = Key::pending_sign_ins();
    let mut pending = state.settings(&key).known("users").and_then(Value::as_array).cloned().unwrap_or_default();
    pending.push(who.unwrap_or_default());
    state.insert(key, Entity::default().with("users", Value::Array(pending)));
}

/// A short description of an answer for people.
pub fn describe(answer: &Answer) -> String {
    match answer.json() {
        Some(json) => match json.get("code").and_then(Value::as_str) {
            Some(code) => format!("{} {code}", answer.status),
            None => format!("{} {}", answer.status, brief(json)),
        },
        None => answer.status.to_string(),
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
