//! `predict`: what a conforming deployment must answer in a state.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;
use super::effect::{self, UNBORN};
use super::guard::{Scene, has_security_method, scopes};
use super::pattern::{Member, Pattern, Teaching, Why};
use super::route::{Route, route};
use super::rules::is_truthy;
use super::state::{Entity, Fresh, Key, Kind, State, Term, Truth};
use super::wire::Request;
use crate::contract::guard::{RefusalEffect, Status};
use crate::contract::{Contract, Operation, Outcome};

/// One answer that the contract admits.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// Status and code.
    pub outcome: Outcome,
    /// Index of the broken guard; `None` for the success and for the router's answers.
    pub guard: Option<usize>,
    /// The body.
    pub body: Pattern,
    /// The state afterwards; ids made up by the deployment are still unborn.
    pub next: State,
}

/// All answers that the contract admits for a request in one state.
#[derive(Debug, Clone)]
pub struct Prediction<'a> {
    /// The call, when the request names a specified operation.
    pub call: Option<Call<'a>>,
    /// Admitted answers, in the order of the guards; the success last. Empty when nothing is predicted.
    pub alternatives: Vec<Alternative>,
    /// Why more than one answer is admitted although the deployment knows better.
    pub unknown: Option<String>,
}

impl Prediction<'_> {
    /// The only admitted answer, if there is exactly one.
    pub fn certain(&self) -> Option<&Alternative> {
        match self.alternatives.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The operation.
    pub fn operation(&self) -> Option<&Operation> {
        self.call.as_ref().map(|call| call.operation)
    }
}

/// Predicts the answer to a request in a state at a moment (milliseconds since 1970).
pub fn predict<'a>(contract: &'a Contract, state: &State, request: &'a Request, now: i64) -> Prediction<'a> {
    let router = |status| Prediction {
        call: None,
        alternatives: vec![Alternative {
            outcome: Outcome { status: Status::Exact(status), code: None },
            guard: None,
            body: Pattern::Any,
            next: state.clone(),
        }],
        unknown: None,
    };
    match route(contract, &request.method, request.path()) {
        Route::NotFound(_) => router(404),
        Route::MethodNotAllowed(_) => router(405),
        Route::NotImplemented => router(501),
        Route::Elsewhere(..) => Prediction { call: None, alternatives: Vec::new(), unknown: None },
        Route::Operation(operation, path) => predict_call(Call::read(operation, path, request), state, now),
    }
}

fn predict_call<'a>(call: Call<'a>, state: &State, now: i64) -> Prediction<'a> {
    let mut alternatives = Vec::new();
    let mut unknown = None;
    let scene = Scene { call: &call, state, now };
    let mut refused = false;
    for (index, guard) in call.operation.guards.iter().enumerate() {
        let broken = match scene.applies(guard) {
            Truth::No => continue,
            applies => applies.and(scene.holds(&guard.kind).not()),
        };
        if broken == Truth::No {
            continue;
        }
        alternatives.push(Alternative {
            outcome: guard.refusal().into(),
            guard: Some(index),
            body: Pattern::Any,
            next: after_refusal(&call, state, &guard.on_refusal),
        });
        if broken == Truth::Unknown {
            unknown.get_or_insert_with(|| format!("{} cannot be told from what was seen", guard.label()));
        }
        if broken == Truth::Yes {
            refused = true;
            break;
        }
    }
    if !refused {
        alternatives.push(success(&call, state, now));
    }
    Prediction { call: Some(call), alternatives, unknown }
}

fn after_refusal(call: &Call<'_>, state: &State, effects: &[RefusalEffect]) -> State {
    let mut next = state.clone();
    for effect in effects {
        match effect {
            RefusalEffect::CountFailure => {
                if let Some(caller) = call.caller(state) {
                    next.update(&caller, |user| {
                        let failures =
                            user.known("failures").and_then(Value::as_u64).map_or(Term::Unknown, |count| Term::Known((count + 1).into()));
                        user.set("failures", failures);
                    });
                }
            }
        }
    }
    next
}

/// The successful answer, whether or not the guards admit it.
pub fn success(call: &Call<'_>, state: &State, now: i64) -> Alternative {
    let operation = call.operation;
    let mut next = state.clone();
    let created = operation.effect.and_then(|effect| effect::apply(effect, call, &mut next, now));
    let schema = operation.responses.get(&operation.answer.status).and_then(Option::as_ref);
    let body = match (&operation.answer.body, schema) {
        (Some((entity, property)), Some(schema)) => {
            let key = match entity.as_str() {
                "caller" => call.caller(state),
                "user" => call.subject(),
                "created" => created,
                "account-center" => Some(Key::account_center()),
                _ => None,
            };
            View { call, state: &next }.body(key, property.as_deref(), schema.raw())
        }
        (None, None) if operation.answer.status == 204 => Pattern::Empty,
        _ => Pattern::Any,
    };
    Alternative { outcome: Outcome { status: Status::Exact(operation.answer.status), code: None }, guard: None, body, next }
}

