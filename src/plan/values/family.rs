//! The family of sequences: for each operation an accepted request, again and again with one other value.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::boundary::{boundary, is_torn};
use super::draw::Draw;
use super::files::{fields, files};
use super::shape::tried;
use super::spoil::{Change, changes};
use super::text::{free, units};
use crate::contract::guard::{GuardKind, Place};
use crate::contract::{Contract, Operation, Outcome, Schema};
use crate::model::json;
use crate::plan::build::{Draft, Profile};
use crate::plan::cast::Cast;
use crate::plan::epoch::Need;
use crate::plan::look::look;
use crate::plan::matrix::{Shared, carry_out};
use crate::plan::probe::{Payload, Probe};
use crate::plan::script::Script;
use crate::plan::sequence::{Facts, Purpose};
use crate::plan::symbol::{Binding, symbols};

/// How many requests of each sort an operation gets.
#[derive(Debug, Clone, Copy)]
struct Quota {
    /// Wrong in one thing.
    wrong: usize,
    /// Fitting the schema, and refused by something else.
    refused: usize,
    /// Accepted.
    accepted: usize,
    /// With half a surrogate pair in a text.
    torn: usize,
    /// Trials that are looked at for all that.
    looks: usize,
    /// Values drawn for each place.
    draws: usize,
    /// Of how many operations one is tried.
    one_in: usize,
}

impl Quota {
    const fn of(effort: Profile) -> Self {
        match effort {
            Profile::Quick => Self { wrong: 2, refused: 1, accepted: 1, torn: 1, looks: 40, draws: 1, one_in: 10 },
            Profile::Standard => Self { wrong: 4, refused: 2, accepted: 3, torn: 1, looks: 500, draws: 1, one_in: 1 },
            Profile::Deep => Self { wrong: 30, refused: 12, accepted: 16, torn: 8, looks: usize::MAX, draws: 3, one_in: 1 },
        }
    }
}

/// Operations that share a sequence, where their callers have passwords.
const OPERATIONS_PER_SEQUENCE: usize = 8;

/// One request to try.
#[derive(Debug, Clone)]
pub struct Trial<'a> {
    /// The accepted request.
    accepted: Arc<Probe<'a>>,
    /// What is different. (There are thousands: to keep all the requests would take many times the memory of the plan.)
    alteration: Alteration,
    /// What tries the same is told apart by this.
    pub place: String,
    /// What is tried there, for people.
    what: String,
    /// Whether the contract refuses it by its schema.
    pub wrong: bool,
    /// Whether half a surrogate pair is in it, which may be refused and may be taken.
    pub torn: bool,
    /// Whether its success is nothing to look at: what others make meanwhile shows on some pages and in no total.
    pub searches: bool,
}

impl<'a> Trial<'a> {
    /// The request.
    pub fn probe(&self) -> Probe<'a> {
        let mut probe = (*self.accepted).clone();
        self.alteration.apply(&mut probe);
        probe.label = format!("{}: {} {}", self.accepted.label, self.place, self.what);
        probe
    }
}

/// What makes another request of an accepted one.
#[derive(Debug, Clone)]
enum Alteration {
    /// A parameter of the query has this value, or is missing.
    Query(String, Option<String>),
    /// A member of the body or form has this value, or is missing.
    Member(String, Option<Value>),
    /// Something deeper in the body.
    Body(Change),
}

impl Alteration {
    fn apply(&self, probe: &mut Probe<'_>) {
        match self {
            Self::Query(name, Some(value)) => drop(probe.query.insert(name.clone(), value.clone())),
            Self::Query(name, None) => drop(probe.query.remove(name)),
            Self::Member(name, Some(value)) => probe.set(name, value.clone()),
            Self::Member(name, None) => probe.remove(name),
            Self::Body(change) => {
                if let Payload::Json(body) = &mut probe.payload {
                    change.make(body);
                }
            }
        }
    }
}

