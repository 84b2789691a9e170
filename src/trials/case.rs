//! The trials there are, known from the contract alone.

use std::fmt;

use crate::check::{guards_of, requirements_of};
use crate::contract::{Collection, Contract, Facet, Operation, Origin};
use crate::plan::{Portion, Reach, raced};

/// In place of an operation: paths that are none.
pub const ROUTES: &str = "routes";

/// In place of an operation: whatever the deployment's own document lists.
pub const PUBLISHED: &str = "published";

/// One requirement on one operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Name of the collection.
    pub collection: String,
    /// Id of the operation, [`ROUTES`] or [`PUBLISHED`].
    pub operation: String,
    /// Id of the requirement.
    pub requirement: String,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}::{}", self.collection, self.operation, self.requirement)
    }
}

impl Case {
    /// Whether it speaks of one specified operation.
    pub fn is_specified(&self) -> bool {
        self.operation != ROUTES && self.operation != PUBLISHED
    }

    /// The parts of a plan that can judge the case, the likeliest and cheapest first.
    pub fn portions(&self, contract: &Contract) -> Vec<Portion> {
        if self.operation == ROUTES {
            return vec![Portion::Named(vec![ROUTES.into()])];
        }
        if self.operation == PUBLISHED {
            return vec![Portion::Named(vec!["admin-only/*".into(), "documented/*".into()])];
        }
        let Some(requirement) = contract.requirement(&self.requirement) else { return Vec::new() };
        let Some(operation) = contract.operation(&self.operation) else { return Vec::new() };
        let part = |reach| Portion::Operation { operation: self.operation.clone(), reach };
        let guards = |kinds, thoroughly| Portion::Guards { operation: self.operation.clone(), kinds, thoroughly };
        let (kinds, told) = (guards_of(operation, requirement), |name: &str| requirement.checks.iter().any(|check| check == name));
        // Refusals by other guards say nothing of a requirement that speaks of some.
        let any = kinds.is_empty().then(|| guards(Vec::new(), false));
        let first = match requirement.facet {
            _ if told("race") => part(Reach::Races),
            _ if told("sign-in") => part(Reach::Stories),
            Some(Facet::Order) => part(Reach::Refused),
            Some(_) => guards(Vec::new(), false),
            None if kinds.is_empty() => part(Reach::Accepted),
            None => guards(kinds, true),
        };
        let others = [Some(part(Reach::Accepted)), Some(part(Reach::Stories)), any, Some(part(Reach::Refused))];
        let others = others.into_iter().flatten().filter(|portion| *portion != first).collect::<Vec<_>>();
        std::iter::once(first).chain(others).collect()
    }
}

/// Every trial of a contract, in order of collection, operation and requirement.
pub fn cases(contract: &Contract) -> Vec<Case> {
    let mut cases = Vec::new();
    let raced = raced(contract);
    for operation in contract.specified() {
        for requirement in requirements_of(contract, operation) {
            let only_races = requirement.checks.iter().all(|check| check == "race");
            if only_races && !raced.contains(&operation.id) {
                continue;
            }
            cases.push(case(name(operation.collection), &operation.id, &requirement.id));
        }
    }
    for requirement in contract.requirements.iter().filter(|requirement| requirement.excluded.is_none()) {
        if requirement.document {
            cases.push(case(name(Collection::Management), PUBLISHED, &requirement.id));
        }
        if requirement.facet == Some(Facet::Route) {
            cases.push(case("both", ROUTES, &requirement.id));
        }
    }
    cases.sort();
    cases
}

/// The case that speaks of a requirement on an operation.
pub(super) fn case_of(contract: &Contract, operation: &str, requirement: &str) -> Case {
    let known = contract.operation(operation).filter(|known| known.origin == Origin::Contract);
    let document = contract.requirement(requirement).is_some_and(|requirement| requirement.document);
    match known {
        Some(Operation { collection, id, .. }) if !document => case(name(*collection), id, requirement),
        _ if document => case(name(Collection::Management), PUBLISHED, requirement),
        _ => case("both", ROUTES, requirement),
    }
}

fn case(collection: &str, operation: &str, requirement: &str) -> Case {
    Case { collection: collection.to_owned(), operation: operation.to_owned(), requirement: requirement.to_owned() }
}

const fn name(collection: Collection) -> &'static str {
    match collection {
        Collection::Account => "account",
        Collection::Management => "management",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn names_say_collection_operation_and_requirement() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let names: Vec<String> = cases(&contract).iter().map(ToString::to_string).collect();
        for name in ["account::UpdateProfile::ACC-PROFILE-03", "both::routes::GEN-ROUTE-01", "management::published::MGT-ONLY-01"] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        let mut once = names.clone();
        once.dedup();
        assert_eq!(once.len(), names.len(), "each name once");
        assert!(names.iter().all(|name| !name.contains("__") && !name.contains(' ')));
    }

    #[test]
    fn every_operation_and_every_requirement_has_a_trial() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let cases = cases(&contract);
        for operation in contract.specified() {
            assert!(cases.iter().any(|case| case.operation == operation.id), "{}", operation.id);
        }
        for requirement in contract.requirements.iter().filter(|requirement| requirement.excluded.is_none()) {
            assert!(cases.iter().any(|case| case.requirement == requirement.id), "{}", requirement.id);
        }
    }
}
