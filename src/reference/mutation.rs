//! Faults in the contract that the deployment keeps.

use serde_json::Value;

use std::sync::Arc;

use super::fault::{Change, Fault, Shown};
use crate::contract::guard::GuardKind;
use crate::contract::{Contract, Operation, Schema, nearest};

/// Changes the contract as a fault says; an error names what the contract lacks.
pub fn mutate(fault: &Fault, contract: &mut Contract) -> Result<(), String> {
    if contract.requirement(&fault.requirement).is_none() {
        return Err(format!("there is no requirement `{}`", fault.requirement));
    }
    let names: Vec<String> = contract.operations.iter().map(|operation| operation.id.clone()).collect();
    let Some(operation) = contract.operations.iter_mut().find(|operation| operation.id == fault.operation) else {
        return Err(format!(
            "there is no operation `{}`; {}",
            fault.operation,
            nearest(&fault.operation, names.iter().map(String::as_str))
        ));
    };
    let operation = Arc::make_mut(operation);
    match &fault.change {
        Change::DropGuard { guard } => {
            let index = position(operation, guard)?;
            operation.guards.remove(index);
        }
        Change::SwapGuards { first, second } => {
            let (first, second) = (position(operation, first)?, position(operation, second)?);
            operation.guards.swap(first, second);
        }
        Change::Refuse { guard, to } => {
            let index = position(operation, guard)?;
            operation.guards[index].refusal = Some(to.clone());
        }
        Change::WriteOnRefusal { guard } => {
            position(operation, guard)?;
        }
        Change::Succeed { status } => {
            for answer in &mut operation.answers {
                let schema = operation.responses.remove(&answer.status).flatten();
                operation.responses.insert(*status, schema);
                answer.status = *status;
            }
        }
        Change::Show { property, rule } => show(operation, property, *rule)?,
        Change::Bound { key, to } => {
            let bounds = operation.guards.iter_mut().find_map(|guard| match &mut guard.kind {
                GuardKind::MaxChars(bounds) => bounds.get_mut(key),
                _ => None,
            });
            *bounds.ok_or_else(|| format!("no max-chars guard bounds `{key}`"))? = *to;
        }
        Change::Schema { pointer, to } => {
            let (_, schema) = operation.body.as_mut().ok_or("the operation has no request body")?;
            let mut raw = schema.raw().clone();
            let (parent, key) = pointer.rsplit_once('/').ok_or("a pointer starts with `/`")?;
            let parent =
                raw.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(|| format!("the schema has nothing at `{pointer}`"))?;
            match to {
                Some(value) => parent.insert(key.to_owned(), value.clone()),
                None => Some(parent.shift_remove(key).ok_or_else(|| format!("the schema has nothing at `{pointer}`"))?),
            };
            *schema = Schema::compile(raw)?;
        }
        Change::NoEffect if operation.effects.is_empty() => return Err("the operation has no effect".into()),
        Change::NoEffect => operation.effects.clear(),
        Change::DecideEarly { also } => {
            if let Some(unknown) = also.iter().find(|id| !names.contains(*id)) {
                return Err(format!("there is no operation `{unknown}`; {}", nearest(unknown, names.iter().map(String::as_str))));
            }
        }
        _ => {}
    }
    Ok(())
}

fn position(operation: &Operation, label: &str) -> Result<usize, String> {
    let labels: Vec<String> = operation.guards.iter().map(crate::contract::guard::Guard::label).collect();
    labels
        .iter()
        .position(|one| one == label)
        .ok_or_else(|| format!("{} has no guard `{label}`; {}", operation.id, nearest(label, labels.iter().map(String::as_str))))
}

fn show(operation: &mut Operation, property: &str, rule: Shown) -> Result<(), String> {
    let missing = || format!("the answer of {} has no property `{property}`", operation.id);
    let status = operation.answers.first().map(|answer| answer.status).ok_or_else(missing)?;
    let schema = operation.responses.get(&status).and_then(Option::as_ref).ok_or_else(missing)?;
    let mut raw = schema.raw().clone();
    let found = raw.pointer_mut(&format!("/properties/{property}")).and_then(Value::as_object_mut).ok_or_else(missing)?;
    found.remove("x-shown");
    match rule {
        Shown::Never => {
            // No query asks for it, so it is never shown.
            found.insert("x-shown".into(), serde_json::json!({"query": "\u{1}never"}));
        }
        Shown::Always => {
            if let Some(required) = raw.get_mut("required").and_then(Value::as_array_mut) {
                required.push(property.into());
                required.dedup();
            }
        }
    }
    operation.responses.insert(status, Some(Schema::compile(raw)?));
    Ok(())
}
