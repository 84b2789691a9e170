//! `explain`: what a word of the contract or of a result means, and where it is used.

use std::fmt::Write as _;

use super::list::level;
use super::settings::Settings;
use super::{Failure, print};
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{CHECKS, Contract, ErrorCode, Operation, Outcome, Requirement, closest};
use crate::reference::Fault;
use crate::report::{RunVerdict, Verdict};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance explain ACC-FIELD-01";

/// Arguments of `explain`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An operation, requirement, error code, guard kind, check, fault, verdict or exit code
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let sections = sections(&contract, &args.id);
    if sections.is_empty() {
        let faults = faults();
        let known = names(&contract).into_iter().chain(faults.iter().map(|fault| fault.id.as_str()));
        let near: Vec<String> = closest(&args.id, known, 3).iter().map(|name| format!("`{name}`")).collect();
        let remedy = format!("the nearest names are {}; `list` shows all operations", near.join(", "));
        return Err(Failure::Usage(format!("`{}` is not known to contract {}\n  help: {remedy}", args.id, contract.version)));
    }
    print(&sections.join("\n"))?;
    Ok(RunVerdict::Conformant)
}

/// Everything that has this name, letter case aside.
fn sections(contract: &Contract, id: &str) -> Vec<String> {
    let is = |name: &str| name.eq_ignore_ascii_case(id);
    let mut sections = Vec::new();
    sections.extend(contract.operations.iter().filter(|operation| is(&operation.id)).map(|found| operation(contract, found)));
    sections.extend(contract.requirements.iter().filter(|requirement| is(&requirement.id)).map(|found| requirement(contract, found)));
    sections.extend(contract.codes.iter().filter(|(code, _)| is(code)).map(|(code, found)| error_code(contract, code, found)));
    sections.extend(GuardKind::MEANINGS.iter().filter(|(kind, _)| is(kind)).map(|(kind, meaning)| guard_kind(contract, kind, meaning)));
    sections.extend(CHECKS.iter().filter(|check| is(check)).map(|name| check(contract, name)));
    sections.extend(faults().iter().filter(|found| is(&found.id)).map(fault));
    let end = |verdict: &RunVerdict| is(verdict.word()) || is(&verdict.exit_code().to_string());
    sections.extend(
        RunVerdict::ALL
            .into_iter()
            .filter(end)
            .map(|verdict| format!("exit code {} {verdict}\n  {}.\n", verdict.exit_code(), verdict.meaning())),
    );
    sections.extend(
        Verdict::ALL
            .into_iter()
            .filter(|verdict| is(verdict.word()))
            .map(|verdict| format!("verdict {verdict}\n  {}\n", meaning_of(verdict))),
    );
    sections
}

fn names(contract: &Contract) -> Vec<&str> {
    let mut names: Vec<&str> = contract.operations.iter().map(|operation| operation.id.as_str()).collect();
    names.extend(contract.requirements.iter().map(|requirement| requirement.id.as_str()));
    names.extend(contract.codes.keys().map(String::as_str));
    names.extend(GuardKind::NAMES.iter().chain(CHECKS));
    names.extend(RunVerdict::ALL.map(RunVerdict::word));
    names.extend(Verdict::ALL.map(Verdict::word));
    names
}

/// The catalogue of the reference; it is part of the program, and a test reads it.
fn faults() -> Vec<Fault> {
    Fault::catalogue().unwrap_or_default()
}

fn fault(fault: &Fault) -> String {
    let mut text = format!(
        "fault {} ({:?} in {:?})\n  {}\n  operation: {}\n  breaks: {}\n",
        fault.id, fault.class, fault.layer, fault.what, fault.operation, fault.requirement
    );
    if let Some(reason) = &fault.excused {
        let _ = writeln!(text, "  not caught: {reason}");
    }
    let _ = writeln!(text, "  see it: logto-conformance check --fault {}", fault.id);
    text
}

