//! The tenant's policy on passwords (`passwordPolicy` of the sign-in experience).
//!
//! Lengths count UTF-16 units, as the server does. Only users are held to the policy; an administrator may set any
//! password.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Which passwords a user may choose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordPolicy {
    /// Bounds of the length.
    pub length: LengthBounds,
    /// How many classes of characters there must be.
    pub character_types: CharacterTypes,
    /// What is refused although long and varied enough.
    pub rejects: Rejects,
}

/// Bounds of a password's length, in UTF-16 units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LengthBounds {
    /// Fewest, at least 1.
    pub min: usize,
    /// Most, at least 1. A deployment accepts a maximum below the minimum; no password has a fitting length then.
    pub max: usize,
}

impl Default for LengthBounds {
    fn default() -> Self {
        Self { min: 8, max: 256 }
    }
}

/// How many of the four classes (lower case, upper case, digits, symbols) a password must use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CharacterTypes {
    /// 1 to 4.
    pub min: usize,
}

impl Default for CharacterTypes {
    fn default() -> Self {
        Self { min: 1 }
    }
}

/// What a policy refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rejects {
    /// Passwords known from breaches; an external service is asked.
    pub pwned: bool,
    /// `aaa`, `123`, `qwe`.
    pub repetition_and_sequence: bool,
    /// The user's name, username, e-mail address and phone number.
    pub user_info: bool,
    /// These words, in any case.
    pub words: Vec<String>,
}

impl Default for Rejects {
    fn default() -> Self {
        Self { pwned: true, repetition_and_sequence: true, user_info: true, words: Vec::new() }
    }
}

/// What a password is compared with; an empty text is no text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserInfo {
    /// Display name.
    pub name: Option<String>,
    /// Username.
    pub username: Option<String>,
    /// Primary e-mail address; the part before `@` counts.
    pub email: Option<String>,
    /// Primary phone number as stored: digits with the calling code.
    pub phone: Option<String>,
}

/// One reason to refuse a password, as it stands in the `data` of `password.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// `password_rejected.…`
    pub code: String,
    /// Numbers for the message (`min`, `max`); most issues have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Map<String, Value>>,
}

impl Issue {
    fn new(suffix: &str) -> Self {
        Self { code: format!("password_rejected.{suffix}"), interpolation: None }
    }

    fn with_bound(suffix: &str, name: &str, bound: usize) -> Self {
        Self { interpolation: Some(Map::from_iter([(name.to_owned(), json!(bound))])), ..Self::new(suffix) }
    }
}

/// What is known of a password's appearance in breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breached {
    /// It was never seen.
    No,
    /// It was seen.
    Yes,
    /// The service's data is not at hand.
    Unknown,
}

/// What a conforming deployment does with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the password.
    Accepted,
    /// It refuses the password.
    Rejected,
    /// It depends on the breach service alone, and what that says is not known.
    Unknown,
}

/// Runs along digits, the alphabet, and the rows and left columns of a keyboard; valid backwards too.
const RUNS: [&str; 14] = [
    "0123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik",
    "9ol",
];

/// Repetitions and runs shorter than this are no offence.
const SHORTEST_RUN: usize = 3;

/// So many characters outside repetitions, runs, words and user information make up for those inside.
const FREE_CHARACTERS: usize = 3;

impl PasswordPolicy {
    /// All reasons to refuse a password, in the server's order, but for `pwned`.
    pub fn issues(&self, password: &str, user: &UserInfo) -> Vec<Issue> {
        self.issues_given(password, user, false)
    }

    /// All reasons to refuse a password, in the server's order; `breached` is what the external service says of it
    /// and counts only where the policy asks the service.
    pub fn issues_given(&self, password: &str, user: &UserInfo, breached: bool) -> Vec<Issue> {
        let mut issues = Vec::new();
        let length = utf16_len(password);
        if length < self.length.min {
            issues.push(Issue::with_bound("too_short", "min", self.length.min));
        } else if length > self.length.max {
            issues.push(Issue::with_bound("too_long", "max", self.length.max));
        }
        match character_types(password) {
            None => issues.push(Issue::new("unsupported_characters")),
            Some(types) if types < self.character_types.min => {
                issues.push(Issue::with_bound("character_types", "min", self.character_types.min));
            }
            Some(_) => {}
        }
        if breached && self.rejects.pwned {
            issues.push(Issue::new("pwned"));
        }
        issues.extend(self.restricted(password, user));
        issues
    }

