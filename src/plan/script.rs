//! Writes one sequence while the model says what each step will bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::coverage::Sight;
use super::probe::{Identifier, Who};
use super::sequence::{Action, Call, CallError, Facts, Obtain, Persona, Plan, Purpose, Sequence, Settings, SignIn, Step, Through};
use super::stand_in::{PLAN_NOW, completed, given_by, stand_in, stand_ins};
use super::symbol::{Binding, captured, symbols};
use crate::contract::{Contract, MessageKind, Outcome, Source};
use crate::model::password::{SETTLED, settle};
use crate::model::session::{begin_grant, begin_session};
use crate::model::{
    Entity, Entry, Key, Kind, SecondFactor, State, Term, Truth, accept, asks_for_factor, obtained, predict, signed_in_through, survey,
    use_factor,
};

/// All scopes of the Account API that the harness asks for.
pub const ALL_SCOPES: &str = "openid profile email phone address custom_data identities urn:logto:scope:sessions";

/// A user of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct User(usize);

impl User {
    /// The user's id as a symbol.
    pub fn id(self) -> String {
        format!("{{{{user#{}.id}}}}", self.0)
    }

    /// The username the user is made with.
    pub fn username(self) -> String {
        format!("lc_{{{{run}}}}_{{{{tag}}}}_{}", self.0)
    }
}

/// What a user is made with besides a username.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// A password.
    pub password: bool,
    /// A primary e-mail.
    pub email: bool,
}

/// Which application a token is for, and how it is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// The run's first-party application, by token exchange.
    First,
    /// The run's first-party application, by signing in (brings an ID token).
    FirstBySignIn,
    /// The run's third-party application, by signing in.
    Third,
}

/// A call that is taken to have happened.
struct Thought {
    /// Its outcome, if that is certain.
    certain: Option<Outcome>,
}

/// A sequence being written.
pub struct Script<'a> {
    contract: &'a Contract,
    binding: Binding,
    state: State,
    steps: Vec<Step>,
    users: usize,
    words: usize,
    phones: usize,
    passwords: BTreeMap<User, String>,
    emails: BTreeMap<User, String>,
    tokens: BTreeMap<(User, String, Client), String>,
    records: BTreeMap<User, String>,
    /// Subject tokens that no call has used yet.
    unspent: BTreeMap<User, String>,
    /// What those who have not all of their identifiers can be found by.
    left: BTreeMap<User, Who>,
    born: u64,
    groups: u32,
    channels: Vec<MessageKind>,
    /// Milliseconds since 1970 where the sequence has got to.
    now: i64,
    /// What the call thought of last shows, until it is added.
    sight: Option<Sight>,
    sights: Vec<Sight>,
}

impl<'a> Script<'a> {
    /// An empty sequence under settings (`None`: as found).
    pub fn new(contract: &'a Contract, facts: &Facts, settings: Option<&Settings>) -> Self {
        let mut binding = Binding::new("plan", 1, "plan");
        for (name, value) in stand_ins(facts) {
            binding.set(name, value);
        }
        Self {
            contract,
            state: start(facts, settings, &binding, PLAN_NOW),
            binding,
            steps: Vec::new(),
            users: 0,
            words: 0,
            phones: 0,
            passwords: BTreeMap::new(),
            emails: BTreeMap::new(),
            tokens: BTreeMap::new(),
            records: BTreeMap::new(),
            unspent: BTreeMap::new(),
            left: BTreeMap::new(),
            born: 0,
            groups: 0,
            channels: facts.channels.clone(),
            now: PLAN_NOW,
            sight: None,
            sights: Vec::new(),
        }
    }

