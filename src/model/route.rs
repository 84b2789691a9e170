//! Which operation a request names.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::contract::{Collection, Contract, Operation};

/// What the router makes of method and path.
#[derive(Debug, Clone)]
pub enum Route<'a> {
    /// A specified operation with its decoded path parameters.
    Operation(&'a Operation, BTreeMap<String, String>),
    /// A path that does not exist: 404 as plain text, nothing asked.
    NotFound(Collection),
    /// A path that exists, but not with this method: 405 as plain text.
    MethodNotAllowed(Collection),
    /// A method no server route has: 501.
    NotImplemented,
    /// Not specified here; nothing is predicted. The row of `sightings.yaml`, if any, with its path parameters.
    Elsewhere(Option<usize>, BTreeMap<String, String>),
}

/// Finds what a request names. Letter case of fixed segments and one trailing slash do not matter.
pub fn route<'a>(contract: &'a Contract, method: &str, path: &str) -> Route<'a> {
    let segments = split(path);
    let known = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"].contains(&method);
    // `HEAD` works wherever `GET` does.
    let wanted = if method == "HEAD" { "GET" } else { method };
    let named = contract.operations.iter().filter(|operation| operation.method == wanted);
    if let Some((operation, parameters)) = named.into_iter().find_map(|operation| Some((operation, fit(&operation.path, &segments)?))) {
        return Route::Operation(operation, parameters);
    }
    for (index, sighting) in contract.sightings.iter().enumerate() {
        let (sighted, template) = sighting.operation.split_once(' ').unwrap_or(("", ""));
        if let Some(parameters) = fit(template, &segments)
            && sighted == wanted
        {
            return Route::Elsewhere(Some(index), parameters);
        }
    }
    let lower = path.to_ascii_lowercase();
    let below = |prefix: &str| lower == prefix || lower.starts_with(&format!("{prefix}/"));
    let collection = contract.prefixes.iter().find(|(prefix, _)| below(prefix)).map(|(_, collection)| *collection);
    let other_method =
        contract.operations.iter().rfind(|operation| fit(&operation.path, &segments).is_some()).map(|operation| operation.collection);
    let sighted =
        contract.sightings.iter().any(|row| row.operation.split_once(' ').is_some_and(|(_, template)| fit(template, &segments).is_some()));
    match (collection, other_method) {
        (Some(_), _) if !known => Route::NotImplemented,
        _ if method == "OPTIONS" => Route::Elsewhere(None, BTreeMap::new()),
        (Some(collection), _) if sighted => Route::MethodNotAllowed(collection),
        (Some(_), Some(collection)) => Route::MethodNotAllowed(collection),
        (Some(collection), None) => Route::NotFound(collection),
        (None, _) => Route::Elsewhere(None, BTreeMap::new()),
    }
}

fn split(path: &str) -> Vec<&str> {
    fixed(path).collect()
}

/// The segments of a path; slashes at its ends do not count.
fn fixed(path: &str) -> std::str::Split<'_, char> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

/// The decoded parameters of a path that a template describes.
fn fit(template: &str, segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let name = |pattern: &'_ str| pattern.starts_with('{') && pattern.ends_with('}');
    // From the end, because paths begin alike.
    let mut wanted = fixed(template).rev();
    let alike = segments.iter().rev().all(|segment| {
        wanted.next().is_some_and(|pattern| if name(pattern) { !segment.is_empty() } else { pattern.eq_ignore_ascii_case(segment) })
    });
    if !alike || wanted.next().is_some() {
        return None;
    }
    let parameters = fixed(template).zip(segments).filter(|(pattern, _)| name(pattern));
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    Some(parameters.map(|(pattern, segment)| (pattern[1..pattern.len() - 1].to_owned(), decoded(segment))).collect())
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
