//! What each accepted operation does to the state.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::call::Call;
use super::guard::scopes;
use super::message;
use super::rules::{MOCK_SOCIAL, Phone, mock_account, parse_phone};
use super::select::{owner_of, targets};
use super::session;
use super::state::{Entity, Fresh, KNOWS_ALL, Key, Kind, State, Term};
use crate::contract::effect::Create;
use crate::contract::entity::{Selector, Target};
use crate::contract::guard::{Place, ValueRef};
use crate::contract::{Effect, Named};

/// Scopes a token for the Account API can carry; others are dropped without a word.
const ACCOUNT_SCOPES: &[&str] = &[
    "openid",
    "offline_access",
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
    "urn:logto:scope:trusted_devices",
];

/// Seconds a subject token lives.
const SUBJECT_TOKEN_LIFE: i64 = 600;
/// Seconds a verification record lives.
const RECORD_LIFE: u32 = 600;
/// Seconds an access token lives.
const TOKEN_LIFE: i64 = 3600;

/// The algorithm by which new passwords are stored.
const SETTLED: &str = "Argon2i";

/// Text properties whose empty text is stored as null.
const EMPTY_IS_NULL: &[&str] = &[
    "username",
    "primaryEmail",
    "primaryPhone",
    "name",
    "avatar",
    "deleteAccountUrl",
    "customCss",
    "description",
    "termsOfUseUrl",
    "privacyPolicyUrl",
    "supportEmail",
    "supportWebsiteUrl",
    "unknownSessionRedirectUrl",
];

/// Whether a resource indicator is that of the Management API.
pub fn is_management(resource: &str) -> bool {
    resource.strip_prefix("https://").is_some_and(|rest| rest.ends_with(".logto.app/api") && !rest.contains("/me"))
}

/// Applies the effects of an accepted call in order. Returns the entities they made.
pub fn apply(call: &Call<'_>, state: &mut State, now: i64) -> Vec<Key> {
    call.operation.effects.iter().flat_map(|effect| apply_one(effect, call, state, now)).collect()
}

fn apply_one(effect: &Effect, call: &Call<'_>, state: &mut State, now: i64) -> Vec<Key> {
    match effect {
        Effect::Named(named) => return apply_named(*named, call, state, now).into_iter().collect(),
        Effect::Set { target, with, .. } if !with.is_empty() => {
            change(state, &targets(call, state, target), |entity| {
                for (name, value) in with {
                    entity.set(name.clone(), value.clone());
                }
            });
        }
        Effect::Set { target, from, property, .. } => {
            let Some(value) = given(call, from.as_ref()) else { return Vec::new() };
            change(state, &targets(call, state, target), |entity| match property {
                Some(name) => entity.set(name.clone(), stored(name, &value)),
                None => set_members(entity, &value),
            });
        }
        Effect::Merge { target, property, from } => {
            let Some(value) = given(call, from.as_ref()) else { return Vec::new() };
            change(state, &targets(call, state, target), |entity| {
                let merged = match (entity.known(property), &value) {
                    (Some(Value::Object(old)), Value::Object(changes)) => {
                        let mut merged = old.clone();
                        merged.extend(changes.clone());
                        Term::Known(Value::Object(merged))
                    }
                    _ => Term::Unknown,
                };
                entity.set(property.clone(), merged);
            });
        }
        Effect::SetMember { target, property, name, from } => {
            let Some(value) = given(call, from.as_ref()) else { return Vec::new() };
            set_member(state, &targets(call, state, target), property, call.text(name), Some(&value));
        }
        Effect::RemoveMember { target, property, name } => {
            set_member(state, &targets(call, state, target), property, call.text(name), None);
        }
        Effect::Create(create) => return make(create, call, state),
        Effect::Delete(selector) => {
            for key in targets(call, state, &Target::Selected(selector.clone())) {
                state.delete(&key);
            }
            // Where everything goes but what is named, nothing unknown is left.
            let owner = selector.of.as_ref().and_then(|owner| owner_of(call, state, selector.kind, owner));
            if let (None, Some(owner)) = (&selector.value, owner) {
                state.told_all(selector.kind, &owner);
            }
        }
    }
    Vec::new()
}

