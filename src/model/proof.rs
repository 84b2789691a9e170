//! Proofs by codes and social accounts: what the records remember, what the guards about them mean, what calls do to them.
//!
//! A record of a code knows `value`, `sentAt`, `codeUsed`, `tries` and `wrong`, and the `code` if the message was read; a social one `connector`, `target`,
//! `account` and `tokens` (null when none came along).

use serde_json::{Map, Value, json};

use super::call::Call;
use super::effect::{RECORD_LIFE, change};
use super::guard::Scene;
use super::message::{CODE_LIFE, MOST_TRIES, count_send, has_channel, may_send, note};
use super::rules::{OIDC, oidc_page, provider};
use super::select::{Look, select};
use super::state::{Entity, Fresh, KNOWS_ALL, Key, Kind, State, Term, Truth};
use super::vouched::{self, Proof};
use crate::contract::entity::Selector;
use crate::contract::guard::{CodeRule, GuardKind, SocialProof, SocialTarget, ValueRef};

impl Scene<'_> {
    fn record_named(&self, value: &ValueRef) -> Option<&Entity> {
        self.state.find(Kind::Record, &self.call.text(value)?)
    }

    fn code_policy(&self, name: &str) -> Option<u64> {
        self.policy::<Value>("verificationCodePolicy")?.get(name).and_then(Value::as_u64)
    }

    pub(super) fn code_pending(&self, value: &ValueRef) -> Truth {
        self.record_named(value).map_or(Truth::No, |record| Truth::maybe(record.flag("codeUsed").map(|used| !used)))
    }

    pub(super) fn code_fresh(&self, value: &ValueRef) -> Truth {
        let sent = self.record_named(value).and_then(|record| record.known("sentAt")).and_then(Value::as_i64);
        let life = self.code_policy("expirationDuration").and_then(|life| i64::try_from(life).ok()).unwrap_or(CODE_LIFE);
        sent.map_or(Truth::Unknown, |sent| self.before(&Term::Known(json!(sent + life * 1000))))
    }

    pub(super) fn tries_left(&self, value: &ValueRef) -> Truth {
        let tries = self.record_named(value).and_then(|record| record.known("tries")).and_then(Value::as_u64);
        Truth::maybe(tries.map(|tries| tries < self.code_policy("maxRetryAttempts").unwrap_or(MOST_TRIES)))
    }

    /// Only whoever reads the message knows the code; for others a wrong one stays wrong.
    pub(super) fn code_matches(&self, rule: &CodeRule) -> Truth {
        let record = self.record_named(&rule.record);
        let code = self.call.value(&rule.code);
        if let Some(right) = record.and_then(|record| record.known("code")) {
            return Truth::of(code.as_ref() == Some(right));
        }
        let wrong = record.and_then(|record| record.known("wrong")).and_then(Value::as_array);
        if wrong.is_some_and(|wrong| wrong.iter().any(|one| Some(one) == code.as_ref())) { Truth::No } else { Truth::Unknown }
    }

    pub(super) fn send_allowed(&self, value: &ValueRef) -> Truth {
        self.call.text(value).map_or(Truth::Yes, |recipient| may_send(self.state, &recipient, self.now))
    }

    pub(super) fn channel(&self, value: &ValueRef) -> Truth {
        has_channel(self.state, if self.call.text(value).as_deref() == Some("email") { "Email" } else { "Sms" })
    }

    /// Failures so far of whoever a lock-out is about; `None` when unknown.
    pub(super) fn recipient_failures(&self, value: &ValueRef) -> Option<u64> {
        let recipient = self.call.text(value).and_then(|recipient| self.state.find(Kind::Recipient, &recipient));
        recipient.map_or(Some(0), |recipient| recipient.known("failures").map_or(Some(0), Value::as_u64))
    }

    /// Provider, and the account that is proved, of the record a value names.
    fn proved(&self, value: &ValueRef) -> (Option<&str>, Option<&Value>) {
        let Some(record) = self.record_named(value) else { return (None, None) };
        (record.text("target").flatten(), record.known("account").and_then(|account| account.get("userId")))
    }

    pub(super) fn social_unbound(&self, value: &ValueRef) -> Truth {
        let (Some(target), account) = self.proved(value) else { return Truth::Unknown };
        let own = self.call.caller(self.state).map(|own| own.id);
        let linked = |identities: &Value| identities.get(target)?.get("userId").cloned();
        match account {
            Some(account) => self.nobody_else(own.as_deref(), "identities", |identities| linked(identities).as_ref() == Some(account)),
            None => match self.nobody_else(own.as_deref(), "identities", |identities| linked(identities).is_some()) {
                Truth::Yes => Truth::Yes,
                _ => Truth::Unknown,
            },
        }
    }

    fn own_identities(&self) -> Option<&Value> {
        self.caller()?.known("identities")
    }

    pub(super) fn social_new(&self, value: &ValueRef) -> Truth {
        let (target, _) = self.proved(value);
        Truth::maybe(target.and_then(|target| self.own_identities().map(|own| own.get(target).is_none())))
    }

    pub(super) fn social_bound(&self, value: &ValueRef) -> Truth {
        let (Some(target), account) = self.proved(value) else { return Truth::Unknown };
        let Some(own) = self.own_identities() else { return Truth::Unknown };
        match (own.get(target), account) {
            (None, _) => Truth::No,
            (Some(own), Some(account)) => Truth::of(own.get("userId") == Some(account)),
            (Some(_), None) => Truth::Unknown,
        }
    }

    pub(super) fn social_token(&self, value: &ValueRef) -> Truth {
        Truth::maybe(self.record_named(value).and_then(|record| record.known("tokens")).map(|tokens| !tokens.is_null()))
    }

    pub(super) fn social_target(&self, rule: &SocialTarget) -> Truth {
        Truth::maybe(self.proved(&rule.record).0.map(|target| Some(target) == self.call.text(&rule.is).as_deref()))
    }

    /// What a foreign provider vouches for is decided outside the deployment, so either answer is right.
    pub(super) fn social_proof(&self, rule: &SocialProof) -> Truth {
        let (Some(id), data) = (self.call.text(&rule.record), self.call.value(&rule.data).unwrap_or_default()) else {
            return Truth::Near;
        };
        let record = self.state.find(Kind::Record, &id);
        record.map_or(Truth::Near, |record| Proof { state: self.state, id: &id, record, data: &data }.accepted())
    }

    pub(super) fn token_set(&self, selector: &Selector, truth: impl Fn(&Entity) -> Truth) -> Truth {
        self.selected(selector, |look| match look {
            Look::Found(key) => self.state.get(key).map_or(Truth::Unknown, &truth),
            Look::Missing => Truth::Yes,
            Look::Unknown => Truth::Unknown,
        })
    }

    pub(super) fn is_usable(&self, tokens: &Entity) -> Truth {
        self.before(tokens.get("endsAt")).or(Truth::maybe(tokens.flag("renewable")))
    }

    /// Whether a foreign provider renews its token is decided outside the deployment.
    pub(super) fn is_renewed(&self, tokens: &Entity) -> Truth {
        let renewed = tokens.known("renewed").map_or(Truth::Near, |renewed| Truth::of(!renewed.is_null()));
        self.before(tokens.get("endsAt")).or(renewed)
    }
}

