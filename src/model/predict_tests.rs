use serde_json::json;

use super::*;
use crate::model::sample::{NOW, contract};
use crate::model::{Fresh, Lesson, Mismatch, accept};

const HOUR: i64 = 3_600_000;

/// A tenant with an administrator, the user `u1`, a token of that user and these entities.
fn tenant(mut state: State, entities: &[(Kind, &str, Value)]) -> State {
    let token = |token: Value| {
        let all = Entity::from_json(&json!({"client": "m", "alive": true, "expiresAt": NOW + HOUR}));
        token.as_object().unwrap().iter().fold(all, |all, (name, value)| all.with(name.clone(), value.clone()))
    };
    state.insert(Key::new(Kind::Token, "admin"), token(json!({"use": "management", "scope": "all", "user": null})));
    state.insert(Key::new(Kind::Token, "own"), token(json!({"use": "account", "scope": "openid profile email", "user": "u1"})));
    state.insert(Key::new(Kind::User, "u1"), Entity::from_json(&json!({"id": "u1", "username": "ann"})));
    for (kind, id, properties) in entities {
        let key = Key::new(*kind, *id);
        let known = state.get(&key).cloned().unwrap_or_default();
        let whole = properties.as_object().unwrap().iter().fold(known, |all, (name, value)| all.with(name.clone(), value.clone()));
        state.insert(key, whole);
    }
    state
}

fn closed(entities: &[(Kind, &str, Value)]) -> State {
    tenant(State::closed(), entities)
}

/// As `closed`, but more may have been there before.
fn open(entities: &[(Kind, &str, Value)]) -> State {
    tenant(State::default(), entities)
}

fn by(token: &str, method: &str, target: &str) -> Request {
    Request::new(method, target).with_header("authorization", format!("Bearer {token}"))
}

fn by_admin(method: &str, target: &str) -> Request {
    by("admin", method, target)
}

fn outcomes(state: &State, request: &Request) -> Vec<String> {
    predict(contract(), state, request, NOW).alternatives.iter().map(|alternative| alternative.outcome.to_string()).collect()
}

fn success(state: &State, request: &Request) -> Alternative {
    let success = predict(contract(), state, request, NOW).alternatives.pop().unwrap();
    assert_eq!(success.guard, None, "{:?}", outcomes(state, request));
    success
}

/// What a conforming deployment shows; what it makes up is `made`.
fn shown(success: &Alternative) -> Value {
    success.body.sample(&mut |fresh| if fresh == Fresh::Now { json!(NOW) } else { json!("made") }).unwrap()
}

/// Where a body departs that was changed.
fn departs(success: &Alternative, change: impl FnOnce(&mut Value)) -> Option<Mismatch> {
    let mut body = shown(success);
    change(&mut body);
    success.body.matches(Some(&body)).err()
}

fn properties(lessons: &[Lesson]) -> Vec<&str> {
    lessons.iter().filter_map(|lesson| if let Teaching::Property(name) = &lesson.teaching { Some(name.as_str()) } else { None }).collect()
}

#[test]
fn what_an_answer_tells_of_things_that_were_not_seen_holds_from_then_on() {
    let look = by_admin("GET", "/api/roles/r1");
    let make = by_admin("POST", "/api/roles").with_json(&json!({"name": "N", "description": "D"}));
    let (missing, taken) = ("404 entity.not_exists_with_id", "422 role.name_in_use");
    for (request, answered, afterwards) in [(&look, missing, missing), (&look, "200", "200"), (&make, taken, taken)] {
        let state = open(&[]);
        assert_eq!(outcomes(&state, request).len(), 2, "the role may have been there before");
        let alternatives = predict(contract(), &state, request, NOW).alternatives;
        let taken = alternatives.iter().find(|alternative| alternative.outcome.to_string() == answered).unwrap();
        assert_eq!(outcomes(&taken.next, request), [afterwards]);
    }
}

