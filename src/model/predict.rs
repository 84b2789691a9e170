//! `predict`: what a conforming deployment must answer in a state.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;
use super::effect;
use super::guard::{Scene, before, has_security_method, scopes};
use super::message;
use super::pattern::{ListPattern, Member, Pattern, Teaching, Why};
use super::route::{Route, route};
use super::select::{owner_of, targets};
use super::session;
use super::state::{Entity, Key, Kind, State, Term, Truth};
use super::wire::Request;
use crate::contract::answer::{AnswerSpec, ListSource, MemberSource, Source};
use crate::contract::guard::{Paging, RefusalEffect, Status};
use crate::contract::{Contract, Operation, Outcome, Schema};

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
            next: after_refusal(&call, state, &guard.on_refusal, now),
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
        let admitted = successes(&call, state, now);
        if admitted.len() > 1 {
            unknown.get_or_insert_with(|| "which of its successes it is cannot be told from what was seen".to_owned());
        }
        alternatives.extend(admitted);
    }
    Prediction { call: Some(call), alternatives, unknown }
}

fn after_refusal(call: &Call<'_>, state: &State, effects: &[RefusalEffect], now: i64) -> State {
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
            RefusalEffect::CountTry => message::count_try(call, &mut next),
            RefusalEffect::MakeCode => message::make_code(call, &mut next, now),
        }
    }
    next
}

/// The successful answers, whether or not the guards admit them; several when what decides between them is not known.
pub fn successes(call: &Call<'_>, state: &State, now: i64) -> Vec<Alternative> {
    let scene = Scene { call, state, now };
    let mut admitted = Vec::new();
    for answer in &call.operation.answers {
        let applies = answer.when.as_ref().map_or(Truth::Yes, |when| scene.fits(when));
        if applies != Truth::No {
            admitted.push(success(call, state, answer, now));
        }
        if applies == Truth::Yes {
            break;
        }
    }
    admitted
}

fn success(call: &Call<'_>, state: &State, answer: &AnswerSpec, now: i64) -> Alternative {
    let mut next = state.clone();
    let created = effect::apply(call, &mut next, now);
    let schema = call.operation.responses.get(&answer.status).and_then(Option::as_ref).map(Schema::raw);
    let view = View { call, state: &next, now };
    let body = match (&answer.body, schema) {
        (Some(source), Some(schema)) => view.source(source, &created, schema),
        (None, None) if answer.status == 204 => Pattern::Empty,
        _ => Pattern::Any,
    };
    Alternative { outcome: Outcome { status: Status::Exact(answer.status), code: None }, guard: None, body, next }
}

/// Builds body patterns from entities and response schemas.
struct View<'a> {
    call: &'a Call<'a>,
    state: &'a State,
    /// Milliseconds since 1970.
    now: i64,
}

