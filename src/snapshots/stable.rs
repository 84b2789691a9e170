//! Replaces what only one run knows by symbols.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::{Captures, Regex};

/// Digits of the longest telephone number; more of them are no value that means anything.
const LONGEST_NUMBER: usize = 15;
/// Shortest value that can be told from a word.
const SHORTEST: usize = 6;

/// Milliseconds since 1970 that can be a time: from 2014 to 2096.
const MILLISECONDS: std::ops::Range<f64> = 1.4e12..4e12;

/// Symbols that are words of the harness or the deployment, and no values of one run.
const FIXED: [&str; 3] = ["run", "tag", "resource"];

/// What has a shape of its own, with the name it gets: the first that fits counts.
static SHAPES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let shapes = [
        ("timestamp", r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?"),
        ("jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
        ("uuid", r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        // What the run makes up is counted, and the count moves with the plan.
        ("name", r"(?i)\blc_(?:[nv]?[0-9a-f]+| text \d+)\b"),
        ("phone", r"\b1\d{3}55501\d\d\b"),
        ("address", r"https?://127\.0\.0\.1:\d+"),
        ("timestamp", r"\b1[4-9]\d{11}\b"),
        ("opaque", r"[A-Za-z0-9_-]{20,}"),
        ("id", r"\b[a-z0-9]{12}\b"),
    ];
    shapes.into_iter().map(|(name, shape)| (name, Regex::new(shape).expect("the shapes are expressions"))).collect()
});

/// What a deployment calls its things.
static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(?:[a-z0-9]{12}|[a-z0-9]{21})$").expect("an expression"));

/// Characters of the shorter ids.
const SHORT_ID: usize = 12;

static SYMBOL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<([a-z-]+)#(\w+)(\.[\w.-]+)?( in base64)?>").expect("an expression"));

/// What stands for what in one document.
#[derive(Clone)]
pub struct Stable<'a> {
    /// Values with their symbols, the longest first.
    values: Vec<(String, String)>,
    /// Marks of the run in names, and what is left of each.
    marks: Vec<(String, &'static str)>,
    /// Shapes by name and value.
    seen: BTreeMap<String, usize>,
    /// Numbers of symbols in this document by their numbers in the sequence.
    numbers: BTreeMap<(String, String), usize>,
    redact: &'a dyn Fn(&str) -> String,
}

impl<'a> Stable<'a> {
    /// For a document of a sequence whose symbols stood for these values.
    pub fn new(symbols: &BTreeMap<String, String>, redact: &'a dyn Fn(&str) -> String) -> Self {
        let usable = |(name, value): &(&String, &String)| value.len() >= SHORTEST && !FIXED.contains(&name.as_str());
        let mut values: Vec<(String, String)> =
            symbols.iter().filter(usable).map(|(name, value)| (value.clone(), format!("<{name}>"))).collect();
        let encoded: Vec<(String, String)> =
            values.iter().map(|(value, name)| (URL_SAFE_NO_PAD.encode(value), name.replace('>', " in base64>"))).collect();
        values.extend(encoded);
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.1.cmp(&b.1)));
        values.dedup_by(|later, first| later.0 == first.0);
        let of = |name: &str| symbols.get(name).cloned().unwrap_or_default();
        let (run, tag) = (of("run"), of("tag"));
        let named = ["lc_{run}_{tag}_", "lc{run}x{tag}x", "lc_{run}_", "lc-{run}-{tag}-"].map(|form| (form, "lc_"));
        // Of a name that something was done to, less is left.
        let changed = [("{run}_{tag}_", ""), ("{run}x{tag}", ""), ("{run}", "lc_")];
        let marks = named.into_iter().chain(changed).map(|(form, rest)| (form.replace("{run}", &run).replace("{tag}", &tag), rest));
        let marks = marks.filter(|(mark, _)| mark.len() >= SHORTEST).collect();
        Self { values, marks, seen: BTreeMap::new(), numbers: BTreeMap::new(), redact }
    }

    /// A text without anything volatile.
    pub fn text(&mut self, text: &str) -> String {
        // Whether a code happens to be among them is chance.
        if text.len() > LONGEST_NUMBER && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return "<digits>".to_owned();
        }
        let mut text = text.to_owned();
        for (value, symbol) in &self.values {
            if text.contains(value.as_str()) {
                text = replaced(&text, value, symbol);
            }
        }
        for (mark, rest) in &self.marks {
            text = text.replace(mark.as_str(), rest).replace(&mark.to_uppercase(), &rest.to_uppercase());
        }
        text = (self.redact)(&text);
        for (name, shape) in SHAPES.iter() {
            text = self.shaped(name, shape, &text);
        }
        let numbers = &mut self.numbers;
        let renumbered = SYMBOL.replace_all(&text, |found: &Captures<'_>| {
            let part: String = found.iter().skip(3).flatten().map(|part| part.as_str()).collect();
            let (kind, number) = (&found[1], &found[2]);
            // What was numbered by the shape already is.
            if let Some(number) = number.strip_prefix('_') {
                return format!("<{kind}#{number}{part}>");
            }
            let next = numbers.keys().filter(|(known, _)| known == kind).count() + 1;
            let number = *numbers.entry((kind.to_owned(), number.to_owned())).or_insert(next);
            format!("<{kind}#{number}{part}>")
        });
        renumbered.into_owned()
    }

    /// A member's value without anything volatile.
    pub fn value(&mut self, name: &str, text: &str) -> String {
        let secret = ["password", "secret", "token"].iter().any(|word| name.to_lowercase().ends_with(word));
        let known = || self.values.iter().any(|(value, _)| value == text);
        if secret && !text.is_empty() && !known() {
            return "<secret>".to_owned();
        }
        // An id without a digit looks like a word.
        let named = (name == "id" || name.ends_with("Id")) && ID.is_match(text) && !known();
        if named && !is_made_up(text) { self.numbered(if text.len() > SHORT_ID { "opaque" } else { "id" }, text) } else { self.text(text) }
    }

    /// The value of a header.
    pub fn header(&mut self, name: &str, value: &str) -> String {
        match value.split_once(' ') {
            Some((scheme @ "Basic", _)) if name == "authorization" => format!("{scheme} <secret>"),
            _ => self.text(value),
        }
    }

    /// What stands for a number that is a time.
    pub fn time(number: f64) -> Option<&'static str> {
        let seconds = MILLISECONDS.start / 1000.0..MILLISECONDS.end / 1000.0;
        (MILLISECONDS.contains(&number) || seconds.contains(&number)).then_some("<timestamp>")
    }

    fn shaped(&mut self, name: &str, shape: &Regex, text: &str) -> String {
        let seen = &mut self.seen;
        let outside = |at: usize| {
            let before = &text[..at];
            before.rfind('<').is_none_or(|open| before[open..].contains('>'))
        };
        let replaced = shape.replace_all(text, |found: &Captures<'_>| {
            let (value, at) = (&found[0], found.get(0).map_or(0, |whole| whole.start()));
            if !outside(at) || ["id", "opaque"].contains(&name) && !is_made_up(value) {
                return value.to_owned();
            }
            if name == "timestamp" {
                return "<timestamp>".to_owned();
            }
            format!("<{name}#_{}>", number(seen, name, value))
        });
        replaced.into_owned()
    }

    /// The symbol of a value of a shape.
    fn numbered(&mut self, name: &str, value: &str) -> String {
        format!("<{name}#{}>", number(&mut self.seen, name, value))
    }
}