    /// The contract.
    pub fn contract(&self) -> &'a Contract {
        self.contract
    }

    /// The finished sequence.
    pub fn finish(self, id: impl Into<String>) -> Sequence {
        Sequence { id: id.into(), steps: self.steps.into_iter().map(Arc::new).collect() }
    }

    /// The finished sequence, and what its calls show.
    pub fn finish_seen(mut self, id: impl Into<String>) -> (Sequence, Vec<Sight>) {
        let sights = std::mem::take(&mut self.sights);
        (self.finish(id), sights)
    }

    /// Index of the step added last.
    pub fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// Adds a call and returns the outcome the model predicts, if it is certain.
    pub fn call(&mut self, persona: Persona, purpose: Purpose, call: Call, capture: &[(&str, &str)]) -> Option<Outcome> {
        let outcome = self.think(&call, capture, &|_| true).and_then(|thought| thought.certain);
        self.push(persona, purpose, call, capture, outcome.as_ref());
        outcome
    }

    /// Adds a call if the outcome the model predicts (none if it is not certain) is as wanted; whether it did.
    pub fn call_if(&mut self, persona: Persona, purpose: Purpose, call: Call, wanted: &dyn Fn(Option<&Outcome>) -> bool) -> bool {
        let thought = self.think(&call, &[], wanted);
        if let Some(thought) = &thought {
            self.push(persona, purpose, call, &[], thought.certain.as_ref());
        }
        thought.is_some()
    }

    fn push(&mut self, persona: Persona, purpose: Purpose, call: Call, capture: &[(&str, &str)], outcome: Option<&Outcome>) {
        if let Some(sight) = self.sight.take() {
            self.sights.push(Sight { persona, setup: purpose == Purpose::Setup, ..sight });
        }
        self.unspent.retain(|_, token| call.body.as_ref().is_none_or(|body| !body.contains(token.as_str())));
        self.steps.push(Step {
            persona,
            purpose,
            action: Action::Call(call),
            capture: capture.iter().map(|(symbol, pointer)| ((*symbol).to_owned(), (*pointer).to_owned())).collect(),
            expect: outcome.map(ToString::to_string),
            together: None,
        });
    }

    /// Lets the calls that `write` adds be sent together. They are thought through one after the other, which is one of
    /// the orders that may happen.
    pub fn together(&mut self, write: impl FnOnce(&mut Self)) {
        let first = self.steps.len();
        write(self);
        self.groups += 1;
        for step in &mut self.steps[first..] {
            step.together = Some(self.groups);
        }
    }

    /// Adds a reading call whose answer nothing is known about.
    pub fn ask(&mut self, persona: Persona, label: &str, call: Call) {
        let (purpose, action) = (Purpose::Probe(label.to_owned()), Action::Call(call));
        self.steps.push(Step { persona, purpose, action, capture: BTreeMap::new(), expect: None, together: None });
    }

    /// Adds a step of another sequence again, with what the model predicts for it here: nothing, if no earlier step brings
    /// what it needs.
    pub fn again(&mut self, step: &Step) {
        let mut step = step.clone();
        match &step.action {
            Action::Call(call) if self.can_send(&step, call) => {
                let capture: Vec<(&str, &str)> = step.capture.iter().map(|(symbol, pointer)| (symbol.as_str(), pointer.as_str())).collect();
                step.expect = self.think(call, &capture, &|_| true).and_then(|thought| thought.certain).map(|outcome| outcome.to_string());
            }
            Action::SignIn(sign_in) => step.expect = self.signed_in(sign_in),
            Action::Obtain(obtain) => self.obtained(obtain),
            Action::Wait(seconds) => self.now += i64::from(*seconds) * 1000,
            Action::Call(_) => step.expect = None,
        }
        self.steps.push(step);
    }

    /// Whether everything the step needs is brought by steps before it.
    fn can_send(&self, step: &Step, call: &Call) -> bool {
        call.request(&self.binding).is_ok() && !step.needs().into_iter().any(|symbol| self.binding.is_nothing(symbol))
    }

    /// Lets a sign-in have happened; the refusal, if the user is turned away.
    fn signed_in(&mut self, sign_in: &SignIn) -> Option<String> {
        let entry = sign_in.resolved(&self.binding).map(|resolved| resolved.entry(&self.contract.sign_in, &self.state));
        if let Ok(Entry::Refused(outcome)) = entry {
            for symbol in [&sign_in.token, &sign_in.id_token] {
                self.binding.set_nothing(symbol);
            }
            return Some(outcome.to_string());
        }
        self.binding.set(sign_in.token.clone(), format!("plan-{}", sign_in.token));
        self.binding.set(sign_in.id_token.clone(), format!("plan-{}-id", sign_in.token));
        signed_in(&mut self.state, sign_in, &sign_in.scopes, None, &self.binding, self.now);
        if let Some(through) = &sign_in.through {
            let resolve = |text: &str| self.binding.resolve(text).unwrap_or_default();
            let (user, connector) = (resolve(&sign_in.user), resolve(&through.connector));
            let tokens = json!({"access_token": "plan", "token_type": "Bearer", "expires_in": 3600, "renewed": null});
            signed_in_through(&mut self.state, &user, &connector, &tokens, self.now);
        }
        None
    }

    /// Adds a step that gets something outside the two collections. Gives what stands for it.
    pub fn obtain(&mut self, persona: Persona, from: Source) -> String {
        let symbol = self.symbol("obtained");
        let obtain = Obtain { symbol: symbol.clone(), from };
        self.obtained(&obtain);
        let (purpose, action) = (Purpose::Setup, Action::Obtain(obtain));
        self.steps.push(Step { persona, purpose, action, capture: BTreeMap::new(), expect: None, together: None });
        format!("{{{{{symbol}}}}}")
    }

    fn obtained(&mut self, obtain: &Obtain) {
        let hollow = obtain.from.texts().into_iter().flat_map(symbols).any(|symbol| self.binding.is_nothing(symbol));
        match obtain.from.try_map(|text| self.binding.resolve(text)).map(completed) {
            Ok(source) if !hollow => {
                let got = given_by(&source, self.words, self.now);
                obtained(&mut self.state, &source, &got);
                self.binding.set(obtain.symbol.clone(), got.text);
            }
            _ => self.binding.set_nothing(&obtain.symbol),
        }
    }

    /// Adds a step that lets time pass.
    pub fn wait(&mut self, seconds: u32) {
        self.now += i64::from(seconds) * 1000;
        let (persona, purpose, action) = (Persona::Admin, Purpose::Setup, Action::Wait(seconds));
        self.steps.push(Step { persona, purpose, action, capture: BTreeMap::new(), expect: None, together: None });
    }

    /// Whether the harness reads the message that a call makes the target send, if it is one that does.
    pub fn may_send(&self, call: &Call) -> bool {
        let body: Value = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        MessageKind::asked(&body).is_none_or(|kind| self.channels.contains(&kind))
    }

    /// What the model predicts for a call, without adding it.
    pub fn foresee(&self, call: &Call) -> Option<Outcome> {
        let request = call.request(&self.binding).ok()?;
        predict(self.contract, &self.state, &request, self.now).outcome().cloned()
    }

    /// Lets a call have happened, if the predicted outcome is wanted; what was thought.
    fn think(&mut self, call: &Call, capture: &[(&str, &str)], wanted: &dyn Fn(Option<&Outcome>) -> bool) -> Option<Thought> {
        let request = call.request(&self.binding).expect("a plan only uses symbols that earlier steps capture");
        let prediction = predict(self.contract, &self.state, &request, self.now);
        self.sight = None;
        let certain = prediction.outcome().cloned();
        if !wanted(certain.as_ref()) {
            return None;
        }
        // What cannot be told is taken for accepted, unless it speaks of what was refused before.
        let hollow = call.symbols().any(|symbol| self.binding.is_nothing(symbol));
        if let (Some(call), Some(outcome)) = (&prediction.call, &certain) {
            let refused = prediction.alternatives.first().and_then(|first| first.guard);
            self.sight = Some(Sight::new(&call.operation.id, outcome, refused, survey(call, &self.state, refused, self.now)));
        }
        let mut alternatives = prediction.alternatives.into_iter();
        let alternative = if hollow { alternatives.next() } else { alternatives.next_back() }?;
        let (born, now) = (&mut self.born, self.now);
        let refused = alternative.guard.is_some();
        let body = (!refused).then(|| {
            alternative.body.sample(&mut |fresh| {
                *born += 1;
                stand_in(fresh, *born, now)
            })
        });
        let body = body.flatten();
        for (symbol, pointer) in capture {
            let shown = body.as_ref().and_then(|body| body.pointer(pointer));
            if shown.is_some_and(Value::is_null) {
                // The answer brings something that only the deployment knows.
                self.binding.set(*symbol, format!("plan-{symbol}"));
            } else if let Some(text) = shown.and_then(captured) {
                self.binding.set(*symbol, text);
            } else if self.binding.get(symbol).is_none() {
                // The answer should not bring it; whatever uses the symbol shows a deviation anyway.
                self.binding.set_nothing(symbol);
            }
        }
        self.state = accept(&alternative, body.as_ref()).unwrap_or(alternative.next);
        Some(Thought { certain })
    }

    /// A call of an operation by the administrator.
    pub fn admin_call(&self, operation: &str, target: String, body: Option<&Value>) -> Call {
        let method = self.contract.operation(operation).map_or("GET", |operation| operation.method.as_str()).to_owned();
        call_with(operation, method, target, "Bearer {{admin.token}}", body)
    }

    /// Makes a user.
    pub fn user(&mut self, traits: Traits) -> User {
        self.users += 1;
        let user = User(self.users);
        let mut body = json!({"username": user.username()});
        if traits.password {
            let password = self.new_password();
            // Nothing is to be said of how the deployment stores it, and computing that costs it much.
            body["passwordDigest"] = password.replace("}}", ".digest}}").into();
            body["passwordAlgorithm"] = SETTLED.into();
            self.passwords.insert(user, password);
        }
        if traits.email {
            let email = self.email();
            body["primaryEmail"] = email.clone().into();
            self.emails.insert(user, email);
        }
        let call = self.admin_call("CreateUser", "/api/users".into(), Some(&body));
        self.call(Persona::Admin, Purpose::Setup, call, &[(&format!("user#{}.id", user.0), "/id")]);
        user
    }

    /// Takes a user identifiers, or gives them back, so that it can be found as somebody of that sort can be. A linked social
    /// account is none of those that are taken.
    pub fn identify(&mut self, user: User, who: Who) {
        if self.left.get(&user).copied().unwrap_or(Who::Whole) == who {
            return;
        }
        self.left.insert(user, who);
        let username = matches!(who, Who::Whole | Who::OneIdentifier).then(|| user.username());
        let email = match who {
            Who::Whole => self.emails.get(&user).cloned(),
            Who::Only(Identifier::Email) => Some(self.email()),
            Who::Only(_) | Who::OneIdentifier => None,
        };
        let phone = (who == Who::Only(Identifier::Phone)).then(|| self.phone());
        let body = json!({"username": username, "primaryEmail": email, "primaryPhone": phone});
        let call = self.admin_call("UpdateUser", format!("/api/users/{}", user.id()), Some(&body));
        self.call(Persona::Admin, Purpose::Setup, call, &[]);
    }

    /// A fresh symbol for something captured.
    pub fn symbol(&mut self, kind: &str) -> String {
        self.words += 1;
        format!("{kind}#{}", self.words)
    }

    /// A fresh password as a symbol.
    pub fn new_password(&mut self) -> String {
        self.words += 1;
        format!("{{{{password#{}}}}}", self.words)
    }

    /// The user's current password as a symbol.
    pub fn password(&self, user: User) -> String {
        self.passwords.get(&user).cloned().unwrap_or_else(|| "no-password".into())
    }

    /// The primary e-mail that the user was made with.
    pub fn own_email(&self, user: User) -> String {
        self.emails.get(&user).cloned().unwrap_or_else(|| "no-email@example.com".into())
    }

    /// Says that the user's password has changed.
    pub fn set_password(&mut self, user: User, symbol: String) {
        self.passwords.insert(user, symbol);
    }

    /// Forgets the user's tokens and records: those needed next are new ones.
    pub fn forget_tokens(&mut self, user: User) {
        self.tokens.retain(|(owner, ..), _| *owner != user);
        self.records.remove(&user);
    }

    /// A fresh username.
    pub fn username(&mut self) -> String {
        self.words += 1;
        format!("lc_{{{{run}}}}_{{{{tag}}}}_n{}", self.words)
    }

    /// A fresh e-mail of a reserved domain.
    pub fn email(&mut self) -> String {
        self.words += 1;
        format!("lc_{{{{run}}}}_{{{{tag}}}}_{}@example.com", self.words)
    }

    /// Letters and digits only, never the same twice; for names that allow nothing else.
    pub fn alphanumeric(&mut self) -> String {
        self.words += 1;
        format!("lc{{{{run}}}}x{{{{tag}}}}x{}", self.words)
    }

    /// Digits that are no phone number anywhere: no country's numbers are so long.
    pub fn digits(&mut self) -> String {
        self.phone() + "0000000000"
    }

    /// A fresh phone number of a range reserved for fiction.
    pub fn phone(&mut self) -> String {
        self.phones += 1;
        format!("{{{{phone#{}}}}}", self.phones)
    }

    /// Some short text, never twice the same.
    pub fn text(&mut self) -> String {
        self.words += 1;
        format!("lc_{{{{run}}}}_ text {}", self.words)
    }

    /// A subject token for a user: one that no call has used.
    pub fn subject_token(&mut self, user: User) -> String {
        if let Some(token) = self.unspent.get(&user) {
            return token.clone();
        }
        self.words += 1;
        let symbol = format!("subject-token#{}", self.words);
        let call = self.admin_call("CreateSubjectToken", "/api/subject-tokens".into(), Some(&json!({"userId": user.id()})));
        self.call(Persona::Admin, Purpose::Setup, call, &[(&symbol, "/subjectToken")]);
        let token = format!("{{{{{symbol}}}}}");
        self.unspent.insert(user, token.clone());
        token
    }

    /// An access token of a user with exactly these scopes; the same one when asked again.
    pub fn token(&mut self, user: User, scopes: &str, client: Client) -> String {
        let key = (user, scopes.to_owned(), client);
        if let Some(token) = self.tokens.get(&key) {
            return token.clone();
        }
        let token = self.fresh_token(user, scopes, client);
        self.tokens.insert(key, token.clone());
        token
    }

    /// An access token of a user that no other step uses.
    pub fn fresh_token(&mut self, user: User, scopes: &str, client: Client) -> String {
        match client {
            Client::First => {
                let subject = self.subject_token(user);
                self.words += 1;
                let symbol = format!("token#{}", self.words);
                let call = token_call(&exchange_form(&subject, scopes));
                self.call(Persona::Admin, Purpose::Setup, call, &[(&symbol, "/access_token")]);
                format!("{{{{{symbol}}}}}")
            }
            Client::Third | Client::FirstBySignIn => self.sign_in(user, scopes, client),
        }
    }

    fn sign_in(&mut self, user: User, scopes: &str, client: Client) -> String {
        if self.has_factor(user) {
            // Otherwise the sign-in would ask for it.
            let target = format!("/api/users/{}/logto-configs", user.id());
            let call = self.admin_call("UpdateUserLogtoConfigs", target, Some(&json!({"mfa": {"skipMfaOnSignIn": true}})));
            self.call(Persona::Admin, Purpose::Setup, call, &[]);
        }
        if !self.has_own_username(user) {
            // It signs in by the username it was made with.
            self.left.remove(&user);
            let call = self.admin_call("UpdateUser", format!("/api/users/{}", user.id()), Some(&json!({"username": user.username()})));
            self.call(Persona::Admin, Purpose::Setup, call, &[]);
        }
        let password = self.password(user);
        self.enter(Purpose::Setup, user, password, scopes, if client == Client::Third { "third" } else { "first" }, None)
    }

    /// Signs a user in at the run's first-party application by the username it was made with, this password, and the second
    /// factor where one is asked for; the access token, which is nothing where the user is turned away.
    pub fn signs_in(&mut self, label: &str, user: User, password: &str, second: Option<SecondFactor>) -> String {
        self.enter(Purpose::Probe(label.to_owned()), user, password.to_owned(), ALL_SCOPES, "first", second)
    }

    fn enter(
        &mut self,
        purpose: Purpose,
        user: User,
        password: String,
        scopes: &str,
        client: &str,
        second: Option<SecondFactor>,
    ) -> String {
        let symbol = self.symbol("token");
        let sign_in = SignIn {
            user: user.id(),
            username: user.username(),
            password,
            client: client.into(),
            scopes: scopes.into(),
            token: symbol.clone(),
            id_token: format!("{symbol}.id"),
            through: None,
            second,
        };
        let expect = self.signed_in(&sign_in);
        let persona = if client == "third" { Persona::ThirdPartyUser } else { Persona::User };
        self.steps.push(Step { persona, purpose, action: Action::SignIn(sign_in), capture: BTreeMap::new(), expect, together: None });
        format!("{{{{{symbol}}}}}")
    }

    /// Whether the user has the username it was made with, as far as the model knows.
    fn has_own_username(&self, user: User) -> bool {
        let resolve = |text: String| self.binding.resolve(&text).unwrap_or_default();
        let known = self.state.find(Kind::User, &resolve(user.id())).and_then(|found| found.text("username"));
        known == Some(Some(resolve(user.username()).as_str()))
    }

    /// Signs a user in through an enterprise connector; the access token.
    pub fn sign_in_through(&mut self, user: User, through: Through) -> String {
        let symbol = self.symbol("token");
        let sign_in = SignIn {
            user: user.id(),
            username: String::new(),
            password: String::new(),
            client: "first".into(),
            scopes: ALL_SCOPES.into(),
            token: symbol.clone(),
            id_token: format!("{symbol}.id"),
            through: Some(through),
            second: None,
        };
        let expect = self.signed_in(&sign_in);
        let (persona, purpose, action) = (Persona::User, Purpose::Setup, Action::SignIn(sign_in));
        self.steps.push(Step { persona, purpose, action, capture: BTreeMap::new(), expect, together: None });
        format!("{{{{{symbol}}}}}")
    }

    /// Whether the user has a second factor, as far as the model knows.
    fn has_factor(&self, user: User) -> bool {
        let id = self.binding.resolve(&user.id()).unwrap_or_default();
        self.state.all(Kind::Factor).any(|(_, factor)| factor.text("owner") == Some(Some(id.as_str())))
    }

    /// A password record of a user; the same one when asked again.
    pub fn record(&mut self, user: User) -> String {
        if let Some(record) = self.records.get(&user) {
            return record.clone();
        }
        let token = self.token(user, ALL_SCOPES, Client::First);
        self.words += 1;
        let symbol = format!("verification#{}", self.words);
        let call = call_with(
            "CreateVerificationByPassword",
            "POST".into(),
            "/api/verifications/password".into(),
            &format!("Bearer {token}"),
            Some(&json!({"password": self.password(user)})),
        );
        self.call(Persona::User, Purpose::Setup, call, &[(&symbol, "/verificationRecordId")]);
        let record = format!("{{{{{symbol}}}}}");
        self.records.insert(user, record.clone());
        record
    }

    /// Looks at a user through the Management API, to see whether the step `of` did what it said and nothing else.
    pub fn look(&mut self, user: User, of: usize) {
        let call = self.admin_call("GetUser", format!("/api/users/{}?includeSsoIdentities=true", user.id()), None);
        self.call(Persona::Admin, Purpose::Look(of), call, &[]);
    }

    /// Looks at a user through the Account API.
    pub fn look_as_user(&mut self, user: User, of: usize) {
        self.look_as_user_at(user, "GetProfile", "/api/my-account", of);
    }

    /// Looks at something through the Account API.
    pub fn look_as_user_at(&mut self, user: User, operation: &str, path: &str, of: usize) {
        let token = self.token(user, ALL_SCOPES, Client::First);
        let call = call_with(operation, "GET".into(), path.to_owned(), &format!("Bearer {token}"), None);
        self.call(Persona::User, Purpose::Look(of), call, &[]);
    }
}