impl View<'_> {
    fn source(&self, source: &Source, created: &[Key], schema: &Value) -> Pattern {
        match source {
            Source::Target(target, property) => {
                let keys = targets(self.call, self.state, target);
                self.body(keys.into_iter().next(), property.as_deref(), schema)
            }
            Source::Created => self.body(created.first().cloned(), None, schema),
            Source::List(list) => {
                let inner = list.under.as_ref().map_or(Some(schema), |name| schema.pointer(&format!("/properties/{name}")));
                let items = self.list(list, inner.and_then(|schema| schema.get("items")).unwrap_or(&Value::Null));
                match &list.under {
                    Some(name) => Pattern::Object(BTreeMap::from([(name.clone(), Member::Present(items))])),
                    None => items,
                }
            }
            Source::Object(members) => {
                let members = members.iter().map(|(name, source)| {
                    let pattern = match source {
                        MemberSource::Any => Pattern::Any,
                        MemberSource::Value(value) => self.call.value(value).map_or(Pattern::Any, Pattern::exactly),
                    };
                    (name.clone(), Member::Present(pattern))
                });
                Pattern::Object(members.collect())
            }
        }
    }

    /// What a list shows. Pages are predicted only where everything fits on the first one.
    fn list(&self, list: &ListSource, schema: &Value) -> Pattern {
        let owner = match &list.of {
            Some(owner) => match owner_of(self.call, self.state, list.kind, owner) {
                Some(owner) => Some(owner),
                None => return Pattern::Any,
            },
            None => None,
        };
        let belongs = |entity: &Entity| {
            entity.exists() && owner.as_ref().is_none_or(|owner| entity.text("owner").is_some_and(|id| id == Some(&owner.id)))
        };
        let complete = self.state.knows_all(list.kind, owner.as_ref());
        let filters: Vec<(&str, String)> =
            list.filters.iter().filter_map(|(name, value)| Some((name.as_str(), self.call.text(value)?))).collect();
        let mut shown: Vec<(Key, &Entity)> = Vec::new();
        for (id, entity) in self.state.all(list.kind).filter(|(_, entity)| belongs(entity)) {
            // Among others that are not known yet, one that was never shown cannot be told apart.
            if !complete && session::is_anonymous(list.kind, entity) {
                continue;
            }
            match self.passes(list.kind, entity, &filters) {
                Truth::Yes => shown.push((Key::new(list.kind, id), entity)),
                Truth::No => {}
                Truth::Unknown | Truth::Near => return Pattern::Any,
            }
        }
        shown.sort_by_key(|(key, entity)| session::rank(list.kind, key, entity));
        let asks = |name: &str| self.call.query.get(name).is_some_and(|text| !text.is_empty());
        let paged = list.paged == Some(Paging::Required) || list.paged.is_some() && (asks("page") || asks("page_size"));
        if paged && (owner.is_none() || !complete || asks("page") || asks("page_size") || shown.len() > DEFAULT_PAGE) {
            return Pattern::Any;
        }
        let current = list.current.as_deref();
        let items = shown.iter().map(|(key, entity)| self.listed(key, entity, current, schema)).collect();
        let by = session::naming(list.kind).map(|_| session::ORDER);
        // Whatever else the tenant has is nobody's business.
        let complete = complete && owner.is_some();
        Pattern::List(ListPattern { items, complete, of: (list.kind, owner), by, partial: !filters.is_empty() })
    }

    /// Whether a list with these filters shows an entity.
    fn passes(&self, kind: Kind, entity: &Entity, filters: &[(&str, String)]) -> Truth {
        let filtered = filters.iter().fold(Truth::Yes, |all, (name, wanted)| {
            let stored =
                if (kind, *name) == (Kind::Grant, "party") { session::party(entity, self.state) } else { entity.get(name).clone() };
            // What has run out may have been marked so.
            let open = self.property(kind, entity, name) != *entity.get(name);
            all.and(if open { Truth::Unknown } else { Truth::maybe(stored.known().map(|value| value == wanted.as_str())) })
        });
        filtered.and(session::is_listed(kind, entity, self.state))
    }

    /// An item of a list. `current` is the member that says whether the caller's token came from it.
    fn listed(&self, key: &Key, entity: &Entity, current: Option<&str>, schema: &Value) -> Pattern {
        match key.kind {
            Kind::Session => {
                let own = self.call.token(self.state).map_or(&Term::Unknown, |token| token.get("session"));
                session::session(key, entity, self.state, current.map(|name| (name, own)))
            }
            Kind::Grant => session::grant(key, entity, self.state),
            _ => self.object(key, entity, schema),
        }
    }

    /// A property of an entity as it is shown, derived ones included.
    fn property(&self, kind: Kind, entity: &Entity, name: &str) -> Term {
        let running = is_derived(kind, name) && entity.text(name) == Some(Some("active"));
        match running.then(|| before(entity.get("expiresAt"), self.now)) {
            Some(Truth::No) => "expired".into(),
            Some(Truth::Unknown | Truth::Near) => Term::Unknown,
            Some(Truth::Yes) | None => user_property(entity, name),
        }
    }

    fn body(&self, key: Option<Key>, property: Option<&str>, schema: &Value) -> Pattern {
        let entity = key.as_ref().and_then(|key| self.state.get(key));
        match (property, key, entity) {
            (Some(property), Some(key), Some(entity)) => {
                let (term, whole) = self.filter(&user_property(entity, property), schema);
                Pattern::Leaf { term, teaches: whole.then(|| (key, Teaching::Property(property.to_owned()))) }
            }
            (None, Some(key), Some(entity)) => self.listed(&key, entity, None, schema),
            (None, _, _) => self.stranger(schema),
            _ => Pattern::Any,
        }
    }

    fn object(&self, key: &Key, entity: &Entity, schema: &Value) -> Pattern {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut members = BTreeMap::new();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let (term, whole) = self.filter(&self.property(key.kind, entity, name), inner);
            let whole = whole && !is_derived(key.kind, name);
            let identity = key.is_unborn() && matches!(term, Term::Fresh(fresh) if fresh.identifies());
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

/// Items of a page when no size is asked for.
const DEFAULT_PAGE: usize = 20;

/// What the server takes for yes in a query.
fn is_truthy(value: &str) -> bool {
    ["1", "true", "y", "yes", "yep", "yeah"].contains(&value.to_ascii_lowercase().as_str())
}

/// Whether what is shown of a property is not what is stored: the status of a one-time token follows the clock.
fn is_derived(kind: Kind, name: &str) -> bool {
    (kind, name) == (Kind::OneTimeToken, "status")
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
