//! Single changes of a body: to values that fit the schema at that place, lie on its bounds, or are wrong.

use serde_json::{Value, json};

use super::boundary::boundary;
use super::draw::Draw;
use super::generate::fitting;
use super::shape::{Shape, kind, properties, required, shapes};
use crate::contract::Schema;

/// Values that some schema or other does not admit.
const WRONG: [(&str, &str); 8] = [
    ("an object", r#"{"lc":1}"#),
    ("a list", "[]"),
    ("a number", "12345"),
    ("a flag", "true"),
    ("null", "null"),
    ("a text", r#""lc lc""#),
    ("no address", r#""//example.com/lc""#),
    ("an unknown choice", r#""lcUnknown""#),
];

/// One thing to change in a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// JSON pointer of what changes.
    pub pointer: String,
    /// What it becomes, for people.
    pub what: String,
    /// The new value; `None` drops it.
    pub value: Option<Value>,
}

impl Change {
    /// The body after the change; `None` if it has no such place.
    pub fn of(&self, body: &Value) -> Option<Value> {
        let mut changed = body.clone();
        self.make(&mut changed)?;
        Some(changed)
    }

    /// Makes the change; `None` if the body has no such place.
    pub fn make(&self, body: &mut Value) -> Option<()> {
        let (parent, name) = self.pointer.rsplit_once('/')?;
        match (body.pointer_mut(parent)?, &self.value) {
            (Value::Object(object), Some(value)) => drop(object.insert(name.to_owned(), value.clone())),
            (Value::Object(object), None) => drop(object.shift_remove(name)?),
            (Value::Array(items), Some(value)) => *items.get_mut(name.parse::<usize>().ok()?)? = value.clone(),
            _ => return None,
        }
        Some(())
    }

    /// The name of what changes.
    pub fn name(&self) -> &str {
        self.pointer.rsplit('/').find(|name| name.parse::<usize>().is_err()).unwrap_or_default()
    }
}

/// Every change of a body that is worth trying, each of one thing; `draws` says how many drawn values each place gets.
pub fn changes(schema: &Schema, body: &Value, draw: &mut Draw, draws: usize) -> Vec<Change> {
    let mut found = Vec::new();
    for shape in shapes(schema.raw()) {
        walk("", &shape, body, &mut |pointer, place, needed| {
            let mut add = |what: String, value: Option<Value>| {
                let change = Change { pointer: pointer.to_owned(), what, value };
                if !found.iter().any(|known: &Change| known.pointer == change.pointer && known.value == change.value) {
                    found.push(change);
                }
            };
            if needed {
                add("missing".into(), None);
            }
            for (what, value) in boundary(place) {
                add(what, Some(value));
            }
            for (what, text) in WRONG {
                add(what.to_owned(), serde_json::from_str(text).ok());
            }
            let strategy = Schema::compile(place.clone()).ok().and_then(|schema| fitting(&schema));
            for _ in 0..draws {
                if let Some(value) = strategy.as_ref().and_then(|strategy| draw.one(strategy)) {
                    add("a drawn value".into(), Some(value));
                }
            }
        });
    }
    found
}

/// Calls `visit` with every place that a body has or could have: pointer, schema, whether something must be there.
fn walk(pointer: &str, shape: &Shape, body: &Value, visit: &mut dyn FnMut(&str, &Value, bool)) {
    for (name, inner) in properties(shape) {
        let place = format!("{pointer}/{name}");
        let member = body.get(name);
        visit(&place, inner, member.is_some() && required(shape).any(|needed| needed == name));
        let Some(member) = member else { continue };
        for inner in shapes(inner) {
            match (kind(&inner), member.get(0)) {
                (Some("object"), _) if member.is_object() => walk(&place, &inner, member, visit),
                (Some("array"), Some(first)) => {
                    let (place, Some(item)) = (format!("{place}/0"), inner.get("items")) else { continue };
                    visit(&place, item, false);
                    for item in shapes(item) {
                        walk(&place, &item, first, visit);
                    }
                }
                _ => {}
            }
        }
    }
    if shape.get("additionalProperties") == Some(&json!(false)) && body.is_object() {
        visit(&format!("{pointer}/lcExtra"), &Value::Bool(true), false);
    }
}
