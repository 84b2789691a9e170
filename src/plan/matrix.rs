//! The opening lap (each accepted case of each operation) and the guard matrix (each guard broken alone, and with others).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::build::Draft;
use super::cast::Cast;
use super::epoch::Need;
use super::gather::gather;
use super::look::{look, read_back};
use super::probe::{Probe, Rendered};
use super::script::Script;
use super::sequence::{Call, Facts, Persona, Purpose};
use super::twist::break_guard;
use crate::contract::entity::Owner;
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{Case, Contract, Effect, Kind, Named, Operation};

/// Operations whose accepted cases share a sequence, where their callers have passwords.
const OPERATIONS_PER_LAP: usize = 16;

/// Guards whose combinations show the order in which an operation refuses.
const fn counts_for_order(kind: &GuardKind) -> bool {
    matches!(
        kind,
        GuardKind::Field(_)
            | GuardKind::FieldReadable(_)
            | GuardKind::Scope(_)
            | GuardKind::FirstParty(_)
            | GuardKind::IdentityVerified(_)
            | GuardKind::LastIdentifier(_)
    )
}

/// Every accepted case of every operation that is `wanted`, and a look at what it did through both collections.
pub fn lap<'a>(contract: &'a Contract, facts: &Facts, wanted: &dyn Fn(&Operation) -> bool) -> Vec<Draft<'a>> {
    let mut laps: Vec<Shared<Probe<'a>>> = Vec::new();
    // Whoever has got or lost something is not the one that the next operation needs: those that bring that about come last.
    let changes = |operation: &&Arc<Operation>| operation.changes_belongings_of(&Owner::Caller);
    let (last, first): (Vec<_>, Vec<_>) = contract.operations.iter().filter(|operation| wanted(operation)).partition(changes);
    for operation in first.into_iter().chain(last) {
        let cases = operation.cases.iter().map(|(name, case)| Probe::accepted(contract, operation, name, case));
        let probes: Vec<Probe<'a>> = cases.filter(|probe| probe.is_possible(contract, facts)).collect();
        let Some(need) = probes.iter().try_fold(Need::default(), |all, probe| all.join(&probe.need())) else { continue };
        let costly = probes.iter().any(|probe| probe.needs_password(contract));
        Shared::add(&mut laps, OPERATIONS_PER_LAP, Shared::new(operation, need, costly, probes));
    }
    let draft = |(index, lap): (usize, Shared<Probe<'a>>)| Draft {
        id: lap.name("lap", index),
        need: lap.need,
        alone: lap.alone,
        write: Box::new(move |script| {
            let mut cast = Cast::new();
            for probe in &lap.items {
                accepted(script, &mut cast, probe);
            }
        }),
    };
    laps.into_iter().enumerate().map(draft).collect()
}

/// What is tried of one operation, or of several whose callers need a password each, and so share them.
pub(super) struct Shared<T> {
    pub(super) operations: Vec<String>,
    pub(super) need: Need,
    pub(super) alone: bool,
    costly: bool,
    pub(super) items: Vec<T>,
}

impl<T> Shared<T> {
    /// That of one operation.
    pub(super) fn new(operation: &Operation, need: Need, costly: bool, items: Vec<T>) -> Self {
        Self { operations: vec![operation.id.clone()], need, alone: operation.harm.tenant_wide, costly, items }
    }

    /// Adds one to the first that it fits, if both cost passwords, or as another.
    pub(super) fn add(all: &mut Vec<Self>, most: usize, new: Self) {
        let fits = |other: &&mut Self| {
            let room = other.operations.len() + new.operations.len() <= most;
            room && new.costly && other.costly && new.alone == other.alone && other.need.join(&new.need).is_some()
        };
        match all.iter_mut().find(fits) {
            Some(other) => {
                other.need = other.need.join(&new.need).expect("just tried");
                other.operations.extend(new.operations);
                other.items.extend(new.items);
            }
            None => all.push(new),
        }
    }

    /// The sequence's name: that of the only operation, or a number.
    pub(super) fn name(&self, family: &str, index: usize) -> String {
        match self.operations.as_slice() {
            [only] => format!("{family}/{only}"),
            _ => format!("{family}/{}", index + 1),
        }
    }
}

/// Whether a call may be accepted, as far as the model can tell.
fn is_accepted(script: &Script<'_>, call: &Call) -> bool {
    script.foresee(call).is_none_or(|outcome| outcome.status.is_success())
}

fn accepted(script: &mut Script<'_>, cast: &mut Cast, probe: &Probe<'_>) {
    let rendered = probe.render(script, cast);
    if probe.operation.harm.sends && !script.may_send(&rendered.1) && is_accepted(script, &rendered.1) {
        return;
    }
    carry_out(script, cast, probe, rendered);
}

