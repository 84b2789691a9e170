//! Ways to make the requests of a slice simpler.

use std::sync::Arc;

use serde_json::Value;

use super::slice::Slice;
use crate::contract::Contract;
use crate::plan::{Action, Call, Step, undigested};

/// Texts and numbers up to this length are simple enough.
const SIMPLE: usize = 40;

/// One way to make one request simpler.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    step: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    /// Use one symbol in place of another.
    Symbol(String, String),
    /// Leave a header out.
    Header(String),
    /// Leave a query parameter out.
    Parameter(String),
    /// Leave a member of the JSON body, or an item of a list in it, out.
    Member(String),
    /// Put another value there.
    Value(String, Value),
}

impl Edit {
    /// Whether it changes the body of one of these steps.
    pub fn is_within(&self, steps: &[usize]) -> bool {
        steps.contains(&self.step) && matches!(self.what, What::Member(_) | What::Value(..))
    }

    /// Makes the request simpler; false if there is nothing to change.
    pub fn apply(&self, steps: &mut [Arc<Step>]) -> bool {
        let Action::Call(call) = &mut Arc::make_mut(&mut steps[self.step]).action else { return false };
        match &self.what {
            What::Symbol(from, to) => {
                let (from, to) = (format!("{{{{{from}}}}}"), format!("{{{{{to}}}}}"));
                let headers = call.headers.iter_mut().map(|(_, value)| value);
                let texts: Vec<&mut String> = headers.chain([&mut call.target]).chain(&mut call.body).collect();
                texts.into_iter().fold(false, |changed, text| {
                    let edited = text.replace(&from, &to);
                    changed | (std::mem::replace(text, edited.clone()) != edited)
                })
            }
            What::Header(name) => {
                let before = call.headers.len();
                call.headers.retain(|(known, _)| known != name);
                call.headers.len() < before
            }
            What::Parameter(name) => {
                let Some((path, query)) = call.target.split_once('?') else { return false };
                let kept: Vec<&str> = query.split('&').filter(|pair| pair.split('=').next() != Some(name)).collect();
                let target = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
                let changed = target != call.target;
                call.target = target;
                changed
            }
            What::Member(pointer) => change(call, |body| remove(body, pointer)),
            What::Value(pointer, value) => change(call, |body| {
                let place = body.pointer_mut(pointer).filter(|known| *known != value);
                place.map(|place| *place = value.clone()).is_some()
            }),
        }
    }
}

/// A password that no user of a sequence has.
const NOBODYS: &str = "password#0";

/// The slice with a password that nobody has in the request where the deviation shows, if there is one in it: a password that
/// is wrong for whatever reason needs no reason.
pub fn with_nobodys_password(slice: &Slice) -> Option<Slice> {
    let mut edited = slice.clone();
    let mut found = false;
    for step in slice.point() {
        let is_password = |symbol: &&str| symbol.starts_with("password#") && undigested(symbol) == *symbol;
        for symbol in slice.steps[step].needs().into_iter().filter(is_password) {
            found |= Edit { step, what: What::Symbol(symbol.to_owned(), NOBODYS.to_owned()) }.apply(&mut edited.steps);
        }
    }
    found.then_some(edited)
}

/// Tokens and records that these steps could use in place of others of their kind, which then need not be made.
pub fn substitutions(slice: &Slice, steps: &[usize]) -> Vec<Edit> {
    let kind = |symbol: &str| symbol.split_once('#').filter(|(kind, _)| *kind != "user").map(|(kind, _)| kind.to_owned());
    let mut edits = Vec::new();
    for (place, step) in steps.iter().enumerate().rev() {
        for needed in slice.steps[*step].needs() {
            let given = steps[..place].iter().flat_map(|earlier| slice.steps[*earlier].gives());
            for other in given.filter(|other| kind(other).is_some() && kind(other) == kind(needed) && *other != needed) {
                edits.push(Edit { step: *step, what: What::Symbol(needed.to_owned(), other.to_owned()) });
            }
        }
    }
    edits
}

