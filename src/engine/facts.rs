//! What a target says of itself before anything is planned.

use serde_json::{Value, json};

use super::published::read_published;
use super::run::{RunError, RunOptions};
use super::stage::get;
use crate::contract::{MessageKind, Version};
use crate::model::wire::Request;
use crate::plan::Facts;
use crate::target::{Clearance, Gate, GateError, Mode, keeps_tokens};

/// 1.43 knows client id metadata documents; the document's own version does not tell.
pub(super) async fn detect_version(gate: &Gate, admin: &str) -> Result<Version, RunError> {
    let request = Request::new("GET", "/api/configs/cimd").with_header("authorization", format!("Bearer {admin}"));
    let answer = gate.send(&request, &Clearance::read()).await.map_err(|error| RunError::Unreachable(error.to_string()))?;
    Ok(if answer.status == 404 { Version::KNOWN[0] } else { Version::NEWEST })
}

pub(super) async fn read_facts(gate: &Gate, admin: &str, options: &RunOptions) -> Result<Facts, RunError> {
    let fail = |error: GateError| RunError::Unreachable(error.to_string());
    let account_center = get(gate, admin, "/api/account-center").await.map_err(fail)?;
    let experience = get(gate, admin, "/api/sign-in-exp").await.map_err(fail)?;
    if !account_center.is_object() || !experience.is_object() {
        return Err(RunError::Unreachable(
            "GET /api/account-center or /api/sign-in-exp brings no settings: the endpoint is no Logto of a known version, or the machine application lacks the Management API role".into(),
        ));
    }
    let methods = experience.pointer("/signIn/methods").and_then(Value::as_array).cloned().unwrap_or_default();
    let by_username =
        methods.iter().any(|method| method.get("identifier") == Some(&json!("username")) && method.get("password") == Some(&json!(true)));
    let (published, unpublished) = match read_published(gate).await {
        Ok(published) => (Some(published), None),
        Err(why) => (None, Some(why)),
    };
    let keeps_tokens =
        options.provider.is_some() && options.mode == Mode::Exclusive && keeps_tokens(gate, admin, &options.run).await.map_err(fail)?;
    let storage = get(gate, admin, "/api/user-assets/service-status").await.map_err(fail)?;
    let factories = get(gate, admin, "/api/connector-factories").await.map_err(fail)?;
    let factories = factories.as_array().into_iter().flatten().map(|factory| {
        let kept = ["id", "type", "platform", "isStandard", "isTokenStorageSupported"];
        let mut known = json!({"isStandard": false, "isTokenStorageSupported": false});
        for name in kept {
            known[name] = factory.get(name).unwrap_or(&known[name]).clone();
        }
        known
    });
    let factories = factories.collect();
    let connectors = get(gate, admin, "/api/connectors").await.map_err(fail)?;
    let connectors = connectors.as_array().into_iter().flatten().map(|connector| {
        let kept = ["id", "connectorId", "type", "target", "enableTokenStorage"];
        Value::Object(kept.iter().filter_map(|name| Some(((*name).to_owned(), nameless(connector.get(*name)?, &options.run)))).collect())
    });
    let connectors: Vec<Value> = connectors.collect();
    let stands = |kind: MessageKind| connectors.iter().any(|connector| connector.get("type") == Some(&json!(kind)));
    let reaches = |kind: &MessageKind| options.channel.as_ref().is_some_and(|channel| channel.reaches(*kind)) && stands(*kind);
    Ok(Facts {
        account_center,
        channels: MessageKind::ALL.into_iter().filter(reaches).collect(),
        connectors,
        sign_in_experience: experience,
        resource: options.credentials.resource.clone(),
        may_change_settings: options.mode == Mode::Exclusive,
        default_roles: read_default_roles(gate, admin).await.map_err(fail)?,
        can_sign_in: by_username,
        has_provider: options.provider.is_some() && options.mode == Mode::Exclusive,
        has_storage: storage.get("status") == Some(&json!("ready")),
        factories,
        keeps_tokens,
        may_wait: options.time.may_wait(),
        published,
        unpublished,
    })
}

/// A value of a connector without the name of the run in it: plans of different runs are the same.
fn nameless(value: &Value, run: &str) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| text.replace(run, "{{run}}").into())
}

/// The roles that every new user gets. What a target does not list, it does not give.
async fn read_default_roles(gate: &Gate, admin: &str) -> Result<Vec<Value>, GateError> {
    const PAGE: usize = 100;
    let mut found = Vec::new();
    for page in 1.. {
        let roles = get(gate, admin, &format!("/api/roles?type=User&page={page}&page_size={PAGE}")).await?;
        let roles = roles.as_array().cloned().unwrap_or_default();
        let full = roles.len() == PAGE;
        found.extend(roles.into_iter().filter(|role| role.get("isDefault") == Some(&Value::Bool(true))));
        if !full {
            break;
        }
    }
    Ok(found)
}