/// Sets or removes one member of a property that is an object.
fn set_member(state: &mut State, keys: &[Key], property: &str, name: Option<String>, value: Option<&Value>) {
    change(state, keys, |entity| {
        let changed = match (entity.known(property), &name) {
            (Some(Value::Object(old)), Some(name)) => {
                let mut members = old.clone();
                match value {
                    Some(value) => drop(members.insert(name.clone(), value.clone())),
                    None => drop(members.shift_remove(name)),
                }
                Term::Known(Value::Object(members))
            }
            _ => Term::Unknown,
        };
        entity.set(property, changed);
    });
}

/// What the deletions of an operation do, should they be done alone.
pub fn delete_only(call: &Call<'_>, state: &mut State) {
    for effect in call.operation.effects.iter().filter(|effect| matches!(effect, Effect::Delete(_))) {
        apply_one(effect, call, state, 0);
    }
}

/// The value that an effect works with: the whole body, or a part of the request.
fn given(call: &Call<'_>, from: Option<&ValueRef>) -> Option<Value> {
    from.map_or_else(|| Some(call.input.clone()), |from| call.value(from))
}

/// Makes the entities of a `create`: one, or one for each element of a list.
fn make(create: &Create, call: &Call<'_>, state: &mut State) -> Vec<Key> {
    let elements = match &create.each {
        Some(list) => call.value(list).and_then(|list| list.as_array().cloned()).unwrap_or_default(),
        None => vec![Value::Null],
    };
    let mut made = Vec::new();
    for element in elements {
        let mut entity = Entity::default().with(KNOWS_ALL, true).with("tenantId", tenant(state));
        for (name, value) in &create.with {
            entity.set(name.clone(), value.clone());
        }
        if create.each.is_none() {
            set_members(&mut entity, &given(call, create.from.as_ref()).unwrap_or_default());
        }
        for (name, place) in &create.take {
            entity.set(name.clone(), call.value(place).unwrap_or_default());
        }
        for (name, fresh) in &create.fresh {
            entity.set(name.clone(), Term::Fresh(*fresh));
        }
        if let Some(name) = &create.element {
            entity.set(name.clone(), element.clone());
        }
        if let Some(owner) = &create.of {
            let owner = owner_of(call, state, create.kind, owner);
            entity.set("owner", owner.map_or(Term::Unknown, |owner| Term::Known(owner.id.into())));
        }
        let key = match create.id.as_ref().map(|template| render(template, call, state, &element)) {
            Some(Some(id)) => Key::new(create.kind, id),
            Some(None) => Key::unborn(create.kind, state),
            None => match entity.known("id").and_then(Value::as_str) {
                Some(id) => Key::new(create.kind, id),
                None => Key::unborn(create.kind, state),
            },
        };
        // An assignment that is there already stays as it is.
        if create.each.is_none() || state.get(&key).is_none() {
            state.insert(key.clone(), entity);
            made.push(key);
        }
    }
    made
}

/// The id of the tenant, as its settings show it.
fn tenant(state: &State) -> Term {
    state.settings(&Key::account_center()).get("tenantId").clone()
}

/// Fills `{path.x}`, `{body.y}`, `{caller}` and `{each}` in; `None` when one of them is not there.
pub fn render(template: &str, call: &Call<'_>, state: &State, element: &Value) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}')?;
        text.push_str(before);
        match name {
            "each" => text.push_str(element.as_str()?),
            "caller" => text.push_str(&call.caller(state)?.id),
            reference => text.push_str(&call.text(&ValueRef::parse(reference).ok()?)?),
        }
        rest = tail;
    }
    text.push_str(rest);
    Some(text)
}

