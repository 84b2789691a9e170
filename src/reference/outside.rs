//! What identity providers say: the deployment asks them before it answers a request, while nobody waits for its memory.
//!
//! Only providers on this machine are asked; to any other one it has no way. Signatures of ID tokens are not looked at: they
//! come straight from the provider's token endpoint.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::refusal::coded;
use crate::contract::Operation;
use crate::contract::entity::Selector;
use crate::contract::guard::{Guard, GuardKind, SocialProof};
use crate::model::rules::{OIDC, enterprise_detail, is_readable, is_standard, oidc_identity};
use crate::model::wire::Answer;
use crate::model::{Entity, Key, Kind, NEAR_MS, Scene, State, Term, consented};

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The refusal that a provider's failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Status.
    pub status: u16,
    /// Error code.
    pub code: &'static str,
}

const fn refused<T>(status: u16, code: &'static str) -> Result<T, Refused> {
    Err(Refused { status, code })
}

/// What has to be asked.
#[derive(Debug)]
pub enum Question {
    /// Whether a social provider vouches for what came back for a record.
    Proof {
        /// Id of the record.
        record: String,
        /// What came back.
        data: Value,
        /// Factory of the connector.
        factory: String,
        /// Its settings.
        config: Value,
        /// Page and place of return that the record began with.
        page: String,
    },
    /// A new token for one that has run out.
    Renewal {
        /// The stored tokens.
        tokens: Key,
        /// Settings of the connector.
        config: Value,
        /// Factory of the connector; none for an enterprise one.
        factory: Option<String>,
        /// What stands for a new one.
        refresh_token: String,
    },
    /// Where an enterprise provider has its endpoints.
    Discovery {
        /// Settings of the connector.
        config: Value,
    },
    /// Who signed in at an enterprise provider.
    SignIn {
        /// Settings of the connector.
        config: Value,
        /// What came back.
        data: Value,
        /// Nonce and place of return that the sign-in began with.
        nonce: String,
        /// The place of return.
        redirect_uri: String,
    },
}

/// What was said. Nothing for requests about which nobody had to be asked.
#[derive(Debug, Default)]
pub struct Advice {
    said: Option<Said>,
    /// When stored tokens end, told apart from what is near it.
    ends: Option<(Key, Term)>,
}

#[derive(Debug)]
enum Said {
    Proof { record: String, data: Value, outcome: Result<(Value, Value), Refused> },
    Renewal { tokens: Key, outcome: Result<Value, Refused> },
    Enterprise(Result<Value, Refused>),
}

impl Advice {
    /// Asks. `ends` are stored tokens that the request is about, and whether they have run out.
    pub async fn seek(question: Option<Question>) -> Self {
        let said = match question {
            None => None,
            Some(Question::Proof { record, data, factory, config, page }) => {
                let outcome = prove(&factory, &config, &data, &page).await;
                Some(Said::Proof { record, data, outcome })
            }
            Some(Question::Renewal { tokens, config, factory, refresh_token }) => {
                let outcome = match factory {
                    Some(factory) => renew(&factory, &config, &refresh_token).await,
                    None => renew_enterprise(&config, &refresh_token).await,
                };
                Some(Said::Renewal { tokens, outcome })
            }
            Some(Question::Discovery { config }) => Some(Said::Enterprise(discover(&config).await)),
            Some(Question::SignIn { config, data, nonce, redirect_uri }) => {
                Some(Said::Enterprise(sign_in(&config, &data, &nonce, &redirect_uri).await))
            }
        };
        Self { said, ends: None }
    }

    /// The deployment's clock has decided whether these tokens have run out.
    pub fn decide(&mut self, ends: Option<(Key, Term)>) {
        self.ends = ends;
    }

