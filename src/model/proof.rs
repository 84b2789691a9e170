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
mod tests {
    use super::super::predict::{Alternative, predict};
    use super::super::wire::Request;
    use super::*;
    use crate::contract::{Contract, Version};

    const NOW: i64 = 1_800_000_000_000;

    /// A user with e-mail, a token of a first-party application and a mock social connector.
    fn start() -> State {
        let mut state = State::closed();
        let set = |state: &mut State, kind, id: &str, value: Value| state.insert(Key::new(kind, id), Entity::from_json(&value));
        let fields = json!({"email": "Edit", "social": "Edit"});
        state.insert(Key::account_center(), Entity::from_json(&json!({"enabled": true, "fields": fields})));
        state.insert(Key::sign_in_experience(), Entity::from_json(&json!({"emailBlocklistPolicy": {}, "verificationCodePolicy": {}})));
        set(&mut state, Kind::Application, "app", json!({"isThirdParty": false}));
        let user = json!({"primaryEmail": "a@example.com", "username": "a", "primaryPhone": null, "identities": {}, "ssoIdentities": [],
            "hasPassword": false, KNOWS_ALL: true});
        set(&mut state, Kind::User, "u", user);
        let token =
            json!({"use": "account", "user": "u", "scope": "openid email identities", "client": "app", "alive": true, "expiresAt": null});
        set(&mut state, Kind::Token, "t", token);
        let mock =
            json!({"id": "c", "type": "Social", "target": "mock", "connectorId": "mock-social-connector", "enableTokenStorage": true});
        set(&mut state, Kind::Connector, "c", mock);
        set(&mut state, Kind::Connector, "m", json!({"id": "m", "type": "Email"}));
        state
    }

    /// The only admitted answer, and the state it leads to; the record that is made gets the id `r`.
    fn answer(state: &mut State, method: &str, path: &str, body: &Value, proof: Option<&str>) -> String {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let mut request =
            Request::new(method, path).with_header("authorization", "Bearer t").with_header("content-type", "application/json");
        if let Some(proof) = proof {
            request = request.with_header("logto-verification-id", proof);
        }
        request.body = body.to_string().into_bytes();
        let prediction = predict(&contract, state, &request, NOW);
        let said: Vec<String> = prediction.alternatives.iter().map(|alternative| alternative.outcome.to_string()).collect();
        let Some(Alternative { next, .. }) = prediction.alternatives.into_iter().next_back() else { return String::new() };
        *state = next;
        let unborn: Vec<String> = state.all(Kind::Record).map(|(id, _)| id.to_owned()).filter(|id| id.starts_with('?')).collect();
        for id in unborn {
            let mut record = state.remove(&Key::new(Kind::Record, id)).unwrap();
            record.set("expiresAt", json!(NOW + 600_000));
            state.insert(Key::new(Kind::Record, "r"), record);
        }
        said.join(" or ")
    }

    #[test]
    fn a_code_proves_the_address_it_was_sent_to_once() {
        let mut state = start();
        let (send, verify) = ("/api/verifications/verification-code", "/api/verifications/verification-code/verify");
        let own = json!({"type": "email", "value": "a@example.com"});
        assert_eq!(answer(&mut state, "POST", send, &json!({"identifier": own}), None), "201");
        let code = |identifier: &Value| json!({"identifier": identifier, "verificationId": "r", "code": "123456"});
        let phone = json!({"type": "phone", "value": "1"});
        assert_eq!(answer(&mut state, "POST", verify, &code(&phone), None), "400 verification_record.not_found");
        let other = json!({"type": "email", "value": "b@example.com"});
        assert_eq!(answer(&mut state, "POST", verify, &code(&other), None), "400 verification_code.email_mismatch");
        let email = "/api/my-account/primary-email";
        assert_eq!(answer(&mut state, "DELETE", email, &Value::Null, Some("r")), "401 verification_record.permission_denied");
        assert_eq!(answer(&mut state, "POST", verify, &code(&own), None), "400 verification_code.code_mismatch or 200");
        assert_eq!(answer(&mut state, "POST", verify, &code(&own), None), "400 verification_code.not_found");
        assert_eq!(answer(&mut state, "DELETE", email, &Value::Null, Some("r")), "204");
        let body = json!({"email": "A@example.com", "newIdentifierVerificationRecordId": "r"});
        assert_eq!(answer(&mut state, "POST", email, &body, Some("r")), "400 verification_record.not_found");
        let body = json!({"email": "a@example.com", "newIdentifierVerificationRecordId": "r"});
        assert_eq!(answer(&mut state, "POST", email, &body, Some("r")), "204");
        assert_eq!(state.find(Kind::User, "u").unwrap().known("primaryEmail"), Some(&json!("a@example.com")));
    }

