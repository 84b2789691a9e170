use super::super::predict::{Alternative, predict};
use super::super::wire::Request;
use super::*;
use crate::contract::{Contract, Version};
use crate::model::sample::NOW;

/// A user with e-mail, a token of a first-party application and a mock social connector.
fn start() -> State {
    let mut state = State::closed();
    let set = |state: &mut State, kind, id: &str, value: Value| state.insert(Key::new(kind, id), Entity::from_json(&value));
    let fields = json!({"email": "Edit", "social": "Edit"});
    state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true, "fields": fields})));
    state.insert(Key::sign_in_experience(), Entity::from_json(&json!({"emailBlocklistPolicy": {}, "verificationCodePolicy": {}})));
    set(&mut state, Kind::Application, "app", json!({"isThirdParty": false}));
    let user = json!({"primaryEmail": "a@example.com", "username": "a", "primaryPhone": null, "identities": {}, "ssoIdentities": [],
        "hasPassword": false, KNOWS_ALL: true});
    set(&mut state, Kind::User, "u", user);
    let token =
        json!({"use": "account", "user": "u", "scope": "openid email identities", "client": "app", "alive": true, "expiresAt": null});
    set(&mut state, Kind::Token, "t", token);
    let mock = json!({"id": "c", "type": "Social", "target": "mock", "connectorId": "mock-social-connector", "enableTokenStorage": true});
    set(&mut state, Kind::Connector, "c", mock);
    set(&mut state, Kind::Connector, "m", json!({"id": "m", "type": "Email"}));
    state
}

/// The only admitted answer, and the state it leads to; the record that is made gets the id `r`.
fn answer(state: &mut State, method: &str, path: &str, body: &Value, proof: Option<&str>) -> String {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let mut request = Request::new(method, path).with_header("authorization", "Bearer t").with_header("content-type", "application/json");
    if let Some(proof) = proof {
        request = request.with_header("logto-verification-id", proof);
    }
    request.body = body.to_string().into_bytes();
    let prediction = predict(&contract, state, &request, NOW);
    let said: Vec<String> = prediction.alternatives.iter().map(|alternative| alternative.outcome.to_string()).collect();
    let Some(Alternative { next, .. }) = prediction.alternatives.into_iter().next_back() else { return String::new() };
    *state = next;
    let unborn: Vec<String> = state.all(Kind::Record).map(|(id, _)| id.to_owned()).filter(|id| id.starts_with('?')).collect();
    for id in unborn {
        let mut record = state.remove(&Key::new(Kind::Record, id)).unwrap();
        record.set("expiresAt", json!(NOW + 600_000));
        state.insert(Key::new(Kind::Record, "r"), record);
    }
    said.join(" or ")
}

#[test]
fn a_code_proves_the_address_it_was_sent_to_once() {
    let mut state = start();
    let (send, verify) = ("/api/verifications/verification-code", "/api/verifications/verification-code/verify");
    let own = json!({"type": "email", "value": "a@example.com"});
    assert_eq!(answer(&mut state, "POST", send, &json!({"identifier": own}), None), "201");
    let code = |identifier: &Value| json!({"identifier": identifier, "verificationId": "r", "code": "123456"});
    let phone = json!({"type": "phone", "value": "1"});
    assert_eq!(answer(&mut state, "POST", verify, &code(&phone), None), "400 verification_record.not_found");
    let other = json!({"type": "email", "value": "b@example.com"});
    assert_eq!(answer(&mut state, "POST", verify, &code(&other), None), "400 verification_code.email_mismatch");
    let email = "/api/my-account/primary-email";
    assert_eq!(answer(&mut state, "DELETE", email, &Value::Null, Some("r")), "401 verification_record.permission_denied");
    assert_eq!(answer(&mut state, "POST", verify, &code(&own), None), "400 verification_code.code_mismatch or 200");
    assert_eq!(answer(&mut state, "POST", verify, &code(&own), None), "400 verification_code.not_found");
    assert_eq!(answer(&mut state, "DELETE", email, &Value::Null, Some("r")), "204");
    let body = json!({"email": "A@example.com", "newIdentifierVerificationRecordId": "r"});
    assert_eq!(answer(&mut state, "POST", email, &body, Some("r")), "400 verification_record.not_found");
    let body = json!({"email": "a@example.com", "newIdentifierVerificationRecordId": "r"});
    assert_eq!(answer(&mut state, "POST", email, &body, Some("r")), "204");
    assert_eq!(state.find(Kind::User, "u").unwrap().known("primaryEmail"), Some(&json!("a@example.com")));
}

