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
        Kind::ApplicationSecret | Kind::ConsentScope | Kind::ConsentOrganization => Kind::Application,
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
    }
}

/// What the state knows of each entity that a selector names; nothing when its value is absent.
pub fn select(call: &Call<'_>, state: &State, selector: &Selector) -> Vec<Look> {
    let values = match call.value(&selector.value) {
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
        None => return Vec::new(),
    };
    let owner = match &selector.of {
        Some(owner) => match owner_of(call, state, selector.kind, owner) {
            Some(owner) => Some(owner),
            None => return vec![Look::Unknown; values.len()],
        },
        None => None,
    };
    values.iter().map(|value| look(state, selector, owner.as_ref(), value)).collect()
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

fn look(state: &State, selector: &Selector, owner: Option<&Key>, value: &Value) -> Look {
    if let (None, None, Some(id)) = (owner, &selector.by, value.as_str()) {
        let key = Key::new(selector.kind, id);
        if let Some(entity) = state.get(&key) {
            return if entity.exists() { fits(key, entity, selector) } else { Look::Missing };
        }
    }
    let property = selector.by.as_deref().unwrap_or("id");
    let mut open = false;
    for (id, entity) in state.all(selector.kind).filter(|(_, entity)| entity.exists()) {
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
