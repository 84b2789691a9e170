//! Faults: named, deliberate deviations of the reference, as data.

use serde::Deserialize;
use serde_json::Value;

use crate::contract::guard::Refusal;
use crate::contract::{Contract, Level, nearest};

const CATALOGUE: &str = include_str!("../../fixtures/faults.yaml");

/// What kind of mistake a fault stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultClass {
    /// A guard is missing.
    GuardDropped,
    /// Two guards stand in the wrong order.
    GuardsSwapped,
    /// The status is another one.
    WrongStatus,
    /// The error code is another one.
    WrongCode,
    /// A property is shown that should be withheld, or the reverse.
    Visibility,
    /// Replaced instead of merged, or the reverse.
    Merge,
    /// A value is stored in another form.
    Normalisation,
    /// A limit is one off.
    OffByOne,
    /// A verification record proves what it should not, or does not prove what it should.
    Record,
    /// A refused call changes state.
    ChangedAlthoughRefused,
    /// An answered write is not stored, or not as a whole.
    LostWrite,
    /// A read answers what was true before.
    StaleRead,
    /// Tokens live on, or too many die.
    Revocation,
    /// A credential opens what it should not.
    Credential,
    /// Uniqueness is judged over the wrong set.
    Uniqueness,
    /// Odd input is answered with a server error.
    ServerError,
    /// The body has another shape.
    SchemaDrift,
    /// Headers are missing or wrong.
    Headers,
    /// A secret is shown.
    Secret,
    /// Requests that come at the same time are not kept apart.
    Race,
    /// A page, or what is said about the pages, is another one.
    Pagination,
    /// What is not given becomes something else.
    WrongDefault,
}

impl FaultClass {
    /// Every class.
    pub const ALL: [Self; 22] = [
        Self::GuardDropped,
        Self::GuardsSwapped,
        Self::WrongStatus,
        Self::WrongCode,
        Self::Visibility,
        Self::Merge,
        Self::Normalisation,
        Self::OffByOne,
        Self::Record,
        Self::ChangedAlthoughRefused,
        Self::LostWrite,
        Self::StaleRead,
        Self::Revocation,
        Self::Credential,
        Self::Uniqueness,
        Self::ServerError,
        Self::SchemaDrift,
        Self::Headers,
        Self::Secret,
        Self::Race,
        Self::Pagination,
        Self::WrongDefault,
    ];
}

/// Where in the deployment a fault sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultLayer {
    /// The contract that the deployment keeps.
    Contract,
    /// What an operation does to state.
    Model,
    /// What is sent.
    Http,
    /// What is stored.
    Storage,
    /// What credentials open.
    Tokens,
    /// What time does.
    Clock,
}

/// One deviation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Unique name in kebab case.
    pub id: String,
    /// What kind of mistake it stands for.
    pub class: FaultClass,
    /// Where it sits.
    pub layer: FaultLayer,
    /// How a client sees it, in one sentence.
    pub what: String,
    /// `operationId` of the operation that deviates.
    pub operation: String,
    /// Requirement that a finding is expected to name.
    pub requirement: String,
    /// How binding what it breaks is.
    pub level: Level,
    /// The deviation itself.
    pub change: Change,
    /// Why no planned call can show it yet.
    #[serde(default)]
    pub excused: Option<String>,
}

/// Whether a property is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Whatever token and settings say.
    Always,
    /// Not at all.
    Never,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenUse {
    /// The Account API.
    Account,
    /// The Management API.
    Management,
    /// The Management API, but without the scope for it.
    Scopeless,
    /// Nothing: it was never issued.
    Unknown,
    /// Nothing any more: it was revoked.
    Revoked,
    /// Nothing: none is sent.
    Missing,
    /// The caller's own collection; only the scheme is written in another letter case.
    OtherScheme,
}

/// Input that nobody thought of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OddInput {
    /// A character outside ASCII in the body.
    NonAscii,
    /// An empty text as a value.
    EmptyText,
    /// A null as a value.
    Null,
    /// An object or list within the value of a key.
    Nested,
    /// A body that is no object.
    NoObject,
    /// A text of more than 1,000 characters.
    LongText,
}

/// Which answers an `http` change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// 2xx.
    #[default]
    Success,
    /// 4xx.
    Refusal,
    /// All.
    Any,
}