/// A sequence for each operation with a body or query, its values drawn from the seed and the operation's name.
pub fn drafts<'a>(contract: &'a Contract, facts: &'a Facts, seed: u64, effort: Profile) -> Vec<Draft<'a>> {
    let quota = Quota::of(effort);
    let names = Names::of(contract);
    let dice = move |operation: &Operation| {
        let mut draw = Draw::new(seed, &operation.id);
        (draw.below(quota.one_in) == 0).then_some(draw)
    };
    let tried = move |operation: &'a Operation| {
        let Some(mut draw) = dice(operation) else { return Vec::new() };
        let mut trials = trials(contract, facts, operation, &names, &mut draw, quota.draws);
        draw.shuffle(&mut trials);
        spread(trials)
    };
    let mut groups: Vec<Shared<&'a Operation>> = Vec::new();
    for operation in contract.operations.iter().filter(|operation| dice(operation).is_some()) {
        // Another value changes neither the settings that a request needs nor who sends it.
        let accepted = accepted(contract, facts, operation);
        let Some(need) = accepted.iter().try_fold(Need::default(), |all, probe| all.join(&probe.need())) else { continue };
        if !accepted.is_empty() {
            let costly = accepted.iter().any(|probe| probe.needs_password(contract));
            Shared::add(&mut groups, OPERATIONS_PER_SEQUENCE, Shared::new(operation, need, costly, vec![operation.as_ref()]));
        }
    }
    let tried = Arc::new(tried);
    let draft = |(index, group): (usize, Shared<&'a Operation>)| Draft {
        id: group.name("values", index),
        need: group.need,
        alone: group.alone,
        write: {
            let tried = Arc::clone(&tried);
            Box::new(move |script| {
                let mut cast = Cast::new();
                group.items.iter().for_each(|operation| write(script, &mut cast, &tried(operation), quota));
            })
        },
    };
    groups.into_iter().enumerate().map(draft).collect()
}

/// Every place once before any gets its second turn.
fn spread(trials: Vec<Trial<'_>>) -> Vec<Trial<'_>> {
    let mut turns: BTreeMap<(String, bool), usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, Trial<'_>)> = Vec::new();
    for trial in trials {
        let turn = turns.entry((trial.place.clone(), trial.wrong)).or_default();
        *turn += 1;
        ranked.push((*turn, trial));
    }
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().map(|(_, trial)| trial).collect()
}

fn write(script: &mut Script<'_>, cast: &mut Cast, trials: &[Trial<'_>], quota: Quota) {
    let (mut wrong, mut refused, mut torn, mut accepted) = (0, 0, 0, Vec::new());
    let mut last = None;
    // What was not found among so many is not to be found.
    for trial in trials.iter().take(quota.looks) {
        let full = if trial.torn {
            torn == quota.torn
        } else if trial.wrong {
            wrong == quota.wrong
        } else {
            refused == quota.refused && accepted.len() == quota.accepted
        };
        if full {
            continue;
        }
        let probe = trial.probe();
        let (persona, call, user, _) = probe.render(script, cast);
        let target = call.target.clone();
        match script.foresee(&call) {
            Some(outcome) if outcome.status.is_success() => {
                if accepted.len() < quota.accepted && !probe.operation.harm.sends && !trial.searches {
                    accepted.push(trial);
                }
                continue;
            }
            // What reaches the storage only to break it is tried elsewhere, once for each operation.
            Some(outcome) if outcome == nul() => continue,
            Some(_) if trial.wrong => wrong += 1,
            Some(_) if refused < quota.refused => refused += 1,
            // Whether it is taken is up to the deployment; it must not fail over it.
            None if trial.torn && torn < quota.torn => {
                torn += 1;
                accepted.push(trial);
                continue;
            }
            _ => continue,
        }
        script.call(persona, Purpose::Probe(probe.label.clone()), call, &[]);
        last = Some((probe, target, user, script.last()));
    }
    // Whatever of all that changed something after all, it shows now.
    if let Some((probe, target, user, of)) = last
        && probe.operation.writes()
    {
        look(script, &probe, &target, user, of, false);
    }
    for trial in accepted {
        let probe = trial.probe();
        let rendered = probe.render(script, cast);
        if script.foresee(&rendered.1).map_or(trial.torn, |outcome| outcome.status.is_success()) {
            carry_out(script, cast, &probe, rendered);
        }
    }
}

/// The requests whose values are changed: the accepted ones of an operation that refuses values.
fn accepted<'a>(contract: &'a Contract, facts: &Facts, operation: &'a Operation) -> Vec<Probe<'a>> {
    let takes_values = operation.body.is_some() || operation.parameters.iter().any(|parameter| parameter.place == Place::Query);
    let cases = operation.cases.iter().filter(|(_, case)| takes_values && refusal(operation).is_some() && !case.signed_in);
    let probes = cases.map(|(name, case)| Probe::accepted(contract, operation, name, case));
    probes.filter(|probe| probe.is_possible(contract, facts)).collect()
}

/// What texts with U+0000 come to.
fn nul() -> Outcome {
    Outcome { status: crate::contract::guard::Status::AnyRefusal, code: None }
}

/// What an operation is refused with when a value does not fit its schema.
pub fn refusal(operation: &Operation) -> Option<Outcome> {
    operation.guards.iter().find(|guard| matches!(guard.kind, GuardKind::ValidInput(_))).map(|guard| guard.refusal().into())
}

