use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::contract::Sighting;
use crate::model::Truth;
use crate::model::sample::{NOW, contract};

const HOUR: i64 = 3_600_000;

/// A state with an administrator whose token lasts so long.
fn administered(mut state: State, lasts: i64) -> State {
    let token = json!({"use": "management", "scope": "all", "user": null, "client": "m", "alive": true, "expiresAt": NOW + lasts});
    state.insert(Key::new(Kind::Token, "admin"), Entity::from_json(&token));
    state
}

/// A tenant whose user `u1` has this name, and in which another one is called ben.
fn named(username: &str) -> State {
    let mut state = administered(State::closed(), HOUR);
    for (id, username) in [("u1", username), ("u2", "ben")] {
        let user = json!({"id": id, "username": username, "primaryEmail": null, "primaryPhone": null, "customData": {}});
        state.insert(Key::new(Kind::User, id), Entity::from_json(&user));
    }
    state
}

/// The same as `named("ann")`, a moment before or after the token runs out.
fn at_the_end() -> State {
    administered(named("ann"), 1000)
}

fn by_admin(method: &str, target: &str) -> Request {
    Request::new(method, target).with_header("authorization", "Bearer admin")
}

fn read() -> Request {
    by_admin("GET", "/api/users/u1")
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes().into() }
}

