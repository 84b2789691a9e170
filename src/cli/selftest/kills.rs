//! What became of the faults: which were seen, by which checks, after how many requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::table::table;
use crate::contract::CHECKS;
use crate::plan::Profile;
use crate::reference::Fault;
use crate::report::Report;

/// What became of one fault with one seed.
#[derive(Debug, Clone)]
pub struct Row {
    fault: Fault,
    seed: u64,
    /// The checks that caught it.
    by: BTreeSet<String>,
    requirements: BTreeSet<String>,
    operations: BTreeSet<String>,
    /// Requests that were sent until the first deviation that became a finding was sighted.
    requests_to_kill: Option<u64>,
}

impl Row {
    /// What a run of the reference with the fault reported.
    pub fn of(fault: Fault, seed: u64, report: &Report, requests_to_kill: Option<u64>) -> Self {
        let all = || report.findings.iter().chain(&report.warnings);
        Self {
            fault,
            seed,
            by: all().map(|finding| finding.check.clone()).collect(),
            requirements: all().flat_map(|finding| finding.requirements.iter().cloned()).collect(),
            operations: all().flat_map(|finding| finding.operations.iter().cloned()).collect(),
            requests_to_kill,
        }
    }

    fn killed(&self) -> bool {
        !self.by.is_empty()
    }

    /// Whether the operation and the requirement that the catalogue expects are named.
    fn named(&self) -> bool {
        self.operations.contains(&self.fault.operation) && self.requirements.contains(&self.fault.requirement)
    }

    /// A line when nothing caught the fault and no excuse covers it.
    pub fn survived(&self) -> Option<String> {
        let Fault { id, class, layer, what, operation, requirement, excused, .. } = &self.fault;
        (!self.killed() && excused.is_none()).then(|| {
            let (class, layer) = (word(class), word(layer));
            format!("survived: {id} (seed {}): {what} [{class}, {layer}, {operation}, {requirement}]", self.seed)
        })
    }

    fn note(&self) -> String {
        match (&self.fault.excused, self.killed()) {
            (Some(excuse), false) => format!("excused: {excuse}"),
            (Some(_), true) => "its excuse no longer holds".to_owned(),
            _ => String::new(),
        }
    }
}

/// The kill matrix of a self-test.
#[derive(Debug)]
pub struct Kills {
    /// How much was tested.
    pub profile: Profile,
    /// Each run went to its end; otherwise the first finding ended it.
    pub matrix: bool,
    /// One row per fault and seed.
    pub rows: Vec<Row>,
    /// Findings and warnings of the runs without a fault, by seed.
    pub false_alarms: BTreeMap<u64, u64>,
}

impl Kills {
    /// Findings without a fault.
    pub fn alarms(&self) -> u64 {
        self.false_alarms.values().sum()
    }

    /// A line for each fault that nothing caught and no excuse covers.
    pub fn survivors(&self) -> impl Iterator<Item = String> {
        self.rows.iter().filter_map(Row::survived)
    }

    /// The middle of the requests that it took to kill, of the two middle ones the larger.
    fn median(&self) -> Option<u64> {
        let mut numbers: Vec<u64> = self.rows.iter().filter_map(|row| row.requests_to_kill).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied()
    }

    /// The faults that a check is the only one, or without the whole matrix the first one, to catch.
    fn own(&self, check: &str) -> BTreeSet<&str> {
        let alone = |row: &&Row| row.by.len() == 1 && row.by.contains(check);
        self.rows.iter().filter(alone).map(|row| row.fault.id.as_str()).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let seeds = self.false_alarms.len();
        let line = |row: &Row| {
            let verdict = match (row.killed(), self.matrix && !row.named()) {
                (false, _) => "SURVIVED",
                (true, true) => "killed, other name",
                (true, false) => "killed",
            };
            let id = if seeds > 1 { format!("{} (seed {})", row.fault.id, row.seed) } else { row.fault.id.clone() };
            let checks = row.by.iter().cloned().collect::<Vec<_>>().join(" ");
            vec![id, verdict.into(), row.requests_to_kill.map_or_else(String::new, |requests| requests.to_string()), checks, row.note()]
        };
        let lines: Vec<Vec<String>> = self.rows.iter().map(line).collect();
        let mut text = table(&["fault", "verdict", "requests", "checks", "note"], &lines);
        text.push('\n');
        let title = if self.matrix { "only it catches" } else { "it catches first" };
        let checks: Vec<Vec<String>> = CHECKS
            .iter()
            .map(|check| {
                let own = self.own(check);
                let example = own
                    .first()
                    .map_or_else(|| "none".to_owned(), |id| format!("{}: {id}{}", own.len(), if own.len() > 1 { ", …" } else { "" }));
                vec![(*check).to_owned(), self.rows.iter().filter(|row| row.by.contains(*check)).count().to_string(), example]
            })
            .collect();
        text += &table(&["check", "kills", title], &checks);
        text.push('\n');
        for (seed, alarms) in &self.false_alarms {
            let of = self.of_seed(*seed);
            let _ = writeln!(
                text,
                "profile {}, seed {seed}: {} of {} killed ({}), {} excused, {} survived; {alarms} findings without a fault",
                self.profile,
                of.killed,
                of.faults,
                of.share(),
                of.excused,
                of.faults - of.killed - of.excused
            );
        }
        if let Some(median) = self.median() {
            let _ = writeln!(text, "requests until a fault is seen: {median} in the median");
        }
        if self.matrix {
            let named = self.rows.iter().filter(|row| row.killed() && row.named()).count();
            let _ = writeln!(text, "{named} named with the expected operation and requirement");
        }
        for line in self.survivors() {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// For programs; without the search for secrets.
    pub fn document(&self) -> Value {
        let faults: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let Fault { id, class, layer, excused, .. } = &row.fault;
                let mut fault = json!({
                    "id": id, "class": class, "layer": layer, "seed": row.seed, "killed": row.killed(), "by": row.by,
                    "requests_to_kill": row.requests_to_kill, "excused": excused,
                    "requirements": row.requirements, "operations": row.operations,
                });
                if self.matrix {
                    fault["named"] = json!(row.named());
                }
                fault
            })
            .collect();
        let own = if self.matrix { "alone" } else { "first" };
        let check = |check: &&str| json!({"check": check, "kills": self.rows.iter().filter(|row| row.by.contains(*check)).count(), own: self.own(check)});
        let seed = |(seed, alarms): (&u64, &u64)| {
            let of = self.of_seed(*seed);
            json!({"seed": seed, "faults": of.faults, "killed": of.killed, "excused": of.excused, "false_alarms": alarms})
        };
        json!({
            "faults": faults, "checks": CHECKS.iter().map(check).collect::<Vec<_>>(), "profile": self.profile.to_string(),
            "seeds": self.false_alarms.iter().map(seed).collect::<Vec<_>>(), "median_requests_to_kill": self.median(),
            "false_alarms": self.alarms(),
        })
    }