fn apply_named(effect: Named, call: &Call<'_>, state: &mut State, now: i64) -> Option<Key> {
    let input = &call.input;
    let caller = call.caller(state);
    match effect {
        Named::SetCallerPassword => {
            let password = input.get("password").cloned().unwrap_or_default();
            change(state, caller.as_slice(), |user| set_password(user, password.clone()));
            None
        }
        Named::SetUserPassword => {
            let password = input.get("password").cloned().unwrap_or_default();
            change(state, call.subject().as_slice(), |user| set_password(user, password.clone()));
            None
        }
        Named::SettleUserPassword => {
            let subject = call.subject();
            let settled =
                subject.as_ref().and_then(|key| state.get(key)).is_some_and(|user| user.text("passwordAlgorithm") == Some(Some(SETTLED)));
            if !settled {
                let password = input.get("password").cloned().unwrap_or_default();
                change(state, subject.as_slice(), |user| set_password(user, password.clone()));
            }
            None
        }
        Named::LinkUserIdentity => {
            link_identity(call, state);
            None
        }
        Named::CreatePasswordRecord => {
            let key = Key::unborn(Kind::Record, state);
            let owner = caller.map_or(Term::Unknown, |caller| Term::Known(caller.id.into()));
            let record = Entity::default()
                .with("type", "Password")
                .with("verificationRecordId", Term::Fresh(Fresh::RecordId))
                .with("expiresAt", Term::Fresh(Fresh::IsoAfter(RECORD_LIFE)))
                .with("owner", owner)
                .with("verified", true)
                .with("verifies", true);
            state.insert(key.clone(), record);
            Some(key)
        }
        Named::CreateUser => Some(create_user(input, state)),
        Named::SuspendUser => {
            let suspended = input.get("isSuspended").cloned().unwrap_or_default();
            let subject = call.subject();
            change(state, subject.as_slice(), |user| user.set("isSuspended", suspended.clone()));
            if let (true, Some(subject)) = (suspended == true, subject) {
                state.kill_tokens(&subject.id);
                session::end_sessions(&subject.id, state);
            }
            None
        }
        Named::CreateSubjectToken => {
            let key = Key::unborn(Kind::SubjectToken, state);
            let token = Entity::default()
                .with("subjectToken", Term::Fresh(Fresh::SubjectToken))
                .with("expiresIn", json!(SUBJECT_TOKEN_LIFE))
                .with("user", input.get("userId").cloned().unwrap_or_default())
                .with("consumed", false)
                .with("expiresAt", json!(now + SUBJECT_TOKEN_LIFE * 1000));
            state.insert(key.clone(), token);
            Some(key)
        }
        Named::IssueToken => Some(issue_token(call, state, now)),
        Named::CreateOneTimeToken => Some(create_one_time_token(input, state)),
        Named::EndSession | Named::RevokeGrant => {
            end(effect, call, state);
            None
        }
        Named::MakeCode => {
            message::make_code(call, state, now);
            None
        }
        Named::CountMessage => {
            message::count_message(call, state, now);
            None
        }
        Named::UseCode => {
            message::use_code(call, state);
            None
        }
        Named::ForgetFailures => {
            message::forget_failures(call, state);
            None
        }
        Named::CreateApplication => Some(create_application(input, state)),
        Named::CreateConnector => Some(create_connector(input, state)),
        Named::UpdateConnector => {
            let key = Key::new(Kind::Connector, call.path.get("id").cloned().unwrap_or_default());
            let factory = state.get(&key).and_then(|connector| connector.text("connectorId").flatten()).unwrap_or_default();
            let factory = state.find(Kind::ConnectorFactory, factory).cloned().unwrap_or_default();
            state.update(&key, |connector| update_connector(connector, &factory, input));
            None
        }
        Named::SettleAdaptiveMfa => {
            let factors = input.get("mfa").and_then(|mfa| mfa.get("factors")).and_then(Value::as_array);
            if factors.is_some_and(Vec::is_empty) && input.get("adaptiveMfa").is_none() {
                state.update(&Key::sign_in_experience(), |settings| settings.set("adaptiveMfa", json!({"enabled": false})));
            }
            None
        }
        Named::DropProfileField => {
            let field = call.path.get("name").cloned().unwrap_or_default();
            for (key, property) in [(Key::account_center(), "profileFields"), (Key::sign_in_experience(), "signUpProfileFields")] {
                state.update(&key, |settings| drop_named(settings, property, &field));
            }
            None
        }
    }
}

/// Changes entities; a user's `updatedAt` moves on. Settings that were never seen are there nevertheless.
fn change(state: &mut State, keys: &[Key], change: impl Fn(&mut Entity)) {
    for key in keys {
        if key.kind == Kind::Settings && state.get(key).is_none() {
            state.insert(key.clone(), Entity::default());
        }
        state.update(key, |entity| {
            change(entity);
            if key.kind == Kind::User {
                let least = match entity.get("updatedAt") {
                    Term::Known(value) => value.as_f64().map_or(Term::Unknown, Term::AtLeast),
                    other => other.clone(),
                };
                entity.set("updatedAt", least);
            }
        });
    }
}

/// Sets the members of a body as they are stored.
///
/// Names of `profileFields` that the tenant's catalogue does not have are dropped, and the catalogue is not known here.
fn set_members(entity: &mut Entity, input: &Value) {
    for (name, value) in input.as_object().into_iter().flatten() {
        entity.set(name.clone(), stored(name, value));
    }
}

