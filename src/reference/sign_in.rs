//! Signing in: authorization code with PKCE through the Experience API, as far as a client without browser uses it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::enterprise;
use super::fault::Change;
use super::passkey;
use super::refusal::{coded, empty_answer, json_answer, refused, text_answer};
use super::support::{Visit, invalid};
use crate::model::password::{is_password, is_settled, settle};
use crate::model::time::iso;
use crate::model::wire::{Answer, Request};
use crate::model::{Call, Entity, Key, Kind, SecondFactor, State, Truth, asks_for_factor, next_step, use_factor};

/// Milliseconds an authorization code lives.
const CODE_LIFE: i64 = 600_000;

const COOKIE: &str = "_interaction";
const SESSION_COOKIE: &str = "_session";

/// Sign-ins under way, and the codes they led to.
#[derive(Debug, Default)]
pub struct SignIns {
    interactions: BTreeMap<String, Interaction>,
    codes: BTreeMap<String, Grant>,
}

#[derive(Debug)]
struct Interaction {
    client: String,
    redirect_uri: String,
    scope: String,
    state: Option<String>,
    challenge: Option<String>,
    stage: Stage,
    /// What was begun at an enterprise provider.
    enterprise: Option<enterprise::Proof>,
    /// What was asked of a passkey.
    asked: Option<passkey::Asked>,
    /// Whether a second factor was shown.
    proved: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Begun,
    Verified { record: String, user: String },
    Identified { user: String },
    Submitted { user: String },
    Consented { user: String },
}

/// What an authorization code stands for.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Id of the user who signed in.
    pub user: String,
    /// Granted scopes.
    pub scope: String,
    /// Name of the session in its cookie.
    pub session: String,
    client: String,
    redirect_uri: String,
    challenge: Option<String>,
    expires: i64,
}

impl SignIns {
    /// What was begun at an enterprise provider in the sign-in that a request belongs to.
    pub fn enterprise_of(&self, request: &Request) -> Option<&enterprise::Proof> {
        self.enterprise(&named_in(request)?)
    }

    /// What was begun at an enterprise provider in a sign-in.
    pub fn enterprise(&self, id: &str) -> Option<&enterprise::Proof> {
        self.interactions.get(id)?.enterprise.as_ref()
    }

    /// Notes what was begun at an enterprise provider, or how it went on.
    pub fn begin_enterprise(&mut self, id: &str, proof: enterprise::Proof) {
        if let Some(interaction) = self.interactions.get_mut(id) {
            interaction.enterprise = Some(proof);
        }
    }

    /// What was asked of a passkey in a sign-in.
    pub fn asked(&self, id: &str) -> Option<&passkey::Asked> {
        self.interactions.get(id)?.asked.as_ref()
    }

    /// Notes what is asked of a passkey.
    pub fn ask(&mut self, id: &str, asked: passkey::Asked) {
        if let Some(interaction) = self.interactions.get_mut(id) {
            interaction.asked = Some(asked);
        }
    }