fn operation(contract: &Contract, operation: &Operation) -> String {
    let mut text =
        format!("operation {} ({} collection)\n  {}\n  {}\n", operation.id, operation.collection, operation.route(), operation.summary);
    let versions = [("since", operation.since), ("until", operation.until)];
    for (word, version) in versions.into_iter().filter_map(|(word, version)| Some((word, version?))) {
        let _ = writeln!(text, "  {word} {version}");
    }
    text.push_str("\n  guards, in order; the first one broken answers\n");
    for guard in &operation.guards {
        let _ = writeln!(text, "    {:<44} {}{}", guard.label(), guard.refusal(), bounds(guard));
    }
    let outcomes: Vec<String> = operation.outcomes().iter().map(Outcome::to_string).collect();
    let _ = writeln!(text, "\n  outcomes\n    {}", outcomes.join("\n    "));
    text.push_str("\n  requirements\n");
    for requirement in operation.requirements.iter().filter_map(|id| contract.requirement(id)) {
        let _ = writeln!(text, "    {} {}: {}", requirement.id, level(requirement), requirement.text);
    }
    text
}

fn bounds(guard: &Guard) -> String {
    let since = guard.since.map_or_else(String::new, |version| format!(" (since {version})"));
    let when = if guard.when.is_some() { " (under a condition)" } else { "" };
    format!("{since}{when}")
}

fn requirement(contract: &Contract, requirement: &Requirement) -> String {
    let mut text =
        format!("requirement {} ({})\n  {}\n  source: {}\n", requirement.id, level(requirement), requirement.text, requirement.source);
    if let Some(reason) = &requirement.excluded {
        let _ = writeln!(text, "  not tested: {reason}");
    }
    let operations = ids(contract, |operation| operation.requirements.contains(&requirement.id));
    let operations = if operations.is_empty() { "all (a general requirement)".to_owned() } else { operations };
    let guards = if requirement.guards.is_empty() { "any".to_owned() } else { requirement.guards.join(" ") };
    let _ = writeln!(text, "  operations: {operations}\n  guards: {guards}\n  checks: {}", requirement.checks.join(" "));
    for need in &requirement.needs {
        let _ = writeln!(text, "  needs: else {}; {}", need.reason(), need.fix());
    }
    let breaking: Vec<Fault> =
        faults().into_iter().filter(|fault| fault.requirement == requirement.id && fault.excused.is_none()).collect();
    if let Some(first) = breaking.first() {
        let names: Vec<&str> = breaking.iter().map(|fault| fault.id.as_str()).collect();
        let _ = writeln!(text, "  broken by faults: {}\n  see one: logto-conformance check --fault {}", names.join(" "), first.id);
    }
    text
}

fn error_code(contract: &Contract, code: &str, found: &ErrorCode) -> String {
    let statuses: Vec<String> = found.statuses.iter().map(u16::to_string).collect();
    let mut text = format!("error code {code} ({})\n  {}\n", statuses.join(", "), found.meaning);
    for operation in &contract.operations {
        for guard in
            operation.guards.iter().filter(|guard| guard.refusal().code.as_deref().is_some_and(|known| crate::contract::glob(known, code)))
        {
            let _ = writeln!(text, "  {}: {} {}", operation.id, guard.refusal().status, guard.label());
        }
    }
    text
}

fn guard_kind(contract: &Contract, kind: &str, meaning: &str) -> String {
    let operations = ids(contract, |operation| operation.guards.iter().any(|guard| guard.kind.name() == kind));
    let named = |requirement: &&Requirement| requirement.guards.iter().any(|known| known == kind);
    let requirements: Vec<&str> = contract.requirements.iter().filter(named).map(|requirement| requirement.id.as_str()).collect();
    format!(
        "guard kind {kind}\n  {}\n  operations: {}\n  requirements: {}\n",
        meaning.trim(),
        none_if_empty(&operations),
        none_if_empty(&requirements.join(" "))
    )
}

