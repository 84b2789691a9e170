//! The deployment itself: one state behind a lock, one function from request to answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::fault::Change;
use super::files::{self, Files};
use super::issue::{Redeemed, claims, companions, furnish, registration_options, social_page};
use super::mint::Mint;
use super::outbox::{Delivery, failed_delivery, send};
use super::outside::{self, Advice, Question};
use super::refusal::{empty_answer, json_answer, refusal, text_answer};
use super::sign_in::{Grant, SignIns};
use super::tamper::{Deed, Faults};
use super::{edge, enterprise, pages, paths, support};
use crate::clock::Clock;
use crate::contract::guard::{GuardKind, Status};
use crate::contract::{Contract, Named, Operation, Origin};
use crate::model::wire::{Answer, Request};
use crate::model::{
    Alternative, Call, Entity, Key, Kind, Member, NEAR_MS, Pattern, Route, Scene, State, Teaching, Term, Truth, accept, predict, route,
    time,
};

/// Calls after which dead credentials are dropped.
const CALLS_PER_SWEEP: u32 = 256;

/// What the deployment keeps.
#[derive(Debug)]
pub struct Store {
    /// What the model knows of.
    pub state: State,
    /// Makes ids and tokens up.
    pub mint: Mint,
    /// Sign-ins under way.
    pub sign_ins: SignIns,
    /// The message that the answer under way waits for.
    outgoing: Option<Delivery>,
    /// What users have uploaded.
    pub files: Files,
    /// What identity providers said about the request that is being answered.
    pub advice: Advice,
    /// What entities were before they last changed; kept only for faults.
    previous: State,
    /// Calls since the last sweep.
    calls: u32,
}

/// A deployment: the contract it keeps, its clock, and what it remembers.
pub struct Deployment {
    /// The contract it keeps.
    pub contract: Contract,
    /// Its own address, without trailing slash.
    pub endpoint: String,
    /// What it publishes of its Management API.
    pub document: Value,
    clock: Arc<dyn Clock>,
    faults: Faults,
    store: Mutex<Store>,
}

impl Deployment {
    /// A deployment in a first state. The contract knows all that the document lists.
    pub fn new(
        contract: Contract,
        document: Value,
        endpoint: String,
        clock: Arc<dyn Clock>,
        faults: Faults,
        state: State,
        mint: Mint,
    ) -> Self {
        let (sign_ins, previous) = (SignIns::default(), State::default());
        let store = Store { state, mint, sign_ins, outgoing: None, files: Files::default(), advice: Advice::default(), previous, calls: 0 };
        Self { contract, endpoint, document, clock, faults, store: Mutex::new(store) }
    }

