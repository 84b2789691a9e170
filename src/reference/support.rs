//! What provisioning, facts and clean-up need besides the specified operations: settings and lists.
//!
//! One table holds every supporting endpoint, those of the sign-in included.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::deployment::{Deployment, Store};
use super::refusal::{coded, empty_answer, json_answer};
use super::{paths, sign_in};
use crate::contract::Version;
use crate::model::wire::{Answer, Request};
use crate::model::{Entity, Key, Kind, json as parser};

/// One request to a supporting endpoint.
pub struct Visit<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// What it remembers.
    pub store: &'a mut Store,
    /// The request.
    pub request: &'a Request,
    /// Path parameters.
    pub path: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub now: i64,
}

struct Endpoint {
    method: &'static str,
    path: &'static str,
    /// Whether a token for the Management API is asked for.
    admin: bool,
    /// First version that has it.
    since: Option<Version>,
    act: fn(&mut Visit<'_>) -> Answer,
}

const fn open(method: &'static str, path: &'static str, act: fn(&mut Visit<'_>) -> Answer) -> Endpoint {
    Endpoint { method, path, admin: false, since: None, act }
}

const fn admin(method: &'static str, path: &'static str, act: fn(&mut Visit<'_>) -> Answer) -> Endpoint {
    Endpoint { admin: true, ..open(method, path, act) }
}

const ENDPOINTS: &[Endpoint] = &[
    open("GET", "/api/status", |_| empty_answer(204)),
    open("GET", "/oidc/.well-known/openid-configuration", discovery),
    open("GET", "/api/.well-known/account-center", |visit| visit.settings(&Key::account_center())),
    Endpoint {
        since: Some(Version { major: 1, minor: 43 }),
        ..admin("GET", "/api/configs/cimd", |_| json_answer(200, &json!({"enabled": false})))
    },
    admin("GET", "/api/users", list_users),
    open("GET", "/oidc/auth", sign_in::authorize),
    open("PUT", "/api/experience", sign_in::begin),
    open("POST", "/api/experience/verification/password", sign_in::verify_password),
    open("POST", "/api/experience/identification", sign_in::identify),
    open("POST", "/api/experience/submit", sign_in::submit),
    open("GET", "/oidc/auth/{id}", sign_in::resume),
    open("GET", "/consent", sign_in::consent_page),
    open("POST", "/api/interaction/consent", sign_in::give_consent),
];

/// Method and path of every supporting endpoint that a version has.
pub fn routes(version: Version) -> Vec<(&'static str, &'static str)> {
    let known = ENDPOINTS.iter().filter(|endpoint| endpoint.since.is_none_or(|since| version >= since));
    known.map(|endpoint| (endpoint.method, endpoint.path)).collect()
}

/// The answer, if the request names a supporting endpoint.
pub fn answer(deployment: &Deployment, store: &mut Store, request: &Request, now: i64) -> Option<Answer> {
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let (endpoint, path) = ENDPOINTS.iter().filter(|endpoint| endpoint.method == method).find_map(|endpoint| {
        let known = endpoint.since.is_none_or(|since| deployment.contract.version >= since);
        Some((endpoint, paths::fit(endpoint.path, request.path()).filter(|_| known)?))
    })?;
    if endpoint.admin
        && let Err(refused) = deployment.admit_admin(&store.state, request, now)
    {
        return Some(refused);
    }
    Some((endpoint.act)(&mut Visit { deployment, store, request, path, now }))
}

impl Visit<'_> {
    /// The body as an object; empty when it is none.
    pub fn body(&self) -> Map<String, Value> {
        parser::parse(&self.request.body).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
    }

    fn settings(&self, key: &Key) -> Answer {
        json_answer(200, &shown(self.store.state.settings(key)))
    }

    fn page(&self, mut items: Vec<Value>) -> Answer {
        items.sort_by_key(|item| std::cmp::Reverse(item.get("createdAt").and_then(Value::as_i64)));
        let query = paths::query(self.request);
        let number = |name: &str, default: usize| match query.get(name).map(String::as_str) {
            None | Some("") => Some(default),
            Some(text) => text.parse().ok().filter(|number| *number > 0),
        };
        let (Some(page), Some(size)) = (number("page", 1), number("page_size", 20).filter(|size| *size <= 100)) else {
            return coded(400, "guard.invalid_pagination");
        };
        let total = items.len();
        let shown: Vec<Value> = items.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
        let mut answer = json_answer(200, &Value::Array(shown));
        answer.headers.push(("total-number".into(), total.to_string()));
        let last = total.div_ceil(size).max(1);
        let link = |relation: &str, number: usize| {
            let mut fields = url::form_urlencoded::Serializer::new(String::new());
            fields.extend_pairs(query.iter().filter(|(name, _)| *name != "page"));
            fields.append_pair("page", &number.to_string());
            // The prefix `/api` is missing in the links of the real server too.
            let path = self.request.path().trim_start_matches("/api");
            ("link".to_owned(), format!("<{}{path}?{}>; rel=\"{relation}\"", self.deployment.endpoint, fields.finish()))
        };
        answer.headers.push(link("first", 1));
        if page > 1 {
            answer.headers.push(link("prev", page - 1));
        }
        if page < last {
            answer.headers.push(link("next", page + 1));
        }
        answer.headers.push(link("last", last));
        answer
    }
}

/// An entity as its endpoint shows it.
fn shown(entity: &Entity) -> Value {
    let hidden = ["secret", "isAdmin", "userConsentScopes"];
    let known =
        entity.iter().filter(|(name, _)| !hidden.contains(name)).filter_map(|(name, term)| Some((name.to_owned(), term.known()?.clone())));
    Value::Object(known.collect())
}

/// The refusal of a value.
pub fn invalid(path: &str) -> Answer {
    json_answer(
        400,
        &json!({
            "code": "guard.invalid_input",
            "data": {"issues": [{"code": "custom", "path": [path], "message": "Invalid value"}], "name": "ZodError"},
            "details": format!("Error in key path \"{path}\": Invalid value."),
            "message": "The request body is invalid.",
        }),
    )
}

fn discovery(visit: &mut Visit<'_>) -> Answer {
    let endpoint = &visit.deployment.endpoint;
    let at = |path: &str| format!("{endpoint}/oidc{path}");
    json_answer(
        200,
        &json!({
            "issuer": at(""), "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"), "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/me"), "end_session_endpoint": at("/session/end"),
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
            "response_types_supported": ["code"], "response_modes_supported": ["query"], "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"], "id_token_signing_alg_values_supported": ["ES384"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        }),
    )
}