    /// Makes the model see what was said.
    pub fn tell(&self, view: &mut State, now: i64) {
        if let Some((key, ends)) = &self.ends {
            let over = ends.known().and_then(Value::as_i64).is_some_and(|ends| ends <= now);
            view.update(key, |tokens| tokens.set("endsAt", json!(if over { now - 2 * NEAR_MS } else { now + 2 * NEAR_MS })));
        }
        match &self.said {
            Some(Said::Proof { record, data, outcome: Ok((account, tokens)) }) => consented(view, record, data, account, tokens),
            Some(Said::Proof { record, data, outcome: Err(_) }) => {
                consented(view, record, data, &Value::Null, &Value::Null);
                if let Some(key) = consent_key(data) {
                    view.update(&key, |consent| consent.set("used", true));
                }
            }
            Some(Said::Renewal { tokens, outcome }) => {
                view.update(tokens, |known| known.set("renewed", outcome.as_ref().ok().cloned().unwrap_or_default()));
            }
            Some(Said::Enterprise(_)) | None => {}
        }
    }

    /// Takes what only the model had to see away again.
    pub fn forget(&self, view: &State, next: &mut State) {
        if let Some((key, ends)) = &self.ends {
            let told = view.get(key).map(|tokens| tokens.get("endsAt").clone());
            next.update(key, |tokens| {
                if Some(tokens.get("endsAt")) == told.as_ref() {
                    tokens.set("endsAt", ends.clone());
                }
            });
        }
        match &self.said {
            Some(Said::Proof { data, .. }) => drop(consent_key(data).and_then(|key| next.remove(&key))),
            Some(Said::Renewal { tokens, .. }) => next.update(tokens, |known| known.set("renewed", Term::Unknown)),
            Some(Said::Enterprise(_)) | None => {}
        }
    }

    /// The answer of a guard that the provider broke.
    pub fn refusal(&self, guard: &Guard) -> Option<Answer> {
        let (Some(Said::Proof { outcome: Err(refused), .. }), GuardKind::SocialProof(_)) = (&self.said, &guard.kind) else {
            let (Some(Said::Renewal { outcome: Err(refused), .. }), GuardKind::TokenSetRenewed(_)) = (&self.said, &guard.kind) else {
                return None;
            };
            return Some(coded(refused.status, refused.code));
        };
        Some(coded(refused.status, refused.code))
    }

    /// What an enterprise provider said.
    pub fn enterprise(&self) -> Result<&Value, Refused> {
        match &self.said {
            Some(Said::Enterprise(outcome)) => outcome.as_ref().map_err(|refused| *refused),
            _ => refused(500, "connector.general"),
        }
    }
}

fn consent_key(data: &Value) -> Option<Key> {
    Some(Key::new(Kind::Consent, data.get("code")?.as_str()?))
}

/// Whether providers may have to be asked for an operation.
pub fn is_about(operation: &Operation) -> bool {
    let asks = |guard: &Guard| matches!(guard.kind, GuardKind::SocialProof(_) | GuardKind::TokenSetRenewed(_));
    operation.guards.iter().any(asks)
}

/// What has to be asked about a call that gets as far as a provider: nothing refuses it, or the guard of this number does.
pub fn question(scene: &Scene<'_>, refusing: Option<usize>) -> (Option<Question>, Option<(Key, Term)>) {
    let guards = &scene.call.operation.guards;
    let reached = refusing.is_none_or(|refusing| {
        matches!(guards[refusing].kind, GuardKind::SocialProof(_) | GuardKind::TokenSetRenewed(_) | GuardKind::TokenSetUsable(_))
    });
    let asked = guards.iter().filter(|_| reached).find_map(|guard| match &guard.kind {
        GuardKind::SocialProof(rule) => Some((proof(scene, rule), None)),
        GuardKind::TokenSetRenewed(selector) => Some(renewal(scene, selector)),
        _ => None,
    });
    asked.unwrap_or((None, None))
}

fn proof(scene: &Scene<'_>, rule: &SocialProof) -> Option<Question> {
    let record = scene.call.text(&rule.record)?;
    let known = scene.state.find(Kind::Record, &record)?;
    let connector = scene.state.find(Kind::Connector, known.text("connector").flatten()?)?;
    let factory = connector.text("connectorId").flatten().filter(|factory| is_standard(factory))?.to_owned();
    let page = known.text("authorizationUri").flatten().unwrap_or_default().to_owned();
    let config = connector.known("config").cloned().unwrap_or_default();
    Some(Question::Proof { data: scene.call.value(&rule.data)?, record, factory, config, page })
}

