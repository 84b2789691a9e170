//! Which entities a call names.

use serde_json::Value;

use super::call::Call;
use super::guard::has_all;
use super::json::same;
use super::state::{Entity, Key, Kind, State, Term, Truth};
use crate::contract::entity::{Owner, Selector, Target};

/// Whether something belongs to an owner, or refers to it.
pub fn belongs(entity: &Entity, owner: &Key) -> Truth {
    let known = [entity.text("owner"), entity.text(&owner.kind.reference())];
    let ties = known.contains(&Some(Some(&owner.id)));
    Truth::maybe((ties || known.iter().any(Option::is_some)).then_some(ties))
}

/// What is known of an entity that a call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// This one.
    Found(Key),
    /// There is none.
    Missing,
    /// Not seen so far.
    Unknown,
}

/// The kind of entity that owns those of another kind.
const fn owner_kind(kind: Kind) -> Kind {
    match kind {
        Kind::ApplicationSecret | Kind::ConsentScope | Kind::ConsentOrganization | Kind::AccessRule => Kind::Application,
        Kind::OrganizationMember => Kind::Organization,
        Kind::Scope => Kind::Resource,
        _ => Kind::User,
    }
}

/// The owner that entities of a kind must have; `None` when it cannot be told.
pub fn owner_of(call: &Call<'_>, state: &State, kind: Kind, owner: &Owner) -> Option<Key> {
    match owner {
        Owner::Caller => call.caller(state),
        Owner::User => call.subject(),
        Owner::Value(value) => call.text(value).map(|id| Key::new(owner_kind(kind), id)),
        Owner::Composed(template) => super::effect::render(template, call, state, &Value::Null).map(|id| Key::new(owner_kind(kind), id)),
    }
}

/// What the state knows of each entity that a selector names; nothing when its value is absent.
pub fn select(call: &Call<'_>, state: &State, selector: &Selector) -> Vec<Look> {
    let except = selector.except.as_ref().map(|value| elements(call.value(value))).unwrap_or_default();
    let values = selector.value.as_ref().map(|value| elements(call.value(value)));
    let owner = match &selector.of {
        Some(owner) => match owner_of(call, state, selector.kind, owner) {
            Some(owner) => Some(owner),
            None => return vec![Look::Unknown; values.map_or(1, |values| values.len())],
        },
        None => None,
    };
    match values {
        Some(values) => values.iter().map(|value| look(state, selector, owner.as_ref(), value, &except)).collect(),
        None => any(state, selector, owner.as_ref(), &except),
    }
}

/// A value as the list of what it names.
fn elements(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values,
        other => other.into_iter().collect(),
    }
}

/// Whether one of these values is the id of an entity, or its property `by`.
fn is_excepted(id: &str, entity: &Entity, selector: &Selector, except: &[Value]) -> bool {
    let property = selector.by.as_deref().unwrap_or("id");
    except.iter().any(|value| value == id || entity.known(property).is_some_and(|known| same(known, value)))
}

/// The keys of what a target names.
pub fn targets(call: &Call<'_>, state: &State, target: &Target) -> Vec<Key> {
    match target {
        Target::Caller => call.caller(state).into_iter().collect(),
        Target::User => call.subject().into_iter().collect(),
        Target::Settings(name) => vec![Key::new(Kind::Settings, *name)],
        Target::Selected(selector) => {
            let found = select(call, state, selector).into_iter();
            found.filter_map(|look| if let Look::Found(key) = look { Some(key) } else { None }).collect()
        }
    }
}

fn look(state: &State, selector: &Selector, owner: Option<&Key>, value: &Value, except: &[Value]) -> Look {
    if let (None, None, Some(id)) = (owner, &selector.by, value.as_str()) {
        let key = Key::new(selector.kind, id);
        if let Some(entity) = state.get(&key) {
            let counts = entity.exists() && !is_excepted(id, entity, selector, except);
            return if counts { fits(key, entity, selector) } else { Look::Missing };
        }
    }
    // Users are known to be there by what is seen of them, and nothing belongs to one who is not.
    if owner.is_some_and(|owner| owner.kind == Kind::User && state.get(owner).is_none()) {
        return Look::Missing;
    }
    let property = selector.by.as_deref().unwrap_or("id");
    let mut open = false;
    for (id, entity) in state.all(selector.kind).filter(|(id, entity)| entity.exists() && !is_excepted(id, entity, selector, except)) {
        // Nobody can name what was made up and never shown.
        if matches!(entity.get(property), Term::Fresh(fresh) if fresh.identifies()) {
            continue;
        }
        match owner.map_or(Truth::Yes, |owner| belongs(entity, owner)) {
            Truth::Yes => {}
            Truth::No => continue,
            Truth::Unknown | Truth::Near => {
                open = true;
                continue;
            }
        }
        match entity.known(property) {
            Some(known) if same(known, value) => return fits(Key::new(selector.kind, id), entity, selector),
            Some(_) => {}
            // What is known by one id has no other.
            None if selector.kind == Kind::User && selector.by.is_none() && !Key::new(Kind::User, id).is_unborn() => {}
            None => open = true,
        }
    }
    // Users are known to be there by what is seen of them; whatever else was there before may be so unseen.
    let told = selector.kind == Kind::User || state.knows_all(selector.kind, owner);
    if !open && told || is_known_missing(state, selector, owner, value) { Look::Missing } else { Look::Unknown }
}

