//! Form bodies and query strings of OAuth.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::model::wire::Request;

/// Everything but the characters that need no encoding anywhere in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a value for any part of a URL, as `encodeURIComponent` does for what matters.
pub(super) fn percent(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// Encodes fields as a query or form body.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A `POST` of form fields.
pub(super) fn post(target: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = Request::new("POST", target).with_header("content-type", "application/x-www-form-urlencoded");
    request.body = encode(fields).into_bytes();
    request
}

/// HTTP Basic credentials of an OAuth client; both parts are form-encoded first (RFC 6749, 2.3.1).
pub(super) fn basic(id: &str, secret: &str) -> String {
    basic_plain(&percent(id), &percent(secret))
}

/// HTTP Basic credentials as they are (RFC 7617).
pub(super) fn basic_plain(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
