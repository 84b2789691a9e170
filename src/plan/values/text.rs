//! Texts: by pattern, by format, or of any letters, of bounded length in UTF-16 units.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use proptest::char::{self, CharStrategy};
use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::strategy::{BoxedStrategy, Strategy as _};
use proptest::string::string_regex;

use super::shape::{Shape, count};

/// Longest text that is drawn, in UTF-16 units; longer ones are boundary values.
const LONGEST: usize = 24;

/// Letters that programs get wrong: combining, of two units, right to left, invisible, of control, of markup.
pub const ODD: [&str; 14] =
    ["e\u{301}", "\u{1f44d}\u{1f3fd}", "𝒳", "שלום", "\u{202e}abc", "\u{200d}", "\u{feff}", "\u{85}", "\t", "\u{7f}", "'", "\\", "<b>", "ß"];

/// Formats and what texts of them look like.
const FORMATS: [(&str, &str); 6] = [
    (
        "uri",
        r"(https?://[a-z]{1,8}\.example(:[1-9][0-9]{1,3})?(/[0-9A-Za-z._-]{1,8}a){0,2}|com\.example\.[a-z]{1,6}://cb)(\?[a-z]=[0-9]{1,3})?",
    ),
    ("email", r"[0-9A-Za-z]{1,8}([.+][0-9a-z]{1,4})?@example\.(com|net|org)"),
    ("date", r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"),
    ("date-time", r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"),
    ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    ("ipv4", r"192\.0\.2\.([1-9]|[1-9][0-9])"),
];

/// Length of a text as JavaScript counts it.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Texts that fit an alternative, but for what its other keywords say.
pub fn texts(shape: &Shape) -> BoxedStrategy<String> {
    let named = |keyword: &str| shape.get(keyword).and_then(serde_json::Value::as_str);
    let format =
        named("format").and_then(|format| FORMATS.iter().find(|(name, _)| *name == format)).map(|(_, pattern)| (*pattern).to_owned());
    if let Some(strategy) = named("pattern").map(explicit).or(format).and_then(|pattern| string_regex(&pattern).ok()) {
        return strategy.prop_filter("U+0000", |text| is_plain(text)).boxed();
    }
    let least = count(shape, "minLength").unwrap_or(0);
    let most = count(shape, "maxLength").unwrap_or(usize::MAX).min(LONGEST.max(least));
    free(least..=most)
}

/// Texts of any letters with a length in UTF-16 units.
pub fn free(length: RangeInclusive<usize>) -> BoxedStrategy<String> {
    let letters = proptest::prop_oneof![
        6 => written(char::range(' ', '~'), 1..=6),
        2 => written(char::ranges(Cow::Borrowed(&['\u{a1}'..='\u{24f}', '\u{391}'..='\u{3c9}', '\u{4e00}'..='\u{4e40}'])), 1..=3),
        2 => proptest::sample::select(ODD.as_slice()).prop_map(str::to_owned),
    ];
    let (least, most) = (*length.start(), *length.end());
    (vec(letters, 0..=5), Just(()))
        .prop_map(move |(parts, ())| fitted(&parts.concat(), least, most))
        .prop_filter("a symbol", |text| is_plain(text))
        .boxed()
}

/// Names of members that nobody knows.
pub fn names() -> BoxedStrategy<String> {
    let letters = char::ranges(Cow::Borrowed(&['0'..='9', 'A'..='Z', 'a'..='z']));
    (char::range('a', 'z'), written(letters, 0..=5)).prop_map(|(first, rest)| format!("{first}{rest}")).boxed()
}

/// Texts of so many letters. (A pattern would be read anew for every draw.)
fn written(letters: CharStrategy<'static>, count: RangeInclusive<usize>) -> BoxedStrategy<String> {
    vec(letters, count).prop_map(String::from_iter).boxed()
}

/// The text, cut or lengthened.
fn fitted(text: &str, least: usize, most: usize) -> String {
    let mut fitted = String::new();
    let mut length = 0;
    for letter in text.chars() {
        if length + letter.len_utf16() > most {
            break;
        }
        length += letter.len_utf16();
        fitted.push(letter);
    }
    fitted.extend(std::iter::repeat_n('x', least.saturating_sub(length)));
    fitted
}

/// Neither a symbol of a plan, nor one that no storage keeps.
fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.contains('\0')
}

/// A pattern that texts can be drawn from: without anchors, its classes written out as JavaScript means them.
fn explicit(pattern: &str) -> String {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let inner = inner.strip_suffix('$').filter(|_| !inner.ends_with("\\$")).unwrap_or(inner);
    let mut written = String::new();
    let mut letters = inner.chars();
    let mut inside = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let class = match letters.next().unwrap_or('\\') {
                    'd' => "0-9",
                    'w' => "0-9A-Za-z_",
                    's' => " \\t",
                    'S' => "!-~",
                    other => {
                        written.extend(['\\', other]);
                        continue;
                    }
                };
                let (open, close) = if inside { ("", "") } else { ("[", "]") };
                written.extend([open, class, close]);
            }
            '[' | ']' => {
                inside = letter == '[';
                written.push(letter);
            }
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_out_and_anchors_go() {
        assert_eq!(explicit(r"^\S+@\S+\.\S+$"), r"[!-~]+@[!-~]+\.[!-~]+");
        assert_eq!(explicit(r"^[^\s@]+\d$"), r"[^ \t@]+[0-9]");
        assert_eq!(explicit(r"^https?://"), "https?://");
    }

    #[test]
    fn lengths_count_utf_16_units() {
        assert_eq!(fitted("a𝒳b", 0, 2), "a");
        assert_eq!(fitted("a𝒳b", 6, 9), "a𝒳bxx");
    }
}
