//! Operations that the contract does not specify, taken over from what a deployment publishes of itself.
//!
//! They have the shared guards of the Management API that look at the caller, no effect and an open answer, so that
//! everything that works on operations works on them too. What is promised of them are the requirements that speak of
//! the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::AnswerSpec;
use super::guard::{Guard, GuardKind};
use super::operation::{Collection, Harm, Operation, Origin};
use super::published::{Published, PublishedOperation, same_path};
use super::schema::Schema;
use super::{Contract, Requirement};

impl Contract {
    /// Adds the operations of a document that are not specified. Specified ones that it lists become evidence for the
    /// requirement about access too.
    pub fn adopt(&mut self, published: &Published) {
        let guards = self.shared_guards();
        let about: Vec<&Requirement> = self.requirements.iter().map(Arc::as_ref).filter(|requirement| requirement.document).collect();
        let access: Vec<String> = about.iter().filter(|requirement| !requirement.guards.is_empty()).map(|r| r.id.clone()).collect();
        let all: Vec<String> = about.iter().map(|requirement| requirement.id.clone()).collect();
        for found in &published.operations {
            let known = self.operations.iter_mut().find(|known| known.method == found.method && same_path(&known.path, &found.path));
            match known {
                Some(known) if known.origin == Origin::Contract => Arc::make_mut(known).requirements.extend(access.iter().cloned()),
                Some(_) => {}
                None => {
                    let taken = self.operation(&found.id).is_some();
                    let id = if taken { found.route() } else { found.id.clone() };
                    let guards = if found.public { Vec::new() } else { guards.clone() };
                    self.operations.push(Arc::new(light(id, found, guards, all.clone())));
                }
            }
        }
        self.operations.sort_by(|a, b| (a.collection, &a.path, &a.method).cmp(&(b.collection, &b.path, &b.method)));
    }

    /// The operations that the contract itself specifies.
    pub fn specified(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().map(AsRef::as_ref).filter(|operation: &&Operation| operation.origin == Origin::Contract)
    }

    /// The operations known from a document only.
    pub fn adopted(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().map(AsRef::as_ref).filter(|operation: &&Operation| operation.origin == Origin::Document)
    }

    /// The operation that a document's entry stands for.
    pub fn listed(&self, found: &PublishedOperation) -> Option<&Operation> {
        self.operations.iter().find(|known| known.method == found.method && same_path(&known.path, &found.path)).map(AsRef::as_ref)
    }

    /// The guards that every Management operation has and that look at nothing but the caller.
    fn shared_guards(&self) -> Vec<Guard> {
        let about_caller = |guard: &&Guard| guard.shared && matches!(guard.kind, GuardKind::Authorization(_) | GuardKind::Scope(_));
        let management = self.specified().filter(|operation| operation.collection == Collection::Management);
        let shared = management.map(|operation| operation.guards.iter().filter(about_caller).cloned().collect::<Vec<_>>());
        shared.max_by_key(Vec::len).unwrap_or_default()
    }
}

fn light(id: String, found: &PublishedOperation, guards: Vec<Guard>, requirements: Vec<String>) -> Operation {
    let success = found.statuses.iter().copied().find(|status| (200..300).contains(status)).unwrap_or(200);
    let mut responses: BTreeMap<u16, Option<Schema>> = found.statuses.iter().map(|status| (*status, None)).collect();
    if let Some(schema) = found.schema.clone().and_then(|schema| Schema::compile(schema).ok()) {
        responses.insert(success, Some(schema));
    }
    Operation {
        id,
        collection: Collection::Management,
        origin: Origin::Document,
        method: found.method.clone(),
        path: found.path.clone(),
        summary: String::new(),
        since: None,
        until: None,
        parameters: Vec::new(),
        body: None,
        guards,
        effects: Vec::new(),
        answers: vec![AnswerSpec { when: None, status: success, body: None }],
        responses,
        requirements,
        harm: Harm::default(),
        cases: BTreeMap::new(),
        tries: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    fn operation(id: &str, method: &str, path: &str) -> PublishedOperation {
        let (id, method, path) = (id.to_owned(), method.to_owned(), path.to_owned());
        PublishedOperation {
            id,
            method,
            path,
            public: false,
            body: super::super::Payload::None,
            statuses: vec![200, 401, 403],
            schema: None,
        }
    }

    #[test]
    fn what_is_specified_stays_and_the_rest_is_light() {
        let mut contract = Contract::embedded(Version::NEWEST).unwrap();
        let specified = contract.operations.len();
        let open = PublishedOperation { public: true, ..operation("GetStatus", "GET", "/api/status") };
        let operations = vec![
            operation("Other", "GET", "/api/users/{id}"),
            operation("GetUser", "GET", "/api/hooks"),
            operation("ListX", "GET", "/api/x"),
            open,
        ];
        contract.adopt(&Published { operations });
        assert_eq!((contract.specified().count(), contract.adopted().count()), (specified, 3));
        let of = |id: &str| contract.operation(id).unwrap();
        assert!(of("GetUser").requirements.iter().any(|id| id == "MGT-ONLY-01") && of("GetUser").path == "/api/users/{userId}");
        assert_eq!(of("GET /api/hooks").requirements, ["MGT-ONLY-01", "MGT-DOC-01", "MGT-DOC-02"]);
        let labels: Vec<String> = of("ListX").guards.iter().map(Guard::label).collect();
        assert_eq!(labels, ["authorization(present)", "authorization(bearer)", "authorization(management-token)", "scope(all)"]);
        assert!(of("GetStatus").guards.is_empty());
    }
}
