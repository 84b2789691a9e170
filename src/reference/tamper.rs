//! Faults below contract and model: in credentials, storage, time and on the wire.

use serde_json::{Value, json};

use super::fault::{Change, Fault, OddInput, On, TokenUse};
use super::{paths, refusal};
use crate::contract::guard::Guard;
use crate::contract::{Collection, Contract, Operation};
use crate::model::wire::{Answer, Body, Request};
use crate::model::{Call, Entity, Key, Kind, State, successes, time};

/// All scopes of the Account API.
const WIDEST: &str = "openid profile email phone address custom_data identities urn:logto:scope:sessions";

/// A call that is being carried out.
pub struct Deed<'a> {
    /// The call.
    pub call: &'a Call<'a>,
    /// The state the call met.
    pub view: &'a State,
    /// The stored state before.
    pub before: &'a State,
    /// The guard that refused it, if one did.
    pub refused: Option<&'a Guard>,
    /// The entity it made.
    pub born: Option<&'a Key>,
    /// Milliseconds since 1970.
    pub now: i64,
}

impl Deed<'_> {
    /// The entities the call is about, each once.
    pub fn keys(&self) -> Vec<Key> {
        let settings = self.call.operation.settings().map(|name| Key::new(Kind::Settings, name));
        let own = [self.born.cloned(), self.call.caller(self.view), self.call.subject()].into_iter().flatten();
        let mut keys: Vec<Key> = own.chain(settings).collect();
        keys.extend(named(self.call, self.before));
        let mut seen = std::collections::BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        keys
    }

    fn input(&self, name: &str) -> Option<&Value> {
        self.call.input.get(name)
    }

    fn header_record(&self) -> Option<Key> {
        self.call.request.header("logto-verification-id").map(|id| Key::new(Kind::Record, id))
    }

    fn subject_token(&self) -> Option<Key> {
        self.input("subject_token").and_then(Value::as_str).map(|text| Key::new(Kind::SubjectToken, text))
    }
}

/// The entities whose ids stand in the path.
fn named<'a>(call: &'a Call<'_>, state: &'a State) -> impl Iterator<Item = Key> + 'a {
    let keys = call.path.values().flat_map(|id| Kind::ALL.iter().map(|kind| Key::new(*kind, id.clone())));
    keys.filter(|key| state.get(key).is_some())
}

