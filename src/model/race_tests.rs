use serde_json::{Value, json};

use super::*;
use crate::contract::guard::Status;
use crate::contract::{Files, Version};
use crate::model::{Entity, Key, Kind, accept};

const NOW: i64 = 1_800_000_000_000;
const TAKEN: &str = "user.username_already_in_use";

fn contract() -> Contract {
    Contract::from_files(&Files::embedded(), Version::NEWEST).unwrap()
}

/// An administrator and one user.
fn start() -> State {
    let mut state = State::closed();
    let token = json!({"use": "management", "scope": "all", "user": null, "client": "m", "alive": true, "expiresAt": NOW + 3_600_000});
    state.insert(Key::new(Kind::Token, "admin"), Entity::from_json(&token));
    state.insert(
        Key::new(Kind::Application, "m"),
        Entity::from_json(&json!({"id": "m", "type": "MachineToMachine", "isThirdParty": false})),
    );
    state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true, "fields": {}})));
    state.insert(Key::sign_in_experience(), Entity::from_json(&json!({"sentinelPolicy": {}})));
    let user = json!({"id": "u1", "username": "lc_one", "primaryEmail": null, "primaryPhone": null, "customData": {}, "updatedAt": NOW});
    state.insert(Key::new(Kind::User, "u1"), Entity::from_json(&user));
    state
}

fn by_admin(method: &str, target: &str, body: &Value) -> Request {
    Request::new(method, target).with_header("authorization", "Bearer admin").with_json(body)
}

fn create(username: &str) -> Request {
    by_admin("POST", "/api/users", &json!({"username": username}))
}

fn data(member: &str) -> Request {
    by_admin("PATCH", "/api/users/u1/custom-data", &json!({"customData": {member: 1}}))
}

fn answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    Answer { status, headers, body: body.to_string().into_bytes().into() }
}

/// What a conforming deployment answers in a state, and the state that follows. `born` names what it makes.
fn serve(contract: &Contract, state: &State, request: &Request, born: &str) -> (Answer, State) {
    let chosen = predict(contract, state, request, NOW).alternatives.pop().unwrap();
    let Status::Exact(status) = chosen.outcome.status else { panic!("a status of its own") };
    if let Some(code) = &chosen.outcome.code {
        return (answer(status, &json!({"code": code, "message": ""})), chosen.next);
    }
    let body = chosen.body.sample(&mut |fresh| if fresh == crate::model::Fresh::Now { json!(NOW) } else { json!(born) }).unwrap();
    let next = accept(&chosen, Some(&body)).unwrap();
    (answer(status, &body), next)
}

fn judge(requests: &[Request], answers: &[Option<Answer>]) -> Together {
    let exchanges: Vec<Exchange<'_>> = requests.iter().zip(answers).map(|(request, answer)| (request, answer.as_ref())).collect();
    observe_together(&contract(), &States::certain(start()), &exchanges, NOW)
}

fn users(state: &State) -> usize {
    state.all(Kind::User).filter(|(_, user)| user.text("username") == Some(Some("lc_new"))).count()
}

#[test]
fn any_order_explains_the_answers() {
    let requests = [create("lc_new"), create("lc_new")];
    let (won, after) = serve(&contract(), &start(), &requests[0], "u2");
    let (lost, _) = serve(&contract(), &after, &requests[1], "u3");
    assert_eq!((won.status, lost.status), (200, 422));
    for answers in [[won.clone(), lost.clone()], [lost, won]] {
        let race = judge(&requests, &answers.map(Some));
        assert_eq!(race.conflict, None);
        assert!(race.members.iter().flatten().all(|member| member.relation == Some(Relation::Predicted)));
        assert!(race.states.iter().all(|state| users(state) == 1 && state.find(Kind::User, "u2").is_some()));
    }
}

#[test]
fn one_value_for_two_users_is_in_no_order() {
    let requests = [create("lc_new"), create("lc_new")];
    let answers = ["u2", "u3"].map(|id| Some(serve(&contract(), &start(), &requests[0], id).0));
    let race = judge(&requests, &answers);
    let instead = vec![Outcome { status: Status::Exact(422), code: Some(TAKEN.into()) }];
    let outcome = Outcome { status: Status::Exact(200), code: None };
    assert_eq!(race.conflict, Some(Conflict::TooOften { member: 0, outcome, most: 1, instead }));
    assert!(race.members.iter().flatten().all(|member| member.relation.is_none() && member.operation.as_deref() == Some("CreateUser")));
    let refused = answer(422, &json!({"code": TAKEN, "message": ""}));
    let race = judge(&requests, &[Some(refused.clone()), Some(refused)]);
    assert!(matches!(race.conflict, Some(Conflict::TooOften { most: 1, outcome, .. }) if outcome.code.as_deref() == Some(TAKEN)));
}

