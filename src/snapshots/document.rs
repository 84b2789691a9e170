//! One exchange as a text for reviewers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::stable::Stable;
use crate::contract::{Collection, Contract, Operation, Origin, Outcome};
use crate::engine::Exemplar;
use crate::model::json;

/// Headers of requests that decide about the answer.
const SENT: [&str; 4] = ["authorization", "content-type", "logto-verification-id", "origin"];

/// Headers of answers that are promised.
const ANSWERED: [&str; 7] =
    ["access-control-allow-origin", "access-control-expose-headers", "cache-control", "content-type", "link", "location", "total-number"];

/// Members whose values are texts for people.
const FOR_PEOPLE: [&str; 3] = ["message", "details", "stack"];

/// Letters of a text before it is cut.
const LONGEST: usize = 120;

/// What was sent and answered, readable, without anything that changes from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Path of its file in the folder, without extension.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// The text.
    pub text: String,
}

/// The documents of what a run showed, one for each operation and outcome; refusals by what a whole collection shares are one
/// for the collection. `redact` masks secrets.
pub fn documents(contract: &Contract, exemplars: &[Exemplar], redact: &dyn Fn(&str) -> String) -> Vec<Document> {
    let mut documents = BTreeMap::new();
    for exemplar in exemplars {
        let Some(operation) = contract.operation(&exemplar.operation).filter(|operation| operation.origin == Origin::Contract) else {
            continue;
        };
        let name = name(operation, &exemplar.outcome, exemplar.shared);
        documents.entry(name.clone()).or_insert_with(|| {
            let title = format!("{} {} answers {}", operation.method, operation.path, exemplar.outcome);
            Document { name, title, text: text(operation, exemplar, redact) }
        });
    }
    documents.into_values().collect()
}

/// `account/UpdateProfile.400-account_center.field_not_editable`.
fn name(operation: &Operation, outcome: &Outcome, shared: bool) -> String {
    let collection = match operation.collection {
        Collection::Account => "account",
        Collection::Management => "management",
    };
    let subject = if shared { "every-operation" } else { &operation.id };
    format!("{collection}/{subject}.{}", outcome.to_string().replace(' ', "-"))
}

fn text(operation: &Operation, exemplar: &Exemplar, redact: &dyn Fn(&str) -> String) -> String {
    let mut stable = Stable::new(&exemplar.symbols, redact);
    let (request, answer) = (&exemplar.request, &exemplar.answer);
    let target = stable.text(&request.target);
    let mut text = format!("{} {target}\n", request.method);
    for name in SENT {
        if let Some(value) = request.header(name) {
            let _ = writeln!(text, "{name}: {}", stable.header(name, value));
        }
    }
    body(&mut text, &request.body, false, &mut stable);
    let tenant = is_of_tenant(operation);
    let _ = writeln!(text, "\n{}", answer.status);
    for name in ANSWERED {
        match answer.header(name) {
            // How many others a run has made meanwhile is chance.
            Some(_) if tenant && ["link", "total-number"].contains(&name) => {
                let _ = writeln!(text, "{name}: <of the tenant>");
            }
            Some(value) => {
                let _ = writeln!(text, "{name}: {}", stable.header(name, value));
            }
            None => {}
        }
    }
    if tenant && answer.json().is_some_and(Value::is_array) {
        text.push_str("\n[\n  \"<items of the tenant>\"\n]\n");
    } else {
        body(&mut text, &answer.body, answer.status >= 400, &mut stable);
    }
    text
}

/// Whether the answer lists what the whole tenant has.
fn is_of_tenant(operation: &Operation) -> bool {
    operation.collection == Collection::Management && operation.method == "GET" && !operation.path.contains('{')
}

