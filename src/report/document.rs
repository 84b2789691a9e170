//! The JSON report, `schema_version` 1: the one stable result of a run.
//!
//! The structs are the file, field by field. The enums here are the closed sets of the *file format*; they change only
//! together with `specs/schemas/report.schema.json` and [`SCHEMA_VERSION`].

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::verdict::{RunVerdict, Verdict};
pub use crate::plan::Coverage;

/// The version of the file format. It grows when a reader of the older format would misread the newer one.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA_VERSION`] in a report that this crate writes.
    pub schema_version: u32,
    /// The program that wrote the report.
    pub tool: Tool,
    /// Version of the contract, for example `1.43`.
    pub contract: String,
    /// The deployment under test.
    pub target: Target,
    /// Seed of the plan.
    pub seed: u64,
    /// Name of the profile, for example `standard`.
    pub profile: String,
    /// What the run was allowed to touch.
    pub mode: Mode,
    /// The part of the plan that was run; absent when it was the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// How the run ended.
    pub verdict: RunVerdict,
    /// [`RunVerdict::exit_code`] of the verdict.
    pub exit_code: u8,
    /// The run in numbers.
    pub summary: Summary,
    /// One row per specified or exercised operation, in the order of the contract.
    pub operations: Vec<OperationRow>,
    /// What the target says of itself (version markers, settings, connectors), read once before planning.
    pub facts: BTreeMap<String, Value>,
    /// One row per requirement, in the order of the contract.
    pub requirements: Vec<RequirementRow>,
    /// One row per outcome that is specified, predicted or observed.
    pub outcomes: Vec<OutcomeRow>,
    /// What the plan reaches of the coverage goal; absent when the plan was narrowed or read from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What was asked under each level of each field of the account center.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelRow>,
    /// One row per sequence that was run, in the order of the plan; of reports put together, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<SequenceRow>,
    /// Confirmed deviations that decide the verdict; one cause, one finding.
    pub findings: Vec<Finding>,
    /// Confirmed deviations from SHOULD requirements that do not decide the verdict.
    #[serde(default)]
    pub warnings: Vec<Finding>,
    /// Requirements that were promised and could not be tested.
    pub untestable: Vec<NotTested>,
    /// Requirements that were never promised under this mode, profile and settings.
    #[serde(default)]
    pub out_of_scope: Vec<NotTested>,
    /// Why checks abstained, and how often.
    #[serde(default)]
    pub abstained: Vec<Abstention>,
    /// What went wrong on our side or on the way to the target: lower-case fragments that complete "failed to …" or stand
    /// alone. Empty in a run that ended as planned.
    #[serde(default)]
    pub errors: Vec<String>,
    /// The folder that keeps this run's ledger, reports and findings, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
}

impl Report {
    /// What the verdict means, and of how many requirements it says nothing, as one sentence without its full stop.
    pub fn meaning(&self) -> String {
        let meaning = self.verdict.meaning();
        let counts = &self.summary.requirements;
        match (self.verdict, counts.unjudged() + counts.untestable) {
            (RunVerdict::Conformant, untested @ 1..) => format!("{meaning}; {untested} of {} requirements were not tested", counts.total),
            _ => meaning.to_owned(),
        }
    }

    /// Sets the verdict and its exit code together, so that they cannot disagree.
    pub fn set_verdict(&mut self, verdict: RunVerdict) {
        self.verdict = verdict;
        self.exit_code = verdict.exit_code();
    }

    /// The ids of the requirements with this verdict, with each operation on which they have it; without one for a
    /// requirement that names no operation.
    pub fn with_verdict(&self, verdict: Verdict) -> impl Iterator<Item = (&str, Option<&RequirementOperation>)> {
        self.requirements.iter().flat_map(move |row| {
            let whole = (row.operations.is_empty() && row.verdict == verdict).then_some((row.id.as_str(), None));
            let parts = row.operations.iter().filter(move |part| part.verdict == verdict);
            whole.into_iter().chain(parts.map(|part| (row.id.as_str(), Some(part))))
        })
    }
}

/// The program that wrote the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
}

impl Tool {
    /// This program in this version.
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// The deployment under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its base URL; for recorded traffic the file's path.
    pub endpoint: String,
    /// Where it runs.
    pub kind: TargetKind,
}

