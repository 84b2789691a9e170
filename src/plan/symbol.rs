//! Symbols: names for values that are only known while running, written `{{name}}` in plans.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::password::digest;

/// A symbol that stands for nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{{{{{0}}}}}` stands for nothing: no earlier step of the sequence captured it")]
pub struct Unbound(pub String);

/// What the symbols of one execution of a sequence stand for.
///
/// `run` (the run's name), `tag` (unique per execution), `password#n`, `password#n.digest`, `phone#n`, `padding#n` (so many letters) and `surrogate#h`
/// (the JSON escape of half a pair, which no text of Rust holds) are derived; everything else is captured from answers or set by whoever runs the sequence.
#[derive(Debug, Clone)]
pub struct Binding {
    run: String,
    tag: String,
    secret: String,
    phones: u32,
    values: BTreeMap<String, String>,
}

/// What the value of a symbol starts with that no answer should bring.
const NEVER: &str = "never-";

/// Letters that `padding#n` can stand for; a plan file must not be able to fill the memory.
const LONGEST_PADDING: usize = 64 << 20;

/// Letters that form no words and no runs on a keyboard.
const LETTERS: &[u8] = b"bcdfhkmnprtvwxz";

impl Binding {
    /// A binding for one execution: `number` is unique among the executions of a run, `secret` makes the passwords.
    pub fn new(run: &str, number: u32, secret: &str) -> Self {
        Self { run: run.to_owned(), tag: format!("{number:x}"), secret: secret.to_owned(), phones: 0, values: BTreeMap::new() }
    }

    /// The same with phone numbers that follow on the first `taken` of the run.
    #[must_use]
    pub fn with_phones_after(self, taken: u32) -> Self {
        Self { phones: taken, ..self }
    }

    /// Lets a symbol stand for a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// Lets a symbol stand for nothing: what should give it a meaning is refused, and so is what speaks of it.
    pub fn set_nothing(&mut self, name: &str) {
        self.set(name, format!("{NEVER}{name}"));
    }

    /// Whether a symbol stands for nothing.
    pub fn is_nothing(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.starts_with(NEVER))
    }

    /// What all symbols stand for, the run's name and the execution's tag among them, but for derived ones.
    pub fn known(&self) -> BTreeMap<String, String> {
        let mut known = self.values.clone();
        known.retain(|_, value| !value.starts_with(NEVER));
        known.insert("run".into(), self.run.clone());
        known.insert("tag".into(), self.tag.clone());
        known
    }

    /// What a symbol stands for.
    pub fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        match name.split_once('#') {
            None if name == "run" => Some(self.run.clone()),
            None if name == "tag" => Some(self.tag.clone()),
            Some(("password", index)) => {
                let password = self.password(undigested(index));
                Some(if undigested(index) == index { password } else { digest(&password) })
            }
            Some(("phone", index)) => index.parse().ok().map(|index| self.phone(index)),
            Some(("surrogate", unit)) => {
                u16::from_str_radix(unit, 16).ok().filter(|unit| (0xd800..0xe000).contains(unit)).map(|unit| format!("\\u{unit:04x}"))
            }
            Some(("padding", letters)) => {
                letters.parse().ok().filter(|letters| *letters <= LONGEST_PADDING).map(|letters| "x".repeat(letters))
            }
            _ => None,
        }
    }

    /// Replaces every symbol of a text.
    pub fn resolve(&self, text: &str) -> Result<String, Unbound> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            resolved.push_str(before);
            let Some((name, tail)) = after.split_once("}}") else {
                resolved.push_str("{{");
                rest = after;
                continue;
            };
            resolved.push_str(&self.get(name).ok_or_else(|| Unbound(name.to_owned()))?);
            rest = tail;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    /// Long, of four character classes, without runs or repetitions: no policy of a deployment has a reason to refuse it.
    fn password(&self, index: &str) -> String {
        let digest = Sha256::digest(format!("{}/{}/{index}", self.secret, self.tag));
        let mut text = String::from("Kx7-");
        for (position, byte) in digest.iter().take(16).enumerate() {
            let letter = char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
            text.push(if position % 2 == 0 { letter } else { char::from(b'2' + (byte / 16 % 4) * 2) });
        }
        text
    }

    /// A number of the range reserved for fiction: area code, 555, 0100 to 0199.
    fn phone(&self, index: u32) -> String {
        let digest = Sha256::digest(self.run.as_bytes());
        let start = u32::from_be_bytes([0, digest[0], digest[1], digest[2]]);
        let place = start.wrapping_add(self.phones).wrapping_add(index) % 70_000;
        format!("1{}55501{:02}", 201 + place / 100, place % 100)
    }
}

/// The highest number of a phone number among symbols; 0 when there is none.
pub fn phones<'a>(symbols: impl Iterator<Item = &'a str>) -> u32 {
    symbols.filter_map(|symbol| symbol.strip_prefix("phone#")?.parse().ok()).max().unwrap_or(0)
}

/// What a captured value is written as in place of its symbol: a text itself, an object or list as JSON.
pub fn captured(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) | Value::Array(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The password that the symbol of a digest is of; any other symbol.
pub fn undigested(symbol: &str) -> &str {
    symbol.strip_suffix(".digest").unwrap_or(symbol)
}

/// The symbols that a text uses.
pub fn symbols(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}").map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_replaced_and_unknown_ones_named() {
        let mut binding = Binding::new("r1", 10, "s");
        binding.set("user#1.id", "abc");
        assert_eq!(binding.resolve("/api/users/{{user#1.id}}?x={{run}}_{{tag}}"), Ok("/api/users/abc?x=r1_a".into()));
        assert_eq!(binding.resolve("{{user#2.id}}"), Err(Unbound("user#2.id".into())));
        assert_eq!(binding.resolve("{{ not closed"), Ok("{{ not closed".into()));
        assert_eq!(symbols("a{{b}}c{{d}}").collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn padding_is_as_long_as_it_says_and_surrogates_are_escapes() {
        let binding = Binding::new("r1", 1, "s");
        assert_eq!(binding.resolve("<{{padding#3}}>"), Ok("<xxx>".into()));
        assert_eq!(binding.resolve("a{{surrogate#d800}}"), Ok("a\\ud800".into()));
        for name in ["surrogate#41", "padding#99999999999", "padding#-1", "padding"] {
            assert_eq!(binding.get(name), None);
        }
    }

    #[test]
    fn the_numbers_of_a_sequence_are_as_many_as_the_highest() {
        assert_eq!(phones(["phone#2", "phone#12", "phone#x", "password#40"].into_iter()), 12);
        assert_eq!(phones(["run"].into_iter()), 0);
    }

    #[test]
    fn passwords_and_phones_differ_between_executions() {
        let (first, second) = (Binding::new("r1", 1, "s"), Binding::new("r1", 2, "s").with_phones_after(2));
        assert_ne!(first.get("password#1"), second.get("password#1"));
        assert_ne!(first.get("password#1"), first.get("password#2"));
        assert_eq!(first.get("password#1.digest"), first.get("password#1").map(|password| digest(&password)));
        assert_eq!(first.get("phone#3"), second.get("phone#1"));
        let phone = first.get("phone#1").unwrap();
        assert!(phone.len() == 11 && &phone[4..9] == "55501", "{phone}");
    }
}
