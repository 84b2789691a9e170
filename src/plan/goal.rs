//! How much a plan reaches of what there is to be seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::coverage::Sight;
use super::sequence::{Action, Persona, Plan};
use super::unreached::reason;
use crate::contract::guard::{AuthorizationRule, FieldRule, Guard, GuardKind, Status};
use crate::contract::{Contract, Operation};
use crate::model::Account;

/// What a plan reaches of the coverage goal, and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Passwords that a deployment hashes or compares, as far as the model can tell.
    pub passwords: usize,
    /// One row per dimension of the goal.
    pub goals: Vec<Reached>,
    /// Different combinations of operation, outcome, broken guards, field levels, persona and kind of account.
    pub combinations: usize,
    /// One row per specified operation, in the order of the contract.
    pub operations: Vec<OperationCoverage>,
    /// Outcomes that no call is predicted to have, with the reason.
    pub unreached: Vec<Unreached>,
}

/// How much of one dimension is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Name of the dimension, one of [`DIMENSIONS`].
    pub name: String,
    /// Pairs of an operation and something that the plan reaches.
    pub reached: usize,
    /// All such pairs.
    pub goal: usize,
}

/// What one operation gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCoverage {
    /// The operation.
    pub operation: String,
    /// Planned calls.
    pub requests: usize,
    /// Passwords computed for them.
    pub passwords: usize,
    /// Outcomes that are predicted.
    pub reached: usize,
    /// Outcomes that are specified.
    pub outcomes: usize,
}

/// An outcome that no planned call is predicted to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreached {
    /// The operation.
    pub operation: String,
    /// Status and code.
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// The dimensions of the goal: each is counted for every operation. `order` are two neighbouring guards broken at once,
/// `accounts` the kinds of account that a call comes from or acts upon.
pub const DIMENSIONS: [&str; 6] = ["outcomes", "guards", "order", "levels", "personas", "accounts"];

/// Things of one dimension, each with its operation.
type Things = BTreeSet<(String, String)>;

impl Coverage {
    /// What the calls of a plan reach.
    pub fn of(contract: &Contract, plan: &Plan, seen: &[Vec<Sight>]) -> Self {
        let mut reached: [Things; DIMENSIONS.len()] = Default::default();
        let mut goal: [Things; DIMENSIONS.len()] = Default::default();
        let mut rows: BTreeMap<&str, OperationCoverage> = BTreeMap::new();
        let sights = || seen.iter().flatten();
        for sight in sights() {
            let row = rows.entry(&sight.operation).or_default();
            row.requests += 1;
            row.passwords += sight.survey.passwords;
            if let Some(operation) = contract.operation(&sight.operation) {
                note(&mut reached, operation, sight);
            }
        }
        for operation in contract.specified() {
            aim(&mut goal, operation);
        }
        let sign_ins = plan.sequences().flat_map(|sequence| &sequence.steps).filter(|step| matches!(step.action, Action::SignIn(_)));
        let passwords = sights().map(|sight| sight.survey.passwords).sum::<usize>() + sign_ins.count();
        let combinations = sights().filter(|sight| !sight.setup).collect::<BTreeSet<_>>().len();
        let operations = contract.specified().map(|operation| {
            let mine = |things: &Things| things.iter().filter(|(id, _)| *id == operation.id).count();
            OperationCoverage {
                operation: operation.id.clone(),
                reached: goal[0].intersection(&reached[0]).filter(|(id, _)| *id == operation.id).count(),
                outcomes: mine(&goal[0]),
                ..rows.remove(operation.id.as_str()).unwrap_or_default()
            }
        });
        let unreached = goal[0].difference(&reached[0]).map(|(operation, outcome)| Unreached {
            operation: operation.clone(),
            outcome: outcome.clone(),
            reason: reason(operation, outcome).to_owned(),
        });
        let goals = DIMENSIONS.iter().zip(goal.iter().zip(&reached)).map(|(name, (goal, reached))| Reached {
            name: (*name).to_owned(),
            reached: goal.intersection(reached).count(),
            goal: goal.len(),
        });
        Self { passwords, goals: goals.collect(), combinations, operations: operations.collect(), unreached: unreached.collect() }
    }
}

