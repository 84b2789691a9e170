//! What each guard kind means: when an entry applies and whether it holds in a state.

use std::collections::BTreeMap;

use serde_json::Value;

use super::body::{Body, has_nul};
use super::call::Call;
use super::enterprise::is_linked;
use super::json::{has_lone_surrogate, same};
use super::message;
use super::multipart;
use super::password::{SETTLED, is_password};
use super::rules::{
    Account, EmailPolicy, MOCK_SOCIAL, PasswordPolicy, Phone, Search, UserInfo, UsernamePolicy, Verdict, breached, email_domain,
    is_picture, mock_account, parse_phone,
};
use super::select::{Look, owner_of, select};
use super::state::{Entity, Key, Kind, State, Term, Truth};
use super::{passkey, totp};
use crate::contract::entity::{Owner, Selector};
use crate::contract::guard::{
    AuthorizationRule, BodyShape, CallerFact, ClientRule, FactorName, FieldRule, FitsRule, Guard, GuardKind, IdentityRule, PasskeyRule,
    Place, RecordKind, RecordRule, RefusalEffect, TenantFact, UniqueRule, UserFact, ValueRef, When, Who,
};

/// Two readings of a limit in time this close to it are both right (clocks differ, requests travel).
pub const NEAR_MS: i64 = 30_000;

/// A call in a state at a moment (milliseconds since 1970).
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The call.
    pub call: &'a Call<'a>,
    /// The state it meets.
    pub state: &'a State,
    /// When.
    pub now: i64,
}

