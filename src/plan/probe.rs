//! One request to be tried: an accepted request of an operation, and the ways to spoil it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::cast::Cast;
use super::epoch::Need;
use super::script::{ALL_SCOPES, Client, Script, User};
use super::sequence::{Call, Facts, Persona, Purpose};
use super::symbol::symbols;
use super::twist::UNUSED_ID;
use crate::contract::entity::Owner;
use crate::contract::guard::{AuthorizationRule, BodyShape, FieldRule, Guard, GuardKind, Place, ValueRef, When};
use crate::contract::{Case, Contract, Given, Kind, Operation, Outcome, Source};
use crate::model::multipart;

/// Who the request says it is from.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    /// The caller's access token.
    Caller,
    /// This header.
    Header(String),
    /// No header.
    None,
    /// The caller's ID token.
    IdToken,
    /// The caller's access token, with the scheme in lower case.
    LowerCase,
}

/// Which proof of identity goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// None.
    None,
    /// The caller's own record.
    Own,
    /// An id no record has.
    Unknown,
    /// Another user's record.
    OtherUsers,
}

/// What is in the body.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Value),
    /// A form.
    Form(BTreeMap<String, String>),
    /// These bytes with this content type.
    Raw(&'static str, Vec<u8>),
    /// With this content type: a beginning, so many letters, and an end.
    Padded(&'static str, &'static str, usize, &'static str),
}

/// The user that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Username and e-mail.
    Whole,
    /// A username only.
    OneIdentifier,
    /// Nothing but this, from the moment its tokens and records are there.
    Only(Identifier),
}

/// What a user can be found by besides a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identifier {
    /// A primary e-mail.
    Email,
    /// A primary phone.
    Phone,
    /// A linked social account, which the request's setup brings about.
    Identity,
}

/// A request to be tried.
#[derive(Debug, Clone)]
pub struct Probe<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// What is tried, for people.
    pub label: String,
    /// Who it says it is from.
    pub credential: Credential,
    /// Scopes of the caller's token.
    pub scopes: BTreeSet<String>,
    /// Application of the caller's token.
    pub client: Client,
    /// The caller.
    pub who: Who,
    /// Proof of identity.
    pub proof: Proof,
    /// Field levels it needs; `None` for an absent key.
    pub levels: BTreeMap<String, Option<String>>,
    /// Whether the account center must be on.
    pub enabled: bool,
    /// Whether the tenant must have second factors switched on, or off.
    pub factors: Option<bool>,
    /// Body.
    pub payload: Payload,
    /// Path parameters.
    pub path: BTreeMap<String, String>,
    /// Query.
    pub query: BTreeMap<String, String>,
    /// Nobody looks afterwards whether it changed something: another way to break the same guards is looked at.
    pub quiet: bool,
    /// What it must be refused with, where it is only of use then.
    pub first: Option<Outcome>,
    /// What must have been accepted before, by the name under which the request speaks of it.
    pub given: BTreeMap<String, Given>,
    /// What is got outside the collections after that, by the symbol it is known by.
    pub obtain: BTreeMap<String, Source>,
    /// Headers besides those that the guards and the body need, or in place of them.
    pub headers: BTreeMap<String, String>,
    /// Whether the caller signs in for it.
    pub signed_in: bool,
}

impl<'a> Probe<'a> {
    /// An accepted request: one of the operation's cases, with everything its guards, and those of what is given, ask for.
    pub fn accepted(contract: &'a Contract, operation: &'a Operation, name: &str, case: &Case) -> Self {
        let payload = match (&case.body, &case.form) {
            (Some(body), _) => Payload::Json(body.clone()),
            (None, Some(form)) => Payload::Form(form.clone()),
            (None, None) => Payload::Nothing,
        };
        let mut probe = Self {
            operation,
            label: name.to_owned(),
            credential: Credential::None,
            scopes: BTreeSet::from(["openid".to_owned()]),
            client: Client::First,
            who: Who::Whole,
            proof: Proof::None,
            levels: BTreeMap::new(),
            enabled: true,
            factors: None,
            payload,
            path: case.path.clone(),
            query: case.query.clone(),
            quiet: false,
            first: None,
            given: case.given.clone(),
            obtain: case.obtain.clone(),
            headers: case.headers.clone(),
            signed_in: case.signed_in,
        };
        for guard in &operation.guards {
            if guard.when.as_ref().is_none_or(|when| probe.concerns(when)) {
                probe.satisfy(&guard.kind);
            }
        }
        for given in case.given.values().filter_map(|given| Self::of_given(contract, given)).filter(Self::by_user) {
            probe.levels.extend(given.levels);
            probe.factors = probe.factors.or(given.factors);
        }
        probe
    }

