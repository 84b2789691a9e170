//! What is known once something was got outside the two collections.

use serde_json::Value;

use super::message;
use super::state::{Key, Kind, State};
use crate::contract::Source;

/// Lets a state know what a source gave. The source's texts have no symbols any more.
pub fn obtained(state: &mut State, source: &Source, value: &str) {
    match source {
        Source::Message { record: Some(record), .. } => {
            state.update(&Key::new(Kind::Record, record.as_str()), |record| record.set("code", value));
        }
        Source::Message { to, record: None } => message::reveal_code(state, to, value),
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
        Source::Totp { .. } | Source::Consent { .. } => {}
    }
}
