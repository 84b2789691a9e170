//! A request as the model reads it: operation, credentials, parameters, body.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::body::{self, Body};
use super::state::{Entity, Key, Kind, State};
use super::wire::Request;
use crate::contract::Operation;
use crate::contract::guard::{GuardKind, Place, ValueRef};

/// A request that names a specified operation.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// The request itself.
    pub request: &'a Request,
    /// Decoded path parameters.
    pub path: BTreeMap<String, String>,
    /// Decoded query; the last value of a repeated key.
    pub query: BTreeMap<String, String>,
    /// The body before validation.
    pub body: Body,
    /// The body after validation: undeclared keys are gone. Null when it cannot be read.
    pub input: Value,
}

impl<'a> Call<'a> {
    /// Reads a request.
    pub fn read(operation: &'a Operation, path: BTreeMap<String, String>, request: &'a Request) -> Self {
        let query = url::form_urlencoded::parse(request.query().as_bytes()).into_owned().collect();
        let body = match &operation.body {
            // What is too long is refused without a look at it.
            Some(_) if is_too_long(operation, request) => Body::Value(Value::Object(Map::new())),
            Some((content_type, _)) => body::read_as(content_type, request.header("content-type"), &request.body),
            None => Body::Value(Value::Object(Map::new())),
        };
        let input = match (&body, &operation.body) {
            (Body::Value(value), Some((_, schema))) => schema.prune(value),
            _ => Value::Null,
        };
        Self { operation, request, path, query, body, input }
    }

    /// The value a reference names; `None` when it is absent. Texts outside the body come as JSON texts.
    pub fn value(&self, reference: &ValueRef) -> Option<Value> {
        let text = |text: &String| Value::String(text.clone());
        match reference.place {
            Place::Body => self.member(&reference.name).cloned(),
            Place::Path => self.path.get(&reference.name).map(text),
            Place::Query => self.query.get(&reference.name).map(text),
            Place::Header => self.request.header(&reference.name).map(|value| Value::String(value.to_owned())),
        }
    }

    /// A member of the body; `outer.inner` is a member of a member.
    pub fn member(&self, name: &str) -> Option<&Value> {
        name.split('.').try_fold(&self.input, |value, name| value.get(name))
    }

    /// Whether the body is a form that may carry files.
    pub fn has_files(&self) -> bool {
        body::is_multipart(self.request.header("content-type"))
    }

    /// The text a reference names.
    pub fn text(&self, reference: &ValueRef) -> Option<String> {
        self.value(reference).and_then(|value| value.as_str().map(str::to_owned))
    }

    /// The `Authorization` header.
    pub fn authorization(&self) -> Option<&str> {
        self.request.header("authorization")
    }

    /// The bearer token, if the scheme is exactly `Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization()?.split_once(' ').unwrap_or((self.authorization()?, ""));
        (scheme == "Bearer").then_some(token)
    }

    /// Client id and secret as the token endpoint reads them: Basic credentials, else form fields.
    pub fn client(&self) -> Option<(String, Option<String>)> {
        if let Some(encoded) = self.authorization().and_then(|header| header.strip_prefix("Basic ")) {
            let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
            let (id, secret) = decoded.split_once(':')?;
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            return Some((plain(id), Some(plain(secret))));
        }
        let field = |name: &str| self.input.get(name).and_then(Value::as_str).map(str::to_owned);
        field("client_id").map(|id| (id, field("client_secret")))
    }

    /// The bearer token as the state knows it.
    pub fn token<'s>(&self, state: &'s State) -> Option<&'s Entity> {
        state.find(Kind::Token, self.bearer()?)
    }

    /// The user whose token this is, if known.
    pub fn caller(&self, state: &State) -> Option<Key> {
        let id = self.token(state)?.text("user")??;
        Some(Key::new(Kind::User, id))
    }

    /// The user in the path.
    pub fn subject(&self) -> Option<Key> {
        self.path.get("userId").map(|id| Key::new(Kind::User, id.clone()))
    }
}

/// Whether a body is longer than the operation's parser reads. Files are not the parser's.
fn is_too_long(operation: &Operation, request: &Request) -> bool {
    let most = operation.guards.iter().find_map(|guard| if let GuardKind::MaxBody(most) = guard.kind { Some(most) } else { None });
    most.is_some_and(|most| request.body.len() > most) && !body::is_multipart(request.header("content-type"))
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
