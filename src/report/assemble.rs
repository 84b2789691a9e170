//! From what a run found out to the report.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::curl;
use super::document::{
    Abstention, CheckCounts, Collection, Finding, IdleWaiver, Level, Mode, NotTested, OperationCounts, OperationRow, OutcomeCounts,
    OutcomeRow, Partition, Place, Report, RequirementCounts, RequirementOperation, RequirementRow, SCHEMA_VERSION, SequenceRow, Summary,
    Target, TargetKind, Timing, Tool,
};
use super::levels;
use super::scope::Scope;
use super::verdict::{RunVerdict, Verdict};
use crate::check::{Waiver, Waivers};
use crate::contract::guard::Status;
use crate::contract::{self, Need, Operation, Origin, PublishedOperation, Requirement, Unprobed, glob};
use crate::engine::{Found, Ran, RunResult, Words};
use crate::plan::{Action, Epoch, Facts, Plan};

/// What a report says besides what was found out.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The target's address.
    pub endpoint: String,
    /// Embedded or remote.
    pub kind: TargetKind,
    /// Name of the profile.
    pub profile: String,
    /// What might be touched.
    pub mode: Mode,
    /// SHOULD counts as MUST.
    pub strict: bool,
    /// Everything that could be planned was planned (`standard` or more, no `--only`).
    pub whole: bool,
    /// Requirements that may stay untested.
    pub allow_untestable: Vec<String>,
    /// The run's folder.
    pub out: Option<String>,
}

/// What shows a finding again.
#[derive(Debug, Clone)]
pub struct Reproduction {
    /// For `replay`.
    pub plan: Plan,
    /// For a shell, if the sequence can be told as one.
    pub script: Option<String>,
}

/// Builds the report, and what shows each finding again by its id.
pub fn assemble(result: &RunResult, circumstances: &Circumstances) -> (Report, BTreeMap<String, Reproduction>) {
    let mut assembly = Assembly { result, circumstances, waived: BTreeMap::new(), failed: BTreeSet::new(), flaky: BTreeMap::new() };
    let waivers = assembly.waive();
    let (mut findings, mut warnings, reproductions) = assembly.findings();
    let (idle, stale) = (assembly.idle(&waivers), assembly.stale(&waivers));
    let requirements = assembly.requirements(&stale);
    let (untestable, out_of_scope) = assembly.not_tested(&requirements);
    findings.sort_by(|a, b| a.id.cmp(&b.id));
    warnings.sort_by(|a, b| a.id.cmp(&b.id));
    let outcomes = assembly.outcomes();
    let mut verdicts = vec![RunVerdict::Conformant];
    if !findings.is_empty() || !stale.is_empty() {
        verdicts.push(RunVerdict::Deviating);
    }
    if !result.residue.is_empty() {
        verdicts.push(RunVerdict::Residue);
    }
    let untested = untestable.iter().any(|row| !circumstances.allow_untestable.iter().any(|pattern| glob(pattern, &row.requirement)));
    // What a MUST requirement showed once and not again was not tested to the end.
    let unsure = requirements.iter().any(|row| row.verdict == Verdict::Flaky && row.level == Level::Must);
    if untested || unsure || result.stopped || !result.troubles.is_empty() {
        verdicts.push(RunVerdict::Incomplete);
    }
    if result.counts.is_empty() && !result.troubles.is_empty() {
        verdicts.push(RunVerdict::Unreachable);
    }
    let mut errors = result.troubles.clone();
    errors.extend(stale.iter().map(|waiver| format!("stale waiver: {}", waiver.outlived())));
    errors.extend(result.residue.iter().map(|left| format!("not put back: {left}")));
    if result.stopped {
        errors.push("the run was ended before the plan was done".into());
    }
    let listed: BTreeSet<&str> = assembly.published().filter_map(|listed| Some(result.contract.listed(listed)?.id.as_str())).collect();
    let rows: Vec<OperationRow> = result
        .contract
        .operations
        .iter()
        .filter(|operation| operation.origin == Origin::Contract || assembly.is_exercised(operation))
        .map(|operation| OperationRow { published: listed.contains(operation.id.as_str()), ..assembly.operation(operation) })
        .collect();
    let succeeded = result
        .contract
        .specified()
        .filter(|operation| operation.answers.iter().any(|answer| assembly.status_count(operation, answer.status) > 0))
        .count();
    let summary = Summary {
        requests: result.requests,
        sequences: count(result.plan.sequences().count()),
        duration_ms: result.duration_ms,
        requests_per_second: Summary::rate(result.requests, result.duration_ms),
        operations: OperationCounts {
            specified: count(result.contract.specified().count()),
            exercised: count(result.contract.specified().filter(|operation| assembly.is_exercised(operation)).count()),
            succeeded: count(succeeded),
            published: count(assembly.published().count()),
            published_exercised: count(rows.iter().filter(|row| row.published && row.requests > 0).count()),
        },
        outcomes: OutcomeCounts {
            specified: count(outcomes.len()),
            predicted: count(outcomes.iter().filter(|row| row.predicted).count()),
            observed: count(outcomes.iter().filter(|row| row.observed > 0).count()),
        },
        requirements: RequirementCounts::of(&requirements),
        checks: result.counts.checks().into_iter().map(words).collect(),
        findings: count(findings.len()),
        residue: count(result.residue.len()),
    };
    let verdict = RunVerdict::worst(verdicts);
    let report = Report {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        contract: result.contract.version.to_string(),
        target: Target { endpoint: circumstances.endpoint.clone(), kind: circumstances.kind },
        seed: result.plan.seed,
        profile: circumstances.profile.clone(),
        mode: circumstances.mode,
        partition: result.partition.as_ref().map(|(partition, digest)| Partition {
            index: partition.index(),
            of: partition.of(),
            plan: digest.clone(),
            idle_waivers: idle,
        }),
        verdict,
        exit_code: verdict.exit_code(),
        summary,
        operations: rows,
        facts: facts(&result.plan.facts),
        requirements,
        outcomes,
        coverage: result.coverage.clone(),
        levels: levels::rows(result, &findings, &warnings),
        sequences: result.sequences.iter().map(sequence).collect(),
        findings,
        warnings,
        untestable,
        out_of_scope,
        abstained: result
            .counts
            .abstentions()
            .into_iter()
            .map(|((check, reason), count)| Abstention { check: check.to_owned(), reason: reason.to_owned(), count })
            .collect(),
        errors,
        out: circumstances.out.clone(),
    };
    (report, reproductions)
}