/// Sends an accepted request and looks at what it did through both collections.
pub(super) fn carry_out(script: &mut Script<'_>, cast: &mut Cast, probe: &Probe<'_>, rendered: Rendered) {
    let operation = probe.operation;
    let (persona, call, user, password) = rendered;
    let made = operation.harm.undo.as_deref().and_then(|undo| made(script, undo));
    let capture: Vec<(&str, &str)> = made.iter().map(|made| (made.symbol.as_str(), made.pointer.as_str())).collect();
    let target = call.target.clone();
    script.call(persona, Purpose::Probe(probe.label.clone()), call, &capture);
    let of = script.last();
    if let (true, Some(user), Some(password)) = (operation.does(Named::SetCallerPassword), user, password) {
        script.set_password(user, password);
    }
    if !operation.writes() {
        return;
    }
    match made {
        Some(made) => read_back(script, &made.target, of),
        None => look(script, probe, &target, user, of, true),
    }
    cast.forget_given();
    if operation.changes_belongings_of(&Owner::Caller) {
        cast.forget_caller();
    }
    if operation.changes_belongings_of(&Owner::User) {
        cast.forget_subject();
    }
    if operation.effects.iter().any(|effect| matches!(effect, Effect::Delete(selector) if selector.kind == Kind::User)) {
        cast.lose_subject();
    }
}

/// Where to look at something made: symbol and JSON pointer of its id, and its path.
struct Made {
    symbol: String,
    pointer: String,
    target: String,
}

fn made(script: &mut Script<'_>, undo: &str) -> Option<Made> {
    let (before, rest) = undo.rsplit_once('{')?;
    let (member, after) = rest.split_once('}')?;
    let symbol = script.symbol("made");
    let target = format!("{before}{{{{{symbol}}}}}{after}");
    Some(Made { symbol, pointer: format!("/{member}"), target })
}

/// Each guard of each operation broken in every way, and every combination of those that show the order of refusals.
///
/// Refused calls change nothing, so those of several operations share one sequence, its users and what is given. `wanted`
/// says of which operations, `most` how many ways, besides the first, to break a guard of many operations are tried with each of them.
pub fn matrix<'a>(contract: &'a Contract, facts: &Facts, most: usize, wanted: &dyn Fn(&Operation) -> bool) -> Vec<Draft<'a>> {
    let operations = contract.operations.iter().enumerate().filter(|(_, operation)| wanted(operation));
    gather(contract, "guards", operations.flat_map(|(turn, operation)| spoiled(contract, operation, facts, (turn, most))))
}

/// One refused call of each accepted case of each operation that writes, broken where everything else holds already: if a refusal comes too late to
/// keep a write from happening, it shows here.
pub fn late_refusals<'a>(contract: &'a Contract, facts: &Facts) -> Vec<Draft<'a>> {
    let writing = contract.specified().filter(|operation| operation.writes());
    let last = |operation: &'a Operation, name: &str, case: &'a Case| {
        let accepted = Probe::accepted(contract, operation, name, case);
        // A call that says nothing has nothing to write.
        let own = operation.guards.iter().rev().filter(|guard| !guard.shared && !matches!(guard.kind, GuardKind::AnyKey(_)));
        let probe = own.flat_map(|guard| break_guard(guard, &accepted)).next()?;
        probe.is_possible(contract, facts).then_some(probe)
    };
    let cases = writing.flat_map(|operation| operation.cases.iter().map(move |(name, case)| (operation, name, case)));
    let probes = cases.filter(|(_, _, case)| !case.signed_in).filter_map(|(operation, name, case)| last(operation, name, case));
    gather(contract, "refusals", probes)
}

/// One request of each operation by those who may not send it: the guards that its whole collection shares, broken as in the
/// [`matrix`].
pub fn wrong_callers<'a>(contract: &'a Contract, facts: &Facts) -> Vec<Draft<'a>> {
    let spoiled = |(turn, operation): (usize, &'a Operation)| {
        let cases = operation.cases.iter().filter(|(_, case)| !case.signed_in);
        let accepted =
            cases.map(|(name, case)| Probe::accepted(contract, operation, name, case)).find(|probe| probe.is_possible(contract, facts));
        let shared = operation.guards.iter().filter(|guard| guard.shared);
        let broken =
            |accepted: Probe<'a>| shared.flat_map(|guard| in_turn(guard, break_guard(guard, &accepted), (turn, 1))).collect::<Vec<_>>();
        let probes = accepted.map(broken).unwrap_or_default();
        probes
            .into_iter()
            .filter(|probe| probe.is_possible(contract, facts))
            .map(|probe| Probe { quiet: true, ..probe })
            .collect::<Vec<_>>()
    };
    gather(contract, "callers", contract.specified().enumerate().flat_map(spoiled))
}

