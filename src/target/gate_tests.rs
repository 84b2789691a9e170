use axum::response::IntoResponse;
use serde_json::json;

use super::super::ledger::{Header, Record};
use super::super::test_server::{Log, Scratch, client, serve};
use super::*;

const SPACE: &str = "lc_r1_";

async fn gate(mode: Mode) -> (Gate, Log) {
    let (endpoint, log) = serve(|_, _| json!({"id": "u1", "access_token": "S1-token"}).to_string().into_response()).await;
    (Gate::new(client(endpoint), mode, Ledger::in_memory(), SecretRegister::new(), SPACE), log)
}

fn user(marker: &str) -> Intent {
    Intent::User { marker: marker.into() }
}

#[derive(Debug, Default)]
struct Seen(std::sync::Mutex<Vec<Exchange>>);

impl Witness for Seen {
    fn now_ms(&self) -> i64 {
        7
    }

    fn saw(&self, exchange: Exchange) {
        self.0.lock().unwrap().push(exchange);
    }
}

#[tokio::test]
async fn a_witness_sees_every_exchange_and_nothing_that_was_not_sent() {
    let (gate, _) = gate(Mode::ReadOnly).await;
    let seen = Arc::new(Seen::default());
    let gate = gate.witnessed_by(Arc::clone(&seen) as Arc<dyn Witness>);
    gate.send(&Request::new("GET", "/api/a"), &Clearance::read()).await.unwrap();
    refused(&gate, "POST", "/api/users", Clearance::write()).await;
    gate.clone().send(&Request::new("GET", "/api/b?x=1"), &Clearance::read()).await.unwrap();
    let seen = seen.0.lock().unwrap();
    let told: Vec<_> =
        seen.iter().map(|exchange| (exchange.number, exchange.started_ms, exchange.url.rsplit('/').next().unwrap())).collect();
    assert_eq!(told, [(0, 7, "a"), (1, 7, "b?x=1")]);
    assert!(seen.iter().all(|exchange| exchange.answer.status == 200 && format!("{exchange:?}").starts_with("GET /api/")));
    assert_eq!(gate.secrets().redact("S1-token"), super::super::MASK, "what it is shown is registered");
}

