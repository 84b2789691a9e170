use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;

use super::super::ledger::Ledger;
use super::super::secret::SecretRegister;
use super::super::test_server::{client, serve};
use super::*;

type Tenant = Arc<Mutex<BTreeMap<&'static str, Value>>>;

/// A tenant with a document or list by path; lists of users are searched by nobody, all others have pages.
async fn tenant(mode: Mode, documents: &[(&'static str, Value)]) -> (Gate, Tenant) {
    let tenant: Tenant = Arc::new(Mutex::new(documents.iter().cloned().collect()));
    let served = Arc::clone(&tenant);
    let (endpoint, _) = serve(move |line, _| {
        let target = line.split_once("/api/").unwrap().1;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let page: usize = query.split('&').find_map(|pair| pair.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
        match served.lock().unwrap().get(path) {
            Some(Value::Array(items)) if path != "connectors" => {
                let page: Vec<Value> = items.iter().skip((page - 1) * PAGE).take(PAGE).cloned().collect();
                Value::Array(page).to_string().into_response()
            }
            Some(document) => document.to_string().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
    .await;
    (Gate::new(client(endpoint), mode, Ledger::in_memory(), SecretRegister::new(), "lc_r1_"), tenant)
}

fn set(tenant: &Tenant, path: &'static str, value: Value) {
    tenant.lock().unwrap().insert(path, value);
}

/// The residue after `change`.
async fn after(mode: Mode, documents: &[(&'static str, Value)], change: impl FnOnce(&Tenant)) -> Vec<String> {
    let (gate, tenant) = tenant(mode, documents).await;
    let before = Inventory::take(&gate, "t").await;
    change(&tenant);
    let now = Inventory::take(&gate, "t").await;
    before.residue(&now, &gate)
}

#[tokio::test]
async fn what_is_as_before_is_no_residue_however_long_the_lists_are() {
    let applications: Vec<Value> = (0..250).map(|n| json!({"id": format!("a{n}"), "name": "shop"})).collect();
    let connectors: Vec<Value> = (0..PAGE).map(|n| json!({"id": format!("c{n}"), "usage": n})).collect();
    let documents = [("applications", Value::Array(applications)), ("connectors", Value::Array(connectors)), ("users", json!([]))];
    let residue = after(Mode::Exclusive, &documents, |tenant| {
        let mut connectors = tenant.lock().unwrap()["connectors"].clone();
        connectors[3]["usage"] = json!(99);
        set(tenant, "connectors", connectors);
    });
    assert_eq!(residue.await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_ours_gone_or_changed_is_named() {
    let documents = [
        (
            "applications",
            json!([{"id": "a1", "name": "shop", "secret": "hush"}, {"id": "a2", "name": "gone"}, {"id": "a3", "name": "lc_other_x"}]),
        ),
        ("connectors", json!([])),
        ("roles", json!([])),
        ("users", json!([])),
        ("sign-in-exp", json!({"mfa": {"factors": []}, "color": 1})),
        ("hooks", json!([])),
    ];
    let residue = after(Mode::Isolated, &documents, |tenant| {
        set(tenant, "applications", json!([{"id": "a1", "name": "shop", "secret": "other"}, {"id": "a9", "name": "somebody's"}]));
        set(tenant, "connectors", json!([{"id": "lc-r1-email"}]));
        set(tenant, "roles", json!([{"id": "r1", "name": LEASE_ROLE, "description": "lc_other_ holds"}]));
        set(tenant, "users", json!([{"id": "u1", "username": "lc_r1_a"}, {"id": "u2", "username": "alice", "name": "lc_r1_b"}]));
        set(tenant, "sign-in-exp", json!({"mfa": {"factors": ["Totp"]}, "color": 1.0, "new": null}));
        tenant.lock().unwrap().remove("hooks");
    });
    assert_eq!(
        residue.await,
        [
            "user u1 of this run is still there",
            "user u2 of this run is still there",
            "applications a1 is not as before the run: secret",
            "applications a2 is gone since the run began",
            "connectors lc-r1-email of this run is still there",
            "the hooks could be read before the run and cannot now",
            "sign-in-exp is not as before the run: mfa, new",
        ]
    );
}

#[tokio::test]
async fn what_is_new_without_a_mark_counts_when_the_tenant_was_ours() {
    for (mode, residue) in [(Mode::Exclusive, vec!["roles r1 was not there before the run".to_owned()]), (Mode::Isolated, Vec::new())] {
        let documents = [("roles", json!([]))];
        let change = |tenant: &Tenant| set(tenant, "roles", json!([{"id": "r1", "name": "new"}, {"id": "r2", "name": "lc_other_role"}]));
        assert_eq!(after(mode, &documents, change).await, residue);
    }
}
