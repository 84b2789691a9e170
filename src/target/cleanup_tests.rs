use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::gate::{LEASE_ROLE, Mode};
use super::super::ledger::Ledger;
use super::super::secret::SecretRegister;
use super::super::test_server::{Log, client, serve};
use super::*;

/// A tenant with objects by collection and one settings document.
#[derive(Default)]
struct Tenant {
    objects: BTreeMap<&'static str, Vec<Value>>,
    center: Value,
    /// Deletions fail.
    stubborn: bool,
}

impl Tenant {
    fn answer(&mut self, line: &str, body: &str) -> Response {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path == "/api/account-center" {
            if method == "PATCH" {
                let changes: Map<String, Value> = serde_json::from_str(body).unwrap();
                assert!(changes.keys().all(|key| key != "id"));
                self.center.as_object_mut().unwrap().extend(changes);
            }
            return self.center.to_string().into_response();
        }
        let (collection, id) = match path["/api/".len()..].split_once('/') {
            Some((collection, id)) => (collection, Some(id)),
            None => (&path["/api/".len()..], None),
        };
        let Some(objects) = self.objects.get_mut(collection) else { return StatusCode::NOT_FOUND.into_response() };
        let Some(id) = id else {
            let page: usize = query.split('&').find_map(|pair| pair.strip_prefix("page=")).unwrap().parse().unwrap();
            let items: Vec<_> = objects.iter().skip((page - 1) * PAGE).take(PAGE).cloned().collect();
            return Value::Array(items).to_string().into_response();
        };
        if self.stubborn {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let count = objects.len();
        objects.retain(|object| object["id"] != id);
        if objects.len() < count { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }.into_response()
    }
}

async fn run(tenant: Tenant, mode: Mode) -> (Gate, Arc<Mutex<Tenant>>, Log) {
    let tenant = Arc::new(Mutex::new(tenant));
    let served = tenant.clone();
    let (endpoint, log) = serve(move |line, body| served.lock().unwrap().answer(line, body)).await;
    let gate = Gate::new(client(endpoint), mode, Ledger::in_memory(), SecretRegister::new(), "lc_r1_");
    (gate, tenant, log)
}

fn user(marker: &str) -> Intent {
    Intent::User { marker: marker.into() }
}

#[tokio::test]
async fn everything_is_undone_once_and_nothing_else_is_touched() {
    let mut users: Vec<Value> = (0..250).map(|n| json!({"id": format!("u{n}"), "username": format!("lc_r1_{n}")})).collect();
    users.push(json!({"id": "by-name", "username": null, "name": "lc_r1_named"}));
    users.push(json!({"id": "renamed", "username": "other", "name": null}));
    users.push(json!({"id": "foreign", "username": "lcxr1_a", "name": "see lc_r1_a"}));
    let applications = vec![json!({"id": "a1", "name": "lc_r1_first"}), json!({"id": "a2", "name": "shop"})];
    let center = json!({"id": "default", "enabled": true, "fields": {"name": "Edit"}});
    let objects = BTreeMap::from([("users", users), ("applications", applications)]);
    let (gate, tenant, log) = run(Tenant { objects, center, stubborn: false }, Mode::Exclusive).await;

    let before = json!({"id": "default", "enabled": false, "fields": {}});
    let application = Intent::Application { name: "lc_r1_first".into() };
    gate.ledger().intend(&[application, Intent::AccountCenter { before: before.clone() }, user("lc_r1_x")]).unwrap();
    gate.ledger().settle(&user("lc_r1_x"), "renamed").unwrap();

    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.undone.len(), 252 + 1 + 1);
    assert_eq!(report.undone.last().unwrap(), "application lc_r1_first (a1)", "in reverse order");
    assert!(gate.ledger().is_settled_up());
    {
        let tenant = tenant.lock().unwrap();
        assert_eq!(tenant.objects["users"], [json!({"id": "foreign", "username": "lcxr1_a", "name": "see lc_r1_a"})]);
        assert_eq!(tenant.objects["applications"], [json!({"id": "a2", "name": "shop"})]);
        assert_eq!(tenant.center, before);
    }
    let sent = log.lock().unwrap().len();
    assert_eq!(cleanup(&gate, "token", &gate.ledger().records()).await, CleanupReport::default());
    assert_eq!(log.lock().unwrap().len(), sent, "the ledger knows that all is done");
    let without_notes: Vec<Record> =
        gate.ledger().records().into_iter().filter(|record| !matches!(record, Record::Undone { .. })).collect();
    assert_eq!(cleanup(&gate, "token", &without_notes).await, CleanupReport::default());
}