    /// The grant that a token request redeems; `None` when code, client, redirect URI, verifier or time are wrong.
    pub fn redeem(&self, call: &Call<'_>, state: &State, now: i64) -> Option<Grant> {
        let field = |name: &str| call.input.get(name).and_then(Value::as_str);
        let grant = self.codes.get(field("code")?)?;
        let proof = field("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        let user = state.find(Kind::User, &grant.user)?;
        let fits = grant.client == call.client()?.0
            && Some(grant.redirect_uri.as_str()) == field("redirect_uri")
            && grant.challenge == proof
            && now < grant.expires
            && user.flag("isSuspended") != Some(true);
        fits.then(|| grant.clone())
    }
}

fn redirect(status: u16, to: String) -> Answer {
    let mut answer = text_answer(status, &format!("Redirecting to {to}."));
    answer.headers.push(("location".into(), to));
    answer
}

fn refused_client(error: &str, description: &str) -> Answer {
    let code = format!("oidc.{error}");
    json_answer(
        400,
        &json!({"code": code, "message": format!("An OIDC error occurred: {code}."), "error": error, "error_description": description}),
    )
}

/// `GET /oidc/auth`
pub fn authorize(visit: &mut Visit<'_>) -> Answer {
    let query = super::paths::query(visit.request);
    let field = |name: &str| query.get(name).map(String::as_str);
    let client = field("client_id").unwrap_or_default();
    let application =
        visit.store.state.find(Kind::Application, client).filter(|application| application.text("type") != Some(Some("MachineToMachine")));
    let Some(application) = application else { return refused_client("invalid_client", &format!("invalid client {client}")) };
    let registered = application.known("oidcClientMetadata").and_then(|metadata| metadata.get("redirectUris")?.as_array());
    let redirect_uri = field("redirect_uri").unwrap_or_default();
    if !registered.is_some_and(|uris| uris.iter().any(|uri| uri == redirect_uri)) {
        return refused_client("invalid_redirect_uri", "redirect_uri did not match any of the client's registered redirect_uris");
    }
    let denied = |error: &str, description: &str| {
        let fields = [("error", error), ("error_description", description)];
        let state = field("state").map(|state| ("state", state));
        redirect(303, callback(redirect_uri, fields.into_iter().chain(state)))
    };
    if field("response_type") != Some("code") {
        return denied("unsupported_response_type", "unsupported response_type requested");
    }
    if field("code_challenge").is_some() && field("code_challenge_method") != Some("S256") {
        return denied("invalid_request", "not supported value of code_challenge_method");
    }
    if field("code_challenge").is_none() && application.text("clientSecret") == Some(None) {
        return denied("invalid_request", "Authorization Server policy requires PKCE to be used for this request");
    }
    let interaction = Interaction {
        client: client.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        scope: granted(&visit.store.state, client, field("scope").unwrap_or_default(), field("prompt").unwrap_or_default()),
        state: field("state").map(str::to_owned),
        challenge: field("code_challenge").map(str::to_owned),
        stage: Stage::Begun,
        enterprise: None,
        asked: None,
        proved: false,
    };
    let id = visit.store.mint.opaque();
    let mut answer = redirect(303, format!("/sign-in?app_id={client}"));
    answer.headers.push(set_cookie(COOKIE, &id));
    visit.store.sign_ins.interactions.insert(id, interaction);
    answer
}

/// The scopes that are known and that the application may ask for.
fn granted(state: &State, client: &str, asked: &str, prompt: &str) -> String {
    let owner = format!("{client}/user-scopes");
    let consented = |scope: &str| {
        state.all(Kind::ConsentScope).any(|(_, one)| one.text("owner") == Some(Some(&owner)) && one.text("scopeId") == Some(Some(scope)))
    };
    let third_party = state.find(Kind::Application, client).and_then(|application| application.flag("isThirdParty")) == Some(true);
    let known = |scope: &str| match scope {
        "openid" => true,
        "offline_access" => prompt.split_whitespace().any(|one| one == "consent"),
        _ if third_party => consented(scope),
        "profile" | "email" | "phone" | "address" | "custom_data" | "identities" | "roles" => true,
        _ => scope.starts_with("urn:logto:scope:"),
    };
    asked.split_whitespace().filter(|scope| known(scope)).collect::<Vec<_>>().join(" ")
}

fn callback<'a>(redirect_uri: &str, fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    Url::parse(redirect_uri).map_or_else(
        |_| redirect_uri.to_owned(),
        |mut url| {
            url.query_pairs_mut().extend_pairs(fields);
            url.into()
        },
    )
}

pub(super) fn no_session() -> Answer {
    coded(400, "session.not_found")
}

/// The sign-in that a visit belongs to.
pub fn interaction_id(visit: &Visit<'_>) -> Option<String> {
    named_in(visit.request).filter(|id| visit.store.sign_ins.interactions.contains_key(id))
}

fn set_cookie(name: &str, value: &str) -> (String, String) {
    ("set-cookie".into(), format!("{name}={value}; path=/; samesite=lax; httponly"))
}

fn named_in(request: &Request) -> Option<String> {
    let cookies = request.headers.iter().filter(|(name, _)| name == "cookie").flat_map(|(_, value)| value.split(';'));
    cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == COOKIE).map(|(_, id)| id.to_owned())
}

/// `PUT /api/experience`
pub fn begin(visit: &mut Visit<'_>) -> Answer {
    if interaction_id(visit).is_none() {
        return no_session();
    }
    match visit.body().get("interactionEvent").and_then(Value::as_str) {
        Some("SignIn") => empty_answer(204),
        Some("Register" | "ForgotPassword") => coded(403, "auth.forbidden"),
        _ => invalid("interactionEvent"),
    }
}

