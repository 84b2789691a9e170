//! Requests and answers as they go over the wire, free of any network type.
//!
//! Recorded traffic, live traffic, planned traffic and the reference all use these two structs, so the model has
//! one notion of "what was asked" and "what was answered".

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde_json::Value;

/// One HTTP request below `/`, relative to the deployment's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Upper-case method, for example `PATCH`.
    pub method: String,
    /// Path with optional query exactly as sent, for example `/api/users/abc?includeSsoIdentities=true`.
    pub target: String,
    /// Header names in lower case with their values, in order.
    pub headers: Vec<(String, String)>,
    /// Raw body; empty when there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Adds a header; `name` in lower case.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn with_json(self, body: &Value) -> Self {
        let mut request = self.with_header("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        request
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The raw query without `?`; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header names in lower case with their values, in order.
    pub headers: Vec<(String, String)>,
    /// Decoded body (content encodings removed).
    pub body: Body,
}

/// The bytes of an answer, read as JSON at most once: many look at it.
#[derive(Default)]
pub struct Body {
    bytes: Vec<u8>,
    /// Boxed, because answers are handed around.
    json: OnceLock<Option<Box<Value>>>,
}

impl Body {
    /// The bytes as JSON; `None` when they are none.
    pub fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| super::json::parse(&self.bytes).ok().map(Box::new)).as_deref()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, json: OnceLock::new() }
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.bytes
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Clone for Body {
    /// A copy of the bytes: what is kept for later is not kept twice.
    fn clone(&self) -> Self {
        self.bytes.clone().into()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

impl Answer {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Whether the content type announces JSON.
    pub fn says_json(&self) -> bool {
        self.header("content-type").is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or("").trim();
            essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
        })
    }

    /// The body as JSON; `None` when it is no JSON.
    pub fn json(&self) -> Option<&Value> {
        self.body.json()
    }

    /// The body as JSON, without what else was answered; `None` when it is no JSON.
    pub fn into_json(self) -> Option<Value> {
        self.json()?;
        self.body.json.into_inner().flatten().map(|value| *value)
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_is_read_once_and_copied_without_what_was_read() {
        let answer = Answer { status: 200, body: br#"{"id": "a"}"#.to_vec().into(), ..Answer::default() };
        let first = answer.json().unwrap();
        assert!(std::ptr::eq(first, answer.json().unwrap()));
        let copy = answer.clone();
        assert_eq!(copy, answer);
        assert!(copy.body.json.get().is_none());
        assert_eq!(copy.into_json(), Some(json!({"id": "a"})));
        assert_eq!(Answer { body: b"Not Found".to_vec().into(), ..answer }.into_json(), None);
    }

    #[test]
    fn bodies_are_their_bytes() {
        let body = |text: &str| Body::from(text.as_bytes().to_vec());
        assert_eq!(body("ab"), body("ab"));
        assert_ne!(body("ab"), body("ac"));
        // Other spacing is another body, though it is the same JSON.
        assert_ne!(body("[1]"), body("[ 1 ]"));
        assert_eq!(format!("{:?}", body("ab")), "[97, 98]");
    }

    #[test]
    fn json_is_announced_by_the_content_type_alone() {
        for (content_type, says_json) in [
            (Some("application/json"), true),
            (Some("application/json; charset=utf-8"), true),
            (Some("Application/JSON"), true),
            (Some("application/problem+json"), true),
            (Some("text/plain; charset=utf-8"), false),
            (Some("text/html; profile=application/json"), false),
            (Some("application/jsonp"), false),
            (Some(""), false),
            (None, false),
        ] {
            let headers = content_type.map(|value| ("content-type".to_owned(), value.to_owned()));
            let answer = Answer { status: 200, headers: headers.into_iter().collect(), body: b"{}".to_vec().into() };
            assert_eq!(answer.says_json(), says_json, "{content_type:?}");
        }
    }
}