    fn of_seed(&self, seed: u64) -> OfSeed {
        let mut of = OfSeed::default();
        for row in self.rows.iter().filter(|row| row.seed == seed) {
            of.faults += 1;
            of.killed += usize::from(row.killed());
            of.excused += usize::from(!row.killed() && row.fault.excused.is_some());
        }
        of
    }
}

/// A word of a closed set, as the catalogue writes it.
fn word(of: &impl serde::Serialize) -> String {
    json!(of).as_str().unwrap_or_default().to_owned()
}

/// What became of the faults with one seed.
#[derive(Debug, Default)]
struct OfSeed {
    faults: usize,
    killed: usize,
    excused: usize,
}

impl OfSeed {
    /// Killed of all, in percent with one decimal, rounded down.
    fn share(&self) -> String {
        let tenths = (self.killed * 1000).checked_div(self.faults).unwrap_or_default();
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, sample};

    fn row(fault: &str, seed: u64, checks: &[&str], requests_to_kill: Option<u64>) -> Row {
        let fault = Fault::named(fault).unwrap();
        let mut report = sample::minimal();
        report.findings = checks
            .iter()
            .map(|check| Finding {
                check: (*check).to_owned(),
                operations: vec![fault.operation.clone()],
                requirements: vec![fault.requirement.clone()],
                ..sample::full().findings.remove(0)
            })
            .collect();
        Row::of(fault, seed, &report, requests_to_kill)
    }

    fn kills(matrix: bool) -> Kills {
        let mut excused = row("password-leaks", 1, &[], None);
        excused.fault.excused = Some("a reason".into());
        let rows = vec![
            row("username-taken-twice", 1, &["status", "state"], Some(40)),
            row("deletion-of-nobody", 1, &["status"], Some(7)),
            excused,
            row("tenant-shown", 1, &[], None),
        ];
        Kills { profile: Profile::Standard, matrix, rows, false_alarms: BTreeMap::from([(1, 0)]) }
    }

    #[test]
    fn what_survives_without_an_excuse_is_told_in_full() {
        let kills = kills(true);
        let survivors: Vec<String> = kills.survivors().collect();
        assert!(matches!(survivors.as_slice(), [line] if line.starts_with("survived: tenant-shown (seed 1): ")), "{survivors:?}");
        let text = kills.text();
        for line in [
            "profile standard, seed 1: 2 of 4 killed (50.0 %), 1 excused, 1 survived; 0 findings without a fault",
            "requests until a fault is seen: 40 in the median",
            "2 named with the expected operation and requirement",
            "survived: tenant-shown (seed 1): The account shows a property that the contract does not name. [schema-drift, http, GetProfile, GEN-SCHEMA-01]",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.contains("excused: a reason"), "{text}");
    }

    #[test]
    fn a_program_reads_who_killed_what_and_when() {
        let document = kills(true).document();
        let fault = &document["faults"][1];
        assert_eq!((&fault["id"], &fault["killed"], &fault["requests_to_kill"]), (&json!("deletion-of-nobody"), &json!(true), &json!(7)));
        assert_eq!((&fault["class"], &fault["layer"], &fault["by"]), (&json!("guard-dropped"), &json!("contract"), &json!(["status"])));
        assert_eq!(document["median_requests_to_kill"], 40);
        let check = document["checks"].as_array().unwrap().iter().find(|row| row["check"] == "status").unwrap();
        assert_eq!((&check["kills"], &check["alone"]), (&json!(2), &json!(["deletion-of-nobody"])));
        assert_eq!(document["seeds"], json!([{"seed": 1, "faults": 4, "killed": 2, "excused": 1, "false_alarms": 0}]));
        assert!(kills(false).document()["checks"][0].get("alone").is_none(), "a run that was ended early knows the first only");
    }
}