#[test]
fn outcomes_that_never_come_together_are_told_by_order() {
    let requests = [create("lc_new"), by_admin("PATCH", "/api/users/u1", &json!({"username": "lc_new"}))];
    let answers = [serve(&contract(), &start(), &requests[0], "u2").0, answer(422, &json!({"code": "user.other", "message": ""}))];
    assert!(matches!(judge(&requests, &answers.map(Some)).conflict, Some(Conflict::TooOften { member: 1, most: 0, .. })));
}

#[test]
fn answers_may_show_what_the_others_wrote_meanwhile() {
    let requests = [data("a"), data("b")];
    let (own, both) = (answer(200, &json!({"a": 1})), answer(200, &json!({"a": 1, "b": 1})));
    let kept = |race: &Together| {
        let user = |state: &State| state.find(Kind::User, "u1").and_then(|user| user.known("customData").cloned());
        race.conflict.is_none() && race.states.iter().all(|state| user(state) == Some(json!({"a": 1, "b": 1})))
    };
    assert!(kept(&judge(&requests, &[Some(own.clone()), Some(both.clone())])));
    assert!(kept(&judge(&requests, &[Some(both.clone()), Some(both)])));
    let race = judge(&requests, &[Some(own), Some(answer(200, &json!({"b": 1})))]);
    assert!(matches!(race.conflict, Some(Conflict::Body { .. })), "{:?}", race.conflict);
}

#[test]
fn a_write_that_is_lost_shows_afterwards() {
    let requests = [data("a"), data("b")];
    let both = answer(200, &json!({"a": 1, "b": 1}));
    let race = judge(&requests, &[Some(both.clone()), Some(both)]);
    let look = Request::new("GET", "/api/users/u1/custom-data").with_header("authorization", "Bearer admin");
    let seen = |body: Value| observe(&contract(), &race.states, &look, &answer(200, &body), NOW).relation;
    assert_eq!(seen(json!({"a": 1, "b": 1})), Some(Relation::Predicted));
    assert!(matches!(seen(json!({"a": 1})), Some(Relation::Different(_))));
}

#[test]
fn a_lost_answer_leaves_both_possibilities() {
    let requests = [create("lc_new"), data("a")];
    let race = judge(&requests, &[None, Some(answer(200, &json!({"a": 1})))]);
    assert_eq!(race.conflict, None);
    let counts: Vec<usize> = race.states.iter().map(users).collect();
    assert!(counts.contains(&0) && counts.contains(&1), "{counts:?}");
    // What the other was refused tells that it had its effect.
    let requests = [create("lc_new"), create("lc_new")];
    let race = judge(&requests, &[None, Some(answer(422, &json!({"code": TAKEN, "message": ""})))]);
    assert!(race.conflict.is_none() && race.states.iter().all(|state| users(state) == 1));
    assert!(race.members[0].is_none());
}

#[test]
fn a_server_error_is_judged_by_what_the_others_left() {
    let requests = [create("lc_new"), create("lc_new")];
    let answers = [answer(500, &json!({"message": ""})), serve(&contract(), &start(), &requests[1], "u2").0];
    let race = judge(&requests, &answers.map(Some));
    assert_eq!(race.conflict, None);
    let Some(Relation::Different(difference)) = race.members[0].as_ref().unwrap().relation.clone() else { panic!("a difference") };
    assert_eq!((difference.expected.code.as_deref(), difference.actual.status), (Some(TAKEN), Status::Exact(500)));
    assert_eq!(race.members[1].as_ref().unwrap().matched, Some((Outcome { status: Status::Exact(200), code: None }, None)));
}

#[test]
fn what_an_unexplained_answer_leaves_in_doubt_is_not_taken_for_free() {
    let contract = contract();
    let read = Request::new("GET", "/api/users/u1").with_header("authorization", "Bearer admin");
    let (right, _) = serve(&contract, &start(), &read, "none");
    let mut wrong = right.json().cloned().unwrap();
    wrong["username"] = json!("lc_other");
    let after = |answer| observe(&contract, &States::certain(start()), &read, &answer, NOW).states.first().clone();
    let uncertain = |state: &State| predict(&contract, state, &create("lc_new"), NOW).unknown.is_some();
    assert!(!uncertain(&after(right)));
    assert!(uncertain(&after(answer(200, &wrong))));
}
