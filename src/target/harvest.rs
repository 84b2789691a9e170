//! Where secrets stand in requests and answers: each is registered the moment it is seen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::secret::SecretRegister;
use crate::model::json;
use crate::model::wire::{Answer, Request};

/// Keys and fields whose text is always a secret.
const SECRET_KEYS: [&str; 21] = [
    "access_token",
    "refresh_token",
    "id_token",
    "subject_token",
    "actor_token",
    "token",
    "subjectToken",
    "accessToken",
    "refreshToken",
    "idToken",
    "client_secret",
    "clientSecret",
    "client_assertion",
    "code_verifier",
    "secret",
    "password",
    "oldPassword",
    "passwordDigest",
    "verificationRecordId",
    "newIdentifierVerificationRecordId",
    "verificationId",
];

impl SecretRegister {
    /// Registers the secrets of an answer: tokens, secrets, codes and passwords anywhere in a JSON body, cookies, and
    /// the code in a redirect.
    pub fn harvest(&self, answer: &Answer) {
        for (name, value) in &answer.headers {
            match name.as_str() {
                "set-cookie" => self.cookie(value.split(';').next().unwrap_or("")),
                "location" => self.fields(value.split_once('?').map_or("", |(_, query)| query)),
                _ => {}
            }
        }
        if let Some(document) = answer.json() {
            self.walk(document);
        }
    }

    /// Registers the secrets of a request: credentials, cookies, verification id, and those in a JSON or form body
    /// or the query.
    pub fn harvest_request(&self, request: &Request) {
        for (name, value) in &request.headers {
            match name.as_str() {
                "authorization" | "proxy-authorization" => self.credentials(value),
                "logto-verification-id" => self.register(value),
                "cookie" => value.split(';').for_each(|pair| self.cookie(pair)),
                _ => {}
            }
        }
        self.fields(request.query());
        if request.header("content-type").is_some_and(|kind| kind.contains("form-urlencoded")) {
            self.fields(&String::from_utf8_lossy(&request.body));
        } else if let Ok(document) = json::parse(&request.body) {
            self.walk(&document);
        }
    }

    fn walk(&self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(map) => map.iter().for_each(|(key, value)| self.member(map, key, value)),
            _ => {}
        }
    }

    fn member(&self, owner: &Map<String, Value>, key: &str, value: &Value) {
        match (key, value) {
            // Levels of the account-center settings: `{"fields": {"password": "ReadOnly"}}`.
            ("fields", Value::Object(_)) => {}
            ("codes", Value::Array(codes)) => {
                for code in codes {
                    self.text(code.as_str().or_else(|| code["code"].as_str()));
                }
                self.walk(value);
            }
            ("redirectTo", Value::String(url)) => self.fields(url.split_once('?').map_or("", |(_, query)| query)),
            // The value of an application's secret, or of a personal access token.
            ("value", Value::String(text)) if text.starts_with("pat_") || owner.contains_key("applicationId") => {
                self.register(text);
            }
            (key, Value::String(text)) if is_secret(key, text) => self.register(text),
            _ => self.walk(value),
        }
    }

    fn fields(&self, encoded: &str) {
        for (key, value) in form_urlencoded::parse(encoded.as_bytes()) {
            if is_secret(&key, &value) {
                self.register(value);
            }
        }
    }

    fn cookie(&self, pair: &str) {
        self.text(pair.split_once('=').map(|(_, value)| value.trim().trim_matches('"')));
    }

    fn credentials(&self, header: &str) {
        let credentials = header.split_once(' ').map_or(header, |(_, rest)| rest.trim());
        self.register(credentials);
        let pair = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((_, secret)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
            self.register(secret);
            self.register(percent_decode_str(secret).decode_utf8_lossy());
        }
    }

    fn text(&self, value: Option<&str>) {
        if let Some(value) = value {
            self.register(value);
        }
    }
}