/// One more failure of a recipient.
pub fn count_failure(state: &mut State, recipient: &str) {
    note(state, recipient, |known| {
        let failures = known.known("failures").and_then(Value::as_u64).unwrap_or(0);
        known.set("failures", json!(failures + 1));
    });
}

/// One more wrong code for a record.
pub fn count_try(call: &Call<'_>, state: &mut State, rule: &CodeRule) {
    let (Some(record), Some(code)) = (call.text(&rule.record), call.value(&rule.code)) else { return };
    state.update(&Key::new(Kind::Record, record), |record| {
        let tries = record.known("tries").and_then(Value::as_u64);
        record.set("tries", tries.map_or(Term::Unknown, |tries| Term::Known(json!(tries + 1))));
        let mut wrong = record.known("wrong").and_then(Value::as_array).cloned().unwrap_or_default();
        wrong.push(code);
        record.set("wrong", Value::Array(wrong));
    });
}

/// Whether a code was used up or counted is not known any more.
pub fn maybe_use_code(call: &Call<'_>, state: &mut State) {
    let (Some(key), code) = (record_of(call), call.input.get("code")) else { return };
    state.update(&key, |record| {
        let right = record.known("code").map(|right| Some(right) == code);
        if right != Some(false) {
            record.set("codeUsed", Term::Unknown);
        }
        if right != Some(true) {
            record.set("tries", Term::Unknown);
        }
    });
}