/// Where the deployment under test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// The reference inside this process.
    Embedded,
    /// Any other deployment, also one whose recorded traffic was judged.
    Remote,
}

/// What a run may touch on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Sends nothing that writes.
    ReadOnly,
    /// Touches only users it made itself.
    Isolated,
    /// May change tenant-wide settings, and puts them back.
    Exclusive,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ReadOnly => "read-only",
            Self::Isolated => "isolated",
            Self::Exclusive => "exclusive",
        })
    }
}

/// One of the parts that a plan was shared out into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number, counted from 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
    /// Digest of the whole plan: parts with the same digest belong together.
    pub plan: String,
    /// Waivers whose deviation this part did not show, another one may; absent where none can be missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_waivers: Option<Vec<IdleWaiver>>,
}

/// A waiver whose deviation did not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleWaiver {
    /// The requirement it names; `*` stands for any text.
    pub requirement: String,
    /// The operation it names; `*` stands for any text.
    pub operation: String,
    /// What is to be said if no part shows its deviation.
    pub text: String,
}

/// The run in numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Requests sent to the target, reductions and confirmations included.
    pub requests: u64,
    /// Sequences run.
    pub sequences: u64,
    /// Milliseconds from the first request to the last answer; of reports put together, the sum of theirs.
    pub duration_ms: u64,
    /// Requests per second over that time; see [`Summary::rate`].
    pub requests_per_second: f64,
    /// Operations in numbers.
    pub operations: OperationCounts,
    /// Outcomes in numbers.
    pub outcomes: OutcomeCounts,
    /// Requirements in numbers; see [`RequirementCounts::of`].
    pub requirements: RequirementCounts,
    /// Judgements of each check, by the check's name.
    pub checks: BTreeMap<String, CheckCounts>,
    /// Number of findings; warnings not included.
    pub findings: u64,
    /// Things created or changed on the target that could not be put back.
    pub residue: u64,
}

impl Summary {
    /// Requests per second with one decimal; 0 when no time passed, so that the number is always finite.
    pub fn rate(requests: u64, duration_ms: u64) -> f64 {
        if duration_ms == 0 {
            return 0.0;
        }
        let tenths = u128::from(requests) * 10_000 / u128::from(duration_ms);
        f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
    }
}

/// Operations in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Operations that the contract specifies.
    pub specified: u64,
    /// Of these, operations that were called at least once.
    pub exercised: u64,
    /// Of these, operations that succeeded at least once.
    pub succeeded: u64,
    /// Operations that the deployment's own document lists, specified or not; 0 without a document.
    #[serde(default)]
    pub published: u64,
    /// Of these, operations that were called at least once.
    #[serde(default)]
    pub published_exercised: u64,
}

/// Outcomes, (operation, status, error code) triples, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Outcomes that the contract specifies.
    pub specified: u64,
    /// Outcomes that the plan predicts.
    pub predicted: u64,
    /// Outcomes that the target showed.
    pub observed: u64,
}

/// Requirements in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequirementCounts {
    /// All requirements, those with verdict `error` or `out-of-scope` included.
    pub total: u64,
    /// Tested, and they hold.
    pub pass: u64,
    /// Confirmed deviations, of either level.
    pub fail: u64,
    /// Expected deviations.
    pub waived: u64,
    /// Waivers whose deviation is gone.
    pub stale_waiver: u64,
    /// Deviations that did not reproduce.
    pub flaky: u64,
    /// Promised, but not testable.
    pub untestable: u64,
}

impl RequirementCounts {
    /// Counts the rows by verdict.
    pub fn of(rows: &[RequirementRow]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.total += 1;
            match row.verdict {
                Verdict::Pass => counts.pass += 1,
                Verdict::Fail => counts.fail += 1,
                Verdict::Waived => counts.waived += 1,
                Verdict::StaleWaiver => counts.stale_waiver += 1,
                Verdict::Flaky => counts.flaky += 1,
                Verdict::Untestable => counts.untestable += 1,
                Verdict::Error | Verdict::OutOfScope => {}
            }
        }
        counts
    }

    /// Requirements about which nothing can be said: verdict `error` or `out-of-scope`.
    pub const fn unjudged(&self) -> u64 {
        let judged = self.pass + self.fail + self.waived + self.stale_waiver + self.flaky + self.untestable;
        self.total.saturating_sub(judged)
    }
}

