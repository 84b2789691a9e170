use serde_json::json;

use super::*;
use crate::contract::Operation;
use crate::model::sample::{NOW, contract};
use crate::model::wire::Request;
use crate::model::{SIGN_IN_EXPERIENCE, passkey_answer};

const LATER: i64 = NOW + 600_000;
const EARLIER: i64 = NOW - 600_000;

/// An operation with these guards, written as in `specs/`.
fn operation(guards: &[&str]) -> Operation {
    let mut operation = contract().operation("UpdateUser").unwrap().clone();
    operation.guards = guards.iter().map(|guard| serde_saphyr::from_str(guard).unwrap()).collect();
    operation
}

/// A request with the token `t1`.
fn request() -> Request {
    Request::new("POST", "/").with_header("authorization", "Bearer t1")
}

/// Has a request with this input looked at.
fn looked<T>(state: &State, operation: &Operation, request: &Request, input: &Value, look: impl FnOnce(&Scene<'_>) -> T) -> T {
    let query = url::form_urlencoded::parse(request.query().as_bytes()).into_owned().collect();
    let body = Body::Value(input.clone());
    let call = Call { operation, request, path: BTreeMap::new(), query, body, input: input.clone() };
    look(&Scene { call: &call, state, now: NOW })
}

/// Whether the first of these guards holds.
fn holds_among(state: &State, guards: &[&str], request: &Request, input: &Value) -> Truth {
    let operation = operation(guards);
    looked(state, &operation, request, input, |scene| scene.holds(&operation.guards[0].kind))
}

fn holds(state: &State, guard: &str, input: &Value) -> Truth {
    holds_among(state, &[guard], &request(), input)
}

/// Adds things to what is known.
fn with(mut state: State, known: &[(Kind, &str, Value)]) -> State {
    for (kind, id, value) in known {
        state.insert(Key::new(*kind, *id), Entity::from_json(value));
    }
    state
}

/// The token `t1` of the user `u1`, of whom this is known.
fn caller(user: Value) -> State {
    with(State::default(), &[(Kind::Token, "t1", json!({"user": "u1"})), (Kind::User, "u1", user)])
}

fn settings(state: State, name: &str, value: &Value) -> State {
    with(state, &[(Kind::Settings, SIGN_IN_EXPERIENCE, json!({name: value}))])
}

#[test]
fn an_entry_can_ask_for_values_of_the_query() {
    let operation = operation(&[]);
    let applies = |when: &str, query: &str| {
        let when: When = serde_saphyr::from_str(when).unwrap();
        let request = Request::new("GET", format!("/{query}"));
        looked(&State::default(), &operation, &request, &json!({}), |scene| scene.fits(&when))
    };
    for (when, query, expected) in [
        ("{query: status}", "?status=x", Truth::Yes),
        ("{query: status}", "?other=x", Truth::No),
        ("{query: {status: active}}", "?status=active", Truth::Yes),
        ("{query: {status: active}}", "?status=expired", Truth::No),
        ("{query: {status: active}}", "", Truth::No),
        ("{not: {query: {status: active}}}", "?status=expired", Truth::Yes),
    ] {
        assert_eq!(applies(when, query), expected, "{when} {query}");
    }
}

#[test]
fn only_a_body_that_is_parsed_can_be_too_long() {
    let sent = |content_type: &str, length: usize| {
        let mut request = request().with_header("content-type", content_type);
        request.body = vec![b' '; length];
        request
    };
    let guard = "{max-body: 4}";
    for (content_type, length, expected) in
        [("application/json", 4, Truth::Yes), ("application/json", 5, Truth::No), ("multipart/form-data; boundary=b", 5, Truth::Yes)]
    {
        let truth = holds_among(&State::default(), &[guard], &sent(content_type, length), &json!({}));
        assert_eq!(truth, expected, "{content_type} {length}");
    }
    let bodiless = Operation { body: None, ..operation(&[guard]) };
    let request = sent("application/json", 5);
    let truth = looked(&State::default(), &bodiless, &request, &Value::Null, |scene| scene.holds(&bodiless.guards[0].kind));
    assert_eq!(truth, Truth::Yes);
}

#[test]
fn numbers_rise_where_all_of_them_are_given() {
    for (input, expected) in [
        (json!({"a": 1, "b": 2, "c": 2}), Truth::Yes),
        (json!({"a": 1, "b": 3, "c": 2}), Truth::No),
        (json!({"a": 3, "b": 2}), Truth::Yes),
        (json!({}), Truth::Yes),
    ] {
        assert_eq!(holds(&State::default(), "{ordered: [body.a, body.b, body.c]}", &input), expected, "{input}");
    }
}

#[test]
fn nobody_aims_at_itself() {
    let state = caller(json!({}));
    for (input, expected) in [(json!({"id": "u1"}), Truth::No), (json!({"id": "u2"}), Truth::Yes), (json!({}), Truth::Yes)] {
        assert_eq!(holds(&state, "{not-self: body.id}", &input), expected, "{input}");
    }
}

#[test]
fn only_a_deployment_knows_which_codes_it_has_given_out() {
    for (state, unused) in [(State::whole(), Truth::Yes), (State::closed(), Truth::No), (State::default(), Truth::Near)] {
        let state = with(state, &[(Kind::Code, "used", json!({}))]);
        for (input, expected) in [(json!({"code": "used"}), Truth::No), (json!({"code": "other"}), unused), (json!({}), Truth::Yes)] {
            assert_eq!(holds(&state, "{code-usable: body.code}", &input), expected, "{input}");
        }
    }
}

#[test]
fn passwords_expire_after_some_days_where_the_tenant_says_so() {
    for (policy, expected) in [
        (json!({"enabled": true, "validPeriodDays": 90}), Truth::Yes),
        (json!({"enabled": true, "validPeriodDays": 0}), Truth::No),
        (json!({"enabled": true}), Truth::No),
        (json!({"enabled": false, "validPeriodDays": 90}), Truth::No),
        (json!({}), Truth::No),
    ] {
        let state = settings(State::default(), "passwordExpiration", &policy);
        assert_eq!(holds(&state, "{password-expiry-on: true}", &json!({})), expected, "{policy}");
    }
    assert_eq!(holds(&State::default(), "{password-expiry-on: true}", &json!({})), Truth::Unknown);
}

#[test]
fn passkeys_can_be_added_where_they_serve_to_sign_in() {
    let tenant = |enabled: bool| {
        let known = json!({"mfa": {"factors": ["Totp"]}, "passkeySignIn": {"enabled": enabled}});
        with(State::default(), &[(Kind::Settings, SIGN_IN_EXPERIENCE, known)])
    };
    for (enabled, kind, expected) in [
        (true, "Totp", Truth::Yes),
        (true, "BackupCode", Truth::No),
        (true, "WebAuthn", Truth::Yes),
        (false, "Totp", Truth::Yes),
        (false, "BackupCode", Truth::No),
        (false, "WebAuthn", Truth::No),
    ] {
        assert_eq!(holds(&tenant(enabled), "{factor-on: body.type}", &json!({"type": kind})), expected, "{enabled} {kind}");
    }
}

#[test]
fn a_passkey_is_proved_at_the_own_origin_or_a_related_one() {
    let record = json!({"registrationOptions.challenge": "lc", "registrationOptions.rp.id": "own.example"});
    let centre = (Kind::Settings, crate::model::ACCOUNT_CENTER, json!({"webauthnRelatedOrigins": ["https://related.example"]}));
    let state = with(State::default(), &[(Kind::Record, "v1", record), centre]);
    let (own, related, third) = ("https://own.example", "https://related.example", "https://third.example");
    for (origin, header, expected) in [
        (own, Some(own), Truth::Yes),
        (own, Some(third), Truth::Unknown),
        (own, None, Truth::Near),
        (related, Some(related), Truth::Yes),
        (related, None, Truth::Yes),
        (third, Some(third), Truth::No),
        (third, Some(own), Truth::No),
        (third, None, Truth::No),
    ] {
        let request = header.into_iter().fold(request(), |request, header| request.with_header("origin", header));
        let input = json!({"proof": passkey_answer("lc", origin, true), "id": "v1"});
        let truth = holds_among(&state, &["{passkey-proof: {proof: body.proof, record: body.id}}"], &request, &input);
        assert_eq!(truth, expected, "{origin} {header:?}");
    }
}

#[test]
fn a_selector_names_what_is_surely_there() {
    let state = with(State::default(), &[(Kind::Role, "r1", json!({"id": "r1", "name": "lc"}))]);
    let named = |text: &str, value: &str| {
        let selector: Selector = serde_saphyr::from_str(text).unwrap();
        looked(&state, &operation(&[]), &request(), &json!({"x": value}), |scene| scene.named(&selector))
    };
    let role = Some(Key::new(Kind::Role, "r1"));
    assert_eq!(named("{role: body.x}", "r1"), role);
    assert_eq!(named("{role: body.x, by: name}", "lc"), role);
    assert_eq!(named("{role: body.x}", "r2"), None);
    assert_eq!(named("{user: body.x}", "u1"), None);
}

#[test]
fn what_exists_must_have_the_wanted_properties() {
    let known = [
        (Kind::Role, "r1", json!({"id": "r1", "type": "User"})),
        (Kind::Role, "r2", json!({"id": "r2", "type": "MachineToMachine", "name": "lc"})),
        (Kind::Role, "r3", json!({"id": "r3"})),
    ];
    let plain = "{is: {role: body.x, with: {type: User}}}";
    for (guard, id, expected) in [
        (plain, "r1", Truth::Yes),
        (plain, "r2", Truth::No),
        (plain, "r3", Truth::Unknown),
        (plain, "r4", Truth::Yes),
        // What else it must not have does not make it any better.
        ("{is: {role: body.x, with: {type: User}, without: {name: lc}}}", "r2", Truth::No),
    ] {
        assert_eq!(holds(&with(State::closed(), &known), guard, &json!({"x": id})), expected, "{guard} {id}");
    }
}

#[test]
fn a_record_is_a_proof_of_the_right_kind_and_owner() {
    let guard = "{record: {id: body.record, kind: [Password, Totp], value: body.value, verified: true, owner: caller}}";
    let good = json!({"type": "Password", "owner": "u1", "value": "v", "verified": true, "expiresAt": LATER});
    let judged = |change: Value| {
        let mut record = good.clone();
        record.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let state = with(caller(json!({})), &[(Kind::Record, "v1", record)]);
        holds(&state, guard, &json!({"record": "v1", "value": "v"}))
    };
    for (change, expected) in [
        (json!({}), Truth::Yes),
        (json!({"type": "Totp"}), Truth::Yes),
        (json!({"type": "Social"}), Truth::No),
        (json!({"owner": "u2"}), Truth::No),
        (json!({"value": "w"}), Truth::No),
        (json!({"verified": false}), Truth::No),
        (json!({"expiresAt": EARLIER}), Truth::No),
        (json!({"expiresAt": NOW}), Truth::Near),
    ] {
        assert_eq!(judged(change.clone()), expected, "{change}");
    }
    assert_eq!(holds(&caller(json!({})), guard, &json!({"record": "v2"})), Truth::No);
    assert_eq!(holds(&caller(json!({})), guard, &json!({})), Truth::Yes);
}

#[test]
fn a_record_proves_the_identity_of_its_owner_only() {
    let record = |owner: Value| json!({"owner": owner, "verifies": true, "verified": true, "expiresAt": LATER});
    let known = [
        (Kind::Record, "own", record(json!("u1"))),
        (Kind::Record, "other", record(json!("u2"))),
        (Kind::Record, "nobody", record(Value::Null)),
    ];
    for (state, id, expected) in [
        (caller(json!({})), "own", Truth::Yes),
        (caller(json!({})), "other", Truth::No),
        (caller(json!({})), "nobody", Truth::No),
        (caller(json!({})), "none", Truth::No),
        // It is not known whose token it is.
        (State::default(), "own", Truth::Unknown),
        (State::default(), "nobody", Truth::No),
    ] {
        let request = request().with_header("logto-verification-id", id);
        let truth = holds_among(&with(state, &known), &["{identity-verified: true}"], &request, &json!({}));
        assert_eq!(truth, expected, "{id}");
    }
}

#[test]
fn whose_password_it_is_matters_where_the_policy_looks_at_the_user() {
    let guard = "{password-policy: body.password}";
    let tenant = |state: State, user_info: bool| {
        let rejects = json!({"pwned": false, "repetitionAndSequence": false, "userInfo": user_info, "words": []});
        settings(state, "passwordPolicy", &json!({"length": {"min": 8, "max": 256}, "characterTypes": {"min": 1}, "rejects": rejects}))
    };
    let password = json!({"password": "hk93ksQw"});
    assert_eq!(holds(&tenant(State::default(), false), guard, &password), Truth::Yes);
    assert_eq!(holds(&tenant(State::default(), true), guard, &password), Truth::Unknown);
    assert_eq!(holds(&tenant(caller(json!({"username": "ann"})), true), guard, &password), Truth::Yes);
    // The body may say whose it is.
    let user = with(State::default(), &[(Kind::User, "u2", json!({"username": "bob"}))]);
    assert_eq!(holds(&tenant(user.clone(), true), guard, &json!({"password": "hk93ksQw", "userId": "u2"})), Truth::Yes);
    assert_eq!(holds(&tenant(user, true), guard, &json!({"password": "hk93ksQw", "userId": "u3"})), Truth::Unknown);
}

#[test]
fn the_attempt_that_reaches_the_limit_is_itself_locked_out() {
    let guards = ["{not-locked: caller}", "{password-matches: body.password, on-refusal: [count-failure]}"];
    for (failures, password, expected) in [
        (1, Some("right"), Truth::Yes),
        (1, Some("other"), Truth::Yes),
        (1, None, Truth::Yes),
        (2, Some("right"), Truth::Yes),
        (2, Some("other"), Truth::No),
        (2, None, Truth::Unknown),
        (3, Some("right"), Truth::No),
    ] {
        let mut state = settings(caller(json!({"failures": failures})), "sentinelPolicy", &json!({"maxAttempts": 3}));
        if let Some(password) = password {
            state.update(&Key::new(Kind::User, "u1"), |user| user.set("password", password));
        }
        let truth = holds_among(&state, &guards, &request(), &json!({"password": "right"}));
        assert_eq!(truth, expected, "{failures} failures, the password is {password:?}");
    }
}

#[test]
fn identifiers_are_alike_in_more_than_one_writing() {
    let other = json!({"username": "Ann", "primaryEmail": "Ann@LC.example", "primaryPhone": "447911123456"});
    let known = with(caller(json!({"username": "me"})), &[(Kind::User, "u2", other)]);
    let tenant = |case_sensitive: bool| settings(known.clone(), "usernamePolicy", &json!({"caseSensitive": case_sensitive}));
    for (state, property, value, expected) in [
        (known.clone(), "primaryEmail", "ann@lc.EXAMPLE", Truth::No),
        (known.clone(), "primaryEmail", "bob@lc.example", Truth::Yes),
        (known.clone(), "primaryPhone", "447911123456", Truth::No),
        (known.clone(), "primaryPhone", "4407911123456", Truth::No),
        (known.clone(), "primaryPhone", "447911123457", Truth::Yes),
        (tenant(true), "username", "Ann", Truth::No),
        (tenant(true), "username", "ANN", Truth::Yes),
        (tenant(false), "username", "ANN", Truth::No),
        (tenant(false), "username", "bob", Truth::Yes),
        // One's own does not count, nor does an empty one.
        (tenant(true), "username", "me", Truth::Yes),
        (tenant(true), "username", "", Truth::Yes),
    ] {
        assert_eq!(holds(&state, &format!("{{unique: {property}}}"), &json!({property: value})), expected, "{property} {value}");
    }
}

#[test]
fn a_client_shows_one_of_its_secrets() {
    let secret = |expires: Value| json!({"owner": "m", "value": "right", "expiresAt": expires});
    let has = |application: Value, expires: Value| {
        with(State::default(), &[(Kind::Application, "m", application), (Kind::ApplicationSecret, "m/s", secret(expires))])
    };
    let (all, some) = (json!({"all": true}), json!({}));
    for (state, shown, expected) in [
        (has(all.clone(), Value::Null), json!("right"), Truth::Yes),
        (has(all.clone(), json!(LATER)), json!("right"), Truth::Yes),
        (has(all.clone(), json!(EARLIER)), json!("right"), Truth::No),
        (has(all.clone(), Value::Null), json!("other"), Truth::No),
        (has(all, Value::Null), Value::Null, Truth::No),
        (has(some.clone(), Value::Null), json!("right"), Truth::Yes),
        (has(some, Value::Null), json!("other"), Truth::Unknown),
        (has(json!({"clientSecret": "used"}), Value::Null), json!("used"), Truth::Yes),
        (has(json!({"clientSecret": null}), Value::Null), Value::Null, Truth::Yes),
    ] {
        let truth = holds(&state, "{client: authenticated}", &json!({"client_id": "m", "client_secret": shown}));
        assert_eq!(truth, expected, "{shown} {state:?}");
    }
}

#[test]
fn machines_are_granted_their_own_tokens_and_others_those_of_users() {
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let machine = json!({"type": "MachineToMachine", "customClientMetadata": {"allowTokenExchange": true}});
    let page = json!({"type": "SPA", "customClientMetadata": {}});
    for (application, grant, expected) in [
        (&machine, "client_credentials", Truth::Yes),
        (&machine, "authorization_code", Truth::No),
        (&machine, "refresh_token", Truth::No),
        (&machine, exchange, Truth::Yes),
        (&machine, "urn:ietf:params:oauth:grant-type:device_code", Truth::No),
        (&page, "client_credentials", Truth::No),
        (&page, "authorization_code", Truth::Yes),
        (&page, "refresh_token", Truth::Yes),
        (&page, exchange, Truth::No),
        (&json!({}), "client_credentials", Truth::Unknown),
    ] {
        let state = with(State::default(), &[(Kind::Application, "m", application.clone())]);
        let truth = holds(&state, "{client: grant-allowed}", &json!({"client_id": "m", "grant_type": grant}));
        assert_eq!(truth, expected, "{application} {grant}");
    }
}

#[test]
fn a_machine_names_a_resource_that_is_known() {
    let state = with(State::closed(), &[(Kind::Resource, "x", json!({"indicator": "https://lc.example/api"}))]);
    for (input, expected) in [
        (json!({"resource": "https://lc.example/api"}), Truth::Yes),
        (json!({"resource": "https://default.logto.app/api"}), Truth::Yes),
        (json!({"resource": "https://other.example/api"}), Truth::No),
        (json!({"grant_type": "refresh_token"}), Truth::Yes),
        (json!({"grant_type": "client_credentials"}), Truth::No),
    ] {
        assert_eq!(holds(&state, "{resource-known: body.resource}", &input), expected, "{input}");
    }
}

#[test]
fn a_subject_token_is_exchanged_once_and_in_time() {
    let issued = |user: &str, consumed: bool, expires: i64| json!({"user": user, "consumed": consumed, "expiresAt": expires});
    let known = [
        (Kind::User, "u1", json!({})),
        (Kind::SubjectToken, "sub_good", issued("u1", false, LATER)),
        (Kind::SubjectToken, "sub_used", issued("u1", true, LATER)),
        (Kind::SubjectToken, "sub_past", issued("u1", false, EARLIER)),
        (Kind::SubjectToken, "sub_gone", issued("u9", false, LATER)),
    ];
    let state = with(State::default(), &known);
    for (kind, token, expected) in [
        (ACCESS_TOKEN, "sub_good", Truth::Yes),
        (IMPERSONATION_TOKEN, "sub_good", Truth::Yes),
        (PERSONAL_ACCESS_TOKEN, "sub_good", Truth::No),
        ("urn:ietf:params:oauth:token-type:id_token", "sub_good", Truth::No),
        (ACCESS_TOKEN, "sub_used", Truth::No),
        (ACCESS_TOKEN, "sub_past", Truth::No),
        (ACCESS_TOKEN, "sub_gone", Truth::No),
        // Of others that look like ours it is known that there are none.
        (ACCESS_TOKEN, "sub_none", Truth::No),
        (ACCESS_TOKEN, "pat_none", Truth::No),
        (IMPERSONATION_TOKEN, "none", Truth::No),
        (ACCESS_TOKEN, "none", Truth::Unknown),
    ] {
        let input = json!({"subject_token": token, "subject_token_type": kind});
        assert_eq!(holds(&state, "{subject-token: body.subject_token}", &input), expected, "{kind} {token}");
    }
}

#[test]
fn a_personal_access_token_without_an_end_never_ends() {
    for (owner, expires, expected) in [
        ("u1", Value::Null, Truth::Yes),
        ("u1", json!(0), Truth::Yes),
        ("u1", json!(LATER), Truth::Yes),
        ("u1", json!(EARLIER), Truth::No),
        ("u9", json!(0), Truth::No),
        ("u9", Value::Null, Truth::No),
    ] {
        let token = json!({"owner": owner, "expiresAt": expires});
        let state = with(State::default(), &[(Kind::User, "u1", json!({})), (Kind::PersonalAccessToken, "pat_1", token)]);
        let input = json!({"subject_token": "pat_1", "subject_token_type": PERSONAL_ACCESS_TOKEN});
        assert_eq!(holds(&state, "{subject-token: body.subject_token}", &input), expected, "{owner} {expires}");
    }
}

#[test]
fn a_page_is_a_number_and_at_most_a_hundred_long() {
    for (query, expected) in [
        ("", Truth::Yes),
        ("?page=&page_size=", Truth::Yes),
        ("?page=1&page_size=100", Truth::Yes),
        ("?page=101", Truth::Yes),
        ("?page_size=101", Truth::No),
        ("?page=0", Truth::No),
        ("?page_size=0", Truth::No),
        ("?page=-1", Truth::No),
        ("?page=x", Truth::No),
    ] {
        let request = Request::new("GET", format!("/{query}"));
        assert_eq!(holds_among(&State::default(), &["{pagination: required}"], &request, &json!({})), expected, "{query}");
    }
}

#[test]
fn a_limit_in_time_is_blurred_on_both_sides() {
    for (ahead, expected) in
        [(-NEAR_MS, Truth::No), (1 - NEAR_MS, Truth::Near), (0, Truth::Near), (NEAR_MS - 1, Truth::Near), (NEAR_MS, Truth::Yes)]
    {
        assert_eq!(before(&json!(NOW + ahead).into(), NOW), expected, "{ahead}");
    }
    assert_eq!(before(&Value::Null.into(), NOW), Truth::Yes);
    assert_eq!(before(&Term::Unknown, NOW), Truth::Unknown);
}

#[test]
fn enterprise_identities_are_kept_apart_by_their_connectors() {
    let identity = json!({"ssoConnectorId": "c1", "issuer": "lc"});
    let some = Entity::default().with(sso_property("c1"), identity.clone()).with(sso_property("c2"), Value::Null);
    let all = Entity::from_json(&json!({"ssoIdentities": [identity]}));
    let known = Term::Known(identity);
    for (user, connector, expected) in [
        (&some, "c1", &known),
        (&some, "c2", &Term::Known(Value::Null)),
        (&some, "c3", &Term::Unknown),
        (&all, "c1", &known),
        (&all, "c2", &Term::Known(Value::Null)),
    ] {
        assert_eq!(sso_identity(user, connector), *expected, "{connector}");
    }
    // Nothing else of a user is taken for one.
    assert_eq!(sso_identity(&Entity::default().with("", "x").with("c1", "x"), "c1"), Term::Unknown);
}

#[test]
fn one_identifier_remains() {
    let nothing = json!({"username": null, "primaryEmail": null, "primaryPhone": null, "identities": {}, "ssoIdentities": []});
    let keeps = |known: Value, without: &str, member: Option<&str>| {
        let mut user = nothing.clone();
        user.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
        keeps_identifier(&Entity::from_json(&user), without, member)
    };
    for (known, without, member, expected) in [
        (json!({"username": "ann"}), "username", None, Truth::No),
        (json!({"username": "ann"}), "primaryEmail", None, Truth::Yes),
        (json!({"username": "ann", "primaryPhone": "1"}), "username", None, Truth::Yes),
        (json!({"identities": {"lc": {}}}), "username", None, Truth::Yes),
        (json!({"identities": {"lc": {}}}), "identities", Some("lc"), Truth::No),
        (json!({"identities": {"lc": {}}}), "identities", Some("other"), Truth::Yes),
        (json!({"identities": {"lc": {}, "other": {}}}), "identities", Some("lc"), Truth::Yes),
        // A member of something else is none of these.
        (json!({"identities": {"lc": {}}}), "profile", Some("lc"), Truth::Yes),
        (json!({"ssoIdentities": [{}]}), "username", None, Truth::Yes),
        (json!({}), "username", None, Truth::No),
    ] {
        assert_eq!(keeps(known.clone(), without, member), expected, "{known} without {without} {member:?}");
    }
}

#[test]
fn backup_codes_are_ten_times_ten_hexadecimal_digits() {
    let list = |odd: &'static str| [vec!["0123456789"; 8], vec!["ABCDEFabcd", odd]].concat();
    for (codes, expected) in [
        (list("fffffffff0"), Truth::Yes),
        (list("fffffffff"), Truth::No),
        (list("fffffffff00"), Truth::No),
        (list("fffffffffg"), Truth::No),
        (list("fffffffff0")[1..].to_vec(), Truth::No),
    ] {
        assert_eq!(holds(&State::default(), "{backup-codes: body.codes}", &json!({"codes": codes})), expected, "{codes:?}");
    }
    assert_eq!(holds(&State::default(), "{backup-codes: body.codes}", &json!({})), Truth::Yes);
}
