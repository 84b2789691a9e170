//! Waivers: deviations that are expected, with reason and expiry.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::judge::Deviation;
use crate::contract::{Contract, Version, glob, nearest};

/// One expected deviation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Requirement id; `*` stands for any text.
    pub requirement: Spanned<String>,
    /// Operation id; `*` stands for any text.
    pub operation: Spanned<String>,
    /// What is expected by the contract; `*` stands for any text.
    #[serde(default = "anything")]
    pub expected: String,
    /// What the deployment answers instead; `*` stands for any text.
    #[serde(default = "anything")]
    pub actual: String,
    /// Why the deviation is accepted.
    pub reason: String,
    /// Last day (`2027-01-31`), or last version of the contract (`1.43`), for which the waiver counts.
    #[serde(default)]
    pub until: Option<Spanned<String>>,
    /// Where it is tracked.
    #[serde(default)]
    pub issue: Option<String>,
    /// The deviation shows now and then only; the waiver never goes stale.
    #[serde(default)]
    pub sometimes: bool,
    /// File and line where it stands.
    #[serde(skip)]
    pub place: String,
    /// What stands there, as errors show it.
    #[serde(skip)]
    shown: String,
}

impl Waiver {
    fn speaks_of(&self, requirement: &str, operation: &str) -> bool {
        glob(self.requirement.get_ref(), requirement) && glob(self.operation.get_ref(), operation)
    }

    fn expects(&self, deviation: &Deviation) -> bool {
        glob(&self.expected, &deviation.expected) && glob(&self.actual, &deviation.actual)
    }

    /// What is to be said when its deviation could have shown and did not.
    pub fn outlived(&self) -> WaiverError {
        let what = format!("{} on {} was expected to deviate and does not", self.requirement.get_ref(), self.operation.get_ref());
        WaiverError { place: self.place.clone(), what: what + &self.shown, remedy: "remove the waiver".into() }
    }
}

/// The keys of a waiver.
const KEYS: [&str; 8] = ["requirement", "operation", "expected", "actual", "reason", "until", "issue", "sometimes"];

fn anything() -> String {
    "*".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaiverFile {
    #[serde(default)]
    waiver: Vec<Waiver>,
}

/// A waiver file is wrong.
#[derive(Debug, thiserror::Error)]
pub struct WaiverError {
    /// File and line.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl fmt::Display for WaiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.remedy) }
    }
}

/// The line of a place in a text, counted from 1, and two lines for people: what it says, and a caret below the place.
fn pointed(text: &str, span: Range<usize>) -> (usize, String) {
    let at = span.start.min(text.len());
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    let shown = text[start..].lines().next().unwrap_or("");
    let column = text[start..at].chars().count();
    let room = shown.chars().count().saturating_sub(column);
    let width = text.get(span).map_or(1, |place| place.chars().count()).clamp(1, room.max(1));
    (before.matches('\n').count() + 1, format!("\n  | {shown}\n  | {}{}", " ".repeat(column), "^".repeat(width)))
}

/// What the reader of TOML says, in our words, and the remedy.
fn explained(message: &str) -> (String, String) {
    let named = |prefix: &str| message.strip_prefix(prefix)?.split('`').next().map(str::to_owned);
    if let Some(key) = named("unknown field `") {
        let known = if message.contains("expected `waiver`") { vec!["waiver"] } else { KEYS.to_vec() };
        let hint = nearest(&key, known.into_iter());
        return (format!("`{key}` is no key of a waiver file"), hint);
    }
    if let Some(key) = named("missing field `") {
        return (format!("the waiver has no `{key}`"), format!("add `{key} = \"…\"`"));
    }
    (message.lines().next().unwrap_or_default().to_owned(), String::new())
}

/// Whether `until` has passed: a day, or a version. Fails when it is neither.
fn expired(until: &str, version: Version, today: &str) -> Result<bool, String> {
    let place = |(index, byte): (usize, u8)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    if until.len() == 10 && until.bytes().enumerate().all(place) {
        return Ok(until < today);
    }
    until.parse::<Version>().map(|last| version > last).map_err(|_| format!("`{until}` is no date and no version"))
}

