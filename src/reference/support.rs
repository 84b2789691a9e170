//! What provisioning, facts and clean-up need besides the specified operations: settings, applications, roles, lists.
//!
//! One table holds every supporting endpoint, those of the sign-in included.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::deployment::{Deployment, Store};
use super::refusal::{coded, empty_answer, json_answer, text_answer};
use super::{paths, sign_in};
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
    admin("GET", "/api/sign-in-exp", |visit| visit.settings(&Key::sign_in_experience())),
    admin("PATCH", "/api/sign-in-exp", change_sign_in_experience),
    Endpoint {
        since: Some(Version { major: 1, minor: 43 }),
        ..admin("GET", "/api/configs/cimd", |_| json_answer(200, &json!({"enabled": false})))
    },
    admin("GET", "/api/applications", list_applications),
    admin("POST", "/api/applications", create_application),
    admin("GET", "/api/applications/{id}", read_application),
    admin("DELETE", "/api/applications/{id}", delete_application),
    admin("GET", "/api/applications/{id}/secrets", read_secrets),
    admin("POST", "/api/applications/{id}/user-consent-scopes", allow_scopes),
    admin("GET", "/api/users", list_users),
    admin("GET", "/api/roles", list_roles),
    admin("POST", "/api/roles", create_role),
    admin("GET", "/api/roles/{id}", read_role),
    admin("DELETE", "/api/roles/{id}", delete_role),
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

    fn application(&self) -> Option<(Key, Value)> {
        let key = Key::new(Kind::Application, self.path.get("id")?);
        let application = shown(self.store.state.get(&key)?);
        Some((key, application))
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

fn change_sign_in_experience(visit: &mut Visit<'_>) -> Answer {
    let key = Key::sign_in_experience();
    let changes = visit.body();
    let current = visit.store.state.settings(&key).clone();
    let known: Vec<(&String, &Value)> =
        changes.iter().filter(|(name, _)| current.known(name).is_some() && !["id", "tenantId"].contains(&name.as_str())).collect();
    if known.is_empty() {
        return coded(422, "entity.invalid_input");
    }
    for (name, value) in &known {
        let same_type =
            current.known(name).is_none_or(|old| old.is_null() || std::mem::discriminant(old) == std::mem::discriminant(*value));
        if !same_type {
            return invalid(name);
        }
    }
    visit.store.state.update(&key, |settings| {
        for (name, value) in known {
            settings.set(name.clone(), value.clone());
        }
    });
    visit.settings(&key)
}

fn list_applications(visit: &mut Visit<'_>) -> Answer {
    let items = visit.store.state.all(Kind::Application).filter(|(_, application)| application.known("id").is_some());
    let items = items.map(|(_, application)| shown(application)).collect();
    visit.page(items)
}

fn create_application(visit: &mut Visit<'_>) -> Answer {
    let body = visit.body();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let Some(name) = text("name").filter(|name| !name.is_empty() && name.chars().count() <= 256) else { return invalid("name") };
    let Some(kind) = text("type").filter(|kind| ["Native", "SPA", "Traditional", "MachineToMachine"].contains(kind)) else {
        return invalid("type");
    };
    let given = |name: &str, default: Value| body.get(name).cloned().unwrap_or(default);
    let metadata = given("customClientMetadata", json!({}));
    let third_party = body.get("isThirdParty") == Some(&Value::Bool(true));
    if third_party && metadata.get("allowTokenExchange") == Some(&Value::Bool(true)) {
        return coded(422, "application.third_party_application_cannot_enable_token_exchange");
    }
    let (id, secret) = (visit.store.mint.id(21), visit.store.mint.id(32));
    let is_public = ["Native", "SPA"].contains(&kind);
    let application = json!({
        "tenantId": "default", "id": id, "name": name, "description": given("description", Value::Null), "type": kind,
        "oidcClientMetadata": given("oidcClientMetadata", json!({"redirectUris": [], "postLogoutRedirectUris": []})),
        "customClientMetadata": metadata, "protectedAppMetadata": null, "customData": given("customData", json!({})),
        "isThirdParty": third_party, "appLevelAccessControlEnabled": false, "createdAt": visit.now,
        "secret": if is_public { Value::Null } else { secret.into() }, "userConsentScopes": [],
    });
    let entity = Entity::from_json(&application);
    let answer = json_answer(200, &shown(&entity));
    visit.store.state.insert(Key::new(Kind::Application, id), entity);
    answer
}

fn read_application(visit: &mut Visit<'_>) -> Answer {
    let Some((key, mut application)) = visit.application() else { return coded(404, "entity.not_exists_with_id") };
    let admin = visit.store.state.get(&key).and_then(|application| application.flag("isAdmin")).unwrap_or_default();
    if let Some(application) = application.as_object_mut() {
        application.insert("isAdmin".into(), admin.into());
    }
    json_answer(200, &application)
}

fn delete_application(visit: &mut Visit<'_>) -> Answer {
    let Some((key, _)) = visit.application() else { return coded(404, "entity.not_exists_with_id") };
    visit.store.state.remove(&key);
    empty_answer(204)
}

fn read_secrets(visit: &mut Visit<'_>) -> Answer {
    let Some((key, application)) = visit.application() else { return coded(404, "entity.not_exists_with_id") };
    let secret = visit.store.state.get(&key).and_then(|application| application.known("secret").cloned()).unwrap_or_default();
    let secrets = if secret.is_null() {
        json!([])
    } else {
        json!([{"tenantId": "default", "applicationId": key.id, "name": "Default secret", "value": secret, "createdAt": application["createdAt"], "expiresAt": null}])
    };
    json_answer(200, &secrets)
}

fn allow_scopes(visit: &mut Visit<'_>) -> Answer {
    let Some((key, application)) = visit.application() else { return coded(404, "entity.not_exists_with_id") };
    if application["isThirdParty"] != true {
        return coded(422, "application.third_party_application_only");
    }
    let scopes = visit.body().get("userScopes").cloned().unwrap_or_else(|| json!([]));
    if !scopes.is_array() {
        return invalid("userScopes");
    }
    visit.store.state.update(&key, |application| application.set("userConsentScopes", scopes));
    text_answer(201, "Created")
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

fn list_roles(visit: &mut Visit<'_>) -> Answer {
    let query = paths::query(visit.request);
    let wanted = |role: &&Value| {
        query
            .get("search.name")
            .or_else(|| query.get("search"))
            .is_none_or(|pattern| role["name"].as_str().is_some_and(|name| is_like(&name.to_lowercase(), &pattern.to_lowercase())))
    };
    let roles = visit.store.roles.iter().filter(wanted).cloned().collect();
    visit.page(roles)
}

fn create_role(visit: &mut Visit<'_>) -> Answer {
    let body = visit.body();
    let Some(name) = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else { return invalid("name") };
    if visit.store.roles.iter().any(|role| role["name"] == name) {
        return coded(422, "role.name_in_use");
    }
    let given = |name: &str, default: Value| body.get(name).cloned().unwrap_or(default);
    let role = json!({
        "tenantId": "default", "id": visit.store.mint.id(21), "name": name, "description": given("description", json!("")),
        "type": given("type", json!("User")), "isDefault": false,
    });
    visit.store.roles.push(role.clone());
    json_answer(200, &role)
}

fn read_role(visit: &mut Visit<'_>) -> Answer {
    let id = visit.path.get("id").map_or("", String::as_str);
    match visit.store.roles.iter().find(|role| role["id"] == id) {
        Some(role) => json_answer(200, role),
        None => coded(404, "entity.not_exists_with_id"),
    }
}

fn delete_role(visit: &mut Visit<'_>) -> Answer {
    let id = visit.path.get("id").map_or("", String::as_str);
    let before = visit.store.roles.len();
    visit.store.roles.retain(|role| role["id"] != id);
    if visit.store.roles.len() == before { coded(404, "entity.not_found") } else { empty_answer(204) }
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