/// Builds body patterns from entities and response schemas.
struct View<'a> {
    call: &'a Call<'a>,
    state: &'a State,
}

impl View<'_> {
    fn body(&self, key: Option<Key>, property: Option<&str>, schema: &Value) -> Pattern {
        let entity = key.as_ref().and_then(|key| self.state.get(key));
        match (property, key, entity) {
            (Some(property), Some(key), Some(entity)) => {
                let (term, whole) = self.filter(&user_property(entity, property), schema);
                Pattern::Leaf { term, teaches: whole.then(|| (key, Teaching::Property(property.to_owned()))) }
            }
            (None, Some(key), Some(entity)) => self.object(&key, entity, schema),
            (None, _, _) => self.stranger(schema),
            _ => Pattern::Any,
        }
    }

    fn object(&self, key: &Key, entity: &Entity, schema: &Value) -> Pattern {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut members = BTreeMap::new();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let (term, whole) = self.filter(&user_property(entity, name), inner);
            let identity = key.id == UNBORN && matches!(term, Term::Fresh(fresh) if !matches!(fresh, Fresh::Now | Fresh::IsoAfter(_)));
            let teaching = if identity { Teaching::Identity(name.clone()) } else { Teaching::Property(name.clone()) };
            let leaf = |term: &Term| Pattern::Leaf { term: term.clone(), teaches: whole.then(|| (key.clone(), teaching.clone())) };
            let member = match inner.get("x-shown").map(|rule| self.shown(rule)) {
                Some(Truth::No) => Member::Withheld(self.why(inner)),
                Some(Truth::Yes) => Member::Present(leaf(&term)),
                Some(_) => Member::Optional(leaf(&term)),
                None if required.contains(&name.as_str()) => Member::Present(leaf(&term)),
                None => match &term {
                    Term::Known(Value::Null) => Member::Withheld(Why::Level),
                    Term::Unknown => Member::Optional(leaf(&term)),
                    _ => Member::Present(leaf(&term)),
                },
            };
            members.insert(name.clone(), member);
        }
        Pattern::Object(members)
    }

    /// Nobody knows whose data this is: the answer may tell.
    fn stranger(&self, schema: &Value) -> Pattern {
        let mut members = BTreeMap::new();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let token = self.call.bearer().map(|token| Key::new(Kind::Token, token));
            let teaches = token.filter(|_| name == "id").map(|token| (token, Teaching::Property("user".into())));
            let leaf = Pattern::Leaf { term: Term::Unknown, teaches };
            let withheld = inner.get("x-shown").is_some_and(|rule| self.shown(rule) == Truth::No);
            members.insert(name.clone(), if withheld { Member::Withheld(self.why(inner)) } else { Member::Optional(leaf) });
        }
        Pattern::Object(members)
    }

    /// A term without the nested properties that are withheld; whether it is still whole.
    fn filter(&self, term: &Term, schema: &Value) -> (Term, bool) {
        let nested = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let hidden: Vec<&String> = nested
            .filter(|(_, inner)| inner.get("x-shown").is_some_and(|rule| self.shown(rule) != Truth::Yes))
            .map(|(name, _)| name)
            .collect();
        match term {
            Term::Known(Value::Object(object)) if !hidden.is_empty() => {
                let kept = object.iter().filter(|(name, _)| !hidden.contains(name)).map(|(name, value)| (name.clone(), value.clone()));
                (Term::Known(Value::Object(kept.collect())), false)
            }
            other => (other.clone(), hidden.is_empty()),
        }
    }

    fn why(&self, schema: &Value) -> Why {
        if schema.get("x-shown").is_some_and(|rule| self.scoped(rule) == Truth::No) { Why::Scope } else { Why::Level }
    }

    fn scoped(&self, rule: &Value) -> Truth {
        rule.get("scope").and_then(Value::as_str).map_or(Truth::Yes, |scope| {
            Truth::maybe(
                self.call.token(self.state).and_then(|token| token.known("scope")).map(|have| scopes(have).any(|have| have == scope)),
            )
        })
    }

    fn shown(&self, rule: &Value) -> Truth {
        let text = |name: &str| rule.get(name).and_then(Value::as_str);
        let scope = self.scoped(rule);
        let field = text("field").map_or(Truth::Yes, |field| Truth::maybe(self.state.level(field).map(|level| level != "Off")));
        let query = text("query").map_or(Truth::Yes, |name| Truth::of(self.call.query.get(name).is_some_and(|value| is_truthy(value))));
        scope.and(field).and(query)
    }
}

/// A property of an entity, derived ones included.
fn user_property(entity: &Entity, name: &str) -> Term {
    if name == "hasSecurityVerificationMethod" {
        return match has_security_method(entity) {
            Truth::Yes => Term::Known(true.into()),
            Truth::No => Term::Known(false.into()),
            _ => Term::Unknown,
        };
    }
    entity.get(name).clone()
}
