//! Waivers: deviations that are expected, with reason and expiry.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::judge::Deviation;
use crate::contract::{Contract, glob, nearest};

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
    /// Last day (`2027-01-31`) the waiver counts.
    #[serde(default)]
    pub until: Option<Spanned<String>>,
    /// Where it is tracked.
    #[serde(default)]
    pub issue: Option<String>,
    /// The deviation shows now and then only; the waiver never goes stale.
    #[serde(default)]
    pub sometimes: bool,
}

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

/// All waivers of a run, and which of them were needed.
#[derive(Debug, Clone, Default)]
pub struct Waivers {
    list: Vec<Waiver>,
    used: Vec<bool>,
}

impl Waivers {
    /// Reads a waiver file. `today` is a date such as `2026-11-22`.
    pub fn read(path: &Path, contract: &Contract, today: &str) -> Result<Self, WaiverError> {
        let text = std::fs::read_to_string(path).map_err(|error| WaiverError {
            place: path.display().to_string(),
            what: format!("cannot be read: {error}"),
            remedy: "name an existing waiver file".into(),
        })?;
        Self::parse(&path.display().to_string(), &text, contract, today)
    }

    /// Parses waivers; `name` is the file's name in messages.
    pub fn parse(name: &str, text: &str, contract: &Contract, today: &str) -> Result<Self, WaiverError> {
        let file: WaiverFile =
            toml::from_str(text).map_err(|error| WaiverError { place: name.to_owned(), what: error.to_string(), remedy: String::new() })?;
        let fail = |span: Range<usize>, what: String, remedy: String| {
            let before = &text[..span.start];
            let line = before.matches('\n').count() + 1;
            let start = before.rfind('\n').map_or(0, |index| index + 1);
            let shown = text[start..].lines().next().unwrap_or("");
            let column = span.start - start;
            let caret = format!("{}{}", " ".repeat(column), "^".repeat(span.len().max(1)));
            WaiverError { place: format!("{name}:{line}"), what: format!("{what}\n  | {shown}\n  | {caret}"), remedy }
        };
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
                let date = until.get_ref();
                let is_date = date.len() == 10
                    && date
                        .bytes()
                        .enumerate()
                        .all(|(index, byte)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
                if !is_date {
                    return Err(fail(until.span(), format!("`{date}` is no date"), "write YYYY-MM-DD".into()));
                }
                if date.as_str() < today {
                    return Err(fail(
                        until.span(),
                        format!("the waiver expired on {date}"),
                        "mend the deviation, or renew `until` with a reason".into(),
                    ));
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
        let fits = move |waiver: &&Waiver| glob(waiver.requirement.get_ref(), requirement) && glob(waiver.operation.get_ref(), operation);
        self.list.iter().filter(fits)
    }

    /// The reason why a deviation is waived, if it is; remembers that the waiver was needed.
    pub fn covers(&mut self, requirement: &str, operation: &str, deviation: &Deviation) -> Option<String> {
        let mut covered = None;
        for (waiver, used) in self.list.iter().zip(&mut self.used) {
            if glob(waiver.requirement.get_ref(), requirement)
                && glob(waiver.operation.get_ref(), operation)
                && glob(&waiver.expected, &deviation.expected)
                && glob(&waiver.actual, &deviation.actual)
            {
                *used = true;
                covered.get_or_insert_with(|| waiver.reason.clone());
            }
        }
        covered
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
