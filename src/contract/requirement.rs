//! Requirements and error codes: the sentences of the contract.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::operation::Collection;
use super::version::Version;

/// How binding a requirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A deviation makes the verdict `deviating`.
    Must,
    /// A deviation is a warning, and a deviation under `--strict`.
    Should,
}

/// A side of an exchange that has a general requirement of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// Which of several broken conditions answers.
    Order,
    /// The error code.
    Code,
    /// The shape of an error.
    ErrorShape,
    /// Cross-origin headers.
    Cors,
    /// Paths and methods that do not exist.
    Route,
}

/// What a run must have, besides the target, to test a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Mails that the target sends reach the harness.
    Email,
    /// Text messages that the target sends reach the harness.
    Sms,
    /// The target can reach an identity provider of the harness.
    Provider,
    /// The target has a place for files.
    Storage,
    /// Ten minutes to wait.
    Time,
}

impl Need {
    /// Why nothing can be tested without it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Email => "mails that the target sends do not reach the harness",
            Self::Sms => "text messages that the target sends do not reach the harness",
            Self::Provider => "the target cannot reach an identity provider of the harness",
            Self::Storage => "the target has no place for files",
            Self::Time => "it takes minutes until things expire",
        }
    }

    /// What to do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Email | Self::Sms => "give a `--channel`",
            Self::Provider => "use `--mode exclusive`, and `--provider` with an address of this machine that the target can reach",
            Self::Storage => "give the deployment a storage provider",
            Self::Time => "use `--allow-waits`",
        }
    }
}

/// One sentence of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Stable id, for example `ACC-FIELD-01`.
    pub id: String,
    /// How binding.
    pub level: Level,
    /// The sentence.
    pub text: String,
    /// Where it comes from.
    pub source: String,
    /// The collection it speaks about; both when absent.
    #[serde(default)]
    pub collection: Option<Collection>,
    /// The guard kinds it speaks about.
    #[serde(default)]
    pub guards: Vec<String>,
    /// The side of an exchange it speaks about, where a check looks at several.
    #[serde(default)]
    pub facet: Option<Facet>,
    /// It speaks of the operations that the deployment's own document lists.
    #[serde(default)]
    pub document: bool,
    /// The checks that give evidence for it.
    #[serde(default)]
    pub checks: Vec<String>,
    /// What a run must have to test it.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// First version it holds for.
    #[serde(default)]
    pub since: Option<Version>,
    /// First version it no longer holds for.
    #[serde(default)]
    pub until: Option<Version>,
    /// Why it is not tested, if it is not.
    #[serde(default)]
    pub excluded: Option<String>,
}

/// Meaning of an error code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorCode {
    /// Statuses it comes with.
    pub statuses: Vec<u16>,
    /// What it tells.
    pub meaning: String,
}

/// What traffic outside the specified operations teaches and unteaches about the state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// `METHOD /path` with `{parameters}`.
    pub operation: String,
    /// Properties a success may have changed: `caller.NAME`, `user.NAME` (the user in the path), or an entity alone.
    #[serde(default)]
    pub forgets: Vec<String>,
    /// Properties that the answer does not show, set on what it describes.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
    /// Entity the answer describes, with the answer's key that holds its id.
    #[serde(default)]
    pub learns: BTreeMap<String, String>,
}