/// All waivers of a run, and which of them were needed.
#[derive(Debug, Clone, Default)]
pub struct Waivers {
    list: Vec<Waiver>,
    used: Vec<bool>,
}

impl Waivers {
    /// Reads a waiver file. `today` is a date such as `2026-11-22`.
    pub fn read(path: &Path, contract: &Contract, today: &str) -> Result<Self, WaiverError> {
        Self::parse(&path.display().to_string(), &Self::text(path)?, contract, today)
    }

    /// The text of a waiver file, for [`Waivers::parse`]. What is no ordinary file can be read once only.
    pub fn text(path: &Path) -> Result<String, WaiverError> {
        std::fs::read_to_string(path).map_err(|error| WaiverError {
            place: path.display().to_string(),
            what: format!("cannot be read: {error}"),
            remedy: "name an existing waiver file".into(),
        })
    }

    /// Parses waivers; `name` is the file's name in messages.
    pub fn parse(name: &str, text: &str, contract: &Contract, today: &str) -> Result<Self, WaiverError> {
        let fail = |span: Range<usize>, what: String, remedy: String| {
            let (line, shown) = pointed(text, span);
            WaiverError { place: format!("{name}:{line}"), what: what + &shown, remedy }
        };
        let mut file: WaiverFile = toml::from_str(text).map_err(|error| {
            let (what, remedy) = explained(error.message());
            fail(error.span().unwrap_or_default(), what, remedy)
        })?;
        for waiver in &mut file.waiver {
            let (line, shown) = pointed(text, waiver.requirement.span());
            (waiver.place, waiver.shown) = (format!("{name}:{line}"), shown);
        }
        for waiver in &file.waiver {
            let requirement = waiver.requirement.get_ref();
            if !contract.requirements.iter().any(|known| glob(requirement, &known.id)) {
                let hint = nearest(requirement, contract.requirements.iter().map(|known| known.id.as_str()));
                return Err(fail(waiver.requirement.span(), format!("`{requirement}` matches no requirement"), hint));
            }
            let operation = waiver.operation.get_ref();
            // What a deployment's own document lists is not known here.
            let foreign = contract.requirements.iter().any(|known| known.document && known.id == *requirement);
            if !foreign && !contract.operations.iter().any(|known| glob(operation, &known.id)) {
                let hint = nearest(operation, contract.operations.iter().map(|known| known.id.as_str()));
                return Err(fail(waiver.operation.span(), format!("`{operation}` matches no operation"), hint));
            }
            if waiver.reason.trim().is_empty() {
                return Err(fail(
                    waiver.requirement.span(),
                    "the waiver has no reason".into(),
                    "say in `reason` why it is accepted".into(),
                ));
            }
            if let Some(until) = &waiver.until {
                let over = expired(until.get_ref(), contract.version, today)
                    .map_err(|what| fail(until.span(), what, "write YYYY-MM-DD, or a version such as 1.43".into()))?;
                if over {
                    let what = format!("the waiver expired on {}", until.get_ref());
                    return Err(fail(until.span(), what, "mend the deviation, or renew `until` with a reason".into()));
                }
            }
        }
        let used = vec![false; file.waiver.len()];
        Ok(Self { list: file.waiver, used })
    }

    /// The same waivers, none of which is missed when its deviation does not show: they were not written for this target.
    #[must_use]
    pub fn as_a_precaution(mut self) -> Self {
        for waiver in &mut self.list {
            waiver.sometimes = true;
        }
        self
    }

    /// Adds the waivers of another file.
    pub fn extend(&mut self, other: Self) {
        self.list.extend(other.list);
        self.used.extend(other.used);
    }

    /// The waivers that speak of a requirement on an operation.
    pub fn about(&self, requirement: &str, operation: &str) -> impl Iterator<Item = &Waiver> {
        self.list.iter().filter(move |waiver| waiver.speaks_of(requirement, operation))
    }

    /// The reason why a deviation is waived, if it is; remembers that the waiver was needed.
    pub fn covers(&mut self, requirement: &str, operation: &str, deviation: &Deviation) -> Option<String> {
        let mut covered = None;
        for (waiver, used) in self.list.iter().zip(&mut self.used) {
            if waiver.speaks_of(requirement, operation) && waiver.expects(deviation) {
                *used = true;
                covered.get_or_insert_with(|| waiver.reason.clone());
            }
        }
        covered
    }

