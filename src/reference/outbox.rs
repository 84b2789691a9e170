//! Messages that the deployment sends: a code for a recipient, posted to the connector that stands for its kind.
//!
//! Like Logto, the deployment waits for the connector before it answers. When that fails, the answer is
//! `connector.general`; no record comes about, a code without record stays, and the message does not count.

use serde_json::{Value, json};

use super::mint::Mint;
use super::refusal::json_answer;
use crate::contract::MessageKind;
use crate::contract::Named;
use crate::model::wire::Answer;
use crate::model::{Call, Entity, Key, Kind, State, addressee, forget_send};

/// Factories of the connectors that post messages.
const HTTP: [&str; 2] = ["http-email", "http-sms"];

/// A message on its way to a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where it is posted to.
    pub endpoint: String,
    /// Header of that name.
    pub authorization: Option<String>,
    /// What is posted.
    pub body: Value,
    /// The record that comes about only if the message arrives.
    record: Option<Key>,
    recipient: String,
    at: i64,
}

/// Writes the message of a call that succeeded: its code is stored, and where it goes is said. `None` when the call sends
/// nothing, or by a connector that does not post.
pub fn send(mint: &mut Mint, call: &Call<'_>, state: &mut State, born: Option<&Key>, now: i64) -> Option<Delivery> {
    let message = if call.operation.does(Named::CreateCodeRecord) {
        of_record(call, state, born?)?
    } else if call.operation.does(Named::MakeCode) {
        let (recipient, kind) = addressee(call)?;
        Message { key: Key::new(Kind::MessageCode, recipient.as_str()), recipient, kind, template: "Generic".to_owned() }
    } else {
        return None;
    };
    let (endpoint, authorization) = connector(state, message.kind)?;
    let code = mint.code();
    state.update(&message.key, |entity| entity.set("code", code.as_str()));
    let body = json!({"to": message.recipient, "type": message.template, "payload": {"code": code}});
    let record = (message.key.kind == Kind::Record).then_some(message.key);
    Some(Delivery { endpoint, authorization, body, record, recipient: message.recipient, at: now })
}

struct Message {
    /// What knows the code.
    key: Key,
    recipient: String,
    kind: MessageKind,
    template: String,
}

fn of_record(call: &Call<'_>, state: &State, key: &Key) -> Option<Message> {
    let record = state.get(key)?;
    let recipient = record.text("value")??.to_owned();
    let kind = if record.text("type") == Some(Some("EmailVerificationCode")) { MessageKind::Email } else { MessageKind::Sms };
    // A record that belongs to nobody is for a new address or number.
    let template = match record.text("owner").flatten() {
        None => "BindNewIdentifier",
        Some(_) => call.input.get("templateType").and_then(Value::as_str).unwrap_or("UserPermissionValidation"),
    };
    Some(Message { key: key.clone(), recipient, kind, template: template.to_owned() })
}

/// Endpoint and authorization of the connector that stands for a kind of messages, if it posts them.
fn connector(state: &State, kind: MessageKind) -> Option<(String, Option<String>)> {
    let fits = |connector: &Entity| {
        connector.text("type") == Some(Some(kind.connector()))
            && connector.text("connectorId").flatten().is_some_and(|factory| HTTP.contains(&factory))
    };
    let (_, connector) = state.all(Kind::Connector).find(|(_, connector)| fits(connector))?;
    let setting = |name: &str| connector.known("config")?.get(name)?.as_str().map(str::to_owned);
    Some((setting("endpoint")?, setting("authorization")))
}

impl Delivery {
    /// Undoes what the call did in the hope that the message arrives.
    pub fn take_back(&self, state: &mut State) {
        if let Some(record) = &self.record {
            state.remove(record);
        }
        forget_send(state, &self.recipient, self.at);
    }
}

/// The answer when a connector does not take a message.
pub fn failed_delivery(why: &str) -> Answer {
    json_answer(400, &json!({"code": "connector.general", "message": "Error occurred in connector.", "data": why}))
}
