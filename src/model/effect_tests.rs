use super::*;
use crate::contract::Operation;
use crate::model::body::Body;
use crate::model::sample::{NOW, contract, state};
use crate::model::wire::Request;

/// Has a call about the user `u1` act, whose operation has these effects, written as in `specs/`.
fn act<T>(effects: &[&str], input: &Value, act: impl FnOnce(&Call<'_>) -> T) -> T {
    let mut operation: Operation = contract().operation("UpdateUser").unwrap().clone();
    operation.effects = effects.iter().map(|effect| serde_saphyr::from_str(effect).unwrap()).collect();
    let request = Request::new("POST", "/");
    let call = Call {
        operation: &operation,
        request: &request,
        path: [("userId".to_owned(), "u1".to_owned())].into(),
        query: std::collections::BTreeMap::new(),
        body: Body::Value(input.clone()),
        input: input.clone(),
    };
    act(&call)
}

/// The state after these effects.
fn after(mut state: State, effects: &[&str], input: &Value) -> State {
    act(effects, input, |call| apply(call, &mut state, NOW));
    state
}

fn user() -> Key {
    Key::new(Kind::User, "u1")
}

#[test]
fn what_may_have_been_set_is_not_known() {
    let effect = "{parts: user.logtoConfig.mfa, value: {enabled: true}, when: {tenant: passkey-factor-on}}";
    for (settings, expected) in [
        (json!({"mfa": {"factors": ["WebAuthn"]}}), Some(json!(true))),
        (json!({"mfa": {"factors": ["Totp"]}}), Some(json!(false))),
        (json!({}), None),
    ] {
        let choices = json!({"logtoConfig.mfa.enabled": false, "logtoConfig.mfa.skipped": false});
        let known = state(&[(Kind::User, "u1", choices), (Kind::Settings, crate::model::SIGN_IN_EXPERIENCE, settings.clone())]);
        let next = after(known, &[effect], &json!({}));
        let user = next.get(&user()).unwrap();
        assert_eq!(user.known("logtoConfig.mfa.enabled").cloned(), expected, "{settings}");
        assert_eq!(user.known("logtoConfig.mfa.skipped"), Some(&json!(false)), "{settings}");
    }
}

#[test]
fn only_where_everything_goes_nothing_unknown_is_left() {
    for (effect, all) in [
        ("{delete: {factor: any, of: user}}", true),
        ("{delete: {factor: any, of: user, with: {type: Totp}}}", false),
        ("{delete: {factor: any, of: user, without: {type: WebAuthn}}}", false),
        ("{delete: {factor: body.id, of: user}}", false),
    ] {
        let known = state(&[(Kind::User, "u1", json!({})), (Kind::Factor, "f1", json!({"id": "f1", "owner": "u1", "type": "Totp"}))]);
        let next = after(known, &[effect], &json!({"id": "f1"}));
        assert_eq!(next.all(Kind::Factor).count(), 0, "{effect}");
        assert_eq!(next.knows_all(Kind::Factor, Some(&user())), all, "{effect}");
    }
}

#[test]
fn deletions_can_be_done_alone() {
    let mut known = state(&[(Kind::User, "u1", json!({})), (Kind::Factor, "f1", json!({"owner": "u1"}))]);
    let effects = ["{set: user, with: {name: lc}}", "{delete: {factor: any, of: user}}", "create-user"];
    act(&effects, &json!({}), |call| delete_only(call, &mut known));
    assert_eq!(known.all(Kind::Factor).count(), 0);
    assert_eq!(known.all(Kind::User).count(), 1);
    assert_eq!(known.get(&user()).unwrap().known("name"), None);
}

#[test]
fn a_change_moves_the_time_of_users_only() {
    let made = json!({"id": "x", "updatedAt": 5});
    let known = state(&[(Kind::User, "u1", made.clone()), (Kind::Role, "r1", made)]);
    let next = after(known, &["{set: user, with: {name: lc}}", "{set: {role: body.id}, with: {name: lc}}"], &json!({"id": "r1"}));
    let role = Key::new(Kind::Role, "r1");
    let [user, role] = [&user(), &role].map(|key| next.get(key).unwrap());
    assert_eq!([user, role].map(|entity| entity.text("name")), [Some(Some("lc")); 2]);
    assert_eq!(*user.get("updatedAt"), Term::AtLeast(5.0));
    assert_eq!(role.known("updatedAt"), Some(&json!(5)));
}

#[test]
fn some_values_are_not_stored_as_they_are_written() {
    for (name, value, kept) in [
        ("username", json!(""), Some(Value::Null)),
        ("customData", json!(""), Some(json!(""))),
        ("primaryPhone", json!("4407911123456"), Some(json!("447911123456"))),
        ("primaryPhone", json!(""), Some(Value::Null)),
        ("primaryPhone", Value::Null, Some(Value::Null)),
        ("name", json!("4407911123456"), Some(json!("4407911123456"))),
        ("webauthnRelatedOrigins", json!(["https://b", "https://a", "https://b"]), Some(json!(["https://b", "https://a"]))),
        // The catalogue of these is not known, and none of them is none.
        ("profileFields", json!([{"name": "lc"}]), None),
        ("profileFields", json!([]), Some(json!([]))),
        ("signUpProfileFields", json!([]), Some(json!([]))),
        ("socialSignInConnectorTargets", json!([]), Some(json!([]))),
        ("passwordExpiration", json!({"enabled": true}), None),
        ("passwordExpiration", json!({"enabled": false}), Some(json!({"enabled": false}))),
        (
            "emailBlocklistPolicy",
            json!({"customBlocklist": ["b.example", "a.example", "b.example"], "blockSubaddressing": true}),
            Some(json!({"customBlocklist": ["b.example", "a.example"], "blockSubaddressing": true})),
        ),
        ("customData", json!({"list": ["a", "a"]}), Some(json!({"list": ["a", "a"]}))),
    ] {
        assert_eq!(stored(name, &value), kept.map_or(Term::Unknown, Term::Known), "{name} {value}");
    }
}

#[test]
fn new_users_get_the_default_roles() {
    let roles = [
        (Kind::Role, "given", json!({"isDefault": true})),
        (Kind::Role, "other", json!({"isDefault": false})),
        (Kind::Role, "unknown", json!({})),
        (Kind::Role, "gone", json!({"isDefault": true, "removed": true})),
    ];
    let mut state = state(&roles);
    let key = create_user(&json!({"username": "lc"}), &mut state);
    let given: Vec<_> = state.all(Kind::UserRole).map(|(_, role)| (role.text("owner"), role.text("roleId"))).collect();
    assert_eq!(given, [(Some(Some(key.id.as_str())), Some(Some("given")))]);
}

#[test]
fn a_new_user_has_nothing_unknown_but_roles_that_were_there_before() {
    for (mut state, roles) in [(State::default(), false), (State::closed(), true)] {
        let key = create_user(&json!({"username": "lc"}), &mut state);
        assert_eq!(state.knows_all(Kind::UserRole, Some(&key)), roles);
        assert!(state.knows_all(Kind::Factor, Some(&key)));
    }
}

#[test]
fn a_password_is_settled_by_who_proves_to_know_it() {
    for (algorithm, expected) in [("Bcrypt", json!("proved")), ("Argon2id", json!("proved")), ("Argon2i", json!("before"))] {
        let known = state(&[(Kind::User, "u1", json!({"password": "before", "passwordAlgorithm": algorithm}))]);
        let next = after(known, &["settle-user-password"], &json!({"password": "proved"}));
        let user = next.get(&user()).unwrap();
        assert_eq!(user.known("password"), Some(&expected), "{algorithm}");
        assert_eq!(user.text("passwordAlgorithm"), Some(Some("Argon2i")), "{algorithm}");
    }
}

#[test]
fn the_resource_says_what_a_token_is_for() {
    for (resource, usage, kind) in [
        (Value::Null, "account", Fresh::OpaqueToken),
        (json!(""), "account", Fresh::OpaqueToken),
        (json!("https://default.logto.app/api"), "management", Fresh::Jwt),
        (json!("https://default.logto.app/me"), "other", Fresh::Jwt),
        (json!("https://lc.example/api"), "other", Fresh::Jwt),
    ] {
        let mut state = State::default();
        let input = json!({"grant_type": "client_credentials", "client_id": "m", "client_secret": "s", "resource": resource});
        let key = act(&[], &input, |call| issue_token(call, &mut state, NOW));
        let token = state.get(&key).unwrap();
        assert_eq!(token.text("use"), Some(Some(usage)), "{resource}");
        assert_eq!(*token.get("access_token"), Term::Fresh(kind), "{resource}");
    }
}
