//! What the answer of a paged list says besides the page: how many there are, and where the other pages are.

use super::paths;
use crate::model::wire::{Answer, Request};

/// The number that a query asks for, or the default; `None` when it is none.
pub fn number(request: &Request, name: &str, default: usize) -> Option<usize> {
    match paths::query(request).get(name).map(String::as_str) {
        None | Some("") => Some(default),
        Some(text) => text.parse().ok().filter(|number| *number > 0),
    }
}

/// Adds totals and links to the answer of a list of `total` entries.
pub fn announce(endpoint: &str, request: &Request, total: usize, answer: &mut Answer) {
    let (Some(page), Some(size)) = (number(request, "page", 1), number(request, "page_size", 20)) else { return };
    let last = total.div_ceil(size).max(1);
    let query = paths::query(request);
    let link = |relation: &str, number: usize| {
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.extend_pairs(query.iter().filter(|(name, _)| *name != "page"));
        fields.append_pair("page", &number.to_string());
        // The prefix `/api` is missing in the links of the real server too.
        let path = request.path().trim_start_matches("/api");
        ("link".to_owned(), format!("<{endpoint}{path}?{}>; rel=\"{relation}\"", fields.finish()))
    };
    answer.headers.push(("total-number".into(), total.to_string()));
    answer.headers.push(link("first", 1));
    if page > 1 {
        answer.headers.push(link("prev", page - 1));
    }
    answer.headers.push(link("last", last));
    if page < last {
        answer.headers.push(link("next", page + 1));
    }
}
