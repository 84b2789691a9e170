//! Plans as data: what `--report plan:` writes and `replay` reads.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::symbol::{Binding, Unbound, phones, symbols};
use crate::contract::{MessageKind, Need, Published, SignInRefusals, Source, Version};
use crate::model::wire::Request;
use crate::model::{Entry, SecondFactor, State, entry};

/// Format of plan files.
pub const PLAN_VERSION: u32 = 1;

/// JSON Schema (2020-12) of plan files, the file `specs/schemas/plan.schema.json`.
pub const PLAN_SCHEMA: &str = include_str!("../../specs/schemas/plan.schema.json");

/// All sequences of a run, with what they were planned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Format of the file, [`PLAN_VERSION`].
    pub plan_version: u32,
    /// The contract's version.
    pub contract: Version,
    /// Seed.
    pub seed: u64,
    /// What the target said of itself.
    pub facts: Facts,
    /// Groups of sequences that run under the same settings, in order.
    pub epochs: Vec<Epoch>,
}

impl Plan {
    /// All sequences in order.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        self.epochs.iter().flat_map(|epoch| &epoch.sequences)
    }
}

/// What a target says of itself before planning. Part of the plan, since the plan depends on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// The account-center settings as found.
    pub account_center: Value,
    /// The sign-in experience as found.
    pub sign_in_experience: Value,
    /// The connectors as found, without their settings; `{{run}}` stands for the name of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connectors: Vec<Value>,
    /// The kinds of connectors that the target has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factories: Vec<Value>,
    /// Messages that the target sends and that can be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<MessageKind>,
    /// The Management API's resource.
    pub resource: String,
    /// Whether settings may be changed.
    pub may_change_settings: bool,
    /// Roles that every new user gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_roles: Vec<Value>,
    /// Whether the target can reach an identity provider of the harness.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_provider: bool,
    /// Whether the target can keep the tokens of identity providers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_tokens: bool,
    /// Whether the target has a place for files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_storage: bool,
    /// Whether sequences may wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_wait: bool,
    /// Whether a user can sign in with username and password, which tokens of third-party applications need.
    pub can_sign_in: bool,
    /// What the target publishes of its Management API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// Why it publishes nothing that can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpublished: Option<String>,
}

impl Facts {
    /// Whether the run has what a requirement needs.
    pub fn meet(&self, need: Need) -> bool {
        match need {
            Need::Email => self.channels.contains(&MessageKind::Email),
            Need::Sms => self.channels.contains(&MessageKind::Sms),
            Need::Provider => self.has_provider,
            Need::Storage => self.has_storage,
            Need::Time => self.may_wait,
        }
    }
}

/// Account-center settings that sequences need: `None` for a level means the field's key is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether the account center is on.
    pub enabled: bool,
    /// Level by field.
    pub fields: BTreeMap<String, Option<String>>,
    /// Whether all second factors are on, or none; as found when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factors: Option<bool>,
}

/// Every kind of second factor that a tenant can switch on for the Account API.
pub const FACTORS: [&str; 3] = ["Totp", "WebAuthn", "BackupCode"];

impl Settings {
    /// The body of `PATCH /api/account-center` that brings the settings about.
    pub fn patch(&self) -> Value {
        let fields: serde_json::Map<String, Value> =
            self.fields.iter().filter_map(|(field, level)| Some((field.clone(), Value::String(level.clone()?)))).collect();
        serde_json::json!({"enabled": self.enabled, "fields": fields})
    }

    /// The member `mfa` of the sign-in experience that the settings need; nobody is asked for a factor at sign-in.
    pub fn mfa(&self) -> Option<Value> {
        let factors: &[&str] = if self.factors? { &FACTORS } else { &[] };
        Some(serde_json::json!({"factors": factors, "policy": "NoPrompt"}))
    }
}

/// Sequences that run under the same settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The settings; `None`: as found.
    pub settings: Option<Settings>,
    /// The sequences change settings themselves, so they run one after the other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// The sequences.
    pub sequences: Vec<Sequence>,
}

/// Calls in order. Each sequence makes its own users, so sequences do not disturb each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Name, unique within the plan.
    pub id: String,
    /// The steps; equal ones of a file are kept once.
    #[serde(deserialize_with = "equal_once")]
    pub steps: Vec<Arc<Step>>,
}

