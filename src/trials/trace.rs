//! From each requirement to what proves it: its checks, its trials and their results, or the reason why there are none.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::{Case, cases};
use super::outcome::{Ended, ended};
use crate::contract::{Contract, Level, Requirement};
use crate::report::Report;

/// Trials that the page names before it counts them.
const NAMED: usize = 3;

/// The traceability as JSON: `{"contract", "requirements": [{"id", "level", "text", "source", "checks", "untested_when", "trials",
/// "excluded"}]}`. With the report of a run each requirement also has `"verdict"` and `"results": {TRIAL: {"result", "why"}}`.
pub fn document(contract: &Contract, report: Option<&Report>) -> Value {
    let cases = cases(contract);
    let rows = contract.requirements.iter().map(|requirement| {
        let trials: Vec<String> = of(&cases, requirement).map(ToString::to_string).collect();
        let needs: Vec<&str> = requirement.needs.iter().map(|need| need.reason()).collect();
        let mut row = json!({
            "id": requirement.id, "level": requirement.level, "text": requirement.text, "source": requirement.source,
            "checks": requirement.checks, "untested_when": needs, "trials": trials, "excluded": requirement.excluded,
        });
        if let Some(report) = report {
            let results = of(&cases, requirement).map(|case| (case.to_string(), result(&ended(contract, report, case))));
            let seen = report.requirements.iter().find(|row| row.id == requirement.id);
            row["verdict"] = json!(seen.map(|row| row.verdict));
            row["results"] = Value::Object(results.collect());
        }
        row
    });
    json!({"contract": contract.version, "requirements": rows.collect::<Vec<_>>()})
}

/// How a trial ended, and why unless it passed.
fn result(ended: &Ended) -> Value {
    let (word, why) = match ended {
        Ended::Passed => ("passed", None),
        Ended::Failed(why) => ("failed", Some(why)),
        Ended::Warned(why) => ("warned", Some(why)),
        Ended::Untested(why) => ("untested", Some(why)),
    };
    json!({"result": word, "why": why})
}

/// The traceability as a page of Markdown.
pub fn page(contract: &Contract) -> String {
    let cases = cases(contract);
    let covered = contract.requirements.iter().filter(|requirement| requirement.excluded.is_none()).count();
    let excluded = contract.requirements.len() - covered;
    let mut text = format!(
        "# Traceability\n\nWhat proves each requirement of contract {}: {covered} requirements are checked by {} trials, {excluded} are \
         excluded with a reason.\nThis page is written by `logto-conformance list --traceability`; a test keeps it true. \
         A trial is run by `cargo test --test conformance -- NAME`.\n\n\
         | requirement | level | checks | trials | what it says |\n|---|---|---|---|---|\n",
        contract.version,
        cases.len()
    );
    for requirement in &*contract.requirements {
        let level = if requirement.level == Level::Must { "MUST" } else { "SHOULD" };
        let (checks, trials) = match &requirement.excluded {
            Some(reason) => ("excluded".to_owned(), reason.clone()),
            None => (requirement.checks.join(", "), told(&cases, requirement)),
        };
        let _ = writeln!(text, "| {} | {level} | {checks} | {} | {} |", requirement.id, cell(&trials), cell(&requirement.text));
    }
    text
}

/// Requirements that nothing proves and that no reason excludes.
pub fn gaps(contract: &Contract) -> Vec<String> {
    let cases = cases(contract);
    let proven = |requirement: &Requirement| match &requirement.excluded {
        Some(reason) => !reason.trim().is_empty(),
        None => !requirement.checks.is_empty() && of(&cases, requirement).next().is_some(),
    };
    contract.requirements.iter().filter(|requirement| !proven(requirement)).map(|requirement| requirement.id.clone()).collect()
}

fn of<'a>(cases: &'a [Case], requirement: &'a Requirement) -> impl Iterator<Item = &'a Case> {
    cases.iter().filter(|case| case.requirement == requirement.id)
}

fn told(cases: &[Case], requirement: &Requirement) -> String {
    let names: Vec<String> = of(cases, requirement).map(|case| format!("{}::{}", case.collection, case.operation)).collect();
    if names.len() <= NAMED { names.join(", ") } else { format!("{} operations", names.len()) }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract::Version;
    use crate::report::sample;

    #[test]
    fn every_requirement_is_proven_or_excluded_with_a_reason() {
        for version in Version::KNOWN {
            assert_eq!(gaps(&Contract::embedded(*version).unwrap()), Vec::<String>::new());
        }
    }

    #[test]
    fn the_page_of_the_repository_is_true() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/traceability.md");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        let page = page(&Contract::embedded(Version::NEWEST).unwrap());
        assert!(stored == page, "write it anew: logto-conformance list --traceability > docs/traceability.md");
    }

    #[test]
    fn results_lead_from_a_requirement_over_its_trials_to_their_ends() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let document = document(&contract, Some(&sample::full()));
        let row = |id: &str| document["requirements"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
        let failed = &row("ACC-FIELD-02");
        assert_eq!((&failed["verdict"], &failed["checks"]), (&json!("fail"), &json!(["toggle"])));
        assert_eq!(failed["trials"], json!(["account::GetProfile::ACC-FIELD-02", "account::UpdateProfile::ACC-FIELD-02"]));
        let results = &failed["results"];
        assert_eq!(results["account::UpdateProfile::ACC-FIELD-02"]["result"], "failed");
        assert!(results["account::UpdateProfile::ACC-FIELD-02"]["why"].as_str().unwrap().starts_with("the field level of `name`"));
        assert_eq!(results["account::GetProfile::ACC-FIELD-02"]["result"], "untested");
        assert_eq!(row("ACC-PROFILE-03")["results"]["account::UpdateProfile::ACC-PROFILE-03"], json!({"result": "passed", "why": null}));
        assert_eq!(super::document(&contract, None)["requirements"][0].get("results"), None);
    }

    #[test]
    fn a_requirement_without_a_trial_is_a_gap() {
        let mut contract = Contract::embedded(Version::NEWEST).unwrap();
        let mut requirements = (*contract.requirements).clone();
        Arc::make_mut(&mut requirements[0]).excluded = Some(" ".into());
        Arc::make_mut(&mut requirements[1]).checks.clear();
        contract.requirements = Arc::new(requirements);
        let ids: Vec<String> = contract.requirements.iter().take(2).map(|requirement| requirement.id.clone()).collect();
        assert_eq!(gaps(&contract), ids);
    }
}
