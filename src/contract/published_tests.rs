use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// Every operation of Logto 1.43, without answers and descriptions.
fn whole() -> Published {
    Published::read(&serde_json::from_str(include_str!("../../fixtures/documents/management-1.43.json")).unwrap()).unwrap()
}

fn one(path: &str, method: &str, raw: Value) -> PublishedOperation {
    let mut item = serde_json::Map::new();
    item.insert(method.to_owned(), raw);
    let mut paths = serde_json::Map::new();
    paths.insert(path.to_owned(), Value::Object(item));
    Published::read(&json!({"paths": paths})).unwrap().operations.remove(0)
}

fn routes(published: &Published, why: Unprobed) -> Vec<String> {
    published.operations.iter().filter(|operation| operation.unprobed() == Some(why)).map(PublishedOperation::route).collect()
}

#[test]
fn a_real_document_is_read_in_full() {
    let published = whole();
    assert_eq!(published.operations.len(), 284);
    let ids: BTreeSet<&str> = published.operations.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(ids.len(), 284);
}

#[test]
fn only_writes_without_a_second_line_of_defence_are_left_alone() {
    assert_eq!(
        routes(&whole(), Unprobed::Harmful),
        [
            "DELETE /api/captcha-provider",
            "DELETE /api/email-templates",
            "POST /api/sign-in-exp/default/custom-ui-assets",
            "POST /api/user-assets",
        ]
    );
}

#[test]
fn public_operations_are_those_the_document_opens_and_those_that_list_no_401() {
    let published = whole();
    let public = routes(&published, Unprobed::Public);
    assert_eq!(public.len(), 16);
    for forgotten in [
        "GET /api/saml-applications/{id}/callback",
        "GET /api/saml-applications/{id}/metadata",
        "GET /api/saml/{id}/authn",
        "POST /api/saml/{id}/authn",
    ] {
        assert!(public.iter().any(|route| route == forgotten), "{forgotten}");
    }
    assert!(public.iter().all(|route| !route.starts_with("DELETE") && !route.starts_with('P') || route.contains("/saml")), "{public:?}");
}

/// What the rule promises, said once more without it: every probed write has a refused body, or aims at nothing.
#[test]
fn every_probed_write_is_harmless() {
    for operation in whole().operations.iter().filter(|operation| operation.writes() && operation.unprobed().is_none()) {
        let target = operation.target("lcnosuchobject");
        assert!(!target.contains(['{', '}']), "{target}");
        match operation.refused_body() {
            Some(body) => assert!(EMPTY_BODIES.contains(&body), "{target}"),
            None => assert!(operation.method != "PUT" && target.contains("/lcnosuchobject"), "{} {target}", operation.method),
        }
    }
}

#[test]
fn a_body_protects_only_if_it_must_be_there_and_is_refused() {
    let object = json!({"type": "object"});
    let body = |required: bool, kind: &str, schema: &Value| {
        let raw = json!({"requestBody": {"required": required, "content": {kind: {"schema": schema}}}, "responses": {"401": {}}});
        one("/api/x", "post", raw).body
    };
    assert_eq!(body(true, "application/json", &object), Payload::Refuses(0));
    assert_eq!(body(true, "application/json", &json!({"type": "array"})), Payload::Refuses(1));
    assert_eq!(body(true, "application/json", &json!({})), Payload::Open);
    assert_eq!(body(false, "application/json", &object), Payload::Open);
    assert_eq!(body(true, "multipart/form-data", &object), Payload::Open);
}

#[test]
fn an_id_protects_unless_the_call_would_make_the_object() {
    let raw = json!({"responses": {"401": {}}});
    assert_eq!(one("/api/flags/{name}", "put", raw.clone()).unprobed(), Some(Unprobed::Harmful));
    assert_eq!(one("/api/flags/{name}/state", "put", raw.clone()).unprobed(), None);
    assert_eq!(one("/api/flags/{name}", "delete", raw.clone()).unprobed(), None);
    assert_eq!(one("/api/flags", "delete", raw.clone()).unprobed(), Some(Unprobed::Harmful));
    assert_eq!(one("/api/flags", "get", raw).unprobed(), None);
}

#[test]
fn the_schema_of_what_is_read_is_kept_and_mended() {
    let content = json!({"application/json": {"schema": {"type": "string", "nullable": true, "description": "A name."}}});
    let raw = json!({"operationId": "ReadX", "responses": {"401": {}, "200": {"content": content}, "default": {}}});
    let read = one("/api/x", "get", raw.clone());
    assert_eq!(
        (read.id.as_str(), read.statuses.as_slice(), read.schema),
        ("ReadX", [200, 401].as_slice(), Some(json!({"type": ["string", "null"]})))
    );
    assert_eq!(one("/api/x", "post", raw.clone()).schema, None);
    assert_eq!(one("/api/x/{id}", "get", raw).schema, None);
}

#[test]
fn ids_given_twice_or_not_at_all_are_replaced_by_the_route() {
    let document = json!({"paths": {
        "/api/a": {"get": {"operationId": "Get"}, "parameters": []},
        "/api/b": {"get": {"operationId": "Get"}, "post": {}},
        "/oidc/token": {"post": {"operationId": "Token"}},
    }});
    let ids: Vec<String> = Published::read(&document).unwrap().operations.into_iter().map(|operation| operation.id).collect();
    assert_eq!(ids, ["GET /api/a", "GET /api/b", "POST /api/b"]);
}

#[test]
fn what_is_no_such_document_is_refused() {
    for odd in [json!(null), json!([]), json!({"paths": {}}), json!({"paths": {"/oidc/token": {"post": {}}}})] {
        assert_eq!(Published::read(&odd), Err(PublishedError::NoOperations));
    }
    let paths: serde_json::Map<String, Value> = (0..=MOST_OPERATIONS).map(|index| (format!("/api/{index}"), json!({"get": {}}))).collect();
    assert_eq!(Published::read(&json!({"paths": paths})), Err(PublishedError::TooLarge));
}
