//! Mends the schemas of documents that deployments publish.
//!
//! Such documents are written by a program that says in OpenAPI 3.0 what its validators check, and loses some of it on the
//! way. What comes out here is JSON Schema 2020-12 that admits whatever the document can mean, and no more keywords than
//! a judgement needs.
//!
//! | in the document | here |
//! |---|---|
//! | `format: "\"email\""`, `format: "false"` (a literal) | `const` |
//! | `format: empty` | `const: ""` |
//! | `format: url` | `format: uri` |
//! | `format: regex` beside a `pattern`, formats of no meaning | left out |
//! | `pattern: "/^a$/i"` (with slashes and flags) | `pattern: "(?i)^a$"`; left out where no engine reads it |
//! | `nullable: true` | `null` is admitted too |
//! | an object described as "Validator function" | anything: the program could not say what the function admits |
//! | `properties` without a `type` | `type: object` |
//! | `exclusiveMinimum: true` | the number itself |
//! | `oneOf` whose branches overlap once their literals are lost | `anyOf` |
//! | `properties: {"[key]": …}` (any key) | `additionalProperties` |
//! | `$ref` to `#/components/…` | the schema itself; a circle admits anything |
//! | descriptions, examples, defaults | left out |

use serde_json::{Map, Value, json};

/// Formats that are asserted; every other one is only a hint for people.
const FORMATS: [&str; 9] = ["email", "uri", "date", "time", "date-time", "uuid", "ipv4", "ipv6", "hostname"];

/// Description of what the document's writer could not put into a schema.
const UNSAID: &str = "Validator function";

/// Keywords that mean here what they mean there.
const PLAIN: [&str; 15] = [
    "enum",
    "const",
    "required",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// References within references that are followed; what lies deeper may be anything.
const DEEPEST: usize = 32;

/// The mended schema. `document` is the whole document, for references within it.
pub fn repaired(schema: &Value, document: &Value) -> Value {
    Mender { document, trail: Vec::new() }.schema(schema)
}

struct Mender<'a> {
    document: &'a Value,
    /// References that are being followed.
    trail: Vec<String>,
}

impl Mender<'_> {
    fn schema(&mut self, schema: &Value) -> Value {
        let Some(object) = schema.as_object() else {
            // `true` and `false` are schemas; anything else says nothing.
            return if schema.is_boolean() { schema.clone() } else { json!({}) };
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.follow(reference);
        }
        if object.get("description").and_then(Value::as_str) == Some(UNSAID) {
            return json!({});
        }
        let mut mended = Map::new();
        for keyword in PLAIN {
            if let Some(value) = object.get(keyword).filter(|value| !value.is_boolean() || keyword == "uniqueItems" || keyword == "const") {
                mended.insert(keyword.to_owned(), value.clone());
            }
        }
        if let Some(kind) = object.get("type").filter(|kind| is_type(kind)) {
            mended.insert("type".into(), kind.clone());
        } else if object.contains_key("properties") {
            mended.insert("type".into(), "object".into());
        }
        exclude_bounds(object, &mut mended);
        read_format(object, &mut mended);
        if let Some(pattern) = object.get("pattern").and_then(Value::as_str).and_then(mend_pattern) {
            mended.insert("pattern".into(), pattern.into());
        }
        self.nested(object, &mut mended);
        if object.get("nullable") == Some(&Value::Bool(true)) { or_null(mended) } else { Value::Object(mended) }
    }

    fn follow(&mut self, reference: &str) -> Value {
        let found = reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer)).cloned();
        let circle = self.trail.len() >= DEEPEST || self.trail.iter().any(|known| known == reference);
        let Some(found) = found.filter(|_| !circle) else { return json!({}) };
        self.trail.push(reference.to_owned());
        let mended = self.schema(&found);
        self.trail.pop();
        mended
    }

    fn nested(&mut self, object: &Map<String, Value>, mended: &mut Map<String, Value>) {
        let mut any_key = None;
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            let mut kept = Map::new();
            for (name, inner) in properties {
                if name.starts_with('[') && name.ends_with(']') {
                    any_key = Some(self.schema(inner));
                } else {
                    kept.insert(name.clone(), self.schema(inner));
                }
            }
            if !kept.is_empty() {
                mended.insert("properties".into(), Value::Object(kept));
            }
        }
        for keyword in ["items", "additionalProperties", "not"] {
            if let Some(inner) = object.get(keyword) {
                mended.insert(keyword.into(), self.schema(inner));
            }
        }
        if let Some(inner) = any_key {
            mended.insert("additionalProperties".into(), inner);
        }
        for (keyword, becomes) in [("allOf", "allOf"), ("anyOf", "anyOf"), ("oneOf", "anyOf")] {
            if let Some(branches) = object.get(keyword).and_then(Value::as_array).filter(|branches| !branches.is_empty()) {
                mended.insert(becomes.into(), branches.iter().map(|branch| self.schema(branch)).collect());
            }
        }
    }
}

fn is_type(kind: &Value) -> bool {
    let known = |kind: &Value| {
        kind.as_str().is_some_and(|kind| ["null", "boolean", "integer", "number", "string", "array", "object"].contains(&kind))
    };
    kind.as_array().map_or_else(|| known(kind), |kinds| !kinds.is_empty() && kinds.iter().all(known))
}

/// OpenAPI 3.0 writes `minimum: 1, exclusiveMinimum: true`.
fn exclude_bounds(object: &Map<String, Value>, mended: &mut Map<String, Value>) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if object.get(exclusive) == Some(&Value::Bool(true))
            && let Some(limit) = mended.remove(bound)
        {
            mended.insert(exclusive.into(), limit);
        }
    }
}

fn read_format(object: &Map<String, Value>, mended: &mut Map<String, Value>) {
    let Some(format) = object.get("format").and_then(Value::as_str) else { return };
    if format == "empty" {
        mended.insert("const".into(), "".into());
    } else if let Ok(literal) = serde_json::from_str::<Value>(format) {
        // Whatever the type says beside it: the literal is the value.
        mended.remove("type");
        mended.insert("const".into(), literal);
    } else {
        let format = if format == "url" { "uri" } else { format };
        if FORMATS.contains(&format) {
            mended.insert("format".into(), format.into());
        }
    }
}

/// A pattern without the slashes of a JavaScript literal; nothing if it cannot be read even so.
fn mend_pattern(pattern: &str) -> Option<String> {
    let literal = pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let literal = literal.filter(|(_, flags)| flags.chars().all(|flag| "dgimsuvy".contains(flag)));
    let mended = match literal {
        Some((inner, flags)) if flags.contains('i') => format!("(?i){inner}"),
        Some((inner, _)) => inner.to_owned(),
        None => pattern.to_owned(),
    };
    jsonschema::options().build(&json!({"pattern": mended})).is_ok().then_some(mended)
}

/// The schema, or null.
fn or_null(mut schema: Map<String, Value>) -> Value {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    let simple = !["const", "allOf", "anyOf", "not"].iter().any(|keyword| schema.contains_key(*keyword));
    match schema.get_mut("type") {
        Some(kind @ Value::String(_)) if simple => *kind = json!([kind, "null"]),
        None if simple => {}
        _ => return json!({"anyOf": [schema, {"type": "null"}]}),
    }
    Value::Object(schema)
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
