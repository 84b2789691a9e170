//! What stands between a user and an identity provider or a passkey, from end to end: our provider and our authenticator on
//! one side, a deployment on the other. The model has to say beforehand what the deployment answers.
//!
//! With `--ignored` and `LC_ENDPOINT`, `LC_CLIENT_ID` and `LC_CLIENT_SECRET` set, the same steps run against a deployment that
//! is nobody else's: they change its sign-in experience and account center.
#![expect(clippy::unwrap_used, reason = "the steps shared by the tests fail like the tests themselves")]

use std::net::Ipv4Addr;

use logto_conformance::contract::{Contract, Flaw, Version};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::reference::{Reference, ReferenceOptions, Running};
use logto_conformance::target::{
    Account, Authenticator, Client, ClientOptions, Gate, Ledger, Mode, OidcClient, Provider, SecretRegister, sign_in_through, totp,
};
use serde_json::{Value, json};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const RESOURCE: &str = "https://default.logto.app/api";
const BACK: &str = "http://127.0.0.1:9/callback";
const PASSWORD: &str = "Quiet-Harbour-4711";

/// A deployment, a provider, and an application whose users are tried.
struct World {
    client: Client,
    admin: String,
    app: OidcClient,
    provider: Provider,
    run: String,
    _running: Option<Running>,
}

/// A user and a token of theirs.
struct Someone {
    id: String,
    token: String,
    /// A verified proof of the password.
    proof: String,
}

impl World {
    async fn new() -> Self {
        let running = Reference::start(ReferenceOptions::new(Contract::embedded(Version::NEWEST).unwrap())).await.unwrap();
        let (endpoint, id, secret) = (running.endpoint.clone(), running.client_id.clone(), running.client_secret.clone());
        Self::at(&endpoint, &id, &secret, Some(running)).await
    }

    async fn at(endpoint: &str, id: &str, secret: &str, running: Option<Running>) -> Self {
        let client = Client::new(ClientOptions::new(endpoint.parse().unwrap())).unwrap();
        let provider = Provider::start((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
        let run = format!("lc{:08x}", rand::random::<u32>());
        let app = OidcClient { client_id: String::new(), client_secret: None, redirect_uri: BACK.to_owned() };
        let mut world = Self { client, admin: String::new(), app, provider, run, _running: running };
        let fields = [("grant_type", "client_credentials"), ("resource", RESOURCE), ("scope", "all")];
        world.admin = text(&world.token((id, secret), &fields).await, "access_token");
        let application = json!({
            "name": world.run, "type": "Traditional", "customClientMetadata": {"allowTokenExchange": true},
            "oidcClientMetadata": {"redirectUris": [BACK], "postLogoutRedirectUris": []},
        });
        world.app.client_id = text(&world.manage("POST", "/api/applications", &application).await, "id");
        let secrets = world.manage("GET", &format!("/api/applications/{}/secrets", world.app.client_id), &Value::Null).await;
        world.app.client_secret = secrets.json().unwrap()[0]["value"].as_str().map(str::to_owned);
        let fields = ["name", "username", "email", "social", "mfa", "passkey", "avatar", "profile"];
        let fields: serde_json::Map<String, Value> = fields.iter().map(|name| ((*name).to_owned(), json!("Edit"))).collect();
        assert_eq!(world.manage("PATCH", "/api/account-center", &json!({"enabled": true, "fields": fields})).await.status, 200);
        let experience = json!({"singleSignOnEnabled": true, "mfa": {"policy": "UserControlled", "factors": ["Totp", "WebAuthn"]}});
        assert_eq!(world.manage("PATCH", "/api/sign-in-exp", &experience).await.status, 200);
        world
    }

    async fn send(&self, method: &str, target: &str, token: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        if !body.is_null() {
            request = request.with_json(body);
        }
        self.client.send(&request).await.unwrap()
    }

    async fn manage(&self, method: &str, target: &str, body: &Value) -> Answer {
        self.send(method, target, &self.admin, &[], body).await
    }

    async fn token(&self, client: (&str, &str), fields: &[(&str, &str)]) -> Answer {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", client.0, client.1));
        let mut request = Request::new("POST", "/oidc/token")
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("authorization", format!("Basic {basic}"));
        request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        self.client.send(&request).await.unwrap()
    }

    async fn someone(&self, name: &str) -> Someone {
        let body = json!({"username": format!("{}_{name}", self.run), "password": PASSWORD});
        let id = text(&self.manage("POST", "/api/users", &body).await, "id");
        let token = self.token_of(&id).await;
        let proof = self.send("POST", "/api/verifications/password", &token, &[], &json!({"password": PASSWORD})).await;
        Someone { id, token, proof: text(&proof, "verificationRecordId") }
    }

    async fn token_of(&self, user: &str) -> String {
        let subject = self.manage("POST", "/api/subject-tokens", &json!({"userId": user})).await;
        let subject = text(&subject, "subjectToken");
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject.as_str()),
            ("subject_token_type", TYPE),
            ("scope", "openid profile identities email"),
        ];
        let client = (self.app.client_id.as_str(), self.app.client_secret.as_deref().unwrap());
        text(&self.token(client, &fields).await, "access_token")
    }