/// Everything worth trying with an operation.
pub fn trials<'a>(
    contract: &'a Contract,
    facts: &Facts,
    operation: &'a Operation,
    names: &Names,
    draw: &mut Draw,
    draws: usize,
) -> Vec<Trial<'a>> {
    let mut trials: Vec<Trial<'a>> = Vec::new();
    let mut known: HashSet<[u8; 32]> = HashSet::new();
    for accepted in accepted(contract, facts, operation) {
        let accepted = Arc::new(accepted);
        let mut add = |place: String, what: &str, wrong: bool, alteration: Alteration| {
            let trial =
                Trial { accepted: Arc::clone(&accepted), alteration, place, what: what.to_owned(), wrong, torn: false, searches: false };
            let probe = trial.probe();
            let body = match &probe.payload {
                Payload::Json(body) => body.to_string(),
                Payload::Form(form) => json!(form).to_string(),
                _ => String::new(),
            };
            if known.insert(Sha256::digest(json!([body, probe.query]).to_string()).into()) {
                // Which odd members of a form count for nothing is up to the deployment.
                let form = matches!(&probe.payload, Payload::Form(_));
                let searches = form || probe.query != accepted.query && is_search(operation, &trial.place);
                // What is made is looked for by what the answer calls it, which a refusal does not bring.
                let torn = !wrong && operation.harm.creates.is_none() && matches!(&probe.payload, Payload::Json(_)) && is_torn(&body);
                trials.push(Trial { torn, searches, ..trial });
            }
        };
        for parameter in operation.parameters.iter().filter(|parameter| parameter.place == Place::Query) {
            let place = format!("query {}", parameter.name);
            if parameter.required {
                add(place.clone(), "missing", true, Alteration::Query(parameter.name.clone(), None));
            }
            for (what, value) in query_values(&parameter.schema, draw, draws) {
                let wrong = !parameter.schema.admits(&json!(value));
                add(place.clone(), &what, wrong, Alteration::Query(parameter.name.clone(), Some(value)));
            }
        }
        let Some((content_type, schema)) = &operation.body else { continue };
        if let Payload::Form(form) = &accepted.payload {
            let tried = tried(schema);
            for name in tried.properties().into_keys() {
                if form.contains_key(name) {
                    add(format!("/{name}"), "missing", !fits_form(schema, form, name, None), Alteration::Member(name.to_owned(), None));
                }
                for (what, text) in fields() {
                    let wrong = !fits_form(schema, form, name, Some(&text));
                    add(format!("/{name}"), &what, wrong, Alteration::Member(name.to_owned(), Some(text.into())));
                }
            }
        }
        let Payload::Json(body) = &accepted.payload else { continue };
        if content_type.starts_with("multipart/") {
            for name in body.as_object().into_iter().flat_map(Map::keys) {
                add(format!("/{name}"), "missing", true, Alteration::Member(name.clone(), None));
                for (what, file) in files() {
                    // Only files count, so what is none is as good as missing.
                    add(format!("/{name}"), what, !file.is_object(), Alteration::Member(name.clone(), Some(file)));
                }
            }
        }
        if !content_type.ends_with("json") || !schema.admits(&concrete(body)) {
            continue;
        }
        let tried = tried(schema);
        for change in changes(&tried, body, draw, draws) {
            let Some(changed) = change.of(body) else { continue };
            let wrong = !schema.admits(&concrete(&changed));
            let kept = if wrong { Some(change) } else { names.keep(body, &change, draw) };
            let fits = |kept: &Change| wrong || kept.of(body).is_some_and(|payload| tried.admits(&concrete(&payload)));
            if let Some(kept) = kept.filter(fits) {
                add(kept.pointer.clone(), &kept.what.clone(), wrong, Alteration::Body(kept));
            }
        }
    }
    trials
}

/// Whether a parameter says what an operation that searches looks for.
fn is_search(operation: &Operation, place: &str) -> bool {
    let searches = operation.guards.iter().any(|guard| matches!(guard.kind, GuardKind::Search(_)));
    searches && ["query search", "query mode", "query joint"].iter().any(|name| place.starts_with(name))
}

/// Texts for a parameter of the query.
fn query_values(schema: &Schema, draw: &mut Draw, draws: usize) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut values: Vec<(String, String)> = boundary(schema.raw()).iter().map(|(what, value)| (what.clone(), text(value))).collect();
    values.extend(["0", "-1", "1", "true", "null", "lcUnknown"].map(|value| (value.to_owned(), value.to_owned())));
    for _ in 0..draws {
        values.extend(draw.one(&free(1..=12)).map(|value| ("a drawn value".to_owned(), value)));
    }
    // A request line has no room for more.
    values.retain(|(_, value)| units(value) <= 300 && !value.contains("{{"));
    values
}