    /// What it needs of the settings.
    pub fn need(&self) -> Need {
        Need { enabled: self.by_user().then_some(self.enabled), levels: self.levels.clone(), factors: self.factors }
    }

    fn of_given(contract: &'a Contract, given: &Given) -> Option<Self> {
        let operation = contract.operation(&given.operation)?;
        Some(Self::accepted(contract, operation, &given.case, operation.cases.get(&given.case)?))
    }

    /// Whether a condition can apply to this request. Facts about the caller count as given.
    pub fn concerns(&self, when: &When) -> bool {
        let body = when.body.as_ref().is_none_or(|shape| match shape {
            BodyShape::Has(key) => self.member(key).is_some(),
            BodyShape::Keys(keys) => keys.iter().all(|(key, shape)| {
                self.member(key).is_some_and(|value| if shape == "string" { value.is_string() } else { value == *shape })
            }),
        });
        body && when.not.as_ref().is_none_or(|inner| !self.concerns(inner))
    }

    /// A member of the body; `outer.inner` is a member of a member.
    pub fn member(&self, key: &str) -> Option<Value> {
        match &self.payload {
            Payload::Json(body) => key.split('.').try_fold(body, |value, name| value.get(name)).cloned(),
            Payload::Form(form) => form.get(key).map(|value| Value::String(value.clone())),
            Payload::Nothing | Payload::Raw(..) | Payload::Padded(..) => None,
        }
    }

    /// Whether the body is JSON that fits the schema as it stands, symbols included.
    pub fn fits(&self) -> bool {
        matches!((&self.payload, &self.operation.body), (Payload::Json(body), Some((_, schema))) if schema.admits(body))
    }

    /// Sets a value of the request.
    pub fn put(&mut self, place: &ValueRef, value: Value) {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match place.place {
            Place::Body => self.set(&place.name, value),
            Place::Path => drop(self.path.insert(place.name.clone(), text(value))),
            Place::Query => drop(self.query.insert(place.name.clone(), text(value))),
            Place::Header => {}
        }
    }