    async fn own(&self, user: &Someone, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let proof = [("logto-verification-id", user.proof.as_str())];
        let answer = self.send(method, target, &user.token, &proof, body).await;
        (answer.status, answer.into_json().unwrap_or_default())
    }

    /// A social connector of a factory that points to the provider; its id and its target.
    async fn connector(&self, factory: &str) -> (String, String) {
        let target = format!("{}_{factory}", self.run);
        let metadata = json!({"target": target, "name": {"en": "Conformance"}});
        let config = self.provider.config(factory).unwrap();
        let body = json!({"connectorId": factory, "config": config, "metadata": metadata, "enableTokenStorage": true});
        let made = self.manage("POST", "/api/connectors", &body).await;
        assert_eq!(made.status, 200, "{:?}", made.json());
        (text(&made, "id"), target)
    }

    /// Begins a social proof: the record and the page.
    async fn begin(&self, user: &Someone, connector: &str, scope: &str) -> (String, String) {
        let body = json!({"connectorId": connector, "state": "s", "redirectUri": BACK, "scope": scope});
        let (status, begun) = self.own(user, "POST", "/api/verifications/social", &body).await;
        assert_eq!(status, 201, "{begun}");
        (begun["verificationRecordId"].as_str().unwrap().to_owned(), begun["authorizationUri"].as_str().unwrap().to_owned())
    }

    async fn verify(&self, user: &Someone, record: &str, data: &Value) -> (u16, Value) {
        self.own(user, "POST", "/api/verifications/social/verify", &json!({"verificationRecordId": record, "connectorData": data})).await
    }
}

