//! Judges exchanges of operations that only the deployment's own document lists: who is turned away, that the answer is
//! one of those the document names, and that errors are errors.

use serde_json::Value;

use super::evidence::About;
use super::judge::{Bench, Result};
use crate::contract::{Collection, Contract, Facet, Operation, PUBLISHED_AT};
use crate::model::wire::Answer;
use crate::model::{Observation, Relation};

impl Bench<'_> {
    /// Judges an exchange of an operation that is not specified.
    pub(super) fn published(&mut self, operation: &Operation, answer: &Answer, observation: &Observation) {
        let listed = operation.responses.contains_key(&answer.status);
        let (expected, actual) = match &observation.relation {
            Some(Relation::Different(difference)) => (Some(difference), difference.actual.to_string()),
            _ => (None, super::judge::outcome(answer).to_string()),
        };
        if answer.status >= 500 && !listed {
            return self.fail("robustness", About::Answer, "no server error", &actual);
        }
        self.pass("robustness", About::Answer);
        let refusal = expected.and_then(|difference| Some((difference, difference.guard.as_ref()?)));
        let turned_away = observation.matched.as_ref().and_then(|(_, guard)| operation.guards.get((*guard)?));
        match (refusal, turned_away) {
            (Some((difference, _)), _) if difference.expected.status == difference.actual.status => {
                self.fail("error-code", About::Facet(Facet::Code), &difference.expected.to_string(), &actual);
            }
            (Some((difference, (kind, _))), _) => {
                self.fail("admin-only", About::Guard(kind), &difference.expected.to_string(), &actual);
            }
            (None, Some(guard)) => {
                self.pass("admin-only", About::Guard(guard.kind.name()));
                self.pass("error-code", About::Facet(Facet::Code));
            }
            (None, None) => self.read(operation, answer, listed),
        }
        self.error_shape(answer);
    }

    /// What somebody who may call the operation got.
    fn read(&mut self, operation: &Operation, answer: &Answer, listed: bool) {
        let document = if listed {
            Result::Pass
        } else {
            super::judge::failed("a status that the deployment's own document lists", &answer.status.to_string())
        };
        self.about_document("status", &document);
        if !operation.succeeds_with(answer.status) {
            return;
        }
        if operation.path == PUBLISHED_AT {
            let missing = answer.json().and_then(|document| missing(self.contract, document));
            let result = missing.map_or(Result::Pass, |id| super::judge::failed(&format!("the document lists {id}"), "it does not"));
            return self.about_document("status", &result);
        }
        let Some(Some(schema)) = operation.response(answer.status) else { return };
        let error = match answer.json() {
            None => Some(("body".to_owned(), "no JSON".to_owned())),
            Some(json) => schema.first_error(json).map(|error| (general(&error.pointer), error.what)),
        };
        let result = error.map_or(Result::Pass, |(place, what)| {
            super::judge::failed(&format!("{} {place} as the deployment's own document says", answer.status), &what)
        });
        self.about_document("schema", &result);
    }

    /// An error in JSON has a code and a message.
    fn error_shape(&mut self, answer: &Answer) {
        let Some(error) = answer.json().filter(|_| answer.status >= 400) else { return };
        let has = |key: &str| error.get(key).is_some_and(Value::is_string);
        if has("code") && has("message") {
            self.pass("schema", About::Facet(Facet::ErrorShape));
        } else {
            self.fail("schema", About::Facet(Facet::ErrorShape), "an error with code and message", "one without");
        }
    }

    /// Puts a result to the requirements about the document alone: what a foreign document says proves nothing else.
    fn about_document(&mut self, check: &'static str, result: &Result) {
        for requirement in self.contract.requirements.iter().filter(|requirement| requirement.document) {
            if requirement.checks.iter().any(|name| name == check) {
                self.push(check, requirement, result.clone());
            }
        }
    }
}

/// The first specified operation of the Management API that a document does not list.
fn missing(contract: &Contract, document: &Value) -> Option<String> {
    let published = crate::contract::Published::read(document).unwrap_or_default();
    let below = |operation: &&Operation| operation.collection == Collection::Management && operation.path.starts_with("/api/");
    contract.specified().filter(below).find(|known| published.find(&known.method, &known.path).is_none()).map(|known| known.id.clone())
}

/// A place in an answer, whatever the place in its lists.
fn general(pointer: &str) -> String {
    let segments = pointer.split('/').map(|segment| if segment.parse::<usize>().is_ok() { "*" } else { segment });
    let place = segments.collect::<Vec<_>>().join("/");
    if place.is_empty() { "body".to_owned() } else { place }
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
