//! Signing a user in with username and password: authorization code with PKCE, without a browser.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::authenticator::Authenticator;
use super::cookies::Jar;
use super::form;
use super::gate::{Clearance, Gate, GateError};
use crate::contract::Flaw;
use crate::model::wire::{Answer, Request};

/// The cookie that keeps a browser signed in.
const SESSION_COOKIE: &str = "_session";

/// Status of the refusal that asks for a second factor.
const FACTOR_ASKED: u16 = 403;

/// Longest chain of redirects that is followed.
const MAX_STEPS: usize = 10;

/// An application that users sign in to.
#[derive(Clone, PartialEq, Eq)]
pub struct OidcClient {
    /// Application id.
    pub client_id: String,
    /// Secret of a confidential application; a public one has none.
    pub client_secret: Option<String>,
    /// One of its redirect URIs; nobody needs to listen there.
    pub redirect_uri: String,
}

impl fmt::Debug for OidcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcClient").field("client_id", &self.client_id).field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// What a sign-in brings.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Opaque without a resource, a JWT with one.
    pub access_token: String,
    /// Present with scope `openid`.
    pub id_token: Option<String>,
    /// Present with scope `offline_access`.
    pub refresh_token: Option<String>,
    /// Granted scopes, separated by spaces.
    pub scope: String,
    /// What the deployment calls the session in its cookie, which lists of sessions show as `jti`.
    pub session: Option<String>,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// A step was refused, such as a wrong password or a suspended user.
    #[error("sign-in refused at `{step}` with {status} {}", .code.as_deref().unwrap_or("(no code)"))]
    Refused {
        /// The step, in words.
        step: &'static str,
        /// Status code.
        status: u16,
        /// Error code of the answer, such as `session.invalid_credentials`.
        code: Option<String>,
    },
    /// The authorization ended with an error in the redirect.
    #[error("the authorization was denied: {error} ({description})")]
    Denied {
        /// OAuth error code.
        error: String,
        /// The server's explanation.
        description: String,
    },
    /// An answer lacks what the flow needs.
    #[error("sign-in stuck at `{step}`: {what}")]
    Unexpected {
        /// The step, in words.
        step: &'static str,
        /// What is missing or wrong.
        what: String,
    },
    /// The redirects never reach the application.
    #[error("sign-in did not reach the application within {MAX_STEPS} redirects")]
    TooManyRedirects,
    /// No answer.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Who signs in, and by what.
pub struct Login<'a> {
    /// Username.
    pub username: &'a str,
    /// Password.
    pub password: &'a str,
    /// What is shown where a second factor is asked for.
    pub second: Option<Shown<'a>>,
}

/// A second factor that is shown.
pub enum Shown<'a> {
    /// What an authenticator app shows.
    Totp(String),
    /// A backup code.
    Backup(String),
    /// A passkey.
    Passkey {
        /// The device that has it.
        device: &'a mut Authenticator,
        /// Where the page says it is from.
        origin: &'a str,
        /// What is wrong with the answer.
        flaw: Option<Flaw>,
    },
}

/// Signs a user in and exchanges the code for tokens; consents on behalf of the user where a third-party application
/// asks for it. Who has a second factor and shows none is refused at `submit`.
pub async fn sign_in(
    gate: &Gate,
    client: &OidcClient,
    login: Login<'_>,
    scopes: &[&str],
    resource: Option<&str>,
) -> Result<SignedIn, SignInError> {
    let mut flow = Flow::begin(gate, client, scopes, resource).await?;
    let body = json!({"identifier": {"type": "username", "value": login.username}, "password": login.password});
    let proof = Request::new("POST", "/api/experience/verification/password").with_json(&body);
    let verified = flow.expect("password", proof, &[200]).await?;
    let id = text(&verified, "verificationId").ok_or_else(|| unexpected("password", "the answer has no verificationId"))?;
    flow.finish(&id, login.second).await
}

/// One sign-in under way.
pub(super) struct Flow<'a> {
    gate: &'a Gate,
    client: &'a OidcClient,
    resource: Option<&'a str>,
    jar: Jar,
    verifier: String,
    state: String,
}

