//! The register of values that must never be printed, and the ways to mask them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::form::percent;

/// What stands in place of a secret.
pub const MASK: &str = "<secret>";

/// Shorter values are not registered: masking them would hide ordinary words. Also the length of the index key.
const MIN: usize = 6;

/// Every secret of a run, by value; clones share one register.
///
/// Lookup is by the first six bytes of a form, then by the lengths known for these: registering is constant work and
/// redacting is linear in the text, however many secrets there are.
#[derive(Debug, Clone, Default)]
pub struct SecretRegister {
    forms: Arc<RwLock<Forms>>,
}

#[derive(Default)]
struct Forms {
    values: HashSet<Box<str>>,
    /// Each form with the number of its value, from 1.
    known: HashMap<Box<[u8]>, usize>,
    lengths: HashMap<[u8; MIN], BTreeSet<usize>>,
}

impl std::fmt::Debug for Forms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forms").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl SecretRegister {
    /// An empty register.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks `value` from now on, in all its encodings. Values of fewer than six bytes are ignored.
    pub fn register(&self, value: impl AsRef<str>) {
        let value = value.as_ref();
        if value.len() < MIN || self.read(|forms| forms.values.contains(value)) {
            return;
        }
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        forms.values.insert(value.into());
        let number = forms.values.len();
        for form in encodings(value) {
            forms.add(form.as_bytes(), number);
        }
    }

    /// How many secrets are registered.
    pub fn len(&self) -> usize {
        self.read(|forms| forms.values.len())
    }

    /// Whether no secret is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text with every registered value replaced by [`MASK`]; overlapping values are masked together.
    pub fn redact(&self, text: &str) -> String {
        self.redact_cow(text).into_owned()
    }

    /// The text with every registered value replaced by a symbol of its own, such as `(secret-7)`: the same for the same value,
    /// however it is encoded. Several that overlap make one symbol.
    pub fn symbolise<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.replace(text, symbol)
    }

    /// Like [`redact`](Self::redact) for all strings and keys of a document.
    pub fn redact_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.redact_json(item)).collect()),
            Value::Object(map) => {
                let redacted = map.iter().map(|(key, value)| (self.redact(key), self.redact_json(value)));
                Value::Object(redacted.collect::<Map<_, _>>())
            }
            // A secret may be a number as well, such as a code.
            Value::Number(number) => match self.redact_cow(&number.to_string()) {
                Cow::Borrowed(_) => value.clone(),
                Cow::Owned(masked) => Value::String(masked),
            },
            Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    fn redact_cow<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.replace(text, |_| MASK.to_owned())
    }

    fn replace<'a>(&self, text: &'a str, shown: impl Fn(&[usize]) -> String) -> Cow<'a, str> {
        let spans = self.read(|forms| forms.spans(text.as_bytes()));
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut rest = 0;
        for Span { start, end, numbers } in spans {
            masked.push_str(&text[rest..start]);
            masked.push_str(&shown(&numbers));
            rest = end;
        }
        masked.push_str(&text[rest..]);
        Cow::Owned(masked)
    }

    fn read<T>(&self, look: impl FnOnce(&Forms) -> T) -> T {
        look(&self.forms.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Forms {
    fn add(&mut self, form: &[u8], number: usize) {
        if let Some(start) = form.first_chunk::<MIN>() {
            self.lengths.entry(*start).or_default().insert(form.len());
            self.known.entry(form.into()).or_insert(number);
        }
    }

    /// The stretches of `text` that registered values cover, merged where they overlap.
    ///
    /// Forms are whole UTF-8 texts, so the ends of a stretch are character boundaries of `text`.
    fn spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        if self.lengths.is_empty() {
            return spans;
        }
        for start in 0..text.len() {
            // What lies within a longer one says nothing more.
            let covered = spans.last().map_or(0, |last: &Span| last.end.saturating_sub(start));
            let Some((length, number)) = self.longest_at(&text[start..], covered) else { continue };
            let end = start + length;
            match spans.last_mut() {
                Some(last) if start < last.end => {
                    last.end = end;
                    last.numbers.push(number);
                }
                _ => spans.push(Span { start, end, numbers: vec![number] }),
            }
        }
        spans
    }

    /// Length of the longest form that the text starts with, if it is longer than `least`, and the number of its value.
    fn longest_at(&self, text: &[u8], least: usize) -> Option<(usize, usize)> {
        let lengths = self.lengths.get(text.first_chunk::<MIN>()?)?;
        lengths.range(least + 1..).rev().find_map(|&length| Some((length, *self.known.get(text.get(..length)?)?)))
    }
}

/// A stretch of text that registered values cover.
struct Span {
    start: usize,
    end: usize,
    /// The values, by number.
    numbers: Vec<usize>,
}

/// What stands in place of the values with these numbers: `(secret-7)`, which no encoding changes.
fn symbol(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{SYMBOL}{})", numbers.join("-"))
}