/// Forgets the tokens that a selector names.
pub fn forget_tokens(call: &Call<'_>, state: &mut State, selector: &Selector) {
    for look in select(call, state, selector) {
        if let Look::Found(key) = look {
            state.remove(&key);
        }
    }
}

fn new_record(kind: &str) -> Entity {
    Entity::default()
        .with("type", kind)
        .with("verificationRecordId", Term::Fresh(Fresh::RecordId))
        .with("expiresAt", Term::Fresh(Fresh::IsoAfter(RECORD_LIFE)))
        .with("verified", false)
        .with("verifies", false)
}

/// See [`crate::contract::Named::CreateCodeRecord`].
pub fn create_code_record(call: &Call<'_>, state: &mut State, now: i64) -> Key {
    let part = |pointer: &str| call.input.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let value = part("/identifier/value");
    let (kind, property) = match part("/identifier/type") {
        "email" => ("EmailVerificationCode", "primaryEmail"),
        _ => ("PhoneVerificationCode", "primaryPhone"),
    };
    let caller = call.caller(state);
    let current = caller.as_ref().and_then(|caller| state.get(caller)).and_then(|user| user.text(property));
    let (owner, verifies) = match current {
        None => (Term::Unknown, Term::Unknown),
        Some(current) if current == Some(value) => {
            let owner = caller.map_or(Value::Null, |caller| caller.id.into());
            (owner.into(), (part("/templateType") != "BindMfa").into())
        }
        Some(_) => (Value::Null.into(), false.into()),
    };
    let record = new_record(kind)
        .with("owner", owner)
        .with("verifies", verifies)
        .with("value", value)
        .with("sentAt", json!(now))
        .with("codeUsed", false)
        .with("tries", json!(0))
        .with("wrong", json!([]));
    count_send(state, value, now);
    let key = Key::unborn(Kind::Record, state);
    state.insert(key.clone(), record);
    key
}

/// The record that the operation's `record` guard asks for.
fn record_of(call: &Call<'_>) -> Option<Key> {
    let rule = call.operation.guards.iter().find_map(|guard| match &guard.kind {
        GuardKind::Record(rule) => Some(rule),
        _ => None,
    });
    call.text(&rule?.id).map(|id| Key::new(Kind::Record, id))
}

/// See [`crate::contract::Named::VerifyCodeRecord`].
pub fn verify_code_record(call: &Call<'_>, state: &mut State) {
    let Some(key) = record_of(call) else { return };
    state.update(&key, |record| {
        record.set("verified", true);
        record.set("codeUsed", true);
    });
}

/// See [`crate::contract::Named::CreateSocialRecord`].
pub fn create_social_record(call: &Call<'_>, state: &mut State) -> Key {
    let id = call.input.get("connectorId").cloned().unwrap_or_default();
    let connector = id.as_str().and_then(|id| state.find(Kind::Connector, id));
    let target = connector.map_or(Term::Unknown, |connector| connector.get("target").clone());
    let factory = connector.and_then(|connector| connector.text("connectorId")).flatten();
    // OpenID Connect puts a nonce into its page that is made up.
    let standard = || {
        let config = connector?.known("config")?;
        oidc_page(factory.filter(|factory| *factory != OIDC)?, config, &call.input, None)
    };
    let page = provider::page(factory, &call.input).or_else(standard).map_or(Term::Unknown, |page| Term::Known(page.into()));
    let back = call.input.get("redirectUri").cloned().unwrap_or_default();
    let record = new_record("Social")
        .with("owner", Value::Null)
        .with("connector", id)
        .with("target", target)
        .with("authorizationUri", page)
        .with("redirectUri", back)
        .with("account", Value::Null)
        .with("tokens", Value::Null);
    let key = Key::unborn(Kind::Record, state);
    state.insert(key.clone(), record);
    key
}