/// The faults of a running reference.
#[derive(Debug, Clone, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a Change> {
        self.0.iter().filter(move |fault| fault.operation == operation).map(|fault| &fault.change)
    }

    /// Whether an operation deviates in this way.
    pub fn has(&self, operation: &str, change: &Change) -> bool {
        self.of(operation).any(|known| known == change)
    }

    /// Whether odd input makes the deployment fail.
    pub fn crashes(&self, operation: &str, request: &Request) -> bool {
        self.of(operation).any(|change| matches!(change, Change::Crash { on } if is_odd(*on, request)))
    }

    /// Whether the operation is decided by what was there when the request came in.
    pub fn decides_early(&self, operation: &str) -> bool {
        self.0.iter().any(|fault| match &fault.change {
            Change::DecideEarly { also } => fault.operation == operation || also.iter().any(|other| other == operation),
            _ => false,
        })
    }

    /// The request with the credential that is taken instead of the one sent.
    pub fn disguise(&self, operation: &Operation, state: &State, request: &Request) -> Option<Request> {
        let wanted = match operation.collection {
            Collection::Account => "account",
            Collection::Management => "management",
        };
        let best = || {
            let client = |token: &Entity| token.text("client").flatten().is_some_and(|id| state.find(Kind::Application, id).is_some());
            let live = |token: &Entity| token.text("use") == Some(Some(wanted)) && token.flag("alive") == Some(true) && client(token);
            let opens = |token: &Entity| token.text("scope").flatten().map(str::len);
            let best = state.all(Kind::Token).filter(|(_, token)| live(token)).max_by_key(|(_, token)| opens(token));
            best.map(|(text, _)| text.to_owned())
        };
        let Some(header) = request.header("authorization") else {
            let open = self.of(&operation.id).any(|change| matches!(change, Change::Accept { token: TokenUse::Missing }));
            let token = best().filter(|_| open)?;
            return Some(request.clone().with_header("authorization", format!("Bearer {token}")));
        };
        let (scheme, sent) = header.split_once(' ')?;
        let token = state.find(Kind::Token, sent);
        let usage = token.and_then(|token| token.text("use").flatten());
        let scope = token.and_then(|token| token.text("scope").flatten());
        let fits = |from: TokenUse| match from {
            TokenUse::Account => usage == Some("account") && wanted != "account",
            TokenUse::Management => usage == Some("management") && wanted != "management",
            TokenUse::Scopeless => usage == Some("management") && scope.is_none(),
            TokenUse::Unknown => token.is_none() && !sent.is_empty(),
            TokenUse::Missing | TokenUse::Revoked | TokenUse::OtherScheme => false,
        };
        for change in self.of(&operation.id) {
            let Change::Accept { token: from } = change else { continue };
            let replaced = match from {
                TokenUse::OtherScheme if scheme.eq_ignore_ascii_case("bearer") => Some(sent.to_owned()),
                from if scheme == "Bearer" && fits(*from) => best(),
                _ => None,
            };
            if let Some(text) = replaced {
                let mut disguised = request.clone();
                for (name, value) in &mut disguised.headers {
                    if name == "authorization" {
                        *value = format!("Bearer {text}");
                    }
                }
                return Some(disguised);
            }
        }
        None
    }

    /// Changes what the call meets. Returns the entities that are not what is stored.
    pub fn blur(&self, call: &Call<'_>, view: &mut State, previous: &State, now: i64) -> Vec<Key> {
        let mut blurred = Vec::new();
        for change in self.of(&call.operation.id) {
            let caller = call.caller(view);
            match change {
                Change::Accept { token: TokenUse::Revoked } => {
                    blurred.extend(call.bearer().map(|text| Key::new(Kind::Token, text)));
                    for key in &blurred {
                        view.update(key, |token| token.set("alive", true));
                    }
                }
                Change::ForeignRecord | Change::UnknownRecord | Change::EternalRecord => {
                    let Some(key) = call.request.header("logto-verification-id").map(|id| Key::new(Kind::Record, id)) else { continue };
                    let owner = caller.map_or(Value::Null, |caller| caller.id.into());
                    match (change, view.get(&key).is_some()) {
                        (Change::ForeignRecord, true) => view.update(&key, |record| record.set("owner", owner)),
                        (Change::EternalRecord, true) => view.update(&key, |record| record.set("expiresAt", Value::Null)),
                        (Change::UnknownRecord, false) => {
                            let record = json!({"owner": owner, "verified": true, "verifies": true, "expiresAt": null});
                            view.insert(key.clone(), Entity::from_json(&record));
                        }
                        _ => continue,
                    }
                    blurred.push(key);
                }
                Change::CountedBefore { failures } => {
                    if let Some(key) = caller {
                        view.update(&key, |user| {
                            let counted = user.known("failures").and_then(Value::as_u64).unwrap_or_default();
                            user.set("failures", json!(counted + failures));
                        });
                        // The refusal counts from here; what was added is taken off again when it is stored.
                        blurred.push(key);
                    }
                }
                Change::ShortSubject { seconds } => {
                    let text = call.input.get("subject_token").and_then(Value::as_str).unwrap_or_default();
                    let key = Key::new(Kind::SubjectToken, text);
                    let over = view.get(&key).and_then(|token| {
                        let (expires, life) = (time::millis(token.known("expiresAt")?)?, token.known("expiresIn")?.as_i64()?);
                        Some(now >= expires - life * 1000 + seconds * 1000)
                    });
                    if over == Some(true) {
                        view.update(&key, |token| token.set("consumed", true));
                        blurred.push(key);
                    }
                }
                Change::StaleRead => {
                    let named: Vec<Key> = named(call, view).collect();
                    for key in [caller, call.subject(), Some(Key::account_center())].into_iter().flatten().chain(named) {
                        if let Some(old) = previous.get(&key) {
                            view.insert(key.clone(), old.clone());
                            blurred.push(key);
                        }
                    }
                }
                _ => {}
            }
        }
        blurred
    }

    /// Changes what is stored.
    pub fn keep(&self, deed: &Deed<'_>, next: &mut State) {
        for change in self.of(&deed.call.operation.id) {
            match (change, deed.refused) {
                (Change::LoseProperty { property }, _) => lose(deed, next, property),
                (Change::WriteOnRefusal { guard }, Some(refused)) if refused.label() == *guard => write_anyway(deed, next),
                (Change::ConsumeOnRefusal, Some(_)) => {
                    if let Some(key) = deed.subject_token() {
                        next.update(&key, |token| token.set("consumed", true));
                    }
                }
                (Change::CountedBefore { .. }, Some(_)) => {
                    if let Some(key) = deed.call.caller(deed.view) {
                        let counted = deed.before.get(&key).and_then(|user| user.known("failures")?.as_u64()).unwrap_or_default();
                        next.update(&key, |user| user.set("failures", json!(counted + 1)));
                    }
                }
                (_, Some(_)) => {}
                (change, None) => store(change, deed, next),
            }
        }
    }

    /// Changes what is sent.
    pub fn distort(&self, contract: &Contract, state: &State, request: &Request, answer: &mut Answer) {
        for fault in &self.0 {
            let Some(operation) = contract.operation(&fault.operation) else { continue };
            let here = operation.method == request.method || answer.status == 405 || request.method == "OPTIONS";
            if here && paths::fit(&operation.path, request.path()).is_some() {
                send(&fault.change, state, answer);
            }
        }
    }
}