fn stored(name: &str, value: &Value) -> Term {
    Term::Known(match (name, value) {
        (_, Value::String(text)) if text.is_empty() && EMPTY_IS_NULL.contains(&name) => Value::Null,
        ("primaryPhone", Value::String(digits)) => match parse_phone(digits) {
            Phone::Valid(stored) => Value::String(stored),
            _ => return Term::Unknown,
        },
        ("webauthnRelatedOrigins", Value::Array(origins)) => {
            let mut distinct: Vec<Value> = Vec::new();
            for origin in origins {
                if !distinct.contains(origin) {
                    distinct.push(origin.clone());
                }
            }
            Value::Array(distinct)
        }
        ("profileFields" | "signUpProfileFields" | "socialSignInConnectorTargets", Value::Array(names)) if !names.is_empty() => {
            return Term::Unknown;
        }
        ("passwordExpiration", Value::Object(rule)) if rule.get("enabled") != Some(&Value::Bool(false)) => return Term::Unknown,
        ("emailBlocklistPolicy", Value::Object(lists)) if lists.values().any(Value::is_array) => return Term::Unknown,
        _ => value.clone(),
    })
}

fn set_password(user: &mut Entity, password: Value) {
    user.set("password", password);
    user.set("hasPassword", json!(true));
    user.set("passwordAlgorithm", json!(SETTLED));
    user.set("passwordDigest", Term::Unknown);
}

/// Links the account that a connector reads from its provider's answer, as far as is known how it reads.
fn link_identity(call: &Call<'_>, state: &mut State) {
    let text = |name: &str| call.input.get(name).and_then(Value::as_str);
    let connector = text("connectorId").and_then(|id| state.find(Kind::Connector, id));
    let known = connector.filter(|connector| connector.text("connectorId") == Some(Some(MOCK_SOCIAL)));
    let target = known.and_then(|connector| connector.text("target").flatten()).map(str::to_owned);
    let account = call.input.get("connectorData").and_then(mock_account).flatten();
    match target.zip(account) {
        Some((target, account)) => set_member(state, call.subject().as_slice(), "identities", Some(target), Some(&account)),
        None => change(state, call.subject().as_slice(), |user| user.set("identities", Term::Unknown)),
    }
}

fn create_user(input: &Value, state: &mut State) -> Key {
    let mut user = Entity::from_json(&json!({
        "username": null, "primaryEmail": null, "primaryPhone": null, "name": null, "avatar": null, "customData": {}, "identities": {},
        "lastSignInAt": null, "profile": {}, "applicationId": null, "cimdClientId": null, "isSuspended": false, "hasPassword": false,
        "ssoIdentities": [], "password": null, "passwordDigest": null, "passwordAlgorithm": null, "failures": 0,
        "mfaSettings": {"skipMfaOnSignIn": false}, KNOWS_ALL: true,
    }));
    user.set("id", Term::Fresh(Fresh::UserId));
    user.set("createdAt", Term::Fresh(Fresh::Now));
    user.set("updatedAt", Term::Fresh(Fresh::Now));
    let secrets = ["password", "passwordDigest", "passwordAlgorithm"];
    let mut visible: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    visible.retain(|name, _| !secrets.contains(&name.as_str()));
    set_members(&mut user, &Value::Object(visible));
    if let Some(password) = input.get("password") {
        set_password(&mut user, password.clone());
    } else if input.get("passwordDigest").is_some() {
        user.set("hasPassword", json!(true));
        user.set("password", Term::Unknown);
        user.set("passwordAlgorithm", input.get("passwordAlgorithm").cloned().unwrap_or_default());
        user.set("passwordDigest", Term::Unknown);
    }
    // Roles that new users get may have been there before anything was seen.
    if !state.is_closed() {
        user.set(format!("{KNOWS_ALL}:{}", Kind::UserRole), false);
    }
    let key = Key::unborn(Kind::User, state);
    state.insert(key.clone(), user);
    let given = state.all(Kind::Role).filter(|(_, role)| role.exists() && role.flag("isDefault") == Some(true));
    let given: Vec<String> = given.map(|(id, _)| id.to_owned()).collect();
    for role in given {
        let assigned = Entity::default().with("owner", key.id.as_str()).with("roleId", role.as_str());
        state.insert(Key::new(Kind::UserRole, format!("{}/{role}", key.id)), assigned);
    }
    key
}

