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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn an_operation_is_evidence_for_what_its_guards_and_answers_speak_of() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let operation = |id: &str| contract.operation(id).unwrap();
        let reached = |id: &str| -> Vec<&str> {
            requirements_of(&contract, operation(id)).into_iter().map(|requirement| requirement.id.as_str()).collect()
        };
        insta::assert_snapshot!(reached("GetProfile").join(" "), @"ACC-AUTH-01 ACC-SCOPE-01 ACC-SCOPE-02 ACC-CENTER-01 ACC-FIELD-02 ACC-PROFILE-01 GEN-ROBUST-01 GEN-STATUS-01 GEN-STATE-01 GEN-AUTH-01 GEN-TOGGLE-01 GEN-ERROR-01 GEN-SCHEMA-01 GEN-SECRET-01 GEN-HEADERS-01 GEN-CORS-01 GEN-ORDER-01 GEN-CODE-01 GEN-RACE-01");
        insta::assert_snapshot!(reached("DeletePrimaryEmail").join(" "), @"ACC-AUTH-01 ACC-SCOPE-01 ACC-CENTER-01 ACC-FIELD-01 ACC-VERIFY-01 ACC-VERIFY-02 ACC-PARTY-01 GEN-ROBUST-01 GEN-STATUS-01 GEN-AUTH-01 GEN-TOGGLE-01 GEN-VERIFY-01 GEN-ERROR-01 GEN-SCHEMA-01 GEN-SECRET-01 GEN-HEADERS-01 GEN-CORS-01 GEN-ORDER-01 GEN-CODE-01 GEN-RACE-01 ACC-RACE-01 ACC-EMAIL-05 ACC-EMAIL-06");
        insta::assert_snapshot!(reached("ListUsers").join(" "), @"MGT-AUTH-01 MGT-SCOPE-01 GEN-ROBUST-01 GEN-STATUS-01 GEN-STATE-01 GEN-AUTH-01 GEN-ERROR-01 GEN-SCHEMA-01 GEN-SECRET-01 GEN-HEADERS-01 GEN-CORS-01 GEN-ORDER-01 GEN-CODE-01 GEN-RACE-01 MGT-LIST-01 MGT-LIST-02 MGT-SEARCH-01 MGT-SEARCH-02 MGT-PAGE-01 MGT-PAGE-02");
        insta::assert_snapshot!(reached("IssueToken").join(" "), @"OIDC-TOKEN-01 OIDC-TOKEN-02 OIDC-TOKEN-03 OIDC-TOKEN-04 OIDC-TOKEN-05 OIDC-TOKEN-06 OIDC-SIGNIN-01 GEN-ROBUST-01 GEN-INPUT-01 GEN-STATUS-01 GEN-STATE-01 GEN-ERROR-01 GEN-SCHEMA-01 GEN-SECRET-01 GEN-HEADERS-01 GEN-ORDER-01 GEN-CODE-01 GEN-RACE-01 OIDC-RACE-01 MGT-PAT-08");
        insta::assert_snapshot!(reached("DeleteUser").join(" "), @"MGT-AUTH-01 MGT-SCOPE-01 MGT-USER-05 MGT-USER-08 GEN-ROBUST-01 GEN-STATUS-01 GEN-AUTH-01 GEN-ERROR-01 GEN-SCHEMA-01 GEN-SECRET-01 GEN-HEADERS-01 GEN-CORS-01 GEN-ORDER-01 GEN-CODE-01 GEN-RACE-01");
        let guards = |id: &str, requirement: &str| {
            let requirement = contract.requirements.iter().find(|known| known.id == requirement).unwrap();
            guards_of(operation(id), requirement).join(" ")
        };
        insta::assert_snapshot!(guards("UpdateProfile", "ACC-FIELD-01"), @"field");
        insta::assert_snapshot!(guards("UpdateProfile", "GEN-TOGGLE-01"), @"center-enabled field");
        insta::assert_snapshot!(guards("UpdateProfile", "GEN-VERIFY-01"), @"identity-verified");
        insta::assert_snapshot!(guards("UpdateProfile", "GEN-ORDER-01"), @"");
        insta::assert_snapshot!(guards("ListUsers", "GEN-AUTH-01"), @"authorization authorization authorization scope");
    }

    /// A refusal that no requirement names is put to the general one about statuses.
    #[test]
    fn whatever_can_be_judged_of_an_operation_speaks_for_a_requirement() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let mut lost: Vec<String> = Vec::new();
        for operation in contract.specified() {
            let evidence = Evidence::of(&contract, Some(operation));
            let mut speaks = |check: &str, about: About<'_>| {
                let general = evidence.plainest(check, about).is_some_and(|requirement| requirement.id == "GEN-STATUS-01");
                if evidence.about(check, about).is_empty() && (check != "guard" || !general) {
                    lost.push(format!("{check} {about:?} of {}", operation.id));
                }
            };
            for check in ["robustness", "status", "schema", "headers", "secrecy", "race"] {
                speaks(check, About::Answer);
            }
            for facet in [Facet::Order, Facet::Code, Facet::ErrorShape, Facet::Cors] {
                speaks("guard", About::Facet(facet));
            }
            if operation.answers.iter().any(|answer| answer.body.is_some()) {
                speaks("state", About::Answer);
                if shows_by_setting(operation) {
                    speaks("toggle", About::Answer);
                    speaks("authorization", About::Answer);
                }
            }
            for guard in &operation.guards {
                speaks(check_of(operation.collection, guard), About::Guard(guard.kind.name()));
                match guard.kind {
                    GuardKind::Pagination(_) => speaks("pagination", About::Answer),
                    GuardKind::IdentityVerified(_) => speaks("verification", About::Answer),
                    _ => {}
                }
            }
        }
        assert_eq!(lost, [] as [String; 0]);
        let evidence = Evidence::of(&contract, contract.operation("IssueToken"));
        assert!(evidence.about("guard", About::Guard("one-of")).is_empty());
        assert_eq!(evidence.plainest("guard", About::Guard("one-of")).unwrap().id, "GEN-STATUS-01");
    }
}
