//! Puts the reports of all partitions of one plan together: what one run of the whole plan would have reported.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{
    Abstention, CheckCounts, Finding, IdleWaiver, Level, LevelRow, NotTested, OperationCounts, OperationRow, OutcomeCounts, OutcomeRow,
    Partition, Report, RequirementCounts, RequirementOperation, RequirementRow, SequenceRow, Summary, Timing, Tool,
};
use super::levels::LEVELS;
use super::scope::{ELSEWHERE, ELSEWHERE_AT_MOST, Scope};
use super::verdict::{RunVerdict, Verdict};
use crate::contract::{Contract, glob};

/// Why reports cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It tells of a whole plan.
    #[error("{name} tells of a whole plan, not of a partition")]
    Whole {
        /// The report.
        name: String,
    },
    /// Two reports tell of different things.
    #[error("{name} and {first} differ in their {what}: {this} against {that}")]
    Different {
        /// The report.
        name: String,
        /// The one that it is compared with.
        first: String,
        /// In what they differ.
        what: &'static str,
        /// What the report says.
        this: String,
        /// What the first one says.
        that: String,
    },
    /// A partition is there more than once.
    #[error("partition {partition} is there twice: {first} and {second}")]
    Twice {
        /// `M/N`.
        partition: String,
        /// A report of it.
        first: String,
        /// Another report of it.
        second: String,
    },
    /// Partitions are missing.
    #[error("no report tells of the partitions {0}")]
    Missing(String),
}

impl MergeError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Whole { .. } => "give the reports of `check --partition M/N`",
            Self::Different { .. } => "run all partitions with the same program, settings and flags but `--partition`",
            Self::Twice { .. } => "give each partition once",
            Self::Missing(_) => "give the reports of all partitions; one that brought no report must run again",
        }
    }
}

/// The report of the whole plan from those of its partitions, each with a name for messages. `contract` is the one that they
/// tell of; untested requirements that fit one of the patterns of `allow_untestable` do not decide the verdict.
pub fn merge(reports: Vec<(String, Report)>, contract: &Contract, allow_untestable: &[String]) -> Result<Report, MergeError> {
    let parts = in_order(reports)?;
    let merger = Merger { parts: &parts, contract };
    Ok(merger.report(allow_untestable))
}

