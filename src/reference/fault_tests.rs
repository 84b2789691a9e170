#![expect(clippy::needless_pass_by_value, reason = "steps read better with `json!` in place")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::deployment::Deployment;
use super::super::mint::Mint;
use super::super::outside::Advice;
use super::super::published::publish;
use super::super::server::first_state;
use super::super::tamper::Faults;
use super::*;
use crate::clock::ManualClock;
use crate::contract::{PUBLISHED_AT, Version};
use crate::model::wire::{Answer, Request};

const NOW: i64 = 1_800_000_000_000;
const PASSWORD: &str = "Quiet-Harbour-4711";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A deployment, and everything it has answered.
struct Tape {
    deployment: Deployment,
    clock: Arc<ManualClock>,
    answers: Vec<(String, Answer)>,
    /// What is answered without faults: the first other answer ends the exercise.
    conforming: Option<Arc<Vec<(String, Answer)>>>,
}

/// What ends an exercise that has shown something.
struct Departed;

impl Tape {
    fn new(faults: Vec<Fault>) -> Self {
        static PUBLISHED: OnceLock<(Contract, Value)> = OnceLock::new();
        let (mut contract, document) = PUBLISHED
            .get_or_init(|| {
                let mut contract = Contract::embedded(Version::NEWEST).unwrap();
                let document = publish(&mut contract).unwrap();
                (contract, document)
            })
            .clone();
        for fault in &faults {
            fault.apply(&mut contract).unwrap();
        }
        let clock = Arc::new(ManualClock::new(NOW));
        let state = first_state("admin", "secret", NOW);
        let deployment =
            Deployment::new(contract, document, "http://reference.example".into(), clock.clone(), Faults(faults), state, Mint::new(1));
        Self { deployment, clock, answers: Vec::new(), conforming: None }
    }

    fn send(&mut self, request: Request) -> Value {
        self.together(vec![request]).remove(0)
    }

    /// Requests that all have come in before the first one is answered.
    fn together(&mut self, requests: Vec<Request>) -> Vec<Value> {
        let early: Vec<_> = requests.iter().map(|request| self.deployment.early(request)).collect();
        let answer = |(request, early): (Request, _)| {
            let answer = self.deployment.answer(&request, early, Advice::default()).0;
            let json = answer.json().cloned().unwrap_or_default();
            self.answers.push((format!("{} {} {}", request.method, request.target, String::from_utf8_lossy(&request.body)), answer));
            if self.conforming.as_ref().is_some_and(|conforming| conforming.get(self.answers.len() - 1) != self.answers.last()) {
                resume_unwind(Box::new(Departed));
            }
            json
        };
        requests.into_iter().zip(early).map(answer).collect()
    }

    fn call(&mut self, token: &str, line: &str, body: Value) -> Value {
        self.proven(token, "", line, body)
    }

    fn proven(&mut self, token: &str, record: &str, line: &str, body: Value) -> Value {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
        if !record.is_empty() {
            request = request.with_header("logto-verification-id", record);
        }
        self.send(if body.is_null() { request } else { request.with_json(&body) })
    }

    fn token(&mut self, client: (&str, &str), fields: &[(&str, &str)]) -> String {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", client.0, client.1)));
        let mut request = Request::new("POST", "/oidc/token")
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("authorization", basic);
        request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        text(&self.send(request), "access_token")
    }

    fn exchange(&mut self, admin: &str, app: (&str, &str), user: &str, scope: &str) -> String {
        let subject = text(&self.call(admin, "POST /api/subject-tokens", json!({"userId": user})), "subjectToken");
        self.token(app, &[("grant_type", EXCHANGE), ("subject_token", &subject), ("subject_token_type", TYPE), ("scope", scope)])
    }
}

fn request(token: &str, line: &str, body: Value) -> Request {
    let (method, target) = line.split_once(' ').unwrap();
    let request = Request::new(method, target).with_header("authorization", format!("Bearer {token}"));
    if body.is_null() { request } else { request.with_json(&body) }
}