#[tokio::test]
async fn what_cannot_be_undone_is_residue_and_the_rest_goes_on() {
    let objects = BTreeMap::from([("users", vec![json!({"id": "u1", "username": "lc_r1_a"})])]);
    let center = json!({"enabled": true});
    let (gate, tenant, _) = run(Tenant { objects, center, stubborn: true }, Mode::Exclusive).await;
    let application = Intent::Application { name: "lc_r1_first".into() };
    let center = Intent::AccountCenter { before: json!({"enabled": false}) };
    gate.ledger().intend(&[center, application, user("lc_r1_a")]).unwrap();

    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!(report.undone, ["account center"]);
    assert!(report.residue.iter().any(|line| line.starts_with("user lc_r1_a (u1): ")), "{report:?}");
    assert!(report.residue.iter().any(|line| line.starts_with("applications cannot be listed")), "{report:?}");
    assert!(!gate.ledger().is_settled_up());

    tenant.lock().unwrap().stubborn = false;
    tenant.lock().unwrap().objects.insert("applications", Vec::new());
    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!((report.undone, report.residue), (vec!["user lc_r1_a (u1)".to_owned()], Vec::new()));
    assert!(gate.ledger().is_settled_up());
}

#[tokio::test]
async fn settings_that_stay_different_are_residue() {
    let center = json!({"enabled": false, "isNew": 1});
    let (gate, _, _) = run(Tenant { center, ..Tenant::default() }, Mode::Exclusive).await;
    gate.ledger().intend(&[Intent::AccountCenter { before: json!({"enabled": false}) }]).unwrap();
    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!(report.residue, ["account center: differs from before the run in: new keys"]);

    let center = json!({"id": "other", "enabled": true});
    let (gate, _, _) = run(Tenant { center, ..Tenant::default() }, Mode::Exclusive).await;
    gate.ledger().intend(&[Intent::AccountCenter { before: json!({"id": "default", "enabled": false}) }]).unwrap();
    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!(report.residue, ["account center: differs from before the run in: id"]);
}

#[tokio::test]
async fn a_lease_is_given_back_only_when_it_is_ours() {
    for (settled, description, left) in [(true, "", 0), (false, "lc_r1_ holds it", 0), (false, "lc_r2_ holds it", 1)] {
        let lease = json!({"id": "r1", "name": LEASE_ROLE, "description": description});
        let objects = BTreeMap::from([("roles", vec![lease])]);
        let (gate, tenant, _) = run(Tenant { objects, ..Tenant::default() }, Mode::Exclusive).await;
        let intent = Intent::Role { name: LEASE_ROLE.into() };
        gate.ledger().intend(std::slice::from_ref(&intent)).unwrap();
        if settled {
            gate.ledger().settle(&intent, "r1").unwrap();
        }
        assert!(cleanup(&gate, "token", &gate.ledger().records()).await.is_clean());
        assert_eq!(tenant.lock().unwrap().objects["roles"].len(), left, "{description}");
    }
}

#[tokio::test]
async fn what_was_found_by_name_is_not_deleted_again_by_its_record() {
    let users = (0..3).map(|n| json!({"id": format!("u{n}"), "username": format!("lc_r1_{n}")})).collect();
    let objects = BTreeMap::from([("users", users), ("applications", Vec::new())]);
    let (gate, _, log) = run(Tenant { objects, ..Tenant::default() }, Mode::Exclusive).await;
    // Each user is a batch of its own, and the first of them finds all three.
    for n in 0..3 {
        gate.ledger().intend(&[user(&format!("lc_r1_{n}")), Intent::Application { name: format!("lc_r1_a{n}") }]).unwrap();
        gate.ledger().settle(&user(&format!("lc_r1_{n}")), &format!("u{n}")).unwrap();
    }
    assert!(cleanup(&gate, "token", &gate.ledger().records()).await.is_clean());
    let log = log.lock().unwrap();
    let mut deleted: Vec<&str> = log.iter().filter_map(|(line, _)| line.strip_prefix("DELETE ")).collect();
    deleted.sort_unstable();
    assert_eq!(deleted, ["/api/users/u0", "/api/users/u1", "/api/users/u2"]);
}
