//! A small identity provider of ours: `OpenID` Connect on one address, for connectors of the target to stand in front of.
//!
//! Nobody sees a page: who signs in is said to [`Provider::consent`], which gives what the user's browser would bring back.
//! What will be said about the user, and which tokens will be given, is settled at that moment. A code is good for one
//! request at the token endpoint, whatever becomes of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::provider_desk::Desk;
use super::provider_http::router;

/// A provider that is running; it stops when this is dropped.
#[derive(Debug)]
pub struct Provider {
    desk: Arc<Desk>,
    _stop: oneshot::Sender<()>,
}

/// Somebody who has an account at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider's id of the user.
    pub id: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the provider has verified the address; it does not say when absent.
    pub email_verified: Option<bool>,
    /// Name.
    pub name: Option<String>,
    /// Address of a picture.
    pub picture: Option<String>,
    /// Seconds that the access token lives; no more than zero for one that has run out at once.
    pub expires_in: i64,
    /// Whether the refresh token, which comes with the scope `offline_access`, may be used.
    pub renews: bool,
}

impl Account {
    /// Somebody without address, name and picture, whose tokens live for an hour and can be renewed.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), email: None, email_verified: None, name: None, picture: None, expires_in: 3600, renews: true }
    }
}

/// What a consent leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// What the browser brings back: `connectorData`.
    pub data: Value,
    /// The identity as the connector will link it: `{userId, details}`; for an enterprise connector the user as it is stored.
    pub identity: Value,
    /// The token answer that the code will be exchanged for. Its member `renewed` is not part of it but what a renewal brings:
    /// the next answer, null when it will be refused.
    pub tokens: Value,
}

/// Why nobody can sign in at a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The page is not one of this provider.
    #[error("`{0}` is not a page of this provider")]
    Page(String),
    /// The page lacks a parameter, or has a wrong value for it.
    #[error("the page has no usable `{0}`")]
    Parameter(&'static str),
}

impl Provider {
    /// Starts a provider on the current runtime. `public_url` is the address by which the target reaches it, when that is
    /// another than the socket's. Fails when the address cannot be bound.
    pub async fn start(bind: SocketAddr, public_url: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let own = format!("http://{}", listener.local_addr()?);
        let issuer = public_url.map_or(own, |url| url.trim_end_matches('/').to_owned());
        let desk = Arc::new(Desk::new(issuer)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router(Arc::clone(&desk))).with_graceful_shutdown(async {
            // Dropping the sender stops the server too.
            let _ = stopped.await;
        });
        tokio::spawn(async move { serve.await });
        Ok(Self { desk, _stop: stop })
    }

    /// Its address, and its name in tokens.
    pub fn issuer(&self) -> &str {
        &self.desk.issuer
    }

    /// The secret that its clients share; no output should show it.
    pub fn secret(&self) -> &str {
        &self.desk.secret
    }

    /// The settings of a connector that points here: `config` of a social connector of factory `oidc` or `oauth2`, or of an
    /// enterprise connector of provider `OIDC`. None of another one.
    pub fn config(&self, factory: &str) -> Option<Value> {
        let (issuer, secret) = (&self.desk.issuer, &self.desk.secret);
        let at = |path: &str| format!("{issuer}{path}");
        let client = client_of(factory)?;
        Some(match factory {
            "oidc" => json!({
                "authorizationEndpoint": at("/authorize"), "tokenEndpoint": at("/token"), "clientId": client, "clientSecret": secret,
                // Known oddity: 1.43 cannot renew tokens (500) where this is left to its default.
                "tokenEndpointAuthMethod": "client_secret_post",
                "scope": "openid profile email", "idTokenVerificationConfig": {"jwksUri": at("/jwks"), "issuer": issuer},
            }),
            "oauth2" => json!({
                "authorizationEndpoint": at("/authorize"), "tokenEndpoint": at("/token"), "userInfoEndpoint": at("/userinfo"),
                "clientId": client, "clientSecret": secret, "tokenEndpointAuthMethod": "client_secret_basic",
                "tokenEndpointResponseType": "json", "scope": "profile email",
                "profileMap": {"id": "sub", "email": "email", "name": "name", "avatar": "picture"},
            }),
            _ => json!({"clientId": client, "clientSecret": secret, "issuer": issuer, "scope": "openid profile email offline_access"}),
        })
    }

    /// The user signs in at a page that the target gave (`authorizationUri`) and agrees. Fails when it is not a page of
    /// this provider or lacks what a connector puts there.
    pub fn consent(&self, page: &str, account: &Account) -> Result<Consent, ProviderError> {
        self.desk.consent(page, account)
    }
}

/// The client that the connectors of a factory are here; a code for one is no good for another.
pub(super) fn client_of(factory: &str) -> Option<&'static str> {
    match factory {
        "oidc" => Some("lc-oidc"),
        "oauth2" => Some("lc-oauth2"),
        "OIDC" => Some("lc-enterprise"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
