//! Tables of counts as heat maps: operation × check, field × level.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::report::document::{Report, TargetKind};
use crate::report::levels::LEVELS;

/// A table of counts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Heat {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// One line of it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub name: String,
    /// What belongs to the name: method and path.
    pub detail: String,
    pub group: String,
    pub deviates: bool,
    pub cells: Vec<Cell>,
}

/// One count.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cell {
    /// What stands in the cell.
    pub text: String,
    /// What a screen reader says, and a tip shows.
    pub title: String,
    /// `none`, `pass`, `fail` or `abstain`.
    pub kind: &'static str,
    /// 0 for nothing, to 4 for most.
    pub heat: u32,
    /// The finding to go to.
    pub finding: Option<String>,
}

/// Each tenfold of ten is one step warmer.
fn heat(count: u64) -> u32 {
    count.checked_ilog10().map_or(0, |tens| tens + 1).min(4)
}

/// Operation × check.
pub(super) fn operations(report: &Report) -> Heat {
    let columns: BTreeSet<&str> = report.operations.iter().flat_map(|row| row.checks.keys()).map(String::as_str).collect();
    let deviations: BTreeMap<(&str, &str), &str> = report
        .findings
        .iter()
        .chain(&report.warnings)
        .flat_map(|finding| finding.operations.iter().map(|id| ((id.as_str(), finding.check.as_str()), finding.id.as_str())))
        .collect();
    // A check that judged nothing on its own, but found something, has a column as well.
    let columns: BTreeSet<&str> = columns.into_iter().chain(deviations.keys().map(|(_, check)| *check)).collect();
    let rows =
        report.operations.iter().filter(|row| row.requests > 0 || report.target.kind == TargetKind::Embedded || !row.checks.is_empty());
    let row = |row: &crate::report::OperationRow| {
        let cells = columns.iter().map(|check| {
            let counts = row.checks.get(*check).copied().unwrap_or_default();
            let finding = deviations.get(&(row.id.as_str(), *check)).map(|id| (*id).to_owned());
            cell(counts.pass, counts.fail, counts.abstain, finding)
        });
        let cells: Vec<Cell> = cells.collect();
        Row {
            name: row.id.clone(),
            detail: format!("{} {}", row.method, row.path),
            group: row.collection.to_string(),
            deviates: cells.iter().any(|cell| cell.finding.is_some()),
            cells,
        }
    };
    Heat { rows: rows.map(row).collect(), columns: columns.into_iter().map(str::to_owned).collect() }
}

fn cell(pass: u64, fail: u64, abstain: u64, finding: Option<String>) -> Cell {
    let mut said = Vec::new();
    for (count, word) in [(pass, "passed"), (fail, "deviated"), (abstain, "not judged")] {
        if count > 0 {
            said.push(format!("{count} {word}"));
        }
    }
    let title = if said.is_empty() { "nothing to judge".to_owned() } else { said.join(", ") };
    match finding {
        Some(_) => Cell { text: format!("{} \u{2717}", fail.max(1)), title, kind: "fail", heat: 4, finding },
        // What was seen and is no finding is waived, flaky, or told as another check's finding.
        None if fail > 0 => Cell { text: format!("{fail} \u{26a0}"), title, kind: "abstain", heat: heat(fail), finding },
        None if pass > 0 => Cell { text: pass.to_string(), title, kind: "pass", heat: heat(pass), finding },
        None if abstain > 0 => Cell { text: abstain.to_string(), title, kind: "abstain", heat: 1, finding },
        None => Cell { title, kind: "none", ..Cell::default() },
    }
}

/// Field × level.
pub(super) fn levels(report: &Report) -> Heat {
    let fields: BTreeSet<&str> = report.levels.iter().map(|row| row.field.as_str()).collect();
    let row = |field: &&str| {
        let cells: Vec<Cell> = LEVELS
            .iter()
            .map(|level| {
                let Some(row) = report.levels.iter().find(|row| row.field == *field && row.level == *level) else {
                    return Cell { title: "not set".to_owned(), kind: "none", ..Cell::default() };
                };
                let title = format!("{} calls, {} findings", row.calls, row.findings.len());
                match row.findings.first() {
                    Some(id) => {
                        Cell { text: format!("{} \u{2717}", row.findings.len()), title, kind: "fail", heat: 4, finding: Some(id.clone()) }
                    }
                    None => Cell { text: row.calls.to_string(), title, kind: "pass", heat: heat(row.calls), finding: None },
                }
            })
            .collect();
        Row {
            name: (*field).to_owned(),
            detail: String::new(),
            group: "field".to_owned(),
            deviates: cells.iter().any(|cell| cell.finding.is_some()),
            cells,
        }
    };
    Heat { columns: LEVELS.map(str::to_owned).to_vec(), rows: fields.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_tenfold_is_one_step() {
        assert_eq!([0, 1, 9, 10, 99, 100, 1_000, 1_000_000].map(heat), [0, 1, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn a_deviation_leads_to_its_finding() {
        let heat = operations(&sample::full());
        assert_eq!(heat.columns, ["guard", "status"]);
        let row = heat.rows.iter().find(|row| row.name == "UpdateProfile").unwrap();
        assert_eq!((row.cells[0].finding.as_deref(), row.cells[0].text.as_str()), (Some("field-02-a1"), "1 \u{2717}"));
        assert_eq!((row.cells[1].kind, row.cells[1].title.as_str()), ("abstain", "28 passed, 1 deviated, 1 not judged"));
    }

    #[test]
    fn a_level_that_was_not_set_is_empty() {
        let heat = levels(&sample::full());
        let kinds: Vec<&str> = heat.rows[0].cells.iter().map(|cell| cell.kind).collect();
        assert_eq!(kinds, ["fail", "none", "none", "pass"]);
    }
}