impl Scene<'_> {
    /// Whether an entry applies here.
    pub fn applies(&self, guard: &Guard) -> Truth {
        guard.when.as_ref().map_or(Truth::Yes, |when| self.fits(when))
    }

    /// Whether a condition holds.
    pub fn fits(&self, when: &When) -> Truth {
        let body = when.body.as_ref().map_or(Truth::Yes, |shape| match shape {
            BodyShape::Has(key) => Truth::of(member(&self.call.input, key).is_some()),
            BodyShape::Keys(keys) => Truth::of(keys.iter().all(|(key, shape)| {
                member(&self.call.input, key).is_some_and(|value| if shape == "string" { value.is_string() } else { value == shape })
            })),
        });
        let caller = when.caller.map_or(Truth::Yes, |fact| match fact {
            CallerFact::HasSecurityMethod => self.caller().map_or(Truth::Unknown, has_security_method),
            CallerFact::PasswordIsArgon2i => match self.caller().map(|user| user.get("passwordAlgorithm")) {
                Some(Term::Known(algorithm)) => Truth::of(algorithm == SETTLED),
                _ => Truth::Unknown,
            },
        });
        let own = when.own.as_ref().map_or(Truth::Yes, |own| {
            let current = self.caller().and_then(|user| user.known(&own.property));
            Truth::maybe(current.map(|current| Some(current) == self.call.value(&own.value).as_ref()))
        });
        let tenant = when.tenant.map_or(Truth::Yes, |fact| match fact {
            TenantFact::Development => Truth::No,
            TenantFact::PasskeyFactorOn => self.has_factor("WebAuthn"),
        });
        let user = when.user.as_ref().map_or(Truth::Yes, |fact| match fact {
            UserFact::HasIdentity(target) => self.has_identity(target),
        });
        let query = when.query.as_ref().map_or(Truth::Yes, |shape| match shape {
            BodyShape::Has(key) => Truth::of(self.call.query.contains_key(key)),
            BodyShape::Keys(keys) => {
                Truth::of(keys.iter().all(|(key, wanted)| self.call.query.get(key).is_some_and(|value| wanted == value.as_str())))
            }
        });
        let found = when.found.as_ref().map_or(Truth::Yes, |wanted| self.found(wanted));
        let not = when.not.as_ref().map_or(Truth::Yes, |inner| self.fits(inner).not());
        body.and(query).and(caller).and(own).and(user).and(tenant).and(found).and(not)
    }

    /// Whether the condition of an entry that applies holds.
    pub fn holds(&self, kind: &GuardKind) -> Truth {
        let (call, state) = (self.call, self.state);
        match kind {
            GuardKind::Authorization(rule) => self.authorization(*rule),
            GuardKind::Scope(scope) => {
                Truth::maybe(call.token(state).and_then(|token| token.known("scope")).map(|have| scopes(have).any(|have| have == scope)))
            }
            GuardKind::CenterEnabled(wanted) => {
                Truth::maybe(state.settings(&Key::account_center()).flag("enabled").map(|on| on == *wanted))
            }
            GuardKind::MaxBody(most) => Truth::of(call.operation.body.is_none() || call.has_files() || call.request.body.len() <= *most),
            GuardKind::Parsable(_) => Truth::of(call.body != Body::Unparsable),
            GuardKind::ValidInput(_) => Truth::of(self.input_is_valid()),
            GuardKind::NoNul(_) => Truth::of(
                !has_nul(&call.input)
                    && !call.path.values().any(|value| value.contains('\0'))
                    && !call.query.values().any(|value| value.contains('\0')),
            )
            // Half a surrogate pair is JSON that not every storage keeps: it may be refused, and may be taken.
            .and(if has_lone_surrogate(&call.request.body) { Truth::Near } else { Truth::Yes }),
            GuardKind::Field(rule) => self.field(rule, |level| level == "Edit"),
            GuardKind::FieldReadable(rule) => self.field(rule, |level| level != "Off"),
            GuardKind::FirstParty(_) => {
                let client = call.token(state).and_then(|token| token.text("client")).flatten();
                let client = client.and_then(|id| state.find(Kind::Application, id));
                Truth::maybe(client.and_then(|client| client.flag("isThirdParty")).map(|third| !third))
            }
            GuardKind::IdentityVerified(_) => self.identity_verified(),
            GuardKind::LastIdentifier(rule) => self.caller().map_or(Truth::Unknown, |user| {
                keeps_identifier(user, &rule.without, rule.key.as_ref().and_then(|key| call.text(key)).as_deref())
            }),
            GuardKind::UsernamePolicy(value) => {
                let Some(username) = call.text(value) else { return Truth::Yes };
                Truth::maybe(self.username_policy().map(|policy| policy.violation(&username).is_none()))
            }
            GuardKind::PasswordPolicy(value) => self.password_policy(value),
            GuardKind::NewPassword(value) => {
                Truth::maybe(self.caller().and_then(|user| is_password(user, call.text(value).as_deref()))).not()
            }
            GuardKind::PasswordMatches(value) => {
                Truth::maybe(self.caller().and_then(|user| is_password(user, call.text(value).as_deref())))
            }
            GuardKind::UserPassword(value) => Truth::maybe(self.subject().and_then(|user| is_password(user, call.text(value).as_deref()))),
            GuardKind::HasIdentity(target) => self.has_identity(target),
            GuardKind::HasSsoIdentity(connector) => self.has_sso_identity(connector),
            GuardKind::IdentityFree(rule) => self.identity_free(rule),
            GuardKind::ConnectorAccepts(answer) => {
                match self.connector_of(&answer.connector).map(|connector| connector.text("connectorId")) {
                    Some(Some(Some(MOCK_SOCIAL))) => {
                        Truth::of(call.value(&answer.data).is_some_and(|data| mock_account(&data) != Account::Unreadable))
                    }
                    _ => Truth::Unknown,
                }
            }
            GuardKind::Search(properties) => Truth::of(Search::read(call.request.query(), properties).is_some()),
            GuardKind::Unique(rule) => self.unique(rule),
            GuardKind::PhoneValid(value) => match call.text(value).filter(|digits| !digits.is_empty()) {
                Some(digits) => match parse_phone(&digits) {
                    Phone::Valid(_) => Truth::Yes,
                    Phone::Invalid => Truth::No,
                    Phone::Unknown => Truth::Unknown,
                },
                None => Truth::Yes,
            },
            GuardKind::MaxChars(bounds) => Truth::of(bounds.iter().all(|(key, most)| {
                let text = ValueRef::parse(key).map_or_else(|_| call.input.get(key).cloned(), |place| call.value(&place));
                text.as_ref().and_then(Value::as_str).is_none_or(|text| text.chars().count() <= *most)
            })),
            GuardKind::AnyKey(keys) => Truth::of(keys.iter().any(|key| call.input.get(key).is_some())),
            GuardKind::NotTogether(keys) => Truth::of(keys.iter().filter(|key| self.is_given(key)).count() < 2),
            GuardKind::HasKey(key) => Truth::of(call.input.get(key).is_some()),
            GuardKind::LegacyDigest(value) => Truth::of(call.text(value).is_none_or(|text| is_legacy_digest(&text))),
            GuardKind::DistinctNames(value) => Truth::of(call.value(value).is_none_or(|list| has_distinct_names(&list))),
            GuardKind::NotEmpty(value) => Truth::of(call.value(value).is_none_or(|value| value != "")),
            GuardKind::Exists(selector) if selector.value.is_none() => self.exists_any(selector),
            GuardKind::Exists(selector) => self.selected(selector, |look| match look {
                Look::Found(_) => Truth::Yes,
                Look::Missing => Truth::No,
                Look::Unknown => Truth::Unknown,
            }),
            GuardKind::Absent(selector) => self.selected(selector, |look| match look {
                Look::Found(_) => Truth::No,
                Look::Missing => Truth::Yes,
                Look::Unknown => Truth::Unknown,
            }),
            GuardKind::Is(selector) => self.is(selector),
            GuardKind::Pagination(_) => Truth::of(["page", "page_size"].iter().all(|name| names_page(name, call.query.get(*name)))),
            GuardKind::Fits(rule) => self.fits_schema(rule),
            GuardKind::Ordered(values) => {
                let numbers: Vec<f64> = values.iter().filter_map(|value| call.value(value)?.as_f64()).collect();
                Truth::of(numbers.len() < values.len() || numbers.is_sorted())
            }
            GuardKind::PolicyInformed(value) => {
                let named = call.text(value).is_some_and(|id| !id.is_empty());
                Truth::of(named).or(Truth::maybe(self.policy::<PasswordPolicy>("passwordPolicy").map(|policy| !policy.rejects.user_info)))
            }
            GuardKind::Distinct(value) => Truth::of(call.value(value).is_none_or(|list| is_distinct(&list))),
            GuardKind::InFuture(value) => call.value(value).map_or(Truth::Yes, |moment| self.before(&Term::Known(moment))),
            GuardKind::Record(rule) => self.record(rule),
            GuardKind::NotSelf(value) => match (call.caller(state), call.text(value)) {
                (Some(caller), Some(id)) => Truth::of(caller.id != id),
                _ => Truth::Yes,
            },
            GuardKind::NotSuspended(who) => {
                let user = match who {
                    Who::Caller => self.caller(),
                    Who::Subject => self.exchanged_user(),
                };
                Truth::maybe(user.and_then(|user| user.flag("isSuspended")).map(|suspended| !suspended))
            }
            GuardKind::NotLocked(who) => self.not_locked(who),
            GuardKind::Client(rule) => self.client(*rule),
            GuardKind::OneOf(rule) => Truth::of(call.text(&rule.value).is_none_or(|text| rule.of.contains(&text))),
            GuardKind::CodeUsable(value) => match call.text(value).map(|code| state.find(Kind::Code, &code).is_some()) {
                Some(true) => Truth::No,
                // Codes are issued below the contract: a deployment knows which it has given out, a run uses none of them here,
                // and of others either answer is right.
                Some(false) if state.is_whole() => Truth::Yes,
                Some(false) if state.is_closed() => Truth::No,
                Some(false) => Truth::Near,
                None => Truth::Yes,
            },
            GuardKind::ActorToken(value) => call.text(value).map_or(Truth::Yes, |text| {
                let Some(token) = state.find(Kind::Token, &text) else { return Truth::No };
                let opened = Truth::maybe(token.known("scope").map(|have| scopes(have).any(|have| have == "openid")));
                Truth::maybe(token.flag("alive")).and(opened).and(self.before(token.get("expiresAt")))
            }),
            GuardKind::RefreshToken(value) => self.refresh_token(value),
            GuardKind::ResourceKnown(value) => self.resource_known(value),
            GuardKind::SubjectToken(value) => self.subject_token(value),
            GuardKind::Belongs(selector) => self.belongs(selector),
            GuardKind::Unexpired(selector) => self.selected(selector, |look| match look {
                Look::Found(key) => state.get(key).map_or(Truth::Unknown, |entity| self.before(entity.get("expiresAt"))),
                Look::Missing => Truth::Yes,
                Look::Unknown => Truth::Unknown,
            }),
            GuardKind::Message(rule) => message::can_send(*rule, call, state, self.now),
            GuardKind::SentCode(rule) => {
                let policy = self.policy::<Value>("verificationCodePolicy");
                message::can_use(*rule, call, state, policy.as_ref(), self.now)
            }
            GuardKind::PasswordExpiryOn(_) => Truth::maybe(self.policy::<Value>("passwordExpiration").map(|policy| {
                policy.get("enabled") == Some(&Value::Bool(true)) && policy.get("validPeriodDays").and_then(Value::as_f64) > Some(0.0)
            })),
            GuardKind::EmailDomain(value) => Truth::of(call.text(value).is_none_or(|email| email_domain(&email).is_some())),
            GuardKind::NoSubaddress(value) => self.email_policy(value, EmailPolicy::admits_local_part),
            GuardKind::EmailListed(value) => self.email_policy(value, EmailPolicy::lists_admit),
            GuardKind::SendAllowed(value) => self.send_allowed(value),
            GuardKind::Channel(value) => self.channel(value),
            GuardKind::CodePending(value) => self.code_pending(value),
            GuardKind::CodeFresh(value) => self.code_fresh(value),
            GuardKind::TriesLeft(value) => self.tries_left(value),
            GuardKind::CodeMatches(rule) => self.code_matches(rule),
            GuardKind::SocialUnbound(value) => self.social_unbound(value),
            GuardKind::SocialNew(value) => self.social_new(value),
            GuardKind::SocialBound(value) => self.social_bound(value),
            GuardKind::SocialToken(value) => self.social_token(value),
            GuardKind::SocialTarget(rule) => self.social_target(rule),
            GuardKind::SocialProof(rule) => self.social_proof(rule),
            GuardKind::TokenSetUsable(selector) => self.token_set(selector, |tokens| self.is_usable(tokens)),
            GuardKind::TokenSetRenewed(selector) => self.token_set(selector, |tokens| self.is_renewed(tokens)),
            GuardKind::MaxFile(rule) => {
                Truth::of(call.value(&rule.file).and_then(|file| multipart::content(&file)).is_none_or(|bytes| bytes.len() <= rule.bytes))
            }
            GuardKind::Picture(value) => {
                Truth::of(call.value(value).and_then(|file| multipart::content(&file)).is_some_and(|bytes| is_picture(&bytes)))
            }
            // Where files go is said outside the API, so either answer is right.
            GuardKind::Storage(_) => Truth::Near,
            GuardKind::FactorOn(name) => self.factor_on(name),
            GuardKind::TotpSecret(value) => Truth::of(call.text(value).is_none_or(|text| totp::is_secret(&text))),
            GuardKind::TotpCode(rule) => match (call.text(&rule.secret), call.text(&rule.code)) {
                (Some(secret), Some(code)) => totp::proves(&secret, &code, self.now),
                _ => Truth::Yes,
            },
            GuardKind::BackupCodes(value) => Truth::of(call.value(value).is_none_or(|codes| are_backup_codes(&codes))),
            GuardKind::PasskeyProof(rule) => self.passkey_proof(rule),
        }
    }

    /// Whether the entities that a selector names, its owner aside, belong to that owner.
    fn belongs(&self, selector: &Selector) -> Truth {
        let Some(owner) = selector.of.as_ref().and_then(|owner| owner_of(self.call, self.state, selector.kind, owner)) else {
            return Truth::Unknown;
        };
        let anybodys = Selector { of: None, ..selector.clone() };
        self.selected(&anybodys, |look| match look {
            Look::Found(key) => Truth::maybe(self.state.get(key).and_then(|entity| entity.text("owner")).map(|id| id == Some(&owner.id))),
            Look::Missing => Truth::Yes,
            Look::Unknown => Truth::Unknown,
        })
    }

    /// Whether a value, or what settings would become, fits a schema.
    fn fits_schema(&self, rule: &FitsRule) -> Truth {
        if let Some(value) = &rule.value {
            let value = self.call.value(value);
            let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
            if rule.unless.as_ref().is_some_and(|unless| unless.0.is_match(text)) {
                return Truth::Near;
            }
            return Truth::of(value.is_none_or(|value| rule.admits(&value)));
        }
        let stored = self.state.settings(&Key::new(Kind::Settings, rule.settings.as_deref().unwrap_or_default()));
        let mut next = serde_json::Map::new();
        for name in rule.schema.iter().flat_map(|schema| schema.properties().into_keys()) {
            match self.call.input.get(name).or_else(|| stored.known(name)) {
                Some(value) => drop(next.insert(name.to_owned(), value.clone())),
                None => return Truth::Unknown,
            }
        }
        Truth::of(rule.admits(&Value::Object(next)))
    }

    /// Whether the tenant has this kind among the second factors.
    fn has_factor(&self, name: &str) -> Truth {
        let factors = self.state.settings(&Key::sign_in_experience()).known("mfa").and_then(|mfa| mfa.get("factors"));
        Truth::maybe(factors.and_then(Value::as_array).map(|factors| factors.iter().any(|factor| factor == name)))
    }

    /// Whether a kind of factor can be added; passkeys also where they serve to sign in.
    fn factor_on(&self, name: &FactorName) -> Truth {
        let name = match name {
            FactorName::Fixed(name) => Some(name.clone()),
            FactorName::Value(value) => self.call.text(value),
        };
        let Some(name) = name else { return Truth::No };
        let listed = self.has_factor(&name);
        if name != "WebAuthn" {
            return listed;
        }
        let sign_in = self.state.settings(&Key::sign_in_experience()).known("passkeySignIn");
        listed.or(Truth::maybe(sign_in.map(|settings| settings.get("enabled") == Some(&Value::Bool(true)))))
    }

    /// Whether an authenticator's answer fits the registration of a record.
    fn passkey_proof(&self, rule: &PasskeyRule) -> Truth {
        let (Some(proof), Some(id)) = (self.call.value(&rule.proof), self.call.text(&rule.record)) else { return Truth::No };
        let record = self.state.find(Kind::Record, &id);
        let part = |name: &str| record.and_then(|record| record.text(&format!("registrationOptions.{name}")).flatten());
        let centre = self.state.settings(&Key::account_center());
        let related = centre.known("webauthnRelatedOrigins").and_then(Value::as_array);
        passkey::proves(&proof, part("challenge"), |origin| {
            let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
            let own = match part("rp.id") {
                // 1.43 looks at the header instead of its own address. Browsers send the same in both; without the header both
                // answers are right.
                Some(own) if Some(own) == host.as_deref() => match self.call.request.header("origin") {
                    Some(header) if header == origin => Truth::Yes,
                    Some(_) => Truth::Unknown,
                    None => Truth::Near,
                },
                Some(_) => Truth::No,
                None => Truth::Unknown,
            };
            own.or(Truth::maybe(related.map(|related| related.iter().any(|other| other == origin))))
        })
    }

    /// Folds what is known of the entities a selector names.
    pub(super) fn selected(&self, selector: &Selector, truth: impl Fn(&Look) -> Truth) -> Truth {
        select(self.call, self.state, selector).iter().fold(Truth::Yes, |all, look| all.and(truth(look)))
    }

    /// The entity that a selector surely names.
    pub fn named(&self, selector: &Selector) -> Option<Key> {
        select(self.call, self.state, selector).into_iter().find_map(|look| match look {
            Look::Found(key) => Some(key),
            Look::Missing | Look::Unknown => None,
        })
    }

    /// Whether at least one entity fits a selector that names none.
    fn exists_any(&self, selector: &Selector) -> Truth {
        select(self.call, self.state, selector).iter().fold(Truth::No, |any, look| {
            any.or(match look {
                Look::Found(_) => Truth::Yes,
                Look::Missing => Truth::No,
                Look::Unknown => Truth::Unknown,
            })
        })
    }

    /// Whether the entities that a selector names, its properties aside, have these properties.
    fn is(&self, selector: &Selector) -> Truth {
        let bare = Selector { with: BTreeMap::new(), without: BTreeMap::new(), ..selector.clone() };
        self.selected(&bare, |look| match look {
            Look::Found(key) => self.state.get(key).map_or(Truth::Unknown, |entity| has_all(entity, &self.wanted(&selector.with))),
            Look::Missing => Truth::Yes,
            Look::Unknown => Truth::Unknown,
        })
    }

    /// Wanted properties, those filled in that are values of the request.
    fn wanted(&self, with: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let fill = |value: &Value| match value.as_str().map(ValueRef::parse) {
            Some(Ok(reference)) => self.call.value(&reference).unwrap_or_default(),
            _ => value.clone(),
        };
        with.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
    }

    /// Whether the entity that the operation's last `exists` names has these properties.
    fn found(&self, wanted: &BTreeMap<String, Value>) -> Truth {
        let last = self.call.operation.guards.iter().rev().find_map(|guard| match &guard.kind {
            GuardKind::Exists(selector) => Some(selector),
            _ => None,
        });
        let looks = last.map(|selector| select(self.call, self.state, selector)).unwrap_or_default();
        match looks.first() {
            Some(Look::Found(key)) => self.state.get(key).map_or(Truth::Unknown, |entity| has_all(entity, wanted)),
            Some(Look::Missing) => Truth::No,
            Some(Look::Unknown) | None => Truth::Unknown,
        }
    }

    /// Whether a verification record is the proof that a rule asks for.
    fn record(&self, rule: &RecordRule) -> Truth {
        let Some(id) = self.call.text(&rule.id) else { return Truth::Yes };
        let Some(record) = self.state.find(Kind::Record, &id) else { return Truth::No };
        let kind = match (&rule.kind, record.text("type").flatten()) {
            (_, None) => Truth::Unknown,
            (RecordKind::OneOf(kinds), Some(kind)) => Truth::of(kinds.iter().any(|wanted| wanted == kind)),
            (RecordKind::By { by }, Some(kind)) => {
                let wanted =
                    self.call.text(by).map(|wanted| if wanted == "email" { "EmailVerificationCode" } else { "PhoneVerificationCode" });
                Truth::of(wanted == Some(kind))
            }
        };
        let value = rule
            .value
            .as_ref()
            .map_or(Truth::Yes, |wanted| Truth::maybe(record.known("value").map(|value| Some(value.clone()) == self.call.value(wanted))));
        let verified = if rule.verified { Truth::maybe(record.flag("verified")) } else { Truth::Yes };
        let owner = rule.owner.as_ref().map_or(Truth::Yes, |owner| {
            let owner = owner_of(self.call, self.state, Kind::Record, owner);
            Truth::maybe(owner.and_then(|owner| record.text("owner").map(|known| known == Some(&owner.id))))
        });
        kind.and(value).and(verified).and(owner).and(self.before(record.get("expiresAt")))
    }

    /// The user whose token this is, as the state knows it.
    pub fn caller(&self) -> Option<&Entity> {
        self.state.get(&self.call.caller(self.state)?)
    }

    fn authorization(&self, rule: AuthorizationRule) -> Truth {
        let Some(header) = self.call.authorization() else { return Truth::No };
        let usable = |wanted: &str| {
            let Some(token) = self.call.token(self.state) else { return Truth::No };
            if token.text("use") != Some(Some(wanted)) {
                return Truth::No;
            }
            Truth::maybe(token.flag("alive")).and(self.before(token.get("expiresAt")))
        };
        match rule {
            AuthorizationRule::Present => Truth::of(!header.is_empty()),
            AuthorizationRule::Bearer => Truth::of(self.call.bearer().is_some()),
            AuthorizationRule::UserToken => usable("account"),
            AuthorizationRule::ManagementToken => usable("management"),
        }
    }

    /// Whether now is before a time given in milliseconds or ISO text. No time means no limit.
    pub(super) fn before(&self, limit: &Term) -> Truth {
        before(limit, self.now)
    }

    fn input_is_valid(&self) -> bool {
        let call = self.call;
        let body = match (&call.body, &call.operation.body) {
            (Body::Value(value), Some((_, schema))) => schema.admits(value),
            (Body::Unparsable, _) => false,
            (_, None) => true,
        };
        body && call.operation.parameters.iter().all(|parameter| {
            let text = match parameter.place {
                Place::Path => call.path.get(&parameter.name),
                Place::Query => call.query.get(&parameter.name),
                Place::Body | Place::Header => return true,
            };
            match text {
                Some(text) => parameter.schema.admits(&Value::String(text.clone())),
                None => !parameter.required,
            }
        })
    }

    fn field(&self, rule: &FieldRule, enough: impl Fn(&str) -> bool) -> Truth {
        let one = |field: &str| Truth::maybe(self.state.level(field).map(&enough));
        match rule {
            FieldRule::One(field) => one(field),
            FieldRule::Each { each } => {
                each.iter().filter(|field| self.call.input.get(field.as_str()).is_some()).fold(Truth::Yes, |all, field| all.and(one(field)))
            }
            FieldRule::FirstSet { first_set } => {
                for (index, field) in first_set.iter().enumerate() {
                    match self.state.has_level(field) {
                        None => return Truth::Unknown,
                        Some(set) if set || index + 1 == first_set.len() => return one(field),
                        Some(_) => {}
                    }
                }
                Truth::Yes
            }
        }
    }

    fn identity_verified(&self) -> Truth {
        let Some(id) = self.call.request.header("logto-verification-id") else { return Truth::No };
        let Some(record) = self.state.find(Kind::Record, id) else { return Truth::No };
        let owner = match (record.known("owner"), self.call.caller(self.state)) {
            (Some(owner), Some(caller)) => Truth::of(owner == caller.id.as_str()),
            (Some(Value::Null), None) => Truth::No,
            _ => Truth::Unknown,
        };
        owner
            .and(Truth::maybe(record.flag("verifies")))
            .and(Truth::maybe(record.flag("verified")))
            .and(self.before(record.get("expiresAt")))
    }

    pub(super) fn policy<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let policy = self.state.settings(&Key::sign_in_experience()).known(name)?;
        serde_json::from_value(policy.clone()).ok()
    }

    fn username_policy(&self) -> Option<UsernamePolicy> {
        self.policy("usernamePolicy")
    }

    fn email_policy(&self, value: &ValueRef, admits: impl Fn(&EmailPolicy, &str) -> bool) -> Truth {
        let Some(email) = self.call.text(value) else { return Truth::Yes };
        Truth::maybe(self.policy::<EmailPolicy>("emailBlocklistPolicy").map(|policy| admits(&policy, &email)))
    }

    fn password_policy(&self, value: &ValueRef) -> Truth {
        let Some(password) = self.call.text(value) else { return Truth::Yes };
        let Some(policy) = self.policy::<PasswordPolicy>("passwordPolicy") else { return Truth::Unknown };
        let user = self.judged_user();
        if user.is_none() && policy.rejects.user_info {
            return Truth::Unknown;
        }
        let text = |name: &str| user?.text(name).flatten().map(str::to_owned);
        let info = UserInfo { name: text("name"), username: text("username"), email: text("primaryEmail"), phone: text("primaryPhone") };
        match policy.verdict(&password, &info, breached) {
            Verdict::Accepted => Truth::Yes,
            Verdict::Rejected => Truth::No,
            Verdict::Unknown => Truth::Unknown,
        }
    }

    /// The user whose password is judged: the caller, or the one the body names.
    pub fn judged_user(&self) -> Option<&Entity> {
        self.caller().or_else(|| self.state.find(Kind::User, self.call.input.get("userId")?.as_str()?))
    }

    /// Whether a key is in the body, or a parameter (`query.NAME`) is given and not empty.
    fn is_given(&self, key: &str) -> bool {
        match key.strip_prefix("query.") {
            Some(name) => self.call.query.get(name).is_some_and(|text| !text.is_empty()),
            None => self.call.input.get(key).is_some(),
        }
    }

    /// The user in the path, as the state knows it.
    fn subject(&self) -> Option<&Entity> {
        self.state.get(&self.call.subject()?)
    }

    fn has_identity(&self, target: &ValueRef) -> Truth {
        let identities = self.subject().or_else(|| self.caller()).and_then(|user| user.known("identities"));
        Truth::maybe(identities.zip(self.call.text(target)).map(|(identities, target)| identities.get(target).is_some()))
    }

    fn has_sso_identity(&self, connector: &ValueRef) -> Truth {
        let identity = self.subject().zip(self.call.text(connector)).map(|(user, connector)| sso_identity(user, &connector));
        match identity.as_ref().and_then(Term::known) {
            Some(identity) => Truth::of(!identity.is_null()),
            None => self.subject().zip(self.call.text(connector)).map_or(Truth::Unknown, |(user, connector)| is_linked(user, &connector)),
        }
    }

    /// The connector that a value names, as the state knows it.
    fn connector_of(&self, value: &ValueRef) -> Option<&Entity> {
        self.state.find(Kind::Connector, &self.call.text(value)?)
    }

    /// What is not known of others does not matter: accounts at providers are rarely shared.
    fn identity_free(&self, rule: &IdentityRule) -> Truth {
        let mocked = || {
            let connector = self.connector_of(rule.connector.as_ref()?)?;
            let reads = connector.text("connectorId") == Some(Some(MOCK_SOCIAL));
            connector.text("target").flatten().filter(|_| reads).map(str::to_owned)
        };
        let target = rule.target.as_ref().and_then(|target| self.call.text(target)).or_else(mocked);
        let (Some(target), id) = (target, self.call.value(&rule.id)) else { return Truth::Unknown };
        let own = self.call.subject().map(|own| own.id);
        self.nobody_else(own.as_deref(), "identities", |identities| {
            id.is_some() && identities.get(&target).and_then(|identity| identity.get("userId")) == id.as_ref()
        })
    }

    /// Whether no other user has something, as far as is known.
    pub(super) fn nobody_else(&self, own: Option<&str>, property: &str, is: impl Fn(&Value) -> bool) -> Truth {
        let others = self.state.all(Kind::User).filter(|(id, _)| Some(*id) != own);
        others.fold(Truth::No, |taken, (_, user)| taken.or(user.may(property, &is))).not()
    }

    /// The attempt that reaches the limit is itself answered as locked.
    fn not_locked(&self, who: &Owner) -> Truth {
        let most =
            self.policy::<Value>("sentinelPolicy").and_then(|policy| policy.get("maxAttempts").and_then(Value::as_u64)).unwrap_or(100);
        let failures = match who {
            Owner::Value(value) => self.recipient_failures(value),
            Owner::Caller | Owner::User | Owner::Composed(_) => {
                self.caller().and_then(|user| user.known("failures")).and_then(Value::as_u64)
            }
        };
        let Some(failures) = failures else { return Truth::Unknown };
        let counted = self.call.operation.guards.iter().filter(|guard| guard.on_refusal.contains(&RefusalEffect::CountFailure));
        let fails = counted
            .filter(|guard| !matches!(guard.kind, GuardKind::NotLocked(_)))
            .fold(Truth::No, |fails, guard| fails.or(self.applies(guard).and(self.holds(&guard.kind).not())));
        match fails {
            _ if failures >= most => Truth::No,
            Truth::Yes => Truth::of(failures + 1 < most),
            Truth::No => Truth::of(failures < most),
            open if failures + 1 >= most => open,
            _ => Truth::Yes,
        }
    }

    fn unique(&self, rule: &UniqueRule) -> Truth {
        let Some(value) = self.call.text(&rule.value()).filter(|value| !value.is_empty()) else { return Truth::Yes };
        let (property, value) = (rule.property(), value.as_str());
        let own = self.call.subject().or_else(|| self.call.caller(self.state));
        let own = own.as_ref().map(|key| key.id.as_str());
        let policy = self.username_policy();
        let normal = |text: &str| match property {
            "primaryEmail" => text.to_lowercase(),
            "primaryPhone" => match parse_phone(text) {
                Phone::Valid(stored) => stored,
                _ => text.to_owned(),
            },
            _ => text.to_owned(),
        };
        let wanted = normal(value);
        let same = |other: &str| match (property, &policy) {
            ("username", Some(policy)) => policy.same(value, other),
            _ => normal(other) == wanted,
        };
        self.nobody_else(own, property, |other| other.as_str().is_some_and(same))
    }

    fn application(&self) -> Option<&Entity> {
        self.state.find(Kind::Application, &self.call.client()?.0)
    }

    fn client(&self, rule: ClientRule) -> Truth {
        let Some((_, secret)) = self.call.client() else { return Truth::No };
        if rule == ClientRule::Presented {
            return Truth::Yes;
        }
        // Applications that were there before anything was seen are not known by name.
        let Some(application) = self.application() else { return if self.state.is_closed() { Truth::No } else { Truth::Unknown } };
        if !application.exists() {
            return Truth::No;
        }
        match rule {
            ClientRule::Presented | ClientRule::Known => Truth::Yes,
            ClientRule::Authenticated => match application.known("clientSecret") {
                Some(Value::String(known)) if secret.as_deref() == Some(known) => Truth::Yes,
                Some(Value::Null) => Truth::of(secret.is_none()),
                known => {
                    let client = self.call.client().map(|(id, _)| Key::new(Kind::Application, id));
                    let all = known.is_some() || self.state.knows_all(Kind::ApplicationSecret, client.as_ref());
                    self.has_secret(secret.as_deref()).or(if all { Truth::No } else { Truth::Unknown })
                }
            },
            ClientRule::GrantAllowed => match self.call.input.get("grant_type").and_then(Value::as_str) {
                Some("client_credentials") => Truth::maybe(application.text("type").map(|kind| kind == Some("MachineToMachine"))),
                Some(grant) if grant.ends_with(":token-exchange") => {
                    let metadata = application.known("customClientMetadata");
                    Truth::maybe(metadata.map(|metadata| metadata.get("allowTokenExchange") == Some(&Value::Bool(true))))
                }
                Some("authorization_code" | "refresh_token") => {
                    Truth::maybe(application.text("type").map(|kind| kind != Some("MachineToMachine")))
                }
                _ => Truth::No,
            },
        }
    }

    /// Whether a text is one of the secrets of the client, as far as they were seen.
    fn has_secret(&self, secret: Option<&str>) -> Truth {
        let Some((client, _)) = self.call.client() else { return Truth::No };
        let own = self.state.all(Kind::ApplicationSecret).filter(|(_, known)| known.text("owner") == Some(Some(&client)));
        let fitting = own.map(|(_, known)| match known.text("value") {
            Some(value) => Truth::of(value == secret).and(self.before(known.get("expiresAt"))),
            None => Truth::Unknown,
        });
        fitting.fold(Truth::No, Truth::or)
    }

    fn resource_known(&self, value: &ValueRef) -> Truth {
        match self.call.text(value) {
            None => Truth::of(self.call.input.get("grant_type").and_then(Value::as_str) != Some("client_credentials")),
            Some(resource) if super::effect::is_management(&resource) => Truth::Yes,
            Some(resource) => Truth::of(self.state.all(Kind::Resource).any(|(_, known)| known.text("indicator") == Some(Some(&resource)))),
        }
    }

    fn refresh_token(&self, value: &ValueRef) -> Truth {
        let Some(text) = self.call.text(value) else { return Truth::Yes };
        let issued = self.state.all(Kind::Token).find(|(_, token)| token.text("refresh_token") == Some(Some(&text)));
        issued.map_or(Truth::No, |(_, token)| Truth::maybe(token.flag("alive")))
    }

    fn exchanged_user(&self) -> Option<&Entity> {
        let token = self.call.input.get("subject_token").and_then(Value::as_str)?;
        let issued = self.state.find(Kind::SubjectToken, token).or_else(|| self.state.find(Kind::Token, token));
        let owner = match issued {
            Some(issued) => issued.text("user")??,
            None => self.state.find(Kind::PersonalAccessToken, token)?.text("owner")??,
        };
        self.state.find(Kind::User, owner)
    }

    fn subject_token(&self, value: &ValueRef) -> Truth {
        let Some(text) = self.call.text(value) else { return Truth::No };
        let exists = |id: Option<&str>| Truth::of(id.is_some_and(|id| self.state.find(Kind::User, id).is_some()));
        match self.call.input.get("subject_token_type").and_then(Value::as_str) {
            Some(PERSONAL_ACCESS_TOKEN) => match self.state.find(Kind::PersonalAccessToken, &text) {
                // Zero means never, like none.
                Some(token) if token.known("expiresAt").is_some_and(|time| *time == 0) => exists(token.text("owner").flatten()),
                Some(token) => exists(token.text("owner").flatten()).and(self.before(token.get("expiresAt"))),
                None => Truth::No,
            },
            Some(kind @ (ACCESS_TOKEN | IMPERSONATION_TOKEN)) => match self.state.find(Kind::SubjectToken, &text) {
                Some(token) => Truth::maybe(token.flag("consumed").map(|consumed| !consumed))
                    .and(exists(token.text("user").flatten()))
                    .and(self.before(token.get("expiresAt"))),
                None if kind == IMPERSONATION_TOKEN || text.starts_with("sub_") || text.starts_with("pat_") => Truth::No,
                None => Truth::Unknown,
            },
            _ => Truth::No,
        }
    }
}

