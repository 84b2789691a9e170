//! The tenant's policy on usernames (`usernamePolicy` of the sign-in experience).

use serde::{Deserialize, Serialize};

/// Which usernames a user may choose. Written by an administrator, a username is not judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsernamePolicy {
    /// Whether `Ann` and `ann` are different usernames. A deployment started with `CASE_SENSITIVE_USERNAME=false`
    /// treats them as equal whatever stands here.
    pub case_sensitive: bool,
    /// Fewest characters, 1 to 128.
    pub min_length: usize,
    /// Most characters, 1 to 128.
    pub max_length: usize,
    /// Classes of characters that may appear.
    pub allowed_chars: AllowedChars,
}

/// Classes of characters that a username may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the shape of the setting: one independent switch per class")]
pub struct AllowedChars {
    /// `a` to `z`.
    pub lowercase: bool,
    /// `A` to `Z`.
    pub uppercase: bool,
    /// `0` to `9`, never first.
    pub numbers: bool,
    /// `_`.
    pub underscore: bool,
}

impl Default for UsernamePolicy {
    fn default() -> Self {
        Self { case_sensitive: true, min_length: 1, max_length: 128, allowed_chars: AllowedChars::default() }
    }
}

impl Default for AllowedChars {
    fn default() -> Self {
        Self { lowercase: true, uppercase: true, numbers: true, underscore: true }
    }
}

impl UsernamePolicy {
    /// The first rule that a username breaks, as the suffix of the error code `user.username_…`; `None` when it is
    /// allowed. The first three hold under every policy and are normally refused before, by the schema of the body.
    pub fn violation(&self, username: &str) -> Option<&'static str> {
        let has = |class: fn(&u8) -> bool| username.as_bytes().iter().any(class);
        let length = username.encode_utf16().count();
        let allowed = self.allowed_chars;
        let broken = [
            ("required", username.is_empty()),
            ("starts_with_number", username.starts_with(|first: char| first.is_ascii_digit())),
            ("invalid_charset_hard", has(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')),
            ("too_short", length < self.min_length),
            ("too_long", length > self.max_length),
            ("uppercase_not_allowed", !allowed.uppercase && has(u8::is_ascii_uppercase)),
            ("lowercase_not_allowed", !allowed.lowercase && has(u8::is_ascii_lowercase)),
            ("numbers_not_allowed", !allowed.numbers && has(u8::is_ascii_digit)),
            ("underscore_not_allowed", !allowed.underscore && has(|byte| *byte == b'_')),
        ];
        broken.into_iter().find_map(|(rule, is_broken)| is_broken.then_some(rule))
    }

    /// Whether two usernames collide.
    pub fn same(&self, left: &str, right: &str) -> bool {
        if self.case_sensitive { left == right } else { left.to_lowercase() == right.to_lowercase() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(settings: serde_json::Value) -> UsernamePolicy {
        serde_json::from_value(settings).unwrap()
    }

    #[test]
    fn the_floor_holds_without_a_policy() {
        for (username, expected) in [
            ("", Some("required")),
            ("1ann", Some("starts_with_number")),
            ("1 ann", Some("starts_with_number")),
            ("an n", Some("invalid_charset_hard")),
            ("änn", Some("invalid_charset_hard")),
            ("ann\n", Some("invalid_charset_hard")),
            ("٣ann", Some("invalid_charset_hard")),
            ("a", None),
            ("_", None),
            ("Ann_1", None),
        ] {
            assert_eq!(UsernamePolicy::default().violation(username), expected, "{username:?}");
        }
        assert_eq!(UsernamePolicy::default().violation(&"a".repeat(128)), None);
        assert_eq!(UsernamePolicy::default().violation(&"a".repeat(129)), Some("too_long"));
    }

    #[test]
    fn the_first_broken_rule_answers() {
        let strict = policy(json!({
            "caseSensitive": true, "minLength": 3, "maxLength": 5,
            "allowedChars": {"lowercase": false, "uppercase": false, "numbers": false, "underscore": false},
        }));
        for (username, expected) in [
            ("aA", "too_short"),
            ("aA1_aA", "too_long"),
            ("_1aA", "uppercase_not_allowed"),
            ("_1a", "lowercase_not_allowed"),
            ("__1", "numbers_not_allowed"),
            ("___", "underscore_not_allowed"),
        ] {
            assert_eq!(strict.violation(username), Some(expected), "{username:?}");
        }
        assert_eq!(policy(json!({"allowedChars": {"uppercase": false}})).violation("ann_1"), None);
    }

    #[test]
    fn absent_settings_are_the_defaults() {
        assert_eq!(policy(json!({})), UsernamePolicy::default());
        assert_eq!(policy(json!({"minLength": 4})).max_length, 128);
    }

    #[test]
    fn case_decides_only_where_it_is_told_to() {
        let blind = policy(json!({"caseSensitive": false}));
        assert!(blind.same("Ann_1", "aNN_1"));
        assert!(!blind.same("ann", "anna"));
        assert!(!UsernamePolicy::default().same("Ann", "ann"));
        assert!(UsernamePolicy::default().same("Ann", "Ann"));
    }
}
