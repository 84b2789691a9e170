//! The connectors of a channel: set up in the place of the tenant's own, and the tenant's own put back as they were.
//!
//! A tenant has one connector for mail and one for text messages; `POST /api/connectors` puts a new one in the place of the
//! old one at once, and takes an id. The list is sorted by id. So the old one, made again with its id, stands as before.

use serde_json::{Value, json};

use super::gate::{Clearance, Gate, GateError};
use super::ledger::Intent;
use crate::model::json::same;
use crate::model::wire::{Answer, Request};

/// What a connector is made of; everything else in a list follows from it.
const PARTS: [&str; 6] = ["id", "connectorId", "config", "metadata", "syncProfile", "enableTokenStorage"];

/// Words in the names of settings whose values must not be printed.
const SECRET_WORDS: [&str; 7] = ["secret", "pass", "key", "token", "auth", "credential", "sid"];

/// Why a channel's connectors do not stand, or the tenant's own are not back.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The deployment has no such factory.
    #[error("the target has no connector `{0}`; use a version of Logto that has it, or another `--channel`")]
    NoFactory(String),
    /// The present connector could not be made again.
    #[error("the {kind} connector `{factory}` of the target could not be put back; use `--channel mailpit`, `file` or `command`")]
    Irreplaceable {
        /// What it sends.
        kind: String,
        /// What it is made of.
        factory: String,
    },
    /// Somebody else changed it meanwhile.
    #[error("{0}")]
    Changed(String),
    /// The deployment refuses.
    #[error("cannot {step}: the deployment answers {status} {code}")]
    Refused {
        /// The step, in words.
        step: &'static str,
        /// Status code.
        status: u16,
        /// Error code of the answer.
        code: String,
    },
    /// The copy of the present connector cannot be written or read.
    #[error("cannot use the copy of the connector beside the ledger: {0}")]
    Vault(#[from] std::io::Error),
    /// No answer.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Sets connectors up, bodies of `POST /api/connectors`, in the place of the present ones of their kinds. What stands there
/// is on disk before, so that [`cleanup`](super::cleanup()) can put it back. Fails before anything is changed when that
/// would not be possible.
pub async fn connect(gate: &Gate, admin_token: &str, bodies: &[Value]) -> Result<(), ConnectError> {
    if bodies.is_empty() {
        return Ok(());
    }
    let admin = Admin { gate, token: admin_token };
    let factories = admin.list("/api/connector-factories", "list the connector factories").await?;
    let factory = |id: Option<&Value>| factories.iter().find(|factory| factory.get("id") == id);
    let present = admin.connectors().await?;
    let mut changes = Vec::new();
    for body in bodies {
        let id = text(body, "connectorId");
        let kind = factory(body.get("connectorId")).map(|factory| text(factory, "type")).ok_or(ConnectError::NoFactory(id))?;
        let before = present.iter().find(|connector| text(connector, "type") == kind);
        if let Some(before) = before {
            let made_again = factory(before.get("connectorId")).is_some_and(|factory| factory.get("isDemo") != Some(&json!(true)));
            if !made_again {
                return Err(ConnectError::Irreplaceable { kind, factory: text(before, "connectorId") });
            }
        }
        changes.push((body, kind, before));
    }
    for (body, kind, before) in changes {
        // Not named like an object of the run, so that a clean-up of those does not take it for one.
        let ours = format!("{}{}", gate.namespace().replace('_', "-"), kind.to_lowercase());
        let intent = Intent::Connector { sends: kind, ours: ours.clone(), before: before.map(|before| text(before, "id")) };
        gate.announce(std::slice::from_ref(&intent)).await?;
        if let Some(before) = before {
            register(gate, before.get("config"));
            keep(gate, &intent, before).await?;
        }
        let mut body = body.clone();
        body["id"] = ours.clone().into();
        gate.own(ours);
        admin.make(&body, &Clearance::intending(intent)).await?;
    }
    Ok(())
}

/// Takes our connector away and puts the one before it back; says whether something was left to do. Can be done again.
pub(super) async fn disconnect(gate: &Gate, admin_token: &str, intent: &Intent) -> Result<bool, ConnectError> {
    let Intent::Connector { sends, ours, before } = intent else { return Ok(false) };
    let admin = Admin { gate, token: admin_token };
    let present = async || Ok::<_, ConnectError>(admin.connectors().await?.into_iter().find(|connector| text(connector, "type") == *sends));
    let standing = present().await?;
    let id = standing.as_ref().map(|connector| text(connector, "id"));
    let Some(before) = before else {
        if id.as_ref() != Some(ours) {
            return Ok(false);
        }
        admin.delete(ours).await?;
        return Ok(true);
    };
    let foreign = |id: &String| id != ours && id != before;
    if let Some(other) = id.as_ref().filter(|id| foreign(id)) {
        return Err(ConnectError::Changed(format!("`{other}` stands there now; somebody else put it in the place of `{before}`")));
    }
    let kept = gate.ledger().vault().read(&intent.label())?;
    if id.as_ref() == Some(before) {
        let unlike = kept.as_ref().zip(standing.as_ref()).is_some_and(|(kept, standing)| !alike(kept, standing));
        return if unlike { Err(ConnectError::Changed(format!("`{before}` differs from before the run"))) } else { Ok(false) };
    }
    let kept = kept.ok_or_else(|| ConnectError::Changed(format!("`{before}` is gone, and so is its copy beside the ledger")))?;
    register(gate, kept.get("config"));
    let parts = PARTS.iter().filter_map(|name| Some(((*name).to_owned(), kept.get(*name)?.clone())));
    let tenant_wide = Clearance { tenant_wide: true, ..Clearance::write() };
    gate.own(ours);
    admin.make(&Value::Object(parts.collect()), &tenant_wide).await?;
    match present().await? {
        Some(standing) if alike(&kept, &standing) => Ok(true),
        _ => Err(ConnectError::Changed(format!("`{before}` was made again and differs from before the run"))),
    }
}

/// Whether two views of a connector are the same but for what is counted.
fn alike(one: &Value, other: &Value) -> bool {
    let still = |connector: &Value| {
        let mut connector = connector.clone();
        connector.as_object_mut().map(|members| members.remove("usage"));
        connector
    };
    same(&still(one), &still(other))
}

async fn keep(gate: &Gate, intent: &Intent, before: &Value) -> Result<(), ConnectError> {
    let (vault, name, before) = (gate.ledger().vault().clone(), intent.label(), before.clone());
    let kept = tokio::task::spawn_blocking(move || vault.keep(&name, &before)).await;
    Ok(kept.unwrap_or_else(|cause| Err(std::io::Error::other(cause)))?)
}

/// Registers what looks like a secret in the settings of a connector.
fn register(gate: &Gate, config: Option<&Value>) {
    let mut open: Vec<(bool, &Value)> = config.into_iter().map(|config| (false, config)).collect();
    while let Some((secret, value)) = open.pop() {
        match value {
            Value::String(text) if secret => gate.secrets().register(text),
            Value::Array(items) => open.extend(items.iter().map(|item| (secret, item))),
            Value::Object(members) => open.extend(members.iter().map(|(name, member)| {
                let name = name.to_lowercase();
                (secret || SECRET_WORDS.iter().any(|word| name.contains(word)), member)
            })),
            _ => {}
        }
    }
}

struct Admin<'a> {
    gate: &'a Gate,
    token: &'a str,
}

