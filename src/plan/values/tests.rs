use serde_json::{Value, json};

use super::draw::Draw;
use super::family::{Names, concrete, drafts, refusal, trials};
use super::generate::fitting;
use super::shape::shapes;
use super::spoil::changes;
use crate::contract::guard::Place;
use crate::contract::{Contract, Schema, Version};
use crate::plan::build::Profile;
use crate::plan::cast::Cast;
use crate::plan::epoch::fields;
use crate::plan::script::Script;
use crate::plan::sequence::{Action, Facts, Purpose, Sequence};

const SEEDS: std::ops::Range<u64> = 1..13;

fn contract() -> Contract {
    Contract::embedded(Version::NEWEST).unwrap()
}

/// Every schema that a request has to fit, with whose it is.
fn inputs(contract: &Contract) -> Vec<(String, Schema)> {
    let mut schemas = Vec::new();
    for operation in &contract.operations {
        schemas.extend(operation.body.iter().map(|(_, schema)| (operation.id.clone(), schema.clone())));
        for parameter in operation.parameters.iter().filter(|parameter| parameter.place != Place::Header) {
            schemas.push((format!("{} {}", operation.id, parameter.name), parameter.schema.clone()));
        }
    }
    schemas
}

#[test]
fn what_is_drawn_for_any_input_of_the_contract_fits_it() {
    for (name, schema) in inputs(&contract()) {
        let strategy = fitting(&schema).unwrap();
        for seed in SEEDS {
            let value = Draw::new(seed, &name).one(&strategy);
            assert!(value.as_ref().is_some_and(|value| schema.admits(value)), "{name}, seed {seed}: {value:?}");
        }
    }
}

#[test]
fn single_changes_differ_in_one_place_and_reach_both_sides_of_the_schema() {
    let contract = contract();
    for operation in contract.operations.iter().filter(|operation| !operation.cases.is_empty()) {
        let Some((_, schema)) = operation.body.as_ref().filter(|(kind, _)| kind.ends_with("json")) else { continue };
        let bodies = operation.cases.values().filter_map(|case| case.body.as_ref()).map(concrete);
        for (index, body) in bodies.filter(|body| schema.admits(body)).enumerate() {
            let (mut fits, mut wrong) = (0, 0);
            for change in changes(schema, &body, &mut Draw::new(index as u64, &operation.id), 1) {
                let changed = change.of(&body).unwrap();
                let (parent, _) = change.pointer.rsplit_once('/').unwrap();
                let (mut one, mut other) = (body.clone(), changed.clone());
                *one.pointer_mut(parent).unwrap() = Value::Null;
                *other.pointer_mut(parent).unwrap() = Value::Null;
                assert_eq!(one, other, "{} {}", operation.id, change.pointer);
                assert_eq!(changed.pointer(&change.pointer), change.value.as_ref());
                *if schema.admits(&changed) { &mut fits } else { &mut wrong } += 1;
            }
            assert!(fits > 0 && wrong > 0, "{}: {fits} fit, {wrong} do not", operation.id);
        }
    }
}

/// What a deployment says of itself that may be changed in every way.
fn facts() -> Facts {
    let defaults: Value = serde_json::from_str(include_str!("../../reference/defaults.json")).unwrap();
    Facts {
        account_center: defaults["accountCenter"].clone(),
        sign_in_experience: defaults["signInExperience"].clone(),
        may_change_settings: true,
        can_sign_in: true,
        ..Facts::default()
    }
}

#[test]
fn the_model_refuses_what_is_wrong_in_one_thing_as_its_operation_says() {
    let (contract, facts) = (contract(), facts());
    let names = Names::of(&contract);
    for operation in &contract.operations {
        let expected = refusal(operation);
        let mut draw = Draw::new(1, &operation.id);
        let mut trials = trials(&contract, &facts, operation, &names, &mut draw, 1);
        draw.shuffle(&mut trials);
        for trial in trials.into_iter().filter(|trial| trial.wrong).take(40) {
            let probe = trial.probe();
            let settings = probe.need().settings(&fields(&contract));
            let mut script = Script::new(&contract, &facts, Some(&settings));
            let (_, call, ..) = probe.render(&mut script, &mut Cast::new());
            assert_eq!(script.foresee(&call), expected, "{} {}", operation.id, probe.label);
        }
    }
}

fn written(seed: u64, effort: Profile) -> Vec<Sequence> {
    let (contract, facts) = (contract(), facts());
    let drafts = drafts(&contract, &facts, seed, effort);
    let write = |draft: crate::plan::build::Draft<'_>| {
        let settings = draft.need.settings(&fields(&contract));
        let mut script = Script::new(&contract, &facts, Some(&settings));
        (draft.write)(&mut script);
        script.finish(draft.id)
    };
    drafts.into_iter().map(write).collect()
}

#[test]
fn the_same_seed_gives_the_same_sequences_and_another_one_others() {
    let one = written(1, Profile::Quick);
    assert_eq!(one, written(1, Profile::Quick));
    assert_ne!(one, written(2, Profile::Quick));
}

#[test]
fn what_is_accepted_keeps_to_the_run_and_is_looked_at() {
    let contract = contract();
    let mut accepted = 0;
    for sequence in written(3, Profile::Standard) {
        for (index, step) in sequence.steps.iter().enumerate() {
            let (Purpose::Probe(label), Action::Call(call), Some(expect)) = (&step.purpose, &step.action, &step.expect) else { continue };
            let operation = contract.operation(call.operation.as_deref().unwrap()).unwrap();
            if !expect.starts_with('2') {
                continue;
            }
            accepted += 1;
            assert!(!operation.harm.sends, "{}: {label} would send a message", operation.id);
            let body: Value = call.body.as_deref().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
            for name in ["username", "name"] {
                let text = body[name].as_str().unwrap_or_default();
                assert!(text.is_empty() || text.contains("{{"), "{}: {label}: {text}", operation.id);
            }
            if let Some(mail) = body["primaryEmail"].as_str().filter(|mail| !mail.is_empty()) {
                assert!(mail.ends_with("@example.com"), "{}: {label}: {mail}", operation.id);
            }
            assert!(!body.to_string().contains("\\u0000"), "{}: {label}", operation.id);
            let looked = sequence.steps.iter().any(|step| step.purpose == Purpose::Look(index));
            let seen = |path: &str| contract.operations.iter().any(|reader| reader.method == "GET" && reader.path == path);
            let shows = operation.path.contains("{userId}") || operation.harm.undo.as_deref().is_some_and(seen);
            assert!(looked || !operation.writes() || !shows, "{}: nobody looks at {label}", operation.id);
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn alternatives_are_plain_and_merged() {
    let schema = json!({
        "properties": {"kind": {"type": ["string", "null"]}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["x"]}},
            {"if": {"properties": {"kind": {"const": "b"}}}, "then": {"required": ["y"]}},
        ],
    });
    let found = shapes(&schema);
    let wanted = |constant: &str, needed: &str| {
        found.iter().any(|shape| shape["properties"]["kind"]["const"] == constant && shape.get("required") == Some(&json!([needed])))
    };
    assert!(wanted("a", "x") && wanted("b", "y"), "{found:?}");
    assert!(found.iter().all(|shape| !shape.contains_key("allOf") && !shape.contains_key("if")));
    assert_eq!(shapes(&json!({"anyOf": [{"type": ["string", "null"]}, {"const": 1}]})).len(), 3);
}
