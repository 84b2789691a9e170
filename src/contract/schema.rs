//! JSON Schemas of the contract, compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::{Keyword, ValidationError, Validator};
use serde_json::{Map, Value};

/// A compiled schema together with its text.
#[derive(Clone)]
pub struct Schema {
    raw: Arc<Value>,
    validator: Arc<Validator>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

/// The most UTF-16 units that a text may have.
struct MostUnits(Option<u64>);

impl<'i> Keyword<'i> for MostUnits {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) { Ok(()) } else { Err(ValidationError::custom("is too long in UTF-16 units")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let units = |text: &str| text.encode_utf16().count() as u64;
        instance.as_str().zip(self.0).is_none_or(|(text, most)| units(text) <= most)
    }
}

/// Where and how a value departs from a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// JSON pointer into the value.
    pub pointer: String,
    /// What is wrong, without the value itself.
    pub what: String,
}

impl Schema {
    /// Compiles a schema without references. Formats are asserted; `uri` means what browsers accept as a URL, and
    /// `x-length: utf16` beside `maxLength` that it counts UTF-16 units.
    pub fn compile(raw: Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("uri", |text: &str| url::Url::parse(text).is_ok())
            .with_keyword("x-length", |parent, _, _| Ok(Box::new(MostUnits(parent.get("maxLength").and_then(Value::as_u64)))))
            .build(&raw)
            .map_err(|error| error.to_string())?;
        Ok(Self { raw: Arc::new(raw), validator: Arc::new(validator) })
    }

    /// The schema's text.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// Whether the value fits.
    pub fn admits(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// The first departure of the value, if any.
    pub fn first_error(&self, value: &Value) -> Option<SchemaError> {
        self.validator
            .iter_errors(value)
            .next()
            .map(|error| SchemaError { pointer: error.instance_path().to_string(), what: error.masked().to_string() })
    }

    /// The declared properties, through `allOf`, `oneOf`, `anyOf` and `then`.
    pub fn properties(&self) -> BTreeMap<&str, &Value> {
        let mut found = BTreeMap::new();
        collect_properties(&self.raw, &mut found, None);
        found
    }

    /// The value as the server keeps it after validation: without undeclared keys, with defaults. Objects whose schema declares no
    /// properties stay whole; what is declared for another value of a member that decides (`if` with `const`) goes too.
    pub fn prune(&self, value: &Value) -> Value {
        prune(&self.raw, value)
    }
}

/// Collects declared properties: all of them, or those that are declared for one value.
fn collect_properties<'a>(schema: &'a Value, found: &mut BTreeMap<&'a str, &'a Value>, of: Option<&Map<String, Value>>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.iter().map(|(name, schema)| (name.as_str(), schema)));
    }
    for keyword in ["allOf", "oneOf", "anyOf"] {
        for branch in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            collect_properties(branch, found, of);
        }
    }
    if let (Some(condition), Some(then)) = (schema.get("if"), schema.get("then"))
        && of.is_none_or(|value| is_decided(condition, value))
    {
        collect_properties(then, found, of);
    }
}

/// Whether the members that a condition compares with constants have these values.
fn is_decided(condition: &Value, value: &Map<String, Value>) -> bool {
    let members = condition.get("properties").and_then(Value::as_object);
    members.into_iter().flatten().all(|(name, schema)| schema.get("const").is_none_or(|wanted| value.get(name) == Some(wanted)))
}

/// Whether a branch is told from the others by constant members, and the object has these.
fn is_meant(branch: &Value, object: &Map<String, Value>) -> bool {
    let properties = branch.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut constants = properties.filter_map(|(name, inner)| Some((name, inner.get("const")?))).peekable();
    constants.peek().is_some() && constants.all(|(name, value)| object.get(name) == Some(value))
}