impl Admin<'_> {
    async fn connectors(&self) -> Result<Vec<Value>, ConnectError> {
        self.list("/api/connectors", "list the connectors").await
    }

    async fn list(&self, target: &str, step: &'static str) -> Result<Vec<Value>, ConnectError> {
        let answer = self.send(Request::new("GET", target), &Clearance::read()).await?;
        match (answer.status, answer.json()) {
            (200, Some(Value::Array(items))) => Ok(items.clone()),
            _ => Err(refused(step, &answer)),
        }
    }

    async fn make(&self, body: &Value, clearance: &Clearance) -> Result<(), ConnectError> {
        let answer = self.send(Request::new("POST", "/api/connectors").with_json(body), clearance).await?;
        if answer.status == 200 { Ok(()) } else { Err(refused("make a connector", &answer)) }
    }

    async fn delete(&self, id: &str) -> Result<(), ConnectError> {
        self.gate.own(id);
        let clearance = Clearance { tenant_wide: true, ..Clearance::destroying(id) };
        let answer = self.send(Request::new("DELETE", format!("/api/connectors/{id}")), &clearance).await?;
        if matches!(answer.status, 204 | 404) { Ok(()) } else { Err(refused("delete a connector", &answer)) }
    }

    async fn send(&self, request: Request, clearance: &Clearance) -> Result<Answer, ConnectError> {
        let request = request.with_header("authorization", format!("Bearer {}", self.token));
        Ok(self.gate.send(&request, clearance).await?)
    }
}

fn refused(step: &'static str, answer: &Answer) -> ConnectError {
    let code = answer.json().as_ref().map(|body| text(body, "code")).unwrap_or_default();
    ConnectError::Refused { step, status: answer.status, code }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "connectors_tests.rs"]
mod tests;
