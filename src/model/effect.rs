//! What each accepted operation does to the state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::enterprise;
use super::guard::{Scene, scopes};
use super::message;
use super::one_time;
use super::password::{is_settled, set_password};
use super::proof;
use super::rules::{Account, MOCK_SOCIAL, Phone, mock_account, parse_phone};
use super::select::{owner_of, targets};
use super::session;
use super::state::{Entity, Fresh, KNOWS_ALL, Key, Kind, State, Term, Truth};
use super::tenant;
use crate::contract::effect::Create;
use crate::contract::entity::Target;
use crate::contract::guard::ValueRef;
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
pub(super) const RECORD_LIFE: u32 = 600;
/// Seconds an access token lives.
const TOKEN_LIFE: i64 = 3600;

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
            set_member(state, &targets(call, state, target), property, call.text(name).as_deref(), Some(&value));
        }
        Effect::RemoveMember { target, property, name } => {
            set_member(state, &targets(call, state, target), property, call.text(name).as_deref(), None);
        }
        Effect::Parts { target, property, from, value } => {
            let Some(value) = value.clone().or_else(|| given(call, from.as_ref())) else { return Vec::new() };
            change(state, &targets(call, state, target), |entity| set_parts(entity, property, &value));
        }
        Effect::Touch(target) => change(state, &targets(call, state, target), |_| {}),
        Effect::Only { when, effect } => {
            let scene = Scene { call, state, now };
            match (scene.fits(when), &**effect) {
                (Truth::Yes, effect) => return apply_one(effect, call, state, now),
                (Truth::Unknown | Truth::Near, Effect::Parts { target, property, value: Some(value), .. }) => {
                    change(state, &targets(call, state, target), |entity| forget_parts(entity, property, value));
                }
                _ => {}
            }
        }
        Effect::Create(create) => return make(create, call, state),
        Effect::Delete(selector) => {
            for key in targets(call, state, &Target::Selected(selector.clone())) {
                state.delete(&key);
            }
            // Where everything goes but what is named, nothing unknown is left.
            let owner = selector.of.as_ref().and_then(|owner| owner_of(call, state, selector.kind, owner));
            let every = selector.value.is_none() && selector.with.is_empty() && selector.without.is_empty();
            if let (true, Some(owner)) = (every, owner) {
                state.told_all(selector.kind, &owner);
            }
        }
    }
    Vec::new()
}

/// Sets or removes one member of a property that is an object.
fn set_member(state: &mut State, keys: &[Key], property: &str, name: Option<&str>, value: Option<&Value>) {
    change(state, keys, |entity| {
        let changed = match (entity.known(property), name) {
            (Some(Value::Object(old)), Some(name)) => {
                let mut members = old.clone();
                match value {
                    Some(value) => drop(members.insert(name.to_owned(), value.clone())),
                    None => drop(members.shift_remove(name)),
                }
                Term::Known(Value::Object(members))
            }
            _ => Term::Unknown,
        };
        entity.set(property, changed);
    });
    if property == "identities" {
        for key in keys {
            proof::settle_tokens(state, key);
        }
    }
}

/// What the deletions of an operation do, should they be done alone.
pub fn delete_only(call: &Call<'_>, state: &mut State) {
    for effect in call.operation.effects.iter().filter(|effect| matches!(effect, Effect::Delete(_))) {
        apply_one(effect, call, state, 0);
    }
}

/// Sets every inner member of a value as a property of its own: `outer.inner`.
fn set_parts(entity: &mut Entity, property: &str, value: &Value) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| set_parts(entity, &format!("{property}.{name}"), member)),
        other => entity.set(property, other.clone()),
    }
}

