use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::body::Body;
use crate::model::sample::{contract, state};
use crate::model::wire::Request;

fn selector(text: &str) -> Selector {
    serde_saphyr::from_str(text).unwrap()
}

/// Has a call with this body, about the user `u1`, looked at.
fn called<T>(input: &Value, look: impl FnOnce(&Call<'_>) -> T) -> T {
    let request = Request::new("POST", "/");
    let call = Call {
        operation: contract().operation("UpdateUser").unwrap(),
        request: &request,
        path: BTreeMap::from([("userId".to_owned(), "u1".to_owned())]),
        query: BTreeMap::new(),
        body: Body::Value(input.clone()),
        input: input.clone(),
    };
    look(&call)
}

/// What is known of the one thing that `body.x` names.
fn named(state: &State, text: &str, value: &str) -> Look {
    let looks = called(&json!({"x": value, "owner": "o1"}), |call| select(call, state, &selector(text)));
    assert_eq!(looks.len(), 1);
    looks[0].clone()
}

fn found(kind: Kind, id: &str) -> Look {
    Look::Found(Key::new(kind, id))
}

#[test]
fn one_whose_property_is_not_known_may_be_the_one() {
    let mut state = State::closed();
    state.insert(Key::new(Kind::Role, "r1"), Entity::from_json(&json!({"id": "r1"})));
    state.insert(Key::new(Kind::User, "u1"), Entity::from_json(&json!({"id": "u1"})));
    assert_eq!(named(&state, "{role: body.x, by: name}", "lc"), Look::Unknown);
    assert_eq!(named(&state, "{user: body.x, by: username}", "lc"), Look::Unknown);
    state.update(&Key::new(Kind::Role, "r1"), |role| role.set("name", "other"));
    assert_eq!(named(&state, "{role: body.x, by: name}", "lc"), Look::Missing);
    assert_eq!(named(&state, "{role: body.x, by: name}", "other"), found(Kind::Role, "r1"));
}

#[test]
fn a_user_that_is_known_by_one_id_has_no_other() {
    // Nothing was seen of these users but that they are there.
    let mut state = State::default();
    state.insert(Key::new(Kind::User, "u1"), Entity::default());
    assert_eq!(named(&state, "{user: body.x}", "u1"), found(Kind::User, "u1"));
    assert_eq!(named(&state, "{user: body.x}", "u2"), Look::Missing);
    state.insert(Key::unborn(Kind::User, &state), Entity::default());
    assert_eq!(named(&state, "{user: body.x}", "u2"), Look::Unknown);
}

#[test]
fn what_an_answer_has_told_to_be_missing_is_missing() {
    let gone = json!({"name": "lc", "owner": "o1", "removed": true});
    let mut state = state(&[(Kind::Scope, "s1", gone)]);
    assert_eq!(named(&state, "{scope: body.x, of: body.owner, by: name}", "lc"), Look::Missing);
    assert_eq!(named(&state, "{scope: body.x, by: name}", "lc"), Look::Missing);
    assert_eq!(named(&state, "{scope: body.x, of: body.owner, by: name}", "other"), Look::Unknown);
    state.update(&Key::new(Kind::Scope, "s1"), |scope| scope.set("owner", "o2"));
    assert_eq!(named(&state, "{scope: body.x, of: body.owner, by: name}", "lc"), Look::Unknown);
}

#[test]
fn what_is_there_says_nothing_of_its_like_elsewhere() {
    let state = state(&[(Kind::Scope, "s1", json!({"name": "lc", "owner": "o2"}))]);
    assert_eq!(named(&state, "{scope: body.x, of: body.owner, by: name}", "lc"), Look::Unknown);
    assert_eq!(named(&state, "{scope: body.x, by: name}", "lc"), found(Kind::Scope, "s1"));
}

/// What is assumed besides what is known: the keys with what is said of them.
fn assumed(known: &State, text: &str, input: &Value, present: bool) -> Option<Vec<(String, Value)>> {
    let selector = selector(text);
    let next = called(input, |call| assume(call, known, &selector, present))?;
    let value = |entity: &Entity| entity.iter().filter_map(|(name, term)| Some((name.to_owned(), term.known()?.clone()))).collect();
    let new = next.changed_since(known);
    Some(new.iter().map(|key| (key.id.clone(), Value::Object(value(next.get(key).unwrap())))).collect())
}

#[test]
fn what_is_not_known_of_can_be_assumed_either_way() {
    let state = state(&[(Kind::Role, "r1", json!({"id": "r1"})), (Kind::User, "u1", json!({"id": "u1"}))]);
    let one = |id: &str, value: Value| Some(vec![(id.to_owned(), value)]);
    for (text, input, present, expected) in [
        ("{role: body.x}", json!({"x": "r2"}), true, one("r2", json!({"id": "r2"}))),
        ("{role: body.x}", json!({"x": "r2"}), false, one("r2", json!({"id": "r2", "removed": true}))),
        ("{role: body.x}", json!({"x": "r1"}), true, Some(Vec::new())),
        ("{role: body.x, by: name}", json!({"x": "lc"}), true, one("?1", json!({"name": "lc"}))),
        // Whom it belongs to is said by the property that such things have for it.
        ("{scope: body.x, of: body.o, by: name}", json!({"x": "lc", "o": "o1"}), true, one("?1", json!({"name": "lc", "owner": "o1"}))),
        ("{factor: body.x, of: user}", json!({"x": "f1"}), false, one("?1", json!({"id": "f1", "owner": "u1", "removed": true}))),
        (
            "{organization-member: body.x, of: user, by: organizationId}",
            json!({"x": "o1"}),
            true,
            one("?1", json!({"organizationId": "o1", "userId": "u1"})),
        ),
        // Of several things, all may be there, but only one may be missing.
        (
            "{role: body.x}",
            json!({"x": ["r1", "r2", "r3"]}),
            true,
            Some(vec![("r2".into(), json!({"id": "r2"})), ("r3".into(), json!({"id": "r3"}))]),
        ),
        ("{role: body.x}", json!({"x": ["r2", "r3"]}), false, None),
        // Of users and their proofs nothing is assumed, nor of anything by its properties.
        ("{user: body.x}", json!({"x": "u2"}), true, None),
        ("{record: body.x}", json!({"x": "v1"}), true, None),
        ("{role: body.x, with: {type: User}}", json!({"x": "r2"}), true, None),
        ("{role: body.x, without: {type: User}}", json!({"x": "r2"}), true, None),
        ("{role: body.y}", json!({"x": "r2"}), false, None),
    ] {
        assert_eq!(assumed(&state, text, &input, present), expected, "{text} {input} {present}");
    }
}

#[test]
fn whatever_fits_comes_with_the_oldest_first() {
    let made = |text: &str| json!({"owner": "u1", "createdAt": text});
    let mut state = state(&[
        (Kind::Factor, "f1", json!({"owner": "u1"})),
        (Kind::Factor, "f2", made("2026-02-01T00:00:00.000Z")),
        (Kind::Factor, "f3", made("2026-01-01T00:00:00.000Z")),
        (Kind::Factor, "f4", json!({"owner": "u2"})),
        (Kind::User, "u1", json!({})),
    ]);
    let any = |state: &State, text: &str| called(&json!({}), |call| select(call, state, &selector(text)));
    let factors = ["f3", "f2", "f1"].map(|id| found(Kind::Factor, id));
    // There may be more, unless it was told that these are all.
    assert_eq!(any(&state, "{factor: any, of: user}"), [factors.as_slice(), &[Look::Unknown]].concat());
    state.told_all(Kind::Factor, &Key::new(Kind::User, "u1"));
    assert_eq!(any(&state, "{factor: any, of: user}"), factors);
    assert_eq!(any(&state, "{role: any}"), [Look::Unknown]);
    assert_eq!(any(&state, "{user: any}"), [found(Kind::User, "u1")]);
}

#[test]
fn what_was_made_at_an_unknown_time_is_the_youngest() {
    let entity = |value: Value| Entity::from_json(&value);
    let old = entity(json!({"createdAt": "2026-01-01T00:00:00.000Z"}));
    let young = entity(json!({"createdAt": "2026-02-01T00:00:00.000Z"}));
    let unknown = entity(json!({"id": "f1"}));
    assert_eq!(age(&old), (false, "2026-01-01T00:00:00.000Z"));
    assert_eq!(age(&unknown), (true, ""));
    assert!(age(&old) < age(&young) && age(&young) < age(&unknown));
}