/// See [`crate::contract::Named::VerifySocialRecord`].
pub fn verify_social_record(call: &Call<'_>, state: &mut State, now: i64) {
    let Some(key) = record_of(call) else { return };
    let data = call.input.get("connectorData").cloned().unwrap_or_default();
    let Some(record) = state.get(&key) else { return };
    let proof = Proof { state, id: &key.id, record, data: &data };
    let account = proof.account().map_or(Term::Unknown, Term::Known);
    let spent = proof.spent();
    let connector = record.text("connector").flatten().and_then(|id| state.find(Kind::Connector, id));
    let tokens = match connector.and_then(|connector| connector.flag("enableTokenStorage")) {
        Some(false) => Value::Null.into(),
        Some(true) => proof.tokens().map_or(Term::Unknown, |answer| Term::Known(kept_tokens(&answer, now))),
        None => Term::Unknown,
    };
    state.update(&key, |record| {
        record.set("verified", true);
        record.set("account", account);
        record.set("tokens", tokens);
    });
    vouched::spend(state, spent);
}

/// The code that came back for a social record is spent, although it was refused.
pub fn spend_code(call: &Call<'_>, state: &mut State, rule: &SocialProof) {
    let (Some(id), Some(data)) = (call.text(&rule.record), call.value(&rule.data)) else { return };
    let Some(record) = state.find(Kind::Record, &id) else { return };
    let spent = Proof { state, id: &id, record, data: &data }.spent();
    vouched::spend(state, spent);
}

/// What is kept of a provider's token answer: null for none.
pub fn kept_tokens(answer: &Value, now: i64) -> Value {
    let member = |name: &str| answer.get(name).cloned().unwrap_or_default();
    if answer.is_null() {
        return Value::Null;
    }
    let mut kept = json!({
        "access_token": member("access_token"), "scope": member("scope"), "token_type": member("token_type"),
        "endsAt": life_of(answer).map(|life| now + life * 1000), "renewable": answer.get("refresh_token").is_some(),
        "refresh_token": member("refresh_token"),
    });
    if let (Some(kept), Some(renewed)) = (kept.as_object_mut(), answer.get("renewed")) {
        kept.insert("renewed".into(), renewed.clone());
    }
    kept
}

/// Seconds that the token of an answer lives.
fn life_of(answer: &Value) -> Option<i64> {
    answer.get("expires_in").and_then(|life| life.as_i64().or_else(|| life.as_str()?.parse().ok()))
}

/// See [`crate::contract::Named::RenewTokenSet`].
pub fn renew_token_set(call: &Call<'_>, state: &mut State, now: i64) {
    let selector = call.operation.guards.iter().find_map(|guard| match &guard.kind {
        GuardKind::TokenSetRenewed(selector) => Some(selector),
        _ => None,
    });
    let looks = selector.map(|selector| select(call, state, selector)).unwrap_or_default();
    let Some(Look::Found(key)) = looks.into_iter().next() else { return };
    let ended = state.get(&key).map_or(Truth::Unknown, |tokens| Scene { call, state, now }.before(tokens.get("endsAt")).not());
    if ended == Truth::No {
        return;
    }
    state.update(&key, |tokens| {
        let renewed = tokens.known("renewed").filter(|renewed| ended == Truth::Yes && renewed.is_object()).cloned();
        if let Some(next) = renewed.as_ref().and_then(|renewed| renewed.get("refresh_token")).cloned() {
            tokens.set("refresh_token", next);
        }
        for name in ["access_token", "scope", "token_type"] {
            let term = renewed.as_ref().map(|renewed| renewed.get(name).cloned().unwrap_or_default());
            tokens.set(name, term.map_or(Term::Unknown, Term::Known));
        }
        for name in ["scope", "expiresAt", "tokenType", "hasRefreshToken"] {
            tokens.set(format!("metadata.{name}"), Term::Unknown);
        }
        let end = renewed.as_ref().map(|renewed| json!(life_of(renewed).map(|life| now + life * 1000)));
        tokens.set("endsAt", end.map_or(Term::Unknown, Term::Known));
    });
}

