//! The applications that a run needs for its users' tokens.

use serde_json::{Value, json};

use super::gate::{Clearance, Gate, GateError};
use super::ledger::Intent;
use super::sign_in::OidcClient;
use crate::model::wire::{Answer, Request};

/// Where sign-ins end; nobody listens there (port 9 is *discard*).
pub const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// All scopes that open something in the Account API.
const USER_SCOPES: [&str; 10] = [
    "profile",
    "email",
    "phone",
    "address",
    "custom_data",
    "identities",
    "roles",
    "urn:logto:scope:organizations",
    "urn:logto:scope:organization_roles",
    "urn:logto:scope:sessions",
];

/// What the names of all objects of a run start with.
pub fn namespace(run: &str) -> String {
    format!("lc_{run}_")
}

/// Which applications to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// A first-party application that may exchange tokens.
    pub first_party: bool,
    /// A third-party application that may ask for every user scope.
    pub third_party: bool,
}

impl Wants {
    /// Both.
    pub const ALL: Self = Self { first_party: true, third_party: true };
}

/// The applications made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// The first-party application, if wanted.
    pub first_party: Option<OidcClient>,
    /// The third-party application, if wanted.
    pub third_party: Option<OidcClient>,
}

/// Why an application could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The deployment refuses a step.
    #[error("cannot {step}: the deployment answers {status} {}; does the machine-to-machine application have the Management API role?", .code.as_deref().unwrap_or("(no code)"))]
    Refused {
        /// The step, in words.
        step: String,
        /// Status code.
        status: u16,
        /// Error code of the answer.
        code: Option<String>,
    },
    /// An answer lacks what it must carry.
    #[error("cannot {step}: the answer has no {missing}")]
    Unexpected {
        /// The step, in words.
        step: String,
        /// What is missing.
        missing: &'static str,
    },
    /// No answer.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Makes the applications `lc_<run>_first` and `lc_<run>_third`. They stand in the ledger before they are made, so
/// that [`cleanup`](super::cleanup()) finds them even when this fails half way.
pub async fn provision(gate: &Gate, admin_token: &str, run: &str, wants: Wants) -> Result<Provisioned, ProvisionError> {
    let maker = Maker { gate, admin_token };
    let space = namespace(run);
    let mut made = Provisioned::default();
    if wants.first_party {
        made.first_party = Some(maker.application(&format!("{space}first"), false).await?);
    }
    if wants.third_party {
        let client = maker.application(&format!("{space}third"), true).await?;
        let target = format!("/api/applications/{}/user-consent-scopes", client.client_id);
        let request = Request::new("POST", target).with_json(&json!({"userScopes": USER_SCOPES}));
        maker.send("allow scopes for the third-party application", request, &Clearance::write()).await?;
        made.third_party = Some(client);
    }
    Ok(made)
}

/// Whether the deployment can keep the tokens of identity providers, which needs a key that it was started with. Only a
/// connector that should keep them tells; it stands in the ledger.
pub async fn keeps_tokens(gate: &Gate, admin_token: &str, run: &str) -> Result<bool, GateError> {
    let target = format!("{}tokens", namespace(run));
    let intent = Intent::Object { undo: "/api/connectors/{id}".into(), marker: target.clone() };
    let clearance = Clearance { tenant_wide: true, ..Clearance::intending(intent) };
    let body = json!({"connectorId": "oauth2", "enableTokenStorage": true, "metadata": {"target": target, "name": {"en": "tokens"}}});
    let request = Request::new("POST", "/api/connectors").with_header("authorization", format!("Bearer {admin_token}"));
    Ok(gate.send(&request.with_json(&body), &clearance).await?.status == 200)
}

struct Maker<'a> {
    gate: &'a Gate,
    admin_token: &'a str,
}