/// A call with a credential and an optional JSON body.
pub fn call_with(operation: &str, method: String, target: String, authorization: &str, body: Option<&Value>) -> Call {
    let mut headers = vec![("authorization".to_owned(), authorization.to_owned())];
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Call { operation: Some(operation.to_owned()), method, target, headers, body: body.map(Value::to_string), body_base64: None }
}

/// A call of the token endpoint by the run's first-party application.
pub fn token_call(form: &str) -> Call {
    Call {
        operation: Some("IssueToken".into()),
        method: "POST".into(),
        target: "/oidc/token".into(),
        headers: vec![
            ("authorization".into(), "Basic {{first.basic}}".into()),
            ("content-type".into(), "application/x-www-form-urlencoded".into()),
        ],
        body: Some(form.to_owned()),
        body_base64: None,
    }
}

/// The form that exchanges a subject token.
pub fn exchange_form(subject: &str, scopes: &str) -> String {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("scope", scopes)
        .finish();
    format!("{form}&subject_token={subject}")
}

/// The same sequence with what the model predicts for each of its steps: what an edited sequence should bring, before
/// anything is sent.
pub fn foresee(contract: &Contract, facts: &Facts, settings: Option<&Settings>, sequence: &Sequence) -> Sequence {
    let mut script = Script::new(contract, facts, settings);
    sequence.steps.iter().for_each(|step| script.again(step));
    script.finish(sequence.id.clone())
}