/// Requests of the same kind that come in together, and what they leave behind.
fn race(tape: &mut Tape, admin: &str, app: (&str, &str)) {
    let all = "openid profile email phone custom_data identities";
    let body = json!({"username": "dora", "password": PASSWORD, "primaryEmail": "dora@example.com", "primaryPhone": "12025550142"});
    let dora = &text(&tape.call(admin, "POST /api/users", body), "id");
    let finn = &text(&tape.call(admin, "POST /api/users", json!({"username": "finn"})), "id");
    let token = &tape.exchange(admin, app, dora, all);
    let proof = text(&tape.call(token, "POST /api/verifications/password", json!({"password": PASSWORD})), "verificationRecordId");
    let fields = json!({"name": "Edit", "avatar": "Edit", "email": "Edit", "phone": "Edit", "mfa": "Edit"});
    tape.call(admin, "PATCH /api/account-center", json!({"fields": fields}));
    tape.call(
        admin,
        "PATCH /api/sign-in-exp",
        json!({"mfa": {"factors": ["Totp"], "policy": "NoPrompt"}, "sentinelPolicy": {"maxAttempts": 2}}),
    );
    tape.call(admin, &format!("PATCH /api/users/{dora}"), json!({"username": null}));
    let role = text(&tape.call(admin, "POST /api/roles", json!({"name": "r", "description": "r"})), "id");
    let user = |path: &str| format!("/api/users/{dora}{path}");
    let both = |line: &str, bodies: [Value; 2]| bodies.map(|body| request(admin, line, body)).to_vec();
    let own = |line: &str, bodies: [Value; 2]| {
        bodies.map(|body| request(token, line, body).with_header("logto-verification-id", proof.as_str())).to_vec()
    };
    let same = |body: Value| [body.clone(), body];
    tape.together(both("POST /api/users", same(json!({"username": "eve"}))));
    tape.together(both(&format!("POST {}", user("/roles")), same(json!({"roleIds": [role]}))));
    tape.together(both(&format!("POST {}", user("/personal-access-tokens")), same(json!({"name": "t"}))));
    tape.together(both(&format!("PATCH {}", user("/custom-data")), [json!({"customData": {"a": 1}}), json!({"customData": {"b": 2}})]));
    tape.together(vec![
        request(admin, &format!("PUT {}", user("/identities/x")), json!({"userId": "1"})),
        request(admin, &format!("PUT /api/users/{finn}/identities/x"), json!({"userId": "1"})),
    ]);
    tape.together(own("PATCH /api/my-account", [json!({"name": "D"}), json!({"avatar": "https://example.com/d.png"})]));
    tape.together(own(
        "POST /api/my-account/mfa-verifications",
        same(json!({"type": "Totp", "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"})),
    ));
    let give_up = |line: &str| own(line, same(Value::Null)).remove(0);
    tape.together(vec![give_up("DELETE /api/my-account/primary-phone"), give_up("DELETE /api/my-account/primary-email")]);
    let given = format!("POST /api/users/{finn}/mfa-verifications");
    tape.together(both(&given, same(json!({"type": "Totp"}))));
    tape.together(own("POST /api/verifications/password", same(json!({"password": "wrong"}))));
    let subject = text(&tape.call(admin, "POST /api/subject-tokens", json!({"userId": finn})), "subjectToken");
    let fields = [("grant_type", EXCHANGE), ("subject_token", &subject), ("subject_token_type", TYPE), ("scope", "openid")];
    let mut exchange = Request::new("POST", "/oidc/token")
        .with_header("content-type", "application/x-www-form-urlencoded")
        .with_header("authorization", format!("Basic {}", STANDARD.encode(format!("{}:{}", app.0, app.1))));
    exchange.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
    tape.together(vec![exchange.clone(), exchange]);
    race_limits(tape, admin, token);
    for user in [dora, finn] {
        tape.call(admin, &format!("GET /api/users/{user}"), Value::Null);
    }
}

/// Codes asked for and given together when one more is allowed.
fn race_limits(tape: &mut Tape, admin: &str, token: &str) {
    let mail = json!({"connectorId": "http-email", "config": {"endpoint": "http://127.0.0.1:9/mail"}});
    tape.call(admin, "POST /api/connectors", mail);
    tape.call(admin, "PATCH /api/sign-in-exp", json!({"verificationCodePolicy": {"maxRetryAttempts": 1}}));
    let identifier = json!({"type": "email", "value": "gina@example.com"});
    let send = || request(token, "POST /api/verifications/verification-code", json!({"identifier": identifier}));
    let records: Vec<Value> = (0..9).map(|_| tape.send(send())).collect();
    tape.together(vec![send(), send()]);
    let wrong = json!({"identifier": identifier, "verificationId": text(&records[8], "verificationRecordId"), "code": "none"});
    tape.together(vec![request(token, "POST /api/verifications/verification-code/verify", wrong); 2]);
}

/// Somebody with second factors signs in: without one, with a backup code, with the same once more. The application is returned.
fn sign_ins(tape: &mut Tape, admin: &str) -> String {
    let metadata = json!({"redirectUris": ["http://127.0.0.1:9/back"], "postLogoutRedirectUris": []});
    let body = json!({"name": "page", "type": "Traditional", "oidcClientMetadata": metadata});
    let app = text(&tape.call(admin, "POST /api/applications", body), "id");
    let fay = text(&tape.call(admin, "POST /api/users", json!({"username": "fay", "password": PASSWORD})), "id");
    tape.call(admin, "PATCH /api/sign-in-exp", json!({"mfa": {"factors": ["Totp", "WebAuthn", "BackupCode"], "policy": "NoPrompt"}}));
    let codes: Vec<String> = (0..10).map(|number| format!("{number:010}")).collect();
    for factor in [json!({"type": "Totp"}), json!({"type": "BackupCode", "codes": codes})] {
        tape.call(admin, &format!("POST /api/users/{fay}/mfa-verifications"), factor);
    }
    for code in ["", "0000000003", "0000000003"] {
        sign_in(tape, &app, "fay", |send| {
            send("POST /api/experience/verification/backup-code/verify", json!({"code": code}));
        });
    }
    app
}