/// Whether an answer has told that there is no such entity.
fn is_known_missing(state: &State, selector: &Selector, owner: Option<&Key>, value: &Value) -> bool {
    let property = selector.by.as_deref().unwrap_or("id");
    let same = |entity: &Entity| entity.known(property).is_some_and(|known| same(known, value));
    let tied = |entity: &Entity| owner.is_none_or(|owner| belongs(entity, owner) == Truth::Yes);
    state.all(selector.kind).any(|(_, entity)| !entity.exists() && same(entity) && tied(entity))
}

/// The state in which what a selector names, and what is not known of yet, is there; or in which it is not.
///
/// `None` where that says nothing of use: of several things only one may be missing.
pub fn assume(call: &Call<'_>, state: &State, selector: &Selector, present: bool) -> Option<State> {
    if matches!(selector.kind, Kind::User | Kind::Token | Kind::Record) || !selector.with.is_empty() || !selector.without.is_empty() {
        return None;
    }
    let values = elements(call.value(selector.value.as_ref()?));
    if values.len() != 1 && !present {
        return None;
    }
    let owner = match &selector.of {
        Some(owner) => Some(owner_of(call, state, selector.kind, owner)?),
        None => None,
    };
    let mut next = state.clone();
    for value in values.iter().filter(|value| look(state, selector, owner.as_ref(), value, &[]) == Look::Unknown) {
        let key = match (&selector.by, &owner, value.as_str()) {
            (None, None, Some(id)) => Key::new(selector.kind, id),
            _ => Key::unborn(selector.kind, &next),
        };
        let mut entity = Entity::default().with(selector.by.as_deref().unwrap_or("id"), value.clone());
        if let Some(owner) = &owner {
            let property = if owner.kind == owner_kind(selector.kind) { "owner".to_owned() } else { owner.kind.reference() };
            entity.set(property, owner.id.as_str());
        }
        if !present {
            entity.set("removed", true);
        }
        next.insert(key, entity);
    }
    Some(next)
}

/// Whatever fits, the oldest first. Ends in the unknown unless everything is known.
fn any(state: &State, selector: &Selector, owner: Option<&Key>, except: &[Value]) -> Vec<Look> {
    let of = |entity: &Entity| owner.map_or(Truth::Yes, |owner| belongs(entity, owner));
    let mut listed: Vec<(&str, &Entity)> = state
        .all(selector.kind)
        .filter(|(id, entity)| entity.exists() && of(entity) != Truth::No && !is_excepted(id, entity, selector, except))
        .collect();
    listed.sort_by(|(_, one), (_, other)| age(one).cmp(&age(other)));
    let mut looks: Vec<Look> = listed
        .into_iter()
        .map(|(id, entity)| if of(entity) == Truth::Yes { fits(Key::new(selector.kind, id), entity, selector) } else { Look::Unknown })
        .filter(|look| *look != Look::Missing)
        .collect();
    if !(selector.kind == Kind::User || state.knows_all(selector.kind, owner)) {
        looks.push(Look::Unknown);
    }
    looks
}

/// What orders entities by when they were made; those of which it is not known come last.
pub fn age(entity: &Entity) -> (bool, &str) {
    let made = entity.text("createdAt").flatten();
    (made.is_none(), made.unwrap_or_default())
}

fn has_properties(entity: &Entity, selector: &Selector) -> Truth {
    let none = selector
        .without
        .iter()
        .fold(Truth::Yes, |all, (name, unwanted)| all.and(Truth::maybe(entity.known(name).map(|value| !same(value, unwanted)))));
    has_all(entity, &selector.with).and(none)
}

fn fits(key: Key, entity: &Entity, selector: &Selector) -> Look {
    match has_properties(entity, selector) {
        Truth::Yes => Look::Found(key),
        Truth::No => Look::Missing,
        Truth::Unknown | Truth::Near => Look::Unknown,
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
