//! Turns one exchange and what the model made of it into judgements, each for one check and one requirement.

use std::sync::Arc;

use serde_json::Value;

use super::evidence::{About, Evidence};
use super::pagination;
use crate::contract::guard::{AuthorizationRule, Guard, GuardKind, Status};
use crate::contract::{Collection, Contract, Facet, Operation, Origin, Outcome, Requirement};
use crate::model::wire::{Answer, Request};
use crate::model::{Difference, Observation, Relation, Why};

/// Result of one check on one exchange.
#[derive(Debug, Clone, PartialEq)]
pub enum Result {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail(Deviation),
    /// Nothing definite can be said, and why.
    Abstain(String),
}

/// What was expected and what was seen; texts for people and for waivers, free of values that change from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deviation {
    /// What the contract promises.
    pub expected: String,
    /// What the answer was.
    pub actual: String,
}

/// One check's word on one exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Name of the check, one of [`crate::contract::CHECKS`].
    pub check: &'static str,
    /// The requirement it is evidence for.
    pub requirement: Arc<Requirement>,
    /// The result.
    pub result: Result,
}

/// Judges an exchange. Exchanges of unspecified operations get the general checks only.
pub fn judge(contract: &Contract, request: &Request, answer: &Answer, observation: &Observation) -> Vec<Judgement> {
    let operation = observation.operation.as_deref().and_then(|id| contract.operation(id));
    weigh(contract, operation, &Evidence::of(contract, operation), request, answer, observation)
}

/// As [`judge`], where it is known already what exchanges of the operation can be evidence for.
pub(super) fn weigh(
    contract: &Contract,
    operation: Option<&Operation>,
    evidence: &Evidence,
    request: &Request,
    answer: &Answer,
    observation: &Observation,
) -> Vec<Judgement> {
    let mut bench = Bench { contract, operation, evidence, judgements: Vec::new() };
    if let Some(operation) = operation.filter(|operation| operation.origin == Origin::Document) {
        bench.published(operation, answer, observation);
        return bench.judgements;
    }
    let admitted = observation.matched.as_ref().is_some_and(|(outcome, _)| outcome.status == Status::Exact(answer.status));
    if answer.status >= 500 && !admitted && !matches!(&observation.relation, Some(Relation::Predicted | Relation::Either)) {
        // What should have been answered instead tells one cause from another.
        let expected = match &observation.relation {
            Some(Relation::Different(difference)) => {
                let guard = difference.guard.as_ref().map_or("accepted", |(_, label)| label);
                format!("no server error but {} ({guard})", difference.expected)
            }
            _ => "no server error".to_owned(),
        };
        bench.fail("robustness", About::Answer, &expected, &outcome(answer).to_string());
        return bench.judgements;
    }
    bench.pass("robustness", About::Answer);
    bench.relation(observation, request);
    if let Some(operation) = operation {
        bench.schema(operation, request, answer, observation);
        match pagination::judge(operation, request, answer) {
            Some(Ok(())) => bench.pass("pagination", About::Answer),
            Some(Err(wrong)) => bench.fail("pagination", About::Answer, &wrong.expected, &wrong.actual),
            None => {}
        }
        bench.headers(operation, request, answer);
        bench.secrecy(operation, request, answer);
    }
    bench.judgements
}

/// Status and code of an answer.
pub fn outcome(answer: &Answer) -> Outcome {
    let json = answer.json();
    let code = json.as_ref().and_then(|json| json.get("code")).and_then(Value::as_str);
    Outcome { status: crate::contract::guard::Status::Exact(answer.status), code: code.map(str::to_owned) }
}

/// A deviation as a result.
pub(super) fn failed(expected: &str, actual: &str) -> Result {
    Result::Fail(Deviation { expected: expected.to_owned(), actual: actual.to_owned() })
}

/// Where the judgements of one exchange gather.
pub(super) struct Bench<'a> {
    pub(super) contract: &'a Contract,
    operation: Option<&'a Operation>,
    evidence: &'a Evidence,
    judgements: Vec<Judgement>,
}

