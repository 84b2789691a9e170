//! What is secret in an exchange.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::model::wire::{Answer, Request};

/// Members whose value is a secret wherever it stands.
const MEMBERS: [&str; 16] = [
    "access_token",
    "id_token",
    "refresh_token",
    "token",
    "subjectToken",
    "subject_token",
    "password",
    "oldPassword",
    "client_secret",
    "clientSecret",
    "secret",
    "verificationRecordId",
    "verificationId",
    "newIdentifierVerificationRecordId",
    "code_verifier",
    "passwordDigest",
];

/// Adds the secrets of an exchange, each with what it is. Knows nothing of the register that the program masks by.
pub fn secrets(request: &Request, answer: &Answer, found: &mut BTreeMap<String, String>) {
    let mut add = |what: &str, secret: &str| {
        found.entry(secret.to_owned()).or_insert_with(|| what.to_owned());
    };
    let sent: Option<Value> = serde_json::from_slice(&request.body).ok();
    for body in sent.as_ref().into_iter().chain(answer.json()) {
        members(body, &mut add);
    }
    if request.header("content-type").is_some_and(|kind| kind.contains("form-urlencoded")) {
        for (name, value) in url::form_urlencoded::parse(&request.body) {
            if MEMBERS.contains(&&*name) || name == "code" {
                add(&name, &value);
            }
        }
    }
    if let Some((_, credentials)) = request.header("authorization").and_then(|value| value.split_once(' ')) {
        add("authorization", credentials);
    }
    if let Some(id) = request.header("logto-verification-id") {
        add("verification id", id);
    }
    for (name, value) in &answer.headers {
        match name.as_str() {
            "set-cookie" => {
                if let Some((_, value)) = value.split(';').next().and_then(|pair| pair.split_once('=')) {
                    add("cookie", value);
                }
            }
            "location" => {
                if let Some((_, rest)) = value.split_once("code=") {
                    add("code", rest.split('&').next().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

fn members(value: &Value, add: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| members(item, add)),
        Value::Object(map) => {
            for (name, member) in map {
                match member {
                    Value::String(text) if MEMBERS.contains(&name.as_str()) => add(name, text),
                    Value::Array(codes) if name == "codes" => {
                        codes.iter().filter_map(Value::as_str).for_each(|code| add("backup code", code));
                    }
                    // The secrets of applications and access tokens.
                    Value::String(text) if name == "value" && (text.starts_with("pat_") || map.contains_key("applicationId")) => {
                        add("secret", text);
                    }
                    _ => members(member, add),
                }
            }
        }
        _ => {}
    }
}

/// Exchanges as a recording in the HAR format.
pub fn recording(exchanges: &[(Request, Answer)]) -> Value {
    let headers = |headers: &[(String, String)]| -> Vec<Value> {
        headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let entries: Vec<Value> = exchanges
        .iter()
        .map(|(request, answer)| {
            json!({
                "startedDateTime": "2026-11-01T00:00:00.000Z",
                "request": {
                    "method": request.method, "url": format!("http://127.0.0.1:1{}", request.target), "headers": headers(&request.headers),
                    "postData": {"text": STANDARD.encode(&request.body), "encoding": "base64"},
                },
                "response": {
                    "status": answer.status, "headers": headers(&answer.headers),
                    "content": {"text": STANDARD.encode(&*answer.body), "encoding": "base64"},
                },
            })
        })
        .collect();
    json!({"log": {"version": "1.2", "entries": entries}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_secret_is_seen() {
        let request = Request::new("POST", "/api/users")
            .with_header("content-type", "application/json")
            .with_header("authorization", "Bearer token-1")
            .with_header("logto-verification-id", "record-1")
            .with_json(&json!({"username": "open", "password": "password-1", "secrets": [{"applicationId": "a", "value": "secret-1"}]}));
        let headers = [("set-cookie", "session=cookie-1; path=/"), ("location", "https://example.com/?code=code-1&state=open")];
        let answer = Answer {
            status: 200,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: json!({"token": "token-2", "codes": ["code-2"], "data": [{"value": "pat_1", "name": "open"}]})
                .to_string()
                .into_bytes()
                .into(),
        };
        let mut found = BTreeMap::new();
        secrets(&request, &answer, &mut found);
        let mut form = Request::new("POST", "/oidc/token").with_header("content-type", "application/x-www-form-urlencoded");
        form.body = b"grant_type=open&refresh_token=token-3&code=code-3".to_vec();
        secrets(&form, &Answer { status: 204, ..Answer::default() }, &mut found);
        let seen: Vec<&str> = found.keys().map(String::as_str).collect();
        let all =
            ["code-1", "code-2", "code-3", "cookie-1", "password-1", "pat_1", "record-1", "secret-1", "token-1", "token-2", "token-3"];
        assert_eq!(seen, all);
    }
}
