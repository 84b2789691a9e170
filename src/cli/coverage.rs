//! What the plans of the profiles reach: operations × outcomes, and the other dimensions of the coverage goal.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};

use super::settings::Settings;
use super::table::table;
use super::{Failure, session};
use crate::plan::{Coverage, Profile};

/// One plan.
struct Row {
    profile: Profile,
    requests: usize,
    sequences: usize,
    milliseconds: u128,
    coverage: Coverage,
}

/// Plans for each profile and tells what the plans reach.
pub(super) fn text(profiles: &[Profile], seed: u64, as_json: bool, settings: &Settings) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for profile in profiles {
        let started = Instant::now();
        let built = session::block_on(session::planned(settings, *profile, seed))?;
        rows.push(Row {
            profile: *profile,
            requests: built.plan.sequences().map(crate::plan::Sequence::requests).sum(),
            sequences: built.plan.sequences().count(),
            milliseconds: started.elapsed().as_millis(),
            coverage: built.coverage.unwrap_or_default(),
        });
    }
    Ok(if as_json { format!("{:#}\n", json(&rows)) } else { tables(&rows) })
}

fn json(rows: &[Row]) -> Value {
    let each = rows
        .iter()
        .map(|row| (row.profile.to_string(), json!({"requests": row.requests, "sequences": row.sequences, "coverage": row.coverage})));
    Value::Object(each.collect())
}

fn tables(rows: &[Row]) -> String {
    let names: Vec<String> = rows.iter().map(|row| row.profile.to_string()).collect();
    let head = |first: &'static str| -> Vec<&str> { std::iter::once(first).chain(names.iter().map(String::as_str)).collect() };
    let line = |name: &str, cell: &dyn Fn(&Row) -> String| std::iter::once(name.to_owned()).chain(rows.iter().map(cell)).collect();
    let mut lines: Vec<Vec<String>> = vec![
        line("requests", &|row| row.requests.to_string()),
        line("sequences", &|row| row.sequences.to_string()),
        line("password computations", &|row| row.coverage.passwords.to_string()),
        line("milliseconds to plan", &|row| row.milliseconds.to_string()),
        line("combinations", &|row| row.coverage.combinations.to_string()),
    ];
    for (index, name) in crate::plan::DIMENSIONS.iter().enumerate() {
        lines.push(line(name, &|row| row.coverage.goals.get(index).map_or_else(String::new, |goal| share(goal.reached, goal.goal))));
    }
    let mut text = table(&head("plan"), &lines);
    let operations = rows.first().map(|row| row.coverage.operations.as_slice()).unwrap_or_default();
    let cell = |row: &Row, index: usize| {
        row.coverage.operations.get(index).map_or_else(String::new, |operation| {
            let passwords = if operation.passwords > 0 { format!(" {} pw", operation.passwords) } else { String::new() };
            format!("{}/{} in {}{passwords}", operation.reached, operation.outcomes, operation.requests)
        })
    };
    let lines: Vec<Vec<String>> =
        operations.iter().enumerate().map(|(index, operation)| line(&operation.operation, &|row| cell(row, index))).collect();
    let _ = write!(text, "\n{}", table(&head("operation: outcomes in requests"), &lines));
    if let Some(last) = rows.last() {
        let lines: Vec<Vec<String>> = last
            .coverage
            .unreached
            .iter()
            .map(|unreached| vec![unreached.operation.clone(), unreached.outcome.clone(), unreached.reason.clone()])
            .collect();
        let _ = write!(text, "\nnot reached by {}: {}\n{}", last.profile, lines.len(), table(&["operation", "outcome", "reason"], &lines));
    }
    text
}

/// `3 of 4 (75 %)`
fn share(reached: usize, goal: usize) -> String {
    format!("{reached} of {goal} ({} %)", (reached * 100).checked_div(goal).unwrap_or(100))
}
