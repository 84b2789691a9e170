//! The reference over HTTP: the flows that users of it rely on.
#![expect(clippy::unwrap_used, reason = "the steps shared by the tests fail like the tests themselves")]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logto_conformance::clock::ManualClock;
use logto_conformance::contract::{Contract, Version};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::reference::{Fault, FaultError, Reference, ReferenceOptions, Running};
use logto_conformance::target::{Client, ClientOptions, Gate, Ledger, Login, Mode, SecretRegister, Wants, namespace, provision, sign_in};
use serde_json::{Value, json};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const PASSWORD: &str = "Quiet-Harbour-4711";

/// A running reference with an administrator, a first-party application and a client.
struct World {
    running: Running,
    client: Client,
    clock: Arc<ManualClock>,
    admin: String,
    app: (String, String),
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ReferenceOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(1_800_000_000_000));
        let mut options = ReferenceOptions::new(Contract::embedded(Version::NEWEST).unwrap());
        options.clock = clock.clone();
        change(&mut options);
        let running = Reference::start(options).await.unwrap();
        let client = Client::new(ClientOptions::new(running.endpoint.parse().unwrap())).unwrap();
        let mut world = Self { running, client, clock, admin: String::new(), app: Default::default() };
        let basic = basic(&world.running.client_id, &world.running.client_secret);
        let fields = [("grant_type", "client_credentials"), ("resource", world.running.resource.as_str()), ("scope", "all")];
        let answer = world.token(Some(&basic), &fields).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        world.admin = text(&answer, "access_token");
        world.app = world.application(json!({"name": "first", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": true}, "oidcClientMetadata": {"redirectUris": ["http://127.0.0.1:9/callback"], "postLogoutRedirectUris": []}})).await;
        world
    }

    async fn send(&self, request: Request) -> Answer {
        self.client.send(&request).await.unwrap()
    }

    async fn token(&self, authorization: Option<&str>, fields: &[(&str, &str)]) -> Answer {
        let mut request = Request::new("POST", "/oidc/token").with_header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.with_header("authorization", authorization);
        }
        request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        self.send(request).await
    }

    async fn manage(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        self.call(&self.admin, method, target, body).await
    }

    async fn call(&self, token: &str, method: &str, target: &str, body: Option<Value>) -> Answer {
        let mut request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
        if let Some(body) = body {
            request = request.with_json(&body);
        }
        self.send(request).await
    }

    async fn application(&self, body: Value) -> (String, String) {
        let made = self.manage("POST", "/api/applications", Some(body)).await;
        assert_eq!(made.status, 200, "{:?}", made.json());
        let id = text(&made, "id");
        let secrets = self.manage("GET", &format!("/api/applications/{id}/secrets"), None).await.into_json().unwrap();
        (id, secrets[0]["value"].as_str().unwrap().to_owned())
    }

    async fn user(&self, body: Value) -> String {
        let made = self.manage("POST", "/api/users", Some(body)).await;
        assert_eq!(made.status, 200, "{:?}", made.json());
        text(&made, "id")
    }

    async fn subject_token(&self, user: &str) -> String {
        let made = self.manage("POST", "/api/subject-tokens", Some(json!({"userId": user}))).await;
        assert_eq!(made.status, 201, "{:?}", made.json());
        text(&made, "subjectToken")
    }

    async fn exchange(&self, subject: &str, scope: &str) -> Answer {
        let fields = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", TYPE), ("scope", scope)];
        self.token(Some(&basic(&self.app.0, &self.app.1)), &fields).await
    }

    async fn user_token(&self, user: &str, scope: &str) -> String {
        let answer = self.exchange(&self.subject_token(user).await, scope).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        text(&answer, "access_token")
    }

    async fn center(&self, settings: Value) {
        let answer = self.manage("PATCH", "/api/account-center", Some(settings)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
    }

    async fn record(&self, token: &str, password: &str) -> Answer {
        self.call(token, "POST", "/api/verifications/password", Some(json!({"password": password}))).await
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn text(answer: &Answer, key: &str) -> String {
    let json = answer.json().unwrap();
    json[key].as_str().unwrap_or_else(|| panic!("{json} has no text `{key}`")).to_owned()
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, text(answer, "code"))
}

#[tokio::test]
async fn a_user_sees_and_changes_what_scope_and_field_allow() {
    let world = World::new().await;
    let user = world.user(json!({"username": "ann", "password": PASSWORD, "name": "Ann", "primaryEmail": "ann@example.com"})).await;
    assert_eq!(user.len(), 12);
    let narrow = world.user_token(&user, "openid nonsense").await;
    let wide = world.user_token(&user, "openid profile").await;
    assert_eq!(wide.len(), 43);
    let own = async |token: &str| world.call(token, "GET", "/api/my-account", None).await;
    assert_eq!(refused(&own(&wide).await), (400, "account_center.not_enabled".into()));
    world.center(json!({"enabled": true, "fields": {"name": "ReadOnly", "email": "Edit"}})).await;
    assert_eq!(own(&narrow).await.into_json().unwrap(), json!({"id": user, "hasSecurityVerificationMethod": true}));
    let seen = own(&wide).await.into_json().unwrap();
    assert_eq!((&seen["name"], seen.get("username"), seen.get("primaryEmail")), (&json!("Ann"), None, None));
    let rename = async || world.call(&wide, "PATCH", "/api/my-account", Some(json!({"name": "Bea"}))).await;
    assert_eq!(refused(&rename().await), (400, "account_center.field_not_editable".into()));
    world.center(json!({"fields": {"name": "Edit"}})).await;
    world.clock.advance(5);
    let changed = rename().await.into_json().unwrap();
    assert_eq!((&changed["name"], changed["updatedAt"].as_i64().unwrap() - changed["createdAt"].as_i64().unwrap()), (&json!("Bea"), 5));
    let managed = world.manage("GET", &format!("/api/users/{user}"), None).await.into_json().unwrap();
    assert_eq!((&managed["name"], managed.get("passwordDigest")), (&json!("Bea"), None));
    let digest = text(&world.manage("GET", &format!("/api/users/{user}?includePasswordHash=1"), None).await, "passwordDigest");
    assert!(digest.starts_with("$argon2i$"));
    world.running.shutdown().await.unwrap();
}

#[tokio::test]
async fn records_prove_identity_for_ten_minutes() {
    let world = World::new().await;
    world.center(json!({"enabled": true, "fields": {"password": "Edit"}})).await;
    let user = world.user(json!({"username": "ann", "password": PASSWORD})).await;
    let token = world.user_token(&user, "openid").await;
    assert_eq!(refused(&world.record(&token, "wrong").await), (422, "session.invalid_credentials".into()));
    let record = world.record(&token, PASSWORD).await;
    assert_eq!((record.status, text(&record, "verificationRecordId").len()), (201, 21));
    let id = text(&record, "verificationRecordId");
    let change = async |password: &str| {
        let request = Request::new("POST", "/api/my-account/password").with_json(&json!({"password": password}));
        world.send(request.with_header("authorization", format!("Bearer {token}")).with_header("logto-verification-id", &id)).await
    };
    assert_eq!(change("Brisk-Meadow-0815").await.status, 204);
    assert_eq!(refused(&change("Brisk-Meadow-0815").await), (422, "user.same_password".into()));
    assert_eq!(refused(&change("aaa").await), (422, "password.rejected".into()));
    world.clock.advance(599_999);
    assert_eq!(change("Gentle-Forest-3141").await.status, 204);
    world.clock.advance(2);
    assert_eq!(refused(&change("Silver-Lantern-2718").await), (401, "verification_record.permission_denied".into()));
    assert_eq!(world.record(&token, "Gentle-Forest-3141").await.status, 201);
}

#[tokio::test]
async fn subject_tokens_serve_once_and_suspension_kills_tokens() {
    let world = World::new().await;
    world.center(json!({"enabled": true})).await;
    let user = world.user(json!({})).await;
    let subject = world.subject_token(&user).await;
    assert_eq!(world.exchange(&subject, "openid").await.status, 200);
    assert_eq!(refused(&world.exchange(&subject, "openid").await), (400, "oidc.invalid_grant".into()));
    let token = world.user_token(&user, "openid").await;
    let again = world.exchange(&token, "openid").await;
    assert_eq!((again.status, again.json().unwrap()["scope"].clone()), (200, json!("openid")));
    let own = async || world.call(&token, "GET", "/api/my-account", None).await.status;
    assert_eq!(own().await, 200);
    let suspend = async |flag: bool| {
        world.manage("PATCH", &format!("/api/users/{user}/is-suspended"), Some(json!({"isSuspended": flag}))).await.status
    };
    assert_eq!((suspend(true).await, own().await), (200, 401));
    let fresh = world.subject_token(&user).await;
    assert_eq!(refused(&world.exchange(&fresh, "openid").await), (400, "oidc.invalid_grant".into()));
    assert_eq!((suspend(false).await, own().await), (200, 401));
    assert_eq!(world.exchange(&fresh, "openid").await.status, 200);
    let live = world.user_token(&user, "openid").await;
    assert_eq!(world.manage("DELETE", &format!("/api/users/{user}"), None).await.status, 204);
    assert_eq!(world.call(&live, "GET", "/api/my-account", None).await.status, 401);
    assert_eq!(refused(&world.manage("GET", &format!("/api/users/{user}"), None).await), (404, "entity.not_found".into()));
}

#[tokio::test]
async fn an_access_token_lives_an_hour() {
    let world = World::new().await;
    world.clock.advance(3_599_999);
    assert_eq!(world.manage("GET", "/api/account-center", None).await.status, 200);
    assert_eq!(world.manage("GET", "/api/applications", None).await.status, 200);
    world.clock.advance(1);
    assert_eq!(world.manage("GET", "/api/account-center", None).await.status, 401);
    assert_eq!(refused(&world.manage("GET", "/api/applications", None).await), (401, "auth.unauthorized".into()));
}

#[tokio::test]
async fn the_router_answers_in_plain_text() {
    let world = World::new().await;
    let plain = async |method: &str, target: &str| {
        let answer = world.send(Request::new(method, target)).await;
        let allow = answer.header("allow").unwrap_or("-").to_owned();
        (answer.status, String::from_utf8(answer.body.into()).unwrap(), allow)
    };
    assert_eq!(plain("GET", "/api/nope").await, (404, "Not Found".into(), "-".into()));
    assert_eq!(plain("PUT", "/api/my-account").await, (405, "Method Not Allowed".into(), "HEAD, GET, PATCH".into()));
    assert_eq!(plain("TRACE", "/api/my-account").await.0, 501);
    assert_eq!(plain("GET", "/api/status").await.0, 204);
    assert_eq!(plain("GET", "/API/My-Account/").await.0, 401);
    assert_eq!(plain("DELETE", "/oidc/token").await.0, 404);
    let long = Request {
        body: vec![b' '; (1 << 20) + 1],
        ..Request::new("PATCH", "/api/account-center")
            .with_header("content-type", "application/json")
            .with_header("authorization", format!("Bearer {}", world.admin))
    };
    let answer = world.send(long).await;
    assert_eq!((answer.status, &*answer.body), (404, &b"Not Found"[..]));
    let broken = Request {
        body: b"{".to_vec(),
        ..Request::new("PATCH", "/api/account-center")
            .with_header("content-type", "application/json")
            .with_header("authorization", format!("Bearer {}", world.admin))
    };
    let answer = world.send(broken).await;
    assert_eq!((answer.status, answer.json().unwrap().get("code")), (400, None));
    let wrong = world.manage("PATCH", "/api/account-center", Some(json!({"enabled": "x"}))).await.into_json().unwrap();
    assert_eq!((&wrong["code"], &wrong["data"]["issues"][0]["path"]), (&json!("guard.invalid_input"), &json!(["enabled"])));
}

#[tokio::test]
async fn headers_cover_caching_and_cross_origin_calls() {
    let world = World::new().await;
    let read = world.manage("GET", "/api/account-center", None).await;
    assert!(read.header("logto-core-request-id").is_some() && read.header("x-content-type-options").is_some());
    assert_eq!((read.header("content-type"), read.header("access-control-allow-origin")), (Some("application/json; charset=utf-8"), None));
    let tag = read.header("etag").unwrap();
    let again = Request::new("GET", "/api/account-center")
        .with_header("authorization", format!("Bearer {}", world.admin))
        .with_header("if-none-match", tag);
    let again = world.send(again).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let anyone = world.send(Request::new("GET", "/api/my-account").with_header("origin", "https://a.example")).await;
    assert_eq!((anyone.status, anyone.header("access-control-allow-origin")), (401, Some("https://a.example")));
    let preflight = |target: &str| {
        Request::new("OPTIONS", target)
            .with_header("origin", "https://a.example")
            .with_header("access-control-request-method", "PATCH")
            .with_header("access-control-request-headers", "authorization")
    };
    let account = world.send(preflight("/api/my-account")).await;
    assert_eq!((account.status, account.header("access-control-allow-headers")), (204, Some("authorization")));
    let management = world.send(preflight("/api/users")).await;
    assert_eq!((management.status, management.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn wrong_clients_get_no_token() {
    let world = World::new().await;
    let (id, secret) = (world.running.client_id.clone(), world.running.client_secret.clone());
    let fields = [("grant_type", "client_credentials"), ("resource", world.running.resource.as_str())];
    assert_eq!(refused(&world.token(None, &fields).await).0, 400);
    assert_eq!(refused(&world.token(Some(&basic("nobody", "x")), &fields).await).1, "oidc.invalid_client");
    assert_eq!(refused(&world.token(Some(&basic(&id, "x")), &fields).await), (401, "oidc.invalid_client".into()));
    assert_eq!(refused(&world.token(Some(&basic(&id, &secret)), &fields[..1]).await), (400, "oidc.invalid_target".into()));
    let scopeless = text(&world.token(Some(&basic(&id, &secret)), &fields).await, "access_token");
    assert_eq!(refused(&world.call(&scopeless, "GET", "/api/account-center", None).await), (403, "auth.forbidden".into()));
    assert_eq!(refused(&world.call(&scopeless, "GET", "/api/sign-in-exp", None).await), (403, "auth.forbidden".into()));
    assert_eq!(refused(&world.call(&world.admin, "GET", "/api/my-account", None).await), (401, "auth.unauthorized".into()));
}

#[tokio::test]
async fn lists_are_searched_and_paged() {
    let world = World::new().await;
    for name in ["lc_a", "lc_b", "other"] {
        world.user(json!({"username": name})).await;
    }
    let page = world.manage("GET", "/api/users?search.username=lc%25&page_size=1&page=2", None).await;
    assert_eq!((page.json().unwrap().as_array().unwrap().len(), page.header("total-number")), (1, Some("2")));
    assert_eq!(refused(&world.manage("GET", "/api/users?page=0", None).await), (400, "guard.invalid_pagination".into()));
    let role = world.manage("POST", "/api/roles", Some(json!({"name": "lease", "description": "x"}))).await;
    assert_eq!(role.status, 200);
    assert_eq!(
        refused(&world.manage("POST", "/api/roles", Some(json!({"name": "lease", "description": "y"}))).await),
        (422, "role.name_in_use".into())
    );
    assert_eq!(world.manage("DELETE", &format!("/api/roles/{}", text(&role, "id")), None).await.status, 204);
    let changed = world.manage("PATCH", "/api/sign-in-exp", Some(json!({"sentinelPolicy": {"maxAttempts": 3}}))).await.into_json().unwrap();
    assert_eq!(changed["sentinelPolicy"]["maxAttempts"], 3);
}

#[tokio::test]
async fn the_marker_of_a_version_shows_and_remote_addresses_are_refused() {
    let marker = async |version: &str| {
        let contract = Contract::embedded(version.parse().unwrap()).unwrap();
        let world = World::with(|options| options.contract = contract).await;
        world.manage("GET", "/api/configs/cimd", None).await.status
    };
    assert_eq!((marker("1.42").await, marker("1.43").await), (404, 200));
    let mut options = ReferenceOptions::new(Contract::embedded(Version::NEWEST).unwrap());
    options.bind = "0.0.0.0:0".parse().unwrap();
    assert!(Reference::start(options).await.unwrap_err().to_string().contains("other machines"));
}

#[tokio::test]
async fn users_sign_in_with_code_and_proof_key() {
    let world = World::new().await;
    world.center(json!({"enabled": true})).await;
    let user = world.user(json!({"username": "lc_r1_ann", "password": PASSWORD})).await;
    let gate = Gate::new(world.client.clone(), Mode::Isolated, Ledger::in_memory(), SecretRegister::new(), namespace("r1"));
    let made = provision(&gate, &world.admin, "r1", Wants::ALL).await.unwrap();
    let login = |password| Login { username: "lc_r1_ann", password, second: None };
    for (third, client) in [(false, made.first_party.unwrap()), (true, made.third_party.unwrap())] {
        let scopes = ["openid", "offline_access", "profile", "nonsense"];
        let signed_in = sign_in(&gate, &client, login(PASSWORD), &scopes, None).await.unwrap();
        assert_eq!(signed_in.scope, "openid offline_access profile");
        assert_eq!(signed_in.id_token.unwrap().split('.').count(), 3);
        let own = world.call(&signed_in.access_token, "GET", "/api/my-account", None).await;
        assert_eq!((own.status, text(&own, "id")), (200, user.clone()));
        let renamed = world.call(&signed_in.access_token, "POST", "/api/verifications/password", Some(json!({"password": PASSWORD}))).await;
        assert_eq!(renamed.status, if third { 403 } else { 201 });
        let authorization = basic(&client.client_id, client.client_secret.as_deref().unwrap());
        let refresh = signed_in.refresh_token.unwrap();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        let again = world.token(Some(&authorization), &fields).await;
        assert_eq!((again.status, text(&again, "scope")), (200, "openid offline_access profile".into()));
        let bad = [
            ("grant_type", "authorization_code"),
            ("code", "nope"),
            ("redirect_uri", client.redirect_uri.as_str()),
            ("code_verifier", "x"),
        ];
        assert_eq!(refused(&world.token(Some(&authorization), &bad).await), (400, "oidc.invalid_grant".into()));
        assert!(
            sign_in(&gate, &client, login("wrong"), &scopes, None).await.unwrap_err().to_string().contains("session.invalid_credentials")
        );
    }
    let seen = world.manage("GET", &format!("/api/users/{user}"), None).await.into_json().unwrap();
    assert!(seen["lastSignInAt"].is_number() && seen["applicationId"].is_string());
}

#[tokio::test]
async fn a_fault_shows_over_http_and_one_that_does_not_fit_is_refused() {
    let world = World::with(|options| options.faults.push(Fault::named("user-created-201").unwrap())).await;
    assert_eq!(world.manage("POST", "/api/users", Some(json!({"password": PASSWORD}))).await.status, 201);
    let mut options = ReferenceOptions::new(Contract::embedded("1.42".parse().unwrap()).unwrap());
    options.faults.push(Fault::named("third-party-may-write").unwrap());
    let error = Reference::start(options).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(matches!(error.downcast::<FaultError>().unwrap(), FaultError::Inapplicable { .. }));
}
