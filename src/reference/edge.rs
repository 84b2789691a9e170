//! What every answer gets on its way out: request id, security headers, CORS, caching.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::paths::is_account;
use super::refusal::{empty_answer, text_answer};
use crate::model::wire::{Answer, Body, Request};

const SECURITY: [(&str, &str); 10] = [
    ("vary", "Accept-Encoding, Origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("strict-transport-security", "max-age=15552000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-download-options", "noopen"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-xss-protection", "0"),
];

/// The answer to `OPTIONS`; `allow` is empty for a path that does not exist.
pub fn options(request: &Request, allow: &str) -> Answer {
    if is_account(request.path())
        && let (Some(_), Some(_)) = (request.header("origin"), request.header("access-control-request-method"))
    {
        let mut answer = empty_answer(204);
        answer.headers.push(("access-control-allow-methods".into(), "GET,HEAD,PUT,POST,DELETE,PATCH".into()));
        if let Some(asked) = request.header("access-control-request-headers") {
            answer.headers.push(("access-control-allow-headers".into(), asked.to_owned()));
        }
        return answer;
    }
    if allow.is_empty() {
        return text_answer(404, "Not Found");
    }
    let mut answer = text_answer(200, "");
    answer.headers.push(("allow".into(), allow.to_owned()));
    answer
}

/// Adds the headers that every answer carries, and answers 304 where the caller has the body already.
pub fn dress(request: &Request, mut answer: Answer, request_id: String) -> Answer {
    let mut headers: Vec<(String, String)> = SECURITY.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    headers.push(("logto-core-request-id".into(), request_id));
    let plain_options = request.method == "OPTIONS" && answer.status == 200;
    if is_account(request.path()) && !plain_options {
        headers.push(("access-control-allow-origin".into(), request.header("origin").unwrap_or("*").to_owned()));
        if request.method != "OPTIONS" {
            headers.push(("access-control-expose-headers".into(), "*".into()));
        }
    }
    if request.path().eq_ignore_ascii_case("/oidc/token") {
        headers.push(("access-control-allow-origin".into(), request.header("origin").unwrap_or("*").to_owned()));
        headers.push(("access-control-expose-headers".into(), "WWW-Authenticate".into()));
        headers.push(("cache-control".into(), "no-store".into()));
    }
    headers.append(&mut answer.headers);
    answer.headers = headers;
    let readable = matches!(request.method.as_str(), "GET" | "HEAD") && answer.status == 200 && !answer.body.is_empty();
    if readable {
        let tag = entity_tag(&answer.body);
        let known =
            request.header("if-none-match").is_some_and(|known| known.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == tag));
        if known {
            answer.status = 304;
            answer.body = Body::default();
            answer.headers.retain(|(name, _)| name != "content-type");
        }
        answer.headers.push(("etag".into(), tag));
    }
    if request.method == "HEAD" {
        answer.body = Body::default();
    }
    answer
}

fn entity_tag(body: &[u8]) -> String {
    format!("\"{:x}-{}\"", body.len(), STANDARD_NO_PAD.encode(&Sha256::digest(body)[..20]))
}