/// What of these parts is set is not known.
fn forget_parts(entity: &mut Entity, property: &str, value: &Value) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| forget_parts(entity, &format!("{property}.{name}"), member)),
        _ => entity.set(property, Term::Unknown),
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
        let mut entity = Entity::default().with(KNOWS_ALL, true).with("tenantId", tenant::id(state));
        for (name, value) in &create.with {
            entity.set(name.clone(), value.clone());
        }
        if create.each.is_none() {
            set_members(&mut entity, &given(call, create.from.as_ref()).unwrap_or_default());
        }
        for (name, place) in &create.take {
            entity.set(name.clone(), call.value(place).unwrap_or_default());
        }
        // What the request says itself is not made up.
        for (name, fresh) in &create.fresh {
            if entity.known(name).is_none_or(Value::is_null) {
                entity.set(name.clone(), Term::Fresh(*fresh));
            }
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
            let password = input.get("password").cloned().unwrap_or_default();
            settle_password(state, call.subject().as_ref(), &password);
            None
        }
        Named::LinkUserIdentity => {
            link_identity(call, state);
            None
        }
        Named::CreatePasswordRecord => {
            settle_password(state, caller.as_ref(), &input.get("password").cloned().unwrap_or_default());
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
        Named::CreatePasskeyRecord => {
            let key = Key::unborn(Kind::Record, state);
            let mut record = Entity::default()
                .with("type", "WebAuthn")
                .with("verificationRecordId", Term::Fresh(Fresh::RecordId))
                .with("expiresAt", Term::Fresh(Fresh::IsoAfter(RECORD_LIFE)))
                .with("registrationOptions.challenge", Term::Fresh(Fresh::Secret))
                .with("verified", false)
                .with("verifies", false);
            if let Some(caller) = caller {
                record.set("registrationOptions.user.id", Value::String(URL_SAFE_NO_PAD.encode(&caller.id)));
                record.set("owner", caller.id.as_str());
            }
            state.insert(key.clone(), record);
            Some(key)
        }
        Named::CreateUser => {
            let key = create_user(input, state);
            state.update(&key, |user| user.set(session::SINCE, json!(now)));
            Some(key)
        }
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
        Named::CreateOneTimeToken => Some(one_time::create(input, state)),
        Named::EndSession | Named::RevokeGrant => {
            session::end(effect, call, state);
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
        Named::CreateCodeRecord => Some(proof::create_code_record(call, state, now)),
        Named::VerifyCodeRecord => {
            proof::verify_code_record(call, state);
            None
        }
        Named::CreateSocialRecord => Some(proof::create_social_record(call, state)),
        Named::VerifySocialRecord => {
            proof::verify_social_record(call, state, now);
            None
        }
        Named::LinkSocial => {
            proof::link_social(call, state);
            None
        }
        Named::StoreTokenSet => proof::store_token_set(call, state),
        Named::RenewTokenSet => {
            proof::renew_token_set(call, state, now);
            None
        }
        Named::CreateSsoConnector => Some(tenant::create_sso_connector(input, state)),
        Named::DeleteSsoConnector => {
            let key = Key::new(Kind::SsoConnector, call.path.get("id").cloned().unwrap_or_default());
            state.delete(&key);
            enterprise::forget_connector(state, &key.id);
            None
        }
        Named::CreateApplication => Some(tenant::create_application(input, state)),
        Named::CreateConnector => Some(tenant::create_connector(input, state)),
        Named::UpdateConnector => {
            let key = Key::new(Kind::Connector, call.path.get("id").cloned().unwrap_or_default());
            let factory = state.get(&key).and_then(|connector| connector.text("connectorId").flatten()).unwrap_or_default();
            let factory = state.find(Kind::ConnectorFactory, factory).cloned().unwrap_or_default();
            state.update(&key, |connector| tenant::update_connector(connector, &factory, input));
            if input.get("enableTokenStorage") == Some(&json!(false)) {
                proof::drop_tokens_of(state, &key);
            }
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
                state.update(&key, |settings| tenant::drop_named(settings, property, &field));
            }
            None
        }
    }
}

