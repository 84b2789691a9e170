//! What a whole run's exchanges are judged by: looked up in the contract once for each operation.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::evidence::Evidence;
use super::judge::{Judgement, weigh};
use crate::contract::Contract;
use crate::model::Observation;
use crate::model::wire::{Answer, Request};

/// A contract, and what exchanges of each of its operations can be evidence for.
#[derive(Debug)]
pub struct Docket {
    contract: Contract,
    /// Under the empty name: of what the router answers.
    evidence: BTreeMap<String, OnceLock<Evidence>>,
}

impl Docket {
    /// The docket of a contract.
    pub fn new(contract: Contract) -> Self {
        let names = contract.operations.iter().map(|operation| operation.id.clone()).chain([String::new()]);
        let evidence = names.map(|name| (name, OnceLock::new())).collect();
        Self { contract, evidence }
    }

    /// As [`judge()`](super::judge()).
    pub fn judge(&self, request: &Request, answer: &Answer, observation: &Observation) -> Vec<Judgement> {
        let operation = observation.operation.as_deref().and_then(|id| self.contract.operation(id));
        let name = operation.map_or("", |operation| &operation.id);
        let evidence = self.evidence[name].get_or_init(|| Evidence::of(&self.contract, operation));
        weigh(&self.contract, operation, evidence, request, answer, observation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge;
    use crate::contract::Version;
    use crate::model::{State, States, observe};

    #[test]
    fn a_docket_says_what_the_contract_says() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let docket = Docket::new(contract.clone());
        let states = States::certain(State::closed());
        for (target, status) in [("/api/my-account", 401), ("/api/users", 401), ("/api/my-account/none", 404), ("/api/users", 200)] {
            let request = Request::new("GET", target);
            let body = br#"{"code": "auth.authorization_header_missing", "message": "x"}"#.to_vec();
            let answer = Answer { status, body: body.into(), ..Answer::default() };
            let observation = observe(&contract, &states, &request, &answer, 0);
            let judged = docket.judge(&request, &answer, &observation);
            assert!(!judged.is_empty());
            assert_eq!(judged, judge(&contract, &request, &answer, &observation), "{target} {status}");
        }
    }
}