/// The number of a value among those of its shape.
fn number(seen: &mut BTreeMap<String, usize>, name: &str, value: &str) -> usize {
    let prefix = format!("{name} ");
    let next = seen.keys().filter(|known| known.starts_with(&prefix)).count() + 1;
    *seen.entry(format!("{prefix}{value}")).or_insert(next)
}

/// Whether chance made a text up: there are digits among its letters, or as many capitals as no name of words has.
fn is_made_up(text: &str) -> bool {
    let count = |is: fn(&char) -> bool| text.chars().filter(is).count();
    let [digits, capitals, small] = [char::is_ascii_digit, char::is_ascii_uppercase, char::is_ascii_lowercase].map(count);
    digits > 0 && capitals + small > 0 || 4 * capitals.min(small) >= text.len()
}

/// The text with a symbol in place of a value, but not where the value is the beginning of a longer number: `lc_12` is not in
/// `lc_123`.
fn replaced(text: &str, value: &str, symbol: &str) -> String {
    let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(value) {
        let longer = digit(value.bytes().last()) && digit(after.bytes().next());
        done.push_str(before);
        done.push_str(if longer { value } else { symbol });
        rest = after;
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable(text: &str) -> String {
        let symbols = [("run", "abcdefgh"), ("tag", "1f"), ("user#12.id", "k3j4h5g6f7d8"), ("user#9.id", "aaaabbbbcccc")];
        let symbols = symbols.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Stable::new(&symbols, &str::to_owned).text(text)
    }

    #[test]
    fn the_same_value_is_the_same_symbol_numbered_as_it_appears() {
        assert_eq!(stable("/users/k3j4h5g6f7d8?k3j4h5g6f7d8&aaaabbbbcccc"), "/users/<user#1.id>?<user#1.id>&<user#2.id>");
        assert_eq!(stable("k3j4h5g6f7d8 azNqNGg1ZzZmN2Q4"), "<user#1.id> <user#1.id in base64>");
        assert_eq!(stable("-1a2b3c4d5e6f7g8h9i0j 1a2b3c4d5e6f7g8h9i0-"), "<opaque#1> <opaque#2>", "a hyphen may come first");
        let symbols = [("given#398.lc_target.id".to_owned(), "k3j4h5g6f7d8".to_owned())].into();
        assert_eq!(Stable::new(&symbols, &str::to_owned).text("k3j4h5g6f7d8"), "<given#1.lc_target.id>");
        assert_eq!(stable("x9y8z7x9y8z7 q1q2q3q4q5q6 x9y8z7x9y8z7"), "<id#1> <id#2> <id#1>");
    }

    #[test]
    fn names_lose_the_marks_of_the_run() {
        assert_eq!(stable("lc_abcdefgh_1f_7@example.com lc_abcdefgh_ text"), "<name#1>@example.com lc_ text");
        assert_eq!(stable("LC_abcdefgh_1f_7@example.com lcabcdefghx1fv8 abcdefgh"), "<name#1>@example.com lcv8 lc_");
        assert_eq!(stable("lc_abcdefgh_1f_n9 lc_abcdefgh_ text 12 lc_target"), "<name#1> <name#2> lc_target");
        let symbols = [("given#4.name", "lc_abcdefgh_1f_1"), ("run", "abcdefgh"), ("tag", "1f")];
        let symbols = symbols.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = Stable::new(&symbols, &str::to_owned).text("lc_abcdefgh_1f_1 lc_abcdefgh_1f_12");
        assert_eq!(text, "<given#1.name> <name#1>", "a longer number is another name");
    }

    #[test]
    fn times_numbers_and_addresses_are_symbols() {
        assert_eq!(stable("2026-01-02T03:04:05.000Z"), "<timestamp>");
        assert_eq!(stable("http://127.0.0.1:40001/x 12015550123"), "<address#1>/x <phone#1>");
        assert_eq!((Stable::time(1.8e12), Stable::time(1.8e9), Stable::time(20.0)), (Some("<timestamp>"), Some("<timestamp>"), None));
    }

    #[test]
    fn values_without_a_digit_are_symbols_too() {
        assert_eq!(stable("CErpFlJwpiHgHPILyofVHg CErpFlJwpiHgHPILyofVHg"), "<opaque#1> <opaque#1>");
        let none = BTreeMap::new();
        let mut member = Stable::new(&none, &str::to_owned);
        assert_eq!(["id", "userId", "name"].map(|name| member.value(name, "abcdefghijkl")), ["<id#1>", "<id#1>", "abcdefghijkl"]);
        assert_eq!(member.value("connectorId", "mock-social-connector"), "mock-social-connector");
    }

    #[test]
    fn words_stay() {
        for text in
            ["account_center.field_not_editable", "application/json; charset=utf-8", "passwordless", "newIdentifierVerificationRecordId"]
        {
            assert_eq!(stable(text), text);
        }
    }
}