/// See [`crate::contract::Named::LinkSocial`].
pub fn link_social(call: &Call<'_>, state: &mut State) {
    let (Some(caller), Some(key)) = (call.caller(state), record_of(call)) else { return };
    let Some(record) = state.get(&key).cloned() else { return };
    let target = record.text("target").flatten().map(str::to_owned);
    let linked = |user: &Entity| -> Option<Value> {
        let mut identities: Map<String, Value> = user.known("identities")?.as_object()?.clone();
        identities.insert(target.clone()?, record.known("account").filter(|account| !account.is_null())?.clone());
        Some(Value::Object(identities))
    };
    change(state, std::slice::from_ref(&caller), |user| user.set("identities", linked(user).map_or(Term::Unknown, Term::Known)));
    settle_tokens(state, &caller);
    match record.known("tokens") {
        Some(Value::Null) => {}
        Some(_) => drop(keep_tokens(state, &caller, &record)),
        // Whether the provider sent a token is not known, so neither is what is stored.
        None => state.update(&caller, |user| user.set(KNOWS_ALL, Term::Unknown)),
    }
}

/// See [`crate::contract::Named::StoreTokenSet`].
pub fn store_token_set(call: &Call<'_>, state: &mut State) -> Option<Key> {
    let (caller, key) = (call.caller(state)?, record_of(call)?);
    let record = state.get(&key)?.clone();
    keep_tokens(state, &caller, &record)
}

/// Forgets tokens of social accounts that are no longer linked to a user. Where that is not known, neither are the tokens.
pub fn settle_tokens(state: &mut State, user: &Key) {
    let Some(known) = state.get(user) else { return };
    let identities = known.known("identities");
    let unlinked = |tokens: &Entity| {
        let linked = identities.zip(tokens.text("target").flatten()).and_then(|(identities, target)| identities.get(target)?.get("userId"));
        tokens.text("target").flatten().is_some() && linked != tokens.known("identityId")
    };
    let owned = state.all(Kind::TokenSet).filter(|(_, tokens)| tokens.text("owner") == Some(Some(&user.id)));
    let over: Vec<Key> = owned.filter(|(_, tokens)| unlinked(tokens)).map(|(id, _)| Key::new(Kind::TokenSet, id)).collect();
    let told = identities.is_some();
    for key in &over {
        state.remove(key);
    }
    if !told && !over.is_empty() {
        state.update(user, |user| user.set(KNOWS_ALL, Term::Unknown));
    }
}

/// Forgets the tokens that came through a connector.
pub fn drop_tokens_of(state: &mut State, connector: &Key) {
    let of = |tokens: &Entity| tokens.text("connectorId") == Some(Some(&connector.id));
    let over: Vec<Key> = state.all(Kind::TokenSet).filter(|(_, tokens)| of(tokens)).map(|(id, _)| Key::new(Kind::TokenSet, id)).collect();
    for key in &over {
        state.remove(key);
    }
}

/// Stored tokens, from what is kept of a token answer.
pub fn tokens_of(kept: &Value) -> Entity {
    let mut entity = if kept.is_object() { Entity::from_json(kept) } else { Entity::default() };
    let endless = entity.known("endsAt").is_some_and(Value::is_null);
    entity.set("expires_in", if endless { Term::Known(Value::Null) } else { Term::Unknown });
    entity.set("id", Term::Fresh(Fresh::Secret));
    entity.set("type", "federated_token_set");
    entity.set("metadata.hasRefreshToken", entity.get("renewable").clone());
    entity
}

fn keep_tokens(state: &mut State, user: &Key, record: &Entity) -> Option<Key> {
    let target = record.text("target").flatten()?;
    let mut entity = record.known("tokens").map(tokens_of).unwrap_or_default();
    entity.set("owner", user.id.as_str());
    entity.set("userId", user.id.as_str());
    entity.set("target", target);
    entity.set("ssoConnectorId", Value::Null);
    entity.set("connectorId", record.get("connector").clone());
    entity.set("identityId", record.known("account").and_then(|account| account.get("userId")).cloned().map_or(Term::Unknown, Term::Known));
    let key = Key::new(Kind::TokenSet, format!("{} {target}", user.id));
    state.insert(key.clone(), entity);
    Some(key)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
