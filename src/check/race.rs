//! Judges requests that were sent together: some order of them must explain all answers.

use super::evidence::{About, Evidence, requirement_for};
use super::judge::{Deviation, Judgement, Result, outcome};
use crate::contract::{Contract, Outcome};
use crate::model::{Conflict, Exchange, Together};

/// Name of the check.
const RACE: &str = "race";

/// What the check says, by place in the group, with what was seen for people. What holds is evidence for each request,
/// what does not hold is put to one of them.
pub fn judge_race(contract: &Contract, exchanges: &[Exchange<'_>], race: &Together) -> Vec<(usize, Judgement, String)> {
    let operation = |member: usize| {
        let observation = race.members[member].as_ref()?;
        contract.operation(observation.operation.as_deref()?)
    };
    let seen: Vec<String> =
        exchanges.iter().map(|(_, answer)| answer.map_or_else(|| "no answer".into(), |answer| outcome(answer).to_string())).collect();
    let seen = seen.join(" + ");
    let Some(conflict) = &race.conflict else {
        let holds = |member: usize| {
            let requirements = Evidence::of(contract, operation(member)).about(RACE, About::Answer).into_owned();
            requirements.into_iter().map(move |requirement| (member, Judgement { check: RACE, requirement, result: Result::Pass }))
        };
        let answered = (0..exchanges.len()).filter(|member| exchanges[*member].1.is_some());
        return answered.flat_map(holds).map(|(member, judgement)| (member, judgement, seen.clone())).collect();
    };
    let member = conflict.member();
    let seen = match conflict {
        Conflict::Body { mismatch, .. } => format!("{seen} with a body in which {mismatch}"),
        _ => seen,
    };
    let (expected, actual) = words(conflict, exchanges.len(), &seen);
    let Some(requirement) = requirement_for(contract, operation(member), RACE, About::Answer) else { return Vec::new() };
    let result = Result::Fail(Deviation { expected, actual });
    let judgement = Judgement { check: RACE, requirement, result };
    vec![(member, judgement, seen)]
}

/// What was expected and what came instead, the same however often it came.
fn words(conflict: &Conflict, of: usize, seen: &str) -> (String, String) {
    match conflict {
        Conflict::TooOften { outcome, most, instead, .. } => {
            let instead: Vec<String> = instead.iter().map(ToString::to_string).collect();
            let expected = match most {
                0 => format!("{} in any order", instead.join(" or ")),
                most => format!("{outcome} at most {most} of {of} times, else {}", instead.join(" or ")),
            };
            (expected, format!("{outcome} {}", if *most == 0 { "" } else { "more often" }).trim().to_owned())
        }
        Conflict::Combination { orders } => {
            let line = |order: &Vec<Option<Outcome>>| order.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(" + ");
            (orders.iter().map(line).collect::<Vec<_>>().join(" or "), seen.to_owned())
        }
        Conflict::Body { mismatch, .. } => {
            let pointer = if mismatch.pointer.is_empty() { "body" } else { &mismatch.pointer };
            (format!("{pointer} as in some order"), "another value".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::guard::Status;
    use crate::contract::{Level, Version};
    use crate::model::wire::{Answer, Request};
    use crate::model::{Mismatch, Observation, State, States};

    use super::*;

    /// Two creations of a user, the second of which is answered so.
    fn judged(conflict: Option<Conflict>) -> Vec<(usize, Judgement, String)> {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let states = States::certain(State::closed());
        let member = Observation { operation: Some("CreateUser".into()), relation: None, matched: None, states: states.clone() };
        let race = Together { members: vec![Some(member), None], conflict, states };
        let (request, answer) = (Request::new("POST", "/api/users"), Answer { status: 200, ..Answer::default() });
        judge_race(&contract, &[(&request, Some(&answer)), (&request, None)], &race)
    }

    fn failed(conflict: Conflict) -> (String, String, String) {
        let judged = judged(Some(conflict));
        let [(0, Judgement { check: "race", requirement, result: Result::Fail(deviation) }, seen)] = judged.as_slice() else {
            panic!("{judged:?}")
        };
        assert_eq!((&*requirement.id, requirement.level), ("MGT-RACE-01", Level::Must));
        (deviation.expected.clone(), deviation.actual.clone(), seen.clone())
    }

    #[test]
    fn what_holds_is_evidence_for_each_answer() {
        let judged = judged(None);
        let named: Vec<(usize, &str)> = judged.iter().map(|(member, judgement, _)| (*member, judgement.requirement.id.as_str())).collect();
        assert_eq!(named, [(0, "MGT-RACE-01"), (0, "GEN-RACE-01")]);
        assert!(judged.iter().all(|(_, judgement, _)| judgement.result == Result::Pass));
    }

    #[test]
    fn what_does_not_hold_is_told_in_words_that_do_not_change() {
        let outcome = |status, code: Option<&str>| Outcome { status: Status::Exact(status), code: code.map(str::to_owned) };
        let (accepted, taken) = (outcome(200, None), outcome(422, Some("user.x")));
        let too_often = |most| Conflict::TooOften { member: 0, outcome: accepted.clone(), most, instead: vec![taken.clone()] };
        let texts = |expected: &str, actual: &str, seen: &str| (expected.to_owned(), actual.to_owned(), seen.to_owned());
        assert_eq!(failed(too_often(1)), texts("200 at most 1 of 2 times, else 422 user.x", "200 more often", "200 + no answer"));
        assert_eq!(failed(too_often(0)), texts("422 user.x in any order", "200", "200 + no answer"));
        let orders = vec![vec![Some(accepted.clone()), Some(taken.clone())], vec![Some(taken), Some(accepted)]];
        let expected = "200 + 422 user.x or 422 user.x + 200";
        assert_eq!(failed(Conflict::Combination { orders }), texts(expected, "200 + no answer", "200 + no answer"));
        let mismatch = Mismatch { pointer: "/name".into(), expected: "\"a\"".into(), actual: "null".into(), visibility: None };
        let seen = "200 + no answer with a body in which /name: expected \"a\", got null";
        assert_eq!(failed(Conflict::Body { member: 0, mismatch }), texts("/name as in some order", "another value", seen));
    }
}
