//! Values of forms: texts of the token endpoint's, files of an upload's.

use serde_json::{Value, json};

use super::text::ODD;

/// Letters of a text that is long for any member of a form.
const VERY_LONG: usize = 5_000;

/// Texts for a member of a form, with what they are.
pub fn fields() -> Vec<(String, String)> {
    let plain = [
        ("an empty text", ""),
        ("a blank", " "),
        ("an unknown choice", "lcUnknown"),
        ("a number", "1"),
        ("what JSON writes", "{\"a\":[]}"),
    ];
    let mut texts: Vec<(String, String)> = plain.map(|(what, text)| (what.to_owned(), text.to_owned())).into();
    texts.push(("a very long text".into(), "x".repeat(VERY_LONG)));
    texts.extend(ODD.iter().map(|odd| (format!("a text with {}", odd.escape_unicode()), format!("a{odd}b"))));
    texts
}

/// Things in place of a picture, with what they are.
pub fn files() -> Vec<(&'static str, Value)> {
    let file = |name: &str, kind: &str, content: &str| json!({"name": name, "type": kind, "base64": content});
    vec![
        ("an empty file", file("picture.png", "image/png", "")),
        ("one byte", file("picture.png", "image/png", "iQ==")),
        ("the first bytes of a picture", file("picture.png", "image/png", "iVBORw0KGgo=")),
        ("a text that says it is a picture", file("picture.jpg", "image/jpeg", "aGVsbG8=")),
        ("a page", file("picture.html", "text/html", "PGh0bWw+PC9odG1sPg==")),
        ("a file with an odd name", file("ש\u{301}𝒳 ..%2f.png", "image/png", "aGVsbG8=")),
        ("a file of no type", file("picture", "", "aGVsbG8=")),
        ("a text", json!("hello")),
        ("a number", json!(1)),
    ]
}