/// `POST /api/experience/verification/password`
pub fn verify_password(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let body = Value::Object(visit.body());
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let (Some(kind), Some(value)) = (text("/identifier/type"), text("/identifier/value")) else { return invalid("identifier") };
    let property = match kind {
        "username" => "username",
        "email" => "primaryEmail",
        "phone" => "primaryPhone",
        _ => return invalid("identifier"),
    };
    let Some(password) = text("/password") else { return invalid("password") };
    let methods = visit.store.state.settings(&Key::sign_in_experience()).known("signIn");
    let methods = methods.and_then(|sign_in| sign_in.get("methods")?.as_array());
    if !methods.is_some_and(|methods| methods.iter().any(|method| method["identifier"] == kind && method["password"] == true)) {
        return coded(422, "user.sign_in_method_not_enabled");
    }
    let found = visit.store.state.all(Kind::User).find(|(_, user)| user.text(property) == Some(Some(value)));
    let Some((user, entity)) = found.filter(|(_, user)| is_password(user, Some(password)) == Some(true)) else {
        return refused(&visit.deployment.contract.sign_in.password);
    };
    let (settled, user) = (is_settled(entity), user.to_owned());
    if !settled {
        let digest = visit.store.mint.digest();
        visit.store.state.update(&Key::new(Kind::User, &user), |user| {
            settle(user, password);
            user.set("passwordDigest", digest.as_str());
        });
    }
    let record = visit.store.mint.id(21);
    let answer = json_answer(200, &json!({"verificationId": record}));
    advance(visit, &id, Stage::Verified { record, user });
    answer
}

fn advance(visit: &mut Visit<'_>, id: &str, stage: Stage) {
    if let Some(interaction) = visit.store.sign_ins.interactions.get_mut(id) {
        interaction.stage = stage;
    }
}

fn stage(visit: &Visit<'_>, id: &str) -> Option<Stage> {
    visit.store.sign_ins.interactions.get(id).map(|interaction| interaction.stage.clone())
}

/// `POST /api/experience/identification`
pub fn identify(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let body = visit.body();
    let Some(given) = body.get("verificationId").and_then(Value::as_str) else { return invalid("verificationId") };
    let verified = match (stage(visit, &id), visit.store.sign_ins.enterprise(&id).filter(|proof| proof.record == given)) {
        (_, Some(proof)) => match enterprise::identify(visit, proof) {
            Ok(user) => Some(user),
            Err(refused) => return refused,
        },
        (Some(Stage::Verified { record, user }), None) if record == given => Some(user),
        _ => None,
    };
    match verified {
        Some(user) => match visit.store.state.find(Kind::User, &user).map(|user| user.flag("isSuspended")) {
            None => coded(404, "user.user_not_exist"),
            Some(Some(true)) => refused(&visit.deployment.contract.sign_in.suspended),
            Some(_) => {
                advance(visit, &id, Stage::Identified { user });
                empty_answer(204)
            }
        },
        None => coded(404, "session.verification_session_not_found"),
    }
}

/// `POST /api/experience/verification/totp/verify`
pub fn verify_app(visit: &mut Visit<'_>) -> Answer {
    show_factor(visit, SecondFactor::Totp, |app, code, now| Some(json!(next_step(app, code, now)?)))
}

/// `POST /api/experience/verification/backup-code/verify`
pub fn verify_backup_code(visit: &mut Visit<'_>) -> Answer {
    show_factor(visit, SecondFactor::BackupCode, |set, code, now| {
        let unused = set.known("codes")?.as_array()?.iter().any(|unused| unused == code);
        unused.then(|| iso(now).into())
    })
}

/// Takes a code, if the user has a factor of the kind and `good` says when the code is used up.
fn show_factor(visit: &mut Visit<'_>, kind: impl Fn(String) -> SecondFactor, good: impl Fn(&Entity, &str, i64) -> Option<Value>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let body = visit.body();
    let Some(code) = body.get("code").and_then(Value::as_str) else { return invalid("code") };
    let Some(user) = identified(visit, &id) else { return coded(404, "session.identifier_not_found") };
    let shown = kind(code.to_owned());
    let own = |factor: &Entity| factor.text("owner") == Some(Some(&user)) && factor.text("type") == Some(Some(shown.kind()));
    let found = visit.store.state.all(Kind::Factor).find(|(_, factor)| own(factor));
    let Some(when) = found.and_then(|(_, factor)| good(factor, code, visit.now)) else {
        return refused(shown.refusal(&visit.deployment.contract.sign_in));
    };
    if !visit.deployment.signs_in_with(&Change::ReusableCode) {
        use_factor(&mut visit.store.state, &user, &shown, &when);
    }
    proved(visit, &id);
    json_answer(200, &json!({"verificationId": visit.store.mint.id(21)}))
}