#[test]
fn which_success_it_is_may_be_unknown() {
    let link = by_admin("PUT", "/api/users/u1/identities/lc").with_json(&json!({"userId": "x"}));
    let contract = contract();
    let cases = [(None, vec!["201", "200"]), (Some(json!({})), vec!["201"]), (Some(json!({"lc": {"userId": "y"}})), vec!["200"])];
    for (identities, expected) in cases {
        let mut state = closed(&[]);
        if let Some(identities) = identities {
            state.update(&Key::new(Kind::User, "u1"), |user| user.set("identities", identities));
        }
        assert_eq!(outcomes(&state, &link), expected);
        assert_eq!(predict(contract, &state, &link, NOW).unknown.is_some(), expected.len() > 1);
    }
}

#[test]
fn a_refused_replacement_may_have_removed_what_was_there() {
    let replace = by_admin("PUT", "/api/users/u1/roles").with_json(&json!({"roleIds": ["r1"]}));
    let machine = (Kind::Role, "r1", json!({"id": "r1", "type": "MachineToMachine"}));
    let has = (Kind::UserRole, "u1/r2", json!({"owner": "u1", "roleId": "r2"}));
    let all = (Kind::User, "u1", json!({"all:user-role": true}));
    for (state, left) in [(closed(&[machine.clone(), has]), vec![1, 0]), (closed(&[machine, all]), vec![0])] {
        let alternatives = predict(contract(), &state, &replace, NOW).alternatives;
        assert!(alternatives.iter().all(|alternative| alternative.outcome.to_string() == "422 entity.db_constraint_violated"));
        let counts: Vec<usize> = alternatives.iter().map(|alternative| alternative.next.all(Kind::UserRole).count()).collect();
        assert_eq!(counts, left);
    }
}

#[test]
fn only_an_answer_without_content_has_no_body() {
    let role = (Kind::Role, "r1", json!({"id": "r1"}));
    let application = (Kind::Application, "a", json!({"id": "a", "isThirdParty": true}));
    let state = closed(&[role, application]);
    assert_eq!(success(&state, &by_admin("DELETE", "/api/roles/r1")).body, Pattern::Empty);
    let text = by_admin("POST", "/api/applications/a/user-consent-scopes").with_json(&json!({"userScopes": ["profile"]}));
    assert_eq!(success(&state, &text).body, Pattern::Any, "it answers with a text");
}

/// `u1` as the account API shows it, with a level for some fields.
fn account(scope: &str, profile: &Value) -> State {
    let fields = json!({"username": "ReadOnly", "profile": "ReadOnly", "email": "Off", "phone": "ReadOnly"});
    let mut state = closed(&[(Kind::User, "u1", json!({"profile": profile, "primaryEmail": "e", "primaryPhone": "p"}))]);
    state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true, "fields": fields})));
    state.update(&Key::new(Kind::Token, "own"), |token| token.set("scope", scope));
    state
}

fn own() -> Request {
    by("own", "GET", "/api/my-account")
}

#[test]
fn an_account_tells_whose_token_it_was_read_with() {
    let mut state = account("openid profile email", &json!({}));
    state.update(&Key::new(Kind::Token, "own"), |token| token.set("user", Term::Unknown));
    let after = accept(&success(&state, &own()), Some(&json!({"id": "u7", "username": "bob"}))).unwrap();
    assert_eq!(after.find(Kind::Token, "own").unwrap().text("user"), Some(Some("u7")));
    assert!(after.find(Kind::User, "u7").is_some());
}