    /// Whether a password is taken; `breached` is asked only where its answer decides.
    pub fn verdict(&self, password: &str, user: &UserInfo, breached: impl Fn(&str) -> Breached) -> Verdict {
        if !self.issues(password, user).is_empty() {
            return Verdict::Rejected;
        }
        if !self.rejects.pwned {
            return Verdict::Accepted;
        }
        match breached(password) {
            Breached::No => Verdict::Accepted,
            Breached::Yes => Verdict::Rejected,
            Breached::Unknown => Verdict::Unknown,
        }
    }

    /// The `restricted.*` issues in the order in which they first show, or none when enough of the password is free.
    fn restricted(&self, password: &str, user: &UserInfo) -> Vec<Issue> {
        let mut covered = Cover::default();
        let mut start = 0;
        for (offset, first) in password.char_indices() {
            let rest = &password[offset..];
            if self.rejects.repetition_and_sequence {
                covered.add(start, repetition(rest), "restricted.repetition");
                covered.add(start, run(rest), "restricted.sequence");
            }
            let lowered = rest.to_lowercase();
            covered.add(start, longest(&lowered, &self.rejects.words), "restricted.words");
            if self.rejects.user_info {
                covered.add(start, user_info(&lowered, user), "restricted.user_info");
            }
            start += first.len_utf16();
        }
        let bound = start.saturating_sub(FREE_CHARACTERS).max(1);
        if covered.count() > bound { covered.reasons.into_iter().map(Issue::new).collect() } else { Vec::new() }
    }
}

/// The characters that lie in something restricted, and why.
#[derive(Default)]
struct Cover {
    marks: Vec<bool>,
    reasons: Vec<&'static str>,
}