/// Notes that a second factor was shown.
pub fn proved(visit: &mut Visit<'_>, id: &str) {
    if let Some(interaction) = visit.store.sign_ins.interactions.get_mut(id) {
        interaction.proved = true;
    }
}

/// Whom a sign-in has identified.
pub fn identified(visit: &Visit<'_>, id: &str) -> Option<String> {
    match stage(visit, id)? {
        Stage::Identified { user } => Some(user),
        _ => None,
    }
}

/// `POST /api/experience/submit`
pub fn submit(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let Some(user) = identified(visit, &id) else { return coded(404, "session.identifier_not_found") };
    let proved = visit.store.sign_ins.interactions.get(&id).is_some_and(|interaction| interaction.proved);
    if !proved && asks_for_factor(&visit.store.state, &user) == Truth::Yes && !visit.deployment.signs_in_with(&Change::NoFactorAsked) {
        return refused(&visit.deployment.contract.sign_in.unproved);
    }
    let (now, client) = (visit.now, visit.store.sign_ins.interactions.get(&id).map(|interaction| interaction.client.clone()));
    visit.store.state.update(&Key::new(Kind::User, user.clone()), |user| {
        user.set("lastSignInAt", json!(now));
        user.set("updatedAt", json!(now));
        if user.known("applicationId").is_none_or(Value::is_null) {
            user.set("applicationId", json!(client));
        }
    });
    if let Some(proof) = visit.store.sign_ins.enterprise(&id).cloned() {
        enterprise::link(visit, &proof, &user);
    }
    advance(visit, &id, Stage::Submitted { user });
    json_answer(200, &json!({"redirectTo": resume_url(visit, &id)}))
}

fn resume_url(visit: &Visit<'_>, id: &str) -> String {
    format!("{}/oidc/auth/{id}", visit.deployment.endpoint)
}

/// `GET /oidc/auth/{id}`
pub fn resume(visit: &mut Visit<'_>) -> Answer {
    let id = visit.path.get("id").cloned().unwrap_or_default();
    let Some(interaction) = visit.store.sign_ins.interactions.get(&id) else {
        return refused_client("invalid_request", "authorization request has expired");
    };
    match interaction.stage.clone() {
        Stage::Submitted { .. } => redirect(303, format!("/consent?app_id={}", interaction.client)),
        Stage::Consented { user } => {
            let Some(done) = visit.store.sign_ins.interactions.remove(&id) else { return no_session() };
            let (code, session) = (visit.store.mint.opaque(), visit.store.mint.opaque());
            let issuer = format!("{}/oidc", visit.deployment.endpoint);
            let fields = [("code", code.as_str())]
                .into_iter()
                .chain(done.state.as_deref().map(|state| ("state", state)))
                .chain([("iss", issuer.as_str())]);
            let to = callback(&done.redirect_uri, fields);
            let Interaction { client, redirect_uri, scope, challenge, .. } = done;
            let mut answer = redirect(303, to);
            answer.headers.push(set_cookie(SESSION_COOKIE, &session));
            let expires = visit.now + CODE_LIFE;
            visit.store.sign_ins.codes.insert(code, Grant { user, scope, session, client, redirect_uri, challenge, expires });
            answer
        }
        _ => redirect(303, format!("/sign-in?app_id={}", interaction.client)),
    }
}

/// `GET /consent`: a first-party application consents by itself, for another one a page asks.
pub fn consent_page(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let client = visit.store.sign_ins.interactions.get(&id).map(|interaction| interaction.client.clone()).unwrap_or_default();
    let third_party = visit.store.state.find(Kind::Application, &client).and_then(|application| application.flag("isThirdParty"));
    if third_party == Some(false) {
        return if consent(visit, &id) { redirect(302, resume_url(visit, &id)) } else { no_session() };
    }
    let page = "<!DOCTYPE html><html><head><title>Consent</title></head><body></body></html>";
    Answer { status: 200, headers: vec![("content-type".into(), "text/html; charset=utf-8".into())], body: page.as_bytes().to_vec().into() }
}

/// `POST /api/interaction/consent`
pub fn give_consent(visit: &mut Visit<'_>) -> Answer {
    match interaction_id(visit) {
        Some(id) if consent(visit, &id) => json_answer(200, &json!({"redirectTo": resume_url(visit, &id)})),
        _ => no_session(),
    }
}

fn consent(visit: &mut Visit<'_>, id: &str) -> bool {
    let Some(Stage::Submitted { user }) = stage(visit, id) else { return false };
    advance(visit, id, Stage::Consented { user });
    true
}
