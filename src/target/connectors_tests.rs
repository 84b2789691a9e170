use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::super::cleanup;
use super::super::gate::Mode;
use super::super::ledger::{Header, Ledger};
use super::super::secret::SecretRegister;
use super::super::test_server::{Scratch, client, serve};
use super::*;

/// The connectors of a tenant.
type Tenant = Arc<Mutex<Vec<Value>>>;

fn kind(factory: &str) -> &'static str {
    if factory.contains("sms") { "Sms" } else { "Email" }
}

fn answer(tenant: &Tenant, line: &str, body: &str) -> Response {
    let mut connectors = tenant.lock().unwrap();
    match line.split_once(' ').unwrap() {
        ("GET", "/api/connector-factories") => {
            let factory = |id: &str| json!({"id": id, "type": kind(id), "isDemo": id.starts_with("demo")});
            Value::from(["http-email", "http-sms", "own-email", "demo-sms"].map(factory).to_vec()).to_string().into_response()
        }
        ("GET", _) => Value::Array(connectors.clone()).to_string().into_response(),
        ("POST", _) => {
            let mut made: Value = serde_json::from_str(body).unwrap();
            let sends = kind(made["connectorId"].as_str().unwrap());
            made["type"] = sends.into();
            connectors.retain(|connector| connector["type"] != sends);
            connectors.push(made.clone());
            connectors.sort_by_key(|connector| connector["id"].to_string());
            made.to_string().into_response()
        }
        (_, target) => {
            connectors.retain(|connector| !target.ends_with(connector["id"].as_str().unwrap()));
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn gate(tenant: &Tenant, ledger: Ledger) -> Gate {
    let served = Arc::clone(tenant);
    let (endpoint, _) = serve(move |line, body| answer(&served, line, body)).await;
    Gate::new(client(endpoint), Mode::Exclusive, ledger, SecretRegister::new(), "lc_r1_")
}

fn own() -> Value {
    json!({
        "id": "own", "type": "Email", "connectorId": "own-email", "metadata": {}, "syncProfile": false, "enableTokenStorage": false,
        "config": {"apiKey": "S1-hush", "templates": [{"subject": "visible"}], "auth": {"user": "S2-user"}},
    })
}

fn ours() -> Vec<Value> {
    ["http-email", "http-sms"].map(|factory| json!({"connectorId": factory, "config": {"endpoint": "http://127.0.0.1:1/"}})).to_vec()
}

fn ids(tenant: &Tenant) -> Vec<String> {
    tenant.lock().unwrap().iter().map(|connector| text(connector, "id")).collect()
}

#[tokio::test]
async fn the_own_connector_is_back_as_it_was_and_secrets_are_masked() {
    let tenant = Tenant::new(Mutex::new(vec![own()]));
    let gate = gate(&tenant, Ledger::in_memory()).await;
    connect(&gate, "token", &ours()).await.unwrap();
    assert_eq!(ids(&tenant), ["lc-r1-email", "lc-r1-sms"]);
    assert_eq!(gate.secrets().redact("S1-hush S2-user visible"), "<secret> <secret> visible");
    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!((report.undone, report.residue), (vec!["Sms connector".to_owned(), "Email connector".to_owned()], Vec::new()));
    assert_eq!(*tenant.lock().unwrap(), [own()]);
    assert!(gate.ledger().is_settled_up());
    assert_eq!(gate.ledger().vault().read("Email connector").unwrap(), None);
}

#[tokio::test]
async fn after_a_crash_the_ledger_puts_it_back_and_once_is_enough() {
    let scratch = Scratch::new("connectors");
    let header = Header { run: "r1".into(), endpoint: String::new(), started: String::new() };
    let tenant = Tenant::new(Mutex::new(vec![own()]));
    connect(&gate(&tenant, Ledger::create(&scratch.0, &header).unwrap()).await, "token", &ours()).await.unwrap();
    let kept = scratch.0.with_extension("email-connector.json");
    assert!(kept.exists());
    assert!(!std::fs::read_to_string(&scratch.0).unwrap().contains("hush"), "the ledger itself holds no secret");
    let (_, ledger) = Ledger::reopen(&scratch.0).unwrap();
    let records = ledger.records();
    let gate = gate(&tenant, ledger).await;
    assert!(cleanup(&gate, "token", &records).await.is_clean());
    assert_eq!(*tenant.lock().unwrap(), [own()]);
    assert!(!kept.exists());
    assert_eq!(cleanup(&gate, "token", &records).await, super::super::CleanupReport::default());
    assert_eq!(*tenant.lock().unwrap(), [own()]);
}

#[tokio::test]
async fn what_was_announced_and_not_made_is_not_missed() {
    let tenant = Tenant::new(Mutex::new(vec![own()]));
    let gate = gate(&tenant, Ledger::in_memory()).await;
    let intent = |sends: &str, before| Intent::Connector { sends: sends.into(), ours: "lc-r1-x".into(), before };
    let intents = [intent("Email", Some("own".to_owned())), intent("Sms", None)];
    gate.ledger().vault().keep("Email connector", &own()).unwrap();
    gate.ledger().intend(&intents).unwrap();
    assert_eq!(cleanup(&gate, "token", &gate.ledger().records()).await, super::super::CleanupReport::default());
    assert_eq!(*tenant.lock().unwrap(), [own()]);
}

#[tokio::test]
async fn what_others_did_meanwhile_is_left_and_told() {
    let tenant = Tenant::new(Mutex::new(vec![own()]));
    let gate = gate(&tenant, Ledger::in_memory()).await;
    connect(&gate, "token", &ours()).await.unwrap();
    let mut other = own();
    other["id"] = "other".into();
    *tenant.lock().unwrap() = vec![other];
    let report = cleanup(&gate, "token", &gate.ledger().records()).await;
    assert_eq!(report.residue, ["Email connector: `other` stands there now; somebody else put it in the place of `own`"]);
    assert_eq!(ids(&tenant), ["other"]);
    tenant.lock().unwrap().clear();
    assert!(cleanup(&gate, "token", &gate.ledger().records()).await.is_clean(), "a second clean-up tries again");
    assert_eq!(*tenant.lock().unwrap(), [own()]);
}

#[tokio::test]
async fn nothing_is_touched_that_could_not_be_put_back() {
    let demo = json!({"id": "demo", "type": "Sms", "connectorId": "demo-sms", "config": {}});
    let tenant = Tenant::new(Mutex::new(vec![demo.clone()]));
    let gate = gate(&tenant, Ledger::in_memory()).await;
    let error = connect(&gate, "token", &ours()).await.unwrap_err().to_string();
    assert!(error.contains("demo-sms") && error.contains("--channel mailpit"), "{error}");
    let unknown = [json!({"connectorId": "carrier-pigeon"})];
    assert!(connect(&gate, "token", &unknown).await.unwrap_err().to_string().contains("no connector `carrier-pigeon`"));
    assert_eq!(*tenant.lock().unwrap(), [demo]);
    assert!(gate.ledger().records().is_empty());
}
