//! The gate: the one place that sends. What the mode, the name space or the missing channel forbid does not leave the
//! process; what creates or changes something is in the ledger before it leaves; what is secret is registered.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use url::Url;

use super::client::{Client, SendError};
use super::exchange::{Exchange, Witness};
use super::ledger::{Intent, Ledger, identity};
use super::rules::{Aim, may_write, only_reads};
use super::secret::SecretRegister;
use crate::contract::MessageKind;
use crate::model::json;
use crate::model::wire::{Answer, Request};

/// Name of the one object outside of a run's name space: whoever could create this role holds the tenant's settings. Its
/// description starts with the name space of the run that holds it, so that a clean-up after `kill -9` can tell.
pub const LEASE_ROLE: &str = "lc_lease";

/// What a run may do to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Sends nothing that writes.
    ReadOnly,
    /// Touches only users and applications it made itself, and no tenant-wide setting.
    Isolated,
    /// May change tenant-wide settings, and puts them back.
    Exclusive,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "read-only",
            Self::Isolated => "isolated",
            Self::Exclusive => "exclusive",
        })
    }
}

/// The text names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode `{0}`: use read-only, isolated or exclusive")]
pub struct ModeError(pub String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        [Self::ReadOnly, Self::Isolated, Self::Exclusive]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| ModeError(text.to_owned()))
    }
}

/// What the sender of a call knows about its effects.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about a call, independent of the others")]
pub struct Clearance {
    /// The call may change something on the deployment.
    pub writes: bool,
    /// The change is felt by all users of the tenant.
    pub tenant_wide: bool,
    /// The deployment may send a mail or a text message.
    pub sends_messages: bool,
    /// Ids of what the call would delete, suspend or change.
    pub destructive_on: Option<Vec<String>>,
    /// The call is only sent to see it turned away, and could not be carried out if it were not. The gate sees for itself.
    pub inert: bool,
    /// What the call would create or change, for the ledger.
    pub intents: Vec<Intent>,
}

impl Clearance {
    /// A call that changes nothing.
    pub fn read() -> Self {
        Self::default()
    }

    /// A call that writes, without further effects.
    pub fn write() -> Self {
        Self { writes: true, ..Self::default() }
    }

    /// A write that must be turned away and could not be carried out.
    pub fn inert() -> Self {
        Self { inert: true, ..Self::write() }
    }

    /// A call that creates or changes what `intent` says.
    pub fn intending(intent: Intent) -> Self {
        let tenant_wide = matches!(intent, Intent::AccountCenter { .. } | Intent::SignInExperience { .. } | Intent::Connector { .. });
        Self { tenant_wide, intents: vec![intent], ..Self::write() }
    }

    /// A call that deletes, suspends or changes one object.
    pub fn destroying(id: impl Into<String>) -> Self {
        Self { destructive_on: Some(vec![id.into()]), ..Self::write() }
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Not sent: the run may not do this.
    #[error("not sent: {why}; {remedy}")]
    Forbidden {
        /// What is in the way.
        why: String,
        /// What would make it possible.
        remedy: String,
    },
    /// Sent, or tried to.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Not sent, because it could not be written down first; or sent, and its id could not be noted.
    #[error("cannot write the ledger: {0}")]
    Ledger(io::Error),
}

/// Sends requests on behalf of one run; clones share everything.
#[derive(Debug, Clone)]
pub struct Gate {
    client: Client,
    mode: Mode,
    ledger: Ledger,
    secrets: SecretRegister,
    namespace: Arc<str>,
    channels: Arc<[MessageKind]>,
    ours: Arc<Mutex<HashSet<String>>>,
    unused: Arc<Mutex<HashSet<String>>>,
    sent: Arc<AtomicU64>,
    /// Microseconds that an answer takes, lately.
    pace: Arc<AtomicU64>,
    witness: Option<Arc<dyn Witness>>,
}

impl Gate {
    /// A gate for one run. `namespace` starts the names of all its objects, see [`namespace`](super::namespace()).
    pub fn new(client: Client, mode: Mode, ledger: Ledger, secrets: SecretRegister, namespace: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            mode,
            ledger,
            secrets,
            namespace: namespace.into(),
            channels: Arc::default(),
            ours: Arc::default(),
            unused: Arc::default(),
            sent: Arc::default(),
            pace: Arc::default(),
            witness: None,
        }
    }

