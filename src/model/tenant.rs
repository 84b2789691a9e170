//! Objects of the tenant that take more than a body to make: applications and connectors.

use serde_json::{Map, Value, json};

use super::effect::set_members;
use super::state::{Entity, Fresh, KNOWS_ALL, Key, Kind, State, Term};

/// The id of the tenant, as its settings show it.
pub fn id(state: &State) -> Term {
    state.settings(&Key::account_center()).get("tenantId").clone()
}

/// Kinds of applications that have secrets.
const WITH_SECRETS: [&str; 3] = ["Traditional", "MachineToMachine", "Protected"];

/// Name of the secret that an application is made with.
const FIRST_SECRET: &str = "Default secret";

/// Makes an application, with its first secret where it can have secrets.
pub fn create_application(input: &Value, state: &mut State) -> Key {
    let mut application = Entity::from_json(&json!({
        "description": null, "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": {},
        "protectedAppMetadata": null, "customData": {}, "isThirdParty": false, "appLevelAccessControlEnabled": false, "isAdmin": false,
        KNOWS_ALL: true,
    }));
    application.set("tenantId", id(state));
    application.set("id", Term::Fresh(Fresh::RecordId));
    application.set("createdAt", Term::Fresh(Fresh::Now));
    let kind = input.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut members: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    members.remove("protectedAppMetadata");
    set_members(&mut application, &Value::Object(members));
    if kind == "Protected" {
        application.set("protectedAppMetadata", Term::Unknown);
        application.set("oidcClientMetadata", Term::Unknown);
    }
    let key = Key::unborn(Kind::Application, state);
    if WITH_SECRETS.contains(&kind) {
        let secret = Entity::default()
            .with("tenantId", id(state))
            .with("owner", key.id.as_str())
            .with("applicationId", key.id.as_str())
            .with("name", FIRST_SECRET)
            .with("value", Term::Fresh(Fresh::Secret))
            .with("createdAt", Term::Fresh(Fresh::Now))
            .with("expiresAt", Value::Null);
        state.insert(Key::new(Kind::ApplicationSecret, format!("{}/{FIRST_SECRET}", key.id)), secret);
    } else {
        application.set("clientSecret", Value::Null);
    }
    state.insert(key.clone(), application);
    key
}

/// Kinds of connectors of which there is one.
const SINGLE_CONNECTORS: [&str; 2] = ["Email", "Sms"];

/// Makes a connector as its factory has it; one for messages takes the place of those of its kind.
pub fn create_connector(input: &Value, state: &mut State) -> Key {
    let factory = input.get("connectorId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut connector = state.find(Kind::ConnectorFactory, &factory).cloned().unwrap_or_default();
    if let Some(Some(kind)) = connector.text("type").filter(|kind| kind.is_some_and(|kind| SINGLE_CONNECTORS.contains(&kind))) {
        let same = |(id, other): (&str, &Entity)| (other.text("type") == Some(Some(kind))).then(|| Key::new(Kind::Connector, id));
        for key in state.all(Kind::Connector).filter_map(same).collect::<Vec<_>>() {
            state.delete(&key);
        }
    }
    // Of a kind that is no standard the deployment says nothing.
    if connector.flag("isStandard") == Some(false) {
        connector.set("isStandard", Term::Unknown);
    }
    for (name, absent) in
        [("syncProfile", json!(false)), ("enableTokenStorage", json!(false)), ("config", json!({})), ("metadata", json!({}))]
    {
        connector.set(name, clean(input.get(name).unwrap_or(&absent)));
    }
    connector.set("connectorId", factory.as_str());
    set_look(&mut connector, input.get("metadata"));
    let key = if let Some(id) = input.get("id").and_then(Value::as_str) {
        connector.set("id", id);
        Key::new(Kind::Connector, id)
    } else {
        connector.set("id", Term::Fresh(Fresh::UserId));
        Key::unborn(Kind::Connector, state)
    };
    state.insert(key.clone(), connector);
    key
}

/// Makes an enterprise connector. Domains are kept in small letters, and settings with what their absence means.
pub fn create_sso_connector(input: &Value, state: &mut State) -> Key {
    let mut connector = Entity::from_json(&json!({
        "config": {}, "domains": [], "branding": {}, "syncProfile": false, "enableTokenStorage": false,
    }));
    connector.set("tenantId", id(state));
    connector.set("id", Term::Fresh(Fresh::UserId));
    connector.set("createdAt", Term::Fresh(Fresh::Now));
    // Of the provider itself it is known how it speaks; how it looks is its own.
    let speaks = match input.get("providerName").and_then(Value::as_str) {
        Some("SAML" | "AzureAD") => "saml",
        _ => "oidc",
    };
    connector.set("providerType", speaks);
    for open in ["name", "providerLogo", "providerLogoDark"] {
        connector.set(open, Term::Unknown);
    }
    for (name, value) in input.as_object().into_iter().flatten() {
        let stored = match (name.as_str(), value) {
            ("domains", Value::Array(domains)) => {
                domains.iter().map(|domain| domain.as_str().map_or(Value::Null, |domain| domain.to_lowercase().into())).collect()
            }
            ("config", Value::Object(config)) => Value::Object(settings(config)),
            _ => value.clone(),
        };
        connector.set(name.clone(), stored);
    }
    let key = Key::unborn(Kind::SsoConnector, state);
    state.insert(key.clone(), connector);
    key
}

/// Settings of a connector to an `OpenID` Connect provider, without what its provider does not know.
fn settings(config: &Map<String, Value>) -> Map<String, Value> {
    let known = ["clientId", "clientSecret", "issuer", "scope", "trustUnverifiedEmail"];
    let mut kept: Map<String, Value> =
        config.iter().filter(|(name, _)| known.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect();
    kept.entry("trustUnverifiedEmail").or_insert(Value::Bool(false));
    kept
}

/// Changes a connector; what its own look does not say is its factory's.
pub fn update_connector(connector: &mut Entity, factory: &Entity, input: &Value) {
    for (name, value) in input.as_object().into_iter().flatten() {
        connector.set(name.clone(), clean(value));
    }
    if let Some(metadata) = input.get("metadata") {
        for name in ["name", "logo", "logoDark"] {
            connector.set(name, factory.get(name).clone());
        }
        set_look(connector, Some(metadata));
    }
}

/// What a connector shows of its own look in place of its factory's.
fn set_look(connector: &mut Entity, metadata: Option<&Value>) {
    let own = metadata.map(clean).unwrap_or_default();
    for (name, value) in own.as_object().into_iter().flatten() {
        connector.set(name.clone(), value.clone());
    }
}

/// A value without the members that say nothing: null, empty texts, lists and objects.
fn clean(value: &Value) -> Value {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), clean(value))).filter(|(_, value)| says(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(clean).filter(says).collect()),
        other => other.clone(),
    }
}

/// Removes the `{name}` object of this name from a list.
pub fn drop_named(settings: &mut Entity, property: &str, name: &str) {
    if let Some(Value::Array(fields)) = settings.known(property) {
        let kept: Vec<Value> = fields.iter().filter(|field| field.get("name").is_none_or(|known| known != name)).cloned().collect();
        settings.set(property, Value::Array(kept));
    }
}

#[cfg(test)]
#[path = "tenant_tests.rs"]
mod tests;