/// The parts by number, if they are all there and of one plan.
fn in_order(reports: Vec<(String, Report)>) -> Result<Vec<(Partition, Report)>, MergeError> {
    let mut parts: BTreeMap<u32, (String, Partition, Report)> = BTreeMap::new();
    let mut first: Option<(String, [(&'static str, String); 8])> = None;
    for (name, report) in reports {
        let Some(partition) = report.partition.clone() else { return Err(MergeError::Whole { name }) };
        let said = said(&partition, &report);
        let (known, kept) = first.get_or_insert_with(|| (name.clone(), said.clone()));
        for ((what, this), (_, that)) in said.into_iter().zip(kept.iter().cloned()) {
            if this != that {
                return Err(MergeError::Different { name, first: known.clone(), what, this, that });
            }
        }
        if let Some((first, ..)) = parts.get(&partition.index) {
            let (partition, first) = (format!("{}/{}", partition.index, partition.of), first.clone());
            return Err(MergeError::Twice { partition, first, second: name });
        }
        parts.insert(partition.index, (name, partition, report));
    }
    let of = parts.values().next().map_or(0, |(_, partition, _)| partition.of);
    let missing: Vec<String> = (1..=of).filter(|index| !parts.contains_key(index)).map(|index| format!("{index}/{of}")).collect();
    if missing.is_empty() {
        Ok(parts.into_values().map(|(_, partition, report)| (partition, report)).collect())
    } else {
        Err(MergeError::Missing(missing.join(", ")))
    }
}

/// What all parts of a plan say alike.
fn said(partition: &Partition, report: &Report) -> [(&'static str, String); 8] {
    let kind = if report.target.kind == super::TargetKind::Embedded { "the embedded reference" } else { "a deployment" };
    [
        ("program", format!("{} {}", report.tool.name, report.tool.version)),
        ("contract", report.contract.clone()),
        ("seed", report.seed.to_string()),
        ("profile", report.profile.clone()),
        ("mode", report.mode.to_string()),
        ("kind of target", kind.to_owned()),
        ("number of partitions", partition.of.to_string()),
        ("plan", partition.plan.clone()),
    ]
}

struct Merger<'a> {
    parts: &'a [(Partition, Report)],
    contract: &'a Contract,
}

impl Merger<'_> {
    fn each(&self) -> impl Iterator<Item = &Report> {
        self.parts.iter().map(|(_, report)| report)
    }

    fn sum(&self, count: impl Fn(&Report) -> u64) -> u64 {
        self.each().map(count).sum()
    }

    fn report(&self, allow_untestable: &[String]) -> Report {
        let first = &self.parts[0].1;
        let (findings, warnings) = self.findings();
        let stale = self.stale();
        let requirements = self.requirements(&stale);
        let (untestable, out_of_scope) = self.not_tested(&requirements);
        let operations = self.operations();
        let outcomes = self.outcomes();
        let errors = self.errors(&stale);
        let mut verdicts: Vec<RunVerdict> =
            self.each().map(|report| report.verdict).filter(|verdict| *verdict != RunVerdict::Incomplete).collect();
        if !findings.is_empty() || !stale.is_empty() {
            verdicts.push(RunVerdict::Deviating);
        }
        let untested = untestable.iter().any(|row| !allow_untestable.iter().any(|pattern| glob(pattern, &row.requirement)));
        let unsure = requirements.iter().any(|row| row.verdict == Verdict::Flaky && row.level == Level::Must);
        if untested || unsure || self.each().any(|report| !report.errors.is_empty()) {
            verdicts.push(RunVerdict::Incomplete);
        }
        let verdict = RunVerdict::worst(verdicts);
        Report {
            tool: Tool::this(),
            partition: None,
            verdict,
            exit_code: verdict.exit_code(),
            summary: self.summary(&operations, &outcomes, &requirements, findings.len()),
            operations,
            requirements,
            outcomes,
            levels: self.levels(),
            sequences: self.sequences(),
            findings,
            warnings,
            untestable,
            out_of_scope,
            abstained: self.abstained(),
            errors,
            out: None,
            ..first.clone()
        }
    }

    fn summary(&self, operations: &[OperationRow], outcomes: &[OutcomeRow], requirements: &[RequirementRow], findings: usize) -> Summary {
        let first = &self.parts[0].1.summary;
        let (requests, duration_ms) = (self.sum(|report| report.summary.requests), self.sum(|report| report.summary.duration_ms));
        let called = || operations.iter().filter(|row| row.requests > 0);
        let specified = |id: &str| self.contract.specified().find(|operation| operation.id == id);
        let succeeded = |row: &&OperationRow| {
            specified(&row.id).is_some_and(|operation| operation.answers.iter().any(|answer| row.statuses.contains_key(&answer.status)))
        };
        Summary {
            requests,
            sequences: self.sum(|report| report.summary.sequences),
            duration_ms,
            requests_per_second: Summary::rate(requests, duration_ms),
            operations: OperationCounts {
                exercised: count(called().filter(|row| specified(&row.id).is_some()).count()),
                succeeded: count(operations.iter().filter(succeeded).count()),
                published_exercised: count(called().filter(|row| row.published).count()),
                ..first.operations
            },
            outcomes: OutcomeCounts {
                specified: count(outcomes.len()),
                predicted: count(outcomes.iter().filter(|row| row.predicted).count()),
                observed: count(outcomes.iter().filter(|row| row.observed > 0).count()),
            },
            requirements: RequirementCounts::of(requirements),
            checks: added(self.each().map(|report| &report.summary.checks)),
            findings: count(findings),
            residue: self.sum(|report| report.summary.residue),
        }
    }

    fn operations(&self) -> Vec<OperationRow> {
        let mut rows: BTreeMap<(usize, &str), OperationRow> = BTreeMap::new();
        for row in self.each().flat_map(|report| &report.operations) {
            // What only the document lists comes last.
            let place = self.contract.operations.iter().position(|operation| operation.id == row.id).unwrap_or(usize::MAX);
            let Some(sum) = rows.get_mut(&(place, row.id.as_str())) else {
                rows.insert((place, &row.id), row.clone());
                continue;
            };
            sum.requests += row.requests;
            for (status, answers) in &row.statuses {
                *sum.statuses.entry(*status).or_default() += answers;
            }
            sum.checks = added([&sum.checks, &row.checks].into_iter());
            sum.time = both(sum.time, row.time);
        }
        rows.into_values().collect()
    }

    fn outcomes(&self) -> Vec<OutcomeRow> {
        let mut rows = self.parts[0].1.outcomes.clone();
        for report in self.each().skip(1) {
            for (row, more) in rows.iter_mut().zip(&report.outcomes) {
                row.predicted |= more.predicted;
                row.observed += more.observed;
            }
        }
        rows
    }

    /// One cause, one finding: the shortest sequence that shows it stands for all.
    fn findings(&self) -> (Vec<Finding>, Vec<Finding>) {
        let decide: BTreeSet<&str> = self.each().flat_map(|report| &report.findings).map(|finding| finding.id.as_str()).collect();
        let mut causes: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in self.each().flat_map(|report| report.findings.iter().chain(&report.warnings)) {
            causes.entry(&finding.id).or_default().push(finding);
        }
        let (mut findings, mut warnings) = (Vec::new(), Vec::new());
        for (id, members) in causes {
            let Some(shortest) = members.iter().min_by_key(|finding| finding.steps) else { continue };
            let names = |of: fn(&Finding) -> &[String]| {
                let names: BTreeSet<&String> = members.iter().flat_map(|finding| of(finding)).collect();
                names.into_iter().cloned().collect()
            };
            let finding = Finding {
                level: members.iter().map(|finding| finding.level).min().unwrap_or(shortest.level),
                requirements: names(|finding| &finding.requirements),
                operations: names(|finding| &finding.operations),
                also_seen_in: members.iter().map(|finding| finding.also_seen_in + 1).sum::<u64>() - 1,
                ..(*shortest).clone()
            };
            if decide.contains(id) { findings.push(finding) } else { warnings.push(finding) }
        }
        (findings, warnings)
    }

    /// Waivers whose deviation no part showed although it could have shown.
    fn stale(&self) -> Vec<&IdleWaiver> {
        let lists: Option<Vec<&[IdleWaiver]>> = self.parts.iter().map(|(partition, _)| partition.idle_waivers.as_deref()).collect();
        let lists = lists.unwrap_or_default();
        let Some((first, rest)) = lists.split_first() else { return Vec::new() };
        let judged = |waiver: &IdleWaiver| {
            let fits = |row: &&RequirementRow| glob(&waiver.requirement, &row.id);
            self.each()
                .flat_map(|report| &report.requirements)
                .filter(fits)
                .flat_map(|row| &row.operations)
                .any(|part| part.evidence > 0 && glob(&waiver.operation, &part.operation))
        };
        first.iter().filter(|waiver| rest.iter().all(|list| list.contains(waiver)) && judged(waiver)).collect()
    }

    fn requirements(&self, stale: &[&IdleWaiver]) -> Vec<RequirementRow> {
        let rows = self.parts[0].1.requirements.iter().map(|first| {
            let rows: Vec<&RequirementRow> = self.rows(&first.id).collect();
            let mut operations = joined(&rows);
            let has = |verdict: Verdict| operations.iter().any(|part| part.verdict == verdict);
            let verdict = if has(Verdict::Fail) {
                Verdict::Fail
            } else if stale.iter().any(|waiver| glob(&waiver.requirement, &first.id)) {
                Verdict::StaleWaiver
            } else if let Some(verdict) = [Verdict::Flaky, Verdict::Waived].into_iter().find(|verdict| has(*verdict)) {
                verdict
            } else if rows.iter().any(|row| row.verdict == Verdict::Pass) {
                Verdict::Pass
            } else if self.reason(&first.id) == Some(ELSEWHERE) {
                Verdict::Untestable
            } else {
                Verdict::OutOfScope
            };
            if operations.is_empty() && verdict != Verdict::OutOfScope {
                let about = self.contract.operations.iter().filter(|operation| operation.requirements.contains(&first.id));
                let row = |operation: String| RequirementOperation { operation, verdict, evidence: 0, note: None };
                operations = about.map(|operation| row(operation.id.clone())).collect();
            }
            RequirementRow {
                id: first.id.clone(),
                level: first.level,
                verdict,
                evidence: rows.iter().map(|row| row.evidence).sum(),
                operations,
            }
        });
        rows.collect()
    }

    fn rows<'a>(&'a self, requirement: &'a str) -> impl Iterator<Item = &'a RequirementRow> {
        self.each().flat_map(|report| &report.requirements).filter(move |row| row.id == requirement)
    }

    /// Why no part tested a requirement, as they say.
    fn reason(&self, requirement: &str) -> Option<&str> {
        self.parts[0].1.out_of_scope.iter().find(|entry| entry.requirement == requirement).map(|entry| entry.reason.as_str())
    }

    fn not_tested(&self, rows: &[RequirementRow]) -> (Vec<NotTested>, Vec<NotTested>) {
        let first = &self.parts[0].1;
        let fact = |name: &str| first.facts.get(name);
        let scope = |whole: bool| Scope {
            mode: first.mode,
            whole,
            partition: false,
            can_sign_in: fact("can_sign_in").and_then(serde_json::Value::as_bool).unwrap_or(true),
            unpublished: fact("unpublished").and_then(serde_json::Value::as_str),
        };
        let (mut untestable, mut out_of_scope) = (Vec::new(), Vec::new());
        for row in rows {
            let list = match row.verdict {
                Verdict::Untestable => &mut untestable,
                Verdict::OutOfScope => &mut out_of_scope,
                _ => continue,
            };
            let said = first.out_of_scope.iter().find(|entry| entry.requirement == row.id);
            let whole = said.is_none_or(|entry| entry.reason != ELSEWHERE_AT_MOST);
            list.push(match said {
                Some(entry) if ![ELSEWHERE, ELSEWHERE_AT_MOST].contains(&entry.reason.as_str()) => entry.clone(),
                _ => {
                    let (reason, fix) = scope(whole).reason(self.contract.requirement(&row.id), None);
                    NotTested { requirement: row.id.clone(), reason, fix }
                }
            });
        }
        out_of_scope.extend(self.besides());
        (untestable, out_of_scope)
    }

    /// What the parts say was not tried although its requirement was tested.
    fn besides(&self) -> Vec<NotTested> {
        let mut besides: Vec<NotTested> = Vec::new();
        for report in self.each() {
            let mut own: BTreeSet<&str> =
                report.requirements.iter().filter(|row| row.verdict == Verdict::OutOfScope).map(|row| row.id.as_str()).collect();
            for entry in &report.out_of_scope {
                if !own.remove(entry.requirement.as_str()) && !besides.contains(entry) {
                    besides.push(entry.clone());
                }
            }
        }
        besides
    }

    fn levels(&self) -> Vec<LevelRow> {
        let mut rows: BTreeMap<(&str, usize), LevelRow> = BTreeMap::new();
        for row in self.each().flat_map(|report| &report.levels) {
            let place = LEVELS.iter().position(|known| *known == row.level).unwrap_or(LEVELS.len());
            let sum = rows.entry((&row.field, place)).or_insert_with(|| LevelRow { calls: 0, findings: Vec::new(), ..row.clone() });
            sum.calls += row.calls;
            sum.findings.extend(row.findings.iter().cloned());
        }
        let mut rows: Vec<LevelRow> = rows.into_values().collect();
        for row in &mut rows {
            row.findings.sort();
            row.findings.dedup();
        }
        rows
    }

    fn sequences(&self) -> Vec<SequenceRow> {
        let mut rows: Vec<SequenceRow> = self.each().flat_map(|report| report.sequences.iter().cloned()).collect();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows
    }

    fn abstained(&self) -> Vec<Abstention> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for row in self.each().flat_map(|report| &report.abstained) {
            *counts.entry((&row.check, &row.reason)).or_default() += row.count;
        }
        let row = |((check, reason), count): ((&str, &str), u64)| Abstention { check: check.to_owned(), reason: reason.to_owned(), count };
        counts.into_iter().map(row).collect()
    }

    fn errors(&self, stale: &[&IdleWaiver]) -> Vec<String> {
        let mut errors: Vec<String> = stale.iter().map(|waiver| format!("stale waiver: {}", waiver.text)).collect();
        for (Partition { index, of, .. }, report) in self.parts {
            errors.extend(report.errors.iter().map(|error| format!("partition {index}/{of}: {error}")));
            if let Some(out) = report.out.as_ref().filter(|_| report.summary.residue > 0) {
                errors.push(format!("partition {index}/{of}: finish its clean-up with `logto-conformance restore {out}/ledger.jsonl`"));
            }
        }
        errors
    }
}

/// What the parts say of one requirement, operation by operation.
fn joined(rows: &[&RequirementRow]) -> Vec<RequirementOperation> {
    // Of evidence that belongs to no operation, each operation that names the requirement gets an empty row.
    let is_real = |part: &&RequirementOperation| part.evidence > 0 || part.verdict != Verdict::Pass;
    let mut operations: BTreeMap<&str, RequirementOperation> = BTreeMap::new();
    for part in rows.iter().flat_map(|row| &row.operations).filter(is_real) {
        let Some(sum) = operations.get_mut(part.operation.as_str()) else {
            operations.insert(&part.operation, part.clone());
            continue;
        };
        sum.evidence += part.evidence;
        if rank(part.verdict) > rank(sum.verdict) {
            (sum.verdict, sum.note) = (part.verdict, part.note.clone());
        }
    }
    operations.into_values().collect()
}

/// Which verdict on an operation counts when there are several.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 3,
        Verdict::Waived => 2,
        Verdict::Flaky => 1,
        _ => 0,
    }
}

fn added<'a>(parts: impl Iterator<Item = &'a BTreeMap<String, CheckCounts>>) -> BTreeMap<String, CheckCounts> {
    let mut sums: BTreeMap<String, CheckCounts> = BTreeMap::new();
    for (name, counts) in parts.flatten() {
        let sum = sums.entry(name.clone()).or_default();
        sum.pass += counts.pass;
        sum.fail += counts.fail;
        sum.abstain += counts.abstain;
    }
    sums
}

fn both(left: Option<Timing>, right: Option<Timing>) -> Option<Timing> {
    let (Some(left), Some(right)) = (left, right) else { return left.or(right) };
    Some(Timing {
        answers: left.answers + right.answers,
        total_us: left.total_us.saturating_add(right.total_us),
        slowest_us: left.slowest_us.max(right.slowest_us),
    })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
