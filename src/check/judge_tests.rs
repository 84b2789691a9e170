use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::contract::Version;
use crate::model::sample::NOW;
use crate::model::{Entity, Key, Kind, State, States, observe};

const PASSWORD: &str = "Kx7-Old-Password";

/// An administrator's token, and a user with a token of a first-party application.
fn start() -> State {
    let mut state = State::closed();
    let mut token = |name: &str, mut token: Value| {
        token["alive"] = true.into();
        token["expiresAt"] = (NOW + 3_600_000).into();
        state.insert(Key::new(Kind::Token, name), Entity::from_json(&token));
    };
    token("admin", json!({"use": "management", "scope": "all", "user": null, "client": "m"}));
    token("own", json!({"use": "account", "scope": "openid profile identities", "user": "u1", "client": "first"}));
    for (id, kind) in [("m", "MachineToMachine"), ("first", "Traditional")] {
        let application = json!({"id": id, "type": kind, "isThirdParty": false});
        state.insert(Key::new(Kind::Application, id), Entity::from_json(&application));
    }
    let fields = json!({"name": "Edit", "avatar": "ReadOnly", "username": "Off", "email": "Edit", "password": "ReadOnly"});
    state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true, "fields": fields})));
    state.insert(Key::sign_in_experience(), Entity::from_json(&json!({"sentinelPolicy": {}})));
    let user = json!({
        "id": "u1", "username": "lc_one", "primaryEmail": "lc@example.com", "primaryPhone": null, "name": "One", "avatar": null,
        "password": PASSWORD, "hasPassword": true, "customData": {}, "identities": {}, "profile": {}, "ssoIdentities": [],
        "lastSignInAt": null, "createdAt": NOW, "updatedAt": NOW, "applicationId": null, "isSuspended": false, "failures": 0,
    });
    state.insert(Key::new(Kind::User, "u1"), Entity::from_json(&user));
    let record = json!({"type": "Password", "owner": "u1", "verified": true, "verifies": true, "expiresAt": NOW + 600_000});
    state.insert(Key::new(Kind::Record, "r1"), Entity::from_json(&record));
    state
}

fn sent(method: &str, target: &str, token: &str, body: &Value) -> Request {
    let request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
    if body.is_null() { request } else { request.with_json(body) }
}

