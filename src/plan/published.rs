//! Calls of every operation that the target's own document lists, specified or not: whom it must turn away, and what an
//! administrator reads.
//!
//! A call that must be turned away has to be harmless on a deployment that lets it in. So ids name nothing, bodies are
//! refused by validation, and what neither would stop is not called at all
//! ([`PublishedOperation::unprobed`]).

use std::collections::BTreeMap;

use super::build::Draft;
use super::epoch::Need;
use super::script::{ALL_SCOPES, Client, Script, Traits};
use super::sequence::{Call, Facts, Persona, Purpose};
use super::twist::{FORGED_TOKEN, UNUSED_ID};
use crate::contract::{Contract, Operation, Origin, PublishedOperation};

/// Operations per sequence: enough to share a user, few enough to run side by side.
const OPERATIONS_PER_SEQUENCE: usize = 16;

/// Every operation that is not public, by everybody who may not call it: specified ones only where their own guards
/// cannot be tried.
pub fn admin_only<'a>(contract: &'a Contract, facts: &'a Facts) -> Vec<Draft<'a>> {
    let tried = |operation: &Operation| facts.can_sign_in && (facts.may_change_settings || !operation.harm.tenant_wide);
    let untried = |operation: &Operation| operation.origin == Origin::Document || !tried(operation);
    let probed = |published: &PublishedOperation, operation: &Operation| published.unprobed().is_none() && untried(operation);
    drafts("admin-only", contract, facts, probed, |script, operations| {
        let user = script.user(Traits::default());
        let token = script.token(user, ALL_SCOPES, Client::First);
        for (published, operation) in operations {
            for (label, persona, credential) in [
                ("no token", Persona::Anonymous, None),
                ("forged token", Persona::Forged, Some(FORGED_TOKEN.to_owned())),
                ("token of a user", Persona::User, Some(format!("Bearer {token}"))),
                ("machine token without scope", Persona::MachineWithoutScope, Some("Bearer {{machine.token}}".to_owned())),
            ] {
                script.call(persona, Purpose::Probe(label.into()), call(published, operation, credential), &[]);
            }
        }
    })
}

/// Every reading operation that is not specified, by the administrator.
pub fn documented<'a>(contract: &'a Contract, facts: &'a Facts) -> Vec<Draft<'a>> {
    let read = |published: &PublishedOperation, operation: &Operation| !published.writes() && operation.origin == Origin::Document;
    drafts("documented", contract, facts, read, |script, operations| {
        for (published, operation) in operations {
            let label = if published.has_id() { "an id that names nothing" } else { "read" };
            script.ask(Persona::Admin, label, call(published, operation, Some("Bearer {{admin.token}}".into())));
        }
    })
}

type Pair<'a> = (&'a PublishedOperation, &'a Operation);

/// One draft for some operations of each area of the API.
fn drafts<'a>(
    family: &str,
    contract: &'a Contract,
    facts: &'a Facts,
    wanted: impl Fn(&PublishedOperation, &Operation) -> bool,
    write: impl Fn(&mut Script<'_>, &[Pair<'a>]) + Copy + Send + Sync + 'a,
) -> Vec<Draft<'a>> {
    let mut areas: BTreeMap<&str, Vec<Pair<'a>>> = BTreeMap::new();
    for published in facts.published.iter().flat_map(|published| &published.operations) {
        if let Some(operation) = contract.listed(published).filter(|operation| wanted(published, operation)) {
            areas.entry(published.area()).or_default().push((published, operation));
        }
    }
    let mut drafts = Vec::new();
    for (area, pairs) in areas {
        for (index, chunk) in pairs.chunks(OPERATIONS_PER_SEQUENCE).enumerate() {
            let chunk = chunk.to_vec();
            drafts.push(Draft {
                id: format!("{family}/{area}/{}", index + 1),
                need: Need::default(),
                alone: false,
                write: Box::new(move |script| write(script, &chunk)),
            });
        }
    }
    drafts
}

fn call(published: &PublishedOperation, operation: &Operation, credential: Option<String>) -> Call {
    let body = published.refused_body();
    let mut headers: Vec<(String, String)> = credential.map(|value| ("authorization".to_owned(), value)).into_iter().collect();
    headers.extend(body.map(|_| ("content-type".to_owned(), "application/json".to_owned())));
    Call {
        operation: Some(operation.id.clone()),
        method: published.method.clone(),
        target: published.target(UNUSED_ID),
        headers,
        body: body.map(str::to_owned),
        body_base64: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::{EMPTY_BODIES, Published, Version};
    use crate::plan::{Action, Plan, Profile, build};

    /// A plan for the operations of a real deployment.
    fn planned(only: &[String]) -> (Contract, Plan) {
        let document = serde_json::from_str(include_str!("../../fixtures/documents/management-1.43.json")).unwrap();
        let published = Published::read(&document).unwrap();
        let mut contract = Contract::embedded(Version::NEWEST).unwrap();
        contract.adopt(&published);
        let facts = Facts { published: Some(published), may_change_settings: true, can_sign_in: true, ..Facts::default() };
        let plan = build(&contract, &facts, 1, Profile::Standard, only).plan;
        (contract, plan)
    }

    /// Specified operations meet them among their guards.
    #[test]
    fn every_operation_that_may_be_probed_meets_every_persona() {
        let (contract, plan) = planned(&[]);
        let published = plan.facts.published.as_ref().unwrap();
        let probed = published.operations.iter().filter(|operation| operation.unprobed().is_none());
        let probed: BTreeSet<&str> =
            probed.filter_map(|operation| contract.listed(operation)).map(|operation| operation.id.as_str()).collect();
        assert_eq!(probed.len(), 264);
        let mut met: BTreeMap<(Persona, String), BTreeSet<&str>> = BTreeMap::new();
        for step in plan.sequences().flat_map(|sequence| &sequence.steps) {
            let operation = step.operation().and_then(|id| probed.get(id));
            if let (Purpose::Probe(_), Some(operation)) = (&step.purpose, operation) {
                met.entry((step.persona, step.expect.clone().unwrap_or_default())).or_default().insert(operation);
            }
        }
        for (persona, outcome) in [
            (Persona::User, "401 auth.unauthorized"),
            (Persona::MachineWithoutScope, "403 auth.forbidden"),
            (Persona::Anonymous, "401 auth.authorization_header_missing"),
            (Persona::Forged, "401 auth.unauthorized"),
        ] {
            let met = met.get(&(persona, outcome.to_owned())).cloned().unwrap_or_default();
            assert_eq!(probed.difference(&met).collect::<Vec<_>>(), Vec::<&&str>::new(), "{persona:?}");
        }
    }

    #[test]
    fn a_probe_that_was_let_in_would_find_nothing_to_do() {
        let (contract, plan) = planned(&["admin-only/*".into(), "documented/*".into()]);
        for step in plan.sequences().flat_map(|sequence| &sequence.steps).filter(|step| matches!(step.purpose, Purpose::Probe(_))) {
            let Action::Call(call) = &step.action else { panic!("{}", step.line()) };
            assert!(call.operation.as_deref().is_some_and(|id| contract.operation(id).is_some()), "{}", step.line());
            let harmless = match call.body.as_deref() {
                _ if call.method == "GET" => call.body.is_none(),
                Some(body) => EMPTY_BODIES.contains(&body),
                None => call.target.contains(UNUSED_ID),
            };
            assert!(harmless, "{}", step.line());
            assert!(step.persona != Persona::Admin || call.method == "GET", "{}", step.line());
        }
    }
}
