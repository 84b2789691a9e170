//! Recipients however they are written, and codes in the text of a message.

use std::sync::LazyLock;

use regex::Regex;

use crate::contract::MessageKind;

/// What stands before the code in the messages of our own templates, so that reading them is exact.
pub const MARKER: &str = "logto-conformance-code:";

static MARKED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"{MARKER}\s*([0-9A-Za-z]{{4,32}})\b")).expect("the pattern is fixed and valid"));

/// Six digits that stand alone: no part of a longer word, number or colour.
static SIX_DIGITS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w#.,-])([0-9]{6})(?:$|[^\w,-])").expect("the pattern is fixed and valid"));

/// What makes two spellings of a recipient the same: letters regardless of case, digits alone of a number.
pub fn key(recipient: &str) -> String {
    match kind_of(recipient) {
        MessageKind::Email => recipient.trim().to_lowercase(),
        MessageKind::Sms => recipient.chars().filter(char::is_ascii_digit).collect(),
    }
}

/// Whether a recipient is an address or a number.
pub fn kind_of(recipient: &str) -> MessageKind {
    if recipient.contains('@') { MessageKind::Email } else { MessageKind::Sms }
}

/// The code in a text: behind our marker, else the only number of six digits. The error says what was found instead.
pub fn code_in(text: &str) -> Result<String, &'static str> {
    if let Some(marked) = MARKED.captures(text) {
        return Ok(marked[1].to_owned());
    }
    let mut found: Vec<&str> = Vec::new();
    let mut rest = text;
    // Two candidates may share the sign between them, so the search goes on right behind the digits.
    while let Some(number) = SIX_DIGITS.captures(rest).and_then(|found| found.get(1)) {
        found.push(number.as_str());
        rest = &rest[number.end()..];
    }
    found.dedup();
    match found.as_slice() {
        [] => Err("no code"),
        [code] => Ok((*code).to_owned()),
        _ => Err("several numbers that could be the code"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_recipient_are_one() {
        assert_eq!(key("Ann@Example.COM"), key("ann@example.com"));
        assert_eq!(key("+1 (555) 010-0001"), key("15550100001"));
        assert_ne!(key("ann@example.com"), key("ann+x@example.com"));
    }

    #[test]
    fn codes_are_found_by_the_marker_or_by_being_alone() {
        assert_eq!(code_in("order 111111\nlogto-conformance-code: 222222\n"), Ok("222222".into()));
        assert_eq!(code_in("Your code is 123456. It lives 600 seconds."), Ok("123456".into()));
        assert_eq!(code_in("123456"), Ok("123456".into()));
        assert_eq!(code_in("123456 123456"), Ok("123456".into()));
        assert_eq!(code_in("<b>123456</b> in #123457, call 15550100001"), Ok("123456".into()));
        assert_eq!(code_in("123456 654321"), Err("several numbers that could be the code"));
        assert_eq!(code_in("hello a123456"), Err("no code"));
    }
}
