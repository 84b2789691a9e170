//! Which entities a call names.

use serde_json::Value;

use super::call::Call;
use super::json::same;
use super::state::{Entity, Key, Kind, State, Term};
use crate::contract::entity::{Owner, Selector, Target};

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

/// Every entity of a kind, or of an owner's.
fn any(state: &State, selector: &Selector, owner: Option<&Key>, except: &[Value]) -> Vec<Look> {
    let belongs = |entity: &Entity| entity.exists() && owner.is_none_or(|owner| entity.text("owner") == Some(Some(&owner.id)));
    let listed = state.all(selector.kind).filter(|(id, entity)| belongs(entity) && !is_excepted(id, entity, selector, except));
    listed.map(|(id, entity)| fits(Key::new(selector.kind, id), entity, selector)).filter(|look| *look != Look::Missing).collect()
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
    let property = selector.by.as_deref().unwrap_or("id");
    let mut open = false;
    for (id, entity) in state.all(selector.kind).filter(|(id, entity)| entity.exists() && !is_excepted(id, entity, selector, except)) {
        match owner.map(|owner| entity.text("owner").map(|of| of == Some(&owner.id))) {
            Some(Some(false)) => continue,
            Some(None) => {
                open = true;
                continue;
            }
            Some(Some(true)) | None => {}
        }
        match entity.known(property) {
            Some(known) if same(known, value) => return fits(Key::new(selector.kind, id), entity, selector),
            // Nobody can name what was made up and never shown.
            None if matches!(entity.get(property), Term::Fresh(fresh) if fresh.identifies()) => {}
            Some(_) => {}
            None => open = true,
        }
    }
    // Users are known to be there by what is seen of them; whatever else was there before may be so unseen.
    if open || !(selector.kind == Kind::User || state.knows_all(selector.kind, owner)) { Look::Unknown } else { Look::Missing }
}

fn fits(key: Key, entity: &Entity, selector: &Selector) -> Look {
    let mut look = Look::Found(key);
    for (property, wanted) in &selector.with {
        match entity.known(property) {
            Some(value) if same(value, wanted) => {}
            Some(_) => return Look::Missing,
            None => look = Look::Unknown,
        }
    }
    look
}