fn empty(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

/// The body that a success has in a state.
fn right(state: &State, request: &Request) -> Value {
    let success = predict(contract(), state, request, NOW).alternatives.pop().unwrap();
    success.body.sample(&mut |_| json!("made")).unwrap()
}

fn with(mut body: Value, name: &str, value: &str) -> Value {
    body[name] = json!(value);
    body
}

fn relation(states: &States, request: &Request, answer: &Answer) -> Relation {
    observe(contract(), states, request, answer, NOW).relation.unwrap()
}

fn difference(states: &States, request: &Request, answer: &Answer) -> Difference {
    let Relation::Different(difference) = relation(states, request, answer) else { panic!("a difference") };
    *difference
}

#[test]
fn an_answer_is_predicted_where_it_alone_was_admitted() {
    let shown = answer(200, &right(&named("ann"), &read()));
    let of = |states: Vec<State>| relation(&States::any_of(states), &read(), &shown);
    assert_eq!(of(vec![named("ann")]), Relation::Predicted);
    assert_eq!(of(vec![at_the_end()]), Relation::Either, "the token may have run out");
    assert_eq!(of(vec![named("ann"), named("eve")]), Relation::Either, "a lost answer left two states");
    let role = by_admin("GET", "/api/roles/r1");
    let missing = answer(404, &json!({"code": "entity.not_exists_with_id", "message": ""}));
    let unseen = States::certain(administered(State::default(), HOUR));
    assert!(matches!(relation(&unseen, &role, &missing), Relation::Abstained(_)), "the role may have been there before");
}

#[test]
fn the_nearest_admitted_answer_is_told() {
    let other = answer(200, &with(right(&named("ann"), &read()), "username", "lou"));
    let either = States::any_of(vec![named("ann"), named("eve")]);
    for states in [either, States::certain(at_the_end())] {
        assert_eq!(difference(&states, &read(), &other).to_string(), "/username: expected \"ann\", got \"lou\"");
    }
    // A success is nearer than a refusal.
    let failed = difference(&States::certain(at_the_end()), &read(), &answer(500, &json!({"message": ""})));
    assert_eq!((failed.guard.clone(), failed.to_string()), (None, "expected 200, got 500".to_owned()));
}

#[test]
fn a_difference_names_what_should_have_refused() {
    let outcome = |status, code: Option<&str>| Outcome { status: Status::Exact(status), code: code.map(str::to_owned) };
    let difference = Difference {
        operation: None,
        expected: outcome(404, Some("entity.not_found")),
        guard: Some(("exists".into(), "the user exists".into())),
        actual: outcome(204, None),
        body: None,
    };
    assert_eq!(difference.to_string(), "expected 404 entity.not_found (the user exists), got 204");
    assert_eq!(Difference { guard: None, ..difference }.to_string(), "expected 404 entity.not_found, got 204");
}

#[test]
fn an_answer_without_a_body_is_judged_by_its_status() {
    let (here, gone) = ("/api/users/u1", "/api/users/none");
    let cached = |target: &str| by_admin("GET", target).with_header("if-none-match", "\"tag\"");
    let shown = right(&named("ann"), &read());
    let wrong = with(shown.clone(), "username", "lou");
    let cases = [
        ("HEAD shows no body", by_admin("HEAD", here), empty(200), true),
        ("HEAD fails", by_admin("HEAD", here), empty(500), false),
        ("what the client has is not sent again", cached(here), empty(304), true),
        ("the client has nothing", by_admin("GET", here), empty(304), false),
        ("there is nothing to be unmodified", cached(gone), empty(304), false),
        ("what is sent again must be right", cached(here), answer(200, &wrong), false),
        ("another success is none", by_admin("GET", here), answer(201, &shown), false),
    ];
    for (name, request, answer, admitted) in cases {
        let relation = relation(&States::certain(named("ann")), &request, &answer);
        assert_eq!(relation == Relation::Predicted, admitted, "{name}: {relation:?}");
    }
}

#[test]
fn the_router_refuses_without_a_code() {
    let nowhere = by_admin("GET", "/api/my-account/nothing-of-this-name");
    let states = States::certain(named("ann"));
    let plain = Answer { body: b"Not Found".to_vec().into(), ..empty(404) };
    assert_eq!(relation(&states, &nowhere, &plain), Relation::Predicted);
    let coded = answer(404, &json!({"code": "entity.not_found", "message": ""}));
    assert!(matches!(relation(&states, &nowhere, &coded), Relation::Different(_)));
}

#[test]
fn an_answer_that_several_unseen_things_may_be_the_reason_for_teaches_nothing() {
    let mut state = administered(State::default(), HOUR);
    state.insert(Key::new(Kind::Application, "a"), Entity::from_json(&json!({"id": "a", "isThirdParty": true})));
    let request = by_admin("POST", "/api/applications/a/user-consent-scopes")
        .with_json(&json!({"organizationScopes": ["s1"], "resourceScopes": ["s2"]}));
    let states = States::certain(state);
    let refused = answer(422, &json!({"code": "application.user_consent_scopes_not_found", "message": ""}));
    let seen = observe(contract(), &states, &request, &refused, NOW);
    assert!(matches!(seen.relation, Some(Relation::Abstained(_))), "{:?}", seen.relation);
    assert_eq!(seen.states, states);
    assert!(matches!(relation(&states, &request, &answer(418, &json!({}))), Relation::Different(_)));
}

#[test]
fn what_a_wrong_answer_may_have_changed_is_doubted() {
    let rename = |username: &str| by_admin("PATCH", "/api/users/u1").with_json(&json!({"username": username}));
    let (free, taken) = (rename("lou"), rename("ben"));
    let refused = |status| answer(status, &json!({"code": "some.code", "message": ""}));
    let cases = [
        ("a write that should have succeeded is refused", &free, refused(400), None, Truth::Unknown),
        ("the deployment failed", &free, refused(500), None, Truth::No),
        ("a refusal for another reason", &taken, refused(400), Some("ann"), Truth::Yes),
        ("a failure in place of a refusal", &taken, refused(500), Some("ann"), Truth::Yes),
        ("a success in place of a refusal", &taken, answer(200, &json!({})), None, Truth::Unknown),
        ("a refused look", &read(), refused(400), Some("ann"), Truth::Yes),
    ];
    for (name, request, answer, username, may) in cases {
        let seen = observe(contract(), &States::certain(named("ann")), request, &answer, NOW);
        assert!(matches!(seen.relation, Some(Relation::Different(_))), "{name}");
        let user = seen.states.first().find(Kind::User, "u1").unwrap();
        assert_eq!((user.text("username").flatten(), user.may("username", |_| true)), (username, may), "{name}");
    }
}

#[test]
fn a_refusal_that_may_have_taken_something_along_leaves_it_open() {
    let mut state = administered(State::default(), HOUR);
    for (kind, id, entity) in [
        (Kind::User, "u1", json!({"id": "u1", "all:user-role": true})),
        (Kind::Role, "r1", json!({"id": "r1"})),
        (Kind::Role, "r2", json!({"id": "r2", "type": "User"})),
        (Kind::UserRole, "u1/r2", json!({"owner": "u1", "roleId": "r2"})),
    ] {
        state.insert(Key::new(kind, id), Entity::from_json(&entity));
    }
    let request = by_admin("PUT", "/api/users/u1/roles").with_json(&json!({"roleIds": ["r1"]}));
    let refused = answer(422, &json!({"code": "entity.db_constraint_violated", "message": ""}));
    let seen = observe(contract(), &States::certain(state), &request, &refused, NOW);
    let mut left: Vec<usize> = seen.states.iter().map(|state| state.all(Kind::UserRole).count()).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1]);
}