/// How every symbol begins.
const SYMBOL: &str = "(secret-";

/// How what stands for a body that is left out begins.
const LEFT_OUT: &str = "(left-out-";

/// What stands in place of a body of so many bytes.
pub fn left_out(bytes: usize) -> String {
    format!("{LEFT_OUT}{bytes})")
}

/// Whether a symbol stands somewhere in a text, or in place of it.
pub fn has_symbol(text: &[u8]) -> bool {
    let ends = |rest: &[u8]| {
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        length > 0 && rest.get(length) == Some(&b')')
    };
    let opened = text.iter().enumerate().filter(|(_, byte)| **byte == b'(').map(|(start, _)| &text[start..]);
    opened.filter_map(|rest| [SYMBOL, LEFT_OUT].into_iter().find_map(|start| rest.strip_prefix(start.as_bytes()))).any(ends)
}

/// The forms in which a value can appear in a text.
fn encodings(value: &str) -> HashSet<String> {
    let json = json_text(value);
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let escaped = percent(value);
    let mut all = HashSet::from([
        value.to_owned(),
        markup_text(value, "&#39;"),
        markup_text(value, "&#x27;"),
        markup_text(value, "&apos;"),
        json_text(&json),
        json.replace('/', "\\/"),
        ascii_json_text(value),
        lower_hex(&escaped),
        lower_hex(&form),
        json,
        form,
        escaped,
    ]);
    all.extend(base64_forms(value.as_bytes()));
    all.retain(|form| form.len() >= MIN);
    all
}

/// The part of the base64 of any text around `value` that depends on `value` alone, for each of the three alignments.
///
/// So the secret of `Basic base64(id:secret)` is found for every `id`.
fn base64_forms(value: &[u8]) -> impl Iterator<Item = String> {
    let aligned = [0_usize, 1, 2].map(|before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        // Characters that carry bits of the bytes before or after the value are left out.
        let skip = [0, 2, 3][before];
        let cut = usize::from(!bytes.len().is_multiple_of(3));
        [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|text| text[skip..text.len() - cut].to_owned())
    });
    // At the very start or end of the encoded text all characters belong to the value.
    let whole = [STANDARD_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(value)];
    let in_url = whole.clone().map(|text| percent(&text));
    aligned.into_iter().flatten().chain(whole).chain(in_url)
}