fn renewal(scene: &Scene<'_>, selector: &Selector) -> (Option<Question>, Option<(Key, Term)>) {
    let Some(tokens) = scene.named(selector) else { return (None, None) };
    let Some(known) = scene.state.get(&tokens) else { return (None, None) };
    let ends = end_of(&tokens, known);
    let over = known.known("endsAt").and_then(Value::as_i64).is_some_and(|ends| ends <= scene.now);
    let text = |name: &str| known.text(name).flatten();
    let connector = match text("ssoConnectorId") {
        Some(id) => scene.state.find(Kind::SsoConnector, id),
        None => text("connectorId").and_then(|id| scene.state.find(Kind::Connector, id)),
    };
    let factory = connector.and_then(|connector| connector.text("connectorId").flatten()).map(str::to_owned);
    let config = connector.and_then(|connector| connector.known("config")).cloned();
    let question = text("refresh_token").zip(config).filter(|_| over);
    let question = question.map(|(refresh_token, config)| Question::Renewal {
        tokens: tokens.clone(),
        config,
        factory,
        refresh_token: refresh_token.to_owned(),
    });
    (question, ends)
}

/// Stored tokens with the moment they end, if it is known.
fn end_of(key: &Key, tokens: &Entity) -> Option<(Key, Term)> {
    tokens.known("endsAt").and_then(Value::as_i64).map(|_| (key.clone(), tokens.get("endsAt").clone()))
}

/// What a provider answered that did not work out.
enum Failed {
    /// Nothing that can be read, or a refusal.
    Answer,
    /// It is not on this machine, or not there.
    Unreachable,
}

fn client() -> Option<&'static reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let make = || {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let none: [reqwest::Certificate; 0] = [];
        reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(none)
            .build()
            .ok()
    };
    CLIENT.get_or_init(make).as_ref()
}

/// The address, if it is on this machine.
fn local(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let near = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    near.then_some(url)
}

async fn send(request: impl FnOnce(&reqwest::Client, Url) -> reqwest::RequestBuilder, url: &str) -> Result<Value, Failed> {
    let (Some(client), Some(url)) = (client(), local(url)) else { return Err(Failed::Unreachable) };
    let answer = request(client, url).send().await.map_err(|_| Failed::Unreachable)?;
    if !answer.status().is_success() {
        return Err(Failed::Answer);
    }
    let body = answer.bytes().await.map_err(|_| Failed::Unreachable)?;
    crate::model::json::parse(&body).map_err(|_| Failed::Answer)
}

async fn get(url: &str, authorization: Option<String>) -> Result<Value, Failed> {
    let ask = |client: &reqwest::Client, url| {
        let request = client.get(url);
        match authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    };
    send(ask, url).await
}

async fn token(url: &str, fields: &[(&str, &str)], client: (&str, &str), basic: bool) -> Result<Value, Failed> {
    let own: &[(&str, &str)] = if basic { &[] } else { &[("client_id", client.0), ("client_secret", client.1)] };
    let form = Serializer::new(String::new()).extend_pairs(fields).extend_pairs(own).finish();
    let ask = |http: &reqwest::Client, url| {
        let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        if basic { request.basic_auth(client.0, Some(client.1)) } else { request }
    };
    send(ask, url).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn credentials(config: &Value) -> (&str, &str) {
    (text(config, "clientId"), text(config, "clientSecret"))
}

/// What the page of a record says under a name.
fn in_page(page: &str, name: &str) -> Option<String> {
    let url = Url::parse(page).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What an ID token says.
fn claims(id_token: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1)?).ok()?).ok()
}