impl Bench<'_> {
    pub(super) fn push(&mut self, check: &'static str, requirement: &Arc<Requirement>, result: Result) {
        self.judgements.push(Judgement { check, requirement: Arc::clone(requirement), result });
    }

    /// What holds is evidence for every requirement that speaks of it.
    pub(super) fn pass(&mut self, check: &'static str, about: About<'_>) {
        for requirement in self.evidence.about(check, about).iter() {
            self.push(check, requirement, Result::Pass);
        }
    }

    /// What does not hold is put to the one requirement that speaks of it most plainly.
    pub(super) fn fail(&mut self, check: &'static str, about: About<'_>, expected: &str, actual: &str) {
        self.word(check, about, failed(expected, actual));
    }

    /// One word on what a check saw, put to the requirement that speaks of it most plainly.
    fn word(&mut self, check: &'static str, about: About<'_>, result: Result) {
        if let Some(requirement) = self.evidence.plainest(check, about) {
            self.push(check, &requirement, result);
        }
    }

    fn relation(&mut self, observation: &Observation, request: &Request) {
        let operation = self.operation;
        match &observation.relation {
            None => {}
            Some(Relation::Abstained(reason)) => self.word("status", About::Answer, Result::Abstain(reason.clone())),
            Some(Relation::Predicted | Relation::Either) => match (observation.matched.as_ref().and_then(|(_, guard)| *guard), operation) {
                (Some(index), Some(operation)) => {
                    let guard = &operation.guards[index];
                    self.pass(check_of(operation.collection, guard), About::Guard(guard.kind.name()));
                    self.pass("guard", About::Facet(Facet::Order));
                    self.pass("error-code", About::Facet(Facet::Code));
                    self.pass("schema", About::Facet(Facet::ErrorShape));
                }
                (_, Some(operation)) => {
                    self.pass("status", About::Answer);
                    if operation.answers.iter().any(|answer| answer.body.is_some()) {
                        self.pass("state", About::Answer);
                        if shows_by_setting(operation) {
                            self.pass("toggle", About::Answer);
                            self.pass("authorization", About::Answer);
                        }
                    }
                    if request.header("logto-verification-id").is_some()
                        && operation.guards.iter().any(|guard| matches!(guard.kind, GuardKind::IdentityVerified(_)))
                    {
                        self.pass("verification", About::Answer);
                    }
                }
                (_, None) => self.pass("status", About::Facet(Facet::Route)),
            },
            Some(Relation::Different(difference)) => self.difference(difference),
        }
    }

    fn difference(&mut self, difference: &Difference) {
        if let Some(mismatch) = &difference.body {
            let check = match mismatch.visibility {
                Some(Why::Scope) => "authorization",
                Some(Why::Level) => "toggle",
                None => "state",
            };
            let pointer = if mismatch.pointer.is_empty() { "body" } else { &mismatch.pointer };
            let (expected, actual) = if mismatch.visibility.is_some() {
                (format!("{pointer} {}", mismatch.expected), mismatch.actual.clone())
            } else {
                (format!("{pointer} as last written"), "another value".to_owned())
            };
            return self.fail(check, About::Answer, &expected, &actual);
        }
        let (expected, actual) = (difference.expected.to_string(), difference.actual.to_string());
        let Some(operation) = self.operation else { return self.fail("status", About::Facet(Facet::Route), &expected, &actual) };
        let guard = operation.guards.iter().find(|guard| difference.guard.as_ref().is_some_and(|(_, label)| *label == guard.label()));
        let accepted = difference.actual.status.is_success();
        match guard {
            Some(guard) if accepted => {
                self.fail(check_of(operation.collection, guard), About::Guard(guard.kind.name()), &expected, &actual);
            }
            None if difference.expected.status.is_success() => self.fail("status", About::Answer, &expected, &actual),
            // Refused as it must be, but not as predicted: order and codes are known from the wire only.
            _ => {
                let other = operation.guards.iter().any(|guard| Outcome::from(guard.refusal()) == difference.actual);
                let (check, facet) = if other { ("guard", Facet::Order) } else { ("error-code", Facet::Code) };
                self.fail(check, About::Facet(facet), &expected, &actual);
            }
        }
    }

    fn schema(&mut self, operation: &Operation, request: &Request, answer: &Answer, observation: &Observation) {
        // Refusals without a code are plain text or a bare message.
        let bare = observation.matched.as_ref().is_some_and(|(outcome, guard)| guard.is_some() && outcome.code.is_none());
        if answer.status == 304 || request.method == "HEAD" || bare {
            return;
        }
        match operation.response(answer.status) {
            None => self.fail("schema", About::Answer, "a status the contract lists", &answer.status.to_string()),
            Some(None) => self.pass("schema", About::Answer),
            Some(Some(schema)) => match answer.json() {
                None => self.fail("schema", About::Answer, &format!("a JSON body with {}", answer.status), "something else"),
                Some(json) => match schema.first_error(json) {
                    None => self.pass("schema", About::Answer),
                    Some(error) => {
                        let pointer = if error.pointer.is_empty() { "body".to_owned() } else { error.pointer };
                        self.fail("schema", About::Answer, &format!("{} {pointer} as the schema says", answer.status), &error.what);
                    }
                },
            },
        }
    }

    fn headers(&mut self, operation: &Operation, request: &Request, answer: &Answer) {
        if !answer.body.is_empty() && answer.json().is_some_and(|json| !json.is_string()) && !answer.says_json() {
            return self.fail("headers", About::Answer, "content-type application/json", answer.header("content-type").unwrap_or("none"));
        }
        if operation.path.starts_with("/api/") && answer.header("logto-core-request-id").is_none() {
            return self.fail("headers", About::Answer, "logto-core-request-id", "none");
        }
        self.pass("headers", About::Answer);
        let Some(origin) = request.header("origin").filter(|_| operation.path.starts_with("/api/")) else { return };
        let allowed = answer.header("access-control-allow-origin");
        let expected = (operation.collection == Collection::Account).then_some(origin);
        if allowed == expected {
            self.pass("headers", About::Facet(Facet::Cors));
        } else {
            let expected =
                if expected.is_some() { "access-control-allow-origin repeats the origin" } else { "no access-control-allow-origin" };
            self.fail("headers", About::Facet(Facet::Cors), expected, if allowed.is_some() { "another" } else { "none" });
        }
    }

    /// No answer may show a password, or a digest nobody asked for.
    fn secrecy(&mut self, operation: &Operation, request: &Request, answer: &Answer) {
        let Some(json) = answer.json() else { return };
        let asked = request.query().contains("includePasswordHash");
        let sent = crate::model::Call::read(operation, std::collections::BTreeMap::new(), request).input;
        let password = sent.get("password").and_then(Value::as_str).filter(|password| password.len() >= 8);
        let leak = find_leak(json, asked, password);
        match leak {
            Some(pointer) => self.fail("secrecy", About::Answer, "no secret in the answer", &format!("{pointer} shows one")),
            None => self.pass("secrecy", About::Answer),
        }
    }
}