#[test]
fn a_member_is_withheld_for_want_of_a_scope_or_of_a_level() {
    let known = account("openid profile email", &json!({}));
    let mut stranger = known.clone();
    stranger.update(&Key::new(Kind::Token, "own"), |token| token.set("user", Term::Unknown));
    for (state, name) in [(known, "somebody known"), (stranger, "a stranger")] {
        let success = success(&state, &own());
        for (member, why) in [("primaryEmail", Why::Level), ("primaryPhone", Why::Scope)] {
            let departure = departs(&success, |body| body[member] = json!("seen")).unwrap();
            assert_eq!((departure.pointer, departure.visibility), (format!("/{member}"), Some(why)), "{name}");
        }
        assert_eq!(departs(&success, |_| {}), None, "{name}");
    }
}

#[test]
fn what_is_shown_in_part_is_not_taken_for_the_whole() {
    let profile = json!({"nickname": "N", "address": {"locality": "L"}});
    for (scope, part, whole) in [("openid profile", json!({"nickname": "N"}), false), ("openid profile address", profile.clone(), true)] {
        let state = account(scope, &profile);
        let success = success(&state, &own());
        let body = shown(&success);
        assert_eq!(body["profile"], part);
        assert_eq!(properties(&success.body.matches(Some(&body)).unwrap()).contains(&"profile"), whole, "{scope}");
        let after = accept(&success, Some(&body)).unwrap();
        assert_eq!(after.find(Kind::User, "u1").unwrap().known("profile"), Some(&profile), "{scope}");
    }
}

#[test]
fn settings_are_learnt_when_they_are_first_seen() {
    let look = success(&closed(&[]), &by_admin("GET", "/api/account-center"));
    let mut body = shown(&look);
    body["enabled"] = json!(true);
    let after = accept(&look, Some(&body)).unwrap();
    assert_eq!(after.settings(&Key::account_center()).flag("enabled"), Some(true));
}

#[test]
fn what_is_made_is_known_by_its_id_whatever_texts_it_has() {
    let body = json!({"name": "A", "description": "a text before the id", "type": "SPA"});
    let made = success(&closed(&[]), &by_admin("POST", "/api/applications").with_json(&body));
    let after = accept(&made, Some(&shown(&made))).unwrap();
    let application = after.find(Kind::Application, "made").unwrap();
    assert_eq!(["id", "description"].map(|name| application.text(name).flatten()), [Some("made"), Some("a text before the id")]);
}

#[test]
fn stored_tokens_of_a_provider_are_shown_where_asked_for_and_there() {
    let user = (Kind::User, "u1", json!({"identities": {"lc": {"userId": "x"}}}));
    let set = (Kind::TokenSet, "t", json!({"id": "t", "owner": "u1", "target": "lc"}));
    let (none, unseen) = (closed(std::slice::from_ref(&user)), open(std::slice::from_ref(&user)));
    let some = closed(&[user, set]);
    // Whether the answer may do without them, and whether it may show them.
    let cases = [
        ("there are none", &none, "?includeTokenSecret=true", (true, false)),
        ("there are none, and nobody asks", &none, "", (true, false)),
        ("some may be there", &unseen, "?includeTokenSecret=true", (true, true)),
        ("some may be there, but nobody asks", &unseen, "", (true, false)),
        ("there are some", &some, "?includeTokenSecret=true", (false, true)),
        ("there are some, but nobody asks", &some, "", (true, false)),
    ];
    for (name, state, query, admitted) in cases {
        let success = success(state, &by_admin("GET", &format!("/api/users/u1/identities/lc{query}")));
        let identity = json!({"identity": {"userId": "x"}});
        let mut with = identity.clone();
        with["tokenSecret"] =
            shown(&self::success(&some, &by_admin("GET", "/api/users/u1/identities/lc?includeTokenSecret=1")))["tokenSecret"].clone();
        let admits = |body: &Value| success.body.matches(Some(body)).is_ok();
        assert_eq!((admits(&identity), admits(&with)), admitted, "{name}");
    }
}

