//! Field × level: what was asked under each level of each field of the account center, and what deviated there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Finding, LevelRow};
use crate::contract::Operation;
use crate::contract::guard::{FieldRule, GuardKind};
use crate::engine::RunResult;
use crate::plan::Settings;

/// The levels, from the tightest to the widest; `absent` stands for a field that has none.
pub(super) const LEVELS: [&str; 4] = ["Off", "absent", "ReadOnly", "Edit"];

/// One row per field and level, for the fields that the plan sets. Empty when it sets none.
pub(super) fn rows(result: &RunResult, findings: &[Finding], warnings: &[Finding]) -> Vec<LevelRow> {
    let fields: BTreeMap<&str, BTreeSet<String>> = result
        .contract
        .specified()
        .map(|operation| (operation.id.as_str(), fields_of(operation)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    let mut rows: BTreeMap<(String, usize), LevelRow> = BTreeMap::new();
    let mut at = |settings: &Settings, operation: &str, note: &mut dyn FnMut(&mut LevelRow)| {
        for (field, level) in fields.get(operation).into_iter().flatten().filter_map(|field| Some((field, settings.fields.get(field)?))) {
            let level = level.as_deref().unwrap_or("absent");
            let place = LEVELS.iter().position(|known| *known == level).unwrap_or(LEVELS.len());
            let row = rows.entry((field.clone(), place));
            note(row.or_insert_with(|| LevelRow { field: field.clone(), level: level.to_owned(), calls: 0, findings: Vec::new() }));
        }
    };
    for epoch in &result.plan.epochs {
        let Some(settings) = &epoch.settings else { continue };
        for operation in epoch.sequences.iter().flat_map(|sequence| &sequence.steps).filter_map(|step| step.operation()) {
            at(settings, operation, &mut |row| row.calls += 1);
        }
    }
    for found in result.found.iter().filter(|found| found.confirmation.holds()) {
        let (Some(settings), sighted) = (&found.settings, &found.sighted) else { continue };
        let told = findings.iter().chain(warnings).find(|finding| {
            finding.check == sighted.check
                && finding.operations.contains(&sighted.operation)
                && (&finding.expected, &finding.actual) == (&sighted.deviation.expected, &sighted.deviation.actual)
        });
        // A waived deviation is no finding.
        let Some(finding) = told else { continue };
        at(settings, &sighted.operation, &mut |row| row.findings.push(finding.id.clone()));
    }
    let mut rows: Vec<LevelRow> = rows.into_values().collect();
    for row in &mut rows {
        row.findings.sort();
        row.findings.dedup();
    }
    rows
}

/// The fields that an operation's guards ask for, or on which its answers depend.
fn fields_of(operation: &Operation) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for guard in &operation.guards {
        let (GuardKind::Field(rule) | GuardKind::FieldReadable(rule)) = &guard.kind else { continue };
        match rule {
            FieldRule::One(field) => _ = fields.insert(field.clone()),
            FieldRule::Each { each: many } | FieldRule::FirstSet { first_set: many } => fields.extend(many.iter().cloned()),
        }
    }
    for schema in operation.responses.values().flatten() {
        shown(schema.raw(), &mut fields);
    }
    fields
}

/// Collects `x-shown: {field: …}` from a schema.
fn shown(schema: &Value, fields: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(field) = members.get("x-shown").and_then(|rule| rule.get("field")).and_then(Value::as_str) {
                fields.insert(field.to_owned());
            }
            members.values().for_each(|member| shown(member, fields));
        }
        Value::Array(items) => items.iter().for_each(|item| shown(item, fields)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Contract, Version};

    #[test]
    fn guards_and_shown_properties_name_the_fields_of_an_operation() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let of = |id: &str| fields_of(contract.operation(id).unwrap()).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("UpdatePassword"), "password");
        assert!(of("GetProfile").contains("customData") && of("GetProfile").contains("username"), "{}", of("GetProfile"));
        assert_eq!(of("ListUsers"), "");
    }
}
