//! Requests and answers as they go over the wire, free of any network type.
//!
//! Recorded traffic, live traffic, planned traffic and the reference all use these two structs, so the model has
//! one notion of "what was asked" and "what was answered".

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
    pub body: Vec<u8>,
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
    pub fn json(&self) -> Option<Value> {
        super::json::parse(&self.body).ok()
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