/// What can be left out of the requests of these steps. What is left out first makes the most steps needless.
pub fn omissions(slice: &Slice, steps: &[usize], contract: &Contract) -> Vec<Edit> {
    let mut edits = Vec::new();
    for index in steps.iter().rev() {
        let Action::Call(call) = &slice.steps[*index].action else { continue };
        let mut add = |what| edits.push(Edit { step: *index, what });
        for (name, _) in call.headers.iter().filter(|(name, _)| !["authorization", "content-type"].contains(&name.as_str())) {
            add(What::Header(name.clone()));
        }
        for pair in call.target.split_once('?').into_iter().flat_map(|(_, query)| query.split('&')) {
            add(What::Parameter(pair.split('=').next().unwrap_or_default().to_owned()));
        }
        let Some(body) = json(call) else { continue };
        // What the clean-up finds an object by stays.
        let creates =
            call.operation.as_deref().and_then(|id| contract.operation(id)).is_some_and(|operation| operation.harm.undo.is_some());
        let name = creates.then(|| naming(&body)).flatten();
        let mut pointers = Vec::new();
        members(&body, "", &mut pointers);
        pointers.into_iter().filter(|pointer| name.as_deref() != Some(pointer)).for_each(|pointer| add(What::Member(pointer)));
    }
    edits
}

/// Simpler values for what is longer than it need be in the body of a step.
pub fn simpler(slice: &Slice, step: usize) -> Vec<Edit> {
    let Action::Call(call) = &slice.steps[step].action else { return Vec::new() };
    let Some(body) = json(call) else { return Vec::new() };
    let mut edits = Vec::new();
    leaves(&body, "", &mut |pointer, value| {
        let values = match value {
            Value::String(text) if text.len() > SIMPLE && !text.contains("{{") => {
                let letters: Vec<char> = text.chars().collect();
                let (first, second) = letters.split_at(letters.len() / 2);
                vec![Value::from("a"), first.iter().collect::<String>().into(), second.iter().collect::<String>().into()]
            }
            Value::Number(number) if number.to_string().len() > SIMPLE => vec![Value::from(0), Value::from(1)],
            _ => Vec::new(),
        };
        edits.extend(values.into_iter().map(|value| Edit { step, what: What::Value(pointer.to_owned(), value) }));
    });
    edits
}

/// The JSON body of a call, if it is written as the planner writes JSON; how others are written may matter.
fn json(call: &Call) -> Option<Value> {
    let text = call.body.as_ref()?;
    serde_json::from_str(text).ok().filter(|body: &Value| *text == format!("{body}"))
}

fn change(call: &mut Call, edit: impl FnOnce(&mut Value) -> bool) -> bool {
    let Some(mut body) = json(call) else { return false };
    let changed = edit(&mut body);
    call.body = Some(body.to_string());
    changed
}

/// The member by which an object that is created is found again.
fn naming(body: &Value) -> Option<String> {
    let named = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("lc_{{run}}"));
    let members = body.as_object()?;
    let first = ["username", "name"].into_iter().find(|name| members.get(*name).is_some_and(named));
    let name = first.or_else(|| members.iter().find(|(_, value)| named(value)).map(|(name, _)| name.as_str()))?;
    Some(format!("/{name}"))
}

/// Pointers of all members and items: outer ones before inner ones, later items before earlier ones.
fn members(value: &Value, pointer: &str, found: &mut Vec<String>) {
    each(value, pointer, &mut |inner, value| {
        found.push(inner.to_owned());
        members(value, inner, found);
    });
}

fn leaves(value: &Value, pointer: &str, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(_) | Value::Array(_) => each(value, pointer, &mut |inner, value| leaves(value, inner, &mut *found)),
        leaf => found(pointer, leaf),
    }
}

fn each(value: &Value, pointer: &str, found: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(object) => {
            let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
            object.iter().for_each(|(name, value)| found(&format!("{pointer}/{}", escape(name)), value));
        }
        Value::Array(items) => items.iter().enumerate().rev().for_each(|(index, value)| found(&format!("{pointer}/{index}"), value)),
        _ => {}
    }
}