/// Signs a user in; `prove` shows a second factor.
fn sign_in(tape: &mut Tape, app: &str, username: &str, prove: impl Fn(&mut dyn FnMut(&str, Value) -> Value)) {
    let fields = "response_type=code&scope=openid&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback";
    tape.send(Request::new("GET", format!("/oidc/auth?client_id={app}&{fields}")));
    let begun = tape.answers.last().unwrap().1.header("set-cookie").unwrap().to_owned();
    let mut send = |line: &str, body: Value| tape.send(request("", line, body).with_header("cookie", begun.split(';').next().unwrap()));
    send("PUT /api/experience", json!({"interactionEvent": "SignIn"}));
    let body = json!({"identifier": {"type": "username", "value": username}, "password": PASSWORD});
    let proof = send("POST /api/experience/verification/password", body);
    send("POST /api/experience/identification", json!({"verificationId": proof["verificationId"]}));
    prove(&mut send);
    send("POST /api/experience/submit", Value::Null);
}

/// The attestation of a passkey `lcpk` that has no secret key.
const ATTESTATION: &str = "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YViIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABFAAAAAAAAAAAAAAAAAAAAAAAAAAAABGxjcGulAQIDJiABIVggAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEiWCABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ";

/// Somebody adds a passkey, and signs in with an answer that nobody has signed.
fn passkey(tape: &mut Tape, token: &str, proof: &str, app: &str) {
    let options = tape.call(token, "POST /api/verifications/web-authn/registration", Value::Null);
    let said = |kind: &str, challenge: &Value| {
        URL_SAFE_NO_PAD.encode(json!({"type": kind, "challenge": challenge, "origin": "http://localhost"}).to_string())
    };
    let answer = |response: Value| json!({"type": "WebAuthn", "id": "bGNwaw", "rawId": "bGNwaw", "response": response, "clientExtensionResults": {}});
    let made =
        json!({"clientDataJSON": said("webauthn.create", &options["registrationOptions"]["challenge"]), "attestationObject": ATTESTATION});
    let record = text(&options, "verificationRecordId");
    let body = json!({"verificationRecordId": record, "payload": answer(made)});
    tape.send(request(token, "POST /api/verifications/web-authn/registration/verify", body).with_header("origin", "http://localhost"));
    let factor = json!({"type": "WebAuthn", "newIdentifierVerificationRecordId": record});
    tape.proven(token, proof, "POST /api/my-account/mfa-verifications", factor);
    tape.call(token, "GET /api/my-account/mfa-verifications", Value::Null);
    sign_in(tape, app, "gus", |send| {
        let asked = send("POST /api/experience/verification/web-authn/authentication", Value::Null);
        let used = json!({"clientDataJSON": said("webauthn.get", &json!("another")), "authenticatorData": "AA", "signature": "AA"});
        let body = json!({"verificationId": asked["verificationId"], "payload": answer(used)});
        send("POST /api/experience/verification/web-authn/authentication/verify", body);
    });
    tape.call(token, "GET /api/my-account/mfa-verifications", Value::Null);
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("missing").to_owned()
}

