//! The report as JSON text, and back.

use serde_json::Value;

use super::document::{Report, SCHEMA_VERSION};

/// JSON Schema (2020-12) of the report, the file `specs/schemas/report.schema.json`.
pub const SCHEMA: &str = include_str!("../../specs/schemas/report.schema.json");

/// Why a text is not a report that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text is not JSON, or not shaped like a report.
    #[error("not a report: {0}")]
    Shape(#[from] serde_json::Error),
    /// The report has another version of the format.
    #[error("the report has schema_version {found}, this program reads {SCHEMA_VERSION}")]
    Version {
        /// What the file says, as JSON.
        found: Value,
    },
}

/// Pretty-printed JSON with a final line break. Equal reports give equal bytes.
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report has only string and integer keys, so it serialises");
    text.push('\n');
    text
}

/// Reads a report that [`render`] wrote. Unknown members are ignored, so that a later version may add some.
///
/// Fails when the text is no JSON, has another `schema_version`, or lacks a member.
pub fn read(text: &str) -> Result<Report, ReadError> {
    let document: Value = serde_json::from_str(text)?;
    match document.get("schema_version") {
        Some(version) if version.as_u64() != Some(SCHEMA_VERSION.into()) => Err(ReadError::Version { found: version.clone() }),
        _ => Ok(serde_json::from_value(document)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, verdict::RunVerdict};
    use serde_json::json;

    fn validator() -> jsonschema::Validator {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    }

    fn complaints(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn document(report: &Report) -> Value {
        serde_json::from_str(&render(report)).unwrap()
    }

    #[test]
    fn the_samples_satisfy_the_schema() {
        let validator = validator();
        for report in [sample::full(), sample::minimal()] {
            assert_eq!(complaints(&validator, &document(&report)), Vec::<String>::new());
        }
    }

    #[test]
    fn every_way_to_end_satisfies_the_schema() {
        let validator = validator();
        for verdict in RunVerdict::ALL {
            let mut report = sample::minimal();
            report.set_verdict(verdict);
            assert_eq!(complaints(&validator, &document(&report)), Vec::<String>::new());
        }
    }

    #[test]
    fn wrong_reports_do_not() {
        let wrong: &[(&str, Value)] = &[
            ("/schema_version", json!(2)),
            ("/verdict", json!("ok")),
            ("/exit_code", json!(0)),
            ("/seed", json!(-1)),
            ("/mode", json!("ReadOnly")),
            ("/target/kind", json!("mock")),
            ("/summary/requests_per_second", json!(null)),
            ("/summary/requirements", json!({"total": 0})),
            ("/summary/checks/status", json!({"pass": 1, "fail": 0, "abstain": 0, "skip": 0})),
            ("/operations/0/statuses", json!({"ok": 1})),
            ("/requirements/0/level", json!("must")),
            ("/requirements/0/verdict", json!("stale_waiver")),
            ("/outcomes/0/status", json!(42)),
            ("/findings/0/confirmed", json!("often")),
            ("/warnings/0/requirements", json!("ACC-ORDER-01")),
            ("/untestable/0", json!({"requirement": "ACC-MAIL-01", "reason": "no channel"})),
            ("/tool", json!({"name": "x", "version": "1", "extra": true})),
        ];
        let validator = validator();
        for (pointer, value) in wrong {
            let mut document = document(&sample::full());
            *document.pointer_mut(pointer).unwrap() = value.clone();
            assert!(!validator.is_valid(&document), "{pointer} = {value} was accepted");
        }
    }

    /// Every object of the full sample, wherever it is: an extra member is refused, except in the free-form facts.
    #[test]
    fn the_schema_is_closed_everywhere() {
        fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    found.push(pointer.to_owned());
                    members.iter().for_each(|(name, member)| objects(member, &format!("{pointer}/{name}"), found));
                }
                Value::Array(items) => {
                    items.iter().enumerate().for_each(|(i, item)| objects(item, &format!("{pointer}/{i}"), found));
                }
                _ => {}
            }
        }
        let validator = validator();
        let sample = document(&sample::full());
        let mut pointers = Vec::new();
        objects(&sample, "", &mut pointers);
        pointers.retain(|pointer| !pointer.starts_with("/facts"));
        assert!(pointers.len() > 30);
        for pointer in pointers {
            let mut document = sample.clone();
            document.pointer_mut(&pointer).unwrap()["surprise"] = json!([]);
            assert!(!validator.is_valid(&document), "an extra member of {pointer:?} was accepted");
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for report in [sample::full(), sample::minimal()] {
            assert_eq!(read(&render(&report)).unwrap(), report);
        }
    }

    #[test]
    fn another_version_or_shape_is_refused() {
        let newer = render(&sample::minimal()).replace("\"schema_version\": 1", "\"schema_version\": 2");
        let error = read(&newer).unwrap_err();
        assert_eq!(error.to_string(), "the report has schema_version 2, this program reads 1");
        assert!(matches!(read("{}"), Err(ReadError::Shape(_))));
        assert!(matches!(read("<html>"), Err(ReadError::Shape(_))));
    }

    #[test]
    fn members_come_in_the_documented_order() {
        let text = render(&sample::minimal());
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  \"")?.split('"').next()).collect();
        assert_eq!(
            names.join(" "),
            "schema_version tool contract target seed profile mode verdict exit_code summary operations facts \
             requirements outcomes findings warnings untestable out_of_scope abstained errors"
        );
    }
}
