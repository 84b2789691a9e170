//! Reading one YAML text; a mistake in it is told with line, caret and remedy.

use serde::de::DeserializeOwned;

use super::load::{SpecError, nearest};

/// Parses `text`, the content of `file`.
pub(super) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, SpecError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().and_then(|place| Some((usize::try_from(place.line()).ok()?, usize::try_from(place.column()).ok()?)));
        let message = error.without_snippet().to_string();
        // The place is told our way, in front.
        let message = match message.split_once(": ") {
            Some((head, rest)) if head.starts_with("line ") => rest,
            _ => message.as_str(),
        };
        let (what, remedy) = shorten(message);
        SpecError { file: file.to_owned(), line: place.map(|(line, _)| line), what: mark(text, place, what), remedy }
    })
}

/// A long list of what could have stood there becomes the name that was probably meant.
fn shorten(message: &str) -> (&str, String) {
    let Some((what, expected)) = message.split_once(", expected one of ") else { return (message, String::new()) };
    let wrong = what.split('`').nth(1).unwrap_or(what);
    let known = expected.split(", ").map(|name| name.trim_matches('`'));
    (what, nearest(wrong, known))
}

fn mark(text: &str, place: Option<(usize, usize)>, what: &str) -> String {
    let line = place.and_then(|(line, column)| Some((text.lines().nth(line.checked_sub(1)?)?, column)));
    match line {
        Some((line, column)) => format!("{what}\n  | {line}\n  | {}^", " ".repeat(column.saturating_sub(1))),
        None => what.to_owned(),
    }
}