/// Takes what came back to a social provider: the identity and the token answer.
async fn prove(factory: &str, config: &Value, data: &Value, page: &str) -> Result<(Value, Value), Refused> {
    if !is_readable(factory, data) {
        return refused(400, "connector.general");
    }
    let back = in_page(page, "redirect_uri").unwrap_or_default();
    let fields = [("grant_type", "authorization_code"), ("code", text(data, "code")), ("redirect_uri", back.as_str())];
    let basic = text(config, "tokenEndpointAuthMethod") == "client_secret_basic";
    let Ok(tokens) = token(text(config, "tokenEndpoint"), &fields, credentials(config), basic).await else {
        return refused(400, "connector.general");
    };
    let said = if factory == OIDC {
        let Some(id_token) = tokens.get("id_token").and_then(Value::as_str) else { return refused(400, "connector.invalid_response") };
        let said = claims(id_token).unwrap_or_default();
        let own = said.get("nonce").is_none_or(|nonce| Some(nonce) == in_page(page, "nonce").map(Value::from).as_ref());
        if !own || said.get("aud").and_then(Value::as_str) != Some(text(config, "clientId")) {
            return refused(401, "connector.social_invalid_id_token");
        }
        said
    } else {
        let (Some(access), Some(kind)) = (tokens.get("access_token"), tokens.get("token_type")) else {
            return refused(400, "connector.invalid_response");
        };
        let bearer = format!("{} {}", kind.as_str().unwrap_or_default(), access.as_str().unwrap_or_default());
        let Ok(said) = get(text(config, "userInfoEndpoint"), Some(bearer)).await else { return refused(400, "connector.general") };
        said
    };
    match oidc_identity(factory, config, &said) {
        Some(identity) => Ok((identity, if tokens.get("access_token").is_some() { tokens } else { Value::Null })),
        None if factory == OIDC => refused(401, "connector.social_invalid_id_token"),
        None => refused(400, "connector.invalid_response"),
    }
}

async fn renew(factory: &str, config: &Value, refresh_token: &str) -> Result<Value, Refused> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let basic = text(config, "tokenEndpointAuthMethod") == "client_secret_basic";
    match token(text(config, "tokenEndpoint"), &fields, credentials(config), basic).await {
        Ok(tokens) if tokens.get("access_token").is_some() && (factory != OIDC || tokens.get("id_token").is_some()) => Ok(tokens),
        Ok(_) => refused(400, "connector.invalid_response"),
        Err(_) => refused(400, "connector.general"),
    }
}

async fn discover(config: &Value) -> Result<Value, Refused> {
    let document = get(&format!("{}/.well-known/openid-configuration", text(config, "issuer")), None).await;
    let whole = |document: &Value| {
        ["authorization_endpoint", "token_endpoint", "jwks_uri", "issuer"]
            .iter()
            .all(|name| document.get(*name).is_some_and(Value::is_string))
    };
    document.ok().filter(whole).map_or_else(|| refused(400, "connector.invalid_config"), Ok)
}

async fn renew_enterprise(config: &Value, refresh_token: &str) -> Result<Value, Refused> {
    let endpoints = discover(config).await?;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    match token(text(&endpoints, "token_endpoint"), &fields, credentials(config), true).await {
        Ok(tokens) if tokens.get("access_token").is_some() => Ok(tokens),
        Ok(_) => refused(400, "connector.invalid_response"),
        Err(_) => refused(401, "connector.authorization_failed"),
    }
}

/// Who signed in at an enterprise provider: `detail` as it is stored, and the token answer.
async fn sign_in(config: &Value, data: &Value, nonce: &str, redirect_uri: &str) -> Result<Value, Refused> {
    // Errors of enterprise connectors at sign-in become errors of the deployment.
    let failed = || refused(500, "connector.authorization_failed");
    let endpoints = discover(config).await.map_err(|refused| Refused { status: 500, ..refused })?;
    let Some(code) = data.get("code").and_then(Value::as_str) else { return refused(500, "connector.invalid_request_parameters") };
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
    let Ok(tokens) = token(text(&endpoints, "token_endpoint"), &fields, credentials(config), true).await else { return failed() };
    let said = claims(text(&tokens, "id_token")).unwrap_or_default();
    let (client, issuer) = (text(config, "clientId"), text(&endpoints, "issuer"));
    let own = text(&said, "aud") == client && text(&said, "iss") == issuer;
    if !own || said.get("nonce").is_some_and(|told| told != nonce) {
        return failed();
    }
    let profile = match endpoints.get("userinfo_endpoint").and_then(Value::as_str) {
        Some(userinfo) => get(userinfo, Some(format!("Bearer {}", text(&tokens, "access_token")))).await,
        None => Ok(said),
    };
    let Ok(profile) = profile else { return failed() };
    let detail = enterprise_detail(config, &profile);
    detail.map_or_else(failed, |detail| Ok(json!({"detail": detail, "tokens": tokens})))
}
