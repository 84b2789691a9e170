//! The tenant's policy on e-mail addresses that users choose (`emailBlocklistPolicy` of the sign-in experience).

use serde::{Deserialize, Serialize};

/// Domains that are one and the same to their provider, which ignores dots before the at sign.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Which e-mail addresses a user may choose. Written by an administrator, an address is not judged by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailPolicy {
    /// When not empty, an address must fit one of these.
    pub custom_allowlist: Vec<String>,
    /// An address must fit none of these.
    pub custom_blocklist: Vec<String>,
    /// Whether a plus sign before the at sign is refused.
    pub block_subaddressing: bool,
}

impl EmailPolicy {
    /// Whether the address may have what stands before its at sign.
    pub fn admits_local_part(&self, email: &str) -> bool {
        !self.block_subaddressing || !email.split('@').next().unwrap_or_default().contains('+')
    }

    /// Whether the lists admit the address.
    pub fn lists_admit(&self, email: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| fits(entry, email));
        (self.custom_allowlist.is_empty() || listed(&self.custom_allowlist)) && !listed(&self.custom_blocklist)
    }
}

/// The text between the first and the second at sign, if it is not empty.
pub fn email_domain(email: &str) -> Option<&str> {
    email.split('@').nth(1).filter(|domain| !domain.is_empty())
}

/// Whether an entry of a list (`ann@example.com`, `@example.com`, either with `*`) means an address, letter case aside.
fn fits(entry: &str, email: &str) -> bool {
    let (entry, email) = (entry.to_lowercase(), email.to_lowercase());
    let domain = email_domain(&email);
    let gmail = domain.is_some_and(|domain| GMAIL.contains(&domain));
    if let Some(pattern) = entry.strip_prefix('@') {
        let Some(domain) = domain else { return false };
        return if gmail { GMAIL.iter().any(|domain| matches(pattern, domain)) } else { matches(pattern, domain) };
    }
    if !gmail {
        return matches(&entry, &email);
    }
    let (entry, email) = (without_dots(&entry), without_dots(&email));
    let local = email.split('@').next().unwrap_or_default();
    GMAIL.iter().any(|domain| matches(&entry, &format!("{local}@{domain}")))
}

/// The address without the dots before its at sign.
fn without_dots(email: &str) -> String {
    match email.split_once('@') {
        Some((local, rest)) => format!("{}@{rest}", local.replace('.', "")),
        None => email.to_owned(),
    }
}

/// Whether a text is what a pattern says, where `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(start)
        .is_some_and(|tail| tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_mean_addresses_and_domains() {
        let table = [
            ("blocked@example.com", "BLOCKED@Example.com", true),
            ("blocked@example.com", "xblocked@example.com", false),
            ("@bad.example", "x@bad.example", true),
            ("@bad.example", "x@sub.bad.example", false),
            ("@*.bad.example", "x@sub.bad.example", true),
            ("spam*@example.com", "spam-1@example.com", true),
            ("spam*@example.com", "ham@example.com", false),
            ("a.b@gmail.com", "AB@googlemail.com", true),
            ("a.b@example.com", "ab@example.com", false),
            ("@googlemail.com", "x@gmail.com", true),
        ];
        for (entry, email, expected) in table {
            assert_eq!(fits(entry, email), expected, "{entry} {email}");
        }
    }

    #[test]
    fn lists_and_plus_signs_are_judged_apart() {
        let policy = EmailPolicy {
            custom_allowlist: vec!["@example.com".into()],
            custom_blocklist: vec!["a@example.com".into()],
            block_subaddressing: true,
        };
        assert!(policy.lists_admit("b+c@example.com"));
        assert!(!policy.lists_admit("a@example.com") && !policy.lists_admit("b@example.org"));
        assert!(policy.admits_local_part("b@example.com") && !policy.admits_local_part("b+c@example.com"));
        let none = EmailPolicy::default();
        assert!(none.lists_admit("x@y.z") && none.admits_local_part("a+b@y.z"));
        assert_eq!((email_domain("a@b.c"), email_domain("a@@b.c")), (Some("b.c"), None));
    }
}
