//! Gathers sequences that can run under the same settings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::sequence::{FACTORS, Facts, Settings};
use crate::contract::Contract;

/// Settings that something needs; what is not named may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// Whether the account center must be on or off.
    pub enabled: Option<bool>,
    /// Level by field; `None` for an absent key.
    pub levels: BTreeMap<String, Option<String>>,
    /// Whether second factors must be switched on or off for the tenant.
    pub factors: Option<bool>,
}

impl Need {
    /// Both needs at once, if they do not contradict each other.
    pub fn join(&self, other: &Self) -> Option<Self> {
        let both = |left: Option<bool>, right: Option<bool>| match (left, right) {
            (Some(left), Some(right)) if left != right => None,
            (left, right) => Some(left.or(right)),
        };
        let (enabled, factors) = (both(self.enabled, other.enabled)?, both(self.factors, other.factors)?);
        let mut levels = self.levels.clone();
        for (field, level) in &other.levels {
            if levels.insert(field.clone(), level.clone()).is_some_and(|known| known != *level) {
                return None;
            }
        }
        Some(Self { enabled, levels, factors })
    }

    /// Settings that meet the need; fields that nobody asks for are at Edit.
    pub fn settings(&self, fields: &BTreeSet<String>) -> Settings {
        let mut levels: BTreeMap<String, Option<String>> = fields.iter().map(|field| (field.clone(), Some("Edit".to_owned()))).collect();
        levels.extend(self.levels.clone());
        Settings { enabled: self.enabled.unwrap_or(true), fields: levels, factors: self.factors }
    }

    /// Whether settings as found meet the need. A field that is absent counts as Off.
    pub fn met_by(&self, facts: &Facts) -> bool {
        let center = &facts.account_center;
        let factors = facts.sign_in_experience.pointer("/mfa/factors").and_then(Value::as_array);
        let has = |factor: &str| factors.is_some_and(|factors| factors.iter().any(|other| other == factor));
        let switched = |on: bool| FACTORS.iter().all(|factor| has(factor) == on);
        let level = |field: &str| center.pointer(&format!("/fields/{field}")).and_then(Value::as_str);
        self.enabled.is_none_or(|enabled| center.get("enabled") == Some(&Value::Bool(enabled)))
            && self.factors.is_none_or(switched)
            && self.levels.iter().all(|(field, wanted)| level(field) == wanted.as_deref())
    }
}

/// The fields of the account center, as the schema of its settings names them.
pub fn fields(contract: &Contract) -> BTreeSet<String> {
    let operation = contract.operation("GetAccountCenterSettings");
    let schema = operation.and_then(|operation| operation.responses.get(&200)).and_then(Option::as_ref);
    let names = schema.and_then(|schema| schema.raw().pointer("/properties/fields/properties")).and_then(Value::as_object);
    names.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Rows of levels such that any two fields meet in every combination of levels: a pairwise covering array.
pub fn covering_rows(fields: &BTreeSet<String>, rng: &mut impl rand::Rng) -> Vec<BTreeMap<String, Option<String>>> {
    const LEVELS: [&str; 3] = ["Off", "ReadOnly", "Edit"];
    let names: Vec<&String> = fields.iter().collect();
    let mut open = BTreeSet::new();
    for left in 0..names.len() {
        for right in left + 1..names.len() {
            for pair in 0..LEVELS.len() * LEVELS.len() {
                open.insert((left, pair / LEVELS.len(), right, pair % LEVELS.len()));
            }
        }
    }
    let mut rows = Vec::new();
    while let Some(&(left, left_level, right, right_level)) = open.first() {
        let mut row: Vec<Option<usize>> = vec![None; names.len()];
        row[left] = Some(left_level);
        row[right] = Some(right_level);
        for index in 0..names.len() {
            if row[index].is_some() {
                continue;
            }
            let gain = |level: usize| {
                (0..names.len())
                    .filter(|other| {
                        row[*other].is_some_and(|known| {
                            open.contains(&if *other < index { (*other, known, index, level) } else { (index, level, *other, known) })
                        })
                    })
                    .count()
            };
            let start = (rng.next_u32() as usize) % LEVELS.len();
            let best = (0..LEVELS.len()).map(|step| (start + step) % LEVELS.len()).max_by_key(|level| gain(*level));
            row[index] = best;
        }
        let chosen: Vec<usize> = row.into_iter().map(|level| level.unwrap_or(0)).collect();
        open.retain(|(left, left_level, right, right_level)| chosen[*left] != *left_level || chosen[*right] != *right_level);
        rows.push(names.iter().zip(&chosen).map(|(name, level)| ((*name).clone(), Some(LEVELS[*level].to_owned()))).collect());
    }
    rows
}