    /// Sets a member of the body; `outer.inner` is a member of a member.
    pub fn set(&mut self, key: &str, value: Value) {
        match &mut self.payload {
            Payload::Json(Value::Object(body)) => match key.split_once('.') {
                Some((outer, inner)) => {
                    let mut part = body.get(outer).cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
                    part[inner] = value;
                    body.insert(outer.to_owned(), part);
                }
                None => drop(body.insert(key.to_owned(), value)),
            },
            Payload::Form(form) => {
                form.insert(key.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            payload => *payload = Payload::Json(json!({key: value})),
        }
    }

    /// Removes a member of the body; `outer.inner` is a member of a member.
    pub fn remove(&mut self, key: &str) {
        match &mut self.payload {
            Payload::Json(Value::Object(body)) => match key.split_once('.') {
                Some((outer, inner)) => {
                    if let Some(part) = body.get_mut(outer).and_then(Value::as_object_mut) {
                        part.shift_remove(inner);
                    }
                }
                None => drop(body.shift_remove(key)),
            },
            Payload::Form(form) => {
                form.remove(key);
            }
            _ => {}
        }
    }

    fn satisfy(&mut self, kind: &GuardKind) {
        match kind {
            GuardKind::Authorization(AuthorizationRule::ManagementToken) => {
                self.credential = Credential::Header("Bearer {{admin.token}}".into());
            }
            GuardKind::Authorization(_) => self.credential = Credential::Caller,
            GuardKind::Client(_) => {
                let machine = self.member("grant_type").is_some_and(|grant| grant == "client_credentials");
                let client = if machine { "admin" } else { "first" };
                self.credential = Credential::Header(format!("Basic {{{{{client}.basic}}}}"));
            }
            GuardKind::Scope(scope) if scope != "all" => {
                self.scopes.insert(scope.clone());
            }
            GuardKind::Field(rule) | GuardKind::FieldReadable(rule) => {
                for field in self.fields(rule) {
                    self.levels.insert(field, Some("Edit".into()));
                }
            }
            GuardKind::IdentityVerified(_) => self.proof = Proof::Own,
            GuardKind::FactorOn(_) => self.factors = Some(true),
            _ => {}
        }
    }

    /// The fields that a rule asks about for this request.
    pub fn fields(&self, rule: &FieldRule) -> Vec<String> {
        match rule {
            FieldRule::One(field) => vec![field.clone()],
            FieldRule::Each { each } => each.iter().filter(|field| self.member(field).is_some()).cloned().collect(),
            FieldRule::FirstSet { first_set } => first_set.clone(),
        }
    }

    /// Whether end users send it.
    pub fn by_user(&self) -> bool {
        self.operation.guards.iter().any(|guard| guard.kind == GuardKind::Authorization(AuthorizationRule::UserToken))
    }

    /// Whether somebody signs in for it.
    pub fn needs_sign_in(&self, contract: &'a Contract) -> bool {
        self.any(contract, &|probe| probe.signed_in || probe.client != Client::First)
    }

    /// Whether the target has what it needs: a way to sign in, a provider that it can reach, a safe for
    /// third-party tokens.
    pub fn is_possible(&self, contract: &'a Contract, facts: &Facts) -> bool {
        let speaks_of_provider = |probe: &Self| probe.speaks_of(&["{{provider."]);
        let keeps_tokens = |probe: &Self| probe.member("enableTokenStorage") == Some(Value::Bool(true));
        (facts.can_sign_in || !self.needs_sign_in(contract))
            && (facts.has_provider || !self.any(contract, &speaks_of_provider))
            && (facts.keeps_tokens || !self.any(contract, &keeps_tokens))
    }

    /// Whether something holds for it, or for what is given.
    fn any(&self, contract: &'a Contract, holds: &dyn Fn(&Self) -> bool) -> bool {
        holds(self) || self.given.values().filter_map(|given| Probe::of_given(contract, given)).any(|given| given.any(contract, holds))
    }

    /// Whether the caller must have a password.
    pub fn needs_password(&self, contract: &Contract) -> bool {
        let speaks = self.speaks_of(&["{{own.password}}", "{{own.record}}"]);
        let given = || self.given.values().filter_map(|given| Probe::of_given(contract, given));
        speaks
            || self.proof == Proof::Own
            || self.signed_in
            || self.client != Client::First
            || self.credential == Credential::IdToken
            || given().any(|given| given.signed_in || given.by_user() && given.needs_password(contract))
    }

    /// Whether one of these stands in a text of the request in which symbols can stand.
    fn speaks_of(&self, symbols: &[&str]) -> bool {
        let speaks = |text: &str| text.contains("{{") && symbols.iter().any(|symbol| text.contains(symbol));
        self.path.values().chain(self.query.values()).chain(self.headers.values()).any(|text| speaks(text))
            || self.obtain.values().flat_map(Source::texts).any(speaks)
            || match &self.payload {
                Payload::Json(body) => any_text(body, &speaks),
                Payload::Form(form) => form.values().any(|text| speaks(text)),
                Payload::Nothing | Payload::Raw(..) | Payload::Padded(..) => false,
            }
    }

    /// The same with a token that many others have as well, each of which costs the target an exchange or a sign-in: with all
    /// scopes where none is to be missing, and a third-party application's with none where one is.
    pub fn with_common_token(mut self) -> Self {
        let asks = |guard: &Guard| guard.when.as_ref().is_none_or(|when| self.concerns(when));
        let lacks = |guard: &Guard| matches!(&guard.kind, GuardKind::Scope(scope) if !self.scopes.contains(scope)) && asks(guard);
        let common = if self.operation.guards.iter().any(lacks) {
            (self.client == Client::Third && self.scopes.contains("openid")).then_some("openid")
        } else {
            Some(ALL_SCOPES)
        };
        if let Some(common) = common {
            self.scopes = common.split(' ').map(str::to_owned).collect();
        }
        self
    }

    fn wants_files(&self) -> bool {
        self.operation.body.as_ref().is_some_and(|(content_type, _)| content_type.starts_with("multipart/"))
    }

    /// Whether it acts on the user in the path.
    pub fn has_subject(&self) -> bool {
        self.operation.path.contains("{userId}")
    }

    /// Whether it, or something given, acts on the user that it is about.
    fn concerns_subject(&self, contract: &Contract) -> bool {
        let given = |given: &Given| Probe::of_given(contract, given).is_some_and(|given| given.concerns_subject(contract));
        self.has_subject() && !self.path.contains_key("userId")
            || self.speaks_of(&["{{subject.id}}", "{{subject-token}}"])
            || self.given.values().any(|one| !one.for_caller && given(one))
    }

    /// What is given to the caller: a caller with it is another one than a caller without.
    fn endowment_of_caller(&self, contract: &Contract) -> BTreeSet<Given> {
        let belongs =
            |given: &Given| contract.operation(&given.operation).is_some_and(|operation| operation.changes_belongings_of(&Owner::Caller));
        let leaves = |given: &Given| Probe::leaves_something(contract, given);
        self.given.values().filter(|given| (given.for_caller || belongs(given)) && leaves(given)).cloned().collect()
    }

    /// Whether what is given, or what that needs, is written anywhere: whoever only reads stays the same.
    fn leaves_something(contract: &'a Contract, given: &Given) -> bool {
        Probe::of_given(contract, given)
            .is_none_or(|given| given.operation.writes() || given.given.values().any(|inner| Probe::leaves_something(contract, inner)))
    }

    /// What is given to the user in the path.
    fn endowment_of_subject(&self, contract: &Contract) -> BTreeSet<Given> {
        let acts = |given: &Given| Probe::of_given(contract, given).is_some_and(|given| given.has_subject());
        self.given.values().filter(|given| !given.for_caller && acts(given)).cloned().collect()
    }
}

/// Brings about what is given; the symbol that the answer goes by. Nothing where the settings do not allow it.
fn bring_about(cast: &mut Cast, script: &mut Script<'_>, given: &Given, caller: Option<User>, subject: Option<User>) -> Option<String> {
    let contract = script.contract();
    let probe = Probe::of_given(contract, given)?;
    let subject = if given.for_caller { caller } else { subject.filter(|_| probe.concerns_subject(contract)) };
    // Whose it is says the user, not the way it was written.
    let key = (Given { for_caller: false, ..given.clone() }, subject.or(caller.filter(|_| probe.by_user())));
    if let Some(symbol) = cast.given.get(&key) {
        return Some(symbol.clone());
    }
    let (persona, call, _, _) = probe.render_as(script, cast, caller, subject);
    // What builds on something that is not there brings something else.
    if std::mem::take(&mut cast.lacking) {
        return None;
    }
    if script.foresee(&call).is_some_and(|outcome| !outcome.status.is_success()) {
        return None;
    }
    if probe.operation.harm.sends && !script.may_send(&call) {
        return None;
    }
    let symbol = script.symbol("given");
    cast.asked.insert(symbol.clone(), asked(&call));
    let captured: Vec<(String, String)> =
        pointers(contract, given).into_iter().map(|path| (format!("{symbol}.{path}"), format!("/{}", path.replace('.', "/")))).collect();
    let captured: Vec<(&str, &str)> = captured.iter().map(|(name, pointer)| (name.as_str(), pointer.as_str())).collect();
    script.call(persona, Purpose::Setup, call, &captured);
    cast.given.insert(key, symbol.clone());
    Some(symbol)
}

/// The JSON body of a call.
fn asked(call: &Call) -> Value {
    call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

/// The members of a given call's answer that cases speak of, as `id` or `outer.inner`.
fn pointers(contract: &Contract, given: &Given) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let same = |other: &Given| other.operation == given.operation && other.case == given.case;
    for operation in &contract.operations {
        let cases = operation.cases.values().chain(operation.tries.values());
        let given = cases.clone().flat_map(|case| &case.given).filter(|(_, other)| same(other));
        let names: BTreeSet<&str> = given.map(|(name, _)| name.as_str()).collect();
        let mut note = |text: &str| {
            for (name, path) in symbols(text).filter_map(|symbol| symbol.split_once('.')) {
                if names.contains(name) && !path.starts_with("asked.") {
                    found.insert(path.to_owned());
                }
            }
        };
        for case in cases.filter(|_| !names.is_empty()) {
            let texts = case.path.values().chain(case.query.values()).chain(case.form.iter().flat_map(BTreeMap::values));
            texts.map(String::as_str).chain(case.obtain.values().flat_map(Source::texts)).for_each(&mut note);
            if let Some(body) = &case.body {
                note(&body.to_string());
            }
        }
    }
    // What is taken once cannot be taken again: see the ways to break `absent`.
    if let Some(operation) = contract.operation(&given.operation) {
        for guard in &operation.guards {
            if let GuardKind::Absent(selector) = &guard.kind
                && selector.value.is_some()
            {
                found.insert(selector.by.clone().unwrap_or_else(|| "id".to_owned()));
            }
        }
    }
    found
}

/// A request with who sends it, the user it speaks of and the new password in it, if any.
pub type Rendered = (Persona, Call, Option<User>, Option<String>);

impl Probe<'_> {
    /// The request, after the setup it needs. Also the user it speaks of and the new password in it, if any.
    pub fn render(&self, script: &mut Script<'_>, cast: &mut Cast) -> Rendered {
        let needs_caller = self.by_user()
            || matches!(self.credential, Credential::Caller | Credential::IdToken | Credential::LowerCase)
            || self.given.values().any(|given| given.for_caller)
            || self.speaks_of(&["{{caller.id}}"]);
        let contract = script.contract();
        let password = self.needs_password(contract);
        let caller = needs_caller.then(|| cast.caller(script, password, self.endowment_of_caller(contract)));
        self.render_as(script, cast, caller, None)
    }

    /// The request of a certain caller that acts on a certain user; on the cast's one when there is none.
    fn render_as(
        &self,
        script: &mut Script<'_>,
        cast: &mut Cast,
        caller: Option<User>,
        subject: Option<User>,
    ) -> (Persona, Call, Option<User>, Option<String>) {
        // Who has a second factor cannot sign in without it, so a token comes before anything that is given.
        let (persona, authorization) = self.authorization(script, caller);
        if let (true, false, Some(caller)) = (self.signed_in, self.by_user(), caller) {
            script.fresh_token(caller, ALL_SCOPES, Client::FirstBySignIn);
        }
        let contract = script.contract();
        let subject =
            subject.or_else(|| self.concerns_subject(contract).then(|| cast.subject(script, self.endowment_of_subject(contract))));
        let mut names: Vec<(String, Option<String>)> = Vec::new();
        for (name, given) in &self.given {
            names.push((format!("{{{{{name}."), bring_about(cast, script, given, caller, subject)));
        }
        let speak = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, symbol)| match symbol {
                Some(symbol) => text.replace(name, &format!("{{{{{symbol}.")),
                // What could not be brought about is called by a name that nothing has.
                None if text.contains(name) => UNUSED_ID.to_owned(),
                None => text,
            })
        };
        let mut headers = Vec::new();
        if let Some(value) = authorization {
            headers.push(("authorization".to_owned(), value));
        }
        // Browsers say where they come from; who may read the answer is part of the contract.
        if self.operation.path.starts_with("/api/") {
            headers.push(("origin".to_owned(), "https://app.example.com".to_owned()));
        }
        match (self.proof, caller) {
            (Proof::Own, Some(caller)) if script.password(caller) != "no-password" => {
                headers.push(("logto-verification-id".to_owned(), script.record(caller)));
            }
            (Proof::Unknown, _) => headers.push(("logto-verification-id".to_owned(), "lc0no0such0record0000".to_owned())),
            (Proof::OtherUsers, Some(owner)) => {
                let other = cast.proved(script, Some(owner));
                headers.push(("logto-verification-id".to_owned(), script.record(other)));
            }
            _ => {}
        }
        if let (None, Some(caller)) = (cast.one, caller) {
            script.identify(caller, self.who);
        }
        let mut password = None;
        let mut known = |name: &str, script: &mut Script<'_>, cast: &mut Cast| {
            Some(match name {
                "username" | "slug" => script.username(),
                "alphanumeric" => script.alphanumeric(),
                "email" => script.email(),
                "phone" => script.phone(),
                "text" => script.text(),
                "password" => {
                    let fresh = script.new_password();
                    password = Some(fresh.clone());
                    fresh
                }
                "own.password" => caller.map_or_else(String::new, |caller| script.password(caller)),
                "own.email" => caller.map_or_else(String::new, |caller| script.own_email(caller)),
                "own.record" => caller
                    .filter(|caller| script.password(*caller) != "no-password")
                    .map_or_else(|| UNUSED_ID.to_owned(), |caller| script.record(caller)),
                "caller.id" => caller.map_or_else(String::new, User::id),
                "subject.id" => subject.map_or_else(String::new, User::id),
                "subject-token" => subject.map_or_else(String::new, |subject| script.subject_token(subject)),
                "other.id" => cast.other(script).id(),
                "other.username" => cast.other(script).username(),
                "other.email" => {
                    let other = cast.other(script);
                    script.own_email(other)
                }
                "digits" => script.digits(),
                _ => return None,
            })
        };
        let mut fill = |text: &str, script: &mut Script<'_>, cast: &mut Cast| {
            let told = replaced(text, &mut |name| known(name, script, cast));
            cast.recall(speak(&told))
        };
        let lacking = names.iter().any(|(_, symbol)| symbol.is_none());
        let mut got: Vec<(String, String)> = Vec::new();
        for (name, source) in &self.obtain {
            let quote = if source.is_json() { "\"" } else { "" };
            // What could not be brought about brings nothing.
            let value = match source.is_json() {
                _ if !lacking => {
                    let source = source.map(|text| fill(text, script, cast));
                    cast.obtain(script, persona, source)
                }
                true => "{}".to_owned(),
                false => "none".to_owned(),
            };
            got.push((format!("{quote}{{{{{name}}}}}{quote}"), value));
        }
        let with_got = |text: String| got.iter().fold(text, |text, (name, symbol)| text.replace(name, symbol));
        let mut target = self.operation.path.clone();
        for (name, value) in &self.path {
            target = target.replace(&format!("{{{name}}}"), &escaped(&fill(value, script, cast), &PATH_SEGMENT));
        }
        if let Some(subject) = subject {
            target = target.replace("{userId}", &subject.id());
        }
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(key, value)| format!("{}={}", escaped(key, &QUERY_VALUE), escaped(&fill(value, script, cast), &QUERY_VALUE)))
            .collect();
        if !pairs.is_empty() {
            target = format!("{target}?{}", pairs.join("&"));
        }
        for (name, value) in &self.headers {
            let value = fill(value, script, cast);
            headers.retain(|(known, _)| known != name);
            headers.push((name.clone(), value));
        }
        let (body, body_base64) = match &self.payload {
            Payload::Nothing => (None, None),
            Payload::Json(body) if self.wants_files() => {
                let (content_type, bytes) = multipart::write(&fill_json(body, &mut |text| fill(text, script, cast)));
                headers.push(("content-type".to_owned(), content_type));
                (None, Some(STANDARD.encode(bytes)))
            }
            Payload::Json(body) => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                let mut filled = fill_json(body, &mut |text| fill(text, script, cast));
                // Whatever is made carries the run's prefix in its username, or in its name where there is none.
                if self.operation.harm.creates == Some(Kind::User)
                    && let Some(object) = filled.as_object_mut()
                    && !object.contains_key("username")
                    && !object.contains_key("name")
                {
                    object.insert("name".into(), Value::String(script.text()));
                }
                (Some(with_got(filled.to_string())), None)
            }
            Payload::Form(form) => {
                headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
                let pairs: Vec<String> =
                    form.iter().map(|(key, value)| format!("{key}={}", escaped(&fill(value, script, cast), &QUERY_VALUE))).collect();
                (Some(with_got(pairs.join("&"))), None)
            }
            Payload::Padded(content_type, before, letters, after) => {
                headers.push(("content-type".to_owned(), (*content_type).to_owned()));
                (Some(format!("{before}{{{{padding#{letters}}}}}{after}")), None)
            }
            Payload::Raw(content_type, bytes) => {
                headers.push(("content-type".to_owned(), (*content_type).to_owned()));
                (None, Some(STANDARD.encode(bytes)))
            }
        };
        let call =
            Call { operation: Some(self.operation.id.clone()), method: self.operation.method.clone(), target, headers, body, body_base64 };
        cast.lacking = lacking;
        (persona, call, subject.or(caller), password)
    }

    fn authorization(&self, script: &mut Script<'_>, caller: Option<User>) -> (Persona, Option<String>) {
        let scopes: Vec<&str> = ALL_SCOPES.split(' ').filter(|scope| self.scopes.contains(*scope)).collect();
        let scopes = scopes.join(" ");
        let persona = match (self.client, self.scopes.contains("openid")) {
            (Client::Third, _) => Persona::ThirdPartyUser,
            (_, false) => Persona::WithoutOpenid,
            _ => Persona::User,
        };
        match (&self.credential, caller) {
            (Credential::Header(header), _) => {
                let persona = match header.as_str() {
                    "Bearer {{admin.token}}" if self.by_user() => Persona::Forged,
                    "Bearer {{admin.token}}" | "Basic {{admin.basic}}" | "Basic {{first.basic}}" => Persona::Admin,
                    "Bearer {{machine.token}}" => Persona::MachineWithoutScope,
                    _ => Persona::Forged,
                };
                (persona, Some(header.clone()))
            }
            (Credential::Caller, Some(caller)) if self.signed_in => {
                (persona, Some(format!("Bearer {}", script.fresh_token(caller, &scopes, Client::FirstBySignIn))))
            }
            (Credential::Caller, Some(caller)) => (persona, Some(format!("Bearer {}", script.token(caller, &scopes, self.client)))),
            (Credential::LowerCase, Some(caller)) => (persona, Some(format!("bearer {}", script.token(caller, &scopes, self.client)))),
            (Credential::IdToken, Some(caller)) => {
                let token = script.token(caller, ALL_SCOPES, Client::FirstBySignIn);
                (Persona::IdToken, Some(format!("Bearer {}", token.replace("}}", ".id}}"))))
            }
            (Credential::None, _) | (_, None) => (Persona::Anonymous, None),
        }
    }
}