#[test]
fn roles_that_a_user_may_have_had_are_perhaps_not_new() {
    let give = by_admin("POST", "/api/users/u1/roles").with_json(&json!({"roleIds": ["r1", "r2"]}));
    let role = |id: &'static str| (Kind::Role, id, json!({"id": id, "type": "User"}));
    let entities = [role("r1"), role("r2"), (Kind::UserRole, "u1/r2", json!({"owner": "u1", "roleId": "r2"}))];
    let admits = |state: &State, added: Value| {
        success(state, &give).body.matches(Some(&json!({"roleIds": ["r1", "r2"], "addedRoleIds": added}))).is_ok()
    };
    let known = closed(&entities);
    assert_eq!([json!(["r1"]), json!([]), json!(["r1", "r2"])].map(|added| admits(&known, added)), [true, false, false]);
    let unseen = open(&entities);
    assert_eq!([json!(["r1"]), json!([])].map(|added| admits(&unseen, added)), [true, true]);
}

#[test]
fn grants_are_listed_by_whose_application_has_them() {
    let state = closed(&[
        (Kind::Application, "m", json!({"id": "m", "name": "M", "isThirdParty": false})),
        (Kind::Grant, "#1", json!({"id": "g", "owner": "u1", "clientId": "m"})),
    ]);
    let list = |query: &str| success(&state, &by_admin("GET", &format!("/api/users/u1/grants{query}")));
    let (all, first, third) = (list(""), list("?appType=firstParty"), list("?appType=thirdParty"));
    assert_eq!([&all, &first, &third].map(|list| shown(list)["grants"].as_array().unwrap().len()), [1, 1, 0]);
    assert!(departs(&first, |body| body["grants"] = json!([])).is_some());
    assert!(departs(&third, |body| body["grants"] = shown(&all)["grants"].clone()).is_some());
    for member in ["accountId", "clientId", "kind", "jti"] {
        let departure = departs(&all, |body| body["grants"][0]["payload"][member] = json!("other")).unwrap();
        assert_eq!(departure.pointer, format!("/grants/0/payload/{member}"));
    }
}

fn one_time(status: &str, ends: i64) -> State {
    closed(&[(Kind::OneTimeToken, "t", json!({"id": "t", "status": status, "createdAt": 1, "expiresAt": NOW + ends}))])
}

#[test]
fn an_active_one_time_token_is_shown_as_expired_after_its_end_and_stored_as_before() {
    let cases = [("active", HOUR, "active"), ("active", -HOUR, "expired"), ("consumed", -HOUR, "consumed"), ("revoked", HOUR, "revoked")];
    for (stored, ends, expected) in cases {
        let look = success(&one_time(stored, ends), &by_admin("GET", "/api/one-time-tokens/t"));
        let body = shown(&look);
        assert_eq!(body["status"], expected, "{stored}");
        let after = accept(&look, Some(&body)).unwrap();
        assert_eq!(after.find(Kind::OneTimeToken, "t").unwrap().text("status"), Some(Some(stored)));
    }
}

#[test]
fn a_search_goes_by_what_is_stored_as_far_as_time_leaves_it_known() {
    let list = |status: &str, ends: i64, wanted: &str| {
        let list = success(&one_time(status, ends), &by_admin("GET", &format!("/api/one-time-tokens?status={wanted}")));
        list.body.matches(Some(&json!([]))).is_ok()
    };
    assert!(!list("active", HOUR, "active"), "it must be there");
    assert!(list("active", HOUR, "consumed"));
    assert!(!list("consumed", -HOUR, "consumed"));
    assert!(list("active", -HOUR, "active"), "it may have been stored as expired meanwhile");
}

