//! How large an answer may be, whatever the target sends.
//!
//! Bytes alone do not say it: a list of a million empty objects is 3 MB on the wire, and hundreds when it is read and judged.

/// Most JSON values of an answer: five times what a page of a hundred large users holds.
const VALUES: usize = 50_000;

/// Some answers may be so many times larger than others.
const LARGE: usize = 4;

/// Where the documents lie that a deployment publishes of itself.
const DOCUMENTS: &str = "/api/.well-known/";

/// Connectors come with their manuals and pictures: few values, each of them long.
const CONNECTORS: &str = "/api/connector";

/// The size that is accepted of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// In bytes.
    pub(super) bytes: usize,
    /// In JSON values.
    pub(super) values: usize,
}

impl Measure {
    /// Of the answer to a request for this path, where ordinary answers have so many bytes at most.
    pub(super) fn of(path: &str, bytes: usize) -> Self {
        let (longer, more) = match path {
            _ if path.starts_with(DOCUMENTS) => (LARGE, LARGE),
            _ if path.starts_with(CONNECTORS) => (LARGE, 1),
            _ => (1, 1),
        };
        Self { bytes: bytes.saturating_mul(longer), values: VALUES * more }
    }
}

/// How many values a text holds at most when it is read as JSON: each stands at its start, behind a comma, or in brackets.
pub(super) fn values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_may_be_long_and_documents_long_and_detailed() {
        let of = |path: &str| Measure::of(path, 10);
        assert_eq!(
            (of("/api/users").bytes, of("/api/connectors").bytes, of("/api/.well-known/management.openapi.json").bytes),
            (10, 40, 40)
        );
        assert_eq!((of("/api/connector-factories").values, of("/api/.well-known/x").values), (VALUES, 4 * VALUES));
    }

    #[test]
    fn values_are_counted_and_texts_are_one_each() {
        for (text, count) in [("7", 1), ("[1, 2, 3]", 4), (r#"{"a": {}, "b": [[]]}"#, 6), (r#"["a,[{\",[", ","]"#, 3), ("[,,,,", 6)] {
            assert_eq!(values(text.as_bytes()), count, "{text}");
        }
        // Never fewer than there are.
        let large = format!("[{}{{}}]", "{},".repeat(999));
        assert!(values(large.as_bytes()) > 1000);
    }

    #[test]
    fn only_published_documents_may_be_large() {
        assert_eq!(Measure::of("/api/users", 1000), Measure { bytes: 1000, values: VALUES });
        assert_eq!(Measure::of("/api/.well-known/management.openapi.json", 1000), Measure { bytes: 4000, values: 4 * VALUES });
    }
}