    /// Allows calls that make the deployment send messages of these kinds: they end in a channel of ours.
    #[must_use]
    pub fn with_channel(mut self, kinds: &[MessageKind]) -> Self {
        self.channels = kinds.into();
        self
    }

    /// Shows every exchange to `witness`.
    #[must_use]
    pub fn witnessed_by(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Requests that have left so far, of all clones.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How long an answer takes, lately.
    pub fn pace(&self) -> Duration {
        Duration::from_micros(self.pace.load(Ordering::Relaxed))
    }

    /// The mode of the run.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The ledger of the run.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The register that every writer must use.
    pub fn secrets(&self) -> &SecretRegister {
        &self.secrets
    }

    /// What the names of all objects of the run start with.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Base URL of the deployment.
    pub fn endpoint(&self) -> &Url {
        self.client.endpoint()
    }

    /// The path prefix of the endpoint; empty for most deployments.
    pub fn prefix(&self) -> &str {
        self.client.prefix()
    }

    /// Notes that an object is ours to change and delete. Ids from answers to announced creates are noted without this.
    pub fn own(&self, id: impl Into<String>) {
        self.ours().insert(id.into());
    }

    /// Notes that an object which an answer tells of is ours, if the path that was asked for names something of ours.
    pub fn own_part(&self, path: &str, id: impl Into<String>) {
        let mut ours = self.ours();
        if path.split('/').any(|part| ours.contains(part)) {
            ours.insert(id.into());
        }
    }

    /// Notes an id that names nothing on the deployment, so that calls on it can harm nobody.
    pub fn declare_unused(&self, id: impl Into<String>) {
        let id = id.into();
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        self.own(id);
    }

    /// Whether a write could not be carried out even by a deployment that lets its sender in: it aims at an id declared
    /// unused, or carries a body without any instruction.
    pub fn is_inert(&self, request: &Request) -> bool {
        let Ok(url) = self.client.url_of(request) else { return false };
        let aim = Aim::new(url.path().strip_prefix(self.prefix()).unwrap_or(url.path()));
        aim.is_inert(&request.method, &request.body, &self.unused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a request if the run may send it; writes its intents to disk before.
    pub async fn send(&self, request: &Request, clearance: &Clearance) -> Result<Answer, GateError> {
        self.secrets.harvest_request(request);
        let url = self.client.url_of(request)?;
        self.judge(request, &url, clearance)?;
        self.announce(&clearance.intents).await?;
        let started_ms = self.witness.as_ref().map(|witness| witness.now_ms()).unwrap_or_default();
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let answer = self.client.send_to(&url, request).await?;
        let lasted = begun.elapsed();
        let took = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
        // The newest answer counts for an eighth; one that another task measures meanwhile may be left out.
        let before = self.pace.load(Ordering::Relaxed);
        self.pace.store(if before == 0 { took } else { before - before / 8 + took / 8 }, Ordering::Relaxed);
        self.secrets.harvest(&answer);
        if let Some(witness) = &self.witness {
            witness.saw(Exchange { number, started_ms, took: lasted, url: url.into(), request: request.clone(), answer: answer.clone() });
        }
        self.learn(&answer, &clearance.intents)?;
        Ok(answer)
    }

    /// Writes intents to disk ahead of the calls that carry them: one fsync instead of one per call.
    pub async fn announce(&self, intents: &[Intent]) -> Result<(), GateError> {
        intents.iter().try_for_each(|intent| self.check_name(intent))?;
        if self.ledger.announces(intents) {
            return Ok(());
        }
        let (ledger, intents) = (self.ledger.clone(), intents.to_vec());
        let written = tokio::task::spawn_blocking(move || ledger.intend(&intents)).await;
        written.unwrap_or_else(|cause| Err(io::Error::other(cause))).map_err(GateError::Ledger)
    }

    fn judge(&self, request: &Request, url: &Url, clearance: &Clearance) -> Result<(), GateError> {
        // The path is judged as it will be sent: `a/../b` is `b`.
        let aim = Aim::new(url.path().strip_prefix(self.prefix()).unwrap_or(url.path()));
        let declared = clearance.writes
            || clearance.tenant_wide
            || clearance.sends_messages
            || clearance.destructive_on.is_some()
            || !clearance.intents.is_empty();
        let harmless = !may_write(&request.method) || request.method == "POST" && aim.is_token_endpoint();
        if harmless && !declared && (self.mode != Mode::ReadOnly || only_reads(&request.method) || aim.is_token_endpoint()) {
            return Ok(());
        }
        if !harmless && !declared && self.mode != Mode::ReadOnly {
            let why = format!("{} {} may write and is not declared as a write", request.method, request.path());
            return Err(forbidden(why, "declare its effects in the clearance"));
        }
        if self.mode == Mode::ReadOnly {
            return Err(forbidden("the mode is read-only", "use `--mode isolated` or `--mode exclusive`"));
        }
        if clearance.inert {
            let why = || format!("{} {} is said to be inert and could be carried out", request.method, request.path());
            return if self.is_inert(request) { Ok(()) } else { Err(forbidden(why(), "aim at an id declared unused, or send `[]`")) };
        }
        let shared = clearance.tenant_wide || !harmless && aim.is_shared();
        if shared && self.mode != Mode::Exclusive {
            return Err(forbidden(
                format!("it would change a setting of the whole tenant, and the mode is {}", self.mode),
                "use `--mode exclusive` on a deployment that nobody else needs now",
            ));
        }
        if clearance.sends_messages && !message_kinds(request).iter().all(|kind| self.channels.contains(kind)) {
            return Err(forbidden(
                "the deployment would send a mail or text message, and there is no channel to receive it",
                "give one with `--channel`, which for text messages must not be `smtp` or `mailpit`",
            ));
        }
        clearance.intents.iter().try_for_each(|intent| self.check_name(intent))?;
        let touched = clearance.destructive_on.iter().flatten().map(String::as_str);
        let aimed = if harmless { None } else { aim.object() };
        touched.chain(aimed).try_for_each(|id| self.check_ours(id))
    }

    fn check_ours(&self, id: &str) -> Result<(), GateError> {
        if self.ours().contains(id) {
            return Ok(());
        }
        Err(forbidden(
            format!("it would change `{id}`, which this run did not create"),
            "aim at an object of the run, or at an id declared unused",
        ))
    }

    fn check_name(&self, intent: &Intent) -> Result<(), GateError> {
        let name = match intent {
            Intent::User { marker: name } | Intent::Application { name } | Intent::Role { name } | Intent::Object { marker: name, .. } => {
                name
            }
            Intent::AccountCenter { .. } | Intent::SignInExperience { .. } | Intent::Connector { .. } if self.mode == Mode::Exclusive => {
                return Ok(());
            }
            Intent::AccountCenter { .. } | Intent::SignInExperience { .. } | Intent::Connector { .. } => {
                return Err(forbidden(
                    format!("the {} belongs to the whole tenant, and the mode is {}", intent.label(), self.mode),
                    "use `--mode exclusive`",
                ));
            }
        };
        let lease = matches!(intent, Intent::Role { .. }) && name == LEASE_ROLE;
        if lease || name.starts_with(&*self.namespace) {
            return Ok(());
        }
        let why = format!("`{name}` lies outside of the run's name space");
        Err(forbidden(why, format!("let the name start with `{}`", self.namespace)))
    }

    /// Remembers the object that an announced create brought.
    fn learn(&self, answer: &Answer, intents: &[Intent]) -> Result<(), GateError> {
        let (created, member) = match intents {
            [created @ (Intent::User { .. } | Intent::Application { .. } | Intent::Role { .. })] => (created, "id"),
            [created @ Intent::Object { undo, .. }] => (created, identity(undo)),
            _ => return Ok(()),
        };
        let body = if (200..300).contains(&answer.status) { answer.json() } else { None };
        let Some(id) = body.as_ref().and_then(|body| body.get(member)?.as_str()) else { return Ok(()) };
        self.own(id);
        self.ledger.settle(created, id).map_err(GateError::Ledger)
    }

    fn ours(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds of messages that a request may ask for; all when it does not say.
fn message_kinds(request: &Request) -> &'static [MessageKind] {
    let body = json::parse(&request.body).unwrap_or_default();
    let kind = body.pointer("/identifier/type").and_then(serde_json::Value::as_str);
    match (kind, body.get("email").is_some(), body.get("phone").is_some()) {
        (Some("email"), false, false) | (None, true, false) => &[MessageKind::Email],
        (Some("phone"), false, false) | (None, false, true) => &[MessageKind::Sms],
        _ => &MessageKind::ALL,
    }
}

fn forbidden(why: impl Into<String>, remedy: impl Into<String>) -> GateError {
    GateError::Forbidden { why: why.into(), remedy: remedy.into() }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