    #[test]
    fn messages_to_one_recipient_are_counted_however_it_is_written() {
        let mut state = start();
        let send = |state: &mut State, value: &str| {
            let body = json!({"identifier": {"type": "email", "value": value}});
            answer(state, "POST", "/api/verifications/verification-code", &body, None)
        };
        for _ in 0..5 {
            assert_eq!(send(&mut state, "b@example.com"), "201");
            assert_eq!(send(&mut state, "B@Example.com"), "201");
        }
        assert_eq!(send(&mut state, "b@EXAMPLE.com"), "429 request.message_rate_limited");
        assert_eq!(send(&mut state, "c@example.com"), "201");
        state.delete(&Key::new(Kind::Connector, "m"));
        assert_eq!(send(&mut state, "d@example.com"), "501 connector.not_found");
    }

    #[test]
    fn a_social_account_is_linked_with_its_token_and_unlinked_with_it() {
        let mut state = start();
        state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", Value::Null));
        let begin = json!({"connectorId": "c", "state": "s", "redirectUri": "https://example.com"});
        assert_eq!(answer(&mut state, "POST", "/api/verifications/social", &begin, None), "201");
        let link = json!({"newIdentifierVerificationRecordId": "r"});
        let identities = "/api/my-account/identities";
        assert_eq!(answer(&mut state, "POST", identities, &link, None), "400 verification_record.not_found");
        let told = json!({"code": "c", "userId": "s1", "tokenResponse": {"access_token": "x"}});
        let proof = json!({"verificationRecordId": "r", "connectorData": told});
        assert_eq!(answer(&mut state, "POST", "/api/verifications/social/verify", &proof, None), "200");
        let tokens = "/api/my-account/identities/mock/access-token";
        assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "404 secrets.third_party_token_set.token_not_found");
        assert_eq!(answer(&mut state, "POST", identities, &link, None), "204");
        assert_eq!(answer(&mut state, "POST", identities, &link, None), "400 user.identity_already_in_use");
        assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "200");
        assert_eq!(answer(&mut state, "DELETE", "/api/my-account/identities/mock", &Value::Null, None), "204");
        assert_eq!(answer(&mut state, "GET", tokens, &Value::Null, None), "404 secrets.third_party_token_set.token_not_found");
        assert_eq!(answer(&mut state, "DELETE", "/api/my-account/identities/mock", &Value::Null, None), "404 user.identity_not_exist");
    }

    fn put(state: &mut State, kind: Kind, id: &str, value: &Value) {
        state.insert(Key::new(kind, id), Entity::from_json(value));
    }

    fn record(state: &State) -> &Entity {
        state.find(Kind::Record, "r").unwrap()
    }

    #[test]
    fn a_code_belongs_to_the_caller_where_it_goes_to_their_own_address() {
        let (own, other) = (json!("a@example.com"), json!("b@example.com"));
        let (nobody, caller) = (Term::Known(Value::Null), Term::from("u"));
        for (current, value, template, owner, verifies) in [
            (Some(&own), &own, "UserPermissionValidation", &caller, true.into()),
            (Some(&own), &own, "BindMfa", &caller, false.into()),
            (Some(&own), &other, "UserPermissionValidation", &nobody, false.into()),
            (Some(&Value::Null), &own, "UserPermissionValidation", &nobody, false.into()),
            (None, &own, "UserPermissionValidation", &Term::Unknown, Term::Unknown),
        ] {
            let mut state = start();
            state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", current.cloned().map_or(Term::Unknown, Term::Known)));
            let body = json!({"identifier": {"type": "email", "value": value}, "templateType": template});
            assert_eq!(answer(&mut state, "POST", "/api/verifications/verification-code", &body, None), "201");
            assert_eq!((record(&state).get("owner"), record(&state).get("verifies")), (owner, &verifies), "{current:?} {body}");
        }
    }

    #[test]
    fn behind_a_lock_a_right_code_may_be_used_up_and_a_wrong_one_may_count() {
        let verify = "/api/verifications/verification-code/verify";
        let (fresh, untried) = (Term::from(false), Term::Known(json!(0)));
        for (code, used, tries) in [
            (Some("123456"), &Term::Unknown, &untried),
            (Some("654321"), &fresh, &Term::Unknown),
            // The message was not read.
            (None, &Term::Unknown, &Term::Unknown),
        ] {
            let mut state = start();
            let sent = json!({"type": "EmailVerificationCode", "value": "a@example.com", "sentAt": NOW, "codeUsed": false, "tries": 0,
                "wrong": [], "verified": false, "expiresAt": NOW + 600_000});
            put(&mut state, Kind::Record, "r", &sent);
            if let Some(code) = code {
                state.update(&Key::new(Kind::Record, "r"), |record| record.set("code", code));
            }
            put(&mut state, Kind::Recipient, "a@example.com", &json!({"failures": 100}));
            let body = json!({"identifier": {"type": "email", "value": "a@example.com"}, "verificationId": "r", "code": "123456"});
            assert_eq!(answer(&mut state, "POST", verify, &body, None), "400 session.verification_blocked_too_many_attempts");
            assert_eq!((record(&state).get("codeUsed"), record(&state).get("tries")), (used, tries), "{code:?}");
        }
    }

    #[test]
    fn an_account_that_is_not_known_may_be_anothers_only_where_somebody_is_linked() {
        for (identities, said) in [
            (json!({}), "204"),
            (json!({"elsewhere": {"userId": "s1"}}), "204"),
            (json!({"mock": {"userId": "s1"}}), "422 user.identity_already_in_use or 204"),
        ] {
            let mut state = start();
            state.update(&Key::new(Kind::User, "u"), |user| user.set("primaryEmail", Value::Null));
            put(&mut state, Kind::User, "v", &json!({"identities": identities}));
            let proved = json!({"type": "Social", "verified": true, "verifies": false, "owner": null, "connector": "c", "target": "mock",
                "tokens": null, "expiresAt": NOW + 600_000});
            put(&mut state, Kind::Record, "r", &proved);
            let link = json!({"newIdentifierVerificationRecordId": "r"});
            assert_eq!(answer(&mut state, "POST", "/api/my-account/identities", &link, None), said, "{identities}");
        }
    }

    #[test]
    fn a_token_that_has_run_out_is_renewed_as_its_provider_answers() {
        let renewed = json!({"access_token": "new", "refresh_token": "again", "scope": "b", "token_type": "Bearer", "expires_in": 60});
        let (old, new) = (Some("old"), Some("new"));
        for (ends, renewed, said, access, refresh, end) in [
            (NOW + 600_000, Some(&renewed), "200", old, Some("first"), Some(NOW + 600_000)),
            (NOW - 600_000, Some(&renewed), "200", new, Some("again"), Some(NOW + 60_000)),
            (NOW - 600_000, Some(&Value::Null), "4xx connector.*", old, Some("first"), Some(NOW - 600_000)),
            (NOW - 600_000, None, "4xx connector.* or 200", None, None, None),
            // So near to its end nobody can tell whether it was renewed.
            (NOW, Some(&renewed), "200", None, None, None),
        ] {
            let mut state = start();
            let stored = json!({"owner": "u", "target": "mock", "access_token": "old", "refresh_token": "first", "scope": "a",
                "token_type": "Bearer", "endsAt": ends, "renewable": true});
            put(&mut state, Kind::TokenSet, "u mock", &stored);
            if let Some(renewed) = renewed {
                state.update(&Key::new(Kind::TokenSet, "u mock"), |tokens| tokens.set("renewed", renewed.clone()));
            }
            let path = "/api/my-account/identities/mock/access-token";
            let case = format!("ends {} ms from now, renewed {renewed:?}", ends - NOW);
            assert_eq!(answer(&mut state, "GET", path, &Value::Null, None), said, "{case}");
            let tokens = state.find(Kind::TokenSet, "u mock").unwrap();
            let text = |name: &str| tokens.text(name).flatten();
            assert_eq!(text("access_token"), access, "{case}");
            if access.is_some() {
                assert_eq!(text("refresh_token"), refresh, "{case}");
            }
            assert_eq!(tokens.known("endsAt").and_then(Value::as_i64), end, "{case}");
        }
    }

    #[test]
    fn a_page_is_known_unless_a_nonce_is_in_it() {
        let page = "http://p/authorize?response_type=code&client_id=c&redirect_uri=https%3A%2F%2Fexample.com&state=s";
        for (factory, known) in [("oauth2", Some(json!(page))), ("oidc", None), ("some-other", None)] {
            let mut state = start();
            let config = json!({"authorizationEndpoint": "http://p/authorize", "clientId": "c"});
            put(&mut state, Kind::Connector, "o", &json!({"id": "o", "type": "Social", "connectorId": factory, "config": config}));
            let begin = json!({"connectorId": "o", "state": "s", "redirectUri": "https://example.com"});
            assert_eq!(answer(&mut state, "POST", "/api/verifications/social", &begin, None), "201");
            assert_eq!(record(&state).known("authorizationUri"), known.as_ref(), "{factory}");
        }
    }

    #[test]
    fn a_code_that_is_refused_is_spent_all_the_same() {
        let mut state = start();
        put(&mut state, Kind::Connector, "o", &json!({"id": "o", "type": "Social", "connectorId": "oauth2", "enableTokenStorage": false}));
        for (id, back) in [("r", "https://example.com"), ("elsewhere", "https://example.org")] {
            let begun = json!({"type": "Social", "connector": "o", "redirectUri": back, "verified": false, "expiresAt": NOW + 600_000});
            put(&mut state, Kind::Record, id, &begun);
        }
        let told = json!({"code": "k", "state": "s"});
        vouched::consented(&mut state, "r", &told, &json!({"userId": "s1"}), &Value::Null);
        let verify = |state: &mut State, record: &str| {
            let body = json!({"verificationRecordId": record, "connectorData": told});
            answer(state, "POST", "/api/verifications/social/verify", &body, None)
        };
        assert_eq!(verify(&mut state.clone(), "r"), "200");
        assert_eq!(verify(&mut state, "elsewhere"), "4xx connector.*");
        assert_eq!(verify(&mut state, "r"), "4xx connector.*");
    }

    #[test]
    fn tokens_stay_as_long_as_their_account_is_linked() {
        let linked = json!({"mock": {"userId": "s1"}});
        for (identities, owner, target, stays, all) in [
            (Some(&linked), "u", Some("mock"), true, Some(true)),
            (Some(&json!({"mock": {"userId": "s2"}})), "u", Some("mock"), false, Some(true)),
            (Some(&json!({"other": {"userId": "s1"}})), "u", Some("mock"), false, Some(true)),
            (Some(&json!({})), "v", Some("mock"), true, Some(true)),
            // Those of an enterprise identity.
            (Some(&json!({})), "u", None, true, Some(true)),
            (None, "u", Some("mock"), false, None),
            (None, "u", None, true, Some(true)),
        ] {
            let mut state = start();
            let user = Key::new(Kind::User, "u");
            state.update(&user, |user| user.set("identities", identities.cloned().map_or(Term::Unknown, Term::Known)));
            put(&mut state, Kind::TokenSet, "t", &json!({"owner": owner, "target": target, "identityId": "s1"}));
            settle_tokens(&mut state, &user);
            let known = state.get(&user).unwrap().flag(KNOWS_ALL);
            assert_eq!((state.find(Kind::TokenSet, "t").is_some(), known), (stays, all), "{identities:?} {owner} {target:?}");
        }
    }
}
