//! Values that fit a schema.

use proptest::collection::vec;
use proptest::prelude::{Just, any};
use proptest::strategy::{BoxedStrategy, Strategy as _, Union};
use serde_json::{Map, Value, json};

use super::shape::{Shape, count, kind, properties, required, shapes};
use super::text::{self, free, texts};
use crate::contract::Schema;

/// Items that a list gets beyond what it must have.
const ITEMS: usize = 3;

/// Values that fit a schema; `None` if nothing can.
pub fn fitting(schema: &Schema) -> Option<BoxedStrategy<Value>> {
    let checked = schema.clone();
    Some(values(schema.raw())?.prop_filter("does not fit the schema", move |value| checked.admits(value)).boxed())
}

/// Values by the keywords that a strategy can follow; what else a schema says, it has to check.
fn values(schema: &Value) -> Option<BoxedStrategy<Value>> {
    if schema == &Value::Bool(false) {
        return None;
    }
    let alternatives = shapes(schema);
    if alternatives.is_empty() {
        return Some(anything());
    }
    let strategies: Vec<BoxedStrategy<Value>> = alternatives.iter().filter_map(of_shape).collect();
    (!strategies.is_empty()).then(|| Union::new(strategies).boxed())
}

fn of_shape(shape: &Shape) -> Option<BoxedStrategy<Value>> {
    if let Some(constant) = shape.get("const") {
        return Some(Just(constant.clone()).boxed());
    }
    if let Some(Value::Array(choices)) = shape.get("enum") {
        return (!choices.is_empty()).then(|| proptest::sample::select(choices.clone()).boxed());
    }
    Some(match kind(shape) {
        Some("null") => Just(Value::Null).boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::Bool).boxed(),
        Some("integer") => integers(shape),
        Some("number") => proptest::prop_oneof![
            4 => integers(shape),
            1 => integers(shape).prop_map(|value| json!(value.as_f64().unwrap_or_default() + 0.5)),
        ]
        .boxed(),
        Some("string") => texts(shape).prop_map(Value::String).boxed(),
        Some("array") => lists(shape)?,
        Some("object") => objects(shape)?,
        _ => anything(),
    })
}

/// Any small value.
pub fn anything() -> BoxedStrategy<Value> {
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1000_i64..1000).prop_map(|number| json!(number)),
        free(0..=12).prop_map(Value::String),
    ];
    let inner = |strategy: BoxedStrategy<Value>| {
        proptest::prop_oneof![
            vec(strategy.clone(), 0..3).prop_map(Value::Array),
            vec((text::names(), strategy), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    };
    leaf.prop_recursive(3, 12, 3, inner).boxed()
}

fn integers(shape: &Shape) -> BoxedStrategy<Value> {
    let bound = |keyword: &str, otherwise: i64| {
        #[expect(clippy::cast_possible_truncation, reason = "bounds of the contract are small numbers")]
        shape.get(keyword).and_then(Value::as_f64).map_or(otherwise, |bound| bound as i64)
    };
    let least = bound("minimum", bound("exclusiveMinimum", -1001) + 1);
    let most = bound("maximum", bound("exclusiveMaximum", least.max(0) + 1_000) - 1).max(least);
    (least..=most).prop_map(|number| json!(number)).boxed()
}

fn lists(shape: &Shape) -> Option<BoxedStrategy<Value>> {
    let least = count(shape, "minItems").unwrap_or(0);
    let most = count(shape, "maxItems").unwrap_or(least + ITEMS);
    let items = match shape.get("items") {
        Some(items) => values(items)?,
        None => anything(),
    };
    let unique = shape.get("uniqueItems") == Some(&Value::Bool(true));
    let distinct = move |items: &Vec<Value>| !unique || items.iter().enumerate().all(|(index, item)| !items[..index].contains(item));
    Some(vec(items, least..=most.min(least + ITEMS)).prop_filter("items twice", distinct).prop_map(Value::Array).boxed())
}

fn objects(shape: &Shape) -> Option<BoxedStrategy<Value>> {
    let mut members: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for (name, inner) in properties(shape) {
        let needed = required(shape).any(|required| required == name);
        let Some(strategy) = values(inner) else {
            if needed {
                return None;
            }
            continue;
        };
        let own = name.clone();
        let member = strategy.prop_map(move |value| Some((own.clone(), value)));
        members.push(if needed { member.boxed() } else { proptest::prop_oneof![Just(None), member].boxed() });
        names.push(name);
    }
    for name in required(shape).filter(|name| !names.contains(name)) {
        let name = name.to_owned();
        members.push(anything().prop_map(move |value| Some((name.clone(), value))).boxed());
    }
    let others = match shape.get("additionalProperties") {
        Some(Value::Bool(true)) => Some(anything()),
        Some(Value::Bool(false)) => None,
        Some(inner) => values(inner),
        // Nothing is said of the members at all.
        None => names.is_empty().then(anything),
    };
    if let Some(others) = others {
        let names = match shape.get("propertyNames") {
            Some(names) => values(names)?.prop_map(|name| name.as_str().unwrap_or_default().to_owned()).boxed(),
            None => text::names(),
        };
        let other = (names, others).prop_map(Some);
        members.extend([proptest::prop_oneof![Just(None), other.clone()].boxed(), proptest::prop_oneof![Just(None), other].boxed()]);
    }
    Some(members.prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>())).boxed())
}
