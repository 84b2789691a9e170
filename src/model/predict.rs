//! `predict`: what a conforming deployment must answer in a state.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;
use super::consent::consent_scopes;
use super::guard::{Scene, before, has_security_method, scopes, sso_identity, sso_property};
use super::pattern::{ListPattern, Member, Pattern, Teaching, Why};
use super::route::{Route, route};
use super::rules::is_truthy;
use super::select::{Look, assume, owner_of, select, targets};
use super::session;
use super::state::{Entity, Key, Kind, State, Term, Truth};
use super::wire::Request;
use super::{effect, list, message, proof};
use crate::contract::answer::{AnswerSpec, MemberSource, Source};
use crate::contract::entity::{Owner, Selector, Target};
use crate::contract::guard::{Guard, GuardKind, RefusalEffect, Status};
use crate::contract::{Contract, Effect, Operation, Outcome, Schema};

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
    /// The only admitted status and code, if there is exactly one, whatever state it leads to.
    pub fn outcome(&self) -> Option<&Outcome> {
        let (first, rest) = self.alternatives.split_first()?;
        rest.iter().all(|other| other.outcome == first.outcome).then_some(&first.outcome)
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
    let mut refused = false;
    // What an answer tells of things not seen before: each alternative takes its side.
    let mut state = Cow::Borrowed(state);
    for (index, guard) in call.operation.guards.iter().enumerate() {
        let scene = Scene { call: &call, state: &state, now };
        let applies = scene.applies(guard);
        let broken = match applies {
            Truth::No => continue,
            applies => applies.and(scene.holds(&guard.kind).not()),
        };
        if broken == Truth::No {
            continue;
        }
        let side = |holds| if (applies, broken) == (Truth::Yes, Truth::Unknown) { taken(&call, &state, &guard.kind, holds) } else { None };
        let (broken_side, held_side) = (side(false), side(true));
        alternatives.extend(after_refusal(&call, broken_side.as_ref().unwrap_or(&state), guard, now).into_iter().map(|next| Alternative {
            outcome: guard.refusal().into(),
            guard: Some(index),
            body: Pattern::Any,
            next,
        }));
        if broken == Truth::Unknown {
            unknown.get_or_insert_with(|| format!("{} cannot be told from what was seen", guard.label()));
        }
        if broken == Truth::Yes {
            refused = true;
            break;
        }
        if let Some(held) = held_side {
            state = Cow::Owned(held);
        }
    }
    if !refused {
        let admitted = successes(&call, &state, now);
        if admitted.len() > 1 {
            unknown.get_or_insert_with(|| "which of its successes it is cannot be told from what was seen".to_owned());
        }
        alternatives.extend(admitted);
    }
    Prediction { call: Some(call), alternatives, unknown }
}

/// The state in which a guard that cannot be told from what was seen holds, or does not.
fn taken(call: &Call<'_>, state: &State, kind: &GuardKind, holds: bool) -> Option<State> {
    match kind {
        GuardKind::Exists(selector) => assume(call, state, selector, holds),
        GuardKind::Absent(selector) => assume(call, state, selector, !holds),
        _ => None,
    }
}

/// The states that a refusal can lead to.
fn after_refusal(call: &Call<'_>, state: &State, guard: &Guard, now: i64) -> Vec<State> {
    let mut next = state.clone();
    let mut dropped = None;
    for effect in &guard.on_refusal {
        match (effect, &guard.kind) {
            (RefusalEffect::CountFailure, _) => count_failure(call, &mut next),
            (RefusalEffect::CountTry, GuardKind::CodeMatches(rule)) => proof::count_try(call, &mut next, rule),
            (RefusalEffect::ForgetTokenSet, GuardKind::TokenSetUsable(selector)) => proof::forget_tokens(call, &mut next, selector),
            (RefusalEffect::MaybeUseCode, _) => proof::maybe_use_code(call, &mut next),
            (RefusalEffect::SpendCode, GuardKind::SocialProof(rule)) => proof::spend_code(call, &mut next, rule),
            (RefusalEffect::CountTry | RefusalEffect::ForgetTokenSet | RefusalEffect::SpendCode, _) => {}
            (RefusalEffect::CountWrongCode, _) => message::count_wrong_code(call, &mut next),
            (RefusalEffect::MakeCode, _) => message::make_code(call, &mut next, now),
            (RefusalEffect::MaybeDelete, _) => {
                let mut without = next.clone();
                effect::delete_only(call, &mut without);
                dropped = Some(without).filter(|without| *without != next);
            }
        }
    }
    std::iter::once(next).chain(dropped).collect()
}