#[test]
fn a_resource_is_listed_with_the_scopes_that_are_its_own() {
    let state = closed(&[
        (Kind::Resource, "r", json!({"id": "r", "name": "R", "indicator": "https://r"})),
        (Kind::Scope, "s", json!({"id": "s", "name": "read", "owner": "r"})),
        (Kind::Scope, "other", json!({"id": "other", "name": "write", "owner": "elsewhere"})),
    ]);
    let list = success(&state, &by_admin("GET", "/api/resources?includeScopes=true"));
    let scopes = shown(&list)[0]["scopes"].clone();
    let ids: Vec<&Value> = scopes.as_array().unwrap().iter().map(|scope| &scope["id"]).collect();
    assert_eq!(ids, ["s"]);
    assert_eq!(departs(&list, |_| {}), None);
    assert!(departs(&list, |body| body[0]["scopes"] = json!([])).is_some());
    assert!(departs(&list, |body| body[0]["scopes"] = json!([scopes[0], scopes[0]])).is_some());
}

#[test]
fn items_are_wrapped_and_what_is_null_in_them_is_there_and_not_known() {
    let admits = |pattern: &Pattern, body: Value| pattern.matches(Some(&body)).is_ok();
    let plain = wrapped(Kind::Factor, "code", &[json!("1"), json!("2")]);
    assert!(admits(&plain, json!([{"code": "1"}, {"code": "2"}])));
    assert!(!admits(&plain, json!([{"code": "1"}, {"code": "2", "usedAt": "2027-01-15"}])), "neither was used");
    let used = wrapped(Kind::Factor, "code", &[json!("1"), json!({"code": "2", "usedAt": null})]);
    assert!(admits(&used, json!([{"code": "1"}, {"code": "2", "usedAt": "2027-01-15"}])));
    assert!(!admits(&used, json!([{"code": "1"}, {"code": "2"}])), "it was used");
    assert!(!admits(&used, json!([{"code": "1"}, {"code": "3", "usedAt": "2027-01-15"}])));
}

#[test]
fn a_member_without_a_choice_is_predicted() {
    let schema = json!({"properties": {"type": {"const": "Totp"}, "secret": {"type": "string"}}});
    let members: Vec<(String, Member)> = constants(&schema).collect();
    assert_eq!(members, [("type".to_owned(), Member::Present(Pattern::exactly("Totp".into())))]);
}

#[test]
fn parts_are_shown_as_far_as_they_are_set_and_always_where_required() {
    let schema = json!({
        "properties": {"always": {}, "unset": {}, "unseen": {}, "set": {}, "inner": {"x-parts": true, "properties": {"set": {}}}},
        "required": ["always"],
    });
    let key = Key::new(Kind::User, "u1");
    let entity = Entity::from_json(&json!({"a.always": null, "a.unset": null, "a.set": 1, "a.inner.set": 2}));
    let leaf = |name: &str, term: Term| Pattern::Leaf { term, teaches: Some((key.clone(), Teaching::Property(name.into()))) };
    let expected = [
        ("always", Member::Present(leaf("a.always", Value::Null.into()))),
        ("inner", Member::Present(Pattern::Object([("set".to_owned(), Member::Present(leaf("a.inner.set", json!(2).into())))].into()))),
        ("set", Member::Present(leaf("a.set", json!(1).into()))),
        ("unseen", Member::Optional(leaf("a.unseen", Term::Unknown))),
        ("unset", Member::Withheld(Why::Level)),
    ];
    assert_eq!(parts(&key, &entity, "a", &schema), Pattern::Object(expected.map(|(name, member)| (name.to_owned(), member)).into()));
}

#[test]
fn a_password_or_an_address_can_prove_who_a_user_is() {
    let cases = [
        (json!({"hasPassword": true, "primaryEmail": null, "primaryPhone": null}), Term::from(true)),
        (json!({"primaryPhone": "4912345"}), Term::from(true)),
        (json!({"hasPassword": false, "primaryEmail": null, "primaryPhone": null}), Term::from(false)),
        (json!({"hasPassword": false, "primaryEmail": null}), Term::Unknown),
    ];
    for (user, expected) in cases {
        assert_eq!(user_property(&Entity::from_json(&user), "hasSecurityVerificationMethod"), expected, "{user}");
    }
}
