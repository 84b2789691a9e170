//! What provisioning, facts and clean-up need besides the specified operations: settings and lists.
//!
//! One table holds every supporting endpoint, those of the sign-in included.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::deployment::{Deployment, Store};
use super::passkey;
use super::refusal::{empty_answer, json_answer};
use super::{enterprise, files, paths, sign_in};
use crate::contract::{PUBLISHED_AT, Version};
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
    open("GET", PUBLISHED_AT, |visit| json_answer(200, &visit.deployment.document)),
    open("GET", "/api/.well-known/account-center", |visit| visit.settings(&Key::account_center())),
    Endpoint {
        since: Some(Version { major: 1, minor: 43 }),
        ..admin("GET", "/api/configs/cimd", |_| json_answer(200, &json!({"enabled": false})))
    },
    admin("GET", "/api/connector-factories", factories),
    admin("GET", "/api/user-assets/service-status", files::status),
    open("GET", "/files/{name}", files::read),
    open("GET", "/oidc/auth", sign_in::authorize),
    open("PUT", "/api/experience", sign_in::begin),
    open("POST", "/api/experience/verification/password", sign_in::verify_password),
    open("POST", "/api/experience/verification/sso/{connectorId}/authorization-uri", enterprise::begin),
    open("POST", "/api/experience/verification/sso/{connectorId}/verify", enterprise::verify),
    open("POST", "/api/experience/verification/totp/verify", sign_in::verify_app),
    open("POST", "/api/experience/verification/backup-code/verify", sign_in::verify_backup_code),
    open("POST", "/api/experience/verification/web-authn/authentication", passkey::ask),
    open("POST", "/api/experience/verification/web-authn/authentication/verify", passkey::verify),
    open("POST", "/api/experience/identification", sign_in::identify),
    open("POST", "/api/experience/submit", sign_in::submit),
    open("GET", "/oidc/auth/{id}", sign_in::resume),
    open("GET", "/consent", sign_in::consent_page),
    open("POST", "/api/interaction/consent", sign_in::give_consent),
];

/// Method and path of every supporting endpoint that a version has.
pub fn routes(version: Version) -> Vec<(&'static str, &'static str)> {
    access(version).map(|(method, path, _)| (method, path)).collect()
}

/// The same, and whether a token for the Management API is asked for.
pub fn access(version: Version) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let known = ENDPOINTS.iter().filter(move |endpoint| endpoint.since.is_none_or(|since| version >= since));
    known.map(|endpoint| (endpoint.method, endpoint.path, endpoint.admin))
}

/// The answer, if the request names a supporting endpoint. Who may ask is for the guards of the published operation.
pub fn answer(deployment: &Deployment, store: &mut Store, request: &Request, now: i64) -> Option<Answer> {
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let (endpoint, path) = ENDPOINTS.iter().filter(|endpoint| endpoint.method == method).find_map(|endpoint| {
        let known = endpoint.since.is_none_or(|since| deployment.contract.version >= since);
        Some((endpoint, paths::fit(endpoint.path, request.path()).filter(|_| known)?))
    })?;
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
}

/// An entity as its endpoint shows it.
fn shown(entity: &Entity) -> Value {
    let hidden = ["secret", "isAdmin", "userConsentScopes", "extraInfo"];
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

fn factories(visit: &mut Visit<'_>) -> Answer {
    let known = visit.store.state.all(Kind::ConnectorFactory).map(|(_, factory)| shown(factory));
    json_answer(200, &known.collect())
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