fn lose(deed: &Deed<'_>, next: &mut State, property: &str) {
    for key in deed.keys() {
        let old = deed.before.get(&key).map(|entity| entity.get(property).clone());
        next.update(&key, |entity| {
            if entity.known(property).is_some() {
                entity.set(property, old.unwrap_or_else(|| Value::Null.into()));
            }
        });
    }
}

fn write_anyway(deed: &Deed<'_>, next: &mut State) {
    let Some(written) = successes(deed.call, deed.view, deed.now).into_iter().next().map(|written| written.next) else { return };
    for key in deed.keys() {
        match written.get(&key) {
            Some(entity) => {
                let mut entity = entity.clone();
                entity.set("updatedAt", json!(deed.now));
                next.insert(key, entity);
            }
            None => {
                next.remove(&key);
            }
        }
    }
}

fn store(change: &Change, deed: &Deed<'_>, next: &mut State) {
    let mut each = |act: &dyn Fn(&mut Entity, Option<&Entity>)| {
        for key in deed.keys() {
            let old = deed.before.get(&key);
            next.update(&key, |entity| act(entity, old));
        }
    };
    let object = |entity: &Entity, property: &str| entity.known(property).and_then(Value::as_object).cloned();
    match change {
        Change::LoseWrite => *next = deed.before.clone(),
        Change::MergeInstead { property } => each(&|entity, old| {
            if let (Some(mut merged), Some(new)) = (old.and_then(|old| object(old, property)), object(entity, property)) {
                merged.extend(new);
                entity.set(property.clone(), Value::Object(merged));
            }
        }),
        Change::ReplaceInstead { property } => each(&|entity, _| {
            if entity.known(property).is_some() {
                // The object is the body, or a member of it.
                entity.set(property.clone(), deed.input(property).unwrap_or(&deed.call.input).clone());
            }
        }),
        Change::MergeMember { property, member } => each(&|entity, old| {
            let old = old.and_then(|old| old.known(property)?.get(member)?.as_object().cloned());
            if let (Some(mut merged), Some(mut whole)) = (old, object(entity, property)) {
                merged.extend(whole.get(member).and_then(Value::as_object).cloned().unwrap_or_default());
                whole.insert(member.clone(), Value::Object(merged));
                entity.set(property.clone(), Value::Object(whole));
            }
        }),
        Change::KeepWhenNull { property } => each(&|entity, old| {
            if let (Some(Value::Null), Some(old)) = (entity.known(property), old) {
                let old = old.get(property).clone();
                entity.set(property.clone(), old);
            }
        }),
        Change::StoreRaw { property } => each(&|entity, _| {
            if let (Some(_), Some(raw)) = (entity.known(property), deed.input(property)) {
                entity.set(property.clone(), raw.clone());
            }
        }),
        Change::LowerCase { property } => each(&|entity, _| {
            if let Some(text) = entity.text(property).flatten().map(str::to_lowercase) {
                entity.set(property.clone(), text.as_str());
            }
        }),
        Change::Truncate { property, to } => each(&|entity, _| {
            if let Some(text) = entity.text(property).flatten().map(|text| text.chars().take(*to).collect::<String>()) {
                entity.set(property.clone(), text.as_str());
            }
        }),
        Change::AlsoSet { property, value } => each(&|entity, _| entity.set(property.clone(), value.clone())),
        Change::DefaultTo { property, value } if deed.input(property).is_none() => {
            each(&|entity, _| {
                if entity.known(property).is_some() {
                    entity.set(property.clone(), value.clone());
                }
            });
        }
        Change::TurnBack { property, by } => each(&|entity, old| {
            let number = old.unwrap_or(entity).known(property).and_then(Value::as_i64);
            if let Some(number) = number {
                entity.set(property.clone(), json!(number - by));
            }
        }),
        Change::Everyone { property } => {
            if let Some(value) = deed.input(property) {
                next.update_all(Kind::User, |user| user.known("id").is_some(), |user| user.set(property.clone(), value.clone()));
            }
        }
        Change::KeepIdentifiers => {
            if let Some(key) = deed.call.subject() {
                let Some(gone) = deed.before.get(&key) else { return };
                let names = ["username", "primaryEmail", "primaryPhone"];
                let ghost = names.iter().fold(Entity::default(), |ghost, name| ghost.with(*name, gone.get(name).clone()));
                next.insert(Key::new(Kind::User, format!("~{}", key.id)), ghost);
            }
        }
        _ => store_tokens(change, deed, next),
    }
}

