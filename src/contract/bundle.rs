//! One self-contained OpenAPI document per collection, for other tools.
//!
//! The document is what stands in `specs/`, in the same order and with its x- keys, less what the asked version does not
//! have. Every reference to a schema file becomes one to `#/components/schemas`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Contract;
use super::guard::{Guard, Status};
use super::load::{self, Files, SpecError};
use super::operation::{Collection, Operation};
use super::version::Version;

/// The document of a collection for one version, complete in itself.
///
/// Fails when the specification folder is wrong; it is loaded and checked as for a run.
pub fn bundle(files: &Files, collection: Collection, version: Version) -> Result<Value, SpecError> {
    let contract = Contract::from_files(files, version)?;
    let mut document: Value = files.yaml(&format!("{collection}.openapi.yaml"))?;
    retain_version(&mut document, version);
    for operation in contract.operations.iter().filter(|operation| operation.collection == collection) {
        let responses = document.get_mut("paths").and_then(|paths| paths.get_mut(&operation.path));
        let responses = responses.and_then(|item| item.get_mut(operation.method.to_ascii_lowercase())?.get_mut("responses"));
        if let Some(Value::Object(responses)) = responses {
            add_refusals(responses, operation);
        }
    }
    let schemas = files.schemas()?;
    let mut used = BTreeMap::new();
    localise(&mut document, &schemas, version, &mut used);
    document["info"]["version"] = json!(version.to_string());
    document["components"]["schemas"] = Value::Object(used.into_iter().collect());
    Ok(document)
}

/// The answers that follow from the guards, which the files leave out.
fn add_refusals(responses: &mut Map<String, Value>, operation: &Operation) {
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for refusal in operation.guards.iter().map(Guard::refusal) {
        if let Status::Exact(status) = refusal.status {
            let codes = codes.entry(status).or_default();
            if let Some(code) = refusal.code.as_deref().filter(|code| !codes.contains(code)) {
                codes.push(code);
            }
        }
    }
    for (status, codes) in codes {
        let description = if codes.is_empty() { "Refused.".to_owned() } else { format!("Refused: {}.", codes.join(", ")) };
        let content = match operation.response(status) {
            Some(Some(_)) => json!({"application/json": {"schema": load::error_reference()}}),
            _ => json!({"text/plain": {"schema": {"type": "string"}}}),
        };
        responses.entry(status.to_string()).or_insert_with(|| json!({"description": description, "content": content}));
    }
}

/// Removes what the version does not have: operations, answers, guards and properties.
fn retain_version(value: &mut Value, version: Version) {
    match value {
        Value::Array(items) => {
            items.retain(|item| has(item, version));
            for item in items {
                retain_version(item, version);
            }
        }
        Value::Object(object) => {
            let gone: Vec<String> = object.iter().filter(|(_, member)| !has(member, version)).map(|(key, _)| key.clone()).collect();
            object.retain(|key, _| !gone.contains(key));
            // A property that is gone is not required either, and neither is a path whose operations are all gone a path.
            let dropped = object.get("properties").and_then(Value::as_object).map(|properties| absent(properties, version));
            if let (Some(dropped), Some(Value::Array(required))) = (dropped, object.get_mut("required")) {
                required.retain(|name| !name.as_str().is_some_and(|name| dropped.iter().any(|gone| gone == name)));
            }
            for member in object.values_mut() {
                retain_version(member, version);
            }
            if let Some(Value::Object(paths)) = object.get_mut("paths") {
                paths.retain(|_, item| item.as_object().is_none_or(|item| !item.is_empty()));
            }
        }
        _ => {}
    }
}

fn absent(properties: &Map<String, Value>, version: Version) -> Vec<String> {
    properties.iter().filter(|(_, schema)| !has(schema, version)).map(|(name, _)| name.clone()).collect()
}