#[test]
fn messages_to_one_recipient_are_counted_however_it_is_written() {
    let mut state = start();
    let send = |state: &mut State, value: &str| {
        let body = json!({"identifier": {"type": "email", "value": value}});
        answer(state, "POST", "/api/verifications/verification-code", &body, None)
    };
    for _ in 0..5 {
        assert_eq!(send(&mut state, "b@example.com"), "201");
        assert_eq!(send(&mut state, "B@Example.com"), "201");
    }
    assert_eq!(send(&mut state, "b@EXAMPLE.com"), "429 request.message_rate_limited");
    assert_eq!(send(&mut state, "c@example.com"), "201");
    state.delete(&Key::new(Kind::Connector, "m"));
    assert_eq!(send(&mut state, "d@example.com"), "501 connector.not_found");
}

#[test]
fn a_social_account_is_linked_with_its_token_and_unlinked_with_it() {
    let mut state = start();
    state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", Value::Null));
    let begin = json!({"connectorId": "c", "state": "s", "redirectUri": "https://example.com"});
    assert_eq!(answer(&mut state, "POST", "/api/verifications/social", &begin, None), "201");
    let link = json!({"newIdentifierVerificationRecordId": "r"});
    let identities = "/api/my-account/identities";
    assert_eq!(answer(&mut state, "POST", identities, &link, None), "400 verification_record.not_found");
    let told = json!({"code": "c", "userId": "s1", "tokenResponse": {"access_token": "x"}});
    let proof = json!({"verificationRecordId": "r", "connectorData": told});
    assert_eq!(answer(&mut state, "POST", "/api/verifications/social/verify", &proof, None), "200");
    let tokens = "/api/my-account/identities/mock/access-token";
    assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "404 secrets.third_party_token_set.token_not_found");
    assert_eq!(answer(&mut state, "POST", identities, &link, None), "204");
    assert_eq!(answer(&mut state, "POST", identities, &link, None), "400 user.identity_already_in_use");
    assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "200");
    assert_eq!(answer(&mut state, "DELETE", "/api/my-account/identities/mock", &Value::Null, None), "204");
    assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "404 secrets.third_party_token_set.token_not_found");
    assert_eq!(answer(&mut state, "DELETE", "/api/my-account/identities/mock", &Value::Null, None), "404 user.identity_not_exist");
}

fn put(state: &mut State, kind: Kind, id: &str, value: &Value) {
    state.insert(Key::new(kind, id), Entity::from_json(value));
}

fn record(state: &State) -> &Entity {
    state.find(Kind::Record, "r").unwrap()
}

#[test]
fn a_code_belongs_to_the_caller_where_it_goes_to_their_own_address() {
    let (own, other) = (json!("a@example.com"), json!("b@example.com"));
    let (nobody, caller) = (Term::Known(Value::Null), Term::from("u"));
    for (current, value, template, owner, verifies) in [
        (Some(&own), &own, "UserPermissionValidation", &caller, true.into()),
        (Some(&own), &own, "BindMfa", &caller, false.into()),
        (Some(&own), &other, "UserPermissionValidation", &nobody, false.into()),
        (Some(&Value::Null), &own, "UserPermissionValidation", &nobody, false.into()),
        (None, &own, "UserPermissionValidation", &Term::Unknown, Term::Unknown),
    ] {
        let mut state = start();
        state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", current.cloned().map_or(Term::Unknown, Term::Known)));
        let body = json!({"identifier": {"type": "email", "value": value}, "templateType": template});
        assert_eq!(answer(&mut state, "POST", "/api/verifications/verification-code", &body, None), "201");
        assert_eq!((record(&state).get("owner"), record(&state).get("verifies")), (owner, &verifies), "{current:?} {body}");
    }
}