/// One more failure of whoever the operation locks out.
fn count_failure(call: &Call<'_>, next: &mut State) {
    let recipient = call.operation.guards.iter().find_map(|guard| match &guard.kind {
        GuardKind::NotLocked(Owner::Value(value)) => call.text(value),
        _ => None,
    });
    if let Some(recipient) = recipient {
        proof::count_failure(next, &recipient);
    } else if let Some(caller) = call.caller(next) {
        next.update(&caller, |user| {
            let failures = user.known("failures").and_then(Value::as_u64).map_or(Term::Unknown, |count| Term::Known((count + 1).into()));
            user.set("failures", failures);
        });
    }
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
pub(super) struct View<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) state: &'a State,
    /// Milliseconds since 1970.
    now: i64,
}

impl View<'_> {
    fn source(&self, source: &Source, created: &[Key], schema: &Value) -> Pattern {
        match source {
            Source::Target(target, property) => {
                let key = targets(self.call, self.state, target).into_iter().next();
                match (&key, target, property) {
                    (None, Target::Caller, None) => self.stranger(schema),
                    _ => self.body(key, property.as_deref(), schema),
                }
            }
            Source::Created => self.body(created.first().cloned(), None, schema),
            Source::List(list) => {
                let inner = list.under.as_ref().map_or(Some(schema), |name| schema.pointer(&format!("/properties/{name}")));
                let items = list::list(self, list, inner.and_then(|schema| schema.get("items")).unwrap_or(&Value::Null));
                match &list.under {
                    Some(name) => Pattern::Object(BTreeMap::from([(name.clone(), Member::Present(items))])),
                    None => items,
                }
            }
            Source::ConsentScopes(application) => match self.call.text(application) {
                Some(id) => consent_scopes(self.state, &id, schema, &|key, entity, schema| self.object(key, entity, schema)),
                None => Pattern::Any,
            },
            Source::Object(members) => {
                let members = members.iter().map(|(name, source)| {
                    let member = match source {
                        MemberSource::Entity(selector) => self.inner(selector, schema.pointer(&format!("/properties/{name}"))),
                        _ => Member::Present(self.member(source, created)),
                    };
                    (name.clone(), member)
                });
                Pattern::Object(constants(schema).chain(members).collect())
            }
            Source::UserIdentities => self.user_identities(),
        }
    }

    /// An entity as a member, where it is there and asked for.
    fn inner(&self, selector: &Selector, schema: Option<&Value>) -> Member {
        let schema = schema.unwrap_or(&Value::Null);
        let asked = schema.get("x-shown").map_or(Truth::Yes, |rule| self.shown(rule));
        let entity = match select(self.call, self.state, selector).into_iter().next() {
            Some(Look::Found(key)) => self.state.get(&key).map_or(Pattern::Any, |entity| self.object(&key, entity, schema)),
            Some(Look::Missing) => return Member::Withheld(Why::Level),
            _ => return if asked == Truth::No { Member::Withheld(Why::Level) } else { Member::Optional(Pattern::Any) },
        };
        match asked {
            Truth::Yes => Member::Present(entity),
            Truth::No => Member::Withheld(Why::Level),
            Truth::Unknown | Truth::Near => Member::Optional(entity),
        }
    }

    fn member(&self, source: &MemberSource, created: &[Key]) -> Pattern {
        match source {
            MemberSource::Any | MemberSource::Entity(_) => Pattern::Any,
            MemberSource::Fresh(fresh) => Pattern::Leaf { term: Term::Fresh(*fresh), teaches: None },
            MemberSource::Value(value) => self.call.value(value).map_or(Pattern::Any, Pattern::exactly),
            MemberSource::Distinct(value) => {
                let mut distinct: Vec<Value> = Vec::new();
                for element in self.call.value(value).as_ref().and_then(Value::as_array).into_iter().flatten() {
                    if !distinct.contains(element) {
                        distinct.push(element.clone());
                    }
                }
                Pattern::exactly(Value::Array(distinct))
            }
            MemberSource::Made(property) => {
                let made = created.iter().map(|key| self.state.get(key)?.known(property).cloned());
                // What was there before is not made again; where that is not known, nor is what is new.
                if self.knows_made() {
                    made.collect::<Option<_>>().map_or(Pattern::Any, |made| Pattern::exactly(Value::Array(made)))
                } else {
                    Pattern::Any
                }
            }
            MemberSource::SsoIdentity(connector) => {
                let (Some(user), Some(connector)) = (self.call.subject(), self.call.text(connector)) else { return Pattern::Any };
                let term = self.state.get(&user).map_or(Term::Unknown, |user| sso_identity(user, &connector));
                Pattern::Leaf { term, teaches: Some((user, Teaching::Property(sso_property(&connector)))) }
            }
            MemberSource::Member { target, property, name } => {
                let entity = targets(self.call, self.state, target).into_iter().next().and_then(|key| self.state.get(&key));
                let member =
                    entity.and_then(|entity| entity.known(property)).zip(self.call.text(name)).and_then(|(map, name)| map.get(name));
                member.map_or(Pattern::Any, |member| Pattern::exactly(member.clone()))
            }
        }
    }

    /// What a property is stored as, for a search: unknown where time may have changed it.
    pub(super) fn stored(&self, kind: Kind, entity: &Entity, name: &str) -> Term {
        match (kind, name) {
            (Kind::Grant, "party") => session::party(entity, self.state),
            _ if self.property(kind, entity, name) != *entity.get(name) => Term::Unknown,
            _ => entity.get(name).clone(),
        }
    }

    /// An item of a list. `current` is the member that says whether the caller's token came from it.
    pub(super) fn listed(&self, key: &Key, entity: &Entity, current: Option<&str>, schema: &Value) -> Pattern {
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
        let begun = !matches!(entity.get("expiresAt"), Term::Fresh(_));
        let running = begun && is_derived(kind, name) && entity.text(name) == Some(Some("active"));
        match running.then(|| before(entity.get("expiresAt"), self.now)) {
            Some(Truth::No) => "expired".into(),
            Some(Truth::Unknown | Truth::Near) => Term::Unknown,
            Some(Truth::Yes) | None => user_property(entity, name),
        }
    }

    /// Whether it is known of everything that the operation makes whether it was there before.
    fn knows_made(&self) -> bool {
        self.call.operation.effects.iter().all(|effect| match effect {
            Effect::Create(create) => {
                let owner = create.of.as_ref().and_then(|owner| owner_of(self.call, self.state, create.kind, owner));
                self.state.knows_all(create.kind, owner.as_ref())
            }
            _ => true,
        })
    }

    /// Social identities in any order with their providers, and as many enterprise ones as there are.
    fn user_identities(&self) -> Pattern {
        let user = self.call.subject().and_then(|key| self.state.get(&key));
        let list = |items: Vec<Pattern>| Pattern::List(ListPattern::exactly(items));
        let social = user.and_then(|user| user.known("identities")).and_then(Value::as_object).map(|identities| {
            let shown = |(target, identity): (&String, &Value)| {
                let members = [("target", Value::from(target.as_str())), ("identity", identity.clone())];
                Pattern::Object(members.map(|(name, value)| (name.to_owned(), Member::Present(Pattern::exactly(value)))).into())
            };
            list(identities.iter().map(shown).collect())
        });
        let enterprise = user.and_then(|user| user.known("ssoIdentities")).and_then(Value::as_array).map(|identities| {
            let shown = |identity: &Value| {
                let whole = Member::Present(Pattern::exactly(identity.clone()));
                Pattern::Object(BTreeMap::from([("ssoIdentity".to_owned(), whole)]))
            };
            list(identities.iter().map(shown).collect())
        });
        let members = [("socialIdentities", social), ("ssoIdentities", enterprise)];
        Pattern::Object(members.map(|(name, list)| (name.to_owned(), Member::Present(list.unwrap_or(Pattern::Any)))).into())
    }

    fn body(&self, key: Option<Key>, property: Option<&str>, schema: &Value) -> Pattern {
        let entity = key.as_ref().and_then(|key| self.state.get(key));
        match (property, key, entity) {
            (Some(property), Some(key), Some(entity)) if has_parts(schema) => parts(&key, entity, property, schema),
            (Some(property), Some(key), Some(entity)) => {
                let (term, whole) = self.filter(&user_property(entity, property), schema);
                Pattern::Leaf { term, teaches: whole.then(|| (key, Teaching::Property(property.to_owned()))) }
            }
            (None, Some(key), Some(entity)) => self.listed(&key, entity, None, schema),
            // Settings are always there, seen or not.
            (None, Some(key), None) => self.object(&key, &Entity::default(), schema),
            _ => Pattern::Any,
        }
    }

    pub(super) fn object(&self, key: &Key, entity: &Entity, schema: &Value) -> Pattern {
        let mut members = BTreeMap::new();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if has_parts(inner) {
                members.insert(name.clone(), Member::Present(parts(key, entity, name, inner)));
                continue;
            }
            let (term, whole) = self.filter(&self.property(key.kind, entity, name), inner);
            let whole = whole && !is_derived(key.kind, name);
            let identity = key.is_unborn() && matches!(term, Term::Fresh(fresh) if fresh.identifies());
            let teaching = if identity { Teaching::Identity(name.clone()) } else { Teaching::Property(name.clone()) };
            // What is another value at each look is not remembered.
            let lasting = whole && inner.get("x-volatile").is_none();
            let leaf = |term: &Term| Pattern::Leaf { term: term.clone(), teaches: lasting.then(|| (key.clone(), teaching.clone())) };
            let listed = inner.get("x-list").and_then(Value::as_str).and_then(Kind::named);
            let wraps = inner.pointer("/items/x-wraps").and_then(Value::as_str);
            let leaf = |term: &Term| match (listed, wraps, term) {
                (Some(kind), ..) => self.owned(kind, key, inner),
                (None, Some(member), Term::Known(Value::Array(items))) => wrapped(key.kind, member, items),
                _ => leaf(term),
            };
            let member = match inner.get("x-shown").map(|rule| self.shown(rule)) {
                Some(Truth::No) => Member::Withheld(self.why(inner)),
                Some(Truth::Yes) => Member::Present(leaf(&term)),
                Some(_) => Member::Optional(leaf(&term)),
                None if is_required(schema, name) => Member::Present(leaf(&term)),
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

    /// The entities of a kind that belong to another, as one of its members.
    fn owned(&self, kind: Kind, owner: &Key, schema: &Value) -> Pattern {
        let items = schema.get("items").unwrap_or(&Value::Null);
        let own = self.state.all(kind).filter(|(_, entity)| entity.text("owner") == Some(Some(&owner.id)));
        let items = own.map(|(id, entity)| self.object(&Key::new(kind, id), entity, items)).collect();
        Pattern::List(ListPattern { items, ..ListPattern::of((kind, None), self.state.knows_all(kind, Some(owner))) })
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

/// A list whose items are shown as the one member of an object each, unless they are objects already; of these, what is null is
/// there and not known.
fn wrapped(kind: Kind, member: &str, items: &[Value]) -> Pattern {
    let wrap = |item: &Value| {
        if item.is_object() { item.clone() } else { Value::Object([(member.to_owned(), item.clone())].into_iter().collect()) }
    };
    let items: Vec<Value> = items.iter().map(wrap).collect();
    let members = |item: &Value| item.as_object().cloned().unwrap_or_default();
    if !items.iter().any(|item| members(item).values().any(Value::is_null)) {
        return Pattern::exactly(Value::Array(items));
    }
    let leaf = |value: Value| Pattern::Leaf { term: if value.is_null() { Term::Unknown } else { value.into() }, teaches: None };
    let shown =
        |item: &Value| Pattern::Object(members(item).into_iter().map(|(name, value)| (name, Member::Present(leaf(value)))).collect());
    Pattern::List(ListPattern { items: items.iter().map(shown).collect(), ..ListPattern::of((kind, None), true) })
}

/// Whether what is shown of a property is not what is stored: the status of a one-time token follows the clock.
fn is_derived(kind: Kind, name: &str) -> bool {
    (kind, name) == (Kind::OneTimeToken, "status")
}

/// The members that a schema leaves no choice about.
fn constants(schema: &Value) -> impl Iterator<Item = (String, Member)> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.filter_map(|(name, inner)| Some((name.clone(), Member::Present(Pattern::exactly(inner.get("const")?.clone())))))
}

/// An object whose members the state remembers one by one, as `property.member`.
fn parts(key: &Key, entity: &Entity, property: &str, schema: &Value) -> Pattern {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, inner)| {
        let part = format!("{property}.{name}");
        if has_parts(inner) {
            return (name.clone(), Member::Present(parts(key, entity, &part, inner)));
        }
        let term = entity.get(&part).clone();
        let leaf = |term: Term| Pattern::Leaf { term, teaches: Some((key.clone(), Teaching::Property(part.clone()))) };
        let member = match term {
            _ if is_required(schema, name) => Member::Present(leaf(term)),
            Term::Known(Value::Null) => Member::Withheld(Why::Level),
            Term::Unknown => Member::Optional(leaf(term)),
            term => Member::Present(leaf(term)),
        };
        (name.clone(), member)
    });
    Pattern::Object(members.collect())
}

/// Whether the members of an object are remembered one by one.
fn has_parts(schema: &Value) -> bool {
    schema.get("x-parts") == Some(&Value::Bool(true))
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().any(|required| required == name)
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

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