/// Judgements of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckCounts {
    /// Exchanges that the check accepted.
    pub pass: u64,
    /// Exchanges in which it saw a deviation.
    pub fail: u64,
    /// Exchanges about which it said nothing; the reasons are in [`Report::abstained`].
    pub abstain: u64,
}

/// One of the two API collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collection {
    /// The Account API: end users, client side.
    Account,
    /// The Management API: administrators and back ends.
    Management,
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Account => "account",
            Self::Management => "management",
        })
    }
}

/// One operation and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRow {
    /// Its `operationId`.
    pub id: String,
    /// The collection it belongs to.
    pub collection: Collection,
    /// Upper-case method.
    pub method: String,
    /// Path template, for example `/api/users/{userId}`.
    pub path: String,
    /// Requests sent.
    pub requests: u64,
    /// Answers by status. Their sum is below `requests` when some got no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Whether the deployment's own document lists it.
    #[serde(default)]
    pub published: bool,
    /// Judgements of each check on this operation, by the check's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, CheckCounts>,
    /// How long its answers took; absent when it was not called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timing>,
}

/// How long the answers of one operation took, as the run saw it: waiting for `--rate` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timing {
    /// Answers that were timed, reductions and confirmations included.
    pub answers: u64,
    /// Microseconds of all of them.
    pub total_us: u64,
    /// Microseconds of the slowest.
    pub slowest_us: u64,
}

impl Timing {
    /// Counts one more answer.
    pub fn add(&mut self, microseconds: u64) {
        self.answers += 1;
        self.total_us = self.total_us.saturating_add(microseconds);
        self.slowest_us = self.slowest_us.max(microseconds);
    }

    /// Microseconds of an average answer.
    pub const fn mean_us(&self) -> u64 {
        match self.total_us.checked_div(self.answers) {
            Some(mean) => mean,
            None => 0,
        }
    }
}

/// What was asked under one level of one field of the account center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRow {
    /// Name of the field, for example `customData`.
    pub field: String,
    /// `Off`, `ReadOnly`, `Edit`, or `absent` for a field without a level.
    pub level: String,
    /// Planned calls of operations that depend on the field, under this level.
    pub calls: u64,
    /// Findings and warnings on such operations that showed under this level, by id.
    pub findings: Vec<String>,
}

/// How binding a requirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A deviation from it is a finding.
    Must,
    /// A deviation from it is a warning, or a finding under `--strict`.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

/// One requirement and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementRow {
    /// Its id, for example `ACC-EMAIL-01`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// The verdict over all operations.
    pub verdict: Verdict,
    /// Exchanges in which it was judged.
    pub evidence: u64,
    /// The verdict per operation that names the requirement; the test cases of the `JUnit` report.
    #[serde(default)]
    pub operations: Vec<RequirementOperation>,
}

/// One requirement on one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementOperation {
    /// The `operationId`.
    pub operation: String,
    /// The verdict on this operation.
    pub verdict: Verdict,
    /// Exchanges of this operation in which the requirement was judged.
    pub evidence: u64,
    /// What a reader needs to know beside the verdict: the waiver's reason and expiry, what a flaky deviation looked like,
    /// what went wrong on our side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One outcome of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// The `operationId`.
    pub operation: String,
    /// HTTP status.
    pub status: u16,
    /// Error code, if the answer carries one.
    pub code: Option<String>,
    /// Names of the answer's properties, sorted.
    pub properties: Vec<String>,
    /// Whether the plan predicted it.
    pub predicted: bool,
    /// Exchanges that showed it.
    pub observed: u64,
}