/// The first step of a plan that cannot be executed, because nothing gives it what it needs: its sequence, its number from 1,
/// and what is wrong.
pub fn flaw(plan: &Plan) -> Option<(&str, usize, String)> {
    for sequence in plan.sequences() {
        let mut binding = Binding::new("plan", 1, "plan");
        for (name, value) in stand_ins(&plan.facts) {
            binding.set(name, value);
        }
        for (index, step) in sequence.steps.iter().enumerate() {
            let sent = match &step.action {
                Action::Call(call) => call.request(&binding).map(drop),
                Action::SignIn(sign_in) => {
                    sign_in.texts().into_iter().try_for_each(|text| binding.resolve(text).map(drop)).map_err(CallError::from)
                }
                Action::Wait(_) => Ok(()),
                Action::Obtain(obtain) => obtain.from.try_map(|text| binding.resolve(text)).map(drop).map_err(CallError::from),
            };
            let looks = match step.purpose {
                Purpose::Look(of) if of >= index => Err(format!("it looks at step {}, which does not come before it", of + 1)),
                _ => Ok(()),
            };
            if let Err(why) = sent.map_err(|error| error.to_string()).and(looks) {
                return Some((&sequence.id, index + 1, why));
            }
            step.gives().into_iter().for_each(|symbol| binding.set(symbol, "plan"));
        }
    }
    None
}

