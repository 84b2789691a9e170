//! What the token endpoint adds to the model: claims, granted scopes, ID and refresh tokens, authorization codes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::mint::Mint;
use super::sign_in::{Grant, SignIns};
use crate::contract::Named;
use crate::model::rules::oidc_page;
use crate::model::time::after;
use crate::model::wire::Request;
use crate::model::{Call, Entity, Key, Kind, State};

/// Scopes that the machine-to-machine administrator may have.
const ADMIN_SCOPES: &[&str] = &["all"];

/// What a signed token says.
pub fn claims(call: &Call<'_>, view: &State, grant: Option<&Grant>, now: i64) -> Value {
    let field = |name: &str| call.input.get(name).and_then(Value::as_str);
    let client = call.client().map(|(id, _)| id);
    let owner = field("subject_token").and_then(|text| view.find(Kind::SubjectToken, text).or_else(|| view.find(Kind::Token, text)));
    let owner = owner.and_then(|token| token.text("user").flatten()).or(grant.map(|grant| grant.user.as_str()));
    let subject = owner.map(str::to_owned).or_else(|| client.clone());
    json!({"sub": subject, "client_id": client, "aud": field("resource"), "iat": now / 1000, "exp": now / 1000 + 3600})
}

/// What comes with an access token: granted scopes, an ID token, a refresh token.
///
/// The contract is silent about the scopes of a resource: only the administrator has one here.
pub fn companions(mint: &mut Mint, call: &Call<'_>, view: &State, grant: Option<&Grant>, claims: &Value) -> Map<String, Value> {
    let field = |name: &str| call.input.get(name).and_then(Value::as_str);
    let has = |scopes: &str, one: &str| scopes.split_whitespace().any(|scope| scope == one);
    let mut body = Map::new();
    let client = call.client().and_then(|(id, _)| view.find(Kind::Application, &id));
    let refreshed =
        field("refresh_token").and_then(|text| view.all(Kind::Token).find(|(_, token)| token.text("refresh_token") == Some(Some(text))));
    let refreshed = refreshed.and_then(|(_, token)| token.text("scope").flatten());
    let scope = match (field("grant_type"), grant) {
        (Some("client_credentials"), _) if client.and_then(|client| client.flag("isAdmin")) == Some(true) => {
            let granted: Vec<&str> =
                field("scope").unwrap_or_default().split_whitespace().filter(|scope| ADMIN_SCOPES.contains(scope)).collect();
            Some(granted.join(" "))
        }
        (Some("authorization_code"), Some(grant)) => {
            if has(&grant.scope, "offline_access") {
                body.insert("refresh_token".into(), mint.opaque().into());
            }
            Some(grant.scope.clone())
        }
        (Some("refresh_token"), _) => {
            body.insert("refresh_token".into(), field("refresh_token").into());
            refreshed.map(str::to_owned)
        }
        _ => None,
    };
    if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
        if has(&scope, "openid") {
            body.insert("id_token".into(), mint.jwt("JWT", claims).into());
        }
        if field("resource").is_none_or(str::is_empty) || field("grant_type") == Some("client_credentials") {
            body.insert("scope".into(), scope.into());
        }
    }
    body
}

/// Seconds a session lasts.
const SESSION_LIFE: u64 = 14 * 86_400;
/// Seconds a grant lasts.
const GRANT_LIFE: u64 = 180 * 86_400;