/// One confirmed deviation, with all operations that show it for the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id, also the name of its files.
    pub id: String,
    /// Level of the requirement it breaks.
    pub level: Level,
    /// The requirements it breaks.
    pub requirements: Vec<String>,
    /// Name of the check that saw it.
    pub check: String,
    /// The operations that show it, the one of the reduced sequence first.
    pub operations: Vec<String>,
    /// What differs, in one sentence.
    pub cause: String,
    /// What the contract demands, for example `400 account_center.field_not_editable`.
    pub expected: String,
    /// What the target answered, for example `200`.
    pub actual: String,
    /// Replays that showed it over replays, `3/3`; for a race observations over tries, `1/20`.
    pub confirmed: String,
    /// Calls of the reduced sequence.
    pub steps: u64,
    /// Calls of the sequence in which it was seen first.
    pub reduced_from: u64,
    /// Requests that the reduction took, before the replays.
    pub reduction_requests: u64,
    /// Other sequences that showed the same deviation.
    pub also_seen_in: u64,
    /// Path of the replay file, if one was written.
    pub replay: Option<String>,
    /// Path of the script of `curl` calls, if one was written.
    pub curl: Option<String>,
    /// The reduced sequence for people, one line per call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequence: Vec<String>,
}

impl Finding {
    /// Whether each replay showed it; a race is a finding after a single observation.
    pub fn reproduces(&self) -> bool {
        self.confirmed.split_once('/').is_none_or(|(shown, tried)| shown == tried)
    }
}

/// One requirement that was not tested.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NotTested {
    /// Id of the requirement.
    pub requirement: String,
    /// Why it was not tested.
    pub reason: String,
    /// What the user can do about it.
    pub fix: String,
}

/// What one sequence showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRow {
    /// Name of the sequence.
    pub id: String,
    /// Requests it sent; confirmations not included.
    pub requests: u64,
    /// Where it deviated, waived deviations and those that did not show again included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviates: Vec<Place>,
}

/// A requirement on an operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Id of the requirement.
    pub requirement: String,
    /// Id of the operation; empty for what is none.
    pub operation: String,
}

/// Why a check said nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Abstention {
    /// Name of the check.
    pub check: String,
    /// Why it abstained.
    pub reason: String,
    /// Exchanges about which it abstained for this reason.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_rate_is_finite_and_has_one_decimal() {
        assert!(Summary::rate(0, 0).abs() < f64::EPSILON);
        assert!((Summary::rate(1_000, 3_000) - 333.3).abs() < 1e-9);
        assert!(Summary::rate(u64::MAX, 1).is_finite());
    }

    #[test]
    fn requirements_are_counted_by_verdict() {
        let counts = RequirementCounts::of(&sample::full().requirements);
        let expected = RequirementCounts { total: 9, pass: 1, fail: 2, waived: 1, stale_waiver: 1, flaky: 1, untestable: 1 };
        assert_eq!(counts, expected);
        assert_eq!(counts.unjudged(), 2, "one `error` and one `out-of-scope`");
    }

    #[test]
    fn a_verdict_says_of_how_much_it_says_nothing() {
        let mut report = sample::minimal();
        assert_eq!(report.meaning(), report.verdict.meaning());
        report.summary.requirements = RequirementCounts { total: 9, pass: 5, untestable: 1, ..RequirementCounts::default() };
        assert_eq!(report.meaning(), format!("{}; 4 of 9 requirements were not tested", report.verdict.meaning()));
        report.set_verdict(RunVerdict::Deviating);
        assert_eq!(report.meaning(), report.verdict.meaning());
    }

    #[test]
    fn displayed_words_are_the_serialised_ones() {
        for mode in [Mode::ReadOnly, Mode::Isolated, Mode::Exclusive] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.to_string());
        }
        for level in [Level::Must, Level::Should] {
            assert_eq!(serde_json::to_value(level).unwrap(), level.to_string());
        }
        for collection in [Collection::Account, Collection::Management] {
            assert_eq!(serde_json::to_value(collection).unwrap(), collection.to_string());
        }
    }

    #[test]
    fn rows_are_found_by_verdict() {
        let report = sample::full();
        let found = |verdict| -> Vec<(&str, Option<&str>)> {
            report.with_verdict(verdict).map(|(id, part)| (id, part.map(|part| part.operation.as_str()))).collect()
        };
        assert_eq!(found(Verdict::Pass), [("ACC-PROFILE-03", Some("UpdateProfile")), ("ACC-FIELD-02", Some("UpdateOtherProfile"))]);
        assert_eq!(found(Verdict::OutOfScope), [("MGT-SET-01", None)]);
    }

    #[test]
    fn a_verdict_brings_its_exit_code() {
        let mut report = sample::minimal();
        report.set_verdict(RunVerdict::Residue);
        assert_eq!((report.verdict, report.exit_code), (RunVerdict::Residue, 6));
    }
}