/// The state a sequence starts from.
pub fn start(facts: &Facts, settings: Option<&Settings>, binding: &Binding, now: i64) -> State {
    let mut state = State::closed();
    let mut center = facts.account_center.clone();
    if let (Some(settings), Some(center)) = (settings, center.as_object_mut()) {
        for (name, value) in settings.patch().as_object().into_iter().flatten() {
            center.insert(name.clone(), value.clone());
        }
    }
    state.insert(Key::account_center(), Entity::from_json(&center));
    let mut experience = Entity::from_json(&facts.sign_in_experience);
    if let Some(mfa) = settings.and_then(Settings::mfa) {
        experience.set("mfa", mfa);
    }
    state.insert(Key::sign_in_experience(), experience);
    for connector in &facts.connectors {
        // Those that stand for the run's own sake carry its name.
        let named = |value: &Value| value.as_str().and_then(|text| binding.resolve(text).ok()).map_or_else(|| value.clone(), Value::from);
        let connector: Value = connector.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), named(value))).collect();
        let id = connector.get("id").and_then(Value::as_str).unwrap_or_default();
        state.insert(Key::new(Kind::Connector, id), Entity::from_json(&connector));
    }
    for role in &facts.default_roles {
        let id = role.get("id").and_then(Value::as_str).unwrap_or_default();
        state.insert(Key::new(Kind::Role, id), Entity::from_json(role));
    }
    let value = |name: &str| binding.get(name).unwrap_or_default();
    let clients = [
        ("first", false, "Traditional", Term::Known(json!({"allowTokenExchange": true}))),
        ("third", true, "Traditional", Term::Known(json!({}))),
        ("admin", false, "MachineToMachine", Term::Unknown),
    ];
    for (client, third, kind, options) in clients {
        let id = value(&format!("{client}.id"));
        // Where nothing may be written, none is made.
        if id.is_empty() {
            continue;
        }
        let application = Entity::default()
            .with("id", id.as_str())
            .with("isThirdParty", third)
            .with("type", kind)
            .with("customClientMetadata", options)
            .with("clientSecret", Term::Known(value(&format!("{client}.secret")).into()));
        state.insert(Key::new(Kind::Application, id), application);
    }
    for factory in &facts.factories {
        let id = factory.get("id").and_then(Value::as_str).unwrap_or_default();
        state.insert(Key::new(Kind::ConnectorFactory, id), Entity::from_json(factory));
    }
    for (name, scope) in [("admin.token", "all"), ("machine.token", "")] {
        let token = Entity::default()
            .with("use", "management")
            .with("scope", scope)
            .with("user", Value::Null)
            .with("client", Term::Known(value("admin.id").into()))
            .with("alive", true)
            .with("expiresAt", json!(now + 3_600_000));
        state.insert(Key::new(Kind::Token, value(name)), token);
    }
    state
}

