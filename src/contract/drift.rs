//! The documents that a deployment publishes of its own API, against the contract: what only one of them knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::guard::Status;
use super::published::{json_schema, same_path};
use super::{Contract, Operation, Origin};

/// What differs in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// `METHOD /path`.
    pub route: String,
    /// `operationId` of the contract, or of the document for what the contract does not know.
    pub operation: String,
    /// What differs.
    pub kind: DriftKind,
    /// The status, the property (`body.name`, `200.name`), or nothing.
    pub what: String,
    /// What the contract says of it.
    pub contract: String,
    /// What the document says of it.
    pub document: String,
}

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// The document lists an operation, in an area that is specified in full, that the contract does not know.
    OperationAdded,
    /// The contract has an operation that no document lists.
    OperationMissing,
    /// The document lists a status that the contract knows no reason for.
    StatusAdded,
    /// The contract knows a status that the document does not list.
    StatusMissing,
    /// The document lists a property that the contract does not know.
    PropertyAdded,
    /// The contract knows a property that the document does not list.
    PropertyMissing,
    /// Both know the property, with other types.
    PropertyChanged,
}

impl DriftKind {
    /// The word used in every form, for example `status-added`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OperationAdded => "operation-added",
            Self::OperationMissing => "operation-missing",
            Self::StatusAdded => "status-added",
            Self::StatusMissing => "status-missing",
            Self::PropertyAdded => "property-added",
            Self::PropertyMissing => "property-missing",
            Self::PropertyChanged => "property-changed",
        }
    }
}

/// An operation of a document.
struct Listed<'a> {
    document: &'a Value,
    method: String,
    path: &'a str,
    raw: &'a Value,
}

/// Compares documents with the contract. Routes that only another document of the same deployment would list, such as those
/// of sign-in, are left alone: an operation is missing only from an area that one of the documents covers.
pub fn drift(contract: &Contract, documents: &[Value]) -> Vec<Drift> {
    let listed: Vec<Listed<'_>> = documents.iter().flat_map(list).collect();
    let areas: BTreeSet<&str> = listed.iter().map(|listed| area(listed.path)).collect();
    // Whose operations are all specified, in as far as the documents list them.
    let full: BTreeSet<&str> = contract.prefixes.keys().map(|prefix| area(prefix)).collect();
    let mut all = Vec::new();
    for operation in contract.operations.iter().filter(|operation| operation.origin == Origin::Contract) {
        match listed.iter().find(|listed| listed.method == operation.method && same_path(listed.path, &operation.path)) {
            Some(listed) => compare(operation, listed, &mut all),
            None if areas.contains(area(&operation.path)) => all.push(Drift {
                route: operation.route(),
                operation: operation.id.clone(),
                kind: DriftKind::OperationMissing,
                what: String::new(),
                contract: "specified".to_owned(),
                document: "not listed".to_owned(),
            }),
            None => {}
        }
    }
    for listed in listed.iter().filter(|listed| full.contains(area(listed.path))) {
        let known = |operation: &Operation| operation.method == listed.method && same_path(listed.path, &operation.path);
        let sighted = contract.sightings.iter().any(|sighting| {
            sighting.operation.split_once(' ').is_some_and(|(method, path)| method == listed.method && same_path(listed.path, path))
        });
        if !sighted && !contract.operations.iter().any(|operation| known(operation)) {
            let route = format!("{} {}", listed.method, listed.path);
            all.push(Drift {
                operation: listed.raw.get("operationId").and_then(Value::as_str).unwrap_or(&route).to_owned(),
                route,
                kind: DriftKind::OperationAdded,
                what: String::new(),
                contract: "not specified".to_owned(),
                document: "listed".to_owned(),
            });
        }
    }
    all.sort();
    all.dedup();
    all
}

fn list(document: &Value) -> impl Iterator<Item = Listed<'_>> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(move |(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods
            .filter(|(method, _)| ["get", "put", "post", "patch", "delete"].contains(&method.as_str()))
            .map(move |(method, raw)| Listed { document, method: method.to_ascii_uppercase(), path, raw })
    })
}

/// `my-account` of `/api/my-account/identities`.
fn area(path: &str) -> &str {
    path.trim_start_matches('/').split('/').nth(1).unwrap_or_default()
}

fn compare(operation: &Operation, listed: &Listed<'_>, all: &mut Vec<Drift>) {
    let mut add = |kind: DriftKind, what: String, contract: &str, document: &str| {
        all.push(Drift {
            route: operation.route(),
            operation: operation.id.clone(),
            kind,
            what,
            contract: contract.to_owned(),
            document: document.to_owned(),
        });
    };
    let responses = listed.raw.get("responses").and_then(Value::as_object);
    let documented: BTreeSet<u16> = responses.into_iter().flatten().filter_map(|(status, _)| status.parse().ok()).collect();
    // What any request may be refused for stands in no document: bodies that are no JSON, ids that are too long.
    let own =
        operation.own_guards().filter_map(|guard| if let Status::Exact(status) = guard.refusal().status { Some(status) } else { None });
    let own: BTreeSet<u16> = operation.answers.iter().map(|answer| answer.status).chain(own).collect();
    let known: BTreeSet<u16> = operation
        .outcomes()
        .into_iter()
        .filter_map(|outcome| if let Status::Exact(status) = outcome.status { Some(status) } else { None })
        .collect();
    for status in documented.difference(&known) {
        add(DriftKind::StatusAdded, status.to_string(), "no reason for it", "listed");
    }
    for status in own.difference(&documented) {
        add(DriftKind::StatusMissing, status.to_string(), "specified", "not listed");
    }
    if let (Some((_, schema)), Some(content)) = (&operation.body, listed.raw.pointer("/requestBody/content")) {
        properties("body", schema.raw(), json_schema(listed.document, content).as_ref(), &mut add);
    }
    for answer in &operation.answers {
        let content = responses.and_then(|responses| responses.get(&answer.status.to_string())?.get("content"));
        if let (Some(Some(schema)), Some(content)) = (operation.response(answer.status), content) {
            properties(&answer.status.to_string(), schema.raw(), json_schema(listed.document, content).as_ref(), &mut add);
        }
    }
}