/// The inside of the JSON string of a text.
fn json_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The inside of a JSON string that escapes everything outside of ASCII.
fn ascii_json_text(text: &str) -> String {
    let mut escaped = String::new();
    for character in json_text(text).chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn markup_text(text: &str, apostrophe: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', apostrophe)
}

/// Percent-encoding with lower-case digits.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        text.push('%');
        text.push_str(&digits.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

/// A writer that passes whole lines through the register; the last, unfinished line is written when it is dropped.
#[derive(Debug)]
pub struct Redacted<W: Write> {
    inner: W,
    secrets: SecretRegister,
    line: Vec<u8>,
}

impl<W: Write> Redacted<W> {
    /// Everything written to the result reaches `inner` without the secrets.
    pub fn new(inner: W, secrets: SecretRegister) -> Self {
        Self { inner, secrets, line: Vec::new() }
    }

    fn write_out(&mut self, end: usize) -> io::Result<()> {
        let line: Vec<u8> = self.line.drain(..end).collect();
        self.inner.write_all(self.secrets.redact(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if let Some(last) = self.line.iter().rposition(|byte| *byte == b'\n') {
            self.write_out(last + 1)?;
        }
        Ok(bytes.len())
    }

    /// Flushes the lines that are complete: half a line may hold half a secret.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for Redacted<W> {
    fn drop(&mut self) {
        // Nobody is left to be told about an error here.
        let _ = self.write_out(self.line.len()).and_then(|()| self.inner.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    const SECRET: &str = "p&ß \"w/ö<+>'\\end";

    fn register(values: &[&str]) -> SecretRegister {
        let register = SecretRegister::new();
        for value in values {
            register.register(value);
        }
        register
    }

    #[test]
    fn every_encoded_form_is_masked() {
        let secrets = register(&[SECRET]);
        let json = serde_json::to_string(SECRET).unwrap();
        let forms = [
            SECRET.to_owned(),
            json.clone(),
            serde_json::to_string(&json).unwrap(),
            percent(SECRET),
            lower_hex(&percent(SECRET)),
            super::super::form::encode(&[("k", SECRET)]),
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
            percent(&STANDARD.encode(SECRET)),
            markup_text(SECRET, "&#39;"),
            ascii_json_text(SECRET),
        ];
        for form in forms {
            let masked = secrets.redact(&format!("before {form} after"));
            assert!(masked.contains(MASK), "{form}: {masked}");
            assert!(masked.starts_with("before ") && masked.ends_with(" after"), "{masked}");
            assert!(masked.len() < 40, "{form}: {masked}");
        }
    }

    #[test]
    fn basic_credentials_are_masked_for_every_length_of_the_id() {
        for secret in ["secret-of-app", "secret-of-app1", "secret-of-app12"] {
            let secrets = register(&[secret]);
            for id in ["a", "ab", "abc", "abcd"] {
                for suffix in ["", "x", "xy", "xyz"] {
                    let encoded = STANDARD.encode(format!("{id}:{secret}{suffix}"));
                    let masked = secrets.redact(&encoded);
                    assert!(masked.contains(MASK), "{id} {secret} {suffix}: {masked}");
                    let left = masked.replace(MASK, "");
                    // `abcd:` and `xyz` take up to eight characters each.
                    assert!(left.len() <= 16, "{id} {secret} {suffix}: {masked}");
                }
            }
        }
    }

    #[test]
    fn the_longest_and_overlapping_values_are_masked_whole() {
        let secrets = register(&["abcdef", "abcdefghij", "hijklmnop"]);
        assert_eq!(secrets.redact("-abcdefghijklmnop-"), "-<secret>-");
        assert_eq!(secrets.redact("abcdefabcdef"), "<secret><secret>");
        assert_eq!(secrets.redact("abcde"), "abcde");
    }

    #[test]
    fn equal_values_have_equal_symbols_in_every_encoding() {
        let secrets = register(&["abcdef", "hijklmnop", "defghijk", "abc/def=ghi"]);
        assert_eq!(secrets.symbolise("abcdef, hijklmnop"), "(secret-1), (secret-2)");
        assert_eq!(secrets.symbolise("-abcdefghijklmnop-"), "-(secret-1-3-2)-");
        for form in ["abc/def=ghi".to_owned(), percent("abc/def=ghi"), STANDARD.encode("abc/def=ghi")] {
            assert_eq!(secrets.symbolise(&form).trim_end_matches('='), "(secret-4)", "{form}");
        }
        assert!(has_symbol(b"a (secret-1-3) b") && has_symbol(b"(secret- (secret-7)"));
        assert!(!has_symbol(b"(secret-) (secret-x) <secret> (secret-1"));
    }

    #[test]
    fn short_values_are_not_registered() {
        let secrets = register(&["12345", ""]);
        assert!(secrets.is_empty());
        assert_eq!(secrets.redact("12345"), "12345");
    }

    #[test]
    fn documents_are_masked_in_strings_keys_and_numbers() {
        let secrets = register(&["top-secret", "123456"]);
        let masked = secrets.redact_json(&json!({"top-secret": ["a top-secret b", 123_456, 7, null, true]}));
        assert_eq!(masked, json!({"<secret>": ["a <secret> b", "<secret>", 7, null, true]}));
    }

    #[test]
    fn the_writer_masks_across_writes_and_on_drop() {
        let secrets = register(&["top-secret"]);
        let mut out = Vec::new();
        let mut writer = Redacted::new(&mut out, secrets);
        for part in ["a top-", "secret b\nc to", "p-secret"] {
            writer.write_all(part.as_bytes()).unwrap();
            writer.flush().unwrap();
        }
        drop(writer);
        assert_eq!(String::from_utf8(out).unwrap(), "a <secret> b\nc <secret>");
    }

    #[test]
    fn ten_thousand_tokens_with_the_same_start_stay_fast() {
        let secrets = SecretRegister::new();
        let token = |n: usize| format!("eyJhbGciOiJFUzM4NCJ9.{n:08}");
        (0..10_000).for_each(|n| secrets.register(token(n)));
        let text = token(9_999).repeat(1_000);
        let start = std::time::Instant::now();
        assert_eq!(secrets.redact(&text), MASK.repeat(1_000));
        assert!(start.elapsed().as_millis() < 1_000, "{:?}", start.elapsed());
    }
}