impl Maker<'_> {
    async fn application(&self, name: &str, third_party: bool) -> Result<OidcClient, ProvisionError> {
        let create = format!("create the application {name}");
        let body = json!({
            "name": name,
            "type": "Traditional",
            "isThirdParty": third_party,
            "oidcClientMetadata": {"redirectUris": [REDIRECT_URI], "postLogoutRedirectUris": []},
            // A third-party application must not exchange tokens.
            "customClientMetadata": if third_party { json!({}) } else { json!({"allowTokenExchange": true}) },
        });
        let clearance = Clearance::intending(Intent::Application { name: name.to_owned() });
        let request = Request::new("POST", "/api/applications").with_json(&body);
        let created = self.send(&create, request, &clearance).await?;
        let id = created.json().as_ref().and_then(|body| Some(body.get("id")?.as_str()?.to_owned()));
        let client_id = id.ok_or(ProvisionError::Unexpected { step: create, missing: "id" })?;
        let client_secret = Some(self.secret_of(&client_id, name).await?);
        Ok(OidcClient { client_id, client_secret, redirect_uri: REDIRECT_URI.to_owned() })
    }

    async fn secret_of(&self, id: &str, name: &str) -> Result<String, ProvisionError> {
        let step = format!("read the secret of the application {name}");
        let request = Request::new("GET", format!("/api/applications/{id}/secrets"));
        let answer = self.send(&step, request, &Clearance::read()).await?;
        let secret = answer.json().as_ref().and_then(|list| Some(list.get(0)?.get("value")?.as_str()?.to_owned()));
        let secret = secret.ok_or(ProvisionError::Unexpected { step, missing: "secret" })?;
        self.gate.secrets().register(&secret);
        Ok(secret)
    }

    async fn send(&self, step: &str, request: Request, clearance: &Clearance) -> Result<Answer, ProvisionError> {
        let request = request.with_header("authorization", format!("Bearer {}", self.admin_token));
        let answer = self.gate.send(&request, clearance).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let code = answer.json().as_ref().and_then(|body| body.get("code").and_then(Value::as_str).map(str::to_owned));
        Err(ProvisionError::Refused { step: step.to_owned(), status: answer.status, code })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::super::gate::Mode;
    use super::super::ledger::{Ledger, Record};
    use super::super::secret::SecretRegister;
    use super::super::test_server::{Log, client, serve};
    use super::*;

    /// A deployment that makes applications but refuses consent scopes when `strict`.
    async fn gate(strict: bool) -> (Gate, Log) {
        let (endpoint, log) = serve(move |line, body| match line {
            "POST /api/applications" => {
                let body: Value = serde_json::from_str(body).unwrap();
                let id = if body["isThirdParty"] == true { "third" } else { "first" };
                json!({"id": id}).to_string().into_response()
            }
            "POST /api/applications/third/user-consent-scopes" if strict => {
                (StatusCode::FORBIDDEN, json!({"code": "auth.forbidden"}).to_string()).into_response()
            }
            "POST /api/applications/third/user-consent-scopes" => StatusCode::CREATED.into_response(),
            _ => json!([{"name": "Default", "value": "S1-secret"}]).to_string().into_response(),
        })
        .await;
        (Gate::new(client(endpoint), Mode::Isolated, Ledger::in_memory(), SecretRegister::new(), namespace("r1")), log)
    }

    #[tokio::test]
    async fn both_applications_are_made_and_their_secrets_registered() {
        let (gate, log) = gate(false).await;
        let made = provision(&gate, "token", "r1", Wants::ALL).await.unwrap();
        let client = |id: &str| {
            let (client_id, client_secret) = (id.to_owned(), Some("S1-secret".to_owned()));
            Some(OidcClient { client_id, client_secret, redirect_uri: REDIRECT_URI.to_owned() })
        };
        assert_eq!(made, Provisioned { first_party: client("first"), third_party: client("third") });
        assert_eq!(gate.secrets().redact("S1-secret"), "<secret>");
        let sent = log.lock().unwrap();
        let exchanging = |index: usize| sent[index].1.contains(r#""allowTokenExchange":true"#);
        assert!(exchanging(0) && !exchanging(2), "{sent:?}");
    }

    #[tokio::test]
    async fn what_was_made_before_a_failure_stands_in_the_ledger() {
        let (gate, _) = gate(true).await;
        let error = provision(&gate, "token", "r1", Wants::ALL).await.unwrap_err();
        assert!(matches!(error, ProvisionError::Refused { status: 403, .. }), "{error}");
        let settled: Vec<Record> = gate.ledger().records().into_iter().filter(|record| matches!(record, Record::Settle { .. })).collect();
        let record = |name: &str| Record::Settle { label: format!("application lc_r1_{name}"), id: name.to_owned() };
        assert_eq!(settled, [record("first"), record("third")]);
    }
}