#[test]
fn behind_a_lock_a_right_code_may_be_used_up_and_a_wrong_one_may_count() {
    let verify = "/api/verifications/verification-code/verify";
    let (fresh, untried) = (Term::from(false), Term::Known(json!(0)));
    for (code, used, tries) in [
        (Some("123456"), &Term::Unknown, &untried),
        (Some("654321"), &fresh, &Term::Unknown),
        // The message was not read.
        (None, &Term::Unknown, &Term::Unknown),
    ] {
        let mut state = start();
        let sent = json!({"type": "EmailVerificationCode", "value": "a@example.com", "sentAt": NOW, "codeUsed": false, "tries": 0,
            "wrong": [], "verified": false, "expiresAt": NOW + 600_000});
        put(&mut state, Kind::Record, "r", &sent);
        if let Some(code) = code {
            state.update(&Key::new(Kind::Record, "r"), |record| record.set("code", code));
        }
        put(&mut state, Kind::Recipient, "a@example.com", &json!({"failures": 100}));
        let body = json!({"identifier": {"type": "email", "value": "a@example.com"}, "verificationId": "r", "code": "123456"});
        assert_eq!(answer(&mut state, "POST", verify, &body, None), "400 session.verification_blocked_too_many_attempts");
        assert_eq!((record(&state).get("codeUsed"), record(&state).get("tries")), (used, tries), "{code:?}");
    }
}

#[test]
fn an_account_that_is_not_known_may_be_anothers_only_where_somebody_is_linked() {
    for (identities, said) in [
        (json!({}), "204"),
        (json!({"elsewhere": {"userId": "s1"}}), "204"),
        (json!({"mock": {"userId": "s1"}}), "422 user.identity_already_in_use or 204"),
    ] {
        let mut state = start();
        state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", Value::Null));
        put(&mut state, Kind::User, "v", &json!({"identities": identities}));
        let proved = json!({"type": "Social", "verified": true, "verifies": false, "owner": null, "connector": "c", "target": "mock",
            "tokens": null, "expiresAt": NOW + 600_000});
        put(&mut state, Kind::Record, "r", &proved);
        let link = json!({"newIdentifierVerificationRecordId": "r"});
        assert_eq!(answer(&mut state, "POST", "/api/my-account/identities", &link, None), said, "{identities}");
    }
}

#[test]
fn a_token_that_has_run_out_is_renewed_as_its_provider_answers() {
    let renewed = json!({"access_token": "new", "refresh_token": "again", "scope": "b", "token_type": "Bearer", "expires_in": 60});
    let (old, new) = (Some("old"), Some("new"));
    for (ends, renewed, said, access, refresh, end) in [
        (NOW + 600_000, Some(&renewed), "200", old, Some("first"), Some(NOW + 600_000)),
        (NOW - 600_000, Some(&renewed), "200", new, Some("again"), Some(NOW + 60_000)),
        (NOW - 600_000, Some(&Value::Null), "4xx connector.*", old, Some("first"), Some(NOW - 600_000)),
        (NOW - 600_000, None, "4xx connector.* or 200", None, None, None),
        // So near to its end nobody can tell whether it was renewed.
        (NOW, Some(&renewed), "200", None, None, None),
    ] {
        let mut state = start();
        let stored = json!({"owner": "u", "target": "mock", "access_token": "old", "refresh_token": "first", "scope": "a",
            "token_type": "Bearer", "endsAt": ends, "renewable": true});
        put(&mut state, Kind::TokenSet, "u mock", &stored);
        if let Some(renewed) = renewed {
            state.update(&Key::new(Kind::TokenSet, "u mock"), |tokens| tokens.set("renewed", renewed.clone()));
        }
        let path = "/api/my-account/identities/mock/access-token";
        let case = format!("ends {} ms from now, renewed {renewed:?}", ends - NOW);
        assert_eq!(answer(&mut state, "GET", path, &Value::Null, None), said, "{case}");
        let tokens = state.find(Kind::TokenSet, "u mock").unwrap();
        let text = |name: &str| tokens.text(name).flatten();
        assert_eq!(text("access_token"), access, "{case}");
        if access.is_some() {
            assert_eq!(text("refresh_token"), refresh, "{case}");
        }
        assert_eq!(tokens.known("endsAt").and_then(Value::as_i64), end, "{case}");
    }
}

