//! Channels against the embedded reference: codes reach whoever they are for, and the tenant's own connectors come back.
#![expect(clippy::unwrap_used, reason = "the steps shared by the tests fail like the tests themselves")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use logto_conformance::contract::{Contract, Version};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::reference::{Reference, ReferenceOptions, Running};
use logto_conformance::target::{
    AdminCredentials, Channel, ChannelOptions, Client, ClientOptions, Gate, Header, Ledger, Login, Mode, OidcClient, SecretRegister, Wants,
    cleanup, connect, namespace, provision, sign_in,
};
use serde_json::{Value, json};

const PASSWORD: &str = "Quiet-Harbour-4711";

/// A deployment, its administrator, and a run on it.
struct World {
    running: Option<Running>,
    client: Client,
    gate: Gate,
    admin: String,
}

impl World {
    async fn new(ledger: Ledger) -> Self {
        let running = Reference::start(ReferenceOptions::new(Contract::embedded(Version::NEWEST).unwrap())).await.unwrap();
        let credentials = AdminCredentials {
            client_id: running.client_id.clone(),
            client_secret: running.client_secret.clone(),
            resource: running.resource.clone(),
        };
        let world = Self::of(&running.endpoint, credentials, ledger).await;
        Self { running: Some(running), ..world }
    }

    async fn of(endpoint: &str, credentials: AdminCredentials, ledger: Ledger) -> Self {
        let client = Client::new(ClientOptions::new(endpoint.parse().unwrap())).unwrap();
        let gate = Gate::new(client.clone(), Mode::Exclusive, ledger, SecretRegister::new(), namespace("r1"));
        let admin = credentials.mint_admin(&gate, Some("all")).await.unwrap().access_token;
        Self { running: None, client, gate, admin }
    }

    async fn call(&self, token: &str, method: &str, target: &str, body: Option<Value>) -> Answer {
        let mut request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
        if let Some(body) = body {
            request = request.with_json(&body);
        }
        self.client.send(&request).await.unwrap()
    }

    async fn manage(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        self.call(&self.admin, method, target, body).await
    }

    /// A channel whose connectors stand.
    async fn channel(&self, kind: &str) -> Channel {
        let options = ChannelOptions { kind: kind.parse().unwrap(), secrets: self.gate.secrets().clone() };
        let channel = Channel::open(&options).await.unwrap();
        connect(&self.gate, &self.admin, &channel.connectors()).await.unwrap();
        channel
    }

    /// A token of a new user for the Account API, which is switched on.
    async fn user(&self) -> String {
        let center = json!({"enabled": true, "fields": {"email": "Edit", "phone": "Edit"}});
        assert_eq!(self.manage("PATCH", "/api/account-center", Some(center)).await.status, 200);
        let made = self.manage("POST", "/api/users", Some(json!({"username": "lc_r1_ann", "password": PASSWORD}))).await;
        assert_eq!(made.status, 200, "{:?}", made.json());
        let wants = Wants { first_party: true, third_party: false };
        let application: OidcClient = provision(&self.gate, &self.admin, "r1", wants).await.unwrap().first_party.unwrap();
        sign_in(&self.gate, &application, Login { username: "lc_r1_ann", password: PASSWORD, second: None }, &["openid", "profile"], None)
            .await
            .unwrap()
            .access_token
    }

    /// The connectors, byte for byte.
    async fn connectors(&self) -> String {
        String::from_utf8(self.manage("GET", "/api/connectors", None).await.body.into()).unwrap()
    }
}

fn code_of(answer: &Answer) -> String {
    answer.json().unwrap()["code"].as_str().unwrap_or_default().to_owned()
}

const SOON: Duration = Duration::from_secs(10);

/// Sends a code for a new address or number of a user and proves it.
async fn prove(world: &World, channel: &Channel, token: &str, kind: &str, value: &str) {
    let identifier = json!({"type": kind, "value": value});
    let _turn = channel.turn().await;
    let made = world.call(token, "POST", "/api/verifications/verification-code", Some(json!({"identifier": identifier}))).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    let record = made.json().unwrap();
    assert!(record.get("code").is_none(), "{record}");
    let code = channel.code(value, SOON).await.unwrap();
    let proof = |code: &str| json!({"identifier": identifier, "verificationId": record["verificationRecordId"], "code": code});
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let target = "/api/verifications/verification-code/verify";
    let refused = world.call(token, "POST", target, Some(proof(wrong))).await;
    assert_eq!((refused.status, code_of(&refused)), (400, "verification_code.code_mismatch".into()));
    let verified = world.call(token, "POST", target, Some(proof(&code))).await;
    assert_eq!(verified.status, 200, "{:?}", verified.json());
}