/// Whether an entity has these properties: a value, or a list of which it is one.
pub(super) fn has_all(entity: &Entity, wanted: &BTreeMap<String, Value>) -> Truth {
    wanted.iter().fold(Truth::Yes, |all, (name, wanted)| {
        let (property, inner) = name.split_once('.').map_or((name.as_str(), None), |(property, inner)| (property, Some(inner)));
        let value = entity.known(property).map(|value| inner.map_or(Some(value), |inner| member(value, inner)).unwrap_or(&Value::Null));
        all.and(Truth::maybe(value.map(|value| match wanted {
            Value::Array(choices) => choices.iter().any(|choice| same(choice, value)),
            one => same(one, value),
        })))
    })
}

/// A member of an object; `outer.inner` is a member of a member.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(value, |value, name| value.get(name))
}

/// Whether a text names a page, or the size of one: a number above zero, and a size of at most a hundred. Empty counts as absent.
fn names_page(parameter: &str, text: Option<&String>) -> bool {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return true };
    let most = if parameter == "page_size" { 100.0 } else { f64::INFINITY };
    // Blanks around a number do not count; blanks alone are no number, unlike no text at all.
    text.trim().parse::<f64>().is_ok_and(|number| number > 0.0 && number <= most)
}

fn is_distinct(list: &Value) -> bool {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
}