#[test]
fn a_page_is_known_unless_a_nonce_is_in_it() {
    let page = "http://p/authorize?response_type=code&client_id=c&redirect_uri=https%3A%2F%2Fexample.com&state=s";
    for (factory, known) in [("oauth2", Some(json!(page))), ("oidc", None), ("some-other", None)] {
        let mut state = start();
        let config = json!({"authorizationEndpoint": "http://p/authorize", "clientId": "c"});
        put(&mut state, Kind::Connector, "o", &json!({"id": "o", "type": "Social", "connectorId": factory, "config": config}));
        let begin = json!({"connectorId": "o", "state": "s", "redirectUri": "https://example.com"});
        assert_eq!(answer(&mut state, "POST", "/api/verifications/social", &begin, None), "201");
        assert_eq!(record(&state).known("authorizationUri"), known.as_ref(), "{factory}");
    }
}

#[test]
fn a_code_that_is_refused_is_spent_all_the_same() {
    let mut state = start();
    put(&mut state, Kind::Connector, "o", &json!({"id": "o", "type": "Social", "connectorId": "oauth2", "enableTokenStorage": false}));
    for (id, back) in [("r", "https://example.com"), ("elsewhere", "https://example.org")] {
        let begun = json!({"type": "Social", "connector": "o", "redirectUri": back, "verified": false, "expiresAt": NOW + 600_000});
        put(&mut state, Kind::Record, id, &begun);
    }
    let told = json!({"code": "k", "state": "s"});
    vouched::consented(&mut state, "r", &told, &json!({"userId": "s1"}), &Value::Null);
    let verify = |state: &mut State, record: &str| {
        let body = json!({"verificationRecordId": record, "connectorData": told});
        answer(state, "POST", "/api/verifications/social/verify", &body, None)
    };
    assert_eq!(verify(&mut state.clone(), "r"), "200");
    assert_eq!(verify(&mut state, "elsewhere"), "4xx connector.*");
    assert_eq!(verify(&mut state, "r"), "4xx connector.*");
}

#[test]
fn tokens_stay_as_long_as_their_account_is_linked() {
    let linked = json!({"mock": {"userId": "s1"}});
    for (identities, owner, target, stays, all) in [
        (Some(&linked), "u", Some("mock"), true, Some(true)),
        (Some(&json!({"mock": {"userId": "s2"}})), "u", Some("mock"), false, Some(true)),
        (Some(&json!({"other": {"userId": "s1"}})), "u", Some("mock"), false, Some(true)),
        (Some(&json!({})), "v", Some("mock"), true, Some(true)),
        // Those of an enterprise identity.
        (Some(&json!({})), "u", None, true, Some(true)),
        (None, "u", Some("mock"), false, None),
        (None, "u", None, true, Some(true)),
    ] {
        let mut state = start();
        let user = Key::new(Kind::User, "u");
        state.update(&user, |user| user.set("identities", identities.cloned().map_or(Term::Unknown, Term::Known)));
        put(&mut state, Kind::TokenSet, "t", &json!({"owner": owner, "target": target, "identityId": "s1"}));
        settle_tokens(&mut state, &user);
        let known = state.get(&user).unwrap().flag(KNOWS_ALL);
        assert_eq!((state.find(Kind::TokenSet, "t").is_some(), known), (stays, all), "{identities:?} {owner} {target:?}");
    }
}
