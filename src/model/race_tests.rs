use serde_json::{Value, json};

use super::*;
use crate::contract::guard::Status;
use crate::model::sample::{NOW, contract};
use crate::model::{Entity, Key, Kind, accept};

const TAKEN: &str = "user.username_already_in_use";

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
    observe_together(contract(), &States::certain(start()), &exchanges, NOW)
}

fn users(state: &State) -> usize {
    state.all(Kind::User).filter(|(_, user)| user.text("username") == Some(Some("lc_new"))).count()
}

#[test]
fn any_order_explains_the_answers() {
    let requests = [create("lc_new"), create("lc_new")];
    let (won, after) = serve(contract(), &start(), &requests[0], "u2");
    let (lost, _) = serve(contract(), &after, &requests[1], "u3");
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
    let answers = ["u2", "u3"].map(|id| Some(serve(contract(), &start(), &requests[0], id).0));
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
    let answers = [serve(contract(), &start(), &requests[0], "u2").0, answer(422, &json!({"code": "user.other", "message": ""}))];
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
    let seen = |body: Value| observe(contract(), &race.states, &look, &answer(200, &body), NOW).relation;
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
    let answers = [answer(500, &json!({"message": ""})), serve(contract(), &start(), &requests[1], "u2").0];
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
    let (right, _) = serve(contract, &start(), &read, "none");
    let mut wrong = right.json().cloned().unwrap();
    wrong["username"] = json!("lc_other");
    let after = |answer| observe(contract, &States::certain(start()), &read, &answer, NOW).states.first().clone();
    let uncertain = |state: &State| predict(contract, state, &create("lc_new"), NOW).unknown.is_some();
    assert!(!uncertain(&after(right)));
    assert!(uncertain(&after(answer(200, &wrong))));
}

#[test]
fn answers_that_no_order_explains_match_nothing_each_for_itself() {
    let requests = [create("lc_new"), create("lc_new")];
    let answers = ["u2", "u3"].map(|id| Some(serve(contract(), &start(), &requests[0], id).0));
    assert!(judge(&requests, &answers).members.iter().flatten().all(|member| member.matched.is_none()));
}

#[test]
fn a_conflict_is_put_to_the_request_that_stands_out() {
    let outcome = Outcome { status: Status::Exact(200), code: None };
    let mismatch = Mismatch { pointer: "/id".into(), expected: String::new(), actual: String::new(), visibility: None };
    let conflicts = [
        Conflict::TooOften { member: 2, outcome, most: 1, instead: Vec::new() },
        Conflict::Body { member: 3, mismatch },
        Conflict::Combination { orders: Vec::new() },
    ];
    assert_eq!(conflicts.each_ref().map(Conflict::member), [2, 3, 0]);
}

#[test]
fn outcomes_are_foretold_for_every_order_of_requests_that_differ() {
    let foretold = |requests: [Request; 2]| {
        let exchanges: Vec<Exchange<'_>> = requests.iter().map(|request| (request, None)).collect();
        let mut orders = Vec::new();
        foretell(contract(), &start(), &exchanges, &mut vec![None; 2], NOW, &mut orders);
        let told = |order: &Vec<Option<Outcome>>| order.iter().flatten().map(|outcome| outcome.status).collect::<Vec<_>>();
        orders.iter().map(told).collect::<Vec<_>>()
    };
    let (done, refused) = (Status::Exact(200), Status::Exact(422));
    let rename = by_admin("PATCH", "/api/users/u1", &json!({"username": "lc_new"}));
    assert_eq!(foretold([create("lc_new"), rename]), [[done, refused], [refused, done]]);
    assert_eq!(foretold([create("lc_new"), create("lc_new")]), [[done, refused]], "those that are alike have one order");
}

#[test]
fn exchanges_are_alike_when_request_and_answer_are() {
    let (requests, contract) = ([data("a"), data("a"), data("a"), data("b"), data("a")], contract());
    let (one, other) = (answer(200, &json!({"a": 1})), answer(200, &json!({"a": 2})));
    let answers = [Some(&one), Some(&one), Some(&other), Some(&one), None];
    let exchanges: Vec<Exchange<'_>> = requests.iter().zip(answers).collect();
    let states = States::certain(start());
    let search = Search::run(contract, &states, &exchanges[..1], NOW);
    let search = Search { exchanges: &exchanges, ..search };
    assert_eq!([1, 2, 3, 4].map(|other| search.alike(0, other)), [true, false, false, false]);
}

#[test]
fn of_bodies_that_do_not_fit_the_one_after_most_answers_is_told() {
    let (request, contract) = (data("a"), contract());
    let seen = answer(200, &json!({"a": 1}));
    let exchanges = [(&request, Some(&seen))];
    let mut search = Search::run(contract, &States::certain(start()), &exchanges, NOW);
    let explained = search.members[0].clone();
    assert!(explained.is_some() && search.stopped.is_none());
    let mismatch = Mismatch { pointer: "/a".into(), expected: String::new(), actual: String::new(), visibility: None };
    for (member, after) in [(0, 1), (1, 2), (2, 2), (3, 1)] {
        search.members = vec![explained.clone(); after];
        search.stop(member, mismatch.clone());
    }
    assert_eq!(search.stopped, Some((2, 1, mismatch)));
}

#[test]
fn a_body_is_not_explained_by_a_success_of_another_status() {
    let linked = |identities: Value| {
        let mut state = start();
        state.update(&Key::new(Kind::User, "u1"), |user| user.set("identities", identities));
        state
    };
    let states = States::any_of(vec![linked(json!({"lc": {"userId": "old"}})), linked(json!({"other": {"userId": "x"}}))]);
    let request = by_admin("PUT", "/api/users/u1/identities/lc", &json!({"userId": "new"}));
    let explained = |status: u16, body: &Value| {
        observe_together(contract(), &states, &[(&request, Some(&answer(status, body)))], NOW).conflict.is_none()
    };
    let (replaced, added) = (json!({"lc": {"userId": "new"}}), json!({"lc": {"userId": "new"}, "other": {"userId": "x"}}));
    assert!(explained(200, &replaced) && explained(201, &added));
    assert!(!explained(200, &added) && !explained(201, &replaced));
}

#[test]
fn the_time_of_changes_that_overlap_does_not_tell_their_order() {
    let keys = ["timed", "open", "at rest", "new"].map(|id| Key::new(Kind::User, id));
    let timed = |time: i64| Entity::default().with("updatedAt", json!(time));
    let mut before = State::closed();
    before.insert(keys[0].clone(), timed(NOW));
    before.insert(keys[1].clone(), Entity::default());
    before.insert(keys[2].clone(), timed(NOW));
    let mut after = before.clone();
    for key in [&keys[0], &keys[1], &keys[3]] {
        after.insert(key.clone(), timed(NOW + 5));
    }
    loosen(&mut after, &before);
    let seen = keys.each_ref().map(|key| after.get(key).unwrap().get("updatedAt").clone());
    let least = Term::AtLeast(json!(NOW).as_f64().unwrap());
    assert_eq!(seen, [least, Term::Unknown, json!(NOW).into(), json!(NOW + 5).into()]);
}