fn prune(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut properties = BTreeMap::new();
            match schema.get("oneOf").and_then(Value::as_array).and_then(|branches| branches.iter().find(|branch| is_meant(branch, object)))
            {
                Some(branch) => collect_properties(branch, &mut properties, Some(object)),
                None => collect_properties(schema, &mut properties, Some(object)),
            }
            if properties.is_empty() {
                return value.clone();
            }
            // Members of any name are declared too, where the schema says so.
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            let kept = object
                .iter()
                .filter_map(|(key, member)| Some((key.clone(), prune(properties.get(key.as_str()).copied().or(others)?, member))));
            let absent = properties.iter().filter(|(key, _)| !object.contains_key(**key));
            let defaults = absent.filter_map(|(key, inner)| Some(((*key).to_owned(), prune(inner, inner.get("default")?))));
            Value::Object(kept.chain(defaults).collect::<Map<_, _>>())
        }
        Value::Array(items) => match schema.get("items") {
            Some(item) => Value::Array(items.iter().map(|member| prune(item, member)).collect()),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Replaces every `$ref` to a file by that file's content. References do not nest in circles here; a circle is an error.
pub fn resolve(value: &Value, files: &BTreeMap<String, Value>, trail: &mut Vec<String>) -> Result<Value, String> {
    match value {
        Value::Object(object) => {
            if let Some(target) = object.get("$ref") {
                let target = target.as_str().ok_or("`$ref` is not a text")?;
                let name = target.rsplit('/').next().unwrap_or(target).to_owned();
                if trail.contains(&name) {
                    return Err(format!("`{target}` refers to itself; the contract's schemas are trees"));
                }
                let content = files.get(&name).ok_or_else(|| format!("`$ref: {target}` names no file of schemas/"))?;
                trail.push(name);
                let mut resolved = resolve(content, files, trail)?;
                trail.pop();
                if let Value::Object(resolved) = &mut resolved {
                    resolved.retain(|key, _| !matches!(key.as_str(), "$schema" | "$id"));
                    // Keywords beside `$ref` (a description, `x-shown`) add to what it names.
                    for (key, member) in object.iter().filter(|(key, _)| *key != "$ref") {
                        resolved.insert(key.clone(), member.clone());
                    }
                }
                return Ok(resolved);
            }
            let members = object.iter().map(|(key, member)| Ok((key.clone(), resolve(member, files, trail)?)));
            members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        Value::Array(items) => items.iter().map(|item| resolve(item, files, trail)).collect::<Result<_, _>>().map(Value::Array),
        _ => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_inlined_and_circles_refused() {
        let files =
            BTreeMap::from([("a.json".to_owned(), json!({"type": "string"})), ("b.json".to_owned(), json!({"items": {"$ref": "b.json"}}))]);
        let resolved = resolve(&json!({"properties": {"x": {"$ref": "schemas/a.json", "description": "y"}}}), &files, &mut vec![]);
        assert_eq!(resolved.unwrap(), json!({"properties": {"x": {"type": "string", "description": "y"}}}));
        assert!(resolve(&json!({"$ref": "b.json"}), &files, &mut vec![]).unwrap_err().contains("refers to itself"));
        assert!(resolve(&json!({"$ref": "c.json"}), &files, &mut vec![]).unwrap_err().contains("names no file"));
    }

    #[test]
    fn pruning_keeps_declared_keys_at_every_depth_and_free_objects_whole() {
        let schema = Schema::compile(json!({"properties": {
            "free": {"type": "object"},
            "list": {"items": {"properties": {"name": {}}}}
        }}))
        .unwrap();
        let value = json!({"free": {"x": 1}, "list": [{"name": 1, "y": 2}], "z": 3});
        assert_eq!(schema.prune(&value), json!({"free": {"x": 1}, "list": [{"name": 1}]}));
    }

    #[test]
    fn pruning_goes_by_the_branch_that_the_constants_name() {
        let branch = |kind: &str, key: &str| json!({"properties": {"type": {"const": kind}, "config": {"properties": {key: {}}}}});
        let schema = Schema::compile(json!({"oneOf": [branch("Text", "minLength"), branch("Number", "minValue")]})).unwrap();
        let value = json!({"type": "Text", "config": {"minLength": 1, "minValue": 2}});
        assert_eq!(schema.prune(&value), json!({"type": "Text", "config": {"minLength": 1}}));
    }

    #[test]
    fn pruning_drops_what_is_declared_for_another_type() {
        let then = |name: &str| json!({"properties": {name: {}}});
        let branch = |kind: &str, name: &str| json!({"if": {"properties": {"type": {"const": kind}}}, "then": then(name)});
        let schema = Schema::compile(json!({"properties": {"type": {}}, "allOf": [branch("a", "x"), branch("b", "y")]})).unwrap();
        assert_eq!(schema.prune(&json!({"type": "a", "x": 1, "y": 2})), json!({"type": "a", "x": 1}));
        assert_eq!(schema.properties().into_keys().collect::<Vec<_>>(), ["type", "x", "y"]);
    }

    #[test]
    fn pruning_keeps_members_of_any_name_where_they_are_declared() {
        let schema = Schema::compile(json!({"properties": {"en": {}}, "additionalProperties": {"type": "string"}})).unwrap();
        let value = json!({"en": "a", "de": "b"});
        assert_eq!(schema.prune(&value), value);
    }

    #[test]
    fn pruning_fills_in_defaults_inner_ones_included() {
        let inner = json!({"default": {}, "properties": {"min": {"default": 8}, "max": {}}});
        let schema = Schema::compile(json!({"properties": {"length": inner, "other": {}}})).unwrap();
        assert_eq!(schema.prune(&json!({"other": 1})), json!({"other": 1, "length": {"min": 8}}));
        assert_eq!(schema.prune(&json!({"length": {"min": 9, "max": 1}})), json!({"length": {"min": 9, "max": 1}}));
    }

    #[test]
    fn lengths_count_units_where_the_schema_says_so() {
        let admits = |schema: Value| Schema::compile(schema).unwrap().admits(&json!("𝒳𝒳"));
        assert!(admits(json!({"maxLength": 2})));
        assert!(!admits(json!({"maxLength": 2, "x-length": "utf16"})));
        assert!(admits(json!({"maxLength": 4, "x-length": "utf16"})));
    }

    #[test]
    fn uri_means_what_a_browser_accepts() {
        let schema = Schema::compile(json!({"type": "string", "format": "uri"})).unwrap();
        assert!(schema.admits(&json!("javascript:alert(1)")));
        assert!(!schema.admits(&json!("nope")));
    }
}