fn property(key: &Key, name: &str, value: Value) -> Lesson {
    Lesson { key: key.clone(), teaching: Teaching::Property(name.into()), value }
}

#[test]
fn a_user_without_a_password_has_none_to_be_known() {
    let key = Key::new(Kind::User, "u1");
    let taught = |name: &str, value: bool, user: Value| {
        let mut state = State::default();
        state.insert(key.clone(), Entity::from_json(&user));
        learn(state, &[property(&key, name, json!(value))]).get(&key).unwrap().known("password").cloned()
    };
    assert_eq!(taught("hasPassword", false, json!({"password": "old"})), Some(Value::Null));
    assert_eq!(taught("hasPassword", false, json!({"hasPassword": false})), Some(Value::Null));
    assert_eq!(taught("hasPassword", true, json!({"password": "old"})), Some(json!("old")));
    assert_eq!(taught("isSuspended", false, json!({"password": "old"})), Some(json!("old")));
}

#[test]
fn settings_are_there_before_they_are_seen_and_users_are_not() {
    let (settings, user) = (Key::sign_in_experience(), Key::new(Kind::User, "u9"));
    let state = learn(State::default(), &[property(&settings, "tenantId", json!("t")), property(&user, "name", json!("n"))]);
    assert_eq!(state.settings(&settings).known("tenantId"), Some(&json!("t")));
    assert!(state.get(&user).is_none());
}

#[test]
fn what_follows_from_other_properties_is_not_remembered() {
    let key = Key::new(Kind::User, "u1");
    let mut state = State::default();
    state.insert(key.clone(), Entity::default());
    assert_eq!(learn(state.clone(), &[property(&key, "hasSecurityVerificationMethod", json!(true))]), state);
}

