use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::model::password::digest;
use crate::model::sample::{NOW, contract};
use crate::model::wire::Request;

/// An administrator and a user with a password and a token.
fn start() -> State {
    let mut state = State::closed();
    for (token, user) in [("admin", Value::Null), ("own", json!("u1"))] {
        state.insert(Key::new(Kind::Token, token), Entity::from_json(&json!({"user": user})));
    }
    let user = json!({"username": "ann", "hasPassword": true, "passwordAlgorithm": "Argon2i", "isSuspended": false});
    state.insert(Key::new(Kind::User, "u1"), Entity::from_json(&user));
    state
}

/// What a call with a password in its body meets, if a guard of this kind refuses it or none does.
fn met(state: &State, token: &str, operation: &str, refused: Option<&str>) -> Survey {
    let operation = contract().operation(operation).unwrap();
    let path: BTreeMap<String, String> =
        operation.path.contains("{userId}").then(|| ("userId".to_owned(), "u1".to_owned())).into_iter().collect();
    let bearer = format!("Bearer {token}");
    let request =
        Request::new(&operation.method, &operation.path).with_header("authorization", bearer).with_json(&json!({"password": "x"}));
    let refused = refused.map(|name| operation.guards.iter().position(|guard| guard.kind.name() == name).unwrap());
    survey(&Call::read(operation, path, &request), state, refused, NOW)
}

#[test]
fn passwords_are_computed_where_one_is_compared_or_stored() {
    let (costly, mut cheap) = (start(), start());
    cheap.update(&Key::new(Kind::User, "u1"), |user| user.set("passwordDigest", digest("old").as_str()));
    let mut none = start();
    none.update(&Key::new(Kind::User, "u1"), |user| user.set("hasPassword", false));
    for (token, operation, refused, in_costly, in_cheap) in [
        ("admin", "CreateUser", None, 1, 1),
        ("admin", "CreateUser", Some("valid-input"), 0, 0),
        ("admin", "UpdateUserPassword", None, 1, 1),
        ("admin", "UpdateUserPassword", Some("exists"), 0, 0),
        // What is only compared is not stored.
        ("admin", "VerifyUserPassword", None, 1, 0),
        ("admin", "VerifyUserPassword", Some("user-password"), 1, 0),
        ("admin", "VerifyUserPassword", Some("exists"), 0, 0),
        ("own", "CreateVerificationByPassword", None, 1, 0),
        ("own", "CreateVerificationByPassword", Some("password-matches"), 1, 0),
        ("own", "CreateVerificationByPassword", Some("not-locked"), 0, 0),
        // Compared with the old one first.
        ("own", "UpdatePassword", None, 2, 1),
        ("own", "UpdatePassword", Some("new-password"), 1, 0),
        ("own", "UpdatePassword", Some("password-policy"), 0, 0),
        ("admin", "GetUser", None, 0, 0),
    ] {
        let passwords = |state: &State| met(state, token, operation, refused).passwords;
        assert_eq!((passwords(&costly), passwords(&cheap)), (in_costly, in_cheap), "{operation} {refused:?}");
        assert_eq!(passwords(&none), in_cheap, "{operation} {refused:?} without a password");
    }
}

#[test]
fn accounts_differ_by_password_identifiers_factor_and_suspension() {
    let plain = Account { password: true, identifiers: false, factor: false, suspended: false };
    let several = Account { identifiers: true, ..plain };
    for (properties, factor_of, expected) in [
        (json!({}), None, plain),
        (json!({"username": null}), None, plain),
        (json!({"primaryEmail": null, "primaryPhone": null}), None, plain),
        (json!({"username": null, "primaryPhone": "15550001"}), None, plain),
        (json!({"primaryEmail": "a@b.c"}), None, several),
        (json!({"username": null, "primaryEmail": "a@b.c", "primaryPhone": "15550001"}), None, several),
        (json!({"primaryEmail": "a@b.c", "primaryPhone": "15550001"}), None, several),
        (json!({}), Some("u1"), Account { factor: true, ..plain }),
        (json!({}), Some("u2"), plain),
        (json!({"hasPassword": false}), None, Account { password: false, ..plain }),
        (json!({"isSuspended": true}), None, Account { suspended: true, ..plain }),
    ] {
        let mut state = start();
        state.update(&Key::new(Kind::User, "u1"), |user| {
            for (name, value) in properties.as_object().unwrap() {
                user.set(name, value.clone());
            }
        });
        if let Some(owner) = factor_of {
            state.insert(Key::new(Kind::Factor, "f1"), Entity::default().with("owner", owner));
        }
        for (token, operation) in [("own", "UpdatePassword"), ("admin", "UpdateUserPassword")] {
            assert_eq!(met(&state, token, operation, None).account, Some(expected), "{operation} {properties} {factor_of:?}");
        }
        assert_eq!(met(&state, "admin", "CreateUser", None).account, None);
    }
}