/// Reads steps one by one, so that a long file takes no more memory than what differs in it.
fn equal_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Step>>, D::Error> {
    struct Steps;
    impl<'de> Visitor<'de> for Steps {
        type Value = Vec<Arc<Step>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of steps")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut known, mut steps): (HashSet<Arc<Step>>, Vec<_>) = (HashSet::new(), Vec::new());
            while let Some(step) = list.next_element::<Step>()? {
                let step = known.get(&step).cloned().unwrap_or_else(|| Arc::new(step));
                known.insert(Arc::clone(&step));
                steps.push(step);
            }
            Ok(steps)
        }
    }
    deserializer.deserialize_seq(Steps)
}

impl Sequence {
    /// The steps that are sent together with this one: itself alone, or its neighbours with the same number.
    pub fn group(&self, step: usize) -> Range<usize> {
        let number = self.steps.get(step).and_then(|step| step.together);
        let fits = |other: &&Arc<Step>| number.is_some() && other.together == number;
        let before = self.steps.iter().take(step).rev().take_while(fits).count();
        let after = self.steps.iter().skip(step + 1).take_while(fits).count();
        step - before..step + 1 + after
    }

    /// How many requests it sends, sign-ins aside.
    pub fn requests(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, Action::Call(_))).count()
    }

    /// How many phone numbers it has for itself.
    pub fn phones(&self) -> u32 {
        phones(self.steps.iter().flat_map(|step| step.needs()))
    }

    /// Whether a step is sent together with others, or looks at one that was.
    pub fn is_race(&self, step: usize) -> bool {
        let of = match self.steps.get(step).map(|step| &step.purpose) {
            Some(Purpose::Look(of)) => *of,
            _ => step,
        };
        self.group(of).len() > 1
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who sends it.
    pub persona: Persona,
    /// What it is for.
    pub purpose: Purpose,
    /// What it does.
    pub action: Action,
    /// Symbols that the answer gives a meaning, with the JSON pointer of their value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, String>,
    /// The outcome the plan expects, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Neighbours with the same number are sent together; what one of them captures serves only steps after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<u32>,
}

/// Why a step is in a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Makes what later steps need.
    Setup,
    /// The point of the sequence; says what is tried.
    Probe(String),
    /// Looks whether the step of this index did what it said, and nothing else.
    Look(usize),
}

/// Who sends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Persona {
    /// The machine application with scope `all`.
    Admin,
    /// A user of the sequence, with a token of a first-party application.
    User,
    /// Another user of the sequence.
    OtherUser,
    /// A user with a token of a third-party application.
    ThirdPartyUser,
    /// A user whose token lacks `openid`.
    WithoutOpenid,
    /// A user with an ID token in place of an access token.
    IdToken,
    /// A user whose token should be dead.
    DeadToken,
    /// The machine application without scope `all`.
    MachineWithoutScope,
    /// Nobody.
    Anonymous,
    /// Somebody with a made-up credential.
    Forged,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sends one request.
    Call(Call),
    /// Signs a user in by authorization code, below the contract.
    SignIn(SignIn),
    /// Gets something outside the two collections.
    Obtain(Obtain),
    /// Lets so many seconds pass.
    Wait(u32),
}

/// Something that is got outside the two collections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obtain {
    /// Symbol of what is got.
    pub symbol: String,
    /// Where it is got.
    pub from: Source,
}

/// One request with symbols.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The operation meant; none for paths that do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers, names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Body as raw bytes, base64; without symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// The operation that a sign-in ends with.
pub const SIGN_IN_ENDS_WITH: &str = "IssueToken";

/// A sign-in with username and password.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's id.
    pub user: String,
    /// Username.
    pub username: String,
    /// Password.
    pub password: String,
    /// `first` or `third` party application of the run.
    pub client: String,
    /// Scopes asked for.
    pub scopes: String,
    /// Symbol of the access token.
    pub token: String,
    /// Symbol of the ID token.
    pub id_token: String,
    /// The enterprise connector that takes the place of username and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// The second factor at hand, where one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondFactor>,
}

impl SignIn {
    /// The texts in which symbols can stand.
    pub fn texts(&self) -> Vec<&str> {
        let through = self.through.iter().flat_map(|through| [&through.connector, &through.account, &through.email]);
        let second = self.second.iter().filter_map(SecondFactor::text);
        [&self.user, &self.username, &self.password].into_iter().chain(through).chain(second).map(String::as_str).collect()
    }

    /// The same with the meaning of the symbols in who signs in, by what.
    pub fn resolved(&self, binding: &Binding) -> Result<Self, Unbound> {
        let mut resolved = self.clone();
        for text in [&mut resolved.user, &mut resolved.username, &mut resolved.password] {
            *text = binding.resolve(text)?;
        }
        if let Some(text) = resolved.second.as_mut().and_then(SecondFactor::text_mut) {
            *text = binding.resolve(text)?;
        }
        Ok(resolved)
    }

