//! What the identity provider knows: consents that wait for their codes, tokens it gave, its key.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

use super::provider::{Account, Consent, ProviderError, client_of};
use crate::model::rules::{OAUTH2, OIDC, enterprise_detail, oidc_identity};

/// Seconds that ID tokens and renewed access tokens live.
const LIFE: i64 = 3600;
/// Name of the only key.
const KEY_ID: &str = "lc";

/// All that the provider remembers.
pub(super) struct Desk {
    pub issuer: String,
    /// Secret of every client.
    pub secret: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    /// Consents by code.
    codes: HashMap<String, Pending>,
    /// What is said about the user, by access token.
    profiles: HashMap<String, Value>,
    /// What a renewal brings, by refresh token: nothing for one that is refused.
    renewals: HashMap<String, Option<Value>>,
}

struct Pending {
    client: String,
    redirect_uri: String,
    tokens: Value,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Desk {
    pub fn new(issuer: String) -> io::Result<Self> {
        let random = SystemRandom::new();
        let broken = |_| io::Error::other("no key for the identity provider can be made");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(broken)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { issuer, secret: random_text(), key, random, given: Mutex::default() })
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        // Maps are only inserted into and removed from, so a panic elsewhere leaves them in order.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public key as a JSON Web Key Set.
    pub fn keys(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": KEY_ID, "alg": "ES256", "use": "sig"}]})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("the system has random numbers");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// See [`Provider::consent`](super::provider::Provider::consent).
    pub fn consent(&self, page: &str, account: &Account) -> Result<Consent, ProviderError> {
        let foreign = || ProviderError::Page(page.split('?').next().unwrap_or_default().to_owned());
        let query = page.strip_prefix(&self.issuer).and_then(|rest| rest.strip_prefix("/authorize?")).ok_or_else(foreign)?;
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name: &'static str| query.get(name).map(String::as_str).ok_or(ProviderError::Parameter(name));
        let client = field("client_id")?;
        let factory = [OIDC, OAUTH2, "OIDC"].into_iter().find(|factory| client_of(factory) == Some(client));
        let factory = factory.ok_or(ProviderError::Parameter("client_id"))?;
        if field("response_type")? != "code" {
            return Err(ProviderError::Parameter("response_type"));
        }
        let (redirect_uri, state) = (field("redirect_uri")?, field("state")?);
        let scope = query.get("scope").map(String::as_str).unwrap_or_default();
        let has = |wanted: &str| scope.split_whitespace().any(|one| one == wanted);
        let profile = profile(account);
        let claims = self.claims(&profile, client, query.get("nonce"));
        let mut tokens = Self::tokens(scope, account.expires_in);
        let mut given = self.given();
        given.profiles.insert(text(&tokens, "access_token"), profile.clone());
        if has("openid") {
            tokens["id_token"] = self.sign(&claims).into();
        }
        let mut told = tokens.clone();
        if has("offline_access") {
            let refresh = random_text();
            let renewed = account.renews.then(|| {
                let mut renewed = Self::tokens(scope, LIFE);
                // The connector for OpenID Connect asks for one here too, without the nonce.
                if has("openid") {
                    renewed["id_token"] = self.sign(&self.claims(&profile, client, None)).into();
                }
                renewed
            });
            if let Some(renewed) = &renewed {
                given.profiles.insert(text(renewed, "access_token"), profile.clone());
            }
            tokens["refresh_token"] = refresh.as_str().into();
            told = tokens.clone();
            told["renewed"] = renewed.clone().unwrap_or_default();
            given.renewals.insert(refresh, renewed);
        }
        let code = random_text();
        let pending = Pending { client: client.to_owned(), redirect_uri: redirect_uri.to_owned(), tokens };
        given.codes.insert(code.clone(), pending);
        let identity = match factory {
            OIDC => oidc_identity(OIDC, &Value::Null, &claims),
            // The settings read the id from `sub`.
            OAUTH2 => oidc_identity(OAUTH2, &json!({"profileMap": {"id": "sub", "avatar": "picture"}}), &profile),
            _ => enterprise_detail(&Value::Null, &profile),
        };
        let mut data = json!({"code": code, "state": state});
        if factory == OIDC {
            data["iss"] = self.issuer.as_str().into();
        }
        Ok(Consent { data, identity: identity.unwrap_or_default(), tokens: told })
    }

    fn claims(&self, profile: &Value, client: &str, nonce: Option<&String>) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| i64::try_from(now.as_secs()).ok()).unwrap_or_default();
        let mut claims = Map::from_iter([("iss".to_owned(), json!(self.issuer))]);
        claims.extend(profile.as_object().cloned().into_iter().flatten());
        claims.extend([("aud".to_owned(), json!(client)), ("iat".to_owned(), json!(now)), ("exp".to_owned(), json!(now + LIFE))]);
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
        Value::Object(claims)
    }

    fn tokens(scope: &str, life: i64) -> Value {
        let mut tokens = json!({"access_token": random_text(), "token_type": "Bearer", "expires_in": life});
        if !scope.is_empty() {
            tokens["scope"] = scope.into();
        }
        tokens
    }

    /// Takes a code for its tokens. It is spent, whoever brings it.
    pub fn redeem(&self, code: &str, client: &str, redirect_uri: &str) -> Option<Value> {
        let pending = self.given().codes.remove(code)?;
        (pending.client == client && pending.redirect_uri == redirect_uri).then_some(pending.tokens)
    }

    /// What a refresh token brings.
    pub fn renew(&self, refresh_token: &str) -> Option<Value> {
        self.given().renewals.get(refresh_token)?.clone()
    }

    /// What is said about the owner of an access token.
    pub fn profile(&self, access_token: &str) -> Option<Value> {
        self.given().profiles.get(access_token).cloned()
    }
}

fn profile(account: &Account) -> Value {
    let mut profile = Map::from_iter([("sub".to_owned(), json!(account.id))]);
    let told = [("name", &account.name), ("picture", &account.picture), ("email", &account.email)];
    profile.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))));
    profile.extend(account.email_verified.map(|verified| ("email_verified".to_owned(), json!(verified))));
    Value::Object(profile)
}

fn text(tokens: &Value, name: &str) -> String {
    tokens.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
