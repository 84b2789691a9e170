use serde_json::json;

use super::*;

/// An application that may ask for one scope of each kind but one, and what those belong to.
fn state() -> State {
    let mut state = State::closed();
    let entities = [
        (Kind::ConsentScope, "1", json!({"owner": "app/organization-scopes", "scopeId": "read"})),
        (Kind::ConsentScope, "2", json!({"owner": "app/resource-scopes", "scopeId": "pay"})),
        (Kind::ConsentScope, "3", json!({"owner": "app/user-scopes", "scopeId": "email"})),
        (Kind::ConsentScope, "4", json!({"owner": "other/user-scopes", "scopeId": "phone"})),
        (Kind::OrganizationScope, "read", json!({})),
        (Kind::Resource, "shop", json!({})),
        (Kind::Scope, "pay", json!({"owner": "shop"})),
        (Kind::Scope, "return", json!({"owner": "shop"})),
    ];
    for (kind, id, value) in entities {
        state.insert(Key::new(kind, id), Entity::from_json(&value));
    }
    state
}

fn shown() -> Value {
    json!({
        "organizationScopes": ["read"],
        "resourceScopes": [{"resource": "shop", "scopes": ["pay"]}],
        "organizationResourceScopes": [],
        "userScopes": ["email"],
    })
}

/// Where a body departs from what the application may ask for; entities show as their ids.
fn departs(state: &State, body: &Value) -> Option<String> {
    let pattern = consent_scopes(state, "app", &Value::Null, &|key, _, _| Pattern::exactly(key.id.as_str().into()));
    pattern.matches(Some(body)).err().map(|mismatch| mismatch.pointer)
}

#[test]
fn an_application_may_ask_for_its_own_scopes_and_no_others() {
    assert_eq!(departs(&state(), &shown()), None);
    for (member, other) in [
        ("organizationScopes", json!([])),
        ("organizationScopes", json!(["write"])),
        ("resourceScopes", json!([])),
        ("resourceScopes", json!([{"resource": "bank", "scopes": ["pay"]}])),
        ("resourceScopes", json!([{"resource": "shop", "scopes": ["return"]}])),
        ("resourceScopes", json!([{"resource": "shop", "scopes": ["pay", "return"]}])),
        ("organizationResourceScopes", json!([{"resource": "shop", "scopes": ["pay"]}])),
        ("userScopes", json!([])),
        ("userScopes", json!(["email", "phone"])),
    ] {
        let mut body = shown();
        body[member] = other.clone();
        let pointer = departs(&state(), &body).unwrap_or_default();
        assert!(pointer.starts_with(&format!("/{member}")), "{member}: {other} departs at `{pointer}`");
    }
}

#[test]
fn nothing_is_said_of_scopes_that_were_never_seen() {
    for (kind, id, member) in [
        (Kind::OrganizationScope, "read", "organizationScopes"),
        (Kind::Scope, "pay", "resourceScopes"),
        (Kind::Resource, "shop", "resourceScopes"),
    ] {
        let mut state = state();
        state.remove(&Key::new(kind, id));
        let mut body = shown();
        body[member] = json!(["whatever"]);
        assert_eq!(departs(&state, &body), None, "{kind} {id}");
        body["userScopes"] = json!([]);
        assert!(departs(&state, &body).unwrap().starts_with("/userScopes"), "{kind} {id}");
    }
}
