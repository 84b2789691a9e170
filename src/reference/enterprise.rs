//! Signing in through an enterprise connector, as far as a client without browser uses it.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::outside::Question;
use super::refusal::{coded, json_answer};
use super::sign_in::interaction_id;
use super::support::{Visit, invalid};
use crate::model::wire::{Answer, Request};
use crate::model::{Key, Kind, State, keep_enterprise_tokens};

/// Where a user is sent to begin, and where what comes back is handed in.
const BEGIN: &str = "/api/experience/verification/sso/{connectorId}/authorization-uri";
const VERIFY: &str = "/api/experience/verification/sso/{connectorId}/verify";

/// A proof that was begun at an enterprise provider.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Its id.
    pub record: String,
    connector: String,
    nonce: String,
    redirect_uri: String,
    /// What the provider said: `detail` and `tokens`.
    vouched: Option<Value>,
}

/// The settings of an enterprise connector.
fn config(state: &State, connector: &str) -> Option<Value> {
    state.find(Kind::SsoConnector, connector)?.known("config").cloned()
}

/// What has to be asked before a request of a sign-in can be answered; `proof` is what its sign-in has begun.
pub fn question<'a>(state: &State, request: &Request, proof: impl FnOnce() -> Option<&'a Proof>) -> Option<Question> {
    let named = |template: &str| super::paths::fit(template, request.path())?.remove("connectorId");
    if request.method != "POST" {
        return None;
    }
    if let Some(connector) = named(BEGIN) {
        return Some(Question::Discovery { config: config(state, &connector)? });
    }
    let connector = named(VERIFY)?;
    let proof = proof().filter(|proof| proof.connector == connector)?;
    let data = crate::model::json::parse(&request.body).ok()?.get("connectorData")?.clone();
    let (nonce, redirect_uri) = (proof.nonce.clone(), proof.redirect_uri.clone());
    Some(Question::SignIn { config: config(state, &connector)?, data, nonce, redirect_uri })
}

/// `POST /api/experience/verification/sso/{connectorId}/authorization-uri`
pub fn begin(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return coded(400, "session.not_found") };
    let body = visit.body();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(state) = text("state").filter(|state| !state.is_empty()) else { return invalid("state") };
    let Some(redirect_uri) = text("redirectUri").filter(|uri| url::Url::parse(uri).is_ok()) else { return invalid("redirectUri") };
    let connector = visit.path.get("connectorId").cloned().unwrap_or_default();
    let Some(config) = config(&visit.store.state, &connector) else { return coded(404, "entity.not_exists_with_id") };
    let endpoint = match visit.store.advice.enterprise() {
        Ok(document) => document.get("authorization_endpoint").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Err(_) => return coded(500, "connector.invalid_config"),
    };
    let (record, nonce) = (visit.store.mint.id(21), visit.store.mint.id(21));
    let client = config.get("clientId").and_then(Value::as_str).unwrap_or_default();
    let mut query = Serializer::new(String::new());
    query.append_pair("state", &state).append_pair("nonce", &nonce).append_pair("client_id", client);
    query.append_pair("response_type", "code").append_pair("redirect_uri", &redirect_uri).append_pair("scope", &scope(&config));
    let page = format!("{endpoint}?{}", query.finish());
    let answer = json_answer(200, &json!({"authorizationUri": page, "verificationId": record}));
    visit.store.sign_ins.begin_enterprise(&id, Proof { record, connector, nonce, redirect_uri, vouched: None });
    answer
}

/// What every enterprise connector asks for, and what its settings add.
fn scope(config: &Value) -> String {
    let mut scopes = vec!["openid", "profile", "email"];
    let own = config.get("scope").and_then(Value::as_str).unwrap_or_default();
    for scope in own.split([' ', '+']).filter(|scope| !scope.is_empty()) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes.join(" ")
}