fn store_tokens(change: &Change, deed: &Deed<'_>, next: &mut State) {
    let of = |user: &Key| {
        let id = user.id.clone();
        move |token: &Entity| token.text("user") == Some(Some(&id)) && token.text("use") == Some(Some("account"))
    };
    match change {
        Change::Outlive => {
            let living: Vec<String> = deed
                .before
                .all(Kind::Token)
                .filter(|(_, token)| token.flag("alive") == Some(true))
                .map(|(text, _)| text.to_owned())
                .collect();
            for text in living {
                next.update(&Key::new(Kind::Token, text), |token| token.set("alive", true));
            }
        }
        Change::Revive => {
            if let Some(key) = deed.call.subject().filter(|_| deed.input("isSuspended") == Some(&json!(false))) {
                next.update_all(Kind::Token, of(&key), |token| token.set("alive", true));
            }
        }
        Change::KillEveryone if deed.input("isSuspended") == Some(&json!(true)) => {
            next.update_all(Kind::Token, |token| token.text("use") == Some(Some("account")), |token| token.set("alive", false));
        }
        Change::KillCaller => {
            if let Some(key) = deed.call.caller(deed.view) {
                next.update_all(Kind::Token, of(&key), |token| token.set("alive", false));
            }
        }
        Change::ReusableSubject => {
            if let Some(key) = deed.subject_token() {
                next.update(&key, |token| token.set("consumed", false));
            }
        }
        Change::ConsumeRecord => {
            if let Some(key) = deed.header_record() {
                next.remove(&key);
            }
        }
        Change::WrongUser => {
            if let Some(key) = deed.born.filter(|key| key.kind == Kind::Token) {
                let owner = next.get(key).and_then(|token| token.text("user").flatten()).map(str::to_owned);
                let other = next.all(Kind::User).map(|(id, _)| id.to_owned()).find(|id| Some(id) != owner.as_ref());
                if let (Some(_), Some(other)) = (owner, other) {
                    next.update(key, |token| token.set("user", other.as_str()));
                }
            }
        }
        Change::WiderScope => {
            if let Some(key) = deed.born.filter(|key| key.kind == Kind::Token) {
                next.update(key, |token| {
                    if token.text("use") == Some(Some("account")) {
                        token.set("scope", WIDEST);
                    }
                });
            }
        }
        Change::Stillborn => {
            if let Some(key) = deed.born {
                // A machine's token stays good, or nothing could be tested at all.
                next.update(key, |made| {
                    if made.text("use") != Some(Some("management")) {
                        made.set("expiresAt", json!(deed.now - 60_000));
                    }
                });
            }
        }
        _ => {}
    }
}

