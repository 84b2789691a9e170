//! Random walks: one user, calls of both collections drawn at random, and the model that says what each will bring.

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::cast::Cast;
use super::coverage::Sight;
use super::look::look;
use super::matrix::carry_out;
use super::probe::{Credential, Probe, Who};
use super::script::Script;
use super::sequence::{Facts, Purpose, Sequence, Settings};
use super::twist::break_guard;
use crate::contract::{Collection, Contract, Operation};

/// Calls that a walk tries, besides the setup and the looks that go with them.
const STEPS: usize = 24;

/// Operations of each collection that a walk draws from: few, so that they meet often.
const SWARM: usize = 6;

/// Of ten calls, how many are meant to be accepted.
const ACCEPTED_OF_TEN: u32 = 7;

/// The walk of that number under settings (`None`: as found), and what it shows.
pub fn walk(contract: &Contract, facts: &Facts, settings: Option<&Settings>, seed: u64, index: u64) -> (Sequence, Vec<Sight>) {
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed.rotate_left(32) ^ index);
    let mut script = Script::new(contract, facts, settings);
    // Whoever has no password cannot prove an identity by one, and costs the target less.
    let mut cast = Cast::of_one(rng.random_ratio(1, 3));
    let swarm: Vec<&Operation> = [Collection::Account, Collection::Management]
        .into_iter()
        .flat_map(|collection| {
            let all: Vec<&Operation> =
                contract.specified().filter(|operation| operation.collection == collection && is_walked(operation)).collect();
            all.sample(&mut rng, SWARM).copied().collect::<Vec<_>>()
        })
        .collect();
    for _ in 0..STEPS {
        let Some(probe) = swarm.choose(&mut rng).and_then(|operation| draw(contract, facts, operation, &mut rng)) else { continue };
        let rendered = probe.render(&mut script, &mut cast);
        // What the model cannot tell shows nothing.
        let Some(outcome) = script.foresee(&rendered.1) else { continue };
        if outcome.status.is_success() {
            carry_out(&mut script, &mut cast, &probe, rendered);
            continue;
        }
        let (persona, call, user, _) = rendered;
        let target = call.target.clone();
        script.call(persona, Purpose::Probe(probe.label.clone()), call, &[]);
        let of = script.last();
        if probe.operation.writes() {
            look(&mut script, &probe, &target, user, of, true);
        }
        // A token that has died teaches once; then comes another one, or somebody else.
        if let Some(user) = user.filter(|_| probe.by_user() && probe.credential == Credential::Caller && outcome.status.admits(401)) {
            script.forget_tokens(user);
            if rng.random_bool(0.5) {
                cast.replace();
            }
        }
    }
    script.finish_seen(format!("walks/{}", index + 1))
}

/// Whether walks call it: it changes nothing that others feel, sends nothing, and can succeed.
fn is_walked(operation: &Operation) -> bool {
    !operation.harm.tenant_wide && !operation.harm.sends && !operation.cases.is_empty()
}

/// An accepted case, a case with one guard broken, or something tried.
fn draw<'a>(contract: &'a Contract, facts: &Facts, operation: &'a Operation, rng: &mut rand::rngs::StdRng) -> Option<Probe<'a>> {
    let broken = !rng.random_ratio(ACCEPTED_OF_TEN, 10);
    let tried = broken && rng.random_bool(0.3) && !operation.tries.is_empty();
    let cases = if tried { &operation.tries } else { &operation.cases };
    let (name, case) = cases.iter().nth(rng.random_range(0..cases.len()))?;
    let accepted = Probe::accepted(contract, operation, name, case);
    let probe = if broken && !tried {
        let own: Vec<_> = operation.own_guards().collect();
        break_guard(own.choose(rng)?, &accepted).choose(rng)?.clone()
    } else {
        accepted
    };
    // Whoever signs in must be able to, and whoever is to lose everything is no longer the one of the walk.
    let fits = probe.is_possible(contract, facts)
        && !probe.needs_sign_in(contract)
        && probe.credential != Credential::IdToken
        && !matches!(probe.who, Who::Only(_));
    fits.then_some(probe)
}
