//! JSON as JavaScript sees it: numbers compare as doubles, nesting may pass 127 levels.

use serde::Deserialize;
use serde_json::Value;

/// Nesting depth past which a document is refused; deeper ones could exhaust the stack of whoever walks them.
pub const MAX_DEPTH: usize = 512;

/// Why a text is not accepted as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Syntax or encoding error, with line and column.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Parses a JSON document of bounded depth. Halves of surrogate pairs, which JavaScript keeps and UTF-8 cannot hold, are read as
/// U+FFFD, as they are written by whoever writes UTF-8.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if depth(bytes) > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    match whole(bytes) {
        Err(error) => mended(bytes).map_or(Err(error), |mended| whole(&mended)),
        parsed => parsed,
    }
}

/// Whether a JSON document holds an escape of half a surrogate pair.
pub fn has_lone_surrogate(bytes: &[u8]) -> bool {
    mended(bytes).is_some()
}

/// The document with U+FFFD in place of each escape of half a surrogate pair; `None` if there is none.
fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    // Hardly any document has an escape at all.
    if !bytes.contains(&b'\\') {
        return None;
    }
    let unit = |at: usize| {
        let escape = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let mut mended = bytes.to_vec();
    let (mut at, mut found) = (0, false);
    while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += step;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended[at + 2..at + 6].copy_from_slice(b"fffd");
                found = true;
                6
            }
            _ => 2,
        };
    }
    found.then_some(mended)
}

fn whole(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Equality as JavaScript sees it: `1` and `1.0` are the same number; the order of keys does not matter.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn halves_of_surrogate_pairs_are_read_as_one_replacement_each() {
        for (text, read) in [
            (r#"["a\ud800"]"#, Some("a\u{fffd}")),
            (r#"["\udc00\ud800b"]"#, Some("\u{fffd}\u{fffd}b")),
            (r#"["\ud800\ud83d\ude42"]"#, Some("\u{fffd}\u{1f642}")),
            (r#"["\\ud800"]"#, Some("\\ud800")),
            (r#"["\uD83D\uDE42"]"#, Some("\u{1f642}")),
            (r#"["\ud80"]"#, None),
        ] {
            let parsed = parse(text.as_bytes()).ok().and_then(|value| value[0].as_str().map(str::to_owned));
            assert_eq!(parsed.as_deref(), read, "{text}");
            assert_eq!(has_lone_surrogate(text.as_bytes()), read.is_some_and(|read| read.contains('\u{fffd}')), "{text}");
        }
    }

    #[test]
    fn numbers_compare_as_doubles_and_keys_in_any_order() {
        assert!(same(&json!({"a": 1, "b": [1.0]}), &json!({"b": [1], "a": 1.0})));
        assert!(!same(&json!({"a": 1}), &json!({"a": "1"})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
    }

    #[test]
    fn depth_is_bounded_but_past_the_usual_limit() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(200).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(matches!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::TooDeep)));
        assert!(parse(br#""[[[\"[[""#).is_ok());
    }

    #[test]
    fn only_brackets_that_are_open_at_once_and_outside_texts_count_as_depth() {
        let (open, deep) = ("[".repeat(MAX_DEPTH + 1), format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)));
        for (document, is_too_deep) in [
            (format!("[{}[]]", "[],".repeat(MAX_DEPTH)), false),
            (format!("[{}{{}}]", "{},".repeat(MAX_DEPTH)), false),
            (format!(r#""{open}""#), false),
            (format!(r#""\"{open}""#), false),
            (format!(r#""\\\"{open}""#), false),
            (format!(r#"["", {deep}]"#), true),
            (format!(r#"["\\", {deep}]"#), true),
            (format!(r#"["\"", {deep}]"#), true),
            (format!(r#"{{"a": {deep}}}"#), true),
        ] {
            match parse(document.as_bytes()) {
                Ok(_) => assert!(!is_too_deep, "{document}"),
                Err(error) => assert!(is_too_deep && matches!(error, JsonError::TooDeep), "{document}: {error}"),
            }
        }
    }
}