    /// Whether a deviation is waived.
    pub fn expect(&self, requirement: &str, operation: &str, deviation: &Deviation) -> bool {
        self.about(requirement, operation).any(|waiver| waiver.expects(deviation))
    }

    /// Waivers that were not needed although `could_show` says their deviation could have been seen.
    pub fn stale(&self, could_show: impl Fn(&Waiver) -> bool) -> Vec<&Waiver> {
        self.list
            .iter()
            .zip(&self.used)
            .filter(|(waiver, used)| !**used && !waiver.sometimes && could_show(waiver))
            .map(|(waiver, _)| waiver)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[waiver]]\nrequirement = \"ACC-FIELD-01\"\noperation = \"UpdateProfile\"\nreason = \"known\"\n";

    fn told(text: &str) -> String {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        Waivers::parse("w.toml", text, &contract, "2026-01-01").map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_good_waiver_knows_its_place() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        for more in ["", "until = \"2026-01-01\"\n", "until = \"1.43\"\n", "issue = \"#1\"\nsometimes = true\n"] {
            let waivers = Waivers::parse("w.toml", &format!("{GOOD}{more}"), &contract, "2026-01-01").unwrap();
            let places: Vec<&str> = waivers.about("ACC-FIELD-01", "UpdateProfile").map(|waiver| waiver.place.as_str()).collect();
            assert_eq!(places, ["w.toml:2"]);
            assert_eq!(waivers.about("ACC-FIELD-01", "GetProfile").count(), 0);
        }
    }

    #[test]
    fn a_stale_waiver_is_told_like_any_mistake_of_its_file() {
        let text = "# ü\n[[waiver]]\nrequirement = \"ACC-FIELD-01\"\noperation = \"UpdateProfile\"\nreason = \"known\"\n";
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let waivers = Waivers::parse("w.toml", text, &contract, "2026-11-22").unwrap();
        let told: Vec<String> = waivers.stale(|_| true).into_iter().map(|waiver| waiver.outlived().to_string()).collect();
        let expected = "w.toml:3: ACC-FIELD-01 on UpdateProfile was expected to deviate and does not\n  \
                        | requirement = \"ACC-FIELD-01\"\n  |               ^^^^^^^^^^^^^^\n  help: remove the waiver";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn a_waiver_covers_what_it_names_and_is_stale_when_it_was_not_needed() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let text = format!("{GOOD}expected = \"400 *\"\nactual = \"200\"\n\n{}", GOOD.replace("UpdateProfile", "GetProfile"));
        let parsed = |text: &str| Waivers::parse("w.toml", text, &contract, "2026-01-01").unwrap();
        let deviation = |expected: &str, actual: &str| Deviation { expected: expected.into(), actual: actual.into() };
        let mut waivers = parsed(&text);
        for (operation, expected, actual, covered) in [
            ("UpdateProfile", "400 x", "200", true),
            ("UpdateProfile", "401 x", "200", false),
            ("UpdateProfile", "400 x", "204", false),
            ("GetProfile", "401 x", "204", true),
            ("GetAvatar", "400 x", "200", false),
        ] {
            let deviation = deviation(expected, actual);
            assert_eq!(waivers.expect("ACC-FIELD-01", operation, &deviation), covered, "{operation} {deviation:?}");
            assert_eq!(waivers.clone().covers("ACC-FIELD-01", operation, &deviation), covered.then(|| "known".to_owned()));
            assert!(!waivers.expect("ACC-FIELD-02", operation, &deviation));
            assert_eq!(waivers.clone().covers("ACC-FIELD-02", operation, &deviation), None);
        }
        let stale = |waivers: &Waivers| waivers.stale(|_| true).iter().map(|waiver| waiver.place.clone()).collect::<Vec<_>>();
        assert_eq!(stale(&waivers), ["w.toml:2", "w.toml:9"]);
        waivers.covers("ACC-FIELD-01", "UpdateProfile", &deviation("400 x", "200"));
        assert_eq!(stale(&waivers), ["w.toml:9"]);
        assert!(waivers.stale(|_| false).is_empty() && stale(&waivers.clone().as_a_precaution()).is_empty());
        let mut more = parsed(GOOD);
        more.extend(waivers);
        assert_eq!(stale(&more), ["w.toml:2", "w.toml:9"], "what was needed stays so");
        assert!(more.as_a_precaution().expect("ACC-FIELD-01", "GetProfile", &deviation("401 x", "204")), "it still covers");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_with_its_place() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let told = |text: &str| Waivers::parse("w.toml", text, &contract, "2026-11-22").map(drop).unwrap_err().to_string();
        assert_eq!(told("[[waiver]\n"), "w.toml:1: unclosed array table, expected `]`\n  | [[waiver]\n  |          ^");
        assert_eq!(
            told("[[waiver]]\nrequirement = 1\n"),
            "w.toml:2: invalid type: integer `1`, expected a string\n  | requirement = 1\n  |               ^"
        );
        let absent = Waivers::read(Path::new("absent/w.toml"), &contract, "2026-11-22").map(drop).unwrap_err();
        assert_eq!(
            absent.to_string(),
            "absent/w.toml: cannot be read: No such file or directory (os error 2)\n  help: name an existing waiver file"
        );
    }

