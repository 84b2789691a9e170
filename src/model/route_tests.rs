use super::*;
use crate::contract::Version;

/// The contract, and a prefix of which all is known although some of it was only sighted.
fn contract() -> Contract {
    let mut contract = Contract::embedded(Version::NEWEST).unwrap();
    contract.prefixes.insert("/api/experience".into(), Collection::Account);
    contract
}

/// Where a request goes, in a word.
fn goes(method: &str, path: &str) -> String {
    let contract = contract();
    match route(&contract, method, path) {
        Route::Operation(operation, _) => operation.id.clone(),
        Route::NotFound(_) => "not found".into(),
        Route::MethodNotAllowed(_) => "method not allowed".into(),
        Route::NotImplemented => "not implemented".into(),
        Route::Elsewhere(Some(index), _) => contract.sightings[index].operation.clone(),
        Route::Elsewhere(None, _) => "elsewhere".into(),
    }
}

#[test]
fn method_and_path_say_where_a_request_goes() {
    for (method, path, expected) in [
        ("GET", "/api/users/u1", "GetUser"),
        ("HEAD", "/API/Users/u1/", "GetUser"),
        // Sighted, with that method or with another one.
        ("POST", "/api/experience/submit", "POST /api/experience/submit"),
        ("GET", "/api/experience/submit", "method not allowed"),
        ("POST", "/api/interaction/consent", "POST /api/interaction/consent"),
        ("GET", "/api/interaction/consent", "elsewhere"),
        // Below a prefix of which all is known, other paths do not exist.
        ("GET", "/api/my-account/none", "not found"),
        ("POST", "/api/experience/none", "not found"),
        ("PUT", "/api/my-account", "method not allowed"),
        ("GET", "/api/my-accounts", "elsewhere"),
        // Methods that no route has, and the one that browsers ask with.
        ("TRACE", "/api/my-account", "not implemented"),
        ("TRACE", "/api/my-account/none", "not implemented"),
        ("TRACE", "/api/my-accounts", "elsewhere"),
        ("OPTIONS", "/api/my-account", "elsewhere"),
        ("OPTIONS", "/api/my-account/none", "elsewhere"),
        ("OPTIONS", "/api/experience/submit", "elsewhere"),
    ] {
        assert_eq!(goes(method, path), expected, "{method} {path}");
    }
}

#[test]
fn parameters_are_whole_segments_and_come_decoded() {
    let parameters = |template: &str, path: &str| fit(template, &split(path));
    let named = |value: &str| Some(BTreeMap::from([("id".to_owned(), value.to_owned())]));
    assert_eq!(parameters("/api/roles/{id}", "/api/roles/r%201"), named("r 1"));
    assert_eq!(parameters("/api/roles/{id}/x", "/api/roles/r1/X/"), named("r1"));
    for (template, path) in [
        ("/api/roles/{id}", "/api/roles//"),
        ("/api/roles/{id}", "/api/roles"),
        ("/api/roles/{id}", "/roles/r1"),
        ("/api/roles/{id", "/api/roles/r1"),
        ("/api/roles/id}", "/api/roles/r1"),
    ] {
        assert_eq!(parameters(template, path), None, "{template} {path}");
    }
    assert_eq!(parameters("/api/roles/{id", "/api/roles/{id"), Some(BTreeMap::new()));
}
