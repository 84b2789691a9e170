//! Refused calls in sequences: they change nothing, so many share their settings, their users and what is given.

use super::build::Draft;
use super::cast::Cast;
use super::epoch::Need;
use super::look::look;
use super::probe::Probe;
use super::script::Script;
use super::sequence::Purpose;
use crate::contract::{Contract, Outcome};

/// Probes under the same settings: users, their passwords and tokens are shared by as many as these allow; a deviation is reduced
/// from what comes before it.
const PROBES_PER_GROUP: usize = 450;

/// Probes that are worth a sequence of their own, with its own users, so that it can run beside others.
const PROBES_PER_SEQUENCE: usize = 225;

/// Refused calls under settings that suit them, as few sequences as these allow.
pub fn gather<'a>(contract: &Contract, family: &'static str, all: impl Iterator<Item = Probe<'a>>) -> Vec<Draft<'a>> {
    let mut groups: Vec<(Need, bool, Vec<Probe<'a>>)> = Vec::new();
    for probe in all {
        let (alone, wanted) = (probe.operation.harm.tenant_wide, probe.need());
        // What an earlier group needs may be refined, never contradicted.
        let place = groups
            .iter()
            .position(|(known, same, probes)| *same == alone && probes.len() < PROBES_PER_GROUP && known.join(&wanted).is_some());
        match place {
            Some(index) => {
                groups[index].0 = groups[index].0.join(&wanted).expect("just tried");
                groups[index].2.push(probe);
            }
            None => groups.push((wanted, alone, vec![probe])),
        }
    }
    let apart = |(need, alone, probes): (Need, bool, Vec<Probe<'a>>)| {
        let parts = if alone { vec![probes] } else { share_out(contract, probes) };
        parts.into_iter().map(move |mut probes| {
            // Who has lost identifiers gets them back once.
            probes.sort_by_key(|probe| probe.who);
            (need.clone(), alone, probes)
        })
    };
    let draft = |(index, (need, alone, probes)): (usize, (Need, bool, Vec<Probe<'a>>))| Draft {
        id: format!("{family}/{}", index + 1),
        need,
        alone,
        write: Box::new(move |script| {
            let mut cast = Cast::new();
            for probe in &probes {
                refused(script, &mut cast, probe);
            }
        }),
    };
    groups.into_iter().flat_map(apart).enumerate().map(draft).collect()
}

/// The same in parts that can run side by side, an operation in one of them. Those whose callers need a password come last, so
/// that few parts have such callers.
fn share_out<'a>(contract: &Contract, probes: Vec<Probe<'a>>) -> Vec<Vec<Probe<'a>>> {
    let parts = (probes.len() / PROBES_PER_SEQUENCE).max(1);
    let most = probes.len().div_ceil(parts);
    let mut operations: Vec<Vec<Probe<'a>>> = Vec::new();
    for probe in probes {
        match operations.last_mut().filter(|known| known[0].operation.id == probe.operation.id) {
            Some(known) => known.push(probe),
            None => operations.push(vec![probe]),
        }
    }
    operations.sort_by_key(|probes| probes.iter().any(|probe| probe.needs_password(contract)));
    let mut shares: Vec<Vec<Probe<'a>>> = vec![Vec::new()];
    for probes in operations {
        match shares.last_mut().filter(|share| share.is_empty() || share.len() + probes.len() / 2 <= most) {
            Some(share) => share.extend(probes),
            None => shares.push(probes),
        }
    }
    shares
}

fn refused(script: &mut Script<'_>, cast: &mut Cast, probe: &Probe<'_>) {
    let (persona, call, user, _) = probe.render(script, cast);
    let target = call.target.clone();
    // What the model cannot tell, or does not refuse after all, or for another reason, belongs elsewhere.
    let wanted = |outcome: Option<&Outcome>| {
        outcome.is_some_and(|outcome| !outcome.status.is_success() && probe.first.as_ref().is_none_or(|first| first == outcome))
    };
    if !script.call_if(persona, Purpose::Probe(probe.label.clone()), call, &wanted) {
        return;
    }
    let of = script.last();
    if probe.operation.writes() && !probe.quiet {
        look(script, probe, &target, user, of, false);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::twist::break_guard;
    use super::*;
    use crate::contract::Version;

    #[test]
    fn an_operation_is_tried_in_one_of_the_parts_that_run_side_by_side() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let accepted = ["GetProfile", "UpdateProfile", "UpdatePassword", "GetUser", "DeleteUser", "ListUsers"].map(|id| {
            let operation = contract.operation(id).unwrap();
            let (name, case) = operation.cases.iter().next().unwrap();
            Probe::accepted(&contract, operation, name, case)
        });
        // Each way to break each guard, several times.
        let mut probes: Vec<Probe<'_>> = Vec::new();
        for probe in &accepted {
            let ways: Vec<Probe<'_>> = probe.operation.guards.iter().flat_map(|guard| break_guard(guard, probe)).collect();
            probes.extend(vec![ways; 6].concat());
        }
        let all = probes.len();
        let shares = share_out(&contract, probes);
        assert!(shares.len() > 1 && shares.len() <= all / PROBES_PER_SEQUENCE + 1, "{} of {all}", shares.len());
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), all, "nothing is lost");
        let operations = |share: &Vec<Probe<'_>>| share.iter().map(|probe| probe.operation.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(shares.iter().map(|share| operations(share).len()).sum::<usize>(), 6);
        let costly = |share: &Vec<Probe<'_>>| share.iter().any(|probe| probe.needs_password(&contract));
        assert!(shares.iter().map(costly).is_sorted(), "those with passwords come last");
    }
}