    /// The same with a place for files, or without.
    #[must_use]
    pub fn storing(self, on: bool) -> Self {
        self.store().files.on = on;
        self
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // The state is replaced as a whole, so a panic elsewhere leaves it in order.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a fault lets a request be decided by although others may write until it is answered.
    pub fn early(&self, request: &Request) -> Option<State> {
        let Route::Operation(operation, _) = route(&self.contract, &request.method, request.path()) else { return None };
        self.faults.decides_early(&operation.id).then(|| self.store().state.clone())
    }

    /// Whether sign-ins deviate in this way.
    pub fn signs_in_with(&self, change: &Change) -> bool {
        self.faults.has("IssueToken", change)
    }

    /// What identity providers say about a request.
    pub async fn consult(&self, request: &Request) -> Advice {
        let (question, ends) = self.question(request);
        let mut advice = Advice::seek(question).await;
        advice.decide(ends);
        advice
    }

    /// What identity providers have to be asked about a request, and the end of the stored tokens it is about.
    fn question(&self, request: &Request) -> (Option<Question>, Option<(Key, Term)>) {
        let now = self.clock.now_ms();
        let store = self.store();
        if !matches!(route(&self.contract, &request.method, request.path()), Route::Operation(operation, _) if outside::is_about(operation))
        {
            return (enterprise::question(&store.state, request, || store.sign_ins.enterprise_of(request)), None);
        }
        let decided = Decided::read(&store.state, request, now);
        let view = decided.view(&store.state);
        let prediction = predict(&self.contract, &view, request, now);
        let Some(call) = &prediction.call else { return (None, None) };
        let scene = Scene { call, state: &view, now };
        let chosen = prediction.alternatives.iter().find(|alternative| is_answer(&scene, alternative, store.files.on));
        outside::question(&scene, chosen.and_then(|chosen| chosen.guard))
    }

    /// Answers a request by what is stored, or by what was read [`early`](Self::early), and by what providers said. A message must be delivered before
    /// the answer is given; if it cannot be, [`undelivered`](Self::undelivered) has the answer instead.
    pub fn answer(&self, request: &Request, early: Option<State>, advice: Advice) -> (Answer, Option<Delivery>) {
        let now = self.clock.now_ms();
        let mut store = self.store();
        store.advice = advice;
        let answer = match early {
            None => self.route(&mut store, request, now),
            Some(early) => {
                let current = std::mem::replace(&mut store.state, early.clone());
                let answer = self.route(&mut store, request, now);
                let written = std::mem::replace(&mut store.state, current);
                store.state.repeat(&early, &written);
                answer
            }
        };
        let delivery = store.outgoing.take();
        (self.dress(&mut store, request, answer), delivery)
    }

    /// The answer to a request whose message could not be delivered; what the request did is taken back.
    pub fn undelivered(&self, request: &Request, delivery: &Delivery, why: &str) -> Answer {
        let mut store = self.store();
        delivery.take_back(&mut store.state);
        self.dress(&mut store, request, failed_delivery(why))
    }

    fn dress(&self, store: &mut Store, request: &Request, answer: Answer) -> Answer {
        let request_id = store.mint.id(16);
        let mut answer = edge::dress(request, answer, request_id);
        self.faults.distort(&self.contract, &store.state, request, &mut answer);
        answer
    }

    fn route(&self, store: &mut Store, request: &Request, now: i64) -> Answer {
        let path = request.path();
        let allow = || paths::allowed(&self.contract, &support::routes(self.contract.version), path);
        if request.method == "OPTIONS" {
            return edge::options(request, &allow());
        }
        if let Route::Operation(operation, _) = route(&self.contract, &request.method, path) {
            return match operation.origin {
                Origin::Contract => self.operate(store, request, now),
                Origin::Document => self.support(operation, store, request, now),
            };
        }
        if let Some(answer) = support::answer(self, store, request, now) {
            return answer;
        }
        let allow = allow();
        let known = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"].contains(&request.method.as_str());
        let mut answer = match (known, allow.is_empty()) {
            (false, _) => text_answer(501, "Not Implemented"),
            (true, _) if path.to_ascii_lowercase().starts_with("/oidc/") => {
                return json_answer(
                    404,
                    &json!({
                        "code": "oidc.invalid_request", "message": "Request is invalid.", "error": "invalid_request",
                        "error_description": "unrecognized route or not allowed method",
                    }),
                );
            }
            (true, false) => text_answer(405, "Method Not Allowed"),
            (true, true) => text_answer(404, "Not Found"),
        };
        if !allow.is_empty() {
            answer.headers.push(("allow".into(), allow));
        }
        answer
    }

    /// A specified operation: the model says what to answer, the mint makes up what the model leaves open.
    fn operate(&self, store: &mut Store, request: &Request, now: i64) -> Answer {
        let Route::Operation(operation, path) = route(&self.contract, &request.method, request.path()) else {
            return text_answer(404, "Not Found");
        };
        if self.faults.crashes(&operation.id, request) {
            return failed();
        }
        let disguised = self.faults.disguise(operation, &store.state, request);
        let request = disguised.as_ref().unwrap_or(request);
        let decided = Decided::read(&store.state, request, now);
        let mut view = decided.view(&store.state);
        store.advice.tell(&mut view, now);
        let met = Call::read(operation, path, request);
        let redeemed = Redeemed::read(&store.sign_ins, &mut view, &met, now);
        let blurred = self.faults.blur(&met, &mut view, &store.previous, now);
        let prediction = predict(&self.contract, &view, request, now);
        let Some(call) = &prediction.call else { return text_answer(404, "Not Found") };
        let scene = Scene { call, state: &view, now };
        let Some(chosen) = prediction.alternatives.iter().find(|alternative| is_answer(&scene, alternative, store.files.on)) else {
            return failed();
        };
        let refused = chosen.guard.map(|index| &call.operation.guards[index]);
        let (mut answer, mut next, born) = match refused {
            Some(guard) => (store.advice.refusal(guard).unwrap_or_else(|| refusal(&scene, guard)), chosen.next.clone(), None),
            None => succeed(&mut store.mint, call, &view, chosen, redeemed.grant.as_ref(), now),
        };
        if refused.is_none() {
            store.outgoing = send(&mut store.mint, call, &mut next, born.as_ref(), now);
        }
        if let Some(content) = files::brought(call).filter(|_| refused.is_none()) {
            let name = store.mint.id(21);
            answer = store.files.keep(&self.endpoint, name, content);
        }
        redeemed.restore(&mut next);
        decided.restore(&mut next);
        store.advice.forget(&view, &mut next);
        for key in blurred.into_iter().filter(|key| next.get(key) == view.get(key)).collect::<Vec<_>>() {
            match store.state.get(&key) {
                Some(stored) => next.insert(key, stored.clone()),
                None => drop(next.remove(&key)),
            }
        }
        if let Some(total) = chosen.body.list().filter(|_| refused.is_none()).and_then(|list| list.total) {
            pages::announce(&self.endpoint, request, total, &mut answer);
        }
        let deed = Deed { call, view: &view, before: &store.state, refused, born: born.as_ref(), now };
        self.faults.keep(&deed, &mut next);
        if !self.faults.is_empty() {
            for key in deed.keys() {
                if let Some(old) = store.state.get(&key).filter(|old| Some(*old) != next.get(&key)) {
                    store.previous.insert(key, old.clone());
                }
            }
        }
        store.state = next;
        self.sweep(store, now);
        answer
    }

    /// Drops credentials that are refused whether they are known or not, so that a long run does not slow down. Faults
    /// may want to raise the dead.
    fn sweep(&self, store: &mut Store, now: i64) {
        store.calls += 1;
        if store.calls < CALLS_PER_SWEEP || !self.faults.is_empty() {
            return;
        }
        store.calls = 0;
        let is_over = |entity: &Entity| {
            let expired = entity.known("expiresAt").and_then(time::millis).is_some_and(|limit| limit + NEAR_MS < now);
            let refreshable = entity.text("refresh_token").flatten().is_some();
            entity.flag("alive") == Some(false) || entity.flag("consumed") == Some(true) || (expired && !refreshable)
        };
        let mut over: Vec<Key> = Vec::new();
        for kind in [Kind::Token, Kind::Record, Kind::SubjectToken] {
            over.extend(store.state.all(kind).filter(|(_, entity)| is_over(entity)).map(|(id, _)| Key::new(kind, id)));
        }
        for key in over {
            store.state.remove(&key);
        }
    }

    /// An operation that is published and not specified: its guards look at the caller, a supporting endpoint answers.
    fn support(&self, operation: &Operation, store: &mut Store, request: &Request, now: i64) -> Answer {
        let disguised = self.faults.disguise(operation, &store.state, request);
        let request = disguised.as_ref().unwrap_or(request);
        match admit(operation, &store.state, request, now) {
            Err(refused) => refused,
            Ok(()) => support::answer(self, store, request, now).unwrap_or_else(|| text_answer(404, "Not Found")),
        }
    }
}

/// Whether the guards of an operation let the caller in; the refusal otherwise.
fn admit(operation: &Operation, state: &State, request: &Request, now: i64) -> Result<(), Answer> {
    let decided = Decided::read(state, request, now);
    let view = decided.view(state);
    let call = Call::read(operation, std::collections::BTreeMap::new(), request);
    let scene = Scene { call: &call, state: &view, now };
    let broken = operation.guards.iter().find(|guard| scene.holds(&guard.kind) != Truth::Yes);
    broken.map_or(Ok(()), |guard| Err(refusal(&scene, guard)))
}

fn failed() -> Answer {
    json_answer(500, &json!({"message": "Internal server error."}))
}

/// Whether this alternative is what happens. A model of a foreign deployment leaves open what it has not seen; here
/// everything is known but what only a breach service or a foreign digest could tell.
fn is_answer(scene: &Scene<'_>, alternative: &Alternative, stores: bool) -> bool {
    let Some(guard) = alternative.guard.map(|index| &scene.call.operation.guards[index]) else { return true };
    if let GuardKind::Storage(wanted) = guard.kind {
        return stores != wanted;
    }
    match scene.applies(guard).and(scene.holds(&guard.kind).not()) {
        Truth::Yes | Truth::Near => true,
        Truth::No => false,
        Truth::Unknown => match &guard.kind {
            GuardKind::PasswordPolicy(_) | GuardKind::NewPassword(_) | GuardKind::NotLocked(_) => false,
            GuardKind::SubjectToken(value) => {
                let token = scene.call.text(value).and_then(|text| scene.state.find(Kind::Token, &text).cloned());
                !token.is_some_and(|token| is_live_access(&token, scene.now))
            }
            _ => true,
        },
    }
}

fn is_live_access(token: &Entity, now: i64) -> bool {
    let expires = token.known("expiresAt").and_then(time::millis);
    token.text("use") == Some(Some("account")) && token.flag("alive") == Some(true) && expires.is_none_or(|expires| now < expires)
}

/// Carries a success out: the body with made-up values, and the state it leads to.
fn succeed(
    mint: &mut Mint,
    call: &Call<'_>,
    view: &State,
    chosen: &Alternative,
    grant: Option<&Grant>,
    now: i64,
) -> (Answer, State, Option<Key>) {
    let status = match chosen.outcome.status {
        Status::Exact(status) => status,
        Status::AnyRefusal => 400,
    };
    let claims = claims(call, view, grant, now);
    let mut body = chosen.body.sample(&mut |fresh| mint.make(fresh, now, &claims));
    if let (Some(Value::Object(body)), Pattern::Object(members)) = (&mut body, &chosen.body) {
        fill_open(body, members, &call.input);
        if call.operation.does(Named::CreatePasskeyRecord) {
            body.insert("registrationOptions".into(), registration_options(mint, call, view));
        }
        if call.operation.does(Named::CreateSocialRecord)
            && body.get("authorizationUri").is_none_or(Value::is_null)
            && let Some(page) = social_page(mint, call, view)
        {
            body.insert("authorizationUri".into(), page.into());
        }
        if call.operation.does(Named::IssueToken) {
            body.extend(companions(mint, call, view, grant, &claims));
        }
    }
    if let (Some(body), Some(Some(schema))) = (&mut body, call.operation.response(status)) {
        tell_expired(body, now);
        complete(body, schema.raw());
    }
    let mut next = accept(chosen, body.as_ref()).unwrap_or_else(|_| chosen.next.clone());
    let lessons = chosen.body.matches(body.as_ref()).unwrap_or_default();
    let born = lessons.iter().find_map(|lesson| match &lesson.teaching {
        Teaching::Identity(_) => Some(Key::new(lesson.key.kind, lesson.value.as_str()?)),
        Teaching::Property(_) | Teaching::Member(_) | Teaching::All(_) | Teaching::Some(_) => None,
    });
    for key in next.changed_since(view) {
        next.update(&key, |entity| {
            match (key.kind, grant) {
                (Kind::Token, Some(grant)) if Some(&key) == born.as_ref() => entity.set("user", grant.user.as_str()),
                (Kind::Session, Some(grant)) if view.get(&key).is_none() => entity.set("jti", grant.session.as_str()),
                _ => {}
            }
            furnish(key.kind, entity, call, mint, now);
            settle(entity, mint, &call.input, now);
        });
    }
    let answer = match body {
        Some(_) if matches!(call.operation.response(status), Some(None)) => {
            text_answer(status, if status == 201 { "Created" } else { "OK" })
        }
        Some(body) => json_answer(status, &body),
        None => empty_answer(status),
    };
    (answer, next, born)
}

/// The model leaves it open whether what is about to end has ended; the deployment has a clock.
fn tell_expired(body: &mut Value, now: i64) {
    match body {
        Value::Array(items) => items.iter_mut().for_each(|item| tell_expired(item, now)),
        Value::Object(members) if members.get("status").is_some_and(Value::is_null) => {
            if let Some(limit) = members.get("expiresAt").and_then(time::millis) {
                members.insert("status".into(), if now < limit { "active".into() } else { "expired".into() });
            }
        }
        _ => {}
    }
}

/// Where the model leaves a shown value open, the deployment stores what was asked for.
fn fill_open(body: &mut Map<String, Value>, members: &std::collections::BTreeMap<String, Member>, input: &Value) {
    for (name, member) in members {
        if let (Member::Present(Pattern::Leaf { term: Term::Unknown, .. }), Some(value)) = (member, input.get(name)) {
            body.insert(name.clone(), value.clone());
        }
    }
}

/// What nobody knows of is shown as nothing: a null that the schema does not allow becomes the plainest value it does.
fn complete(body: &mut Value, schema: &Value) {
    match body {
        Value::Object(object) => {
            for (name, member) in object.iter_mut() {
                if let Some(inner) = schema.get("properties").and_then(|properties| properties.get(name)) {
                    complete(member, inner);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                for item in items {
                    complete(item, inner);
                }
            }
        }
        Value::Null => {
            *body = match schema.get("type").and_then(Value::as_str) {
                Some("integer" | "number") => json!(0),
                Some("boolean") => json!(false),
                Some("string") => json!(""),
                Some("array") => json!([]),
                Some("object") => json!({}),
                _ => Value::Null,
            };
        }
        _ => {}
    }
}

/// Gives every open property of an entity a value.
fn settle(entity: &mut Entity, mint: &mut Mint, input: &Value, now: i64) {
    let open: Vec<(String, Term)> =
        entity.iter().filter(|(_, term)| term.known().is_none()).map(|(name, term)| (name.to_owned(), term.clone())).collect();
    for (name, term) in open {
        let value = match term {
            #[expect(clippy::cast_possible_truncation, reason = "times in milliseconds are far below 2^53")]
            Term::AtLeast(least) => json!(now.max(least as i64)),
            Term::Fresh(fresh) => mint.make(fresh, now, &Value::Null),
            // A password that came as a digest is known to nobody.
            _ if name == "password" => continue,
            _ => match input.get(&name) {
                Some(given) if given != "" => given.clone(),
                _ if name == "passwordDigest" && entity.flag("hasPassword") == Some(true) => mint.digest().into(),
                _ => Value::Null,
            },
        };
        entity.set(name, value);
    }
}

/// Limits in time that are near: a deployment knows its own clock, so it decides them to the millisecond.
struct Decided(Vec<(Key, Term, i64)>);

impl Decided {
    fn read(state: &State, request: &Request, now: i64) -> Self {
        let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).map(str::to_owned);
        let record = request.header("logto-verification-id").map(str::to_owned);
        let form =
            if request.path().to_ascii_lowercase().starts_with("/oidc/token") { crate::model::form(&request.body) } else { Value::Null };
        let field = |name: &str| form.get(name).and_then(Value::as_str).map(str::to_owned);
        let keys = [
            (Kind::Token, bearer),
            (Kind::Record, record),
            (Kind::SubjectToken, field("subject_token")),
            (Kind::Token, field("subject_token")),
            (Kind::PersonalAccessToken, field("subject_token")),
            (Kind::Token, field("actor_token")),
        ];
        let near = keys.into_iter().filter_map(|(kind, id)| {
            let key = Key::new(kind, id?);
            let term = state.get(&key)?.get("expiresAt").clone();
            let limit = time::millis(term.known()?)?;
            ((limit - now).abs() <= NEAR_MS).then_some((key, term, if now < limit { now + 2 * NEAR_MS } else { now - 2 * NEAR_MS }))
        });
        Self(near.collect())
    }

    fn view(&self, state: &State) -> State {
        let mut view = state.clone();
        for (key, _, limit) in &self.0 {
            view.update(key, |entity| entity.set("expiresAt", json!(limit)));
        }
        view
    }

    fn restore(&self, state: &mut State) {
        for (key, term, _) in &self.0 {
            state.update(key, |entity| entity.set("expiresAt", term.clone()));
        }
    }
}