/// Compares the outermost properties of objects, and of the items of lists.
fn properties(place: &str, contract: &Value, document: Option<&Value>, add: &mut impl FnMut(DriftKind, String, &str, &str)) {
    let Some(document) = document else { return };
    let (Some(known), Some(listed)) = (members(contract), members(document)) else { return };
    for (name, schema) in &listed {
        let what = format!("{place}.{name}");
        match known.get(name) {
            None => add(DriftKind::PropertyAdded, what, "not known", &describe(&types(schema))),
            Some(other) => {
                let (ours, theirs) = (types(other), types(schema));
                if !ours.is_empty() && !theirs.is_empty() && ours != theirs {
                    add(DriftKind::PropertyChanged, what, &describe(&ours), &describe(&theirs));
                }
            }
        }
    }
    for (name, schema) in known.iter().filter(|(name, _)| !listed.contains_key(*name)) {
        add(DriftKind::PropertyMissing, format!("{place}.{name}"), &describe(&types(schema)), "not listed");
    }
}

/// The properties of an object, all parts of a union laid over each other; `None` where a schema lists none.
fn members(schema: &Value) -> Option<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    collect(schema, schema, DEPTH, &mut found);
    (!found.is_empty()).then_some(found)
}

/// References and unions within each other that are followed.
const DEPTH: usize = 12;

fn collect(root: &Value, schema: &Value, depth: usize, found: &mut BTreeMap<String, Value>) {
    if depth == 0 {
        return;
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.entry(name.clone()).or_insert_with(|| property.clone());
    }
    let parts = ["oneOf", "anyOf", "allOf"].iter().filter_map(|word| schema.get(*word)?.as_array()).flatten();
    let parts = parts.chain(["items", "then", "else"].iter().filter_map(|word| schema.get(*word)));
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?));
    for part in parts.chain(named) {
        collect(root, part, depth - 1, found);
    }
}

/// The types a schema names itself; none when it leaves them to others.
fn types(schema: &Value) -> BTreeSet<String> {
    let mut types: BTreeSet<String> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    };
    if types.remove("integer") {
        types.insert("number".to_owned());
    }
    types
}

fn describe(types: &BTreeSet<String>) -> String {
    if types.is_empty() { "known".to_owned() } else { types.iter().map(String::as_str).collect::<Vec<_>>().join(" or ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Collection, Files, Version, bundle};
    use serde_json::json;

    fn contract() -> Contract {
        Contract::embedded(Version::NEWEST).unwrap()
    }

    /// The contract as a document has no operation, status or property too many.
    #[test]
    fn the_contract_does_not_drift_from_itself() {
        let document = bundle(&Files::embedded(), Collection::Account, Version::NEWEST).unwrap();
        let found = drift(&contract(), &[document]);
        let added: Vec<&Drift> = found
            .iter()
            .filter(|drift| matches!(drift.kind, DriftKind::OperationAdded | DriftKind::PropertyAdded | DriftKind::OperationMissing))
            .collect();
        assert!(added.is_empty(), "{added:#?}");
    }

    #[test]
    fn each_kind_of_drift_is_told() {
        let mut document = bundle(&Files::embedded(), Collection::Account, Version::NEWEST).unwrap();
        let paths = document["paths"].as_object_mut().unwrap();
        paths.remove("/api/my-account/password").unwrap();
        paths.insert("/api/my-account/pets".to_owned(), json!({"get": {"operationId": "GetPets", "responses": {"200": {}}}}));
        let mine = &mut paths["/api/my-account"]["patch"];
        mine["responses"]["418"] = json!({});
        mine["responses"].as_object_mut().unwrap().remove("422");
        mine["requestBody"]["content"]["application/json"]["schema"] =
            json!({"type": "object", "properties": {"name": {"type": "boolean"}, "pet": {"type": "string"}}});
        let found: Vec<String> = drift(&contract(), &[document])
            .iter()
            .map(|drift| format!("{} {} {}", drift.operation, drift.kind.word(), drift.what))
            .collect();
        for expected in [
            "UpdatePassword operation-missing ",
            "GetPets operation-added ",
            "UpdateProfile status-added 418",
            "UpdateProfile status-missing 422",
            "UpdateProfile property-added body.pet",
            "UpdateProfile property-missing body.username",
            "UpdateProfile property-changed body.name",
        ] {
            assert!(found.iter().any(|line| line == expected), "{expected} is not in {found:#?}");
        }
    }
}
