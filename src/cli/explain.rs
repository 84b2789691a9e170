//! `explain`: what a word of the contract or of a result means, and where it is used.

use std::fmt::Write as _;

use super::list::level;
use super::settings::Settings;
use super::{Failure, print};
use crate::contract::guard::{Guard, GuardKind};
use crate::contract::{CHECKS, Contract, ErrorCode, Operation, Outcome, Requirement, closest, glob};
use crate::reference::Fault;
use crate::report::{RunVerdict, Verdict};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance explain ACC-FIELD-01";

/// Arguments of `explain`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An operation or its route, a requirement, error code, status, guard, check, fault, verdict or exit code
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let sections = sections(&contract, &args.id);
    if sections.is_empty() {
        let faults = faults();
        let known: Vec<&str> = names(&contract).into_iter().chain(faults.iter().map(|fault| fault.id.as_str())).collect();
        let near: Vec<String> = near(&args.id, &known).iter().map(|name| format!("`{name}`")).collect();
        let near = if near.is_empty() { String::new() } else { format!("the nearest names are {}; ", near.join(", ")) };
        let remedy = format!("{near}`list` shows all operations, `list --requirements` and `list --guards` the rest");
        return Err(Failure::Usage(format!("`{}` is not known to contract {}\n  help: {remedy}", args.id, contract.version)));
    }
    print(&sections.join("\n"))?;
    Ok(RunVerdict::Conformant)
}

/// Names that hold the word, or else those that differ from it least.
fn near<'a>(word: &str, known: &[&'a str]) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let holds = |name: &&&str| lower.len() > 2 && name.to_lowercase().contains(&lower);
    let holding: Vec<&str> = known.iter().filter(holds).copied().take(5).collect();
    if holding.is_empty() { closest(word, known.iter().copied(), 3) } else { holding }
}

