//! The trials of what goes over several operations: stories and races.

use std::fmt;

use super::outcome::{Ended, failed};
use crate::contract::Contract;
use crate::plan::{Portion, flows as planned};
use crate::report::{Report, Verdict};

/// What the names of the sequences of a race begin with.
const RACES: &str = "races/";

/// A story, or a race in all its rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow(String);

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.strip_prefix(RACES) {
            Some(name) => write!(f, "race::{name}"),
            None => write!(f, "flow::{}", self.0.replace('/', "::")),
        }
    }
}

/// Every flow of a contract.
pub fn flows(contract: &Contract) -> Vec<Flow> {
    planned(contract).into_iter().map(Flow).collect()
}

impl Flow {
    /// The part of a plan that consists of it.
    pub fn portion(&self) -> Portion {
        Portion::Named(vec![if self.0.starts_with(RACES) { format!("{}/*", self.0) } else { self.0.clone() }])
    }

    fn is(&self, sequence: &str) -> bool {
        sequence.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// How its trial ends after a run: a deviation that no waiver expects fails it.
    pub fn ended(&self, report: &Report) -> Ended {
        let mut ran = report.sequences.iter().filter(|row| self.is(&row.id)).peekable();
        if ran.peek().is_none() {
            return Ended::Untested(
                "what the target lets be done leaves it out -> use `--mode exclusive`, a channel and a provider".into(),
            );
        }
        let mut warned = None;
        for place in ran.flat_map(|row| &row.deviates) {
            let Some(row) = report.requirements.iter().find(|row| row.id == place.requirement) else { continue };
            let Some(part) = row.operations.iter().find(|part| part.operation == place.operation) else { continue };
            match part.verdict {
                Verdict::Fail => match failed(report, &row.id, &part.operation, row.level) {
                    Ended::Warned(why) => warned = warned.or(Some(why)),
                    ended => return ended,
                },
                Verdict::Flaky => return Ended::Failed(format!("flaky: {} on {}", row.id, part.operation)),
                _ => {}
            }
        }
        warned.map_or(Ended::Passed, Ended::Warned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;
    use crate::report::{Place, sample};

    #[test]
    fn names_say_whether_it_is_a_flow_or_a_race() {
        let names: Vec<String> = flows(&Contract::embedded(Version::NEWEST).unwrap()).iter().map(ToString::to_string).collect();
        for name in ["flow::lives::suspension", "flow::proofs::codes", "race::username"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
    }

    #[test]
    fn what_deviates_in_it_fails_it_unless_a_waiver_expects_it() {
        let flow = Flow("lives/suspension".into());
        let mut report = sample::full();
        assert!(matches!(flow.ended(&report), Ended::Failed(why) if why.contains("the field level of `name` is ignored")));
        let with = |report: &mut Report, requirement: &str, operation: &str| {
            report.sequences[0].deviates = vec![Place { requirement: requirement.into(), operation: operation.into() }];
        };
        with(&mut report, "MGT-PAGE-01", "ListUsers");
        assert_eq!(flow.ended(&report), Ended::Passed, "waived");
        with(&mut report, "ACC-RACE-01", "UpdateProfile");
        assert_eq!(flow.ended(&report), Ended::Failed("flaky: ACC-RACE-01 on UpdateProfile".into()));
        with(&mut report, "ACC-ORDER-01", "UpdatePrimaryEmail");
        assert!(matches!(flow.ended(&report), Ended::Warned(_)));
        report.sequences[0].deviates.clear();
        assert_eq!(flow.ended(&report), Ended::Passed);
        report.sequences[0].id = "lives/suspension-of-another".into();
        assert!(matches!(flow.ended(&report), Ended::Untested(_)));
        report.sequences[0].id = "races/username/2".into();
        assert_eq!(Flow("races/username".into()).ended(&report), Ended::Passed);
    }
}