/// Notes what a call shows in each dimension.
fn note(things: &mut [Things; DIMENSIONS.len()], operation: &Operation, sight: &Sight) {
    let mut add = |dimension: usize, what: String| _ = things[dimension].insert((operation.id.clone(), what));
    add(0, sight.outcome.clone());
    if let Some(guard) = sight.refused {
        add(1, guard.to_string());
    }
    for pair in sight.survey.broken.windows(2) {
        if pair[0] + 1 == pair[1] && sight.refused == Some(pair[0]) {
            add(2, pair[0].to_string());
        }
    }
    for (field, level) in &sight.survey.levels {
        add(3, format!("{field} {}", level.as_deref().unwrap_or("absent")));
    }
    add(4, format!("{:?}", sight.persona));
    if let Some(account) = sight.survey.account {
        for kind in kinds(account) {
            add(5, kind.to_owned());
        }
    }
}

/// What there is to be seen of an operation.
fn aim(things: &mut [Things; DIMENSIONS.len()], operation: &Operation) {
    let mut add = |dimension: usize, what: String| _ = things[dimension].insert((operation.id.clone(), what));
    for outcome in operation.outcomes().into_iter().filter(|outcome| matches!(outcome.status, Status::Exact(_))) {
        add(0, outcome.to_string());
    }
    for (index, guard) in operation.guards.iter().enumerate() {
        add(1, index.to_string());
        if let GuardKind::Field(rule) | GuardKind::FieldReadable(rule) = &guard.kind {
            for field in fields(rule) {
                for level in ["Off", "ReadOnly", "Edit", "absent"] {
                    add(3, format!("{field} {level}"));
                }
            }
        }
    }
    for (index, pair) in operation.guards.windows(2).enumerate() {
        if tells_apart(&pair[0], &pair[1]) {
            add(2, index.to_string());
        }
    }
    for persona in personas(operation) {
        add(4, format!("{persona:?}"));
    }
    if operation.path.contains("{userId}") || is_by_user(operation) {
        for account in [false, true].map(|yes| Account { password: yes, identifiers: yes, factor: yes, suspended: yes }) {
            for kind in kinds(account) {
                add(5, kind.to_owned());
            }
        }
    }
}

/// Whether an answer says which of two guards comes first.
fn tells_apart(first: &Guard, second: &Guard) -> bool {
    first.refusal != second.refusal
}

fn fields(rule: &FieldRule) -> Vec<&String> {
    match rule {
        FieldRule::One(field) => vec![field],
        FieldRule::Each { each } => each.iter().collect(),
        FieldRule::FirstSet { first_set } => first_set.iter().collect(),
    }
}

fn has(operation: &Operation, rule: AuthorizationRule) -> bool {
    operation.guards.iter().any(|guard| guard.kind == GuardKind::Authorization(rule))
}

fn is_by_user(operation: &Operation) -> bool {
    has(operation, AuthorizationRule::UserToken)
}

/// Who can be told apart by an operation.
fn personas(operation: &Operation) -> Vec<Persona> {
    use Persona::{Admin, Anonymous, DeadToken, Forged, IdToken, MachineWithoutScope, OtherUser, ThirdPartyUser, User, WithoutOpenid};
    if is_by_user(operation) {
        vec![User, OtherUser, ThirdPartyUser, WithoutOpenid, IdToken, DeadToken, Anonymous, Forged]
    } else if has(operation, AuthorizationRule::ManagementToken) {
        vec![Admin, User, MachineWithoutScope, Anonymous, Forged]
    } else {
        vec![Admin, Anonymous, Forged]
    }
}

/// The kinds that an account is of.
fn kinds(account: Account) -> [&'static str; 4] {
    let either = |flag: bool, yes, no| if flag { yes } else { no };
    [
        either(account.password, "password", "no password"),
        either(account.identifiers, "several identifiers", "one identifier"),
        either(account.factor, "factor", "no factor"),
        either(account.suspended, "suspended", "active"),
    ]
}
