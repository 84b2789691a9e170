//! The contract: what may be asked, by whom, in which order it is refused, and what it answers. Pure data, read from
//! `specs/` and checked.

mod adopt;
pub mod answer;
mod bundle;
mod document;
mod drift;
pub mod effect;
pub mod entity;
mod exclusive;
mod glob;
pub mod guard;
mod load;
mod mutant;
pub mod operation;
mod published;
mod repair;
pub mod requirement;
pub mod schema;
mod sign_in;
mod source;
mod version;
mod yaml;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use bundle::bundle;
pub use document::{Given, RawCase as Case};
pub use drift::{Drift, DriftKind, drift};
pub use effect::{Effect, Fresh, Named};
pub use entity::Kind;
pub use glob::glob;
pub use load::{DOCUMENTS, Files, SpecError, closest, nearest};
pub use mutant::{Change, Mutant};
pub use operation::{Collection, Operation, Origin, Outcome};
pub use published::{EMPTY_BODIES, PUBLISHED_AT, Payload, Published, PublishedError, PublishedOperation, Unprobed};
pub use requirement::{ErrorCode, Facet, Level, Need, Requirement, Sighting};
pub use schema::Schema;
pub use sign_in::SignInRefusals;
pub use source::{Flaw, MessageKind, Source};
pub use version::Version;

/// Names of the checks that judge exchanges.
pub const CHECKS: &[&str] = &[
    "status",
    "error-code",
    "schema",
    "guard",
    "state",
    "toggle",
    "authorization",
    "verification",
    "admin-only",
    "secrecy",
    "pagination",
    "headers",
    "robustness",
    "race",
    "sign-in",
];

/// Path prefixes whose operations are all known, with the collection they belong to.
pub type Prefixes = BTreeMap<String, Collection>;

/// A complete, checked contract for one version of Logto. Cheap to clone: variants of it share what they have in common.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The version it describes.
    pub version: Version,
    /// Operations in order of collection, path and method.
    pub operations: Vec<Arc<Operation>>,
    /// Requirements in file order.
    pub requirements: Arc<Vec<Arc<Requirement>>>,
    /// Error codes.
    pub codes: Arc<BTreeMap<String, ErrorCode>>,
    /// What sign-ins are refused for.
    pub sign_in: Arc<SignInRefusals>,
    /// What other traffic teaches.
    pub sightings: Arc<Vec<Sighting>>,
    /// Prefixes whose paths are all known (specified or sighted), so that any other path is none.
    pub prefixes: Prefixes,
}

impl Contract {
    /// The contract compiled into this program; read once for each version.
    pub fn embedded(version: Version) -> Result<Self, SpecError> {
        static KNOWN: Mutex<BTreeMap<Version, Contract>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contract) = known.get(&version) {
            return Ok(contract.clone());
        }
        let contract = load::load(&Files::embedded(), version)?;
        known.insert(version, contract.clone());
        Ok(contract)
    }

    /// A contract from specification texts.
    pub fn from_files(files: &Files, version: Version) -> Result<Self, SpecError> {
        if *files == Files::embedded() {
            return Self::embedded(version);
        }
        load::load(files, version)
    }

    /// An operation by its id.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().map(Arc::as_ref).find(|operation| operation.id == id)
    }

    /// A requirement by its id.
    pub fn requirement(&self, id: &str) -> Option<&Requirement> {
        self.requirements.iter().map(Arc::as_ref).find(|requirement| requirement.id == id)
    }
}
