//! The OpenAPI documents of `specs/` as they stand in the files.
//!
//! Keys that only other tools read have a type, so that a document without them or with a misspelt one is refused, but
//! their values stay unread here (`_name`); `bundle` passes them on.

use std::collections::BTreeMap;

use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::AnswerSpec;
use super::effect::{Effect, one_or_many};
use super::guard::{Guard, Place, Refusal};
use super::operation::{Collection, Harm};
use super::source::Source;
use super::version::Version;

/// One document: OpenAPI 3.1 with the extensions of the contract.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// OpenAPI's own version, `3.1.0`.
    pub openapi: String,
    /// Title, version, licence.
    #[serde(rename = "info")]
    _info: IgnoredAny,
    /// Where the API is served.
    #[serde(rename = "servers", default)]
    _servers: Vec<IgnoredAny>,
    /// Which collection the document describes.
    #[serde(rename = "x-collection")]
    pub collection: Collection,
    /// Path prefixes of which every operation is known: any other path below them does not exist.
    #[serde(rename = "x-prefixes", default)]
    pub prefixes: Vec<String>,
    /// Guards of every operation, evaluated before its own.
    #[serde(rename = "x-guards")]
    pub guards: Vec<Guard>,
    /// Default answers per guard kind.
    #[serde(rename = "x-refusals", default)]
    pub refusals: BTreeMap<String, Refusal>,
    /// How callers authenticate, for other tools.
    #[serde(rename = "security", default)]
    _security: Vec<IgnoredAny>,
    /// Security schemes, for other tools.
    #[serde(rename = "components")]
    _components: IgnoredAny,
    /// Tags, for other tools.
    #[serde(rename = "tags", default)]
    _tags: Vec<IgnoredAny>,
    /// Operations by path and lower-case method.
    pub paths: BTreeMap<String, BTreeMap<String, RawOperation>>,
}

/// One operation as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawOperation {
    /// The contract's name of the operation.
    pub operation_id: String,
    /// One line for people.
    pub summary: String,
    /// More for people.
    #[serde(rename = "description", default)]
    _description: String,
    /// Tags, for other tools.
    #[serde(rename = "tags", default)]
    _tags: Vec<String>,
    /// Overrides the document's `security`, for other tools.
    #[serde(rename = "security", default)]
    _security: Vec<IgnoredAny>,
    /// Path and query parameters.
    #[serde(default)]
    pub parameters: Vec<RawParameter>,
    /// Request body.
    #[serde(default)]
    pub request_body: Option<RawBody>,
    /// Answers by status.
    pub responses: BTreeMap<String, RawResponse>,
    /// First version that has the operation.
    #[serde(rename = "x-since", default)]
    pub since: Option<Version>,
    /// First version that no longer has it.
    #[serde(rename = "x-until", default)]
    pub until: Option<Version>,
    /// Requirements this operation is evidence for.
    #[serde(rename = "x-requirements")]
    pub requirements: Vec<String>,
    /// Which of the document's own guards come first.
    #[serde(rename = "x-shared-guards", default)]
    pub shared_guards: SharedGuards,
    /// Own guards that are evaluated after the credentials and before any input is looked at.
    #[serde(rename = "x-guards-before-input", default)]
    pub early_guards: Vec<Guard>,
    /// The operation's own guards.
    #[serde(rename = "x-guards", default)]
    pub guards: Vec<Guard>,
    /// What it does to state; nothing when absent.
    #[serde(rename = "x-effect", default, deserialize_with = "one_or_many")]
    pub effects: Vec<Effect>,
    /// The successful answer, or several with their conditions.
    #[serde(rename = "x-answer", deserialize_with = "one_or_many")]
    pub answers: Vec<AnswerSpec>,
    /// What it touches on a real deployment.
    #[serde(rename = "x-harm", default)]
    pub harm: Harm,
    /// Accepted requests the planner starts from, by name.
    #[serde(rename = "x-cases", default)]
    pub cases: BTreeMap<String, RawCase>,
    /// Further requests worth trying, by name, whatever the model says they bring.
    #[serde(rename = "x-tries", default)]
    pub tries: BTreeMap<String, RawCase>,
}

/// Which of the document's own guards an operation has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SharedGuards {
    /// All of them.
    #[default]
    All,
    /// All (`true`) or none (`false`).
    Whether(bool),
    /// All but these.
    Except {
        /// Names of guard kinds.
        without: Vec<String>,
    },
}

impl SharedGuards {
    /// Whether the operation has a guard of this kind.
    pub fn include(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Whether(all) => *all,
            Self::Except { without } => !without.iter().any(|name| name == kind),
        }
    }
}

/// An accepted request: what is in it besides what the guards need.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCase {
    /// Accepted requests of other operations that go before, by the name under which their answers are known:
    /// `role: CreateRole.plain` lets `{{role.id}}` stand for the answer's `/id`, and `{{role.asked.name}}` for what the body of
    /// the request said at `/name`.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
    /// What is got outside the collections after that, by the symbol it is known by.
    #[serde(default)]
    pub obtain: BTreeMap<String, Source>,
    /// JSON body with `{{symbols}}`.
    #[serde(default)]
    pub body: Option<Value>,
    /// Form body.
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    /// Path parameters; `userId` is the subject when absent.
    #[serde(default)]
    pub path: BTreeMap<String, String>,
    /// Query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers besides those that the guards and the body need, or in place of them.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The caller signs in before; if it is the caller who sends this, with the token of that.
    #[serde(rename = "signed-in", default)]
    pub signed_in: bool,
}

/// One accepted request of another operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    /// The operation.
    pub operation: String,
    /// The name of its case.
    pub case: String,
    /// The user in the path is the caller, not the one acted upon.
    pub for_caller: bool,
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            call: String,
            #[serde(rename = "for")]
            whom: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Short(String),
            Whole(Whole),
        }
        let (call, whom) = match Raw::deserialize(deserializer)? {
            Raw::Short(call) => (call, None),
            Raw::Whole(whole) => (whole.call, whole.whom),
        };
        let Some((operation, case)) = call.split_once('.') else {
            return Err(de::Error::custom(format!("`{call}` names no case; write Operation.case")));
        };
        match whom.as_deref() {
            None | Some("caller" | "subject") => {}
            Some(other) => return Err(de::Error::custom(format!("`for: {other}` is unknown; write caller or subject"))),
        }
        Ok(Self { operation: operation.to_owned(), case: case.to_owned(), for_caller: whom.as_deref() == Some("caller") })
    }
}

/// A parameter as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawParameter {
    /// Name.
    pub name: String,
    /// Place.
    #[serde(rename = "in")]
    pub place: Place,
    /// Must it be sent?
    #[serde(default)]
    pub required: bool,
    /// For people.
    #[serde(rename = "description", default)]
    _description: String,
    /// Schema of the value (as text, or as the number the text stands for).
    pub schema: Value,
}

/// A request body as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBody {
    /// Must it be sent? The guards say so for a run.
    #[serde(rename = "required", default)]
    _required: bool,
    /// Schemas by content type.
    pub content: BTreeMap<String, RawMedia>,
}

/// An answer as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawResponse {
    /// For people.
    #[serde(rename = "description")]
    _description: String,
    /// Schemas by content type; none for an empty body.
    #[serde(default)]
    pub content: BTreeMap<String, RawMedia>,
    /// First version that has this status.
    #[serde(rename = "x-since", default)]
    pub since: Option<Version>,
}

/// A body of one content type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMedia {
    /// Schema, with `$ref` to files of `specs/schemas`.
    pub schema: Value,
}