/// Whether a form fits a schema with another text in one place, or without it.
fn fits_form(schema: &Schema, form: &BTreeMap<String, String>, name: &str, text: Option<&str>) -> bool {
    let mut form = form.clone();
    match text {
        Some(text) => drop(form.insert(name.to_owned(), text.to_owned())),
        None => drop(form.remove(name)),
    }
    schema.admits(&concrete(&json!(form)))
}

/// A text with halves of surrogate pairs, as it is read.
fn read(text: &str) -> Value {
    let written = Binding::new("plan", 1, "plan").resolve(&json!(text).to_string());
    written.ok().and_then(|written| json::parse(written.as_bytes()).ok()).unwrap_or_default()
}

/// The body with stand-ins for its symbols.
pub fn concrete(body: &Value) -> Value {
    match body {
        Value::String(text) => json!(match text.as_str() {
            "{{email}}" | "{{own.email}}" => "lc@example.com",
            "{{phone}}" => "12015550100",
            text if text.contains("@example.com") => "lc@example.com",
            text if text.contains("{{surrogate#") => return read(text),
            text if symbols(text).next().is_some() => "lc_stand_in",
            text => text,
        }),
        Value::Array(items) => items.iter().map(concrete).collect(),
        Value::Object(object) => Value::Object(object.iter().map(|(name, member)| (name.clone(), concrete(member))).collect()),
        other => other.clone(),
    }
}

/// Which properties name something: what is accepted there keeps to the run's name space.
pub struct Names {
    /// The symbol that the contract's cases write there, by property.
    symbols: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// The names that the cases of a contract use.
    pub fn of(contract: &Contract) -> Self {
        let mut symbols = BTreeMap::new();
        let cases = contract.operations.iter().flat_map(|operation| operation.cases.values().chain(operation.tries.values()));
        for body in cases.filter_map(|case| case.body.as_ref()) {
            gather(body, "", &mut symbols);
        }
        Self { symbols }
    }

    /// The change as it may be accepted: within the name space where something is named. `None` if it may not.
    fn keep(&self, body: &Value, change: &Change, draw: &mut Draw) -> Option<Change> {
        let own = body.pointer(&change.pointer).and_then(Value::as_str).filter(|text| text.starts_with("{{"));
        let value = match &change.value {
            Some(value) => Some(self.kept(change.name(), own, value, draw)?),
            None => None,
        };
        Some(Change { value, ..change.clone() })
    }

    /// A value of a property within the name space; `own` is the symbol that stands there in an accepted request.
    fn kept(&self, name: &str, own: Option<&str>, value: &Value, draw: &mut Draw) -> Option<Value> {
        match value {
            // A text without letters names nothing.
            Value::String(text) if !text.is_empty() => {
                let mut symbols: BTreeSet<&str> = self.symbols.get(name).into_iter().flatten().map(String::as_str).chain(own).collect();
                if name != "name" {
                    symbols.remove("{{text}}");
                }
                let tag = draw.below(0x10_0000);
                Some(match symbols.first() {
                    None => value.clone(),
                    Some(&"{{text}}") => format!("lc_{{{{run}}}}_ {tag:x} {text}").into(),
                    Some(&("{{username}}" | "{{slug}}")) => format!("lc_{{{{run}}}}_{{{{tag}}}}_v{tag:x}").into(),
                    Some(&"{{alphanumeric}}") => format!("lc{{{{run}}}}x{{{{tag}}}}v{tag:x}").into(),
                    Some(&"{{email}}") => format!("lc_{{{{run}}}}_{{{{tag}}}}_{tag:x}+a.b@example.com").into(),
                    Some(_) => return None,
                })
            }
            Value::Array(items) => items.iter().map(|item| self.kept(name, own, item, draw)).collect(),
            Value::Object(members) => {
                let kept = members.iter().map(|(name, member)| Some((name.clone(), self.kept(name, None, member, draw)?)));
                kept.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            other => Some(other.clone()),
        }
    }
}

/// Notes the symbols of a body by the property that they stand in.
fn gather(value: &Value, name: &str, symbols: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::String(text) if text.starts_with("{{") => drop(symbols.entry(name.to_owned()).or_default().insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| gather(item, name, symbols)),
        Value::Object(object) => object.iter().for_each(|(name, member)| gather(member, name, symbols)),
        _ => {}
    }
}