fn body(text: &mut String, bytes: &[u8], refusal: bool, stable: &mut Stable<'_>) {
    if bytes.is_empty() {
        return;
    }
    text.push('\n');
    match (json::parse(bytes), std::str::from_utf8(bytes)) {
        (Ok(value), _) => {
            let _ = writeln!(text, "{:#}", shown(&value, "", refusal, stable));
        }
        (Err(_), Ok(plain)) if !plain.contains('\0') => {
            let _ = writeln!(text, "{}", shortened(&stable.text(plain).replace('\r', "")));
        }
        _ => {
            let _ = writeln!(text, "<{} bytes>", bytes.len());
        }
    }
}

/// A value with sorted members, everything volatile replaced.
fn shown(value: &Value, name: &str, refusal: bool, stable: &mut Stable<'_>) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let members = names.into_iter().map(|name| (stable.text(name), shown(&members[name], name, refusal, stable)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let mut items: Vec<&Value> = items.iter().collect();
            // What was made within one millisecond is listed in any order.
            if items.iter().all(|item| item.is_object()) {
                items.sort_by_cached_key(|item| unnumbered(&shown(item, name, refusal, &mut stable.clone())));
            }
            items.into_iter().map(|item| shown(item, name, refusal, stable)).collect()
        }
        Value::String(_) if refusal && FOR_PEOPLE.contains(&name) => json!("<text>"),
        Value::String(text) => shortened(&stable.value(name, text)).into(),
        // How many a server has counted before depends on what else was made.
        Value::Number(_) if name.ends_with("Order") => Value::from("<counted>"),
        Value::Number(number) => number.as_f64().and_then(Stable::time).map_or_else(|| value.clone(), Value::from),
        _ => value.clone(),
    }
}

/// A value as text, its symbols without their numbers.
fn unnumbered(value: &Value) -> String {
    let text = value.to_string();
    let mut parts = text.split('#');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "#" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn shortened(text: &str) -> String {
    let letters = text.chars().count();
    if letters <= LONGEST || text.contains('\n') && letters <= LONGEST * 20 {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST / 3).collect();
    format!("{head}<… {letters} letters>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Version;
    use crate::contract::guard::Status;
    use crate::model::wire::{Answer, Request};

    fn exemplar(body: &Value) -> Exemplar {
        let symbols = [("run", "abcdefgh"), ("user#7.id", "k3j4h5g6f7d8"), ("user#9.id", "aaaabbbb1111")];
        Exemplar {
            operation: "ListUserRoles".into(),
            outcome: Outcome { status: Status::Exact(200), code: None },
            shared: false,
            request: Request::new("GET", "/api/users/k3j4h5g6f7d8/roles").with_header("authorization", "Basic c2VjcmV0"),
            answer: Answer { status: 200, headers: Vec::new(), body: body.to_string().into_bytes().into() },
            symbols: BTreeMap::from(symbols.map(|(name, value)| (name.to_owned(), value.to_owned()))).into(),
        }
    }

    fn of(body: &Value) -> Document {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let mut documents = documents(&contract, &[exemplar(body), exemplar(&json!([]))], &|text| text.replace("hush", "***"));
        assert_eq!(documents.len(), 1, "the first of an outcome counts");
        documents.remove(0)
    }

    #[test]
    fn a_document_shows_what_was_sent_and_answered_with_symbols() {
        let document = of(&json!([{"z": "hush", "id": "k3j4h5g6f7d8", "at": 1_800_000_000_123_u64, "password": "x"}]));
        assert_eq!(document.name, "management/ListUserRoles.200");
        assert_eq!(
            document.text,
            "GET /api/users/<user#1.id>/roles\nauthorization: Basic <secret>\n\n200\n\n[\n  {\n    \"at\": \"<timestamp>\",\n    \"id\": \
             \"<user#1.id>\",\n    \"password\": \"<secret>\",\n    \"z\": \"***\"\n  }\n]\n"
        );
    }

    #[test]
    fn the_order_of_items_does_not_show() {
        let (first, second) = (json!({"name": "b", "id": "aaaabbbb1111"}), json!({"name": "a", "id": "k3j4h5g6f7d8"}));
        assert_eq!(of(&json!([first, second])), of(&json!([second, first])));
    }
}