/// `code` names both the code of an error (words, often with a dot) and a one-time or authorization code (digits in it).
fn is_secret(key: &str, text: &str) -> bool {
    // What people are asked for, among the texts of a page: `{"password": "Password"}`.
    if key.eq_ignore_ascii_case(text) {
        return false;
    }
    let one_time = matches!(key, "code" | "verificationCode");
    SECRET_KEYS.contains(&key) || one_time && !text.contains('.') && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::secret::MASK;
    use super::*;
    use serde_json::json;

    fn answer(body: &Value) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: body.to_string().into_bytes().into() }
    }

    #[test]
    fn secrets_of_answers_are_found_wherever_they_stand() {
        let secrets = SecretRegister::new();
        let mut seen = answer(&json!({
            "access_token": "S1-access", "list": [{"name": "pat", "value": "pat_S2"}],
            "codes": ["S3aaaaaaaa", {"code": "bbbbbbS4bb", "usedAt": null}], "user": {"passwordDigest": "S5-digest"},
            "applicationId": "app-id", "value": "S6-app-secret", "verificationRecordId": "S7-record",
            "redirectTo": "http://host/cb?code=S8-auth-code&state=visible"
        }));
        seen.headers.push(("set-cookie".into(), "_session=S9-cookie; path=/; httponly".into()));
        seen.headers.push(("location".into(), "http://host/cb?code=S10-code&state=visible".into()));
        secrets.harvest(&seen);
        let all = "S1-access pat_S2 S3aaaaaaaa bbbbbbS4bb S5-digest S6-app-secret S7-record S8-auth-code S9-cookie S10-code";
        assert_eq!(secrets.redact(all), [MASK; 10].join(" "));
        assert_eq!(secrets.redact("visible app-id"), "visible app-id");
    }

    #[test]
    fn settings_and_error_codes_are_no_secrets() {
        let secrets = SecretRegister::new();
        secrets.harvest(&answer(&json!({"fields": {"password": "ReadOnly"}, "code": "auth.unauthorized2"})));
        secrets.harvest(&answer(&json!({"data": {"issues": [{"code": "invalid_type", "path": ["password"]}]}})));
        secrets.harvest(&answer(&json!({"signUp": {"password": true}, "value": "someone@example.com"})));
        secrets.harvest(&answer(&json!({"input": {"password": "Password"}})));
        assert!(secrets.is_empty());
    }

    #[test]
    fn secrets_of_requests_are_found_in_headers_body_and_query() {
        let secrets = SecretRegister::new();
        let basic = super::super::form::basic("client", "S1 secret+");
        let json = Request::new("POST", "/x?code=S2-code-1")
            .with_header("authorization", basic.clone())
            .with_header("logto-verification-id", "S3-record")
            .with_header("cookie", "a=S4-cookie; b=S5-cookie")
            .with_json(&json!({"password": "S6-password", "identifier": {"value": "plain-name"}, "code": "123456"}));
        secrets.harvest_request(&json);
        let form = super::super::form::post("/oidc/token", &[("client_secret", "S7 secret"), ("grant_type", "visible")]);
        secrets.harvest_request(&form);
        let all = "S1 secret+|S2-code-1|S3-record|S4-cookie|S5-cookie|S6-password|123456|S7 secret";
        assert_eq!(secrets.redact(all), [MASK; 8].join("|"));
        assert!(!secrets.redact(&basic).contains(basic.trim_start_matches("Basic ")));
        assert_eq!(secrets.redact("visible plain-name"), "visible plain-name");
    }

    #[test]
    fn bearer_tokens_and_bare_credentials_are_registered() {
        let secrets = SecretRegister::new();
        secrets.harvest_request(&Request::new("GET", "/").with_header("authorization", "Bearer opaque-token"));
        secrets.harvest_request(&Request::new("GET", "/").with_header("authorization", "bare-token"));
        assert_eq!(secrets.redact("opaque-token bare-token Bearer"), "<secret> <secret> Bearer");
    }
}
