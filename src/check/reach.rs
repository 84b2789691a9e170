//! Which requirements the exchanges of an operation can be evidence for, known before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evidence::{About, Evidence};
use super::judge::{check_of, shows_by_setting};
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{Contract, Facet, Operation, Requirement};

/// The requirements that an exchange of the operation can be evidence for, in the order of the contract.
pub fn requirements_of<'a>(contract: &'a Contract, operation: &Operation) -> Vec<&'a Requirement> {
    let evidence = Evidence::of(contract, Some(operation));
    let speaking = words(operation).into_iter().flat_map(|(check, about)| evidence.about(check, about).into_owned());
    let found: BTreeSet<String> = speaking.map(|requirement| requirement.id.clone()).collect();
    let document = |requirement: &&Requirement| requirement.document && requirement.excluded.is_none();
    contract.requirements.iter().map(Arc::as_ref).filter(|requirement| found.contains(&requirement.id) && !document(requirement)).collect()
}

/// What the checks can say something of, in an exchange of the operation.
fn words(operation: &Operation) -> Vec<(&'static str, About<'_>)> {
    let general = ["robustness", "status", "schema", "headers", "secrecy", "race", "sign-in"];
    let mut words: Vec<(&str, About<'_>)> = general.map(|check| (check, About::Answer)).to_vec();
    if operation.answers.iter().any(|answer| answer.body.is_some()) {
        words.push(("state", About::Answer));
        if shows_by_setting(operation) {
            words.extend(["toggle", "authorization"].map(|check| (check, About::Answer)));
        }
    }
    for guard in &operation.guards {
        words.push((check_of(operation.collection, guard), About::Guard(guard.kind.name())));
        match guard.kind {
            GuardKind::IdentityVerified(_) => words.push(("verification", About::Answer)),
            GuardKind::Pagination(_) => words.push(("pagination", About::Answer)),
            _ => {}
        }
    }
    if !operation.guards.is_empty() {
        let facets = [("guard", Facet::Order), ("error-code", Facet::Code), ("schema", Facet::ErrorShape)];
        words.extend(facets.map(|(check, facet)| (check, About::Facet(facet))));
    }
    if operation.path.starts_with("/api/") {
        words.push(("headers", About::Facet(Facet::Cors)));
    }
    words
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
            // Sign-ins end with a token, of which one requirement speaks.
            for (check, about) in words(operation).into_iter().filter(|(check, _)| *check != "sign-in") {
                let general = evidence.plainest(check, about).is_some_and(|requirement| requirement.id == "GEN-STATUS-01");
                if evidence.about(check, about).is_empty() && (check != "guard" || !general) {
                    lost.push(format!("{check} {about:?} of {}", operation.id));
                }
            }
        }
        assert_eq!(lost, [] as [String; 0]);
        let evidence = Evidence::of(&contract, contract.operation("IssueToken"));
        assert!(evidence.about("guard", About::Guard("one-of")).is_empty());
        assert_eq!(evidence.plainest("guard", About::Guard("one-of")).unwrap().id, "GEN-STATUS-01");
    }
}
