//! What a deployment publishes of its Management API: its own OpenAPI document, reduced to what generic checks need.
//!
//! The document is foreign: it is neither complete nor right in all it says. It serves to find operations, not to judge
//! them more strictly than a warning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::repair::repaired;
use super::schema::Schema;

/// Where a deployment publishes the document; no token is asked for.
pub const PUBLISHED_AT: &str = "/api/.well-known/management.openapi.json";

/// Bodies without any instruction, the plainest first. What refuses the first one is what validates input; the second
/// one is no structure at all.
pub const EMPTY_BODIES: [&str; 2] = ["[]", "\"lc-no-body\""];

/// Operations that are read at most.
const MOST_OPERATIONS: usize = 2_000;

/// A reduced document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Operations in order of path and method.
    pub operations: Vec<PublishedOperation>,
}

/// One operation of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedOperation {
    /// `operationId`; method and path where there is none.
    pub id: String,
    /// Upper-case method.
    pub method: String,
    /// Path template with `{parameters}`.
    pub path: String,
    /// Anybody may call it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// What its body must be.
    #[serde(default, skip_serializing_if = "Payload::is_none")]
    pub body: Payload,
    /// Statuses that the document lists.
    pub statuses: Vec<u16>,
    /// Mended schema of the JSON answer with the first successful status; kept for what can be read without an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// What an operation says of its request body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// There is none.
    #[default]
    None,
    /// It must be JSON, and its schema refuses the empty body of this index.
    Refuses(usize),
    /// It may be left out, is no JSON, or may be anything.
    Open,
}

impl Payload {
    /// Whether there is no body.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// It is no OpenAPI document.
    #[error("it has no `paths` with operations below /api")]
    NoOperations,
    /// It is larger than any Logto's.
    #[error("it has more than {MOST_OPERATIONS} operations")]
    TooLarge,
}

/// Why an operation is not probed with credentials that do not open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unprobed {
    /// Anybody may call it: there is nothing to refuse.
    Public,
    /// It writes, and neither an unused id nor a refused body would keep a deployment that lets the caller in from
    /// carrying it out.
    Harmful,
}

impl Published {
    /// Reads a document.
    ///
    /// Fails when it has no operations below `/api`, or far too many.
    pub fn read(document: &Value) -> Result<Self, PublishedError> {
        let mut operations = Vec::new();
        for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let methods = item.as_object().into_iter().flatten();
            let methods = methods.filter(|(method, _)| ["get", "put", "post", "patch", "delete"].contains(&method.as_str()));
            for (method, raw) in methods.filter(|_| path.starts_with("/api/")) {
                if operations.len() == MOST_OPERATIONS {
                    return Err(PublishedError::TooLarge);
                }
                operations.push(PublishedOperation::read(document, path, &method.to_ascii_uppercase(), raw));
            }
        }
        if operations.is_empty() {
            return Err(PublishedError::NoOperations);
        }
        operations.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
        // An id that is given twice names neither.
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for operation in &operations {
            *uses.entry(operation.id.clone()).or_default() += 1;
        }
        for operation in operations.iter_mut().filter(|operation| uses.get(&operation.id).is_some_and(|times| *times > 1)) {
            operation.id = operation.route();
        }
        Ok(Self { operations })
    }

    /// The operation of this method and path, whatever the parameters are called.
    pub fn find(&self, method: &str, path: &str) -> Option<&PublishedOperation> {
        self.operations.iter().find(|operation| operation.method == method && same_path(&operation.path, path))
    }
}

impl PublishedOperation {
    fn read(document: &Value, path: &str, method: &str, raw: &Value) -> Self {
        let route = format!("{method} {path}");
        let responses = raw.get("responses").and_then(Value::as_object);
        let mut statuses: Vec<u16> = responses.into_iter().flatten().filter_map(|(status, _)| status.parse().ok()).collect();
        statuses.sort_unstable();
        let first = statuses.iter().find(|status| (200..300).contains(*status));
        // With an id that names nothing there is nothing to read.
        let read = method == "GET" && !path.contains('{');
        let schema = first.filter(|_| read).and_then(|status| {
            let schema = json_schema(document, responses?.get(&status.to_string())?.get("content")?)?;
            // A schema that admits anything, or that no validator reads, judges nothing.
            (schema != serde_json::json!({}) && Schema::compile(schema.clone()).is_ok()).then_some(schema)
        });
        // The document forgets `security: []` on some operations that no token is needed for; these list no 401 either.
        let opened = raw.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
        Self {
            id: raw.get("operationId").and_then(Value::as_str).map_or(route, str::to_owned),
            method: method.to_owned(),
            path: path.to_owned(),
            public: opened || !statuses.contains(&401),
            body: raw.get("requestBody").map_or(Payload::None, |body| payload(document, body)),
            statuses,
            schema,
        }
    }

    /// `METHOD /path`.
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The part of the API it belongs to: the first segment below `/api`.
    pub fn area(&self) -> &str {
        self.path.split('/').nth(2).unwrap_or_default()
    }

    /// Whether a call may change something.
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }

    /// Whether the path names an object.
    pub fn has_id(&self) -> bool {
        self.path.contains('{')
    }

    /// The path with every parameter replaced by an id that names nothing.
    pub fn target(&self, unused: &str) -> String {
        let fill = |segment: &str| if segment.starts_with('{') { unused.to_owned() } else { segment.to_owned() };
        self.path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }

    /// The body of a call that no deployment can carry out, even if it lets the caller in; `None` for no body.
    pub fn refused_body(&self) -> Option<&'static str> {
        match self.body {
            Payload::Refuses(index) => EMPTY_BODIES.get(index).copied(),
            Payload::None | Payload::Open => None,
        }
    }

    /// Why it must not be called by somebody whom only a working guard would stop; `None` if such a call is harmless.
    ///
    /// Reading harms nobody. A write needs a second line of defence behind the guard that is probed: a body that
    /// validation refuses, or an id that names nothing. `PUT` on such an id may make the object, so there the id does not
    /// count.
    pub fn unprobed(&self) -> Option<Unprobed> {
        if self.public {
            return Some(Unprobed::Public);
        }
        let makes = self.method == "PUT" && self.path.ends_with('}');
        let defended = !self.writes() || self.refused_body().is_some() || self.has_id() && !makes;
        (!defended).then_some(Unprobed::Harmful)
    }
}

/// Whether two path templates differ in nothing but the names of their parameters.
pub(super) fn same_path(left: &str, right: &str) -> bool {
    let same = |(a, b): (&str, &str)| a.starts_with('{') && b.starts_with('{') || a.eq_ignore_ascii_case(b);
    left.split('/').count() == right.split('/').count() && left.split('/').zip(right.split('/')).all(same)
}

/// The mended schema for JSON among the media types of a request or answer.
pub(super) fn json_schema(document: &Value, content: &Value) -> Option<Value> {
    let media = content.as_object()?.iter().find(|(kind, _)| kind.contains("json"))?.1;
    media.get("schema").map(|schema| repaired(schema, document))
}

fn payload(document: &Value, body: &Value) -> Payload {
    let required = body.get("required") == Some(&Value::Bool(true));
    let schema = body.get("content").filter(|_| required).and_then(|content| json_schema(document, content));
    let Some(schema) = schema.and_then(|schema| Schema::compile(schema).ok()) else { return Payload::Open };
    let refuses = |text: &&str| serde_json::from_str(text).is_ok_and(|value: Value| !schema.admits(&value));
    EMPTY_BODIES.iter().position(refuses).map_or(Payload::Open, Payload::Refuses)
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
