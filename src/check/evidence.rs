//! Which requirements an exchange can be evidence for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::{CHECKS, Contract, Facet, Operation, Requirement};

/// What a judgement speaks about, besides its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// The answer as a whole.
    Answer,
    /// A refusal by a guard of this kind.
    Guard(&'a str),
    /// A side with a general requirement of its own.
    Facet(Facet),
}

/// The requirements that exchanges of an operation can be evidence for.
#[derive(Debug)]
pub struct Evidence {
    /// Those that the operation names.
    own: Vec<Arc<Requirement>>,
    /// Those of its collection, or of both.
    general: Vec<Arc<Requirement>>,
    /// By check, those that the answer as a whole is evidence for.
    answer: BTreeMap<&'static str, Vec<Arc<Requirement>>>,
}

impl Evidence {
    /// For an operation; without one, for what the router answers.
    pub fn of(contract: &Contract, operation: Option<&Operation>) -> Self {
        let named = operation.into_iter().flat_map(|operation| &operation.requirements);
        let known = |id: &String| contract.requirements.iter().find(|requirement| requirement.id == *id);
        let collection = operation.map(|operation| operation.collection);
        let concerns = |requirement: &&Arc<Requirement>| {
            requirement.collection.is_none() || collection.is_none() || requirement.collection == collection
        };
        let general = contract.requirements.iter().filter(|requirement| requirement.id.starts_with("GEN-"));
        let tested = |requirement: &&Arc<Requirement>| requirement.excluded.is_none();
        let mut evidence = Self {
            own: named.filter_map(known).filter(tested).cloned().collect(),
            general: general.filter(tested).filter(concerns).cloned().collect(),
            answer: BTreeMap::new(),
        };
        evidence.answer = CHECKS.iter().map(|check| (*check, evidence.checked(check, None))).collect();
        evidence
    }

    /// Those that a check is evidence for, the plainest first: those of the operation, then the general ones; among these
    /// first those that name the guard kind.
    pub fn about(&self, check: &str, about: About<'_>) -> Cow<'_, [Arc<Requirement>]> {
        match about {
            About::Answer => self.answer.get(check).map_or(Cow::Borrowed(&[]), |known| Cow::Borrowed(known)),
            About::Guard(kind) => Cow::Owned(self.checked(check, Some(kind))),
            About::Facet(facet) => {
                Cow::Owned(self.general.iter().filter(|requirement| requirement.facet == Some(facet)).cloned().collect())
            }
        }
    }

    /// The one that speaks most plainly of what a check saw. What none speaks of is put to the general one about statuses: a
    /// deviation is never lost.
    pub fn plainest(&self, check: &str, about: About<'_>) -> Option<Arc<Requirement>> {
        self.about(check, about).first().or_else(|| self.answer.get("status")?.last()).cloned()
    }

    fn checked(&self, check: &str, kind: Option<&str>) -> Vec<Arc<Requirement>> {
        let checked = |requirement: &Requirement| requirement.checks.iter().any(|name| name == check);
        let names_kind = |requirement: &&Arc<Requirement>| kind.is_some_and(|kind| requirement.guards.iter().any(|known| known == kind));
        let plain = |requirement: &&Arc<Requirement>| {
            requirement.facet.is_none() && checked(requirement) && (requirement.guards.is_empty() || check == "robustness")
        };
        let mut found: Vec<&Arc<Requirement>> = self.own.iter().chain(&self.general).filter(names_kind).collect();
        if kind.is_none() || found.is_empty() {
            found.extend(self.own.iter().filter(plain));
        }
        found.extend(self.general.iter().filter(plain));
        found.into_iter().cloned().collect()
    }
}

/// The requirement that speaks most plainly of what a check saw on an operation.
pub fn requirement_for(contract: &Contract, operation: Option<&Operation>, check: &str, about: About<'_>) -> Option<Arc<Requirement>> {
    Evidence::of(contract, operation).plainest(check, about)
}