/// Everything that has this name, letter case aside.
fn sections(contract: &Contract, id: &str) -> Vec<String> {
    // As a guard is shown with an operation: `field(name,avatar)`.
    let kind = id.split_once('(').filter(|_| id.ends_with(')')).map_or(id, |(kind, _)| kind);
    let is = |name: &str| name.eq_ignore_ascii_case(kind);
    let mut sections = Vec::new();
    let meant = |operation: &Operation| is(&operation.id) || operation.route() == id || operation.path == id;
    sections.extend(contract.operations.iter().filter(|operation| meant(operation)).map(|found| operation(contract, found)));
    sections.extend(contract.requirements.iter().filter(|requirement| is(&requirement.id)).map(|found| requirement(contract, found)));
    // Guards may answer with one of several codes: `user.username_*`.
    let codes = contract.codes.iter().filter(|(code, _)| is(code) || id.contains('.') && glob(id, code));
    sections.extend(codes.map(|(code, found)| error_code(contract, code, found)));
    sections.extend(id.parse().ok().filter(|status| (100..600).contains(status)).map(|code| status(contract, code)));
    sections.extend(GuardKind::MEANINGS.iter().filter(|(kind, _)| is(kind)).map(|(kind, meaning)| guard_kind(contract, kind, meaning)));
    sections.extend(CHECKS.iter().filter(|check| is(check)).map(|name| check(contract, name)));
    sections.extend(faults().iter().filter(|found| is(&found.id)).map(fault));
    let end = |verdict: &RunVerdict| is(verdict.word()) || is(&verdict.exit_code().to_string());
    sections.extend(RunVerdict::ALL.into_iter().filter(end).map(|verdict| {
        let (code, meaning, remedy) = (verdict.exit_code(), sentence(verdict.meaning()), after(verdict));
        format!("exit code {code}, verdict of a run: {verdict}\n  {meaning}\n  next: {remedy}\n")
    }));
    sections.extend(
        Verdict::ALL
            .into_iter()
            .filter(|verdict| is(verdict.word()))
            .map(|verdict| format!("verdict of a requirement: {verdict}\n  {}\n", meaning_of(verdict))),
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
        "fault {} ({}, layer {})\n  {}\n  operation: {}\n  breaks: {}\n",
        fault.id,
        word(&fault.class),
        format!("{:?}", fault.layer).to_lowercase(),
        fault.what,
        fault.operation,
        fault.requirement
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
    let _ = writeln!(text, "\n  try it: logto-conformance check --only {}", operation.id);
    text
}

/// A status: the error codes that come with it.
fn status(contract: &Contract, status: u16) -> String {
    let codes: Vec<&str> =
        contract.codes.iter().filter(|(_, found)| found.statuses.contains(&status)).map(|(code, _)| code.as_str()).collect();
    let operations = ids(contract, |operation| operation.outcomes().iter().any(|outcome| outcome.status.admits(status)));
    format!(
        "status {status}\n{}{}",
        listed("error codes", none_if_empty(&codes.join(" "))),
        listed("operations", none_if_empty(&operations))
    )
}

/// A list that may be long, on as many lines as it needs.
fn listed(name: &str, words: &str) -> String {
    const WIDTH: usize = 100;
    let mut text = format!("  {name}:");
    let mut column = text.len();
    for word in words.split(' ') {
        if column + 1 + word.len() > WIDTH {
            text.push_str("\n   ");
            column = 3;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text + "\n"
}

/// A word of a closed set as the catalogue writes it, for example `lost-write`.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn bounds(guard: &Guard) -> String {
    let since = guard.since.map_or_else(String::new, |version| format!(" (since {version})"));
    let when = if guard.when.is_some() { " (under a condition)" } else { "" };
    format!("{since}{when}")
}

fn requirement(contract: &Contract, requirement: &Requirement) -> String {
    let mut text = format!(
        "requirement {} ({})\n  {}\n  source: {}\n",
        requirement.id,
        level(requirement),
        requirement.text,
        source(&requirement.source)
    );
    if let Some(reason) = &requirement.excluded {
        let _ = writeln!(text, "  not tested: {reason}");
    }
    let operations = ids(contract, |operation| operation.requirements.contains(&requirement.id));
    let operations = if operations.is_empty() { "all (a general requirement)".to_owned() } else { operations };
    let guards = if requirement.guards.is_empty() { "any".to_owned() } else { requirement.guards.join(" ") };
    let _ = writeln!(text, "{}{}  checks: {}", listed("operations", &operations), listed("guards", &guards), requirement.checks.join(" "));
    for need in &requirement.needs {
        let _ = writeln!(text, "  needs: else {}; {}", need.reason(), need.fix());
    }
    let breaking: Vec<Fault> =
        faults().into_iter().filter(|fault| fault.requirement == requirement.id && fault.excused.is_none()).collect();
    if let Some(first) = breaking.first() {
        let names: Vec<&str> = breaking.iter().map(|fault| fault.id.as_str()).collect();
        let _ = writeln!(text, "{}  see one: logto-conformance check --fault {}", listed("broken by faults", &names.join(" ")), first.id);
    }
    text
}

/// Where a requirement comes from; a page of the public documentation unless it is told otherwise.
fn source(source: &str) -> &str {
    if source == "wire" { "what real deployments answer; no public page says it" } else { source }
}

fn error_code(contract: &Contract, code: &str, found: &ErrorCode) -> String {
    let statuses: Vec<String> = found.statuses.iter().map(u16::to_string).collect();
    let mut text = format!("error code {code} ({})\n  {}\n", statuses.join(", "), found.meaning);
    for operation in &contract.operations {
        for guard in operation.guards.iter().filter(|guard| guard.refusal().code.as_deref().is_some_and(|known| glob(known, code))) {
            let _ = writeln!(text, "  {}: {} {}", operation.id, guard.refusal().status, guard.label());
        }
    }
    text
}

fn guard_kind(contract: &Contract, kind: &str, meaning: &str) -> String {
    let operations = ids(contract, |operation| operation.guards.iter().any(|guard| guard.kind.name() == kind));
    let named = |requirement: &&std::sync::Arc<Requirement>| requirement.guards.iter().any(|known| known == kind);
    let requirements: Vec<&str> = contract.requirements.iter().filter(named).map(|requirement| requirement.id.as_str()).collect();
    format!(
        "guard kind {kind}\n  {}\n{}{}",
        meaning.trim(),
        listed("operations", none_if_empty(&operations)),
        listed("requirements", none_if_empty(&requirements.join(" ")))
    )
}

fn check(contract: &Contract, name: &str) -> String {
    let named = |requirement: &&std::sync::Arc<Requirement>| requirement.checks.iter().any(|known| known == name);
    let requirements: Vec<&str> = contract.requirements.iter().filter(named).map(|requirement| requirement.id.as_str()).collect();
    let breaking: Vec<String> = faults()
        .into_iter()
        .filter(|fault| fault.excused.is_none() && requirements.contains(&fault.requirement.as_str()))
        .map(|fault| fault.id)
        .take(5)
        .collect();
    format!(
        "check {name}\n  {}\n{}{}",
        judges(name),
        listed("requirements", none_if_empty(&requirements.join(" "))),
        listed("faults it may catch", none_if_empty(&breaking.join(" ")))
    )
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
        _ => "Judges exchanges for the requirements below.",
    }
}

/// What to do after a run that ended so.
const fn after(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Conformant => "nothing; `not tested` in the report says what was never promised",
        RunVerdict::Deviating => "each finding names a command that shows it again; a deviation that is accepted gets a waiver",
        RunVerdict::Usage => "mend what the message points at",
        RunVerdict::Unreachable => "logto-conformance doctor --target URL",
        RunVerdict::Incomplete => "mend what `not tested` names, or accept it with --allow-untestable",
        RunVerdict::Internal => "report it, with the command line",
        RunVerdict::Residue => "logto-conformance restore conformance-out/RUN/ledger.jsonl",
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
    fn what_other_commands_print_is_understood() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        for (word, first) in [
            ("field(name,avatar,username,customData)", "guard kind field\n"),
            ("PATCH /api/my-account", "operation UpdateProfile "),
            ("422", "status 422\n  error codes: "),
            ("user.username_*", "error code user.username_"),
        ] {
            let sections = sections(&contract, word);
            assert!(sections.first().is_some_and(|section| section.starts_with(first)), "{word}: {sections:?}");
        }
        assert!(sections(&contract, "/api/my-account").len() > 1);
        assert!(sections(&contract, "ACC-FIELD-01")[0].lines().all(|line| line.len() <= 140));
    }

    #[test]
    fn near_misses_hold_the_word_or_differ_least() {
        let known = ["UpdateProfile", "GetProfile", "waived", "stale-waiver"];
        assert_eq!(near("profile", &known), ["UpdateProfile", "GetProfile"]);
        assert_eq!(near("waivd", &known)[0], "waived");
        assert!(near("zzz", &known).is_empty(), "nothing in common is no near miss");
    }

    #[test]
    fn a_word_of_two_kinds_is_explained_twice() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let sections = sections(&contract, "Authorization");
        assert_eq!(sections.len(), 2);
        assert!(sections[0].starts_with("guard kind authorization\n") && sections[1].starts_with("check authorization\n"));
    }
}