async fn refused(gate: &Gate, method: &str, target: &str, clearance: Clearance) -> String {
    match gate.send(&Request::new(method, target), &clearance).await {
        Err(GateError::Forbidden { why, .. }) => why,
        other => panic!("{method} {target} {clearance:?}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_server() {
    let (read_only, seen) = gate(Mode::ReadOnly).await;
    refused(&read_only, "POST", "/api/users", Clearance::intending(user("lc_r1_a"))).await;
    refused(&read_only, "GET", "/api/sends", Clearance { sends_messages: true, ..Clearance::read() }).await;
    refused(&read_only, "GET", "/api/odd", Clearance::write()).await;
    refused(&read_only, "PATCH", "/api/users/u1", Clearance::read()).await;
    refused(&read_only, "TRACE", "/api/users", Clearance::read()).await;
    refused(&read_only, "POST", "/oidc/token/revocation", Clearance::write()).await;
    assert!(seen.lock().unwrap().is_empty());

    let (isolated, seen) = gate(Mode::Isolated).await;
    isolated.own("mine");
    let center = Intent::AccountCenter { before: json!({}) };
    refused(&isolated, "PATCH", "/api/account-center", Clearance::intending(center.clone())).await;
    refused(&isolated, "PATCH", "/api/account-center", Clearance::write()).await;
    refused(&isolated, "PATCH", "/api/users/mine/../../account-center", Clearance::write()).await;
    refused(&isolated, "POST", "/x", Clearance { intents: vec![center], ..Clearance::write() }).await;
    refused(&isolated, "POST", "/api/verification-codes", Clearance { sends_messages: true, ..Clearance::write() }).await;
    refused(&isolated, "DELETE", "/api/users/foreign", Clearance::destroying("foreign")).await;
    refused(&isolated, "DELETE", "/api/users/foreign", Clearance::destroying("mine")).await;
    refused(&isolated, "DELETE", "/api/users/mine/../foreign", Clearance::destroying("mine")).await;
    refused(&isolated, "POST", "/api/anything", Clearance::destroying("foreign")).await;
    refused(&isolated, "POST", "/api/users", Clearance::intending(user("alice"))).await;
    refused(&isolated, "DELETE", "/api/users/mine", Clearance::read()).await;
    assert!(seen.lock().unwrap().is_empty());
    assert!(isolated.ledger().records().is_empty());
}

#[tokio::test]
async fn what_is_allowed_is_sent() {
    let (read_only, seen) = gate(Mode::ReadOnly).await;
    read_only.send(&Request::new("GET", "/api/users"), &Clearance::read()).await.unwrap();
    read_only.send(&Request::new("POST", "/oidc/token"), &Clearance::read()).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);

    let (exclusive, seen) = gate(Mode::Exclusive).await;
    let exclusive = exclusive.with_channel(&[MessageKind::Email]);
    exclusive.declare_unused("nobody");
    let center = Clearance::intending(Intent::AccountCenter { before: json!({}) });
    exclusive.send(&Request::new("PATCH", "/api/account-center"), &center).await.unwrap();
    exclusive.send(&Request::new("DELETE", "/api/users/nobody"), &Clearance::destroying("nobody")).await.unwrap();
    let message = Clearance { sends_messages: true, ..Clearance::write() };
    let ask = |body| Request::new("POST", "/api/verification-codes").with_json(&body);
    exclusive.send(&ask(json!({"email": "a@example.com"})), &message).await.unwrap();
    for body in [json!({"phone": "15550100001"}), json!({"identifier": {"type": "phone", "value": "a@example.com"}}), json!({})] {
        assert!(matches!(exclusive.send(&ask(body), &message).await, Err(GateError::Forbidden { .. })));
    }
    let lease = Clearance::intending(Intent::Role { name: LEASE_ROLE.into() });
    exclusive.send(&Request::new("POST", "/api/roles"), &lease).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn what_could_not_be_carried_out_is_sent_without_further_rights() {
    let (isolated, seen) = gate(Mode::Isolated).await;
    isolated.declare_unused("nobody");
    isolated.own("mine");
    let body = |method: &str, target: &str, body: &str| {
        let mut request = Request::new(method, target).with_header("content-type", "application/json");
        request.body = body.as_bytes().to_vec();
        request
    };
    isolated.send(&body("DELETE", "/api/connectors/nobody", ""), &Clearance::inert()).await.unwrap();
    isolated.send(&body("PATCH", "/api/sign-in-exp", "[]"), &Clearance::inert()).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
    for (method, target, text) in [
        ("DELETE", "/api/captcha-provider", ""),
        ("DELETE", "/api/users/foreign", ""),
        ("DELETE", "/api/users/mine", ""),
        ("DELETE", "/api/users/nobody/../foreign", ""),
        ("PATCH", "/api/sign-in-exp", "{}"),
        ("PUT", "/api/custom-phrases/nobody", ""),
    ] {
        let answer = isolated.send(&body(method, target, text), &Clearance::inert()).await;
        assert!(matches!(answer, Err(GateError::Forbidden { .. })), "{method} {target} {text}");
    }
    // Without the word of its sender, the shape of a call opens nothing.
    refused(&isolated, "DELETE", "/api/connectors/nobody", Clearance::write()).await;
    assert_eq!(seen.lock().unwrap().len(), 2);

    let (read_only, seen) = gate(Mode::ReadOnly).await;
    read_only.declare_unused("nobody");
    refused(&read_only, "DELETE", "/api/connectors/nobody", Clearance::inert()).await;
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_create_brought_is_owned_and_settled() {
    let (gate, _) = gate(Mode::Isolated).await;
    let delete = Request::new("DELETE", "/api/users/u1");
    assert!(gate.send(&delete, &Clearance::destroying("u1")).await.is_err());
    gate.send(&Request::new("POST", "/api/users"), &Clearance::intending(user("lc_r1_a"))).await.unwrap();
    gate.send(&delete, &Clearance::destroying("u1")).await.unwrap();
    let settled = Record::Settle { label: "user lc_r1_a".into(), id: "u1".into() };
    assert_eq!(gate.ledger().records(), [Record::Intend(user("lc_r1_a")), settled]);
}

#[tokio::test]
async fn the_intent_is_on_disk_when_the_request_arrives() {
    let scratch = Scratch::new("order");
    let header = Header { run: "r1".into(), endpoint: String::new(), started: String::new() };
    let ledger = Ledger::create(&scratch.0, &header).unwrap();
    let path = scratch.0.clone();
    let on_arrival = move |_: &str, _: &str| std::fs::read_to_string(&path).unwrap().into_response();
    let (endpoint, _) = serve(on_arrival).await;
    let gate = Gate::new(client(endpoint), Mode::Isolated, ledger, SecretRegister::new(), SPACE);
    let create = Clearance::intending(user("lc_r1_a"));
    let answer = gate.send(&Request::new("POST", "/api/users"), &create).await.unwrap();
    assert!(String::from_utf8(answer.body.into()).unwrap().contains(r#""marker":"lc_r1_a""#));
}

#[tokio::test]
async fn secrets_of_request_and_answer_are_registered() {
    let (gate, _) = gate(Mode::ReadOnly).await;
    let request = Request::new("GET", "/").with_header("authorization", "Bearer S0-token");
    gate.send(&request, &Clearance::read()).await.unwrap();
    assert_eq!(gate.secrets().redact("S0-token S1-token"), "<secret> <secret>");
}

#[test]
fn modes_are_read_as_they_are_written() {
    for mode in [Mode::ReadOnly, Mode::Isolated, Mode::Exclusive] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
        assert_eq!(serde_json::to_value(mode).unwrap(), mode.to_string());
    }
    let error = "readonly".parse::<Mode>().unwrap_err().to_string();
    assert_eq!(error, "unknown mode `readonly`: use read-only, isolated or exclusive");
}

#[tokio::test]
async fn a_part_of_what_is_ours_is_ours() {
    let (gate, seen) = gate(Mode::Isolated).await;
    gate.own("mine");
    gate.own_part("/api/users/theirs/identities/x", "foreign");
    gate.own_part("/api/users/mine/identities/x", "part");
    refused(&gate, "DELETE", "/api/secrets/foreign", Clearance::write()).await;
    assert!(seen.lock().unwrap().is_empty());
    gate.send(&Request::new("DELETE", "/api/secrets/part"), &Clearance::write()).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}