/// Changes entities; a user's `updatedAt` moves on. Settings that were never seen are there nevertheless.
pub(super) fn change(state: &mut State, keys: &[Key], change: impl Fn(&mut Entity)) {
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
pub fn set_members(entity: &mut Entity, input: &Value) {
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
        ("webauthnRelatedOrigins", Value::Array(origins)) => distinct(origins),
        ("profileFields" | "signUpProfileFields" | "socialSignInConnectorTargets", Value::Array(names)) if !names.is_empty() => {
            return Term::Unknown;
        }
        ("passwordExpiration", Value::Object(rule)) if rule.get("enabled") != Some(&Value::Bool(false)) => return Term::Unknown,
        ("emailBlocklistPolicy", Value::Object(policy)) => {
            let once = |value: &Value| value.as_array().map_or_else(|| value.clone(), |list| distinct(list));
            Value::Object(policy.iter().map(|(name, value)| (name.clone(), once(value))).collect())
        }
        _ => value.clone(),
    })
}

/// Each item once, in the order of their first places.
fn distinct(list: &[Value]) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for item in list {
        if !distinct.contains(item) {
            distinct.push(item.clone());
        }
    }
    Value::Array(distinct)
}

/// Lets somebody have proved to know a user's password.
fn settle_password(state: &mut State, user: Option<&Key>, password: &Value) {
    if let Some(key) = user.filter(|key| state.get(key).is_some_and(|user| !is_settled(user))) {
        change(state, std::slice::from_ref(key), |user| set_password(user, password.clone()));
    }
}

/// Links the account that a connector reads from its provider's answer, as far as is known how it reads.
fn link_identity(call: &Call<'_>, state: &mut State) {
    let text = |name: &str| call.input.get(name).and_then(Value::as_str);
    let connector = text("connectorId").and_then(|id| state.find(Kind::Connector, id));
    let known = connector.filter(|connector| connector.text("connectorId") == Some(Some(MOCK_SOCIAL)));
    let target = known.and_then(|connector| connector.text("target").flatten()).map(str::to_owned);
    let account = call.input.get("connectorData").map(mock_account);
    match (target, account) {
        (Some(target), Some(Account::Known(account))) => {
            set_member(state, call.subject().as_slice(), "identities", Some(&target), Some(&account));
        }
        _ => change(state, call.subject().as_slice(), |user| user.set("identities", Term::Unknown)),
    }
}

fn create_user(input: &Value, state: &mut State) -> Key {
    let mut user = Entity::from_json(&json!({
        "username": null, "primaryEmail": null, "primaryPhone": null, "name": null, "avatar": null, "customData": {}, "identities": {},
        "lastSignInAt": null, "profile": {}, "applicationId": null, "cimdClientId": null, "isSuspended": false, "hasPassword": false,
        "ssoIdentities": [], "password": null, "passwordDigest": null, "passwordAlgorithm": null, "failures": 0,
        KNOWS_ALL: true,
    }));
    let choices = json!({"mfa": {"enabled": null, "skipped": false, "skipMfaOnSignIn": false}, "passkeySignIn": {"skipped": false}});
    set_parts(&mut user, "logtoConfig", &choices);
    user.set("id", Term::Fresh(Fresh::UserId));
    user.set("createdAt", Term::Fresh(Fresh::Now));
    user.set("updatedAt", Term::Fresh(Fresh::Now));
    let secrets = ["password", "passwordDigest", "passwordAlgorithm"];
    let mut visible: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    visible.retain(|name, _| !secrets.contains(&name.as_str()));
    set_members(&mut user, &Value::Object(visible));
    if let Some(password) = input.get("password") {
        set_password(&mut user, password.clone());
    } else if let Some(digest) = input.get("passwordDigest").filter(|digest| *digest != "") {
        user.set("hasPassword", json!(true));
        user.set("password", Term::Unknown);
        user.set("passwordAlgorithm", input.get("passwordAlgorithm").cloned().unwrap_or_default());
        user.set("passwordDigest", digest.clone());
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
            from_session = session::begin_session(&user, &application, &from_grant, None, now, state);
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

#[cfg(test)]
#[path = "effect_tests.rs"]
mod tests;