/// `POST /api/experience/verification/sso/{connectorId}/verify`
pub fn verify(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return coded(400, "session.not_found") };
    let body = visit.body();
    let Some(given) = body.get("verificationId").and_then(Value::as_str) else { return invalid("verificationId") };
    if !body.get("connectorData").is_some_and(Value::is_object) {
        return invalid("connectorData");
    }
    let connector = visit.path.get("connectorId").cloned();
    let begun = visit.store.sign_ins.enterprise(&id).filter(|proof| proof.record == given && Some(&proof.connector) == connector.as_ref());
    let Some(begun) = begun.cloned() else { return coded(404, "session.verification_session_not_found") };
    match visit.store.advice.enterprise() {
        Err(refused) => coded(refused.status, refused.code),
        Ok(said) => {
            let vouched = Some(said.clone());
            visit.store.sign_ins.begin_enterprise(&id, Proof { vouched, ..begun });
            json_answer(200, &json!({"verificationId": given}))
        }
    }
}

/// Whom a proof identifies: the owner of the identity, or of the e-mail address; the refusal otherwise.
pub fn identify(visit: &Visit<'_>, proof: &Proof) -> Result<String, Answer> {
    let settings = visit.store.state.settings(&Key::sign_in_experience());
    if settings.flag("singleSignOnEnabled") != Some(true) {
        return Err(coded(422, "user.sign_in_method_not_enabled"));
    }
    let Some(detail) = proof.vouched.as_ref().and_then(|vouched| vouched.get("detail")) else {
        return Err(coded(400, "session.verification_failed"));
    };
    let issuer = issuer(visit, proof);
    let owns = |user: &crate::model::Entity| {
        let identities = user.known("ssoIdentities").and_then(Value::as_array);
        identities.is_some_and(|all| all.iter().any(|one| one.get("issuer") == Some(&issuer) && one.get("identityId") == detail.get("id")))
    };
    let email = detail.get("email");
    let related = |user: &crate::model::Entity| email.is_some() && user.known("primaryEmail") == email;
    let users = || visit.store.state.all(Kind::User);
    let found = users().find(|(_, user)| owns(user)).or_else(|| users().find(|(_, user)| related(user)));
    found.map_or_else(|| Err(coded(404, "user.sso_identity_not_exist")), |(id, _)| Ok(id.to_owned()))
}

fn issuer(visit: &Visit<'_>, proof: &Proof) -> Value {
    config(&visit.store.state, &proof.connector).and_then(|config| config.get("issuer").cloned()).unwrap_or_default()
}

/// Links the identity to the user, or renews what is known of it, and keeps the tokens.
pub fn link(visit: &mut Visit<'_>, proof: &Proof, user: &str) {
    let Some(vouched) = &proof.vouched else { return };
    let part = |name: &str| vouched.get(name).cloned().unwrap_or_default();
    let (detail, tokens, issuer, now) = (part("detail"), part("tokens"), issuer(visit, proof), visit.now);
    let id = visit.store.mint.id(21);
    let tenant = visit.store.state.settings(&Key::account_center()).known("tenantId").cloned();
    let key = Key::new(Kind::User, user);
    visit.store.state.update(&key, |user| {
        let mut all = user.known("ssoIdentities").and_then(Value::as_array).cloned().unwrap_or_default();
        let known = all.iter_mut().find(|one| one.get("issuer") == Some(&issuer) && one.get("identityId") == detail.get("id"));
        match known {
            Some(known) => {
                known["detail"] = detail.clone();
                known["updatedAt"] = json!(now);
            }
            None => all.push(json!({
                "tenantId": tenant, "id": id, "userId": key.id, "issuer": issuer, "identityId": detail.get("id"), "detail": detail,
                "createdAt": now, "updatedAt": now, "ssoConnectorId": proof.connector,
            })),
        }
        user.set("ssoIdentities", Value::Array(all));
    });
    keep_enterprise_tokens(&mut visit.store.state, &key, &proof.connector, &tokens, now);
}
