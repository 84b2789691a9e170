//! What a schema admits, as plain alternatives: one type each, without `anyOf`, `oneOf`, `allOf` and `if`.

use serde_json::{Map, Value, json};

use crate::contract::Schema;

/// Alternatives of one schema that are looked at; a schema with more is cut off.
const MOST: usize = 48;

/// One plain alternative: a type and its keywords.
pub type Shape = Map<String, Value>;

/// The plain alternatives of a schema.
pub fn shapes(schema: &Value) -> Vec<Shape> {
    let mut done = Vec::new();
    let mut open: Vec<Shape> = schema.as_object().cloned().into_iter().collect();
    while let Some(mut shape) = open.pop() {
        if let Some(step) = unfold(&mut shape) {
            open.extend(step.into_iter().rev());
        } else if !done.contains(&shape) {
            done.push(shape);
        }
        if done.len() + open.len() > MOST {
            break;
        }
    }
    done
}

/// Takes one keyword that combines schemas out of a shape; what it stands for. `None` when there is no such keyword.
fn unfold(shape: &mut Shape) -> Option<Vec<Shape>> {
    if let Some(Value::Array(parts)) = shape.shift_remove("allOf") {
        // Conditions exclude each other by the constants they ask for, so each is one alternative.
        let (conditions, plain): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(|part| part.get("if").is_some());
        let base = plain.iter().fold(shape.clone(), |base, part| merge(&base, part));
        if conditions.is_empty() {
            return Some(vec![base]);
        }
        return Some(conditions.iter().map(|condition| merge(&base, condition)).collect());
    }
    if let Some(condition) = shape.shift_remove("if") {
        let then = shape.shift_remove("then").unwrap_or_else(|| json!({}));
        let otherwise = shape.shift_remove("else").unwrap_or_else(|| json!({}));
        return Some(vec![merge(&merge(shape, &condition), &then), merge(shape, &otherwise)]);
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = shape.shift_remove(keyword) {
            return Some(branches.iter().map(|branch| merge(shape, branch)).collect());
        }
    }
    if let Some(Value::Array(types)) = shape.get("type").cloned() {
        let only = |kind: &Value| {
            let mut shape = shape.clone();
            shape.insert("type".into(), kind.clone());
            shape
        };
        return Some(types.iter().map(only).collect());
    }
    None
}

/// Both at once, as far as that can be said in one plain schema. What is said twice is said by `part`.
fn merge(shape: &Shape, part: &Value) -> Shape {
    let mut merged = shape.clone();
    for (keyword, value) in part.as_object().into_iter().flatten() {
        let both = match (keyword.as_str(), merged.get(keyword), value) {
            ("properties", Some(Value::Object(known)), Value::Object(new)) => {
                let mut properties = known.clone();
                for (name, inner) in new {
                    let joined = known.get(name).and_then(Value::as_object).map(|known| Value::Object(merge(known, inner)));
                    properties.insert(name.clone(), joined.unwrap_or_else(|| inner.clone()));
                }
                Value::Object(properties)
            }
            ("required", Some(Value::Array(known)), Value::Array(new)) => {
                let more = new.iter().filter(|name| !known.contains(name));
                known.iter().chain(more).cloned().collect()
            }
            ("allOf", Some(Value::Array(known)), Value::Array(new)) => known.iter().chain(new).cloned().collect(),
            ("oneOf" | "anyOf" | "if" | "then" | "else", Some(_), _) => {
                let beside = merged.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
                let beside = beside.into_iter().chain([json!({keyword: value})]).collect();
                merged.insert("allOf".into(), beside);
                continue;
            }
            _ => value.clone(),
        };
        merged.insert(keyword.clone(), both);
    }
    merged
}

/// The schema without what nothing is promised for, or what others on the tenant would feel: `x-untried` is the schema of that.
pub fn tried(schema: &Schema) -> Schema {
    fn walk(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut walked: Shape = members.iter().map(|(name, member)| (name.clone(), walk(member))).collect();
                if let Some(untried) = walked.shift_remove("x-untried") {
                    let parts = walked.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
                    walked.insert("allOf".into(), parts.into_iter().chain([json!({"not": untried})]).collect());
                }
                Value::Object(walked)
            }
            Value::Array(items) => items.iter().map(walk).collect(),
            other => other.clone(),
        }
    }
    Schema::compile(walk(schema.raw())).unwrap_or_else(|_| schema.clone())
}

/// What an alternative asks of a property.
pub fn properties(shape: &Shape) -> impl Iterator<Item = (&String, &Value)> {
    shape.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The properties that an alternative asks for.
pub fn required(shape: &Shape) -> impl Iterator<Item = &str> {
    shape.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A bound of an alternative, as a number of things.
pub fn count(shape: &Shape, keyword: &str) -> Option<usize> {
    shape.get(keyword).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
}

/// The type of an alternative, from its keywords if it does not say.
pub fn kind(shape: &Shape) -> Option<&str> {
    let told = [("properties", "object"), ("required", "object"), ("items", "array"), ("pattern", "string"), ("format", "string")];
    let implied = || told.iter().find(|(keyword, _)| shape.contains_key(*keyword)).map(|(_, kind)| *kind);
    shape.get("type").and_then(Value::as_str).or_else(implied)
}