fn text(answer: &Answer, key: &str) -> String {
    let json = answer.json().unwrap_or_default();
    json[key].as_str().unwrap_or_else(|| panic!("no {key} in {} {json}", answer.status)).to_owned()
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

async fn social_accounts(world: &World, factory: &str) {
    let (connector, target) = world.connector(factory).await;
    let (user, other) = (world.someone(&format!("{factory}_a")).await, world.someone(&format!("{factory}_b")).await);
    let account = Account {
        email: Some("a@example.com".into()),
        email_verified: Some(true),
        name: Some("A".into()),
        ..Account::new(format!("{}-1", world.run))
    };
    let scope = "openid profile offline_access";
    // A code is good once, for the record whose page it came from; the state is nobody's concern.
    let (record, page) = world.begin(&user, &connector, scope).await;
    let consent = world.provider.consent(&page, &account).unwrap();
    let mut data = consent.data.clone();
    data["state"] = json!("another");
    let (foreign, _) = world.begin(&user, &connector, scope).await;
    if factory == "oidc" {
        let lost = world.provider.consent(&page, &account).unwrap();
        assert_eq!(code(&world.verify(&user, &foreign, &lost.data).await), (401, "connector.social_invalid_id_token"));
        assert_eq!(code(&world.verify(&user, &record, &lost.data).await), (400, "connector.general"));
    }
    assert_eq!(code(&world.verify(&user, &record, &json!({"state": "s"})).await), (400, "connector.general"));
    assert_eq!(code(&world.verify(&user, &record, &json!({"code": "none"})).await), (400, "connector.general"));
    assert_eq!(world.verify(&user, &record, &data).await.0, 200);
    assert_eq!(code(&world.verify(&user, &record, &data).await), (400, "connector.general"));
    // Linked as the provider says.
    let link = json!({"newIdentifierVerificationRecordId": record});
    assert_eq!(world.own(&user, "POST", "/api/my-account/identities", &link).await.0, 204);
    assert_eq!(code(&world.own(&user, "POST", "/api/my-account/identities", &link).await), (400, "user.identity_already_in_use"));
    assert_eq!(code(&world.own(&other, "POST", "/api/my-account/identities", &link).await), (422, "user.identity_already_in_use"));
    let shown = world.own(&user, "GET", "/api/my-account", &Value::Null).await.1;
    assert_eq!(shown["identities"][&target], consent.identity);
    // The token that came along.
    let tokens = format!("/api/my-account/identities/{target}/access-token");
    let kept = world.own(&user, "GET", &tokens, &Value::Null).await;
    assert_eq!((kept.0, &kept.1["access_token"]), (200, &consent.tokens["access_token"]));
    // Replaced by another account, whose token has run out and is renewed.
    let spent = Account { expires_in: -3600, ..Account::new(format!("{}-2", world.run)) };
    let (record, page) = world.begin(&user, &connector, scope).await;
    let consent = world.provider.consent(&page, &spent).unwrap();
    assert_eq!(world.verify(&user, &record, &consent.data).await.0, 200);
    let link = json!({"newIdentifierVerificationRecordId": record});
    assert_eq!(world.own(&user, "PUT", "/api/my-account/identities", &link).await.0, 204);
    let kept = world.own(&user, "GET", &tokens, &Value::Null).await;
    assert_eq!((kept.0, &kept.1["access_token"]), (200, &consent.tokens["renewed"]["access_token"]));
    // A new proof of it brings one that cannot be renewed, and one that the provider does not renew.
    for (scope, renews, refused) in
        [("openid", true, (401, "secrets.third_party_token_set.access_token_expired")), (scope, false, (400, "connector.general"))]
    {
        let (record, page) = world.begin(&user, &connector, scope).await;
        let consent = world.provider.consent(&page, &Account { renews, ..spent.clone() }).unwrap();
        assert_eq!(world.verify(&user, &record, &consent.data).await.0, 200);
        let stored = world.own(&user, "PUT", &tokens, &json!({"verificationRecordId": record})).await;
        assert_eq!((stored.0, &stored.1["access_token"]), (200, &consent.tokens["access_token"]));
        assert_eq!(code(&world.own(&user, "GET", &tokens, &Value::Null).await), refused);
    }
    // Unlinked, with its token.
    assert_eq!(world.own(&user, "DELETE", &format!("/api/my-account/identities/{target}"), &Value::Null).await.0, 204);
    let gone = world.own(&user, "GET", &tokens, &Value::Null).await;
    assert_eq!(code(&gone), (404, "secrets.third_party_token_set.token_not_found"));
    // An administrator cannot link through a connector that begins with a page.
    let (_, page) = world.begin(&user, &connector, scope).await;
    let consent = world.provider.consent(&page, &account).unwrap();
    let body = json!({"connectorId": connector, "connectorData": consent.data});
    let linked = world.manage("POST", &format!("/api/users/{}/identities", other.id), &body).await;
    assert_eq!((linked.status, text(&linked, "code").as_str()), (501, "connector.not_implemented"));
    assert_eq!(world.manage("DELETE", &format!("/api/connectors/{connector}"), &Value::Null).await.status, 204);
    for user in [user, other] {
        assert_eq!(world.manage("DELETE", &format!("/api/users/{}", user.id), &Value::Null).await.status, 204);
    }
}

async fn factors(world: &World) {
    let user = world.someone("factors").await;
    let endpoint = world.client.endpoint().as_str().trim_end_matches('/').to_owned();
    let mut device = Authenticator::new();
    let begin = async || {
        let answer = world.send("POST", "/api/verifications/web-authn/registration", &user.token, &[], &Value::Null).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        (text(&answer, "verificationRecordId"), answer.json().unwrap()["registrationOptions"].clone())
    };
    let verify = async |record: &str, payload: &Value| {
        let body = json!({"verificationRecordId": record, "payload": payload});
        let origin = [("origin", endpoint.as_str())];
        let answer = world.send("POST", "/api/verifications/web-authn/registration/verify", &user.token, &origin, &body).await;
        (answer.status, answer.into_json().unwrap_or_default())
    };
    let (record, options) = begin().await;
    for flaw in [Flaw::WrongChallenge, Flaw::WrongOrigin, Flaw::UserNotVerified] {
        let payload = device.register(&options, &endpoint, Some(flaw)).await.unwrap();
        assert_eq!(code(&verify(&record, &payload).await), (400, "session.mfa.webauthn_verification_failed"), "{flaw:?}");
    }
    let factors = "/api/my-account/mfa-verifications";
    let add = |record: &str| json!({"type": "WebAuthn", "newIdentifierVerificationRecordId": record});
    assert!(world.own(&user, "POST", factors, &add(&record)).await.0 >= 400);
    let payload = device.register(&options, &endpoint, None).await.unwrap();
    assert_eq!(verify(&record, &payload).await.0, 200);
    assert_eq!(world.own(&user, "POST", factors, &add(&record)).await.0, 204);
    // A credential that is registered already is taken once more.
    let (record, options) = begin().await;
    let known = options["excludeCredentials"].get(0).map(|known| &known["id"]);
    assert!(known.is_none_or(|known| *known == payload["id"]), "{options}");
    let again = device.register(&options, &endpoint, Some(Flaw::Reused)).await.unwrap();
    assert_eq!(verify(&record, &again).await.0, 200);
    // An authenticator app.
    let secret = world.own(&user, "POST", &format!("{factors}/totp-secret/generate"), &Value::Null).await.1["secret"].clone();
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let shown = totp(secret.as_str().unwrap(), now).unwrap();
    let wrong = json!({"type": "Totp", "secret": secret, "code": "none"});
    assert_eq!(code(&world.own(&user, "POST", factors, &wrong).await), (400, "session.mfa.invalid_totp_code"));
    assert_eq!(world.own(&user, "POST", factors, &json!({"type": "Totp", "secret": secret, "code": shown})).await.0, 204);
    let listed = world.own(&user, "GET", factors, &Value::Null).await.1;
    let kinds: Vec<&Value> = listed.as_array().unwrap().iter().map(|factor| &factor["type"]).collect();
    assert_eq!(kinds, ["WebAuthn", "Totp"]);
    assert_eq!(world.manage("DELETE", &format!("/api/users/{}", user.id), &Value::Null).await.status, 204);
}

async fn enterprise_identities(world: &World) {
    let domain = format!("{}.example.com", world.run);
    let body = json!({
        "providerName": "OIDC", "connectorName": world.run, "domains": [domain], "config": world.provider.config("OIDC"),
        "enableTokenStorage": true,
    });
    let made = world.manage("POST", "/api/sso-connectors", &body).await;
    assert_eq!(made.status, 200, "{:?}", made.json());
    let connector = text(&made, "id");
    let email = format!("a@{domain}");
    let user = text(&world.manage("POST", "/api/users", &json!({"primaryEmail": email})).await, "id");
    let gate = Gate::new(world.client.clone(), Mode::Exclusive, Ledger::in_memory(), SecretRegister::new(), format!("lc_{}_", world.run));
    let account = Account { email: Some(email), email_verified: Some(true), expires_in: -3600, ..Account::new(format!("{}-e", world.run)) };
    let mut consent = None;
    let agree = |page: &str| Ok(consent.insert(world.provider.consent(page, &account)?).data.clone());
    let scopes = ["openid", "profile", "identities"];
    let signed_in = sign_in_through(&gate, &world.app, &connector, agree, &scopes, None).await.unwrap();
    let consent = consent.unwrap();
    let identity = world.manage("GET", &format!("/api/users/{user}/sso-identities/{connector}"), &Value::Null).await;
    let identity = identity.json().unwrap()["ssoIdentity"].clone();
    assert_eq!((&identity["detail"], &identity["identityId"]), (&consent.identity, &json!(account.id)));
    assert_eq!(identity["issuer"], world.provider.issuer());
    let shown = world.manage("GET", &format!("/api/users/{user}?includeSsoIdentities=true"), &Value::Null).await;
    assert_eq!(shown.json().unwrap()["ssoIdentities"][0], identity);
    let tokens = format!("/api/my-account/sso-identities/{connector}/access-token");
    let kept = world.send("GET", &tokens, &signed_in.access_token, &[], &Value::Null).await;
    assert_eq!((kept.status, &kept.json().unwrap()["access_token"]), (200, &consent.tokens["renewed"]["access_token"]));
    // Whoever has neither the identity nor the address is nobody.
    let stranger = Account::new(format!("{}-s", world.run));
    let agree = |page: &str| Ok(world.provider.consent(page, &stranger)?.data);
    let refused = sign_in_through(&gate, &world.app, &connector, agree, &scopes, None).await.unwrap_err();
    assert!(refused.to_string().contains("404 user.sso_identity_not_exist"), "{refused}");
    assert_eq!(world.manage("DELETE", &format!("/api/sso-connectors/{connector}"), &Value::Null).await.status, 204);
    let gone = world.manage("GET", &format!("/api/users/{user}/sso-identities/{connector}"), &Value::Null).await;
    assert_eq!((gone.status, text(&gone, "code").as_str()), (404, "user.enterprise_sso_identity_not_exists"));
    assert_eq!(world.manage("DELETE", &format!("/api/users/{user}"), &Value::Null).await.status, 204);
}

#[tokio::test]
async fn social_accounts_are_linked_and_unlinked_with_their_tokens() {
    let world = World::new().await;
    social_accounts(&world, "oidc").await;
    social_accounts(&world, "oauth2").await;
}

#[tokio::test]
async fn factors_are_added_once_they_are_proved() {
    factors(&World::new().await).await;
}

#[tokio::test]
async fn enterprise_identities_come_about_by_signing_in() {
    enterprise_identities(&World::new().await).await;
}

#[tokio::test]
async fn an_uploaded_picture_can_be_read() {
    const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let world = World::new().await;
    let user = world.someone("picture").await;
    let (kind, body) = logto_conformance::model::multipart::write(&json!({"file": {"name": "a.png", "type": "image/png", "base64": DOT}}));
    let mut request = Request::new("POST", "/api/my-account/user-assets/avatar")
        .with_header("authorization", format!("Bearer {}", user.token))
        .with_header("content-type", kind);
    request.body = body;
    let answer = world.client.send(&request).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let url = text(&answer, "url");
    let target = url.strip_prefix(world.client.endpoint().as_str().trim_end_matches('/')).unwrap();
    let read = world.client.send(&Request::new("GET", target)).await.unwrap();
    assert_eq!((read.status, read.header("content-type")), (200, Some("image/png")));
    assert!(read.body.starts_with(b"\x89PNG"));
}

#[tokio::test]
#[ignore = "changes the deployment that LC_ENDPOINT names"]
async fn a_deployment_that_was_started_by_hand_agrees() {
    let setting = |name: &str| std::env::var(name).unwrap();
    let world = World::at(&setting("LC_ENDPOINT"), &setting("LC_CLIENT_ID"), &setting("LC_CLIENT_SECRET"), None).await;
    social_accounts(&world, "oidc").await;
    social_accounts(&world, "oauth2").await;
    enterprise_identities(&world).await;
    factors(&world).await;
    assert_eq!(world.manage("DELETE", &format!("/api/applications/{}", world.app.client_id), &Value::Null).await.status, 204);
}