fn answered(status: u16, body: &Value) -> Answer {
    let headers = [("content-type", "application/json; charset=utf-8"), ("logto-core-request-id", "x")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Answer { status, headers, body: body.into() }
}

/// What is said of an exchange, a line for each judgement: `CHECK REQUIREMENT`, and where it does not hold what was expected
/// and what came.
fn said(request: &Request, answer: &Answer) -> String {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let observation = observe(&contract, &States::certain(start()), request, answer, NOW);
    let word = |judgement: &Judgement| {
        let result = match &judgement.result {
            Result::Pass => String::new(),
            Result::Fail(deviation) => format!(": {} -> {}", deviation.expected, deviation.actual),
            Result::Abstain(why) => format!(": ? {why}"),
        };
        format!("{} {}{result}", judgement.check, judgement.requirement.id)
    };
    judge(&contract, request, answer, &observation).iter().map(word).collect::<Vec<_>>().join("\n")
}

fn refused(status: u16, code: &str) -> Answer {
    answered(status, &json!({"code": code, "message": "x"}))
}

/// The user as the Account API shows it to its own token.
fn profile() -> Value {
    json!({"id": "u1", "name": "One", "avatar": null, "lastSignInAt": null, "createdAt": NOW, "updatedAt": NOW, "applicationId": null,
        "cimdClientId": null, "isSuspended": false, "hasPassword": true, "hasSecurityVerificationMethod": true})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn read(token: &str) -> Request {
    sent("GET", "/api/my-account", token, &Value::Null)
}

fn write(body: &Value) -> Request {
    sent("PATCH", "/api/my-account", "own", body)
}

fn header(mut answer: Answer, name: &str, value: Option<&str>) -> Answer {
    answer.headers.retain(|(known, _)| known != name);
    answer.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    answer
}

#[test]
fn what_holds_is_evidence_for_all_that_speak_of_it() {
    assert_snapshot!(said(&read("own"), &answered(200, &profile())), @"
    robustness GEN-ROBUST-01
    status ACC-PROFILE-01
    status GEN-STATUS-01
    state ACC-PROFILE-01
    state GEN-STATE-01
    toggle ACC-FIELD-02
    toggle GEN-TOGGLE-01
    authorization ACC-SCOPE-02
    authorization GEN-AUTH-01
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    let request = sent("DELETE", "/api/my-account/primary-email", "own", &Value::Null);
    assert_snapshot!(said(&request, &refused(401, "verification_record.permission_denied")), @"
    robustness GEN-ROBUST-01
    verification ACC-VERIFY-01
    verification GEN-ERROR-01
    verification GEN-VERIFY-01
    guard GEN-ORDER-01
    error-code GEN-CODE-01
    schema GEN-ERROR-01
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&request.with_header("logto-verification-id", "r1"), &answered(204, &Value::Null)), @"
    robustness GEN-ROBUST-01
    authorization ACC-SCOPE-01: 400 auth.unauthorized -> 204
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    ");
    assert_snapshot!(said(&write(&json!({"avatar": "https://example.com/a"})), &refused(400, "account_center.field_not_editable")), @"
    robustness GEN-ROBUST-01
    toggle ACC-FIELD-01
    toggle GEN-ERROR-01
    toggle GEN-TOGGLE-01
    guard GEN-ORDER-01
    error-code GEN-CODE-01
    schema GEN-ERROR-01
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&sent("GET", "/api/users/u1", "own", &Value::Null), &refused(401, "auth.unauthorized")), @"
    robustness GEN-ROBUST-01
    admin-only MGT-AUTH-01
    admin-only GEN-ERROR-01
    admin-only GEN-AUTH-01
    guard GEN-ORDER-01
    error-code GEN-CODE-01
    schema GEN-ERROR-01
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&sent("GET", "/api/my-account/none", "own", &Value::Null), &answered(404, &Value::Null)), @"
    robustness GEN-ROBUST-01
    status GEN-ROUTE-01
    ");
    assert_snapshot!(said(&sent("HEAD", "/api/my-account", "own", &Value::Null), &answered(200, &Value::Null)), @"
    robustness GEN-ROBUST-01
    status ACC-PROFILE-01
    status GEN-STATUS-01
    state ACC-PROFILE-01
    state GEN-STATE-01
    toggle ACC-FIELD-02
    toggle GEN-TOGGLE-01
    authorization ACC-SCOPE-02
    authorization GEN-AUTH-01
    headers GEN-HEADERS-01
    ");
}

#[test]
fn what_does_not_hold_is_put_to_the_plainest() {
    // Let in, or let do, what is not allowed.
    assert_snapshot!(said(&read("none"), &answered(200, &profile())), @"
    robustness GEN-ROBUST-01
    authorization ACC-AUTH-01: 401 auth.unauthorized -> 200
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&sent("GET", "/api/users/u1", "own", &Value::Null), &answered(200, &json!({}))), @r#"
    robustness GEN-ROBUST-01
    admin-only MGT-AUTH-01: 401 auth.unauthorized -> 200
    schema GEN-SCHEMA-01: 200 body as the schema says -> "id" is a required property
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    "#);
    assert_snapshot!(said(&write(&json!({"avatar": "https://example.com/a"})), &answered(200, &profile())), @"
    robustness GEN-ROBUST-01
    toggle ACC-FIELD-01: 400 account_center.field_not_editable -> 200
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    let unproved = sent("DELETE", "/api/my-account/primary-email", "own", &Value::Null);
    assert_snapshot!(said(&unproved, &answered(204, &Value::Null)), @"
    robustness GEN-ROBUST-01
    verification ACC-VERIFY-01: 401 verification_record.permission_denied -> 204
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    ");
    // Refused for another reason than the first, with another code, or at all.
    assert_snapshot!(said(&write(&json!({"avatar": "none"})), &refused(401, "auth.unauthorized")), @"
    robustness GEN-ROBUST-01
    guard GEN-ORDER-01: 400 guard.invalid_input -> 401 auth.unauthorized
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&read("none"), &refused(401, "auth.lc_none")), @"
    robustness GEN-ROBUST-01
    error-code GEN-CODE-01: 401 auth.unauthorized -> 401 auth.lc_none
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&write(&json!({"name": "Two"})), &refused(400, "account_center.field_not_editable")), @"
    robustness GEN-ROBUST-01
    status ACC-PROFILE-02: 200 -> 400 account_center.field_not_editable
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&sent("GET", "/api/my-account/none", "own", &Value::Null), &answered(200, &Value::Null)), @"
    robustness GEN-ROBUST-01
    status GEN-ROUTE-01: 404 -> 200
    ");
    // Shown without scope, without leave, or not as it is.
    assert_snapshot!(said(&read("own"), &answered(200, &with(profile(), "primaryEmail", json!("lc@example.com")))), @"
    robustness GEN-ROBUST-01
    authorization ACC-SCOPE-02: /primaryEmail to be withheld -> shown
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&read("own"), &answered(200, &with(profile(), "username", json!("lc_one")))), @"
    robustness GEN-ROBUST-01
    toggle ACC-FIELD-02: /username to be withheld -> shown
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    assert_snapshot!(said(&read("own"), &answered(200, &with(profile(), "name", json!("Two")))), @"
    robustness GEN-ROBUST-01
    state ACC-PROFILE-01: /name as last written -> another value
    schema GEN-SCHEMA-01
    headers GEN-HEADERS-01
    secrecy GEN-SECRET-01
    ");
    // Failed.
    assert_snapshot!(said(&read("own"), &refused(500, "x")), @"robustness GEN-ROBUST-01: no server error but 200 (accepted) -> 500 x");
    assert_snapshot!(said(&read("none"), &refused(503, "x")), @"robustness GEN-ROBUST-01: no server error but 401 auth.unauthorized (authorization(user-token)) -> 503 x");
    assert_snapshot!(said(&sent("GET", "/api/my-account/none", "own", &Value::Null), &refused(500, "x")), @"robustness GEN-ROBUST-01: no server error but 404 (accepted) -> 500 x");
}

/// Lines of what is said that are about one check.
fn about(check: &str, said: &str) -> String {
    said.lines().filter(|line| line.starts_with(check)).collect::<Vec<_>>().join("\n")
}

#[test]
fn bodies_are_held_against_the_schema_of_their_status() {
    let schema = |answer: &Answer| about("schema", &said(&read("own"), answer));
    assert_snapshot!(schema(&answered(418, &json!({}))), @"schema GEN-SCHEMA-01: a status the contract lists -> 418");
    assert_snapshot!(schema(&answered(200, &Value::Null)), @"schema GEN-SCHEMA-01: a JSON body with 200 -> something else");
    assert_snapshot!(schema(&answered(200, &json!([]))), @r#"schema GEN-SCHEMA-01: 200 body as the schema says -> value is not of type "object""#);
    assert_snapshot!(schema(&answered(200, &with(profile(), "name", json!(1)))), @r#"schema GEN-SCHEMA-01: 200 /name as the schema says -> value is not of types "null", "string""#);
    assert_snapshot!(schema(&answered(304, &Value::Null)), @"");
    assert_snapshot!(schema(&answered(401, &json!({"message": "x"}))), @"schema GEN-SCHEMA-01");
}

#[test]
fn headers_say_what_the_body_is_and_who_may_read_it() {
    let headers = |request: &Request, answer: Answer| about("headers", &said(request, &answer));
    let right = || answered(200, &profile());
    assert_snapshot!(headers(&read("own"), header(right(), "content-type", None)), @"headers GEN-HEADERS-01: content-type application/json -> none");
    assert_snapshot!(headers(&read("own"), header(right(), "content-type", Some("text/html"))), @"headers GEN-HEADERS-01: content-type application/json -> text/html");
    assert_snapshot!(headers(&read("own"), header(right(), "logto-core-request-id", None)), @"headers GEN-HEADERS-01: logto-core-request-id -> none");
    // A bare text, and no body at all, need not say that they are JSON.
    assert_snapshot!(headers(&read("own"), header(answered(404, &json!("x")), "content-type", None)), @"headers GEN-HEADERS-01");
    assert_snapshot!(headers(&read("own"), header(answered(204, &Value::Null), "content-type", None)), @"headers GEN-HEADERS-01");
    let allowed = "access-control-allow-origin";
    let own = read("own").with_header("origin", "https://app.example.com");
    assert_snapshot!(headers(&own, header(right(), allowed, Some("https://app.example.com"))), @"
    headers GEN-HEADERS-01
    headers GEN-CORS-01
    ");
    assert_snapshot!(headers(&own, header(right(), allowed, Some("*"))), @"
    headers GEN-HEADERS-01
    headers GEN-CORS-01: access-control-allow-origin repeats the origin -> another
    ");
    assert_snapshot!(headers(&own, right()), @"
    headers GEN-HEADERS-01
    headers GEN-CORS-01: access-control-allow-origin repeats the origin -> none
    ");
    let admin = sent("GET", "/api/users/u1", "admin", &Value::Null).with_header("origin", "https://app.example.com");
    assert_snapshot!(headers(&admin, refused(404, "entity.not_found")), @"
    headers GEN-HEADERS-01
    headers GEN-CORS-01
    ");
    assert_snapshot!(headers(&admin, header(refused(404, "entity.not_found"), allowed, Some("*"))), @"
    headers GEN-HEADERS-01
    headers GEN-CORS-01: no access-control-allow-origin -> another
    ");
    let token = Request::new("POST", "/oidc/token").with_header("origin", "https://app.example.com");
    assert_snapshot!(headers(&token, header(answered(400, &json!({"error": "invalid_request"})), "logto-core-request-id", None)), @"headers GEN-HEADERS-01");
}

#[test]
fn secrets_in_answers_are_told() {
    let secrecy = |request: &Request, body: &Value| about("secrecy", &said(request, &answered(200, body)));
    let user = |target: &str| sent("GET", target, "admin", &Value::Null);
    assert_snapshot!(secrecy(&user("/api/users/u1"), &json!({"passwordDigest": "x"})), @"secrecy GEN-SECRET-01: no secret in the answer -> /passwordDigest shows one");
    assert_snapshot!(secrecy(&user("/api/users/u1?includePasswordHash=true"), &json!({"passwordDigest": "x"})), @"secrecy GEN-SECRET-01");
    let password = |password: &str| sent("POST", "/api/my-account/password", "own", &json!({"password": password}));
    assert_snapshot!(secrecy(&password("Secret-17"), &json!({"a": "Secret-17"})), @"secrecy GEN-SECRET-01: no secret in the answer -> /a shows one");
    assert_snapshot!(secrecy(&password("Secret7"), &json!({"a": "Secret7"})), @"secrecy GEN-SECRET-01");
    assert_snapshot!(secrecy(&password("Secret-8"), &json!({"a": "Secret-8"})), @"secrecy GEN-SECRET-01: no secret in the answer -> /a shows one");
}

#[test]
fn pages_are_judged_where_an_operation_answers_in_pages() {
    let pages = |target: &str, answer: Answer| about("pagination", &said(&sent("GET", target, "admin", &Value::Null), &answer));
    let total = |total: &str| header(answered(200, &json!([])), "total-number", Some(total));
    let linked =
        || header(total("0"), "link", Some("<http://h/api/users?page=1>; rel=\"first\", <http://h/api/users?page=1>; rel=\"last\""));
    assert_snapshot!(pages("/api/users", linked()), @"pagination MGT-PAGE-01");
    assert_snapshot!(pages("/api/users", answered(200, &json!([]))), @"pagination MGT-PAGE-01: Total-Number with a number -> none");
    assert_snapshot!(pages("/api/users", total("3")), @"pagination MGT-PAGE-01: as many entries as Total-Number and the page say -> fewer");
    assert_snapshot!(pages("/api/users?page=2", total("40")), @"pagination MGT-PAGE-01: as many entries as Total-Number and the page say -> fewer");
    assert_snapshot!(pages("/api/users?page=1&page=2", linked()), @"");
    assert_snapshot!(pages("/api/users", refused(400, "guard.invalid_pagination")), @"");
    let more = header(header(answered(200, &json!([1, 2])), "total-number", Some("1")), "link", None);
    assert_snapshot!(pages("/api/users", more), @"pagination MGT-PAGE-01: as many entries as Total-Number and the page say -> more");
    // Where pages are a choice, totals come with a page only.
    assert_snapshot!(pages("/api/resources", answered(200, &json!([]))), @"pagination MGT-PAGE-01");
    assert_snapshot!(pages("/api/resources", total("0")), @"pagination MGT-PAGE-01: no Total-Number without a page -> one");
    assert_snapshot!(pages("/api/resources?page=", answered(200, &json!([]))), @"pagination MGT-PAGE-01");
    assert_snapshot!(pages("/api/resources?page=1", answered(200, &json!([]))), @"pagination MGT-PAGE-01: Total-Number with a number -> none");
    assert_snapshot!(pages("/api/resources?page_size=1", linked()), @"pagination MGT-PAGE-01");
    // Totals that count everything say nothing of a part.
    assert_snapshot!(pages("/api/one-time-tokens?email=lc&page=1", total("7")), @"");
    assert_snapshot!(pages("/api/one-time-tokens?page=1", total("7")), @"pagination MGT-PAGE-01: as many entries as Total-Number and the page say -> fewer");
    assert_snapshot!(pages("/api/users?search=lc&page=1", total("7")), @"pagination MGT-PAGE-01: as many entries as Total-Number and the page say -> fewer");
    assert_snapshot!(pages("/api/my-account", answered(200, &json!([]))), @"");
}