#[test]
fn a_session_that_a_list_shows_is_known_by_the_id_it_is_shown_under() {
    let value = json!({"payload": {"uid": "shown", "clientId": "c"}, "expiresAt": NOW});
    let lesson = Lesson { key: Key::new(Kind::User, "u1"), teaching: Teaching::Member(Kind::Session), value };
    let state = learn(State::default(), &[lesson]);
    let sessions: Vec<&Entity> = state.all(Kind::Session).map(|(_, session)| session).collect();
    let known = |name: &str| sessions.iter().map(|session| session.known(name).cloned().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!([known("uid"), known("owner"), known("clientId")], [["shown"], ["u1"], ["c"]]);
}

/// A contract whose only operation elsewhere is this one.
fn sighting(row: Value) -> Contract {
    let sighting: Sighting = serde_json::from_value(row).unwrap();
    Contract { sightings: Arc::new(vec![sighting]), ..contract().clone() }
}

/// What is known: kind, id and property of each.
fn known(state: &State) -> Vec<String> {
    let mut known = Vec::new();
    for kind in Kind::ALL {
        for (id, entity) in state.all(*kind) {
            known.extend(entity.iter().filter(|(_, term)| term.known().is_some()).map(|(name, _)| format!("{kind} {id} {name}")));
        }
    }
    known
}

#[test]
fn traffic_elsewhere_unteaches_what_it_may_have_changed() {
    let mut state = State::default();
    for (user, failures, token) in [("u1", 0, "t1"), ("u2", 3, "t2")] {
        let entity = Entity::from_json(&json!({"name": "n", "failures": failures, "updatedAt": NOW}));
        state.insert(Key::new(Kind::User, user), entity);
        state.insert(Key::new(Kind::Token, token), Entity::from_json(&json!({"user": user, "alive": true})));
    }
    state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true})));
    state.insert(Key::tenant(), Entity::from_json(&json!({"all:role": true})));
    state.insert(Key::new(Kind::CustomProfileField, "f"), Entity::from_json(&json!({"sieOrder": 1})));
    state.insert(Key::new(Kind::Factor, "b"), Entity::from_json(&json!({"owner": "u2", "remainCodes": 9})));
    // `u1` asks for something about `u2`.
    let request = Request::new("POST", "/api/elsewhere/u2").with_header("authorization", "Bearer t1");
    let cases: [(&str, &[&str]); 13] = [
        ("caller.name", &["user u1 name", "user u1 updatedAt"]),
        ("user.name", &["user u2 name", "user u2 updatedAt"]),
        ("user", &["user u2 failures", "user u2 name", "user u2 updatedAt"]),
        // Counters only go back to zero.
        ("user.failures", &["user u2 failures", "user u2 updatedAt"]),
        ("caller.failures", &["user u1 updatedAt"]),
        ("users.failures", &["user u2 failures"]),
        ("users.name", &["user u1 name", "user u2 name"]),
        ("caller-tokens.alive", &["token t1 alive"]),
        ("user-tokens.alive", &["token t2 alive"]),
        ("account-center.enabled", &["settings account-center enabled"]),
        ("tenant.all:role", &["settings tenant all:role"]),
        ("factors.remainCodes", &["factor b remainCodes"]),
        ("profile-fields.sieOrder", &["custom-profile-field f sieOrder"]),
    ];
    for (target, forgotten) in cases {
        let contract = sighting(json!({"operation": "POST /api/elsewhere/{userId}", "forgets": [target]}));
        let after = |status| observe(&contract, &States::certain(state.clone()), &request, &answer(status, &json!({})), NOW).states;
        let left = known(after(200).first());
        let gone: Vec<String> = known(&state).into_iter().filter(|one| !left.contains(one)).collect();
        assert_eq!(gone, forgotten, "{target}");
        assert_eq!(after(400), States::certain(state.clone()), "{target}: a refusal changes nothing");
    }
}

#[test]
fn traffic_elsewhere_teaches_what_its_answers_describe() {
    for (name, kind) in [("record", Kind::Record), ("connector", Kind::Connector)] {
        let row = json!({"operation": "POST /api/elsewhere", "learns": {name: "itsId"}, "with": {"verified": true}});
        let seen = answer(200, &json!({"itsId": "x", "expiresAt": NOW}));
        let states = States::certain(State::default());
        let after = observe(&sighting(row), &states, &Request::new("POST", "/api/elsewhere"), &seen, NOW).states;
        let expected = json!({"itsId": "x", "expiresAt": NOW, "verified": true});
        assert_eq!(after.first().find(kind, "x"), Some(&Entity::from_json(&expected)), "{name}");
    }
}

#[test]
fn whoever_proved_a_password_at_sign_in_is_remembered_in_turn() {
    let mut state = State::default();
    for (id, property, value) in [("u1", "primaryEmail", "ann@example.com"), ("u2", "primaryPhone", "4912345"), ("u3", "username", "cat")] {
        state.insert(Key::new(Kind::User, id), Entity::default().with(property, value));
    }
    let mut states = States::certain(state);
    for (kind, value) in [("phone", "4912345"), ("email", "ann@example.com"), ("username", "cat"), ("email", "nobody@example.com")] {
        let body = json!({"identifier": {"type": kind, "value": value}, "password": "secret"});
        let request = Request::new("POST", "/api/experience/verification/password").with_json(&body);
        states = observe(contract(), &states, &request, &answer(200, &json!({"verificationId": "v"})), NOW).states;
    }
    let pending = states.first().settings(&Key::pending_sign_ins()).known("users").cloned();
    assert_eq!(pending, Some(json!(["u2", "u1", "u3", null])));
}

#[test]
fn an_answer_is_described_by_its_code_else_by_its_body() {
    let described = [
        answer(422, &json!({"code": "user.username_already_in_use", "message": "taken"})),
        answer(200, &json!({"id": "a"})),
        Answer { body: b"Not Found".to_vec().into(), ..empty(404) },
        empty(204),
    ];
    assert_eq!(described.each_ref().map(describe), ["422 user.username_already_in_use", r#"200 {"id":"a"}"#, "404", "204"]);
}