/// What the model leaves open of a session or grant that has just begun.
pub fn furnish(kind: Kind, entity: &mut Entity, call: &Call<'_>, mint: &mut Mint, now: i64) {
    if kind == Kind::Factor && entity.text("type") == Some(Some("WebAuthn")) && entity.text("agent").flatten().is_none() {
        entity.set("agent", call.request.header("user-agent").unwrap_or("unknown"));
    }
    let life = match kind {
        Kind::Session => SESSION_LIFE,
        Kind::Grant => GRANT_LIFE,
        _ => return,
    };
    if kind == Kind::Session && entity.known("jti").is_none() {
        entity.set("jti", json!(mint.opaque()));
    }
    if entity.known("expiresAt").is_some() {
        return;
    }
    let end = after(now, life);
    let mut members = vec![("iat", json!(now / 1000)), ("exp", json!(end / 1000)), ("expiresAt", json!(end))];
    if kind == Kind::Session {
        members.push(("loginTs", json!(now / 1000)));
        members.push(("sid", mint.opaque().into()));
        let submission = json!({"interactionEvent": "SignIn", "userId": entity.known("owner"), "verificationRecords": []});
        members.push(("lastSubmission", submission));
    }
    for (name, value) in members {
        entity.set(name, value);
    }
}

/// The host that a request is for, without the port.
pub fn host_of(request: &Request) -> &str {
    let host = request.header("host").unwrap_or("localhost");
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// What a browser needs to make a passkey for the caller.
pub fn registration_options(mint: &mut Mint, call: &Call<'_>, view: &State) -> Value {
    let caller = call.caller(view);
    let user = caller.as_ref().and_then(|caller| view.get(caller));
    let text = |name: &str| user.and_then(|user| user.text(name).flatten()).filter(|text| !text.is_empty());
    let identifier = text("username").or(text("primaryEmail")).or(text("primaryPhone")).unwrap_or("Unnamed User");
    let host = host_of(call.request);
    json!({
        "rp": {"name": host, "id": host},
        "user": {
            "id": caller.as_ref().map(|caller| URL_SAFE_NO_PAD.encode(&caller.id)),
            "name": identifier,
            "displayName": text("name").unwrap_or(identifier),
        },
        "challenge": mint.opaque(),
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        "timeout": 60_000,
        "excludeCredentials": [],
        "authenticatorSelection": {"requireResidentKey": true, "residentKey": "required", "userVerification": "required"},
        "attestation": "none",
        "extensions": {"credProps": true},
    })
}

/// Where a connector for `OpenID` Connect sends a user, with a nonce that only this record has.
pub fn social_page(mint: &mut Mint, call: &Call<'_>, view: &State) -> Option<String> {
    let connector = view.find(Kind::Connector, call.input.get("connectorId")?.as_str()?)?;
    let nonce = mint.id(21);
    oidc_page(connector.text("connectorId")??, connector.known("config")?, &call.input, Some(&nonce))
}

/// What an authorization code is redeemed for. A code that is none counts as used, so that the model refuses it at its place.
pub struct Redeemed {
    /// What it is redeemed for, if it is good.
    pub grant: Option<Grant>,
    bad: Option<Key>,
}

impl Redeemed {
    /// Looks the code up, and marks a bad one in what the model sees.
    pub fn read(sign_ins: &SignIns, view: &mut State, call: &Call<'_>, now: i64) -> Self {
        let code = call.input.get("code").and_then(Value::as_str);
        let asked = call.operation.does(Named::IssueToken) && call.input.get("grant_type") == Some(&json!("authorization_code"));
        let Some(code) = code.filter(|_| asked) else { return Self { grant: None, bad: None } };
        let key = Key::new(Kind::Code, code);
        match sign_ins.redeem(call, view, now) {
            None if view.get(&key).is_none() => {
                view.insert(key.clone(), Entity::default());
                Self { grant: None, bad: Some(key) }
            }
            grant => {
                // The one who signed in, so that the model knows whose token it is.
                let users = grant.as_ref().map_or(Value::Null, |grant| json!([grant.user]));
                view.insert(Key::pending_sign_ins(), Entity::default().with("users", users));
                Self { grant, bad: None }
            }
        }
    }

    /// Takes the mark of a bad code away.
    pub fn restore(&self, state: &mut State) {
        if let Some(key) = &self.bad {
            state.remove(key);
        }
    }
}
