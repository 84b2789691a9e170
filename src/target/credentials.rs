//! The administrator's credentials and the token they bring.

use std::fmt;

use serde_json::Value;

use super::form;
use super::gate::{Clearance, Gate, GateError};
use crate::model::wire::Answer;

/// A machine-to-machine application with the Management API role.
#[derive(Clone)]
pub struct AdminCredentials {
    /// Application id.
    pub client_id: String,
    /// Application secret.
    pub client_secret: String,
    /// Resource indicator of the Management API, for example `https://default.logto.app/api`.
    pub resource: String,
}

impl fmt::Debug for AdminCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, resource, .. } = self;
        f.debug_struct("AdminCredentials").field("client_id", client_id).field("resource", resource).finish_non_exhaustive()
    }
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What goes behind `Bearer`.
    pub access_token: String,
    /// Life in seconds from now.
    pub expires_in: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Why the credentials brought no token. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Unknown application or wrong secret.
    #[error("the deployment refuses the client id or secret ({0}); compare both with the machine-to-machine application in its Console")]
    WrongCredentials(String),
    /// The resource is not known there.
    #[error(
        "the deployment knows no resource `{0}`; use the Management API's identifier from its Console: https://default.logto.app/api for a self-hosted one, https://TENANT.logto.app/api in the cloud"
    )]
    WrongResource(String),
    /// A token without the asked scope: the application has no role.
    #[error("the application gets a token without scope `{0}`; assign it a role with that scope, such as `Logto Management API access`")]
    ScopeMissing(String),
    /// Whatever answers there is not Logto.
    #[error(
        "what answers at {endpoint} is not Logto: /oidc/token gave {what}; check the endpoint (it is the one that serves /oidc, not the Console)"
    )]
    NotLogto {
        /// The endpoint.
        endpoint: String,
        /// Status and kind of the answer.
        what: String,
    },
    /// Another refusal by the token endpoint.
    #[error("the token endpoint refuses with {status} `{error}`: {description}; read the deployment's audit log for the cause")]
    Refused {
        /// Status code.
        status: u16,
        /// OAuth error code.
        error: String,
        /// The server's explanation.
        description: String,
    },
    /// No answer.
    #[error(transparent)]
    Gate(#[from] GateError),
}

impl AdminCredentials {
    /// Gets a token for the Management API by client credentials. `scope` is usually `all`; without one, a token that
    /// may do nothing comes back, which some checks need.
    pub async fn mint_admin(&self, gate: &Gate, scope: Option<&str>) -> Result<Token, MintError> {
        gate.secrets().register(&self.client_secret);
        let mut fields = vec![("grant_type", "client_credentials"), ("resource", self.resource.as_str())];
        fields.extend(scope.map(|scope| ("scope", scope)));
        let request = form::post("/oidc/token", &fields).with_header("authorization", form::basic(&self.client_id, &self.client_secret));
        let answer = gate.send(&request, &Clearance::read()).await?;
        let body = answer.json().filter(|body| body.is_object()).ok_or_else(|| not_logto(gate, &answer))?;
        if answer.status != 200 {
            return Err(self.refusal(gate, &answer, body));
        }
        let granted = body["scope"].as_str().unwrap_or("");
        let missing = scope.unwrap_or("").split_whitespace().find(|asked| !granted.split(' ').any(|had| had == *asked));
        if let Some(missing) = missing {
            return Err(MintError::ScopeMissing(missing.to_owned()));
        }
        let access_token = body["access_token"].as_str().ok_or_else(|| not_logto(gate, &answer))?.to_owned();
        Ok(Token { access_token, expires_in: body["expires_in"].as_u64().unwrap_or(0) })
    }

    fn refusal(&self, gate: &Gate, answer: &Answer, body: &Value) -> MintError {
        let Some(error) = body["error"].as_str() else { return not_logto(gate, answer) };
        let description = body["error_description"].as_str().unwrap_or("no explanation").to_owned();
        match error {
            "invalid_client" => MintError::WrongCredentials(description),
            "invalid_target" => MintError::WrongResource(self.resource.clone()),
            "invalid_scope" => MintError::ScopeMissing(body["scope"].as_str().unwrap_or("all").to_owned()),
            _ => MintError::Refused { status: answer.status, error: error.to_owned(), description },
        }
    }
}

fn not_logto(gate: &Gate, answer: &Answer) -> MintError {
    let kind = answer.header("content-type").unwrap_or("no content type");
    MintError::NotLogto { endpoint: gate.endpoint().to_string(), what: format!("{} with {kind}", answer.status) }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::{Html, IntoResponse, Response};
    use serde_json::json;

    use super::super::gate::Mode;
    use super::super::ledger::Ledger;
    use super::super::secret::SecretRegister;
    use super::super::test_server::{client, serve};
    use super::*;

    fn credentials() -> AdminCredentials {
        AdminCredentials { client_id: "m2m".into(), client_secret: "S0-secret".into(), resource: "https://r".into() }
    }

    async fn mint(status: u16, body: Value) -> Result<Token, MintError> {
        mint_from(move || (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()).await
    }

    async fn mint_from(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Result<Token, MintError> {
        let (endpoint, log) = serve(move |_, _| answer()).await;
        let gate = Gate::new(client(endpoint), Mode::ReadOnly, Ledger::in_memory(), SecretRegister::new(), "lc_");
        let result = credentials().mint_admin(&gate, Some("all")).await;
        let body = "grant_type=client_credentials&resource=https%3A%2F%2Fr&scope=all";
        assert_eq!(log.lock().unwrap()[0], ("POST /oidc/token".to_owned(), body.to_owned()));
        assert!(!format!("{result:?} {:?}", credentials()).contains("S0-secret"));
        result
    }

    #[tokio::test]
    async fn a_token_with_the_scope_is_taken() {
        let token = mint(200, json!({"access_token": "S1-token", "expires_in": 3600, "scope": "all"})).await.unwrap();
        assert_eq!((token.access_token.as_str(), token.expires_in), ("S1-token", 3600));
    }

    #[tokio::test]
    async fn every_way_to_fail_is_told_apart() {
        let refusal = |error: &str| json!({"code": format!("oidc.{error}"), "error": error});
        assert!(matches!(mint(401, refusal("invalid_client")).await, Err(MintError::WrongCredentials(_))));
        assert!(matches!(mint(400, refusal("invalid_client")).await, Err(MintError::WrongCredentials(_))));
        assert!(matches!(mint(400, refusal("invalid_target")).await, Err(MintError::WrongResource(_))));
        assert!(matches!(mint(400, refusal("odd")).await, Err(MintError::Refused { .. })));
        let token = json!({"access_token": "S1-token", "expires_in": 3600});
        assert!(matches!(mint(200, token).await, Err(MintError::ScopeMissing(scope)) if scope == "all"));
        assert!(matches!(mint(404, json!({"message": "no"})).await, Err(MintError::NotLogto { .. })));
        assert!(matches!(mint(200, json!([])).await, Err(MintError::NotLogto { .. })));
        let page = || Html("<p>hello").into_response();
        assert!(matches!(mint_from(page).await, Err(MintError::NotLogto { what, .. }) if what.contains("text/html")));
    }
}
