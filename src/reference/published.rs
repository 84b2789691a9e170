//! The document that the reference publishes of its Management API: what the contract specifies, and the supporting
//! endpoints that it serves besides.

use serde_json::{Map, Value};

use super::support;
use crate::contract::{Collection, Contract, Files, Published, SpecError, bundle};

/// The supporting endpoints as a document says them.
const SUPPORTING: &str = include_str!("published.json");

/// Lets the contract know all that the reference serves, and returns the document that says so.
///
/// Fails when the embedded specification is wrong.
pub fn publish(contract: &mut Contract) -> Result<Value, SpecError> {
    let mut document = bundle(&Files::embedded(), Collection::Management, contract.version)?;
    let served = support::routes(contract.version);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|path, _| path.starts_with("/api/"));
        for (path, item) in supporting() {
            let kept = item.as_object().into_iter().flatten().filter(|(method, _)| {
                let is_served = |(known, template): &(&str, &str)| known.eq_ignore_ascii_case(method) && *template == path;
                served.iter().any(is_served)
            });
            let kept: Map<String, Value> = kept.map(|(method, operation)| (method.clone(), operation.clone())).collect();
            let known = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
            for (method, operation) in kept {
                if let Some(known) = known.as_object_mut() {
                    known.entry(method).or_insert(operation);
                }
            }
        }
        paths.retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
        // A deployment's own document asks for every body, also where none is taken as an empty one.
        for body in paths.values_mut().flat_map(|item| item.as_object_mut().into_iter().flat_map(|item| item.values_mut())) {
            if let Some(Value::Object(body)) = body.get_mut("requestBody") {
                body.insert("required".into(), Value::Bool(true));
            }
        }
    }
    contract.adopt(&Published::read(&document).unwrap_or_default());
    Ok(document)
}

fn supporting() -> Map<String, Value> {
    serde_json::from_str(SUPPORTING).expect("the embedded document is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;

    #[test]
    fn everything_that_asks_for_a_token_is_published_with_it() {
        for version in Version::KNOWN {
            let mut contract = Contract::embedded(*version).unwrap();
            let published = Published::read(&publish(&mut contract).unwrap()).unwrap();
            for (method, path, admin) in support::access(*version).filter(|(_, path, _)| path.starts_with("/api/")) {
                let listed = published.find(method, path);
                assert_eq!(listed.is_some_and(|operation| !operation.public), admin, "{version} {method} {path}");
            }
            for operation in contract.specified().filter(|operation| operation.collection == Collection::Management) {
                assert_eq!(published.find(&operation.method, &operation.path).is_some(), operation.path.starts_with("/api/"));
            }
        }
    }

    #[test]
    fn a_version_publishes_what_it_serves() {
        let lists = |version: Version| {
            let mut contract = Contract::embedded(version).unwrap();
            publish(&mut contract).unwrap()["paths"].get("/api/configs/cimd").is_some()
        };
        assert!(lists(Version { major: 1, minor: 43 }) && !lists(Version { major: 1, minor: 42 }));
    }
}