impl<'a> Flow<'a> {
    /// Asks for an authorization and begins the interaction that it takes.
    pub(super) async fn begin(
        gate: &'a Gate,
        client: &'a OidcClient,
        scopes: &[&str],
        resource: Option<&'a str>,
    ) -> Result<Self, SignInError> {
        let (verifier, state) = (random_text(), random_text());
        gate.secrets().register(&verifier);
        let start = authorization(client, &verifier, &state, &scopes.join(" "), resource);
        let mut flow = Self { gate, client, resource, jar: Jar::default(), verifier, state };
        let sent_on = flow.expect("authorization", Request::new("GET", start), &[302, 303]).await?;
        if let Some(location) = sent_on.header("location").filter(|to| is_callback(to, &client.redirect_uri)) {
            // Nobody is signed in yet, so only an error can come back at once.
            code_in(location, &flow.state)?;
            return Err(unexpected("authorization", "a code came back before anybody signed in"));
        }
        let start = Request::new("PUT", "/api/experience").with_json(&json!({"interactionEvent": "SignIn"}));
        flow.expect("interaction", start, &[204]).await?;
        Ok(flow)
    }

    /// Signs in whoever a verified record identifies, by a second factor where one is asked for, and exchanges the code that
    /// this brings.
    pub(super) async fn finish(mut self, verification: &str, second: Option<Shown<'_>>) -> Result<SignedIn, SignInError> {
        let identify = Request::new("POST", "/api/experience/identification").with_json(&json!({"verificationId": verification}));
        self.expect("identification", identify, &[204]).await?;
        let submitted = match (self.submit().await, second) {
            (Err(SignInError::Refused { status: FACTOR_ASKED, .. }), Some(second)) => {
                self.show(second).await?;
                self.submit().await?
            }
            (submitted, _) => submitted?,
        };
        let code = self.follow(redirect_to("submit", &submitted)?).await?;
        self.exchange(&code).await
    }

    /// Shows a second factor.
    async fn show(&mut self, second: Shown<'_>) -> Result<(), SignInError> {
        let (factor, body) = match second {
            Shown::Totp(code) => ("totp", self.code(&code)),
            Shown::Backup(code) => ("backup-code", self.code(&code)),
            Shown::Passkey { device, origin, flaw } => {
                let begin = Request::new("POST", "/api/experience/verification/web-authn/authentication");
                let asked = self.expect("passkey", begin, &[200]).await?.into_json().unwrap_or_default();
                let answer = Box::pin(device.prove(&asked["authenticationOptions"], origin, flaw)).await;
                let answer = answer.map_err(|error| unexpected("passkey", error.to_string()))?;
                ("web-authn/authentication", json!({"verificationId": asked["verificationId"], "payload": answer}))
            }
        };
        let request = Request::new("POST", format!("/api/experience/verification/{factor}/verify")).with_json(&body);
        self.expect("second factor", request, &[200]).await.map(drop)
    }

    fn code(&self, code: &str) -> Value {
        self.gate.secrets().register(code);
        json!({"code": code})
    }

    async fn submit(&mut self) -> Result<Answer, SignInError> {
        self.expect("submit", Request::new("POST", "/api/experience/submit"), &[200]).await
    }

    async fn send(&mut self, request: Request) -> Result<Answer, SignInError> {
        let answer = self.gate.send(&self.jar.dress(request), &Clearance::write()).await?;
        self.jar.learn(&answer);
        Ok(answer)
    }

    /// Sends the request of a step; any other status is a refusal.
    pub(super) async fn expect(&mut self, step: &'static str, request: Request, statuses: &[u16]) -> Result<Answer, SignInError> {
        let answer = self.send(request).await?;
        if statuses.contains(&answer.status) {
            return Ok(answer);
        }
        let code = answer.json().and_then(|body| Some(body.get("code")?.as_str()?.to_owned()));
        Err(SignInError::Refused { step, status: answer.status, code })
    }

