//! Judges requests that were sent together: some order of them must explain all answers.

use super::judge::{About, Deviation, Judgement, Result, outcome, requirement_for, requirements_for};
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
            let requirements = requirements_for(contract, operation(member), RACE, About::Answer).into_iter();
            requirements.map(move |requirement| {
                let (requirement, level) = (requirement.id.clone(), requirement.level);
                (member, Judgement { check: RACE, requirement, level, result: Result::Pass })
            })
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
    let judgement = Judgement { check: RACE, requirement: requirement.id.clone(), level: requirement.level, result };
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
