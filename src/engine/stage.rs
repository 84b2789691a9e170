//! The stage that the sequences of an epoch are executed on: its settings, brought about and kept.

use serde_json::{Value, json};

use super::execute::{Context, Trace, execute};
use crate::model::json::same;
use crate::model::wire::Request;
use crate::plan::{Sequence, Settings};
use crate::target::{Clearance, Gate, GateError, Intent, put_back_experience};

/// Where the sequences of one epoch are executed.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// What all sequences of the run share.
    pub context: &'a Context,
    /// The settings; `None`: as found.
    pub settings: Option<&'a Settings>,
    /// A token of the administrator, for the settings.
    pub admin: &'a str,
    /// The sequences change settings themselves: each finds them brought about anew.
    pub alone: bool,
}

impl Stage<'_> {
    /// Executes a sequence on fresh data.
    pub async fn execute(&self, sequence: &Sequence) -> Trace {
        if self.alone {
            // What cannot be brought about shows in the answers.
            drop(self.settle().await);
            drop(self.apply().await);
        }
        execute(self.context, sequence, self.settings).await
    }

    /// Brings the settings about.
    pub async fn apply(&self) -> Result<(), String> {
        apply(self.context, self.admin, self.settings).await
    }

    /// Puts back what the sequences may have changed besides.
    pub async fn leave(&self) -> Result<(), String> {
        if self.alone { self.settle().await } else { Ok(()) }
    }

    async fn settle(&self) -> Result<(), String> {
        put_back_experience(&self.context.gate, self.admin, &self.context.facts.sign_in_experience).await
    }
}

/// Brings settings about (without any: those found) and reads back until they show: the server caches them.
async fn apply(context: &Context, admin: &str, settings: Option<&Settings>) -> Result<(), String> {
    let mut body = json!({});
    for name in ["enabled", "fields", "webauthnRelatedOrigins", "deleteAccountUrl", "customCss", "profileFields"] {
        if let Some(value) = context.facts.account_center.get(name) {
            body[name] = value.clone();
        }
    }
    for (name, value) in settings.map(Settings::patch).iter().filter_map(Value::as_object).flatten() {
        body[name] = value.clone();
    }
    let intent = Intent::AccountCenter { before: context.facts.account_center.clone() };
    let clearance = Clearance { tenant_wide: true, ..Clearance::intending(intent) };
    let request = Request::new("PATCH", "/api/account-center").with_header("authorization", format!("Bearer {admin}")).with_json(&body);
    let answer = context.gate.send(&request, &clearance).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("PATCH /api/account-center answers {}", answer.status));
    }
    for _ in 0..20 {
        let center = get(&context.gate, admin, "/api/account-center").await.map_err(|error| error.to_string())?;
        if center.get("fields") == body.get("fields") && center.get("enabled") == body.get("enabled") {
            return apply_factors(context, admin, settings).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err("the settings do not show after 2 s".into())
}

/// Switches the second factors of the tenant on or off, or leaves them as found.
async fn apply_factors(context: &Context, admin: &str, settings: Option<&Settings>) -> Result<(), String> {
    let found = &context.facts.sign_in_experience;
    let Some(mfa) = settings.and_then(Settings::mfa).or_else(|| found.get("mfa").cloned()) else { return Ok(()) };
    let mut wanted = json!({"mfa": mfa});
    // Without factors a deployment would switch this off by itself, unless it is told.
    if let Some(adaptive) = found.get("adaptiveMfa") {
        wanted["adaptiveMfa"] = adaptive.clone();
    }
    let shows = async || {
        let now = get(&context.gate, admin, "/api/sign-in-exp").await.map_err(|error| error.to_string())?;
        Ok::<bool, String>(wanted.as_object().into_iter().flatten().all(|(name, value)| now.get(name).is_some_and(|now| same(now, value))))
    };
    if shows().await? {
        return Ok(());
    }
    let intent = Intent::SignInExperience { before: found.clone() };
    let request = Request::new("PATCH", "/api/sign-in-exp").with_header("authorization", format!("Bearer {admin}"));
    let answer = context.gate.send(&request.with_json(&wanted), &Clearance::intending(intent)).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("PATCH /api/sign-in-exp answers {}", answer.status));
    }
    for _ in 0..20 {
        if shows().await? {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err("the second factors of the tenant do not show after 2 s".into())
}

/// The JSON that a path shows; null when it shows none.
pub async fn get(gate: &Gate, token: &str, path: &str) -> Result<Value, GateError> {
    let request = Request::new("GET", path).with_header("authorization", format!("Bearer {token}"));
    let answer = gate.send(&request, &Clearance::read()).await?;
    Ok(if answer.status == 200 { answer.into_json().unwrap_or_default() } else { Value::Null })
}