fn facts(facts: &Facts) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::from([
        ("account_center".to_owned(), facts.account_center.clone()),
        ("sign_in_experience".to_owned(), facts.sign_in_experience.clone()),
        ("can_sign_in".to_owned(), json!(facts.can_sign_in)),
    ]);
    told.extend(facts.unpublished.iter().map(|why| ("unpublished".to_owned(), json!(why))));
    told
}

fn sequence(ran: &Ran) -> SequenceRow {
    let place = |(requirement, operation): &(String, String)| Place { requirement: requirement.clone(), operation: operation.clone() };
    SequenceRow { id: ran.id.clone(), requests: count(ran.requests), deviates: ran.deviates.iter().map(place).collect() }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Whether somebody signs in through pages, which is more than one request.
fn signs_in(found: &Found) -> bool {
    found.confirmation.sequence.steps.iter().any(|step| matches!(step.action, Action::SignIn(_)))
}

/// The same for the same texts, in every run.
fn identity(kind: &str, texts: &[&str]) -> String {
    let digest = Sha256::digest(texts.join("\n"));
    format!("{kind}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

struct Assembly<'a> {
    result: &'a RunResult,
    circumstances: &'a Circumstances,
    /// Reason of the waiver by requirement and operation.
    waived: BTreeMap<(String, String), String>,
    failed: BTreeSet<(String, String)>,
    flaky: BTreeMap<(String, String), String>,
}

impl Assembly<'_> {
    /// Notes what was expected; the waivers, which know then whether they were needed.
    fn waive(&mut self) -> Waivers {
        let mut waivers = self.result.waivers.clone();
        for sighted in &self.result.waived {
            if let Some(reason) = waivers.covers(&sighted.requirement, &sighted.operation, &sighted.deviation) {
                self.waived.insert((sighted.requirement.clone(), sighted.operation.clone()), reason);
            }
        }
        waivers
    }

    /// One cause, one finding: confirmed deviations with the same check and the same difference are one.
    fn findings(&mut self) -> (Vec<Finding>, Vec<Finding>, BTreeMap<String, Reproduction>) {
        let mut groups: BTreeMap<(String, String, String), Vec<&Found>> = BTreeMap::new();
        let mut unsure = BTreeMap::new();
        for found in &self.result.found {
            let sighted = &found.sighted;
            let place = (sighted.requirement.clone(), sighted.operation.clone());
            let confirmation = &found.confirmation;
            if !confirmation.holds() {
                let id = identity("flaky", &[&sighted.requirement, &sighted.operation, &sighted.detail]);
                let (shown, tries) = (confirmation.shown, confirmation.tries);
                let again = self.circumstances.out.as_ref().map(|out| format!(" ({out}/findings/{id}.json)"));
                let note = format!("showed in {shown}/{tries} replays{}: {}", again.unwrap_or_default(), sighted.detail);
                self.flaky.insert(place, note);
                unsure.insert(id, Reproduction { plan: self.alone(found), script: None });
                continue;
            }
            self.failed.insert(place);
            let key = (sighted.check.to_owned(), sighted.deviation.expected.clone(), sighted.deviation.actual.clone());
            groups.entry(key).or_default().push(found);
        }
        let (mut findings, mut warnings, mut reproductions) = (Vec::new(), Vec::new(), unsure);
        for ((check, expected, actual), members) in groups {
            let Some(shortest) = members.iter().min_by_key(|found| (signs_in(found), found.confirmation.sequence.steps.len())) else {
                continue;
            };
            let id = identity(&check, &[&check, &expected, &actual]);
            let level = members.iter().map(|found| found.sighted.level).min().unwrap_or(contract::Level::Should);
            let mut requirements: Vec<String> = members.iter().map(|found| found.sighted.requirement.clone()).collect();
            let mut operations: Vec<String> = members.iter().map(|found| found.sighted.operation.clone()).collect();
            for names in [&mut requirements, &mut operations] {
                names.sort();
                names.dedup();
            }
            let confirmation = &shortest.confirmation;
            let replay = self.circumstances.out.as_ref().map(|out| format!("{out}/findings/{id}.json"));
            let plan = self.alone(shortest);
            let mut finding = Finding {
                id: id.clone(),
                level: match level {
                    contract::Level::Must => Level::Must,
                    contract::Level::Should => Level::Should,
                },
                requirements,
                check,
                operations,
                cause: shortest.sighted.detail.clone(),
                expected,
                actual,
                confirmed: format!("{}/{}", confirmation.shown, confirmation.tries),
                steps: count(confirmation.sequence.steps.len()),
                reduced_from: count(shortest.reduced_from),
                reduction_requests: confirmation.requests,
                also_seen_in: members.iter().map(|found| found.seen).sum::<u64>() - 1,
                replay,
                curl: None,
                sequence: confirmation.sequence.steps.iter().map(|step| step.line()).collect(),
            };
            let script = curl::script(&self.result.contract, &finding, &plan);
            finding.curl = self.circumstances.out.as_ref().filter(|_| script.is_some()).map(|out| format!("{out}/findings/{id}.sh"));
            reproductions.insert(id, Reproduction { plan, script });
            if level == contract::Level::Must || self.circumstances.strict { findings.push(finding) } else { warnings.push(finding) }
        }
        (findings, warnings, reproductions)
    }

    /// A plan of nothing but the reduced sequence of a deviation.
    fn alone(&self, found: &Found) -> Plan {
        let epoch = Epoch { settings: found.settings.clone(), alone: true, sequences: vec![found.confirmation.sequence.clone()] };
        // What a target publishes is read again when the sequence is replayed.
        let facts = Facts { published: None, ..self.result.plan.facts.clone() };
        Plan { epochs: vec![epoch], facts, ..self.result.plan.clone() }
    }

    /// Whether a deviation that does not show is gone.
    fn misses_waivers(&self) -> bool {
        self.circumstances.whole && self.circumstances.mode == Mode::Exclusive && !self.result.stopped
    }

    /// Waivers whose deviation a part of the plan did not show.
    fn idle(&self, waivers: &Waivers) -> Option<Vec<IdleWaiver>> {
        let idle = |waiver: &Waiver| IdleWaiver {
            requirement: waiver.requirement.get_ref().clone(),
            operation: waiver.operation.get_ref().clone(),
            text: waiver.outlived().to_string(),
        };
        self.misses_waivers().then(|| waivers.stale(|_| true).into_iter().map(idle).collect())
    }

    /// Waivers whose deviation could have shown and did not.
    fn stale<'w>(&self, waivers: &'w Waivers) -> Vec<&'w Waiver> {
        if !self.misses_waivers() || self.result.partition.is_some() {
            return Vec::new();
        }
        let judged = |requirement: &str, operation: &str| {
            self.result.counts.evidence().any(|(known, on, _)| glob(requirement, known) && glob(operation, on))
        };
        waivers.stale(|waiver| judged(waiver.requirement.get_ref(), waiver.operation.get_ref()))
    }

    fn requirements(&self, stale: &[&Waiver]) -> Vec<RequirementRow> {
        let rows = self.result.contract.requirements.iter().map(|requirement| {
            let mut operations: BTreeMap<&str, RequirementOperation> = BTreeMap::new();
            for (id, operation, evidence) in self.result.counts.evidence() {
                if id == requirement.id && !operation.is_empty() {
                    let row = RequirementOperation { operation: operation.to_owned(), verdict: Verdict::Pass, evidence, note: None };
                    operations.insert(operation, row);
                }
            }
            let mark =
                |operation: &'_ str, verdict: Verdict, note: Option<String>, operations: &mut BTreeMap<&str, RequirementOperation>| {
                    if let Some(row) = operations.get_mut(operation) {
                        row.verdict = verdict;
                        row.note = note;
                    }
                };
            let mut extra = Vec::new();
            for ((id, operation), verdict, note) in self
                .flaky
                .iter()
                .map(|(place, note)| (place, Verdict::Flaky, Some(note.clone())))
                .chain(self.waived.iter().map(|(place, reason)| (place, Verdict::Waived, Some(reason.clone()))))
                .chain(self.failed.iter().map(|place| (place, Verdict::Fail, None)))
            {
                if *id != requirement.id {
                    continue;
                }
                if operations.contains_key(operation.as_str()) {
                    mark(operation, verdict, note, &mut operations);
                } else {
                    extra.push(RequirementOperation { operation: operation.clone(), verdict, evidence: 0, note });
                }
            }
            let mut operations: Vec<RequirementOperation> = operations.into_values().chain(extra).collect();
            operations.sort_by(|a, b| a.operation.cmp(&b.operation));
            let verdict = self.verdict(requirement, &operations, stale);
            if operations.is_empty() && verdict != Verdict::OutOfScope {
                operations = self
                    .result
                    .contract
                    .operations
                    .iter()
                    .filter(|operation| operation.requirements.contains(&requirement.id))
                    .map(|operation| RequirementOperation { operation: operation.id.clone(), verdict, evidence: 0, note: None })
                    .collect();
            }
            RequirementRow {
                id: requirement.id.clone(),
                level: match requirement.level {
                    contract::Level::Must => Level::Must,
                    contract::Level::Should => Level::Should,
                },
                verdict,
                evidence: operations.iter().map(|row| row.evidence).sum::<u64>() + self.router_evidence(requirement),
                operations,
            }
        });
        rows.collect()
    }

    /// What answers of the router are evidence for.
    fn router_evidence(&self, requirement: &Requirement) -> u64 {
        self.result.counts.of("").and_then(|counts| counts.evidence.get(&requirement.id)).copied().unwrap_or(0)
    }

    fn verdict(&self, requirement: &Requirement, operations: &[RequirementOperation], stale: &[&Waiver]) -> Verdict {
        let has = |verdict: Verdict| operations.iter().any(|row| row.verdict == verdict);
        let router = self.router_evidence(requirement) > 0;
        if has(Verdict::Fail) {
            Verdict::Fail
        } else if stale.iter().any(|waiver| glob(waiver.requirement.get_ref(), &requirement.id)) {
            Verdict::StaleWaiver
        } else if has(Verdict::Flaky) {
            Verdict::Flaky
        } else if has(Verdict::Waived) {
            Verdict::Waived
        } else if has(Verdict::Pass) || router {
            Verdict::Pass
        } else if requirement.excluded.is_some() || self.unmet(requirement).is_some() || self.scope().narrowed() {
            Verdict::OutOfScope
        } else {
            Verdict::Untestable
        }
    }

    /// What the run lacks to test a requirement.
    fn unmet(&self, requirement: &Requirement) -> Option<Need> {
        requirement.needs.iter().copied().find(|need| !self.result.plan.facts.meet(*need))
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            mode: self.circumstances.mode,
            whole: self.circumstances.whole,
            partition: self.result.partition.is_some(),
            can_sign_in: self.result.plan.facts.can_sign_in,
            unpublished: self.result.plan.facts.unpublished.as_deref(),
        }
    }

    fn not_tested(&self, rows: &[RequirementRow]) -> (Vec<NotTested>, Vec<NotTested>) {
        let (mut untestable, mut out_of_scope) = (Vec::new(), Vec::new());
        for row in rows {
            let requirement = self.result.contract.requirement(&row.id);
            let (reason, fix) = self.scope().reason(requirement, requirement.and_then(|requirement| self.unmet(requirement)));
            let entry = NotTested { requirement: row.id.clone(), reason, fix };
            match row.verdict {
                Verdict::Untestable => untestable.push(entry),
                Verdict::OutOfScope => out_of_scope.push(entry),
                _ => {}
            }
        }
        out_of_scope.extend(self.unprobed());
        (untestable, out_of_scope)
    }

    fn outcomes(&self) -> Vec<OutcomeRow> {
        let mut planned: BTreeSet<(&str, &str)> = BTreeSet::new();
        for step in self.result.plan.sequences().flat_map(|sequence| &sequence.steps) {
            if let (Some(operation), Some(outcome)) = (step.operation(), step.expect.as_deref()) {
                planned.insert((operation, outcome));
            }
        }
        let mut rows = Vec::new();
        for operation in self.result.contract.specified() {
            for outcome in operation.outcomes() {
                let Status::Exact(status) = outcome.status else { continue };
                let name = outcome.to_string();
                let observed = self.result.counts.of(&operation.id).and_then(|counts| counts.outcomes.get(&outcome)).copied().unwrap_or(0);
                let predicted = planned.contains(&(operation.id.as_str(), name.as_str()));
                rows.push(OutcomeRow {
                    operation: operation.id.clone(),
                    status,
                    code: outcome.code,
                    properties: Vec::new(),
                    predicted,
                    observed,
                });
            }
        }
        rows
    }

    fn is_exercised(&self, operation: &Operation) -> bool {
        self.result.counts.of(&operation.id).is_some()
    }

    /// The operations of the target's own document.
    fn published(&self) -> impl Iterator<Item = &PublishedOperation> {
        self.result.plan.facts.published.iter().flat_map(|published| &published.operations)
    }

    /// Operations that nobody was turned away from, because a target that let them in would have been harmed.
    fn unprobed(&self) -> Option<NotTested> {
        // What is specified is tried in other ways.
        let is_specified =
            |listed: &PublishedOperation| self.result.contract.listed(listed).is_some_and(|operation| operation.origin == Origin::Contract);
        let harmful = |listed: &&PublishedOperation| listed.unprobed() == Some(Unprobed::Harmful) && !is_specified(listed);
        let routes: Vec<String> = self.published().filter(harmful).map(PublishedOperation::route).collect();
        let requirement =
            self.result.contract.requirements.iter().find(|requirement| requirement.document && !requirement.guards.is_empty())?;
        (!routes.is_empty()).then(|| NotTested {
            requirement: requirement.id.clone(),
            reason: format!("a target that let the caller in would carry these out: {}", routes.join(", ")),
            fix: "try them by hand on a deployment that may be harmed".into(),
        })
    }

    fn status_count(&self, operation: &Operation, status: u16) -> u64 {
        self.result.counts.of(&operation.id).and_then(|counts| counts.statuses.get(&status)).copied().unwrap_or(0)
    }

    fn operation(&self, operation: &Operation) -> OperationRow {
        let counts = self.result.counts.of(&operation.id).cloned().unwrap_or_default();
        let mut time = Timing::default();
        counts.times.iter().for_each(|each| time.add(u64::try_from(each.as_micros()).unwrap_or(u64::MAX)));
        OperationRow {
            id: operation.id.clone(),
            collection: match operation.collection {
                contract::Collection::Account => Collection::Account,
                contract::Collection::Management => Collection::Management,
            },
            method: operation.method.clone(),
            path: operation.path.clone(),
            requests: counts.statuses.values().sum(),
            statuses: counts.statuses,
            published: false,
            checks: counts.checks.into_iter().map(words).collect(),
            time: (time.answers > 0).then_some(time),
        }
    }
}

fn words((check, Words { pass, fail, abstain }): (&str, Words)) -> (String, CheckCounts) {
    (check.to_owned(), CheckCounts { pass, fail, abstain })
}

/// A plan as its file says it.
pub fn plan_text(plan: &Plan) -> String {
    let value: Value = serde_json::to_value(plan).unwrap_or_default();
    format!("{value:#}\n")
}