/// Exercises every operation, accepted and refused, and looks at what became of it.
fn exercise(tape: &mut Tape) {
    let all = "openid profile email phone address custom_data identities";
    let management = [("grant_type", "client_credentials"), ("resource", "https://default.logto.app/api"), ("scope", "all")];
    let scopeless = tape.token(("admin", "secret"), &management[..2]);
    let admin = &tape.token(("admin", "secret"), &management);
    let mut application = |body: Value| {
        let id = text(&tape.call(admin, "POST /api/applications", body), "id");
        let secret = text(&tape.call(admin, &format!("GET /api/applications/{id}/secrets"), Value::Null)[0], "value");
        (id, secret)
    };
    let first = application(json!({"name": "first", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": true}}));
    // An application that is gone counts as third-party, and needs no browser for its tokens.
    let second = application(json!({"name": "second", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": true}}));
    let (first, second) = ((first.0.as_str(), first.1.as_str()), (second.0.as_str(), second.1.as_str()));
    let center = |tape: &mut Tape, body: Value| {
        tape.call(admin, "PATCH /api/account-center", body);
        tape.call(admin, "GET /api/account-center", Value::Null);
    };
    let ann = &text(
        &tape.call(admin, "POST /api/users", json!({"username": "ann", "password": PASSWORD, "name": "Ann", "primaryEmail": "Ann@Example.com", "customData": {"a": {"b": 1}}, "profile": {"nickname": "A", "givenName": "Ann", "address": {"country": "IT", "locality": "Rome"}}})),
        "id",
    );
    let bob = &text(&tape.call(admin, "POST /api/users", json!({"username": "bob", "password": PASSWORD})), "id");
    tape.call(admin, "POST /api/users", json!({"username": "ann"}));
    tape.call(admin, "POST /api/users", json!({"username": "a b"}));
    let read = |tape: &mut Tape, user: &str| tape.call(admin, &format!("GET /api/users/{user}"), Value::Null);
    read(tape, ann);
    let wide = &tape.exchange(admin, first, ann, all);
    let narrow = &tape.exchange(admin, first, ann, "openid profile");
    let closed = &tape.exchange(admin, first, ann, "profile");
    let other = &tape.exchange(admin, first, bob, all);
    let foreign = &tape.exchange(admin, second, bob, all);
    tape.call(admin, &format!("DELETE /api/applications/{}", second.0), Value::Null);
    let own = |tape: &mut Tape, token: &str| tape.call(token, "GET /api/my-account", Value::Null);
    own(tape, wide);
    let edit = json!({"name": "Edit", "avatar": "Edit", "profile": "Edit", "email": "Edit", "phone": "Edit", "password": "Edit", "username": "Edit", "customData": "Edit"});
    center(tape, json!({"enabled": true, "fields": {"mfa": "Edit", "name": "ReadOnly"}, "deleteAccountUrl": "https://example.com/leave"}));
    let whole = |tape: &mut Tape, token: &str, body: Value| {
        tape.call(token, "PATCH /api/my-account", body);
        tape.call(admin, &format!("GET /api/users/{ann}"), Value::Null);
        tape.call(admin, &format!("GET /api/users/{bob}"), Value::Null);
    };
    whole(tape, wide, json!({"name": "Not editable"}));
    tape.call(wide, "PATCH /api/my-account/profile", json!({"nickname": "Not editable"}));
    tape.call(wide, "POST /api/my-account/password", json!({"password": "Not-Editable-4711"}));
    tape.call(wide, "GET /api/my-account/mfa-settings", Value::Null);
    tape.call(narrow, "GET /api/my-account/mfa-settings", Value::Null);
    center(tape, json!({"fields": edit}));
    tape.call(wide, "GET /api/my-account/mfa-settings", Value::Null);
    center(tape, json!({}));
    center(tape, json!({"customCss": "x", "profileFields": [{"name": "a"}, {"name": "a"}]}));
    tape.call(&scopeless, "GET /api/account-center", Value::Null);
    tape.call(&scopeless, "PATCH /api/account-center", json!({"customCss": "y"}));
    for token in [wide, narrow, closed, other, "garbage", admin] {
        own(tape, token);
    }
    tape.clock.advance(1000);
    for body in
        [json!({"name": "Änn"}), json!({"name": null}), json!({"customData": {"c": 2}}), json!({}), json!({"name": "x".repeat(129)})]
    {
        whole(tape, wide, body);
    }
    whole(tape, narrow, json!({"customData": {"d": 3}}));
    whole(tape, foreign, json!({"name": "Third"}));
    tape.call(foreign, "POST /api/verifications/web-authn/registration", Value::Null);
    whole(tape, wide, json!({"username": "ann2"}));
    tape.proven(wide, "made-up", "PATCH /api/my-account", json!({"username": "ann3"}));
    for body in [json!({"nickname": "B"}), json!({"address": {"region": "Lazio"}})] {
        tape.call(wide, "PATCH /api/my-account/profile", body);
        read(tape, ann);
    }
    tape.call(narrow, "PATCH /api/my-account/profile", json!({"address": {"country": "FR"}}));
    tape.call(admin, "PATCH /api/my-account/profile", json!({"nickname": "M"}));
    let record = |tape: &mut Tape, token: &str, password: &str| {
        text(&tape.call(token, "POST /api/verifications/password", json!({"password": password})), "verificationRecordId")
    };
    record(tape, wide, "wrong");
    tape.call(wide, "POST /api/verifications/password", json!([1]));
    let proof = &record(tape, wide, PASSWORD);
    let theirs = &record(tape, other, PASSWORD);
    let password = |tape: &mut Tape, proof: &str, password: &str| {
        tape.proven(wide, proof, "POST /api/my-account/password", json!({"password": password}))
    };
    password(tape, theirs, "Foreign-Proof-1414");
    password(tape, proof, "aaa");
    password(tape, proof, "Brisk-Meadow-0815");
    password(tape, proof, "Brisk-Meadow-0815");
    own(tape, wide);
    record(tape, wide, PASSWORD);
    tape.proven(wide, proof, "PATCH /api/my-account", json!({"username": "ann4"}));
    let update = |tape: &mut Tape, token: &str, body: Value| {
        tape.call(token, &format!("PATCH /api/users/{bob}"), body);
        tape.call(admin, &format!("GET /api/users/{bob}"), Value::Null);
        tape.call(admin, &format!("GET /api/users/{ann}"), Value::Null);
    };
    for body in [
        json!({"name": "Bob"}),
        json!({"name": "x".repeat(128)}),
        json!({"avatar": ""}),
        json!({"avatar": format!("https://example.com/{}", "x".repeat(2028))}),
        json!({"avatar": null}),
        json!({"profile": {"nickname": "B"}}),
        json!({"profile": {"givenName": "Bob"}}),
        json!({"username": "ann4", "name": "Taken"}),
        json!({"primaryEmail": "ann@example.com"}),
    ] {
        update(tape, admin, body);
    }
    tape.call(other, &format!("GET /api/users/{ann}"), Value::Null);
    let suspend = |tape: &mut Tape, token: &str, flag: bool| {
        tape.call(token, &format!("PATCH /api/users/{bob}/is-suspended"), json!({"isSuspended": flag}))
    };
    suspend(tape, wide, true);
    suspend(tape, admin, true);
    for token in [wide, other] {
        own(tape, token);
    }
    update(tape, admin, json!({"name": "Suspended"}));
    suspend(tape, admin, true);
    tape.exchange(admin, first, bob, all);
    suspend(tape, admin, false);
    own(tape, other);
    tape.call(admin, "PATCH /api/users/nobody/is-suspended", json!({"isSuspended": true}));
    let subject = text(&tape.call(admin, "POST /api/subject-tokens", json!({"userId": bob})), "subjectToken");
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject.as_str()),
        ("subject_token_type", TYPE),
        ("scope", "openid"),
        ("resource", "nope"),
    ];
    let exchanged: Vec<String> = [&fields[..], &fields[..4], &fields[..4]].into_iter().map(|fields| tape.token(first, fields)).collect();
    tape.call(&exchanged[1], "GET /api/my-account/mfa-settings", Value::Null);
    let bearer = Request::new("POST", "/api/subject-tokens").with_header("authorization", format!("bearer {admin}"));
    tape.send(bearer.with_json(&json!({"userId": bob})));
    let old = text(&tape.call(admin, "POST /api/subject-tokens", json!({"userId": ann})), "subjectToken");
    tape.clock.advance(590_000);
    tape.token(first, &[("grant_type", EXCHANGE), ("subject_token", &old), ("subject_token_type", TYPE), ("scope", "openid")]);
    for failures in 0..3 {
        tape.call(admin, "PATCH /api/sign-in-exp", json!({"sentinelPolicy": {"maxAttempts": 4}}));
        record(tape, wide, &format!("wrong {failures}"));
    }
    tape.clock.advance(20_000);
    password(tape, proof, "Silver-Lantern-2718");
    for user in [bob.as_str(), "nobody"] {
        tape.call(admin, &format!("DELETE /api/users/{user}"), Value::Null);
        read(tape, user);
    }
    own(tape, &exchanged[1]);
    tape.call(admin, "POST /api/users", json!({"username": "bob"}));
    tape.send(Request::new("PUT", "/api/account-center"));
    for (method, path) in [
        ("GET", "/api/roles"),
        ("GET", "/api/applications"),
        ("GET", PUBLISHED_AT),
        ("GET", "/api/roles/nobody"),
        ("GET", "/api/configs/cimd"),
    ] {
        tape.send(Request::new(method, path));
        for token in [admin, wide, &scopeless, "garbage"] {
            tape.call(token, &format!("{method} {path}"), Value::Null);
        }
    }
    tape.call("garbage", "DELETE /api/roles/nobody", Value::Null);
    tape.call(&scopeless, "POST /api/applications", json!([]));
    // The only identifier left.
    let last = text(&tape.call(admin, "POST /api/users", json!({"username": "carl", "password": PASSWORD})), "id");
    let token = tape.exchange(admin, first, &last, all);
    let proof = record(tape, &token, PASSWORD);
    tape.proven(&token, &proof, "PATCH /api/my-account", json!({"username": null}));
    race(tape, admin, first);
    let page = sign_ins(tape, admin);
    own_parts(tape, admin, first, &page);
    parts_of_users(tape, admin);
    codes(tape, admin);
    tenant(tape, admin, first.0);
}

/// What users have besides account and password.
fn own_parts(tape: &mut Tape, admin: &str, app: (&str, &str), page: &str) {
    let fields =
        ["name", "avatar", "profile", "email", "phone", "password", "username", "social", "customData", "mfa", "passkey", "session"];
    let fields: Value = fields.iter().map(|field| ((*field).to_owned(), json!("Edit"))).collect::<serde_json::Map<_, _>>().into();
    tape.call(admin, "PATCH /api/account-center", json!({"fields": fields}));
    let body = json!({"username": "gus", "password": PASSWORD, "primaryEmail": "gus@example.com", "primaryPhone": "12025550143"});
    let gus = &text(&tape.call(admin, "POST /api/users", body), "id");
    let scopes = "openid profile email phone identities";
    let narrow = &tape.exchange(admin, app, gus, scopes);
    let token = &tape.exchange(admin, app, gus, &format!("{scopes} urn:logto:scope:sessions"));
    let proof = &text(&tape.call(token, "POST /api/verifications/password", json!({"password": PASSWORD})), "verificationRecordId");
    tape.call(admin, &format!("PUT /api/users/{gus}/identities/x"), json!({"userId": "gus"}));
    tape.call(token, "DELETE /api/my-account/primary-email", Value::Null);
    let secret = json!({"type": "Totp", "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"});
    tape.call(admin, &format!("POST /api/users/{gus}/mfa-verifications"), secret);
    let factors = tape.proven(token, proof, "GET /api/my-account/mfa-verifications", Value::Null);
    for line in [
        "DELETE /api/my-account/primary-phone",
        "DELETE /api/my-account/identities/x",
        "GET /api/my-account/identities/x/access-token",
        "GET /api/my-account/sso-identities/x/access-token",
        "GET /api/my-account/sessions",
        "GET /api/my-account/grants",
    ] {
        for (token, proof) in [(token, proof.as_str()), (token, ""), (narrow, proof.as_str())] {
            tape.proven(token, proof, line, Value::Null);
        }
    }
    tape.proven(token, proof, &format!("DELETE /api/my-account/mfa-verifications/{}", text(&factors[0], "id")), Value::Null);
    tape.call(token, "GET /api/my-account/mfa-verifications", Value::Null);
    passkey(tape, token, proof, page);
    tape.proven(token, proof, "PATCH /api/my-account/logto-configs", json!({"passkeySignIn": {"skipped": true}}));
    tape.call(token, "GET /api/my-account/logto-configs", Value::Null);
    let begun = json!({"connectorId": "nobody", "state": "s", "redirectUri": "https://example.com/back"});
    tape.call(token, "POST /api/verifications/social", begun);
    let (kind, form) =
        crate::model::multipart::write(&json!({"file": {"name": "x.png", "type": "image/png", "base64": "bm8gcGljdHVyZQ=="}}));
    let mut upload = request(token, "POST /api/my-account/user-assets/avatar", Value::Null).with_header("content-type", kind);
    upload.body = form;
    tape.send(upload);
    tape.call(admin, &format!("GET /api/users/{gus}"), Value::Null);
}

/// What administrators see and change of a user.
fn parts_of_users(tape: &mut Tape, admin: &str) {
    let body = json!({"username": "hal", "password": PASSWORD, "profile": {"nickname": "H", "givenName": "Hal"}});
    let hal = &text(&tape.call(admin, "POST /api/users", body), "id");
    let role = text(&tape.call(admin, "POST /api/roles", json!({"name": "hals", "description": "r"})), "id");
    let factor = json!({"type": "Totp", "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"});
    for (line, body) in [
        ("PATCH profile", json!({"profile": {"nickname": "I"}})),
        ("PATCH password", json!({"password": "Narrow-Window-1213"})),
        ("POST password/verify", json!({"password": "Narrow-Window-1213"})),
        ("POST password/verify", json!({"password": "wrong"})),
        ("PATCH logto-configs", json!({"mfa": {"skipped": true}})),
        ("GET logto-configs", Value::Null),
        ("GET has-password", Value::Null),
        ("PUT identities/y", json!({"userId": "hal"})),
        ("GET all-identities", Value::Null),
        ("GET sso-identities/nobody", Value::Null),
        ("GET sessions/nobody", Value::Null),
        ("DELETE sessions/nobody", Value::Null),
        ("DELETE grants/nobody", Value::Null),
        ("POST mfa-verifications", factor),
        ("POST personal-access-tokens", json!({"name": "one"})),
        ("POST personal-access-tokens", json!({"name": "two"})),
        ("PATCH personal-access-tokens/one", json!({"name": "two"})),
        ("DELETE personal-access-tokens/two", Value::Null),
        ("GET personal-access-tokens", Value::Null),
        ("POST roles", json!({"roleIds": [role]})),
        ("GET roles?page=1", Value::Null),
    ] {
        let (method, part) = line.split_once(' ').unwrap();
        tape.call(admin, &format!("{method} /api/users/{hal}/{part}"), body);
    }
    let factors = tape.call(admin, &format!("GET /api/users/{hal}/mfa-verifications"), Value::Null);
    tape.call(admin, &format!("DELETE /api/users/{hal}/mfa-verifications/{}", text(&factors[0], "id")), Value::Null);
    tape.call(admin, &format!("GET /api/users/{hal}/mfa-verifications"), Value::Null);
    tape.call(admin, &format!("DELETE /api/users/{hal}/roles/{role}"), Value::Null);
    tape.call(admin, &format!("GET /api/users/{hal}/roles?page=1"), Value::Null);
    tape.call(admin, &format!("GET /api/users/{hal}"), Value::Null);
    tape.call(admin, "GET /api/users/nobody/organizations", Value::Null);
    tape.call(admin, "GET /api/users?page=1", Value::Null);
    let open = tape.answers.iter().filter_map(|(line, answer)| line.starts_with("POST /oidc/token").then(|| answer.json()).flatten());
    let user = open.filter_map(|body| body["access_token"].as_str().filter(|text| !text.contains('.')).map(str::to_owned)).next_back();
    let user = user.unwrap_or_default();
    tape.call(&user, &format!("GET /api/users/{hal}/has-password"), Value::Null);
    tape.call(&user, "GET /api/sign-in-exp", Value::Null);
}

/// Codes and tokens that are good once, and the end of a lock-out.
fn codes(tape: &mut Tape, admin: &str) {
    tape.call(admin, "POST /api/verification-codes", json!({"email": "ida@example.com"}));
    tape.call(admin, "POST /api/verification-codes/verify", json!({"email": "ida@example.com", "verificationCode": "none"}));
    let once = |tape: &mut Tape| {
        let made = tape.call(admin, "POST /api/one-time-tokens", json!({"email": "ida@example.com"}));
        (text(&made, "id"), text(&made, "token"))
    };
    let (first, second) = (once(tape), once(tape));
    for email in ["jon@example.com", "ida@example.com", "ida@example.com"] {
        tape.call(admin, "POST /api/one-time-tokens/verify", json!({"token": first.1, "email": email}));
    }
    tape.call(admin, &format!("DELETE /api/one-time-tokens/{}", second.0), Value::Null);
    tape.call(admin, &format!("GET /api/one-time-tokens/{}", second.0), Value::Null);
    let kim = &text(&tape.call(admin, "POST /api/users", json!({"username": "kim", "password": PASSWORD})), "id");
    let app = tape.answers.iter().find_map(|(line, answer)| line.starts_with("POST /api/applications ").then(|| answer.json())?);
    let id = text(app.unwrap_or_default(), "id");
    let secret = text(&tape.call(admin, &format!("GET /api/applications/{id}/secrets"), Value::Null)[0], "value");
    let token = &tape.exchange(admin, (&id, &secret), kim, "openid");
    for password in ["wrong", "wronger", PASSWORD] {
        tape.call(token, "POST /api/verifications/password", json!({"password": password}));
    }
    tape.call(admin, "POST /api/sentinel-activities/delete", json!({"targetType": "User", "targets": [kim]}));
    tape.call(token, "POST /api/verifications/password", json!({"password": PASSWORD}));
}

/// What belongs to the tenant.
fn tenant(tape: &mut Tape, admin: &str, application: &str) {
    let of = |part: &str| format!("/api/applications/{application}{part}");
    tape.call(admin, &format!("PATCH {}", of("")), json!({"description": "changed"}));
    tape.call(admin, &format!("GET {}", of("")), Value::Null);
    for (method, part) in [("POST", "/secrets"), ("POST", "/secrets"), ("DELETE", "/secrets/s"), ("GET", "/secrets")] {
        tape.call(admin, &format!("{method} {}", of(part)), if method == "POST" { json!({"name": "s"}) } else { Value::Null });
    }
    tape.call(admin, "DELETE /api/secrets/nobody", Value::Null);
    let mut make = |line: &str, body: Value| text(&tape.call(admin, &format!("POST /api/{line}"), body), "id");
    let role = make("roles", json!({"name": "keeper", "description": "before"}));
    make("roles", json!({"name": "keeper", "description": "twice"}));
    let plain = make("applications", json!({"name": "third", "type": "Traditional"}));
    let foreign = json!({"name": "foreign", "type": "Traditional", "isThirdParty": true, "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}});
    let foreign = make("applications", foreign);
    let organization = make("organizations", json!({"name": "o", "customData": {"a": 1}}));
    let member = make("users", json!({"username": "leo"}));
    let scope = make("organization-scopes", json!({"name": "read"}));
    make("organization-scopes", json!({"name": "write"}));
    let resource = make("resources", json!({"name": "r", "indicator": "urn:r"}));
    make("resources", json!([]));
    let connector = json!({"connectorId": "oauth2", "metadata": {"target": "twice", "name": {"en": "T"}}});
    make("connectors", connector.clone());
    make("connectors", connector);
    make("sso-connectors", json!({"providerName": "OIDC", "connectorName": "c", "domains": ["example.com", "example.com"]}));
    make("sign-in-exp/default/check-password", json!({"password": "a", "userId": member}));
    let field = json!({"name": "motto", "type": "Text", "required": false});
    make("custom-profile-fields", field.clone());
    make("custom-profile-fields", field);
    for (line, body) in [
        (format!("PATCH /api/roles/{role}"), json!({"description": "after"})),
        (format!("GET /api/roles/{role}"), Value::Null),
        (format!("GET /api/applications/{plain}"), Value::Null),
        (format!("PATCH /api/organizations/{organization}"), json!({"customData": {"b": 2}})),
        (format!("POST /api/organizations/{organization}/users"), json!({"userIds": [member]})),
        (format!("GET /api/organizations/{organization}/users?page=1"), Value::Null),
        (format!("PATCH /api/organization-scopes/{scope}"), json!({"name": "write"})),
        (format!("GET /api/resources/{resource}"), Value::Null),
        ("GET /api/resources?page=1".to_owned(), Value::Null),
        (format!("GET /api/applications/{foreign}/users/{member}/consent-organizations"), Value::Null),
        (format!("DELETE /api/resources/{resource}"), Value::Null),
        (format!("GET /api/organizations/{organization}"), Value::Null),
        (format!("GET /api/resources/{resource}"), Value::Null),
        ("GET /api/sso-connectors/nobody".to_owned(), Value::Null),
        ("DELETE /api/custom-profile-fields/motto".to_owned(), Value::Null),
        ("GET /api/custom-profile-fields/motto".to_owned(), Value::Null),
    ] {
        tape.call(admin, &line, body);
    }
}

#[test]
fn every_fault_shows() {
    let mut tape = Tape::new(Vec::new());
    exercise(&mut tape);
    let conforming = Arc::new(tape.answers);
    let is_silent = |faults: Vec<Fault>| {
        let mut tape = Tape { conforming: Some(Arc::clone(&conforming)), ..Tape::new(faults) };
        let ended = catch_unwind(AssertUnwindSafe(|| exercise(&mut tape)));
        ended.map_or_else(|why| if why.is::<Departed>() { false } else { resume_unwind(why) }, |()| true)
    };
    assert!(is_silent(Vec::new()), "the same seed and clock give the same answers");
    let catalogue = Fault::catalogue().unwrap();
    let silent: Vec<String> = catalogue.into_iter().filter(|fault| is_silent(vec![fault.clone()])).map(|fault| fault.id).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn the_catalogue_is_in_order() {
    let mut contract = Contract::embedded(Version::NEWEST).unwrap();
    publish(&mut contract).unwrap();
    let faults = Fault::catalogue().unwrap();
    let distinct = |key: fn(&Fault) -> &str| faults.iter().map(key).collect::<BTreeSet<_>>().len();
    assert_eq!(distinct(|fault| &fault.id), faults.len());
    assert!(faults.len() >= 100);
    assert!(faults.iter().filter(|fault| fault.is_below_model()).count() >= 40);
    for fault in &faults {
        fault.apply(&mut contract.clone()).unwrap_or_else(|error| panic!("{error}"));
        assert!(fault.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", fault.id);
        assert!(fault.what.ends_with('.'), "{}", fault.id);
        let requirement = contract.requirement(&fault.requirement).unwrap();
        assert_eq!(requirement.level, fault.level, "{}", fault.id);
        let operation = contract.operation(&fault.operation).unwrap();
        assert!(
            operation.requirements.contains(&fault.requirement) || fault.requirement.starts_with("GEN-"),
            "{}: {}",
            fault.id,
            fault.requirement
        );
    }
}

/// What an operation is about: the first part of its path, and for what belongs to a user the next one as well.
fn group(path: &str) -> String {
    let parts: Vec<&str> = path.trim_start_matches("/api/").split('/').filter(|part| !part.is_empty() && !part.starts_with('{')).collect();
    let depth = if ["my-account", "users", "verifications"].contains(&parts[0]) { 2 } else { 1 };
    parts.into_iter().take(depth).collect::<Vec<_>>().join("/")
}

#[test]
fn faults_are_of_every_class_and_in_every_part_of_both_collections() {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let faults = Fault::catalogue().unwrap();
    let missing: Vec<FaultClass> = FaultClass::ALL.into_iter().filter(|class| !faults.iter().any(|fault| fault.class == *class)).collect();
    assert_eq!(missing, []);
    let about: BTreeSet<String> =
        faults.iter().filter_map(|fault| contract.operation(&fault.operation)).map(|operation| group(&operation.path)).collect();
    let parts: BTreeSet<String> = contract.operations.iter().map(|operation| group(&operation.path)).collect();
    assert_eq!(parts.difference(&about).collect::<Vec<_>>(), Vec::<&String>::new());
    for part in ["my-account/grants", "users/personal-access-tokens", "users/sso-identities", "sso-connectors", "secrets", "oidc"] {
        assert!(parts.contains(part), "{part}: {parts:?}");
    }
}

#[test]
fn a_wrong_name_is_answered_with_the_nearest() {
    let error = Fault::named("record-used-upp").unwrap_err();
    assert_eq!(error.to_string(), "`record-used-upp` is no fault of the catalogue; did you mean `record-used-up`?");
    let mut fault = Fault::named("third-party-may-write").unwrap();
    let old = Contract::embedded(Version { major: 1, minor: 42 }).unwrap();
    assert!(fault.apply(&mut old.clone()).unwrap_err().to_string().contains("contract 1.42: there is no requirement `ACC-PARTY-01`"));
    let newest = Contract::embedded(Version::NEWEST).unwrap();
    fault.operation = "UpdateProfil".into();
    assert!(fault.apply(&mut newest.clone()).unwrap_err().to_string().contains("did you mean `UpdateProfile`?"));
}
