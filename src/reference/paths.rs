//! Paths and queries as the reference reads them, for what lies outside the contract.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::contract::Contract;
use crate::model::wire::Request;

/// Path parameters, if the path fits the template. Letter case of fixed segments and one trailing slash do not matter.
pub fn fit(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (wanted, found) = (segments(template), segments(path));
    if wanted.len() != found.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (pattern, segment) in wanted.iter().zip(found) {
        match pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) if segment.is_empty() => return None,
            Some(name) => {
                parameters.insert(name.to_owned(), percent_decode_str(segment).decode_utf8_lossy().into_owned());
            }
            None if pattern.eq_ignore_ascii_case(segment) => {}
            None => return None,
        }
    }
    Some(parameters)
}

fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/').collect()
}

/// The decoded query; the last value of a repeated key.
pub fn query(request: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.query().as_bytes()).into_owned().collect()
}

/// The value of the `Allow` header for a path; empty when the path does not exist.
pub fn allowed(contract: &Contract, others: &[(&str, &str)], path: &str) -> String {
    let specified = contract.operations.iter().map(|operation| (operation.method.as_str(), operation.path.as_str()));
    let mut methods: Vec<&str> = Vec::new();
    for (method, template) in specified.chain(others.iter().copied()) {
        if fit(template, path).is_some() && !methods.contains(&method) {
            if method == "GET" {
                methods.push("HEAD");
            }
            methods.push(method);
        }
    }
    methods.join(", ")
}

/// Whether a path belongs to the Account API, which any origin may call.
pub fn is_account(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ["/api/my-account", "/api/verifications"]
        .iter()
        .any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