fn list_users(visit: &mut Visit<'_>) -> Answer {
    let schema = visit.deployment.contract.operation("GetUser").and_then(|operation| operation.response(200)).flatten();
    let names: Vec<String> = schema
        .map(|schema| {
            schema
                .properties()
                .into_iter()
                .filter(|(_, inner)| inner.get("x-shown").and_then(|rule| rule.get("query")).is_none())
                .map(|(name, _)| name.to_owned())
                .collect()
        })
        .unwrap_or_default();
    let query = paths::query(visit.request);
    let searched: Vec<(&str, &str)> = query
        .iter()
        .filter_map(|(name, pattern)| match name.as_str() {
            "search" => Some(("", pattern.as_str())),
            name => Some((name.strip_prefix("search.")?, pattern.as_str())),
        })
        .collect();
    let wanted = |user: &Entity| {
        searched.is_empty()
            || searched.iter().any(|(name, pattern)| {
                let names = if name.is_empty() { &["id", "username", "primaryEmail", "primaryPhone", "name"][..] } else { &[*name][..] };
                names
                    .iter()
                    .any(|name| user.text(name).flatten().is_some_and(|text| is_like(&text.to_lowercase(), &pattern.to_lowercase())))
            })
    };
    let users = visit.store.state.all(Kind::User).filter(|(_, user)| user.known("id").is_some() && wanted(user));
    let items = users.map(|(_, user)| names.iter().filter_map(|name| Some((name.clone(), user.known(name)?.clone()))).collect()).collect();
    visit.page(items)
}

/// SQL's `LIKE`: `%` stands for any text, `_` for any character.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut any = false;
        for (index, from) in reached.iter().enumerate() {
            any |= from;
            if wanted == '%' {
                next[index] = any;
            } else if *from && index < text.len() && (wanted == '_' || wanted == text[index]) {
                next[index + 1] = true;
            }
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_are_those_of_sql() {
        for (text, pattern, expected) in [
            ("lc_a", "lc\u{5f}%", true),
            ("abc", "%c", true),
            ("abc", "%b", false),
            ("", "%", true),
            ("abc", "a_c", true),
            ("abc", "abc", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