/// Characters that mean something in a path.
const PATH_SEGMENT: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'?').add(b'<').add(b'>');
/// Characters that mean something in a query or form.
const QUERY_VALUE: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// A text as it stands in a URL. Symbols stay as they are; what they stand for needs no escaping.
fn escaped(text: &str, special: &'static AsciiSet) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((symbol, tail)) = after.split_once("}}") else { break };
        done.extend(utf8_percent_encode(before, special));
        done.push_str("{{");
        done.push_str(symbol);
        done.push_str("}}");
        rest = tail;
    }
    done.extend(utf8_percent_encode(rest, special));
    done
}

/// The text with what `meaning` says of its symbols; those it says nothing of stay.
fn replaced(text: &str, meaning: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else { break };
        done.push_str(before);
        done.push_str(&meaning(name).unwrap_or_else(|| format!("{{{{{name}}}}}")));
        rest = tail;
    }
    done + rest
}

/// Whether something holds for a text in a value.
fn any_text(value: &Value, holds: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => holds(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, holds)),
        Value::Object(object) => object.iter().any(|(name, member)| holds(name) || any_text(member, holds)),
        _ => false,
    }
}

fn fill_json(value: &Value, fill: &mut dyn FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| fill_json(item, fill)).collect()),
        Value::Object(object) => Value::Object(object.iter().map(|(key, member)| (key.clone(), fill_json(member, fill))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_replaced_wherever_they_stand() {
        let mut meaning = |name: &str| (name == "digits").then(|| "12 {{run}}".to_owned());
        assert_eq!(replaced("a {{digits}}{{made.id}} b", &mut meaning), "a 12 {{run}}{{made.id}} b");
        assert_eq!(replaced("{{digits}}", &mut meaning), "12 {{run}}");
        assert_eq!(replaced("{{ not closed", &mut meaning), "{{ not closed");
        assert_eq!(replaced("}} {{other}}", &mut meaning), "}} {{other}}");
    }

    #[test]
    fn a_refused_call_has_a_token_that_others_have_too() {
        let contract = Contract::embedded(crate::contract::Version::NEWEST).unwrap();
        let operation = contract.operation("UpdateProfile").unwrap();
        let accepted = Probe::accepted(&contract, operation, "several", &operation.cases["several"]);
        let common = |client: Client, without: &str| {
            let mut probe = Probe { client, ..accepted.clone() };
            probe.scopes.remove(without);
            probe.with_common_token().scopes.into_iter().collect::<Vec<_>>().join(" ")
        };
        let all: BTreeSet<&str> = ALL_SCOPES.split(' ').collect();
        let all = all.into_iter().collect::<Vec<_>>().join(" ");
        for (client, without, expected) in [
            (Client::First, "", all.as_str()),
            (Client::Third, "", &all),
            (Client::First, "profile", "custom_data openid"),
            (Client::Third, "profile", "openid"),
            (Client::First, "openid", "custom_data profile"),
            (Client::Third, "openid", "custom_data profile"),
        ] {
            assert_eq!(common(client, without), expected, "{client:?} without {without:?}");
        }
    }
}