/// The closed set of deviations, with the layer each sits in. All concern the fault's operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the sentence on each variant says what its fields stand for")]
pub enum Change {
    /// `contract`: the guard with this label is missing.
    DropGuard { guard: String },
    /// `contract`: two guards change places.
    SwapGuards { first: String, second: String },
    /// `contract`: the guard answers this.
    Refuse { guard: String, to: Refusal },
    /// `contract`: the success has this status.
    Succeed { status: u16 },
    /// `contract`: a property of the answer is shown always or never.
    Show { property: String, rule: Shown },
    /// `contract`: the `max-chars` guard allows this many characters of a key.
    Bound { key: String, to: usize },
    /// `contract`: the request body's schema has this value (or nothing) at a pointer.
    Schema {
        pointer: String,
        #[serde(default)]
        to: Option<Value>,
    },
    /// `model`: the operation does nothing.
    NoEffect,
    /// `storage`: nothing is stored.
    LoseWrite,
    /// `storage`: this property keeps its old value.
    LoseProperty { property: String },
    /// `storage`: what the guard with this label refuses is stored all the same.
    WriteOnRefusal { guard: String },
    /// `storage`: the request, or one of another operation named here, is decided by what was there when it came in; what it
    /// writes replaces what was written meanwhile.
    DecideEarly {
        #[serde(default)]
        also: Vec<String>,
    },
    /// `storage`: the read answers what was true before the last write.
    StaleRead,
    /// `storage`: an object is merged into the stored one.
    MergeInstead { property: String },
    /// `storage`: the body replaces the stored object.
    ReplaceInstead { property: String },
    /// `storage`: a member of a stored object is merged instead of replaced.
    MergeMember { property: String, member: String },
    /// `storage`: null does not clear the property.
    KeepWhenNull { property: String },
    /// `storage`: the value is stored as it was sent.
    StoreRaw { property: String },
    /// `storage`: the text is stored in lower case.
    LowerCase { property: String },
    /// `storage`: the text is cut to this many characters.
    Truncate { property: String, to: usize },
    /// `storage`: another property gets this value.
    AlsoSet { property: String, value: Value },
    /// `storage`: another value is stored where the request gives none.
    DefaultTo { property: String, value: Value },
    /// `storage`: every user gets the new value.
    Everyone { property: String },
    /// `storage`: a number becomes smaller by this.
    TurnBack { property: String, by: i64 },
    /// `storage`: the identifiers of the deleted user stay taken.
    KeepIdentifiers,
    /// `tokens`: tokens that should die live on.
    Outlive,
    /// `tokens`: restoring a user revives its tokens.
    Revive,
    /// `tokens`: all users' tokens die.
    KillEveryone,
    /// `tokens`: the caller's tokens die.
    KillCaller,
    /// `tokens`: such a token opens the operation.
    Accept { token: TokenUse },
    /// `tokens`: a subject token can be exchanged again.
    ReusableSubject,
    /// `tokens`: a refused exchange uses the subject token up.
    ConsumeOnRefusal,
    /// `tokens`: a record of somebody else proves the caller's identity.
    ForeignRecord,
    /// `tokens`: a record that never was proves the caller's identity.
    UnknownRecord,
    /// `tokens`: a record is gone after its first use.
    ConsumeRecord,
    /// `tokens`: the token is issued for another user.
    WrongUser,
    /// `tokens`: the token opens all scopes, whatever the answer says.
    WiderScope,
    /// `tokens`: this many failures are counted beforehand.
    CountedBefore { failures: u64 },
    /// `tokens`: a sign-in asks for no second factor.
    NoFactorAsked,
    /// `tokens`: a backup code is not used up.
    ReusableCode,
    /// `tokens`: any answer of a passkey lets its user in, whatever was asked.
    AnyPasskeyAnswer,
    /// `clock`: what was made is expired from the start.
    Stillborn,
    /// `clock`: an expired record still proves the caller's identity.
    EternalRecord,
    /// `clock`: subject tokens are taken as expired this many seconds after they were made.
    ShortSubject { seconds: i64 },
    /// `http`: a header is missing.
    DropHeader {
        header: String,
        #[serde(default)]
        on: On,
    },
    /// `http`: a header has this value.
    SetHeader {
        header: String,
        value: String,
        #[serde(default)]
        on: On,
    },
    /// `http`: the body has this in addition.
    AddProperty {
        pointer: String,
        value: Value,
        #[serde(default)]
        on: On,
    },
    /// `http`: the body lacks this.
    DropProperty {
        pointer: String,
        #[serde(default)]
        on: On,
    },
    /// `http`: the body has this under another name.
    RenameProperty { pointer: String, to: String },
    /// `http`: a number is divided by this.
    Divide { pointer: String, by: i64 },
    /// `http`: a value is written as text.
    AsText { pointer: String },
    /// `http`: a list, the body or what a pointer names, lacks its last entry.
    LoseEntry {
        #[serde(default)]
        pointer: String,
    },
    /// `http`: the header that says how many entries there are in all is off by this.
    Miscount { by: i64 },
    /// `http`: the body shows a stored secret of the user.
    Leak { property: String },
    /// `http`: one status is sent in place of another.
    Status { from: u16, to: u16 },
    /// `http`: such input is answered with 500.
    Crash { on: OddInput },
    /// `http`: the body is empty.
    EmptyBody,
    /// `http`: the body is this text.
    PlainText {
        text: String,
        #[serde(default)]
        on: On,
    },
}

/// Why a fault cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("`{name}` is no fault of the catalogue; {hint}")]
    Unknown {
        /// The name given.
        name: String,
        /// The nearest name.
        hint: String,
    },
    /// The contract does not have what the fault changes.
    #[error("fault `{id}` cannot be applied to the contract {version}: {what}")]
    Inapplicable {
        /// Id of the fault.
        id: String,
        /// Version of the contract.
        version: String,
        /// What is missing.
        what: String,
    },
    /// The catalogue itself is wrong.
    #[error("fixtures/faults.yaml: {0}")]
    Catalogue(String),
}

impl Fault {
    /// Every fault of `fixtures/faults.yaml`, in file order.
    pub fn catalogue() -> Result<Vec<Self>, FaultError> {
        serde_saphyr::from_str(CATALOGUE).map_err(|error| FaultError::Catalogue(error.to_string()))
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Result<Self, FaultError> {
        let mut all = Self::catalogue()?;
        match all.iter().position(|fault| fault.id == name) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(FaultError::Unknown { name: name.to_owned(), hint: nearest(name, all.iter().map(|fault| fault.id.as_str())) }),
        }
    }

    /// Whether the fault sits below contract and model, where the harness cannot share it.
    pub fn is_below_model(&self) -> bool {
        !matches!(self.layer, FaultLayer::Contract | FaultLayer::Model)
    }

    /// Checks that the contract has what the fault changes, and changes it there if the fault sits in the contract.
    pub fn apply(&self, contract: &mut Contract) -> Result<(), FaultError> {
        super::mutation::mutate(self, contract).map_err(|what| FaultError::Inapplicable {
            id: self.id.clone(),
            version: contract.version.to_string(),
            what,
        })
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
