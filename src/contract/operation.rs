//! Operations as the rest of the crate sees them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::AnswerSpec;
use super::document::RawCase;
use super::effect::{Effect, Named};
use super::entity::{Kind, Owner, Target};
use super::guard::{Guard, Place, Refusal, Status};
use super::schema::Schema;
use super::version::Version;

/// One of the two API collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collection {
    /// The Account API: end users.
    Account,
    /// The Management API: administrators and back ends.
    Management,
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Management => "management",
        })
    }
}

/// Where the knowledge of an operation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The contract specifies it in full.
    Contract,
    /// The deployment's own document lists it, and nothing else is known.
    Document,
}

/// What an operation touches on a real deployment; the send gate and the ledger go by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Harm {
    /// Changes a setting of the whole tenant.
    #[serde(default)]
    pub tenant_wide: bool,
    /// Makes an object of this kind.
    #[serde(default)]
    pub creates: Option<Kind>,
    /// The path that DELETE removes the made object by; `{name}` stands for a member of the answer.
    #[serde(default)]
    pub undo: Option<String>,
    /// Changes or removes the object named by this path parameter.
    #[serde(default)]
    pub touches: Option<String>,
    /// Pointer to what its answer tells the id of: a part of the object that the path names, and so as free to be changed.
    #[serde(default)]
    pub tells: Option<String>,
    /// Makes the deployment send a message.
    #[serde(default)]
    pub sends: bool,
}

/// A path or query parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Place.
    pub place: Place,
    /// Must it be sent?
    pub required: bool,
    /// Schema of the value.
    pub schema: Schema,
}

/// One operation, complete and checked.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `operationId`.
    pub id: String,
    /// Collection.
    pub collection: Collection,
    /// Where it is known from.
    pub origin: Origin,
    /// Upper-case method.
    pub method: String,
    /// Path template with `{parameters}`.
    pub path: String,
    /// One line for people.
    pub summary: String,
    /// First version that has it.
    pub since: Option<Version>,
    /// First version that no longer has it.
    pub until: Option<Version>,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Schema of the body, with the content type it is written for.
    pub body: Option<(String, Schema)>,
    /// All guards in order: shared ones first.
    pub guards: Vec<Guard>,
    /// What it does to state, in order.
    pub effects: Vec<Effect>,
    /// The successful answers; the first one that applies counts.
    pub answers: Vec<AnswerSpec>,
    /// Schemas of JSON answers by status; `None` where the status has no JSON body.
    pub responses: BTreeMap<u16, Option<Schema>>,
    /// Requirements it is evidence for.
    pub requirements: Vec<String>,
    /// What it touches.
    pub harm: Harm,
    /// Accepted requests by name.
    pub cases: BTreeMap<String, RawCase>,
    /// Further requests worth trying by name.
    pub tries: BTreeMap<String, RawCase>,
}

/// An (operation, status, error code) triple, the operation being implied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Outcome {
    /// Status; `4xx` where the contract leaves the choice.
    #[serde(serialize_with = "status_text")]
    pub status: Status,
    /// Error code, if the body has one.
    pub code: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn status_text<S: serde::Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    match status {
        Status::Exact(number) => serializer.serialize_u16(*number),
        Status::AnyRefusal => serializer.collect_str(status),
    }
}

impl Outcome {
    /// Whether an observed status and code are what this says. A code that ends in `*` stands for many; the code of a
    /// success is part of its body.
    pub fn admits(&self, status: u16, code: Option<&str>) -> bool {
        let same = match (self.code.as_deref(), code) {
            (Some(pattern), Some(code)) => pattern.strip_suffix('*').map_or(pattern == code, |start| code.starts_with(start)),
            (Some(_), None) => false,
            (None, code) => self.status == Status::AnyRefusal || code.is_none(),
        };
        self.status.admits(status) && (same || status < 400)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

impl From<&Refusal> for Outcome {
    fn from(refusal: &Refusal) -> Self {
        Self { status: refusal.status, code: refusal.code.clone() }
    }
}

impl Operation {
    /// Whether a call of this operation may change something.
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }

    /// The operation's own guards, without the collection's.
    pub fn own_guards(&self) -> impl Iterator<Item = &Guard> {
        self.guards.iter().filter(|guard| !guard.shared)
    }

    /// Whether it has one of the effects that are Rust.
    pub fn does(&self, effect: Named) -> bool {
        self.effects.contains(&Effect::Named(effect))
    }

    /// Whether a status is that of a success.
    pub fn succeeds_with(&self, status: u16) -> bool {
        self.answers.iter().any(|answer| answer.status == status)
    }

    /// Whether it adds something to what an owner has, or removes something.
    pub fn changes_belongings_of(&self, owner: &Owner) -> bool {
        self.effects.iter().any(|effect| effect.changes_belongings_of(owner))
    }

    /// The settings objects that it changes.
    pub fn settings(&self) -> impl Iterator<Item = &'static str> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Set { target: Target::Settings(name), .. } | Effect::Merge { target: Target::Settings(name), .. } => Some(*name),
            _ => None,
        })
    }

    /// Every documented outcome: the successes, and the answer of each guard. Derived, never listed twice.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let successes = self.answers.iter().map(|answer| Outcome { status: Status::Exact(answer.status), code: None });
        let mut outcomes: Vec<Outcome> = successes.chain(self.guards.iter().map(|guard| guard.refusal().into())).collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    /// `METHOD /path`.
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The schema an answer of this status must fit; `None` when the status is not specified.
    pub fn response(&self, status: u16) -> Option<Option<&Schema>> {
        self.responses.get(&status).map(Option::as_ref)
    }
}
