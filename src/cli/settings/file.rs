//! The configuration file, read so that every complaint names its line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Settings, keys, parse};
use crate::contract::nearest;

/// Keys whose values are files that are read; relative ones are looked for beside the configuration file.
const INPUT_FILES: [&str; 2] = ["waivers", "ca"];

/// A setting is wrong or missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// File and line, or the variable.
    pub place: Option<String>,
    /// What is wrong, with the line and a caret below it if it stands in the file.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.remedy) }
    }
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|error| SettingsError {
        place: Some(path.display().to_string()),
        what: format!("cannot be read: {error}"),
        remedy: "check its permissions".into(),
    })?;
    let reader = Reader { path, text: &text, environment };
    let table = DeTable::parse(&text).map_err(|error| reader.error(error.span().unwrap_or(0..0), error.message(), ""))?;
    reader.settings(table.get_ref())
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn settings(&self, table: &DeTable<'_>) -> Result<Settings, SettingsError> {
        let known = keys();
        let mut words = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if !known.iter().any(|known| known == name) {
                return Err(self.error(key.span(), format!("`{name}` is no setting"), &nearest(name, known.iter().map(String::as_str))));
            }
            let values = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(|item| self.value(name, item)).collect::<Result<_, _>>()?,
                _ => vec![self.value(name, value)?],
            };
            let flags: Vec<String> = values.iter().map(|value| format!("--{name}={value}")).collect();
            parse(&flags).map_err(|what| self.error(value.span(), what, ""))?;
            words.extend(flags);
        }
        parse(&words).map_err(|what| self.error(0..0, what, ""))
    }

    /// One value as a flag would give it.
    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, SettingsError> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) => self.text[value.span()].replace('_', ""),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Table(table) => self.elsewhere(key, value.span(), table)?,
            DeValue::Datetime(_) | DeValue::Array(_) => {
                return Err(self.error(
                    value.span(),
                    format!("`{key}` takes no such value"),
                    "write a text in quotes, a number, true or false",
                ));
            }
        };
        Ok(if INPUT_FILES.contains(&key) { self.beside(&text).display().to_string() } else { text })
    }

    /// A value that stands in a variable or a file.
    fn elsewhere(&self, key: &str, span: Range<usize>, table: &DeTable<'_>) -> Result<String, SettingsError> {
        let only = table.iter().next().filter(|_| table.len() == 1);
        let source = only.and_then(|(kind, source)| Some((kind.get_ref().as_ref(), source.get_ref().as_str()?)));
        match source {
            Some(("env", name)) => (self.environment)(name)
                .ok_or_else(|| self.error(span, format!("the environment variable {name} is not set"), "set it, or take the line out")),
            Some(("file", name)) => {
                let path = self.beside(name);
                let read = std::fs::read_to_string(&path);
                let text =
                    read.map_err(|error| self.error(span, format!("{} cannot be read: {error}", path.display()), "name an existing file"))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            _ => Err(self.error(
                span,
                format!("`{key}` is a table"),
                "write a value, a list of values, { env = \"NAME\" } or { file = \"PATH\" }",
            )),
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().map_or_else(|| PathBuf::from(name), |dir| dir.join(name))
    }

    fn error(&self, span: Range<usize>, what: impl Into<String>, remedy: &str) -> SettingsError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |index| index + 1);
        let shown = self.text[start..].lines().next().unwrap_or("");
        let column = before[start..].chars().count();
        let marked = shown.chars().count().saturating_sub(column).min(span.len()).max(1);
        SettingsError {
            place: Some(format!("{}:{line}", self.path.display())),
            what: format!("{}\n  | {shown}\n  | {}{}", what.into(), " ".repeat(column), "^".repeat(marked)),
            remedy: remedy.to_owned(),
        }
    }
}