/// Where a value shows a secret, as a JSON pointer.
fn find_leak(value: &Value, asked: bool, password: Option<&str>) -> Option<String> {
    match value {
        Value::Object(object) => object.iter().find_map(|(key, member)| {
            let secret = ["passwordEncrypted", "passwordHash"].contains(&key.as_str()) || key == "passwordDigest" && !asked;
            let inner = if secret && !member.is_null() { Some(String::new()) } else { find_leak(member, asked, password) };
            inner.map(|inner| format!("/{key}{inner}"))
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_leak(item, asked, password).map(|inner| format!("/{index}{inner}")))
        }
        Value::String(text) => password.filter(|password| text.contains(password)).map(|_| String::new()),
        _ => None,
    }
}

/// The check that a guard's refusals are evidence for.
pub(super) fn check_of(collection: Collection, guard: &Guard) -> &'static str {
    match (&guard.kind, collection) {
        (
            GuardKind::Authorization(AuthorizationRule::ManagementToken | AuthorizationRule::Present | AuthorizationRule::Bearer)
            | GuardKind::Scope(_),
            Collection::Management,
        ) => "admin-only",
        (GuardKind::Authorization(_) | GuardKind::Scope(_) | GuardKind::FirstParty(_), _) => "authorization",
        (GuardKind::Field(_) | GuardKind::FieldReadable(_) | GuardKind::CenterEnabled(_), _) => "toggle",
        (GuardKind::IdentityVerified(_) | GuardKind::PasswordMatches(_), _) => "verification",
        _ => "guard",
    }
}

/// Whether what the answer shows depends on scopes or settings.
pub(super) fn shows_by_setting(operation: &Operation) -> bool {
    let schemas = operation.answers.iter().filter_map(|answer| operation.responses.get(&answer.status)?.as_ref());
    schemas.flat_map(|schema| schema.properties().into_values()).any(|property| property.get("x-shown").is_some())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod judge_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_told_by_where_it_stands() {
        let digest = json!({"users": [{"name": "a"}, {"passwordEncrypted": null, "passwordDigest": "x"}]});
        assert_eq!(find_leak(&digest, false, None).as_deref(), Some("/users/1/passwordDigest"));
        assert_eq!(find_leak(&digest, true, None), None, "it was asked for");
        assert_eq!(find_leak(&json!({"passwordEncrypted": "x"}), true, None).as_deref(), Some("/passwordEncrypted"));
        let told = json!({"a": ["it is Secret-17"]});
        assert_eq!(find_leak(&told, false, Some("Secret-17")).as_deref(), Some("/a/0"));
        assert_eq!(find_leak(&told, false, Some("Secret-18")), None);
    }
}
