//! What the tests of the model start from.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Entity, Key, Kind, State};
use crate::contract::{Contract, Version};

/// When they take place, in milliseconds since 1970.
pub const NOW: i64 = 1_800_000_000_000;

/// The newest contract, read once.
pub fn contract() -> &'static Contract {
    static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::embedded(Version::NEWEST).unwrap());
    &CONTRACT
}

/// A state with these things besides what is known.
pub fn with(mut state: State, known: &[(Kind, &str, Value)]) -> State {
    for (kind, id, value) in known {
        state.insert(Key::new(*kind, *id), Entity::from_json(value));
    }
    state
}

/// A state in which these things are known, and there may be others.
pub fn state(known: &[(Kind, &str, Value)]) -> State {
    with(State::default(), known)
}