    /// What becomes of it; symbols have their meaning.
    pub fn entry(&self, refusals: &SignInRefusals, state: &State) -> Entry {
        if self.through.is_some() {
            return Entry::Unsure;
        }
        entry(refusals, state, &self.user, &self.password, self.second.as_ref())
    }
}

/// An enterprise connector of the harness's own identity provider, and who signs in there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Through {
    /// Id of the connector.
    pub connector: String,
    /// Id of the account at the provider.
    pub account: String,
    /// Verified e-mail address of the account.
    pub email: String,
}

/// Why a step cannot be turned into a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A symbol without meaning.
    #[error(transparent)]
    Unbound(#[from] Unbound),
    /// The raw body is no base64.
    #[error("`body_base64` is no base64: {0}")]
    Body(String),
}

impl Call {
    /// The symbols that it speaks of.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(|(_, value)| value.as_str());
        std::iter::once(self.target.as_str()).chain(headers).chain(self.body.as_deref()).flat_map(symbols)
    }

    /// The request with every symbol replaced.
    pub fn request(&self, binding: &Binding) -> Result<Request, CallError> {
        let mut request = Request::new(self.method.clone(), binding.resolve(&self.target)?);
        for (name, value) in &self.headers {
            request.headers.push((name.clone(), binding.resolve(value)?));
        }
        request.body = match (&self.body, &self.body_base64) {
            (Some(text), _) => binding.resolve(text)?.into_bytes(),
            (None, Some(raw)) => STANDARD.decode(raw).map_err(|error| CallError::Body(error.to_string()))?,
            (None, None) => Vec::new(),
        };
        Ok(request)
    }
}

impl Step {
    /// Whether an operation is the point of the step.
    pub fn tries(&self, operation: &str) -> bool {
        let ends_with = if matches!(self.action, Action::SignIn(_)) { Some(SIGN_IN_ENDS_WITH) } else { self.operation() };
        matches!(self.purpose, Purpose::Probe(_)) && ends_with == Some(operation)
    }

    /// The symbols the step needs.
    pub fn needs(&self) -> Vec<&str> {
        match &self.action {
            Action::Call(call) => call.symbols().collect(),
            Action::SignIn(sign_in) => sign_in.texts().into_iter().flat_map(symbols).collect(),
            Action::Wait(_) => Vec::new(),
            Action::Obtain(obtain) => obtain.from.texts().into_iter().flat_map(symbols).collect(),
        }
    }

    /// The symbols the step gives a meaning.
    pub fn gives(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.capture.keys().map(String::as_str).collect();
        match &self.action {
            Action::Call(_) | Action::Wait(_) => {}
            Action::SignIn(sign_in) => names.extend([sign_in.token.as_str(), sign_in.id_token.as_str()]),
            Action::Obtain(obtain) => names.push(&obtain.symbol),
        }
        names
    }

    /// The operation meant.
    pub fn operation(&self) -> Option<&str> {
        match &self.action {
            Action::Call(call) => call.operation.as_deref(),
            Action::SignIn(_) | Action::Obtain(_) | Action::Wait(_) => None,
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let persona = serde_json::to_value(self.persona).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        match &self.action {
            Action::Call(call) => {
                let body = call.body.as_deref().map_or_else(String::new, |body| format!(" {}", body.chars().take(120).collect::<String>()));
                format!("{persona}: {} {}{body}", call.method, call.target)
            }
            Action::Wait(seconds) => format!("{seconds} seconds pass"),
            Action::Obtain(obtain) => format!("{persona}: {}", obtain.from.line()),
            Action::SignIn(sign_in) => format!("{persona}: signs in at the {}-party application with {}", sign_in.client, sign_in.scopes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_of_a_file_are_kept_once() {
        let step = |seconds: u32| format!(r#"{{"persona": "admin", "purpose": "setup", "action": {{"wait": {seconds}}}}}"#);
        let text = format!(r#"{{"id": "waits", "steps": [{}, {}, {}]}}"#, step(1), step(2), step(1));
        let sequence: Sequence = serde_json::from_str(&text).unwrap();
        assert!(Arc::ptr_eq(&sequence.steps[0], &sequence.steps[2]) && !Arc::ptr_eq(&sequence.steps[0], &sequence.steps[1]));
        assert_eq!(serde_json::to_value(&sequence).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
    }
}