/// Ends what the last parameter of the path names.
fn end(effect: Named, call: &Call<'_>, state: &mut State) {
    let (kind, parameter) = if effect == Named::EndSession { (Kind::Session, "sessionId") } else { (Kind::Grant, "grantId") };
    let Some(property) = session::naming(kind) else { return };
    let value = ValueRef { place: Place::Path, name: parameter.to_owned() };
    let by = Some(property.to_owned());
    let named = Selector { kind, value: Some(value), of: None, by, with: BTreeMap::new(), except: None };
    let known = targets(call, state, &Target::Selected(named));
    if known.is_empty() {
        // It is one of those whose ids were never told apart.
        let owner = call.subject().or_else(|| call.caller(state));
        state.lost_sight(kind);
        if let Some(owner) = owner.filter(|_| kind == Kind::Grant || call.query.contains_key("revokeGrantsTarget")) {
            state.doubt_tokens(&owner.id);
        }
    }
    for key in known {
        if kind == Kind::Grant {
            session::revoke_grant(&key, state);
            continue;
        }
        if let Some(target) = call.query.get("revokeGrantsTarget") {
            session::revoke_grants_of(&key, target == "firstParty", state);
        }
        session::end_session(&key, state);
    }
}

/// Seconds a one-time token lives when nothing else is asked for.
const ONE_TIME_TOKEN_LIFE: u64 = 600;

fn create_one_time_token(input: &Value, state: &mut State) -> Key {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema admits no less than one, fractions are cut off"
    )]
    let life = input.get("expiresIn").and_then(Value::as_f64).map_or(ONE_TIME_TOKEN_LIFE, |seconds| seconds as u64);
    let token = Entity::from_json(&json!({"context": {}, "status": "active"}))
        .with("tenantId", tenant(state))
        .with("id", Term::Fresh(Fresh::RecordId))
        .with("token", Term::Fresh(Fresh::Secret))
        .with("createdAt", Term::Fresh(Fresh::Now))
        .with("expiresAt", Term::Fresh(Fresh::MsAfter(life)));
    let key = Key::unborn(Kind::OneTimeToken, state);
    state.insert(key.clone(), token);
    state.update(&key, |token| {
        token.set("email", input.get("email").cloned().unwrap_or_default());
        token.set("owner", input.get("email").cloned().unwrap_or_default());
        if let Some(context) = input.get("context") {
            token.set("context", context.clone());
        }
    });
    key
}

/// Kinds of applications that have secrets.
const WITH_SECRETS: [&str; 3] = ["Traditional", "MachineToMachine", "Protected"];

/// Name of the secret that an application is made with.
const FIRST_SECRET: &str = "Default secret";

