//! What the server makes of a request body before anything is validated.

use serde_json::{Map, Value};

use super::{json, multipart};

/// A body as the server reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// This value goes to validation.
    Value(Value),
    /// Refused by the parser, with a body that has no `code`.
    Unparsable,
}

/// JSON types that the server parses as JSON; other `+json` types count as no body.
const JSON_TYPES: [&str; 6] = [
    "application/json",
    "application/json-patch+json",
    "application/vnd.api+json",
    "application/csp-report",
    "application/reports+json",
    "application/scim+json",
];

/// Reads a body as its content type says. Only objects and arrays count as JSON; an unknown type, or none, as `{}`.
pub fn read(content_type: Option<&str>, body: &[u8]) -> Body {
    let essence = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let nothing = Body::Value(Value::Object(Map::new()));
    if JSON_TYPES.contains(&essence.as_str()) {
        let text = String::from_utf8_lossy(body);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.is_empty() {
            return nothing;
        }
        return match json::parse(text.as_bytes()) {
            Ok(value) if (value.is_object() || value.is_array()) && !has_prototype_key(&value) => Body::Value(value),
            _ => Body::Unparsable,
        };
    }
    match essence.as_str() {
        "application/x-www-form-urlencoded" => Body::Value(form(body)),
        text if text.starts_with("text/") && !text.contains("xml") => {
            Body::Value(Value::String(String::from_utf8_lossy(body).into_owned()))
        }
        _ => nothing,
    }
}

/// Reads a body for an operation that wants this content type: where it wants files, nothing but files counts.
pub fn read_as(wanted: &str, content_type: Option<&str>, body: &[u8]) -> Body {
    if !is_multipart(Some(wanted)) {
        return read(content_type, body);
    }
    match read(content_type, body) {
        Body::Unparsable => Body::Unparsable,
        Body::Value(_) => {
            let form = content_type.filter(|_| is_multipart(content_type)).and_then(|content_type| multipart::read(content_type, body));
            Body::Value(form.unwrap_or_else(|| Value::Object(Map::new())))
        }
    }
}

/// Whether a content type is that of a form that may carry files.
pub fn is_multipart(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// A form as an object of texts; a repeated key becomes a list.
pub fn form(body: &[u8]) -> Value {
    let mut object = Map::new();
    for (key, value) in url::form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        match object.get_mut(key.as_ref()) {
            None => {
                object.insert(key.into_owned(), value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(object)
}

fn has_prototype_key(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, member)| key == "__proto__" || has_prototype_key(member)),
        Value::Array(items) => items.iter().any(has_prototype_key),
        _ => false,
    }
}

/// Whether any text in the value contains U+0000, which the storage refuses.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(object) => object.iter().any(|(key, member)| key.contains('\0') || has_nul(member)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn content_types_decide_how_a_body_is_read() {
        let table: [(Option<&str>, &[u8], Body); 13] = [
            (Some("application/json"), b"{\"a\":1}", Body::Value(json!({"a": 1}))),
            (Some("application/json; charset=utf-8"), b"", Body::Value(json!({}))),
            (Some("application/json"), b"\xef\xbb\xbf{}", Body::Value(json!({}))),
            (Some("application/json"), b"null", Body::Unparsable),
            (Some("application/json"), b"\"x\"", Body::Unparsable),
            (Some("application/json"), b"{\"a\":", Body::Unparsable),
            (Some("application/json"), b"{\"__proto__\":{}}", Body::Unparsable),
            (Some("application/json"), b"{\"a\":[1,{\"__proto__\":{}}]}", Body::Unparsable),
            (Some("application/merge-patch+json"), b"{\"a\":1}", Body::Value(json!({}))),
            (Some("application/xml"), b"<a/>", Body::Value(json!({}))),
            (None, b"{\"a\":1}", Body::Value(json!({}))),
            (Some("text/plain"), b"hello", Body::Value(json!("hello"))),
            (Some("application/x-www-form-urlencoded"), b"a=1&b=x+y&b=z", Body::Value(json!({"a": "1", "b": ["x y", "z"]}))),
        ];
        for (content_type, body, expected) in table {
            assert_eq!(read(content_type, body), expected, "{content_type:?} {body:?}");
        }
    }

    #[test]
    fn a_nul_is_found_wherever_it_hides() {
        for hidden in [json!("a\0"), json!(["a", "\0"]), json!([["\0"]]), json!({"a": "\0"}), json!({"\0": 1}), json!({"a": [{"b": "\0"}]})]
        {
            assert!(has_nul(&hidden), "{hidden:?}");
        }
        for clean in [json!("a"), json!(["a", 0, null, true]), json!({"a": {"b": []}})] {
            assert!(!has_nul(&clean), "{clean:?}");
        }
    }
}