/// Whether the version has what this object describes: `x-since` and `x-until` of operations and answers, `since` and
/// `until` of guards, and the same within `x-shown` of properties.
fn has(value: &Value, version: Version) -> bool {
    let bound = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).and_then(|text| text.parse::<Version>().ok());
    let within = |object: &Value, since: &str, until: &str| {
        bound(object, since).is_none_or(|since| version >= since) && bound(object, until).is_none_or(|until| version < until)
    };
    within(value, "x-since", "x-until")
        && within(value, "since", "until")
        && value.get("x-shown").is_none_or(|shown| within(shown, "since", "until"))
}

/// Points references at `#/components/schemas` and collects what they name, all the way down.
fn localise(value: &mut Value, schemas: &BTreeMap<String, Value>, version: Version, used: &mut BTreeMap<String, Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| localise(item, schemas, version, used)),
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                let file = reference.rsplit('/').next().unwrap_or(reference).to_owned();
                let stem = file.strip_suffix(".json").unwrap_or(&file).to_owned();
                *reference = format!("#/components/schemas/{stem}");
                if let (false, Some(schema)) = (used.contains_key(&stem), schemas.get(&file)) {
                    let mut schema = schema.clone();
                    if let Value::Object(schema) = &mut schema {
                        schema.retain(|key, _| !matches!(key.as_str(), "$schema" | "$id"));
                    }
                    retain_version(&mut schema, version);
                    used.insert(stem.clone(), Value::Null);
                    localise(&mut schema, schemas, version, used);
                    used.insert(stem, schema);
                }
            }
            object.values_mut().for_each(|member| localise(member, schemas, version, used));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> impl Iterator<Item = (Collection, Version, Value)> {
        let pairs = [Collection::Account, Collection::Management].into_iter().flat_map(|c| Version::KNOWN.iter().map(move |v| (c, *v)));
        pairs.map(|(collection, version)| (collection, version, bundle(&Files::embedded(), collection, version).unwrap()))
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|member| references(member, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_of_the_document() {
        for (collection, version, document) in documents() {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 10, "{collection} {version}");
            for reference in found {
                let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
                assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference} leads nowhere");
            }
        }
    }

    #[test]
    fn a_document_has_what_its_version_has() {
        for (collection, version, document) in documents() {
            assert_eq!(document["info"]["version"], version.to_string());
            let contract = crate::contract::Contract::embedded(version).unwrap();
            let mut ids: Vec<&str> = document["paths"]
                .as_object()
                .unwrap()
                .values()
                .flat_map(|item| item.as_object().unwrap().values())
                .map(|o| o["operationId"].as_str().unwrap())
                .collect();
            let mut expected: Vec<&str> =
                contract.operations.iter().filter(|o| o.collection == collection).map(|o| o.id.as_str()).collect();
            ids.sort_unstable();
            expected.sort_unstable();
            assert_eq!(ids, expected);
            if collection == Collection::Account {
                let newest = version == Version::NEWEST;
                assert_eq!(document.pointer("/components/schemas/account/properties/cimdClientId").is_some(), newest);
                let guards = document["paths"]["/api/my-account"]["patch"]["x-guards"].as_array().unwrap();
                assert_eq!(guards.iter().any(|guard| guard.get("first-party").is_some()), newest);
            }
        }
    }

    #[test]
    fn what_is_not_of_the_version_leaves_no_trace() {
        let mut value = json!({
            "paths": {"/old": {"get": {"x-until": "1.43"}}, "/both": {"get": {}, "put": {"x-since": "1.43"}}},
            "schema": {"required": ["a", "b"], "properties": {"a": {"x-shown": {"since": "1.43"}}, "b": {}}},
        });
        let mut newest = value.clone();
        retain_version(&mut value, Version { major: 1, minor: 42 });
        assert_eq!(
            value,
            json!({
                "paths": {"/old": {"get": {"x-until": "1.43"}}, "/both": {"get": {}}},
                "schema": {"required": ["b"], "properties": {"b": {}}},
            })
        );
        retain_version(&mut newest, Version { major: 1, minor: 43 });
        assert_eq!(newest["paths"], json!({"/both": {"get": {}, "put": {"x-since": "1.43"}}}));
    }
}