/// Some guards of one operation, each broken alone; those that many operations share with one case only. `thoroughly`: in every
/// way, what the refused calls may have done is looked at, and what is only tried is tried.
pub fn broken<'a>(
    contract: &'a Contract,
    facts: &Facts,
    operation: &'a Operation,
    thoroughly: bool,
    which: &dyn Fn(&Guard) -> bool,
) -> Vec<Draft<'a>> {
    let possible = |probe: &Probe<'_>| probe.is_possible(contract, facts);
    let most = if thoroughly { usize::MAX } else { 1 };
    let tries = operation.tries.iter().filter(|_| thoroughly).map(|(name, case)| Probe::accepted(contract, operation, name, case));
    let accepted = bases(contract, operation, facts).map(|(name, case)| Probe::accepted(contract, operation, name, case));
    let broken = |(turn, accepted): (usize, Probe<'a>)| {
        let guards = operation.guards.iter().filter(|guard| which(guard) && (turn == 0 || !guard.shared));
        let ways = guards.flat_map(|guard| break_guard(guard, &accepted).into_iter().filter(possible).take(most).enumerate());
        ways.map(|(index, probe)| Probe { quiet: index > 0 || !thoroughly, ..probe }).collect::<Vec<_>>()
    };
    gather(contract, "guards", accepted.enumerate().flat_map(broken).chain(tries.filter(possible)))
}

/// The ways to break a guard that are tried with one operation: all of them, unless the guard is one of many operations.
/// Those try the first way each, and take turns with the others.
fn in_turn<'a>(guard: &Guard, ways: Vec<Probe<'a>>, (turn, most): (usize, usize)) -> Vec<Probe<'a>> {
    let of_many = guard.shared || matches!(guard.kind, GuardKind::Pagination(_) | GuardKind::Search(_));
    let others = ways.len().saturating_sub(1).max(1);
    let is_due = |index: usize| !of_many || index == 0 || (index - 1 + turn) % others < most;
    ways.into_iter().enumerate().filter(|(index, _)| is_due(*index)).map(|(_, way)| way).collect()
}

/// What can be spoiled of an operation: its cases, or, where nothing brings it to success, what is refused anyway.
fn bases<'a>(contract: &'a Contract, operation: &'a Operation, facts: &Facts) -> impl Iterator<Item = (&'a String, &'a Case)> {
    let can_be = |(name, case): &(&String, &Case)| Probe::accepted(contract, operation, name, case).is_possible(contract, facts);
    let bases = if operation.cases.iter().any(|base| can_be(&base)) { &operation.cases } else { &operation.tries };
    // Why a call is refused does not depend on how its token was got.
    bases.iter().filter(move |base| !base.1.signed_in && can_be(base))
}

/// Everything that is refused of one operation.
fn spoiled<'a>(contract: &'a Contract, operation: &'a Operation, facts: &Facts, due: (usize, usize)) -> Vec<Probe<'a>> {
    let mut probes: Vec<Probe<'a>> = Vec::new();
    let possible = |probe: &Probe<'_>| probe.is_possible(contract, facts);
    let mut shared_done = false;
    let mut looked: BTreeSet<String> = BTreeSet::new();
    let mut orders: Vec<BTreeSet<usize>> = Vec::new();
    for (name, case) in bases(contract, operation, facts) {
        let accepted = Probe::accepted(contract, operation, name, case);
        let mut order: Vec<Probe<'a>> = vec![accepted.clone()];
        let mut ordered = BTreeSet::new();
        for (index, guard) in operation.guards.iter().enumerate() {
            if guard.shared && shared_done {
                continue;
            }
            let ways = break_guard(guard, &accepted);
            if counts_for_order(&guard.kind) && !guard.shared {
                order = combine(order, ways.first(), &accepted);
                if !ways.is_empty() && guard.when.as_ref().is_none_or(|when| accepted.concerns(when)) {
                    ordered.insert(index);
                }
            }
            let ways = in_turn(guard, ways, due).into_iter().filter(|probe| possible(probe)).enumerate();
            // What a refusal leaves behind is looked at once for each way to be refused; of settings, in each case.
            let way = |probe: &Probe<'_>| probe.label.split_once(": ").unwrap_or_default().1.to_owned();
            let mut looks = |probe: &Probe<'_>| looked.insert(way(probe)) || operation.harm.tenant_wide;
            probes.extend(ways.map(|(index, probe)| Probe { quiet: index > 0 || !looks(&probe), ..probe }));
        }
        probes.extend(neighbours(operation, &accepted, shared_done).into_iter().filter(possible));
        shared_done = true;
        // What a case shows about order is shown already when an earlier one met the same guards.
        if !orders.iter().any(|earlier| ordered.is_subset(earlier)) {
            probes.extend(order.into_iter().filter(|probe| probe.label.matches(" + ").count() > 1 && possible(probe)));
            orders.push(ordered);
        }
    }
    probes.extend(operation.tries.iter().map(|(name, case)| Probe::accepted(contract, operation, name, case)).filter(possible));
    let mut distinct: Vec<Probe<'a>> = Vec::new();
    for probe in probes.into_iter().map(Probe::with_common_token) {
        let same = |other: &Probe<'_>| {
            other.payload == probe.payload
                && other.credential == probe.credential
                && other.scopes == probe.scopes
                && other.client == probe.client
                && other.who == probe.who
                && other.proof == probe.proof
                && other.levels == probe.levels
                && other.enabled == probe.enabled
                && other.factors == probe.factors
                && other.path == probe.path
                && other.query == probe.query
                && other.given == probe.given
                && other.obtain == probe.obtain
                && other.headers == probe.headers
                && other.signed_in == probe.signed_in
        };
        if !distinct.iter().any(same) {
            distinct.push(probe);
        }
    }
    distinct
}