fn send(change: &Change, state: &State, answer: &mut Answer) {
    let status = answer.status;
    let concerns = |on: On| match on {
        On::Success => (200..300).contains(&status),
        On::Refusal => status >= 400,
        On::Any => true,
    };
    match change {
        Change::DropHeader { header, on } if concerns(*on) => answer.headers.retain(|(name, _)| name != header),
        Change::SetHeader { header, value, on } if concerns(*on) => {
            answer.headers.retain(|(name, _)| name != header);
            answer.headers.push((header.clone(), value.clone()));
        }
        Change::Status { from, to } if status == *from => answer.status = *to,
        Change::EmptyBody if concerns(On::Success) => answer.body = Body::default(),
        Change::PlainText { text, on } if concerns(*on) && !answer.body.is_empty() => {
            let plain = refusal::text_answer(status, text);
            answer.headers.retain(|(name, _)| name != "content-type");
            answer.headers.extend(plain.headers);
            answer.body = plain.body;
        }
        Change::AddProperty { pointer, value, on } if concerns(*on) => edit(answer, pointer, |object, key, _| {
            object.insert(key.to_owned(), value.clone());
        }),
        Change::DropProperty { pointer, on } if concerns(*on) => edit(answer, pointer, |object, key, _| {
            object.shift_remove(key);
        }),
        Change::RenameProperty { pointer, to } if concerns(On::Success) => edit(answer, pointer, |object, key, _| {
            if let Some(value) = object.shift_remove(key) {
                object.insert(to.clone(), value);
            }
        }),
        Change::Divide { pointer, by } if concerns(On::Success) => edit(answer, pointer, |object, key, _| {
            if let Some(number) = object.get(key).and_then(Value::as_i64) {
                object.insert(key.to_owned(), json!(number / by));
            }
        }),
        Change::AsText { pointer } if concerns(On::Success) => edit(answer, pointer, |object, key, _| {
            if let Some(value) = object.get(key).filter(|value| !value.is_string()) {
                let text = value.to_string();
                object.insert(key.to_owned(), text.into());
            }
        }),
        Change::LoseEntry { pointer } if concerns(On::Success) => {
            let Some(mut body) = answer.json().cloned() else { return };
            if let Some(list) = body.pointer_mut(pointer).and_then(Value::as_array_mut) {
                list.pop();
                answer.body = body.to_string().into_bytes().into();
            }
        }
        Change::Miscount { by } => {
            for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name == "total-number") {
                *value = value.parse().map_or_else(|_| value.clone(), |total: i64| (total + by).to_string());
            }
        }
        Change::Leak { property } if concerns(On::Success) => edit(answer, &format!("/{property}"), |object, key, whole| {
            let user = whole["id"].as_str().and_then(|id| state.find(Kind::User, id));
            if let Some(secret) = user.and_then(|user| user.known(property)).filter(|secret| !secret.is_null()) {
                object.insert(key.to_owned(), secret.clone());
            }
        }),
        _ => {}
    }
}

/// Edits the object that holds the member a pointer names.
fn edit(answer: &mut Answer, pointer: &str, act: impl Fn(&mut serde_json::Map<String, Value>, &str, &Value)) {
    let Some(mut body) = answer.json().cloned() else { return };
    let whole = body.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    if let Some(object) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
        act(object, key, &whole);
        answer.body = body.to_string().into_bytes().into();
    }
}

fn is_odd(odd: OddInput, request: &Request) -> bool {
    let Ok(body) = crate::model::json::parse(&request.body) else { return false };
    let members = || body.as_object().into_iter().flatten().map(|(_, value)| value);
    match odd {
        OddInput::NonAscii => !request.body.is_ascii(),
        OddInput::EmptyText => members().any(|value| value == ""),
        OddInput::Null => members().any(Value::is_null),
        OddInput::Nested => {
            members().flat_map(|value| value.as_object().into_iter().flatten()).any(|(_, inner)| inner.is_object() || inner.is_array())
        }
        OddInput::NoObject => !body.is_object(),
        OddInput::LongText => members().filter_map(Value::as_str).any(|text| text.chars().count() > 1000),
    }
}