fn create_application(input: &Value, state: &mut State) -> Key {
    let mut application = Entity::from_json(&json!({
        "description": null, "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": {},
        "protectedAppMetadata": null, "customData": {}, "isThirdParty": false, "appLevelAccessControlEnabled": false, "isAdmin": false,
        KNOWS_ALL: true,
    }));
    application.set("tenantId", tenant(state));
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
            .with("tenantId", tenant(state))
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

fn create_connector(input: &Value, state: &mut State) -> Key {
    let factory = input.get("connectorId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut connector = state.find(Kind::ConnectorFactory, &factory).cloned().unwrap_or_default();
    if let Some(Some(kind)) = connector.text("type").filter(|kind| kind.is_some_and(|kind| SINGLE_CONNECTORS.contains(&kind))) {
        let same = |(id, other): (&str, &Entity)| (other.text("type") == Some(Some(kind))).then(|| Key::new(Kind::Connector, id));
        for key in state.all(Kind::Connector).filter_map(same).collect::<Vec<_>>() {
            state.delete(&key);
        }
    }
    for (name, absent) in
        [("syncProfile", json!(false)), ("enableTokenStorage", json!(false)), ("config", json!({})), ("metadata", json!({}))]
    {
        connector.set(name, clean(input.get(name).unwrap_or(&absent)));
    }
    connector.set("connectorId", factory.as_str());
    set_look(&mut connector, input.get("metadata"));
    let key = match input.get("id").and_then(Value::as_str) {
        Some(id) => {
            connector.set("id", id);
            Key::new(Kind::Connector, id)
        }
        None => {
            connector.set("id", Term::Fresh(Fresh::UserId));
            Key::unborn(Kind::Connector, state)
        }
    };
    state.insert(key.clone(), connector);
    key
}

fn update_connector(connector: &mut Entity, factory: &Entity, input: &Value) {
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
fn drop_named(settings: &mut Entity, property: &str, name: &str) {
    if let Some(Value::Array(fields)) = settings.known(property) {
        let kept: Vec<Value> = fields.iter().filter(|field| field.get("name").is_none_or(|known| known != name)).cloned().collect();
        settings.set(property, Value::Array(kept));
    }
}

fn issue_token(call: &Call<'_>, state: &mut State, now: i64) -> Key {
    let field = |name: &str| call.input.get(name).and_then(Value::as_str);
    let requested = field("scope").map(|scope| Value::String(scope.to_owned()));
    let grant = field("grant_type").unwrap_or_default();
    let resource = field("resource").filter(|resource| !resource.is_empty());
    let mut user = Term::Unknown;
    let application = call.client().map_or(Term::Unknown, |(id, _)| Term::Known(id.into()));
    let (mut from_grant, mut from_session) = (Term::Known(Value::Null), Term::Known(Value::Null));
    // Which scopes of a resource a client or user has is not part of the contract; what was granted is read from the answer.
    let mut scope = Term::Unknown;
    match grant {
        "client_credentials" => {
            user = Value::Null.into();
            if requested.is_none() {
                scope = Value::Null.into();
            }
        }
        exchange if exchange.ends_with(":token-exchange") => {
            if let Some(text) = field("subject_token") {
                let subject = Key::new(Kind::SubjectToken, text);
                if let Some(token) = state.get(&subject) {
                    user = token.get("user").clone();
                    state.update(&subject, |token| token.set("consumed", json!(true)));
                } else if let Some(token) = state.find(Kind::PersonalAccessToken, text) {
                    user = token.get("owner").clone();
                } else if let Some(token) = state.find(Kind::Token, text) {
                    user = token.get("user").clone();
                }
            }
            if resource.is_none() {
                let asked = requested.clone().unwrap_or_default();
                let granted: Vec<&str> =
                    ACCOUNT_SCOPES.iter().filter(|known| scopes(&asked).any(|scope| scope == **known)).copied().collect();
                scope = Term::Known(Value::String(granted.join(" ")));
            }
            from_grant = session::begin_grant(&user, &application, now, state);
        }
        "authorization_code" => {
            state.insert(Key::new(Kind::Code, field("code").unwrap_or_default()), Entity::default());
            // With several sign-ins under way, whose code this is shows only later.
            let pending = state.remove(&Key::pending_sign_ins());
            if let Some([only]) = pending.as_ref().and_then(|pending| pending.known("users")).and_then(Value::as_array).map(Vec::as_slice)
                && !only.is_null()
            {
                user = Term::Known(only.clone());
            }
            from_grant = session::begin_grant(&user, &application, now, state);
            from_session = session::begin_session(&user, &application, &from_grant, now, state);
        }
        "refresh_token" => {
            let text = field("refresh_token").unwrap_or_default();
            if let Some((_, token)) = state.all(Kind::Token).find(|(_, token)| token.text("refresh_token") == Some(Some(text))) {
                user = token.get("user").clone();
                (from_grant, from_session) = (token.get("grant").clone(), token.get("session").clone());
            }
        }
        _ => {}
    }
    let (usage, kind) = match resource {
        None => ("account", Fresh::OpaqueToken),
        Some(resource) if is_management(resource) => ("management", Fresh::Jwt),
        Some(_) => ("other", Fresh::Jwt),
    };
    let client = call.client();
    let key = Key::unborn(Kind::Token, state);
    let token = Entity::default()
        .with("access_token", Term::Fresh(kind))
        .with("token_type", json!("Bearer"))
        .with("expires_in", json!(TOKEN_LIFE))
        .with("scope", scope)
        .with("refresh_token", if matches!(grant, "authorization_code" | "refresh_token") { Term::Unknown } else { Value::Null.into() })
        .with("id_token", if matches!(grant, "authorization_code" | "refresh_token") { Term::Unknown } else { Value::Null.into() })
        .with("use", json!(usage))
        .with("user", user)
        .with("grant", from_grant)
        .with("session", from_session)
        .with("client", client.as_ref().map_or(Value::Null, |(id, _)| json!(id)))
        .with("alive", json!(true))
        .with("expiresAt", json!(now + TOKEN_LIFE * 1000));
    state.insert(key.clone(), token);
    if let Some((id, secret)) = client {
        let application = Key::new(Kind::Application, id);
        if state.get(&application).is_none() {
            state.insert(application.clone(), Entity::default());
        }
        let secret = secret.map_or(Value::Null, Value::String);
        state.update(&application, |known| known.set("clientSecret", secret));
    }
    key
}