/// Requests that break two neighbours in the order of refusals, where breaking each alone does not show which comes first.
fn neighbours<'a>(operation: &Operation, accepted: &Probe<'a>, own_only: bool) -> Vec<Probe<'a>> {
    let pairs = operation.guards.windows(2).filter_map(|pair| <&[Guard; 2]>::try_from(pair).ok());
    let told_apart = pairs.filter(|[first, second]| {
        let combined = [first, second].iter().all(|guard| counts_for_order(&guard.kind));
        !(combined || own_only && second.shared || first.refusal == second.refusal)
    });
    let mut probes = Vec::new();
    for [first, second] in told_apart {
        let both = break_guard(first, accepted).into_iter().flat_map(|spoiled| break_guard(second, &spoiled).into_iter().take(1));
        probes.extend(both.take(1).map(|probe| Probe { quiet: true, first: Some(first.refusal().into()), ..probe }));
    }
    probes
}

/// Each probe as it is, and once more with what `way` does to the accepted request.
fn combine<'a>(probes: Vec<Probe<'a>>, way: Option<&Probe<'a>>, accepted: &Probe<'a>) -> Vec<Probe<'a>> {
    let Some(way) = way else { return probes };
    let what = way.label.split_once(": ").map_or("", |(_, what)| what);
    let mut more = Vec::with_capacity(probes.len() * 2);
    for probe in probes {
        let mut spoiled = probe.clone();
        spoiled.label = format!("{} + {what}", probe.label);
        spoiled.quiet = true;
        spoiled.scopes = probe.scopes.intersection(&way.scopes).cloned().collect();
        if way.client != accepted.client {
            spoiled.client = way.client;
        }
        if way.proof != accepted.proof {
            spoiled.proof = way.proof;
        }
        if way.who != accepted.who {
            spoiled.who = way.who;
        }
        if way.factors != accepted.factors {
            spoiled.factors = way.factors;
        }
        if way.payload != accepted.payload {
            spoiled.payload = way.payload.clone();
        }
        let changed = way.levels.iter().filter(|(field, level)| accepted.levels.get(*field) != Some(level));
        spoiled.levels.extend(changed.map(|(field, level)| (field.clone(), level.clone())));
        more.push(probe);
        more.push(spoiled);
    }
    more
}

/// Paths and methods that do not exist, under the prefixes whose paths are all known.
pub fn routes(contract: &Contract) -> Draft<'_> {
    let prefixes: Vec<String> = contract.prefixes.keys().cloned().collect();
    Draft {
        id: "routes".into(),
        need: Need::default(),
        alone: false,
        write: Box::new(move |script| {
            for prefix in &prefixes {
                for (label, method, target) in [
                    ("unknown path", "GET", format!("{prefix}/lc-no-such-path")),
                    ("method without route", "PUT", prefix.clone()),
                    ("unknown method", "TRACE", prefix.clone()),
                ] {
                    let call = Call { operation: None, method: method.into(), target, headers: Vec::new(), body: None, body_base64: None };
                    if script.foresee(&call).is_some() {
                        script.call(Persona::Anonymous, Purpose::Probe(label.into()), call, &[]);
                    }
                }
            }
        }),
    }
}