    /// Follows redirects up to the application and returns the code.
    async fn follow(&mut self, first: String) -> Result<String, SignInError> {
        let mut location = first;
        for _ in 0..MAX_STEPS {
            if is_callback(&location, &self.client.redirect_uri) {
                return code_in(&location, &self.state);
            }
            let target = self.target_of(&location)?;
            let answer = self.expect("redirect", Request::new("GET", target.clone()), &[200, 302, 303]).await?;
            location = match answer.header("location") {
                Some(next) if answer.status != 200 => next.to_owned(),
                // A page instead of a redirect: the consent screen of a third-party application.
                _ if target.contains("/consent") => self.consent().await?,
                _ => return Err(unexpected("redirect", format!("`{}` is a page", path(&target)))),
            };
        }
        Err(SignInError::TooManyRedirects)
    }

    async fn consent(&mut self) -> Result<String, SignInError> {
        let request = Request::new("POST", "/api/interaction/consent").with_json(&json!({}));
        let answer = self.expect("consent", request, &[200]).await?;
        redirect_to("consent", &answer)
    }

    /// The request target of a redirect. The host is left out: behind a gateway a deployment may know itself by
    /// another name than the one we reach it by.
    fn target_of(&self, location: &str) -> Result<String, SignInError> {
        let url = self.gate.endpoint().join(location).map_err(|error| unexpected("redirect", error.to_string()))?;
        let whole = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let below = whole.strip_prefix(self.gate.prefix()).filter(|rest| rest.starts_with('/'));
        Ok(below.map_or(whole.clone(), str::to_owned))
    }

    async fn exchange(&mut self, code: &str) -> Result<SignedIn, SignInError> {
        let (client, verifier) = (self.client, self.verifier.clone());
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", &verifier),
        ];
        fields.extend(self.resource.map(|resource| ("resource", resource)));
        let request = if let Some(secret) = &client.client_secret {
            form::post("/oidc/token", &fields).with_header("authorization", form::basic(&client.client_id, secret))
        } else {
            fields.push(("client_id", &client.client_id));
            form::post("/oidc/token", &fields)
        };
        let answer = self.expect("token", request, &[200]).await?;
        Ok(SignedIn {
            access_token: text(&answer, "access_token").ok_or_else(|| unexpected("token", "the answer has no access_token"))?,
            id_token: text(&answer, "id_token"),
            refresh_token: text(&answer, "refresh_token"),
            scope: text(&answer, "scope").unwrap_or_default(),
            session: self.jar.get(SESSION_COOKIE).inspect(|name| self.gate.secrets().register(name)).map(str::to_owned),
        })
    }
}

fn authorization(client: &OidcClient, verifier: &str, state: &str, scope: &str, resource: Option<&str>) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let mut fields = vec![
        ("client_id", client.client_id.as_str()),
        ("redirect_uri", &client.redirect_uri),
        ("response_type", "code"),
        ("scope", scope),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        // Without it, `offline_access` brings no refresh token.
        ("prompt", "consent"),
    ];
    fields.extend(resource.map(|resource| ("resource", resource)));
    format!("/oidc/auth?{}", form::encode(&fields))
}

/// 256 random bits, as PKCE wants them.
fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn is_callback(location: &str, redirect_uri: &str) -> bool {
    location.strip_prefix(redirect_uri).is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '&', '#']))
}

fn code_in(callback: &str, state: &str) -> Result<String, SignInError> {
    let query = Url::parse(callback).ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
    let field = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if let Some(error) = field("error") {
        return Err(SignInError::Denied { error, description: field("error_description").unwrap_or_default() });
    }
    if field("state").as_deref() != Some(state) {
        return Err(unexpected("callback", "the state is not the one that was sent"));
    }
    field("code").ok_or_else(|| unexpected("callback", "the redirect has no code"))
}

fn redirect_to(step: &'static str, answer: &Answer) -> Result<String, SignInError> {
    text(answer, "redirectTo").ok_or_else(|| unexpected(step, "the answer has no redirectTo"))
}

pub(super) fn text(answer: &Answer, key: &str) -> Option<String> {
    answer.json().as_ref().and_then(|body| body.get(key)).and_then(Value::as_str).map(str::to_owned)
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

pub(super) fn unexpected(step: &'static str, what: impl Into<String>) -> SignInError {
    SignInError::Unexpected { step, what: what.into() }
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
