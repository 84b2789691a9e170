//! Values on the bounds of a schema and just past them, and those that programs get wrong.

use serde_json::{Value, json};

use super::shape::{Shape, count, kind, properties, shapes};
use super::text::ODD;

/// Length of a text that is long for whatever has no bound.
const VERY_LONG: usize = 5_000;

/// Texts with half a surrogate pair, which only the JSON text of a request can hold.
const SURROGATES: [(&str, &str); 3] = [
    ("the first half of a pair", "a{{surrogate#d83d}}"),
    ("the second half of a pair", "{{surrogate#de42}}b"),
    ("a pair the wrong way round", "a{{surrogate#de42}}{{surrogate#d83d}}b"),
];

/// Whether the text of a request holds half a surrogate pair.
pub fn is_torn(body: &str) -> bool {
    body.contains("{{surrogate#")
}

/// Values with what they are. Which of them fit the schema, the schema has to say.
pub fn boundary(schema: &Value) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for shape in shapes(schema) {
        let mut add = |what: &str, value: Value| {
            if !found.iter().any(|(_, known)| *known == value) {
                found.push((what.to_owned(), value));
            }
        };
        if let Some(choices) = shape.get("enum").and_then(Value::as_array) {
            for choice in choices {
                add(&format!("{choice}"), choice.clone());
            }
        }
        match kind(&shape) {
            Some("null") => add("null", Value::Null),
            Some("boolean") => [true, false].into_iter().for_each(|flag| add(&flag.to_string(), flag.into())),
            Some("string") => texts(&shape, &mut add),
            Some("integer" | "number") => numbers(&shape, &mut add),
            Some("array") => lists(&shape, &mut add),
            Some("object") => objects(&shape, &mut add),
            _ => {}
        }
    }
    found
}

fn texts(shape: &Shape, add: &mut dyn FnMut(&str, Value)) {
    let most = count(shape, "maxLength");
    let least = count(shape, "minLength").unwrap_or(0);
    add("an empty text", json!(""));
    add("one letter", json!("a"));
    if least > 1 {
        add("as short as allowed", json!("x".repeat(least)));
        add("one unit too short", json!("x".repeat(least - 1)));
    }
    match most {
        Some(most) => {
            add("as long as allowed", json!("x".repeat(most)));
            add("one unit too long", json!("x".repeat(most + 1)));
            add("as long as allowed, in letters of two units", json!("𝒳".repeat(most / 2)));
            add("too long only in units", json!("𝒳".repeat(most / 2 + 1)));
        }
        None => add("a very long text", json!("x".repeat(VERY_LONG))),
    }
    for odd in ODD {
        add(&format!("a text with {}", odd.escape_unicode()), json!(format!("a{odd}b")));
    }
    for (what, text) in SURROGATES {
        add(what, json!(text));
    }
    add("blanks", json!("  "));
    add("blanks around a text", json!(" a "));
}

fn numbers(shape: &Shape, add: &mut dyn FnMut(&str, Value)) {
    for (keyword, past) in [("minimum", -1.0), ("maximum", 1.0)] {
        if let Some(bound) = shape.get(keyword).and_then(Value::as_f64) {
            add(&format!("the {keyword}"), number(bound));
            add(&format!("past the {keyword}"), number(bound + past));
            add(&format!("half past the {keyword}"), number(bound + past / 2.0));
        }
    }
    for (what, value) in [("zero", 0.0), ("minus one", -1.0), ("a fraction", 1.5), ("a whole number", 3600.0)] {
        add(what, number(value));
    }
    add("the largest safe whole number", json!(9_007_199_254_740_991_i64));
    add("a number past 32 bits", json!(4_294_967_296_i64));
    add("a number past 64 bits", json!(1e20));
}

/// A number without a fraction as a whole one.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "bounds of the contract are small numbers")]
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn lists(shape: &Shape, add: &mut dyn FnMut(&str, Value)) {
    let mut items: Vec<Value> = shape.get("items").map(boundary).into_iter().flatten().map(|(_, value)| value).collect();
    // Long texts in lists try nothing that long texts do not.
    items.retain(|item| item.as_str().is_none_or(|text| text.len() < 300));
    add("no items", json!([]));
    for item in items.iter().take(12) {
        add("one item", json!([item]));
    }
    if let Some(item) = items.iter().find(|item| item.as_str().is_none_or(|text| !text.is_empty())) {
        add("an item twice", json!([item, item]));
        if let Some(most) = count(shape, "maxItems") {
            add("as many items as allowed", json!(vec![item; most]));
            add("one item too many", json!(vec![item; most + 1]));
        }
    }
}

fn objects(shape: &Shape, add: &mut dyn FnMut(&str, Value)) {
    add("no members", json!({}));
    if shape.get("additionalProperties") == Some(&Value::Bool(true)) && properties(shape).next().is_none() {
        add("a member without a name", json!({"": 1}));
        add("members with odd names", json!({"a b": 1, "é𝒳": "שלום", "constructor": "x", "0": [], "a.b": null}));
        add(
            "every type",
            json!({"text": "𝒳", "number": -1.5, "large": 1e20, "small": 1e-7, "flag": false, "none": null, "list": [[], {}], "object": {"a": {"b": {}}}}),
        );
        add("a deep object", (0..60).fold(json!(1), |inner, _| json!({ "a": inner })));
        add("a large object", Value::Object((0..200).map(|index| (format!("k{index}"), json!("x".repeat(20)))).collect()));
    }
}