/// What a subject token can be announced as.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const IMPERSONATION_TOKEN: &str = "urn:logto:token-type:impersonation_token";
const PERSONAL_ACCESS_TOKEN: &str = "urn:logto:token-type:personal_access_token";

/// Whether now is before a time given in milliseconds or ISO text. No time means no limit.
pub fn before(limit: &Term, now: i64) -> Truth {
    let limit = match limit {
        Term::Known(Value::Null) => return Truth::Yes,
        Term::Known(value) => super::time::millis(value),
        _ => None,
    };
    match limit {
        None => Truth::Unknown,
        Some(limit) if (limit - now).abs() < NEAR_MS => Truth::Near,
        Some(limit) => Truth::of(now < limit),
    }
}

/// Property of a user that holds the enterprise identity of one connector, where not all of them are known.
pub fn sso_property(connector: &str) -> String {
    format!("ssoIdentities/{connector}")
}

/// A user's enterprise identity of a connector; null when there is none.
pub fn sso_identity(user: &Entity, connector: &str) -> Term {
    let of_connector = |identity: &&Value| identity.get("ssoConnectorId").is_some_and(|id| id == connector);
    match user.known("ssoIdentities").and_then(Value::as_array) {
        Some(all) => Term::Known(all.iter().find(of_connector).cloned().unwrap_or_default()),
        None => user.get(&sso_property(connector)).clone(),
    }
}