fn check(contract: &Contract, name: &str) -> String {
    let named = |requirement: &&Requirement| requirement.checks.iter().any(|known| known == name);
    let requirements: Vec<&str> = contract.requirements.iter().filter(named).map(|requirement| requirement.id.as_str()).collect();
    format!("check {name}\n  {}\n  requirements: {}\n", judges(name), none_if_empty(&requirements.join(" ")))
}

fn ids(contract: &Contract, fits: impl Fn(&Operation) -> bool) -> String {
    let ids: Vec<&str> = contract.operations.iter().filter(|operation| fits(operation)).map(|operation| operation.id.as_str()).collect();
    ids.join(" ")
}

fn none_if_empty(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// What each check judges.
fn judges(check: &str) -> &'static str {
    match check {
        "status" => "The status is one the operation documents, and the predicted one.",
        "error-code" => "A refusal carries the error code of the guard that is broken.",
        "schema" => "The body fits the closed schema of its status: an undocumented property is a deviation, formats are asserted.",
        "guard" => "What a guard forbids is refused, and the first broken guard answers.",
        "state" => "What was written is read back through both collections, and a refused call changes nothing.",
        "toggle" => "An answer shows exactly the properties that the token's scopes and the account-center levels allow.",
        "authorization" => "No persona reaches more than it may: dead tokens, other users' objects, third-party applications.",
        "verification" => "A verification record proves what it was made for, to its owner, while it lives.",
        "admin-only" => "The Management API opens to nothing but a token made for it.",
        "secrecy" => "No answer shows a password, digest, secret, code or token, except the one that exists to carry it.",
        "headers" => "Content type and the other promised headers are right.",
        "robustness" => "No request is answered with a server error.",
        "pagination" => "Totals, links, order and bounds of lists are right.",
        "sign-in" => "Who gives username, password and, where one is asked for, a second factor is let in, and nobody else.",
        "race" => "What calls sent together lead to is what some order of them leads to.",
        "snapshot" => "The answer's form equals the reviewed snapshot.",
        _ => "Judges exchanges for the requirements below.",
    }
}

const fn meaning_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Tested, and it holds.",
        Verdict::Fail => "A deviation, confirmed on fresh data.",
        Verdict::Waived => "A deviation that a waiver expects.",
        Verdict::StaleWaiver => "A waiver expects a deviation that is gone: the waiver must go.",
        Verdict::Flaky => "A deviation was seen once and did not reproduce; nothing is claimed.",
        Verdict::Untestable => "Promised, but it could not be tested; the report lists the reason and the remedy.",
        Verdict::Error => "Trouble of our own; nothing is claimed.",
        Verdict::OutOfScope => "Never promised under this mode, profile and settings; the report lists the remedy.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn a_fault_and_the_requirement_it_breaks_lead_to_each_other() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let fault = sections(&contract, "profile-write-lost").join("");
        assert!(fault.contains("breaks: ACC-PROFILE-02") && fault.contains("check --fault profile-write-lost"), "{fault}");
        let requirement = sections(&contract, "ACC-PROFILE-02").join("");
        assert!(requirement.contains("profile-write-lost"), "{requirement}");
    }

    #[test]
    fn every_name_is_explained_and_every_check_has_its_own_sentence() {
        for version in Version::KNOWN {
            let contract = Contract::embedded(*version).unwrap();
            for name in names(&contract) {
                assert!(!sections(&contract, name).is_empty(), "{name}");
            }
        }
        for name in CHECKS {
            assert_ne!(judges(name), judges(""), "write what `{name}` judges");
        }
    }

    #[test]
    fn a_word_of_two_kinds_is_explained_twice() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let sections = sections(&contract, "Authorization");
        assert_eq!(sections.len(), 2);
        assert!(sections[0].starts_with("guard kind authorization\n") && sections[1].starts_with("check authorization\n"));
    }
}