/// Sends a code that belongs to no record and checks it.
async fn check(world: &World, channel: &Channel, member: &str, value: &str) {
    let _turn = channel.turn().await;
    assert_eq!(world.manage("POST", "/api/verification-codes", Some(json!({member: value}))).await.status, 204);
    let code = channel.code(value, SOON).await.unwrap();
    let given = |code: &str| Some(json!({member: value, "verificationCode": code}));
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = world.manage("POST", "/api/verification-codes/verify", given(wrong)).await;
    assert_eq!((refused.status, code_of(&refused)), (400, "verification_code.code_mismatch".into()));
    assert_eq!(world.manage("POST", "/api/verification-codes/verify", given(&code)).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_flows_at_once_get_their_own_codes() {
    let world = Arc::new(World::new(Ledger::in_memory()).await);
    let channel = Arc::new(world.channel("webhook").await);
    let token = world.user().await;
    let flows: Vec<_> = (0..100)
        .map(|n| {
            let (world, channel, token) = (Arc::clone(&world), Arc::clone(&channel), token.clone());
            tokio::spawn(async move {
                let (address, number) = (format!("lc-{n}@example.com"), format!("1555010{n:04}"));
                match n % 4 {
                    0 => check(&world, &channel, "email", &address).await,
                    1 => check(&world, &channel, "phone", &number).await,
                    2 => prove(&world, &channel, &token, "email", &address).await,
                    _ => prove(&world, &channel, &token, "phone", &number).await,
                }
            })
        })
        .collect();
    for flow in flows {
        flow.await.unwrap();
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_delivered_leaves_no_record_and_does_not_count() {
    let world = World::new(Ledger::in_memory()).await;
    drop(world.channel("webhook").await);
    let token = world.user().await;
    let ask = Some(json!({"identifier": {"type": "email", "value": "ann@example.com"}}));
    // More often than messages may be sent.
    for _ in 0..12 {
        let failed = world.call(&token, "POST", "/api/verifications/verification-code", ask.clone()).await;
        assert_eq!((failed.status, code_of(&failed)), (400, "connector.general".into()));
    }
    let failed = world.manage("POST", "/api/verification-codes", Some(json!({"email": "ann@example.com"}))).await;
    assert_eq!((failed.status, code_of(&failed)), (400, "connector.general".into()));
    let channel = world.channel_again().await;
    prove(&world, &channel, &token, "email", "ann@example.com").await;
}

impl World {
    /// A channel in the place of one that is closed.
    async fn channel_again(&self) -> Channel {
        assert!(cleanup(&self.gate, &self.admin, &connector_records(&self.gate)).await.is_clean());
        self.channel("webhook").await
    }
}

fn connector_records(gate: &Gate) -> Vec<logto_conformance::target::Record> {
    use logto_conformance::target::{Intent, Record};
    gate.ledger().records().into_iter().filter(|record| matches!(record, Record::Intend(Intent::Connector { .. }))).collect()
}

/// A tenant's own connector, full of secrets.
fn own() -> Value {
    let template = |usage: &str| json!({"usageType": usage, "contentType": "text/plain", "subject": "Code", "content": "{{code}}"});
    let templates = ["SignIn", "Register", "ForgotPassword", "Generic"].map(template);
    json!({"id": "own-mail", "connectorId": "simple-mail-transfer-protocol", "config": {
        "host": "mail.example", "port": 25, "auth": {"user": "shop", "pass": "very-own-secret"}, "fromEmail": "a@example.com",
        "templates": templates,
    }})
}

#[tokio::test]
async fn connectors_are_as_before_after_a_clean_up() {
    for own in [None, Some(own())] {
        let world = World::new(Ledger::in_memory()).await;
        if let Some(own) = own {
            assert_eq!(world.manage("POST", "/api/connectors", Some(own)).await.status, 200);
        }
        let before = world.connectors().await;
        for kind in ["webhook", "smtp", "file:/nonexistent"] {
            let channel = world.channel(kind).await;
            assert_eq!(world.connectors().await == before, channel.connectors().is_empty(), "{kind}");
            assert!(cleanup(&world.gate, &world.admin, &world.gate.ledger().records()).await.is_clean());
            assert_eq!(world.connectors().await, before, "{kind}");
        }
        assert!(world.gate.ledger().is_settled_up());
        assert_eq!(world.gate.secrets().redact("very-own-secret") == "<secret>", before.contains("very-own-secret"));
    }
}

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_puts_connectors_back_after_a_crash() {
    let folder = Folder(std::env::temp_dir().join(format!("logto-conformance-{}-channels", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("ledger.jsonl");
    let header = Header { run: "r1".into(), endpoint: String::new(), started: String::new() };
    let world = World::new(Ledger::create(&path, &header).unwrap()).await;
    assert_eq!(world.manage("POST", "/api/connectors", Some(own())).await.status, 200);
    let before = world.connectors().await;
    drop(world.channel("webhook").await);
    assert_ne!(world.connectors().await, before);
    let kept = folder.0.join("ledger.email-connector.json");
    assert!(kept.exists());
    let running = world.running.as_ref().unwrap();
    for _ in 0..2 {
        let mut restore = tokio::process::Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        restore.args(["restore", path.to_str().unwrap(), "--target", &running.endpoint]).env_clear().current_dir(&folder.0);
        restore.envs([("LOGTO_CONFORMANCE_CLIENT_ID", &running.client_id), ("LOGTO_CONFORMANCE_CLIENT_SECRET", &running.client_secret)]);
        let ended = restore.output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(world.connectors().await, before);
        assert!(!kept.exists());
    }
}

/// With the variables `LOGTO_CONFORMANCE_TARGET`, `_CLIENT_ID` and `_CLIENT_SECRET` of a deployment nobody else needs now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Logto that can reach this machine's loopback interface"]
async fn a_real_deployment_sends_to_us_and_gets_its_connectors_back() {
    let variable = |name: &str| std::env::var(format!("LOGTO_CONFORMANCE_{name}")).unwrap();
    let credentials = AdminCredentials {
        client_id: variable("CLIENT_ID"),
        client_secret: variable("CLIENT_SECRET"),
        resource: "https://default.logto.app/api".into(),
    };
    let world = Arc::new(World::of(&variable("TARGET"), credentials, Ledger::in_memory()).await);
    let messages = async || {
        let all = world.manage("GET", "/api/connectors", None).await.into_json().unwrap();
        let ours = |connector: &&Value| ["Email", "Sms"].contains(&connector["type"].as_str().unwrap());
        all.as_array().unwrap().iter().filter(ours).map(Value::to_string).collect::<Vec<_>>()
    };
    assert_eq!(messages().await, Vec::<String>::new(), "the test makes a connector of its own to lose");
    let template = |usage: &str| json!({"usageType": usage, "type": "text/plain", "subject": "Code", "content": "{{code}}"});
    let mock = json!({"id": "own-mock", "connectorId": "mock-email-service", "config": {
        "apiKey": "very-own-secret", "fromEmail": "a@example.com", "templates": [template("Generic")],
    }});
    // The last connector is not ours, and what it writes can be read all the same.
    for (before, by_file) in [(None, &[][..]), (Some(own()), &[]), (Some(mock), &["email"])] {
        if let Some(own) = &before {
            assert_eq!(world.manage("POST", "/api/connectors", Some(own.clone())).await.status, 200);
        }
        let stood = messages().await;
        for (kind, members) in [("webhook", &["email", "phone"][..]), ("smtp", &["email"]), ("file", by_file)] {
            let channel = Arc::new(world.channel(kind).await);
            let flows: Vec<_> = (0..20)
                .flat_map(|n| members.iter().map(move |member| (n, *member)))
                .map(|(n, member)| {
                    let (world, channel) = (Arc::clone(&world), Arc::clone(&channel));
                    let run = std::process::id();
                    let to = if member == "email" { format!("lc-{run}-{n}@example.com") } else { format!("1555010{n:04}") };
                    tokio::spawn(async move { check(&world, &channel, member, &to).await })
                })
                .collect();
            for flow in flows {
                flow.await.unwrap();
            }
            let report = cleanup(&world.gate, &world.admin, &world.gate.ledger().records()).await;
            assert!(report.is_clean(), "{report:?}");
            assert_eq!(messages().await, stood, "{kind}");
        }
    }
    assert_eq!(world.manage("DELETE", "/api/connectors/own-mock", None).await.status, 204);
}