    #[test]
    fn each_mistake_is_told_with_file_line_caret_and_nearest_name() {
        let cases = [
            (
                GOOD.replace("reason", "raeson"),
                "w.toml:4: `raeson` is no key of a waiver file\n  | raeson = \"known\"\n  | ^^^^^^\n  help: did you mean `reason`?",
            ),
            (
                GOOD.replace("[[waiver]]", "[[waver]]"),
                "w.toml:1: `waver` is no key of a waiver file\n  | [[waver]]\n  |   ^^^^^\n  help: did you mean `waiver`?",
            ),
            (
                GOOD.replace("reason = \"known\"\n", ""),
                "w.toml:1: the waiver has no `reason`\n  | [[waiver]]\n  | ^^^^^^^^^^\n  help: add `reason = \"…\"`",
            ),
            (
                GOOD.replace("known", " "),
                "w.toml:2: the waiver has no reason\n  | requirement = \"ACC-FIELD-01\"\n  |               ^^^^^^^^^^^^^^\n  help: say in `reason` why it is accepted",
            ),
            (
                GOOD.replace("ACC-FIELD-01", "ACC-FILED-01"),
                "w.toml:2: `ACC-FILED-01` matches no requirement\n  | requirement = \"ACC-FILED-01\"\n  |               ^^^^^^^^^^^^^^\n  help: did you mean `ACC-FIELD-01`?",
            ),
            (
                GOOD.replace("UpdateProfile", "UpdatProfile"),
                "w.toml:3: `UpdatProfile` matches no operation\n  | operation = \"UpdatProfile\"\n  |             ^^^^^^^^^^^^^^\n  help: did you mean `UpdateProfile`?",
            ),
            (
                format!("{GOOD}until = \"2025-12-31\"\n"),
                "w.toml:5: the waiver expired on 2025-12-31\n  | until = \"2025-12-31\"\n  |         ^^^^^^^^^^^^\n  help: mend the deviation, or renew `until` with a reason",
            ),
            (
                format!("{GOOD}until = \"1.42\"\n"),
                "w.toml:5: the waiver expired on 1.42\n  | until = \"1.42\"\n  |         ^^^^^^\n  help: mend the deviation, or renew `until` with a reason",
            ),
            (
                format!("{GOOD}until = \"some-day-x\"\n"),
                "w.toml:5: `some-day-x` is no date and no version\n  | until = \"some-day-x\"\n  |         ^^^^^^^^^^^^\n  help: write YYYY-MM-DD, or a version such as 1.43",
            ),
            (
                format!("{GOOD}until = \"soon\"\n"),
                "w.toml:5: `soon` is no date and no version\n  | until = \"soon\"\n  |         ^^^^^^\n  help: write YYYY-MM-DD, or a version such as 1.43",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(told(&text), expected);
        }
        assert!(told("[[waiver]\n").starts_with("w.toml:1: "));
    }
}