/// The scopes of a `scope` text.
pub fn scopes(scope: &Value) -> impl Iterator<Item = &str> {
    scope.as_str().unwrap_or("").split_whitespace()
}

/// A password, a primary e-mail or a primary phone.
pub fn has_security_method(user: &Entity) -> Truth {
    let has = |name: &str| Truth::maybe(user.known(name).map(|value| !value.is_null()));
    Truth::maybe(user.flag("hasPassword")).or(has("primaryEmail")).or(has("primaryPhone"))
}

/// Whether an identifier remains without a property, or without one member of it.
fn keeps_identifier(user: &Entity, without: &str, member: Option<&str>) -> Truth {
    let text = |name: &str| if name == without { Truth::No } else { Truth::maybe(user.known(name).map(|value| !value.is_null())) };
    let some = |name: &str| {
        Truth::maybe(user.known(name).map(|value| match value {
            Value::Object(map) if name == without => map.keys().any(|key| Some(key.as_str()) != member),
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        }))
    };
    text("username").or(text("primaryEmail")).or(text("primaryPhone")).or(some("identities")).or(some("ssoIdentities"))
}

fn is_legacy_digest(text: &str) -> bool {
    serde_json::from_str::<(String, Vec<Value>, String)>(text).is_ok()
}

fn has_distinct_names(list: &Value) -> bool {
    let names: Vec<&Value> = list.as_array().into_iter().flatten().filter_map(|item| item.get("name")).collect();
    names.iter().enumerate().all(|(index, name)| !names[..index].contains(name))
}

/// Whether a list holds ten texts of ten hexadecimal digits.
fn are_backup_codes(list: &Value) -> bool {
    let is_code = |code: &Value| code.as_str().is_some_and(|text| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    list.as_array().is_some_and(|codes| codes.len() == 10 && codes.iter().all(is_code))
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
