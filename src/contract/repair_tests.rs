//! The samples are excerpts of the document that Logto 1.43 publishes.
#![expect(clippy::needless_pass_by_value, reason = "samples read better with `json!` in place")]

use serde_json::json;

use super::super::Schema;
use super::*;

fn mended(schema: Value) -> Value {
    repaired(&schema, &json!({}))
}

#[test]
fn literals_written_as_formats_become_constants() {
    assert_eq!(mended(json!({"type": "string", "format": "\"Totp\""})), json!({"const": "Totp"}));
    assert_eq!(mended(json!({"type": "boolean", "format": "false"})), json!({"const": false}));
    assert_eq!(mended(json!({"type": "string", "format": "empty"})), json!({"type": "string", "const": ""}));
}

#[test]
fn formats_that_mean_nothing_here_are_left_out_and_url_is_a_uri() {
    assert_eq!(mended(json!({"type": "string", "format": "url"})), json!({"type": "string", "format": "uri"}));
    assert_eq!(mended(json!({"type": "string", "format": "regex"})), json!({"type": "string"}));
    assert_eq!(mended(json!({"type": "string", "format": "date-time"})), json!({"type": "string", "format": "date-time"}));
}

#[test]
fn patterns_lose_their_slashes_and_keep_their_flags() {
    let colour = mended(json!({"type": "string", "format": "regex", "pattern": "/^#[\\da-f]{3}([\\da-f]{3})?$/i"}));
    let schema = Schema::compile(colour).unwrap();
    assert!(schema.admits(&json!("#FFF")) && schema.admits(&json!("#5d34f2")) && !schema.admits(&json!("5d34f2")));
    assert_eq!(mended(json!({"pattern": "/^\\d{4}(-\\d{2}){2}$/"})), json!({"pattern": "^\\d{4}(-\\d{2}){2}$"}));
    assert_eq!(mended(json!({"pattern": "^[a-z]+/[a-z]+$"})), json!({"pattern": "^[a-z]+/[a-z]+$"}));
    assert_eq!(mended(json!({"pattern": "/(/"})), json!({}));
}

#[test]
fn nullable_admits_null() {
    for (schema, good, bad) in [
        (json!({"type": "string", "maxLength": 3, "nullable": true}), json!("abc"), json!("abcd")),
        (json!({"type": "string", "enum": ["a", "b"], "nullable": true}), json!("b"), json!("c")),
        (json!({"nullable": true, "oneOf": [{"type": "string"}, {"type": "number"}]}), json!(1), json!(true)),
        (json!({"type": "string", "format": "\"x\"", "nullable": true}), json!("x"), json!("y")),
    ] {
        let schema = Schema::compile(mended(schema)).unwrap();
        assert!(schema.admits(&Value::Null) && schema.admits(&good) && !schema.admits(&bad), "{schema:?}");
    }
}

#[test]
fn overlapping_branches_are_no_contradiction() {
    let submission = json!({"oneOf": [
        {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "format": "\"Password\""}, "id": {"type": "string"}}},
        {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    ]});
    assert!(Schema::compile(mended(submission)).unwrap().admits(&json!({"type": "Password", "id": "x"})));
}

#[test]
fn placeholders_of_keys_stand_for_any_key() {
    let document = json!({"components": {"schemas": {
        "TranslationObject": {"type": "object", "properties": {"[translationKey]": {"$ref": "#/components/schemas/Translation"}}},
        "Translation": {"oneOf": [{"type": "string"}]},
    }}});
    let schema = Schema::compile(repaired(&json!({"$ref": "#/components/schemas/TranslationObject"}), &document)).unwrap();
    assert!(schema.admits(&json!({"greeting": "Ciao"})));
    assert!(!schema.admits(&json!([])) && !schema.admits(&json!({"greeting": 1})));
}

#[test]
fn what_no_judgement_needs_is_gone_but_properties_of_that_name_stay() {
    let schema = json!({
        "type": "object", "description": "A role.", "example": {}, "required": ["description"],
        "properties": {"description": {"type": "string", "description": "What for.", "default": "x"}, "format": {"type": "string"}},
        "additionalProperties": false,
    });
    let expected = json!({
        "required": ["description"], "type": "object",
        "properties": {"description": {"type": "string"}, "format": {"type": "string"}}, "additionalProperties": false,
    });
    assert_eq!(mended(schema), expected);
    assert_eq!(mended(json!({"example": {}, "properties": {"script": {"description": "The script."}}}))["type"], "object");
}

#[test]
fn what_the_writer_could_not_say_admits_anything() {
    let uris = json!({"type": "array", "items": {"type": "object", "description": "Validator function", "additionalProperties": true}});
    assert_eq!(mended(uris), json!({"type": "array", "items": {}}));
    assert_eq!(mended(json!({"type": "object", "description": "arbitrary", "additionalProperties": true}))["type"], "object");
}

#[test]
fn bounds_of_openapi_3_0_are_translated() {
    let schema = json!({"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 5, "exclusiveMaximum": false});
    assert_eq!(mended(schema), json!({"type": "number", "exclusiveMinimum": 0, "maximum": 5}));
    assert_eq!(mended(json!({"type": "number", "exclusiveMinimum": 0})), json!({"type": "number", "exclusiveMinimum": 0}));
}

#[test]
fn a_circle_of_references_ends() {
    let document = json!({"components": {"schemas": {"Tree": {"properties": {"left": {"$ref": "#/components/schemas/Tree"}}}}}});
    let expected = json!({"type": "object", "properties": {"left": {}}});
    assert_eq!(repaired(&json!({"$ref": "#/components/schemas/Tree"}), &document), expected);
}

#[test]
fn nonsense_admits_anything() {
    for odd in [json!(null), json!(7), json!({"type": "file"}), json!({"$ref": "#/nowhere"}), json!({"$ref": "other.json"})] {
        assert_eq!(mended(odd), json!({}));
    }
}
