//! Why a specified outcome is predicted of no planned call.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::contract::glob;

/// Reasons, the first that fits counts.
const REASONS: &str = include_str!("../../specs/unreached.yaml");

/// What is said when nothing is known, such as for an outcome that a smaller profile leaves out.
pub const LEFT_OUT: &str = "the profile, the seed or the settings leave it out";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    operations: Vec<String>,
    outcomes: Vec<String>,
    reason: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| serde_saphyr::from_str(REASONS).expect("a test reads the embedded reasons"));

/// The reason why an outcome of an operation is not reached.
pub fn reason(operation: &str, outcome: &str) -> &'static str {
    ENTRIES.iter().find(|entry| entry.fits(operation, outcome)).map_or(LEFT_OUT, |entry| &entry.reason)
}

impl Entry {
    fn fits(&self, operation: &str, outcome: &str) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| glob(pattern, text));
        any(&self.operations, operation) && any(&self.outcomes, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::OnceLock;

    use crate::contract::{Contract, MessageKind, Version};
    use crate::plan::sequence::{Facts, Sequence};
    use crate::plan::{Built, Profile, build};

    /// The standard plan of a deployment that has everything.
    fn built() -> &'static Built {
        static BUILT: OnceLock<Built> = OnceLock::new();
        BUILT.get_or_init(build_standard)
    }

    fn build_standard() -> Built {
        let defaults: serde_json::Value = serde_json::from_str(include_str!("../reference/defaults.json")).unwrap();
        let facts = Facts {
            account_center: defaults["accountCenter"].clone(),
            sign_in_experience: defaults["signInExperience"].clone(),
            resource: "https://default.logto.app/api".into(),
            connectors: vec![json!({"id": "m", "type": "Email"}), json!({"id": "s", "type": "Sms"})],
            factories: defaults["connectorFactories"].as_array().unwrap().clone(),
            channels: MessageKind::ALL.to_vec(),
            has_provider: true,
            keeps_tokens: true,
            may_wait: true,
            may_change_settings: true,
            can_sign_in: true,
            ..Facts::default()
        };
        build(&Contract::embedded(Version::NEWEST).unwrap(), &facts, 1, Profile::Standard, &[])
    }

    #[test]
    fn each_outcome_that_is_not_reached_has_a_reason_and_each_reason_an_outcome() {
        let coverage = built().coverage.as_ref().unwrap();
        let without = coverage.unreached.iter().filter(|unreached| unreached.reason == LEFT_OUT);
        let without: Vec<String> = without.map(|unreached| format!("{} {}", unreached.operation, unreached.outcome)).collect();
        let fits = |entry: &&Entry| coverage.unreached.iter().any(|unreached| entry.fits(&unreached.operation, &unreached.outcome));
        let idle: Vec<&Entry> = ENTRIES.iter().filter(|entry| !fits(entry)).collect();
        assert!(without.is_empty() && idle.is_empty(), "{without:#?} {idle:#?}");
        assert!(coverage.goals.iter().all(|goal| goal.reached * 2 > goal.goal), "{:?}", coverage.goals);
        let all: usize = coverage.operations.iter().map(|operation| operation.outcomes - operation.reached).sum();
        assert_eq!(all, coverage.unreached.len());
    }

    #[test]
    fn the_standard_plan_keeps_to_its_budget() {
        let Built { plan, coverage, .. } = built();
        let requests: usize = plan.sequences().map(Sequence::requests).sum();
        let passwords = coverage.as_ref().unwrap().passwords;
        assert!(requests <= 12_000, "{requests} requests");
        assert!(passwords <= 400, "{passwords} password computations");
    }
}
