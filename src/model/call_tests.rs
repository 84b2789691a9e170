use serde_json::json;

use super::*;
use crate::contract::{Contract, Version};

/// Most bytes of a JSON body.
const MOST: usize = 1_048_576;

fn operation(id: &str) -> Operation {
    Contract::embedded(Version::NEWEST).unwrap().operation(id).unwrap().clone()
}

/// A request whose body is of this type and length, and no JSON.
fn request(content_type: &str, length: usize) -> Request {
    let mut request = Request::new("POST", "/api/users").with_header("content-type", content_type);
    request.body = vec![b'{'; length];
    request
}

#[test]
fn a_body_that_is_too_long_is_not_looked_at() {
    let operation = operation("CreateUser");
    let read = |length| Call::read(&operation, BTreeMap::new(), &request("application/json", length)).body;
    assert_eq!(read(1), Body::Unparsable);
    assert_eq!(read(MOST), Body::Unparsable);
    assert_eq!(read(MOST + 1), Body::Value(json!({})));
}

#[test]
fn only_a_body_without_files_is_too_long() {
    let mut operation = operation("CreateUser");
    for (content_type, length, expected) in [
        ("application/json", MOST, false),
        ("application/json", MOST + 1, true),
        ("application/json", MOST + 2, true),
        ("multipart/form-data; boundary=b", MOST, false),
        ("multipart/form-data; boundary=b", MOST + 1, false),
    ] {
        assert_eq!(is_too_long(&operation, &request(content_type, length)), expected, "{content_type} {length}");
    }
    operation.guards.clear();
    assert!(!is_too_long(&operation, &request("application/json", MOST + 1)));
}

#[test]
fn only_a_form_of_parts_has_files() {
    let operation = operation("CreateUser");
    for (content_type, expected) in
        [("multipart/form-data; boundary=b", true), ("application/json", false), ("application/x-www-form-urlencoded", false)]
    {
        let request = request(content_type, 0);
        assert_eq!(Call::read(&operation, BTreeMap::new(), &request).has_files(), expected, "{content_type}");
    }
}
