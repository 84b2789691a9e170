//! Which requirements the exchanges of an operation can be evidence for, known before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evidence::{About, Evidence};
use super::judge::{check_of, shows_by_setting};
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{Contract, Facet, Operation, Requirement};

/// The requirements that an exchange of the operation can be evidence for, in the order of the contract.
pub fn requirements_of<'a>(contract: &'a Contract, operation: &Operation) -> Vec<&'a Requirement> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let evidence = Evidence::of(contract, Some(operation));
    let mut add = |check: &str, about: About<'_>| {
        found.extend(evidence.about(check, about).iter().map(|requirement| requirement.id.clone()));
    };
    for check in ["robustness", "status", "schema", "headers", "secrecy", "race", "sign-in"] {
        add(check, About::Answer);
    }
    if operation.answers.iter().any(|answer| answer.body.is_some()) {
        add("state", About::Answer);
        if shows_by_setting(operation) {
            add("toggle", About::Answer);
            add("authorization", About::Answer);
        }
    }
    for guard in &operation.guards {
        add(check_of(operation.collection, guard), About::Guard(guard.kind.name()));
        match guard.kind {
            GuardKind::IdentityVerified(_) => add("verification", About::Answer),
            GuardKind::Pagination(_) => add("pagination", About::Answer),
            _ => {}
        }
    }
    if !operation.guards.is_empty() {
        add("guard", About::Facet(Facet::Order));
        add("error-code", About::Facet(Facet::Code));
        add("schema", About::Facet(Facet::ErrorShape));
    }
    if operation.path.starts_with("/api/") {
        add("headers", About::Facet(Facet::Cors));
    }
    let document = |requirement: &&Requirement| requirement.document && requirement.excluded.is_none();
    contract.requirements.iter().map(Arc::as_ref).filter(|requirement| found.contains(&requirement.id) && !document(requirement)).collect()
}

/// The kinds of the operation's guards whose refusals a requirement speaks of: those that it names, or else those that its
/// checks are about.
pub fn guards_of(operation: &Operation, requirement: &Requirement) -> Vec<String> {
    let named = |guard: &&Guard| {
        if requirement.guards.is_empty() {
            let check = check_of(operation.collection, guard);
            check != "guard" && requirement.checks.iter().any(|known| known == check)
        } else {
            requirement.guards.iter().any(|kind| kind == guard.kind.name())
        }
    };
    operation.guards.iter().filter(named).map(|guard| guard.kind.name().to_owned()).collect()
}
