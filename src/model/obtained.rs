//! What is known once something was got outside the two collections.

use serde_json::Value;

use super::state::{Key, Kind, State};
use super::{message, vouched};
use crate::contract::Source;

/// What a source gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// What stands for it in requests: a text, or JSON as text.
    pub text: String,
    /// What an identity provider vouches for: the identity as it will be linked, and the token answer that comes along.
    pub vouched: Option<(Value, Value)>,
}

impl From<String> for Got {
    fn from(text: String) -> Self {
        Self { text, vouched: None }
    }
}

/// Lets a state know what a source gave. The source's texts have no symbols any more.
pub fn obtained(state: &mut State, source: &Source, got: &Got) {
    match source {
        Source::Message { record: Some(record), .. } => {
            state.update(&Key::new(Kind::Record, record.as_str()), |record| record.set("code", got.text.as_str()));
        }
        Source::Message { to, record: None } => message::reveal_code(state, to, &got.text),
        Source::Passkey { options, record, .. } => {
            // Whoever makes the passkey looks whether the options fit the page that asks.
            let options: Value = serde_json::from_str(options).unwrap_or_default();
            for part in ["challenge", "rp.id"] {
                let value = part.split('.').try_fold(&options, |value, name| value.get(name)).cloned();
                if let Some(value) = value.filter(Value::is_string) {
                    state.update(&Key::new(Kind::Record, record.as_str()), |record| {
                        record.set(format!("registrationOptions.{part}"), value);
                    });
                }
            }
        }
        Source::Consent { record, .. } => {
            if let (Ok(data), Some((account, tokens))) = (serde_json::from_str(&got.text), &got.vouched) {
                vouched::consented(state, record, &data, account, tokens);
            }
        }
        Source::Totp { .. } => {}
    }
}