fn remove(body: &mut Value, pointer: &str) -> bool {
    let Some((outer, name)) = pointer.rsplit_once('/') else { return false };
    match body.pointer_mut(outer) {
        Some(Value::Object(object)) => object.shift_remove(&name.replace("~1", "/").replace("~0", "~")).is_some(),
        Some(Value::Array(items)) => match name.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;
    use crate::plan::Sequence;

    fn slice(steps: &str) -> Slice {
        let sequence: Sequence = serde_json::from_str(&format!(r#"{{"id": "s", "steps": [{steps}]}}"#)).unwrap();
        let last = sequence.steps.len() - 1;
        Slice::new(&sequence, last)
    }

    fn step(operation: &str, target: &str, headers: &str, body: &str, capture: &str) -> String {
        let body = Value::from(body);
        format!(
            r#"{{"persona": "admin", "purpose": "setup", "capture": {capture}, "action": {{"call": {{"operation": "{operation}",
            "method": "POST", "target": "{target}", "headers": {headers}, "body": {body}}}}}}}"#
        )
    }

    fn bodies(slice: &Slice, edits: &[Edit]) -> Vec<(String, String)> {
        let each = edits.iter().map(|edit| {
            let mut steps = slice.steps.clone();
            assert!(edit.apply(&mut steps), "{edit:?}");
            let Action::Call(call) = &steps[edit.step].action else { unreachable!() };
            (call.target.clone(), call.body.clone().unwrap())
        });
        each.collect()
    }

    #[test]
    fn members_parameters_and_headers_can_be_left_out_but_not_the_name() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let headers = r#"[["authorization", "Bearer x"], ["origin", "y"]]"#;
        let slice = slice(&step("CreateUser", "/api/users?a=1&b=2", headers, r#"{"username":"lc_{{run}}_1","x":[1,{"y":2}]}"#, "{}"));
        let edits = omissions(&slice, &[0], &contract);
        let left: Vec<String> = bodies(&slice, &edits).into_iter().map(|(target, body)| format!("{target} {body}")).collect();
        let body = r#"{"username":"lc_{{run}}_1","x":[1,{"y":2}]}"#;
        assert_eq!(
            left,
            [
                format!("/api/users?a=1&b=2 {body}"),
                format!("/api/users?b=2 {body}"),
                format!("/api/users?a=1 {body}"),
                r#"/api/users?a=1&b=2 {"username":"lc_{{run}}_1"}"#.to_owned(),
                r#"/api/users?a=1&b=2 {"username":"lc_{{run}}_1","x":[1]}"#.to_owned(),
                r#"/api/users?a=1&b=2 {"username":"lc_{{run}}_1","x":[1,{}]}"#.to_owned(),
                r#"/api/users?a=1&b=2 {"username":"lc_{{run}}_1","x":[{"y":2}]}"#.to_owned(),
            ]
        );
    }

    #[test]
    fn another_token_of_the_same_kind_spares_the_steps_that_make_one() {
        let make = |number: u8| step("IssueToken", "/oidc/token", "[]", "", &format!(r#"{{"token#{number}": "/access_token"}}"#));
        let slice = slice(&[make(1), make(2), step("GetProfile", "/api/my-account/{{token#2}}", "[]", "", "{}")].join(","));
        assert_eq!(slice.with(&[0]).kept(), [0, 1, 2]);
        let edits = substitutions(&slice, &[0, 1, 2]);
        assert_eq!(bodies(&slice, &edits), [("/api/my-account/{{token#1}}".to_owned(), String::new())]);
        let mut edited = slice.clone();
        edits[0].apply(&mut edited.steps);
        assert_eq!(edited.kept(), [0, 2]);
    }

    #[test]
    fn long_values_become_shorter_and_short_ones_stay() {
        let text = "x".repeat(60);
        let slice = slice(&step(
            "UpdateUser",
            "/",
            "[]",
            &serde_json::json!({"a": text, "b": "short", "c": "{{run}}".repeat(9)}).to_string(),
            "{}",
        ));
        let values: Vec<usize> = bodies(&slice, &simpler(&slice, 0)).iter().map(|(_, body)| body.matches('x').count()).collect();
        assert_eq!(values, [0, 30, 30]);
    }
}
