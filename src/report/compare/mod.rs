//! Two reports side by side: what is new, what is gone, what changed.
//!
//! Findings are matched by id first, which is made of check, expectation and answer. What is left is matched by check and
//! place: the same check on an operation in common is one deviation that changed.

mod render;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::document::{Finding, Report};
use super::verdict::{RunVerdict, Verdict};

pub use render::{json, markdown, text};

/// Everything that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Version of this format.
    pub schema_version: u32,
    /// The run that counts as known.
    pub base: Side,
    /// The run that is looked at.
    pub new: Side,
    /// Why absence may mean "not asked": settings in which the runs differ.
    pub caveats: Vec<String>,
    /// Findings and warnings.
    pub findings: Findings,
    /// Outcomes that only one of the runs saw.
    pub outcomes: Vec<OutcomeDifference>,
    /// Requirements with another verdict.
    pub requirements: Vec<VerdictDifference>,
}

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The target's address.
    pub target: String,
    /// Version of the contract.
    pub contract: String,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Number of findings.
    pub findings: usize,
    /// Number of warnings.
    pub warnings: usize,
}

/// Findings by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Only in the new run.
    pub new: Vec<Finding>,
    /// Only in the base.
    pub gone: Vec<Finding>,
    /// In both, but not the same.
    pub changed: Vec<Changed>,
    /// Number of those that are the same in both.
    pub same: usize,
}

/// A deviation that is in both runs and shows differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// As the base shows it.
    pub base: Finding,
    /// As the new run shows it.
    pub new: Finding,
}

/// An outcome that only one of the runs saw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OutcomeDifference {
    /// The `operationId`.
    pub operation: String,
    /// Status of the answer.
    pub status: u16,
    /// Error code of the answer.
    pub code: Option<String>,
    /// Exchanges of the base that showed it.
    pub base: u64,
    /// Exchanges of the new run that showed it.
    pub new: u64,
}

/// A requirement with another verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictDifference {
    /// Its id.
    pub requirement: String,
    /// Verdict in the base; absent when it does not know the requirement.
    pub base: Option<Verdict>,
    /// Verdict in the new run; absent when it does not know the requirement.
    pub new: Option<Verdict>,
}

impl Comparison {
    /// Compares two runs.
    pub fn of(base: &Report, new: &Report) -> Self {
        Self {
            schema_version: 1,
            base: side(base),
            new: side(new),
            caveats: caveats(base, new),
            findings: findings(base, new),
            outcomes: outcomes(base, new),
            requirements: requirements(base, new),
        }
    }

    /// [`RunVerdict::Deviating`] when a finding is new or changed; warnings, and what is gone, make nothing worse.
    pub fn verdict(&self) -> RunVerdict {
        let is_finding = |finding: &Finding| self.decides(finding);
        let worse = self.findings.new.iter().any(is_finding) || self.findings.changed.iter().any(|changed| is_finding(&changed.new));
        if worse { RunVerdict::Deviating } else { RunVerdict::Conformant }
    }

    /// Whether nothing differs at all.
    pub fn is_empty(&self) -> bool {
        let Findings { new, gone, changed, .. } = &self.findings;
        new.is_empty() && gone.is_empty() && changed.is_empty() && self.outcomes.is_empty() && self.requirements.is_empty()
    }

    fn decides(&self, finding: &Finding) -> bool {
        // A strict run tells deviations from SHOULD requirements as findings.
        finding.level == super::Level::Must || (self.new.verdict == RunVerdict::Deviating && self.new.warnings == 0)
    }
}

fn side(report: &Report) -> Side {
    Side {
        target: report.target.endpoint.clone(),
        contract: report.contract.clone(),
        verdict: report.verdict,
        findings: report.findings.len(),
        warnings: report.warnings.len(),
    }
}

fn caveats(base: &Report, new: &Report) -> Vec<String> {
    let pairs = [
        ("contract", base.contract.clone(), new.contract.clone()),
        ("profile", base.profile.clone(), new.profile.clone()),
        ("mode", base.mode.to_string(), new.mode.to_string()),
        ("seed", base.seed.to_string(), new.seed.to_string()),
    ];
    let mut caveats: Vec<String> = pairs
        .into_iter()
        .filter(|(_, base, new)| base != new)
        .map(|(name, base, new)| format!("{name} {base} against {new}: what one run did not show, it may not have asked"))
        .collect();
    for (name, report) in [("base", base), ("new", new)] {
        if !report.errors.is_empty() || matches!(report.verdict, RunVerdict::Incomplete | RunVerdict::Unreachable | RunVerdict::Internal) {
            caveats.push(format!("the {name} run ended with {}: it may have missed something", report.verdict));
        }
    }
    caveats
}

fn findings(base: &Report, new: &Report) -> Findings {
    fn all(report: &Report) -> BTreeMap<&str, &Finding> {
        report.findings.iter().chain(&report.warnings).map(|finding| (finding.id.as_str(), finding)).collect()
    }
    let (mut old, mut fresh) = (all(base), all(new));
    let mut result = Findings::default();
    let shared: Vec<&str> = old.keys().filter(|id| fresh.contains_key(*id)).copied().collect();
    for id in shared {
        let (Some(base), Some(new)) = (old.remove(id), fresh.remove(id)) else { continue };
        if (&base.operations, &base.requirements, base.level) == (&new.operations, &new.requirements, new.level) {
            result.same += 1;
        } else {
            result.changed.push(Changed { base: base.clone(), new: new.clone() });
        }
    }
    for new in fresh.into_values() {
        let meets = |base: &&&Finding| {
            base.check == new.check
                && base.requirements.iter().any(|id| new.requirements.contains(id))
                && base.operations.iter().any(|id| new.operations.contains(id))
        };
        let before = old.values().find(meets).map(|base| base.id.clone()).and_then(|id| old.remove(id.as_str()));
        match before {
            Some(base) => result.changed.push(Changed { base: base.clone(), new: new.clone() }),
            None => result.new.push(new.clone()),
        }
    }
    result.gone = old.into_values().cloned().collect();
    result
}

fn outcomes(base: &Report, new: &Report) -> Vec<OutcomeDifference> {
    let mut all: BTreeMap<(&str, u16, Option<&str>), (u64, u64)> = BTreeMap::new();
    for row in &base.outcomes {
        all.entry((&row.operation, row.status, row.code.as_deref())).or_default().0 += row.observed;
    }
    for row in &new.outcomes {
        all.entry((&row.operation, row.status, row.code.as_deref())).or_default().1 += row.observed;
    }
    all.into_iter()
        .filter(|(_, (base, new))| (*base == 0) != (*new == 0))
        .map(|((operation, status, code), (base, new))| OutcomeDifference {
            operation: operation.to_owned(),
            status,
            code: code.map(str::to_owned),
            base,
            new,
        })
        .collect()
}

fn requirements(base: &Report, new: &Report) -> Vec<VerdictDifference> {
    let of =
        |report: &Report| -> BTreeMap<String, Verdict> { report.requirements.iter().map(|row| (row.id.clone(), row.verdict)).collect() };
    let (old, fresh) = (of(base), of(new));
    let ids: BTreeSet<&String> = old.keys().chain(fresh.keys()).collect();
    ids.into_iter()
        .map(|id| VerdictDifference { requirement: id.clone(), base: old.get(id).copied(), new: fresh.get(id).copied() })
        .filter(|row| row.base != row.new)
        .collect()
}

#[cfg(test)]
mod tests;
