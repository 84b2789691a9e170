//! What a call meets besides its answer: guards that do not hold, levels of the fields in question, whose account it is, and
//! how often a deployment has to compute a password for it.

use super::call::Call;
use super::guard::Scene;
use super::password::is_cheap;
use super::state::{Entity, Key, Kind, State, Truth};
use crate::contract::guard::{FieldRule, GuardKind};

/// What a call meets in a state.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Survey {
    /// Indices of the guards that apply and do not hold, also of those that the answer does not tell.
    pub broken: Vec<usize>,
    /// Level of each field that the guards ask about; none for an absent key.
    pub levels: Vec<(String, Option<String>)>,
    /// Whose account it is about, if that is known.
    pub account: Option<Account>,
    /// How often a password is hashed or compared with a hash that is not cheap.
    pub passwords: usize,
}

/// What kind of account a user has.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of an account, independently of the others")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// It has a password.
    pub password: bool,
    /// It can be found by more than one identifier.
    pub identifiers: bool,
    /// It has a second factor.
    pub factor: bool,
    /// It is suspended.
    pub suspended: bool,
}

/// Surveys a call that the guard of index `refused` refuses, or none.
pub fn survey(call: &Call<'_>, state: &State, refused: Option<usize>, now: i64) -> Survey {
    let scene = Scene { call, state, now };
    let key = call.caller(state).or_else(|| call.subject());
    let user = key.as_ref().and_then(|key| state.get(key));
    let costs = user.is_some_and(|user| user.flag("hasPassword") == Some(true) && !is_cheap(user));
    let mut survey = Survey { account: key.zip(user).map(|(key, user)| account(&key, user, state)), ..Survey::default() };
    let mut verifies = false;
    for (index, guard) in call.operation.guards.iter().enumerate() {
        if scene.applies(guard) == Truth::No {
            continue;
        }
        if scene.holds(&guard.kind) == Truth::No {
            survey.broken.push(index);
        }
        match &guard.kind {
            GuardKind::Field(rule) | GuardKind::FieldReadable(rule) => {
                for field in asked(rule, call) {
                    let level = state.level(&field).filter(|_| state.has_level(&field) == Some(true)).map(str::to_owned);
                    survey.levels.push((field, level));
                }
            }
            GuardKind::PasswordMatches(_) | GuardKind::UserPassword(_) => verifies = true,
            _ => {}
        }
        let compares = matches!(&guard.kind, GuardKind::PasswordMatches(_) | GuardKind::UserPassword(_) | GuardKind::NewPassword(_));
        survey.passwords += usize::from(compares && costs && refused.is_none_or(|refused| index <= refused));
    }
    let stores =
        refused.is_none() && call.operation.writes() && !verifies && call.member("password").is_some_and(serde_json::Value::is_string);
    survey.passwords += usize::from(stores);
    survey.levels.sort();
    survey.levels.dedup();
    survey
}

/// The fields that a rule asks about for a call.
fn asked(rule: &FieldRule, call: &Call<'_>) -> Vec<String> {
    match rule {
        FieldRule::One(field) => vec![field.clone()],
        FieldRule::Each { each } => each.iter().filter(|field| call.member(field).is_some()).cloned().collect(),
        FieldRule::FirstSet { first_set } => first_set.clone(),
    }
}

fn account(key: &Key, user: &Entity, state: &State) -> Account {
    let identifiers = ["username", "primaryEmail", "primaryPhone"];
    Account {
        password: user.flag("hasPassword").unwrap_or_default(),
        identifiers: identifiers.iter().filter(|name| user.known(name).is_some_and(|value| !value.is_null())).count() > 1,
        factor: state.all(Kind::Factor).any(|(_, factor)| factor.text("owner") == Some(Some(key.id.as_str()))),
        suspended: user.flag("isSuspended").unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