/// What a sign-in leaves in the state: a token, traces on the user, and a session, by the name it has in its cookie.
pub fn signed_in(state: &mut State, sign_in: &SignIn, scope: &str, named: Option<&str>, binding: &Binding, now: i64) {
    let user = binding.resolve(&sign_in.user).unwrap_or_default();
    if let Some(SignIn { second: Some(second), .. }) = sign_in.resolved(binding).ok()
        && asks_for_factor(state, &user) == Truth::Yes
    {
        use_factor(state, &user, &second, &Value::Null);
    }
    if sign_in.through.is_none() {
        let password = binding.resolve(&sign_in.password).unwrap_or_default();
        state.update(&Key::new(Kind::User, &user), |user| settle(user, &password));
    }
    let client = Term::Known(binding.get(&format!("{}.id", sign_in.client)).unwrap_or_default().into());
    let owner = Term::Known(user.clone().into());
    let grant = begin_grant(&owner, &client, now, state);
    let session = begin_session(&owner, &client, &grant, named, now, state);
    let token = Entity::default()
        .with("use", "account")
        .with("user", owner)
        .with("scope", scope)
        .with("client", client)
        .with("grant", grant)
        .with("session", session)
        .with("alive", true)
        .with("expiresAt", json!(now + 3_600_000));
    if let Some(text) = binding.get(&sign_in.token) {
        state.insert(Key::new(Kind::Token, text), token);
    }
    state.update(&Key::new(Kind::User, user), |user| {
        for name in ["lastSignInAt", "updatedAt", "applicationId"] {
            user.set(name, Term::Unknown);
        }
    });
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
