//! What exchanges showed, counted. Counts do not depend on the order in which things are counted, so a sequence counts for
//! itself, and the run adds it up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Judgement, Result};
use crate::contract::Outcome;

/// Words of one check: that something holds, that it does not, and that nothing can be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words {
    /// Passes.
    pub pass: u64,
    /// Failures.
    pub fail: u64,
    /// Abstentions.
    pub abstain: u64,
}

impl Words {
    fn add(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.abstain += other.abstain;
    }
}

/// Counts of one operation.
#[derive(Debug, Clone, Default)]
pub struct OperationTally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Admitted outcomes seen.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Words by check.
    pub checks: BTreeMap<&'static str, Words>,
    /// Passes by requirement.
    pub evidence: BTreeMap<String, u64>,
    /// Reasons for abstaining, with the check.
    pub abstentions: BTreeMap<(&'static str, String), u64>,
    /// How long each answer took.
    pub times: Vec<Duration>,
}

/// Counts by operation; requests that name none stand under the empty name.
#[derive(Debug, Clone, Default)]
pub struct Counts(BTreeMap<String, OperationTally>);

impl Counts {
    /// Counts an answer, if there was one, and what was said of it.
    pub(super) fn add<'a>(
        &mut self,
        operation: Option<&str>,
        status: u16,
        matched: Option<&Outcome>,
        judgements: impl IntoIterator<Item = &'a Judgement>,
    ) {
        let counts = self.entry(operation.unwrap_or_default());
        *counts.statuses.entry(status).or_default() += 1;
        if let Some(outcome) = matched {
            match counts.outcomes.get_mut(outcome) {
                Some(count) => *count += 1,
                None => drop(counts.outcomes.insert(outcome.clone(), 1)),
            }
        }
        judgements.into_iter().for_each(|judgement| counts.word(judgement));
    }

    /// Counts what is said of an answer that was counted.
    pub(super) fn add_word(&mut self, operation: Option<&str>, judgement: &Judgement) {
        self.entry(operation.unwrap_or_default()).word(judgement);
    }

    /// Adds what a sequence counted.
    pub(super) fn add_all(&mut self, other: Self) {
        for (operation, other) in other.0 {
            let counts = self.entry(&operation);
            sum(&mut counts.statuses, other.statuses);
            sum(&mut counts.outcomes, other.outcomes);
            sum(&mut counts.evidence, other.evidence);
            sum(&mut counts.abstentions, other.abstentions);
            for (check, words) in other.checks {
                counts.checks.entry(check).or_default().add(words);
            }
            counts.times.extend(other.times);
        }
    }

    /// Notes how long the answers of operations took.
    pub(super) fn add_times(&mut self, times: BTreeMap<String, Vec<Duration>>) {
        for (operation, times) in times {
            if let Some(counts) = self.0.get_mut(&operation) {
                counts.times = times;
            }
        }
    }

    fn entry(&mut self, operation: &str) -> &mut OperationTally {
        // Most operations are known already; a name is made for the first of each only.
        if !self.0.contains_key(operation) {
            self.0.insert(operation.to_owned(), OperationTally::default());
        }
        self.0.get_mut(operation).expect("it was just made")
    }

    /// Whether no answer was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of an operation, if it was called.
    pub fn of(&self, operation: &str) -> Option<&OperationTally> {
        self.0.get(operation)
    }

    /// Words by check, of all operations.
    pub fn checks(&self) -> BTreeMap<&'static str, Words> {
        let mut all: BTreeMap<&'static str, Words> = BTreeMap::new();
        for (check, words) in self.0.values().flat_map(|counts| &counts.checks) {
            all.entry(check).or_default().add(*words);
        }
        all
    }

    /// Requirement, operation (or the empty name) and passes.
    pub fn evidence(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.0.iter().flat_map(|(operation, counts)| {
            counts.evidence.iter().map(|(requirement, passes)| (requirement.as_str(), operation.as_str(), *passes))
        })
    }

    /// Reasons for abstaining, with the check, of all operations.
    pub fn abstentions(&self) -> BTreeMap<(&'static str, &str), u64> {
        let mut all = BTreeMap::new();
        for ((check, reason), count) in self.0.values().flat_map(|counts| &counts.abstentions) {
            *all.entry((*check, reason.as_str())).or_default() += count;
        }
        all
    }
}

impl OperationTally {
    fn word(&mut self, judgement: &Judgement) {
        let words = self.checks.entry(judgement.check).or_default();
        match &judgement.result {
            Result::Pass => {
                words.pass += 1;
                let requirement = &judgement.requirement.id;
                match self.evidence.get_mut(requirement) {
                    Some(passes) => *passes += 1,
                    None => drop(self.evidence.insert(requirement.clone(), 1)),
                }
            }
            Result::Fail(_) => words.fail += 1,
            Result::Abstain(reason) => {
                words.abstain += 1;
                *self.abstentions.entry((judgement.check, reason.clone())).or_default() += 1;
            }
        }
    }
}

fn sum<K: Ord>(into: &mut BTreeMap<K, u64>, other: BTreeMap<K, u64>) {
    for (key, count) in other {
        *into.entry(key).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::guard::Status;
    use crate::contract::{Contract, Version};

    #[test]
    fn counts_add_up_whatever_the_order() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let requirement = &contract.requirements[0];
        let word = |result| Judgement { check: "state", requirement: requirement.clone(), result };
        let outcome = Outcome { status: Status::Exact(200), code: None };
        let (mut one, mut other) = (Counts::default(), Counts::default());
        one.add(Some("GetUser"), 200, Some(&outcome), &[word(Result::Pass), word(Result::Abstain("why".into()))]);
        other.add(Some("GetUser"), 200, Some(&outcome), &[word(Result::Pass)]);
        other.add(None, 404, None, &[word(Result::Pass)]);
        other.add_word(Some("GetUser"), &word(Result::Fail(crate::check::Deviation { expected: "a".into(), actual: "b".into() })));
        for (first, second) in [(&one, &other), (&other, &one)] {
            let mut sum = Counts::default();
            assert!(sum.is_empty());
            sum.add_all(first.clone());
            sum.add_all(second.clone());
            let user = sum.of("GetUser").unwrap();
            assert_eq!((user.statuses[&200], user.outcomes[&outcome]), (2, 2));
            assert_eq!(user.checks["state"], Words { pass: 2, fail: 1, abstain: 1 });
            assert_eq!(sum.checks()["state"], Words { pass: 3, fail: 1, abstain: 1 }, "the router's answers as well");
            let evidence: Vec<_> = sum.evidence().collect();
            assert_eq!(evidence, [(&*requirement.id, "", 1), (&*requirement.id, "GetUser", 2)]);
            assert_eq!(sum.abstentions(), BTreeMap::from([(("state", "why"), 1)]));
        }
    }
}
