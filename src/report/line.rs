//! One harmless line of text out of whatever the target sent.

use std::fmt::Write as _;

/// The text with control characters, line breaks and characters that XML forbids written as escapes (`\n`, `\u{1b}`), so that
/// it can neither steer a terminal nor break out of its line.
pub(super) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_hidden(character) {
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Characters that reorder or end a line without being control characters, and those that XML 1.0 forbids.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        | '\u{fffe}' | '\u{ffff}')
}

/// At most `width` characters, the last three of them dots when something was cut.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(3)).collect();
    short.truncate(short.trim_end().len());
    short.push_str("...");
    short
}

/// `1 request`, `2 requests`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `850 ms`, `4.2 s`, `2 min 05 s`.
pub(super) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min {:02} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
    }
}

/// The first of several names, with the number of the others: `UpdateProfile +2`.
pub(super) fn first_of(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [only] => Some(printable(only)),
        [first, others @ ..] => Some(format!("{} +{}", printable(first), others.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(printable("a\n\u{1b}[31mb\u{202e}c\u{ffff}ü"), "a\\n\\u{1b}[31mb\\u{202e}c\\u{ffff}ü");
    }

    #[test]
    fn a_cut_shows() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abc...");
        assert_eq!(shorten("ab defg", 6), "ab...");
        assert_eq!(shorten("äöüßäöü", 6), "äöü...");
    }

    #[test]
    fn durations_grow_units() {
        let texts = [0, 999, 1_000, 4_250, 59_999, 125_000].map(duration);
        assert_eq!(texts, ["0 ms", "999 ms", "1.0 s", "4.2 s", "59.9 s", "2 min 05 s"]);
    }

    #[test]
    fn the_first_name_stands_for_all() {
        assert_eq!(first_of(&[]), None);
        assert_eq!(first_of(&["A".to_owned()]).as_deref(), Some("A"));
        assert_eq!(first_of(&["A".to_owned(), "B".to_owned(), "C".to_owned()]).as_deref(), Some("A +2"));
    }
}