impl Cover {
    fn add(&mut self, start: usize, length: usize, reason: &'static str) {
        if length == 0 {
            return;
        }
        // Lower case can be longer than the password itself (`İ`), and the server counts past the end as well.
        let end = start + length;
        if self.marks.len() < end {
            self.marks.resize(end, false);
        }
        self.marks[start..end].fill(true);
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn count(&self) -> usize {
        self.marks.iter().filter(|mark| **mark).count()
    }
}

fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// How many classes of characters are used; `None` when a character belongs to none.
fn character_types(password: &str) -> Option<usize> {
    let mut used = [false; 4];
    for char in password.chars() {
        let class = match char {
            'a'..='z' => 0,
            'A'..='Z' => 1,
            '0'..='9' => 2,
            ' '..='~' => 3,
            _ => return None,
        };
        used[class] = true;
    }
    Some(used.into_iter().filter(|used| *used).count())
}

/// How often the first character is repeated; 0 when too few times to matter, or past the basic plane.
fn repetition(rest: &str) -> usize {
    let mut chars = rest.chars();
    let Some(first) = chars.next().filter(|first| first.len_utf16() == 1) else { return 0 };
    let length = 1 + chars.take_while(|char| *char == first).count();
    if length >= SHORTEST_RUN { length } else { 0 }
}

/// How far the text goes along one of [`RUNS`], in one case and one direction; 0 when too short to matter.
fn run(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let longest = RUNS
        .iter()
        .flat_map(|run| {
            let backwards: String = run.chars().rev().collect();
            [run.to_ascii_uppercase(), backwards.to_ascii_uppercase(), backwards, (*run).to_owned()]
        })
        .filter_map(|run| {
            let run = run.as_bytes();
            let from = run.iter().position(|byte| Some(byte) == bytes.first())?;
            Some(run[from..].iter().zip(bytes).take_while(|(expected, byte)| expected == byte).count())
        })
        .max()
        .unwrap_or(0);
    if longest >= SHORTEST_RUN { longest } else { 0 }
}

/// The length of the longest of `words` that begins a text in lower case.
fn longest<Word: AsRef<str>>(lowered: &str, words: impl IntoIterator<Item = Word>) -> usize {
    let begins = |word: &Word| lowered.starts_with(&word.as_ref().to_lowercase());
    words.into_iter().filter(begins).map(|word| utf16_len(word.as_ref())).max().unwrap_or(0)
}

/// The length of the longest part of the user's data that begins a text in lower case.
fn user_info(lowered: &str, user: &UserInfo) -> usize {
    let name = user.name.as_deref().map_or(0, |name| {
        let whole = longest(lowered, [name]);
        if whole > 0 {
            return whole;
        }
        let joined = name.replace(is_js_whitespace, "");
        longest(lowered, [joined.as_str()]).max(longest(lowered, name.split(' ')))
    });
    let local_part = user.email.as_deref().and_then(|email| email.split('@').next());
    let identifier = longest(lowered, user.username.as_deref().into_iter().chain(local_part));
    let phone = user.phone.as_deref().filter(|phone| lowered.starts_with(phone)).map_or(0, utf16_len);
    name.max(identifier).max(phone)
}

/// What JavaScript's `\s` matches: the byte order mark is in, the next-line control is not.
fn is_js_whitespace(char: char) -> bool {
    (char.is_whitespace() && char != '\u{85}') || char == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(settings: Value) -> PasswordPolicy {
        serde_json::from_value(settings).unwrap()
    }

    fn ann() -> UserInfo {
        UserInfo {
            name: Some("Ann Marie  Smith".into()),
            username: Some("annie_77".into()),
            email: Some("a.smith@example.com".into()),
            phone: Some("15551230000".into()),
        }
    }

    fn codes(policy: &PasswordPolicy, password: &str) -> Vec<String> {
        let suffix = |issue: Issue| issue.code.trim_start_matches("password_rejected.").to_owned();
        policy.issues(password, &ann()).into_iter().map(suffix).collect()
    }

    #[test]
    fn absent_settings_are_the_defaults() {
        let defaults = policy(json!({}));
        assert_eq!(defaults, PasswordPolicy::default());
        assert_eq!((defaults.length.min, defaults.length.max, defaults.character_types.min), (8, 256, 1));
        assert!(defaults.rejects.pwned && defaults.rejects.repetition_and_sequence && defaults.rejects.user_info);
        assert_eq!(policy(json!({"length": {"min": 12}})).length.max, 256);
        assert!(!policy(json!({"rejects": {"pwned": false}})).rejects.pwned);
    }

    #[test]
    fn default_policy() {
        for (password, expected) in [
            ("", vec!["too_short", "character_types"]),
            ("tR4!", vec!["too_short"]),
            ("gk2x9pm4", vec![]),
            ("gk2x9pmé4", vec!["unsupported_characters"]),
            ("gk2x9pm\t4", vec!["unsupported_characters"]),
            ("gk 2x~9pm", vec![]),
            ("aaaaaaaa", vec!["restricted.repetition"]),
            ("12345678", vec!["restricted.sequence"]),
            ("87654321", vec!["restricted.sequence"]),
            ("QWERTYUI", vec!["restricted.sequence"]),
            ("QwErTyUi", vec![]),
            ("1qaz2wsx", vec!["restricted.sequence"]),
            ("aaa12345", vec!["restricted.repetition", "restricted.sequence"]),
            ("12345aaa", vec!["restricted.sequence", "restricted.repetition"]),
            ("abcdexyk", vec![]),
            ("abcdefpk", vec!["restricted.sequence"]),
            ("annMARIE", vec!["restricted.user_info"]),
            ("AnnMarieSmith", vec!["restricted.user_info"]),
            ("annie_77xy", vec!["restricted.user_info"]),
            ("a.smithk", vec!["restricted.user_info"]),
        ] {
            assert_eq!(codes(&PasswordPolicy::default(), password), expected, "{password:?}");
        }
    }

    #[test]
    fn bounds_count_utf16_units_and_are_told() {
        let narrow = policy(json!({"length": {"min": 3, "max": 4}, "characterTypes": {"min": 3}}));
        let told = |password| serde_json::to_value(narrow.issues(password, &UserInfo::default())).unwrap();
        assert_eq!(
            told("kx"),
            json!([
                {"code": "password_rejected.too_short", "interpolation": {"min": 3}},
                {"code": "password_rejected.character_types", "interpolation": {"min": 3}},
            ])
        );
        assert_eq!(told("kX3"), json!([]));
        assert_eq!(told("kX3!"), json!([]));
        assert_eq!(told("kX3!8"), json!([{"code": "password_rejected.too_long", "interpolation": {"max": 4}}]));
        assert_eq!(told("😀k"), json!([{"code": "password_rejected.unsupported_characters"}]));
    }

    #[test]
    fn words_count_in_any_case_and_the_longest_wins() {
        let words = policy(json!({"rejects": {"words": ["Log", "LogTo", ""]}}));
        assert_eq!(codes(&words, "logTOxk7"), Vec::<String>::new());
        assert_eq!(codes(&words, "logtolog"), ["restricted.words"]);
    }

    #[test]
    fn three_free_characters_are_forgiven_and_two_are_not() {
        let no_runs = policy(json!({"rejects": {"repetitionAndSequence": false}}));
        assert_eq!(codes(&no_runs, "15551230000kxj"), Vec::<String>::new());
        assert_eq!(codes(&no_runs, "15551230000kx"), ["restricted.user_info"]);
    }

    #[test]
    fn a_restriction_switched_off_does_not_count() {
        let lax = policy(json!({"rejects": {"repetitionAndSequence": false, "userInfo": false}}));
        assert_eq!(codes(&lax, "aaaaaaaa"), Vec::<String>::new());
        assert_eq!(codes(&lax, "annmarie"), Vec::<String>::new());
    }

    #[test]
    fn lower_case_may_be_longer_than_the_password() {
        let user = UserInfo { username: Some("i\u{307}i\u{307}".into()), ..UserInfo::default() };
        let found = policy(json!({"length": {"min": 1}})).issues("İİ", &user);
        assert_eq!(found.last().unwrap().code, "password_rejected.restricted.user_info");
    }

    #[test]
    fn the_breach_service_is_asked_only_where_it_decides() {
        let asked = |_: &str| -> Breached { panic!("asked") };
        let (defaults, user) = (PasswordPolicy::default(), ann());
        assert_eq!(defaults.verdict("short", &user, asked), Verdict::Rejected);
        assert_eq!(policy(json!({"rejects": {"pwned": false}})).verdict("gk2x9pm4", &user, asked), Verdict::Accepted);
        for (breached, expected) in
            [(Breached::No, Verdict::Accepted), (Breached::Yes, Verdict::Rejected), (Breached::Unknown, Verdict::Unknown)]
        {
            assert_eq!(defaults.verdict("gk2x9pm4", &user, |_| breached), expected);
        }
    }

    #[test]
    fn pwned_stands_between_the_fast_and_the_restricted_issues() {
        let issues = PasswordPolicy::default().issues_given("123456", &ann(), true);
        let codes: Vec<_> = issues.iter().map(|issue| issue.code.as_str()).collect();
        assert_eq!(codes, ["password_rejected.too_short", "password_rejected.pwned", "password_rejected.restricted.sequence"]);
        let deaf = policy(json!({"rejects": {"pwned": false}}));
        assert!(deaf.issues_given("gk2x9pm4", &ann(), true).is_empty());
    }

    #[test]
    fn lower_case_upper_case_digits_and_symbols_are_the_four_classes() {
        for (password, classes) in [
            ("", 0),
            ("kx", 1),
            ("KX", 1),
            ("27", 1),
            ("!~", 1),
            ("k!", 2),
            ("K!", 2),
            ("2!", 2),
            ("kX", 2),
            ("azAZ", 2),
            ("az09", 2),
            ("kX2", 3),
            ("kX2!", 4),
        ] {
            for min in 1..=4 {
                let varied = policy(json!({"length": {"min": 1}, "characterTypes": {"min": min}}));
                let expected: &[&str] = if classes < min { &["character_types"] } else { &[] };
                let found: Vec<String> = codes(&varied, password).into_iter().filter(|code| code != "too_short").collect();
                assert_eq!(found, expected, "{password:?} {min}");
            }
        }
    }

    fn is_refused_to(name: &str, password: &str) -> bool {
        let user = UserInfo { name: Some(name.into()), ..UserInfo::default() };
        !PasswordPolicy::default().issues(password, &user).is_empty()
    }

    #[test]
    fn a_name_written_in_full_counts_with_its_spaces() {
        // Nine of eleven characters with the space, eight without.
        assert!(is_refused_to("Ann Marie", "ann mariekx"));
        assert!(!is_refused_to("Ann Marie", "ann-mariekx"));
    }

    #[test]
    fn a_name_is_joined_over_what_javascript_takes_for_space() {
        for (between, joins) in [
            ('\t', true),
            ('\n', true),
            ('\u{b}', true),
            ('\u{a0}', true),
            ('\u{2028}', true),
            ('\u{3000}', true),
            ('\u{feff}', true),
            ('\u{85}', false),
            ('\u{200b}', false),
            ('.', false),
            ('z', false),
        ] {
            assert_eq!(is_refused_to(&format!("Ann{between}Marie"), "annmariekx"), joins, "{between:?}");
        }
    }
}
