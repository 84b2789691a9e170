use serde_json::json;

use super::super::judge::{Deviation, judge};
use crate::contract::{Contract, Level, PUBLISHED_AT, Published, Version};
use crate::model::wire::{Answer, Request};
use crate::model::{Entity, Key, Kind, State, States, observe};

use super::Result;

/// A document of one list, one object, and itself.
fn document() -> serde_json::Value {
    let item = json!({"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"size": {"type": "number", "nullable": true}}}});
    json!({"paths": {
        "/api/things": {"get": {"operationId": "ListThings", "responses": {
            "200": {"content": {"application/json": {"schema": item}}}, "401": {}, "403": {}, "501": {},
        }}},
        "/api/things/{id}": {"delete": {"operationId": "DeleteThing", "responses": {"204": {}, "401": {}, "403": {}, "404": {}}}},
        PUBLISHED_AT: {"get": {"operationId": "Document", "security": [], "responses": {"200": {}}}},
    }})
}

/// What fails when a call (`METHOD path`) with a token gets this answer: check, requirement, level, deviation.
fn failures(call: &str, token: Option<&str>, status: u16, body: &str) -> Vec<(String, String, Level, Deviation)> {
    let mut contract = Contract::embedded(Version::NEWEST).unwrap();
    contract.adopt(&Published::read(&document()).unwrap());
    let mut state = State::closed();
    for (name, scope) in [("admin", "all"), ("machine", "")] {
        let token = json!({"use": "management", "scope": scope, "alive": true, "expiresAt": 2_000_000_000_000_i64});
        state.insert(Key::new(Kind::Token, name), Entity::from_json(&token));
    }
    let (method, path) = call.split_once(' ').unwrap();
    let mut request = Request::new(method, path);
    if let Some(token) = token {
        request = request.with_header("authorization", format!("Bearer {token}"));
    }
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let answer = Answer { status, headers, body: body.as_bytes().to_vec().into() };
    let observation = observe(&contract, &States::certain(state), &request, &answer, 1_800_000_000_000);
    let judged = judge(&contract, &request, &answer, &observation);
    assert!(!judged.is_empty());
    let failed = judged.into_iter().filter_map(|judgement| match judgement.result {
        Result::Fail(deviation) => {
            Some((judgement.check.to_owned(), judgement.requirement.id.clone(), judgement.requirement.level, deviation))
        }
        _ => None,
    });
    failed.collect()
}

fn named(failures: &[(String, String, Level, Deviation)]) -> Vec<(&str, &str)> {
    failures.iter().map(|(check, requirement, ..)| (check.as_str(), requirement.as_str())).collect()
}

const MISSING: &str = r#"{"code": "auth.authorization_header_missing", "message": "x"}"#;
const UNAUTHORIZED: &str = r#"{"code": "auth.unauthorized", "message": "x"}"#;
const FORBIDDEN: &str = r#"{"code": "auth.forbidden", "message": "x"}"#;

#[test]
fn whoever_is_turned_away_properly_is_fine() {
    for call in ["GET /api/things", "DELETE /api/things/lc"] {
        assert_eq!(failures(call, None, 401, MISSING), []);
        assert_eq!(failures(call, Some("forged"), 401, UNAUTHORIZED), []);
        assert_eq!(failures(call, Some("machine"), 403, FORBIDDEN), []);
    }
}

#[test]
fn whoever_is_let_in_or_gets_as_far_as_the_object_is_a_deviation() {
    for (token, status, body) in [
        (None, 200, "[]"),
        (Some("forged"), 404, r#"{"code": "entity.not_found", "message": "x"}"#),
        (Some("machine"), 400, r#"{"code": "guard.invalid_input", "message": "x"}"#),
        (Some("machine"), 401, UNAUTHORIZED),
        (None, 403, FORBIDDEN),
    ] {
        let failed = failures("DELETE /api/things/lc", token, status, body);
        assert_eq!(named(&failed), [("admin-only", "MGT-ONLY-01")], "{token:?} {status}");
        assert_eq!(failed[0].2, Level::Must);
    }
}

#[test]
fn another_code_is_a_smaller_thing() {
    let failed = failures("GET /api/things", None, 401, UNAUTHORIZED);
    assert_eq!(named(&failed), [("error-code", "GEN-CODE-01")]);
    let failed = failures("GET /api/things", Some("machine"), 403, r#"{"message": "x"}"#);
    assert_eq!(named(&failed), [("error-code", "GEN-CODE-01"), ("schema", "GEN-ERROR-01")]);
}

#[test]
fn what_is_read_must_be_as_the_document_says() {
    let read = |status: u16, body: &str| failures("GET /api/things", Some("admin"), status, body);
    assert_eq!(read(200, r#"[{"id": 1, "size": null, "more": true}]"#), []);
    assert_eq!(read(501, r#"{"code": "x.y", "message": "x"}"#), []);
    assert_eq!(named(&read(206, "[]")), [("status", "MGT-DOC-01")]);
    assert_eq!(named(&read(404, "{}")), [("status", "MGT-DOC-01"), ("schema", "GEN-ERROR-01")]);
    let failed = read(200, r#"[{"id": 1, "size": null}, {"id": 2, "size": "7"}]"#);
    assert_eq!(named(&failed), [("schema", "MGT-DOC-02")]);
    assert_eq!((failed[0].2, failed[0].3.expected.as_str()), (Level::Should, "200 /*/size as the deployment's own document says"));
    assert_eq!(named(&read(200, "nothing")), [("schema", "MGT-DOC-02")]);
}

#[test]
fn server_errors_are_none_of_the_documents_business_unless_it_lists_them() {
    assert_eq!(named(&failures("GET /api/things", Some("admin"), 500, "")), [("robustness", "GEN-ROBUST-01")]);
    assert_eq!(named(&failures("DELETE /api/things/lc", None, 500, "")), [("robustness", "GEN-ROBUST-01")]);
}

#[test]
fn a_document_lists_what_is_specified() {
    let failed = failures(&format!("GET {PUBLISHED_AT}"), None, 200, &document().to_string());
    assert_eq!(named(&failed), [("status", "MGT-DOC-01")]);
    assert!(failed[0].3.expected.starts_with("the document lists "));
    let whole = crate::contract::bundle(&crate::contract::Files::embedded(), crate::contract::Collection::Management, Version::NEWEST);
    assert_eq!(failures(&format!("GET {PUBLISHED_AT}"), None, 200, &whole.unwrap().to_string()), []);
}
