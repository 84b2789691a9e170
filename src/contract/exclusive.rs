//! What follows from the shape of a request body alone: which entries no single request can break together, and which
//! conditions say nothing because the kind asks for the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::guard::{BodyShape, Guard, GuardKind, Place, ValueRef, When};

/// What a key of the body must be like.
#[derive(Debug, Clone, PartialEq)]
enum Need {
    Absent,
    Present,
    Text,
    Filled,
    Exactly(Value),
}

impl Need {
    /// Whether a value can be both.
    fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Absent, _) | (_, Self::Absent) => false,
            (Self::Exactly(one), Self::Exactly(other)) => one == other,
            (Self::Exactly(value), need) | (need, Self::Exactly(value)) => need.admits(value),
            _ => true,
        }
    }

    fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Absent => false,
            Self::Present => true,
            Self::Text => value.is_string(),
            Self::Filled => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Exactly(wanted) => value == wanted,
        }
    }

    /// Whether everything that is like this is like the other, too.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(value), need) => need.admits(value),
            (Self::Filled, Self::Text) | (Self::Text | Self::Filled, Self::Present) => true,
            (one, other) => one == other,
        }
    }
}

type Needs = Vec<(String, Need)>;

/// What a body must be like to break a guard of this kind: one of these alternatives. `[[]]` says nothing.
fn to_break(kind: &GuardKind) -> Vec<Needs> {
    let key = |name: &String, need: Need| vec![vec![(name.clone(), need)]];
    let value = |value: &ValueRef, need: Need| if value.place == Place::Body { key(&value.name, need) } else { vec![Vec::new()] };
    match kind {
        GuardKind::AnyKey(keys) => vec![keys.iter().map(|key| (key.clone(), Need::Absent)).collect()],
        GuardKind::HasKey(name) => key(name, Need::Absent),
        GuardKind::NotEmpty(place) => value(place, Need::Exactly("".into())),
        GuardKind::Unique(rule) => value(&rule.value(), Need::Filled),
        GuardKind::PhoneValid(place) => value(place, Need::Filled),
        GuardKind::UsernamePolicy(place) | GuardKind::PasswordPolicy(place) | GuardKind::LegacyDigest(place) => value(place, Need::Text),
        GuardKind::DistinctNames(place) => value(place, Need::Present),
        GuardKind::MaxChars(bounds) => bounds.keys().map(|name| vec![(name.clone(), Need::Filled)]).collect(),
        _ => vec![Vec::new()],
    }
}

/// What a body must be like for a condition to hold; parts that say nothing of the body are left out.
fn to_apply(when: &When) -> Needs {
    match &when.body {
        None => Vec::new(),
        Some(BodyShape::Has(key)) => vec![(key.clone(), Need::Present)],
        Some(BodyShape::Keys(keys)) => shapes(keys),
    }
}

fn shapes(keys: &BTreeMap<String, Value>) -> Needs {
    keys.iter().map(|(key, shape)| (key.clone(), if shape == "string" { Need::Text } else { Need::Exactly(shape.clone()) })).collect()
}

/// Whether no request breaks both entries.
pub(super) fn never_together(first: &Guard, second: &Guard) -> bool {
    let alternatives = |guard: &Guard| -> Vec<Needs> {
        let applies = guard.when.as_ref().map_or_else(Vec::new, to_apply);
        to_break(&guard.kind).into_iter().map(|broken| broken.into_iter().chain(applies.clone()).collect()).collect()
    };
    let clash =
        |one: &Needs, other: &Needs| one.iter().any(|(key, need)| other.iter().any(|(same, wants)| key == same && !need.fits(wants)));
    let second = alternatives(second);
    alternatives(first).iter().all(|one| second.iter().all(|other| clash(one, other)))
}

/// Whether whatever breaks a guard of this kind meets the condition anyway.
pub(super) fn implied_by_breaking(kind: &GuardKind, when: &When) -> bool {
    if when.caller.is_some() || when.tenant.is_some() {
        return false;
    }
    let given = |broken: &Needs, key: &str, need: &Need| broken.iter().any(|(same, has)| same == key && has.implies(need));
    let excluded = |broken: &Needs, inner: &When| {
        let wanted = to_apply(inner);
        inner.not.is_none() && wanted.iter().any(|(key, need)| broken.iter().any(|(same, has)| same == key && !has.fits(need)))
    };
    to_break(kind).iter().all(|broken| {
        to_apply(when).iter().all(|(key, need)| given(broken, key, need)) && when.not.as_ref().is_none_or(|inner| excluded(broken, inner))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(text: &str) -> Guard {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn entries_that_ask_for_opposite_bodies_are_exclusive() {
        for (first, second, exclusive) in [
            ("{last-identifier: {without: a}, when: {body: {a: null}}}", "{unique: a}", true),
            ("{any-key: [a, b]}", "{max-chars: {a: 1, b: 2}}", true),
            ("{any-key: [a]}", "{max-chars: {a: 1, b: 2}}", false),
            ("{has-key: a, when: {body: {b: x}}}", "{scope: s, when: {body: {b: y}}}", true),
            ("{has-key: a, when: {body: {b: x}}}", "{scope: s, when: {body: b}}", false),
            ("{not-empty: body.a}", "{phone-valid: body.a}", true),
            ("{unique: a}", "{phone-valid: body.a}", false),
            ("{scope: s}", "{scope: t}", false),
            ("{has-key: a}", "{not-empty: query.a}", false),
        ] {
            assert_eq!(never_together(&guard(first), &guard(second)), exclusive, "{first} {second}");
            assert_eq!(never_together(&guard(second), &guard(first)), exclusive, "{second} {first}");
        }
    }

    #[test]
    fn a_condition_that_the_kind_asks_for_anyway_says_nothing() {
        for (entry, implied) in [
            ("{unique: a, when: {body: {a: string}}}", true),
            ("{unique: a, when: {body: a}}", true),
            ("{unique: a, when: {body: b}}", false),
            ("{phone-valid: body.a, when: {body: {a: string}, not: {body: {a: ''}}}}", true),
            ("{legacy-digest: body.a, when: {body: {a: string}, not: {body: {a: ''}}}}", false),
            ("{max-chars: {a: 1, b: 1}, when: {body: a}}", false),
            ("{unique: a, when: {body: a, caller: has-security-method}}", false),
            ("{scope: s, when: {body: a}}", false),
        ] {
            let entry_read = guard(entry);
            assert_eq!(implied_by_breaking(&entry_read.kind, entry_read.when.as_ref().unwrap()), implied, "{entry}");
        }
    }
}
