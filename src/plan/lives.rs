//! Sequences in which time passes: tokens that die, records that outlive passwords, names that become free again.

use serde_json::{Value, json};

use super::build::Draft;
use super::endings;
use super::epoch::Need;
use super::script::{ALL_SCOPES, Client, Script, Traits, User, call_with, exchange_form, token_call};
use super::sequence::{Call, Facts, Persona, Purpose};
use crate::contract::Contract;
use crate::contract::guard::{AuthorizationRule, GuardKind};

const WITH_PASSWORD: Traits = Traits { password: true, email: true };

/// Writes one story.
type Story = fn(&mut Script<'_>);

/// All stories that the contract has the operations for.
pub fn lives<'a>(contract: &'a Contract, facts: &Facts) -> Vec<Draft<'a>> {
    let stories: [(&str, Story); 12] = [
        ("lives/suspension", suspension),
        ("lives/deletion", deletion),
        ("lives/subject-token", subject_token),
        ("lives/password", password),
        ("lives/first-password", first_password),
        ("lives/merge-and-replace", merge_and_replace),
        ("lives/identifiers", identifiers),
        ("lives/records", records),
        ("lives/reads", reads),
        ("lives/limits", limits),
        ("lives/grants", endings::grants),
        ("lives/one-time-tokens", endings::one_time_tokens),
    ];
    let mut drafts: Vec<Draft<'a>> =
        stories.into_iter().map(|(id, story)| Draft { id: id.into(), need: open(), alone: false, write: Box::new(story) }).collect();
    if facts.can_sign_in {
        for (id, story) in [("lives/signed-in", signed_in as Story), ("lives/sessions", endings::sessions)] {
            drafts.push(Draft { id: id.into(), need: open(), alone: false, write: Box::new(story) });
        }
    }
    let known = |id: &str| contract.operation(id).is_some();
    if !["CreateUser", "GetUser", "UpdateUser", "DeleteUser", "UpdateUserIsSuspended", "GetProfile", "UpdateProfile"]
        .iter()
        .all(|id| known(id))
    {
        drafts.clear();
    }
    drafts
}

/// The account center on, and every field that the stories write at Edit.
pub(super) fn open() -> Need {
    let fields = ["name", "avatar", "username", "customData", "profile", "password", "email", "phone", "social", "session"];
    Need {
        enabled: Some(true),
        levels: fields.iter().map(|field| ((*field).to_owned(), Some("Edit".to_owned()))).collect(),
        ..Need::default()
    }
}

pub(super) fn as_user(
    script: &mut Script<'_>,
    persona: Persona,
    label: &str,
    operation: &str,
    token: &str,
    record: Option<&str>,
    body: Option<&Value>,
) -> usize {
    let Some(known) = script.contract().operation(operation) else { return script.last() };
    let mut call = call_with(operation, known.method.clone(), known.path.clone(), &format!("Bearer {token}"), body);
    if let Some(record) = record {
        call.headers.push(("logto-verification-id".into(), record.to_owned()));
    }
    script.call(persona, Purpose::Probe(label.into()), call, &[]);
    script.last()
}

pub(super) fn as_admin(script: &mut Script<'_>, label: &str, operation: &str, user: User, body: Option<&Value>) -> usize {
    let Some(known) = script.contract().operation(operation) else { return script.last() };
    let target = known.path.replace("{userId}", &user.id());
    let call = script.admin_call(operation, target, body);
    script.call(Persona::Admin, Purpose::Probe(label.into()), call, &[]);
    script.last()
}

/// Every Account API operation with a token that should be dead.
fn dead(script: &mut Script<'_>, label: &str, token: &str) {
    let contract = script.contract();
    for operation in &contract.operations {
        if !operation.guards.iter().any(|guard| guard.kind == GuardKind::Authorization(AuthorizationRule::UserToken)) {
            continue;
        }
        let case = operation.cases.values().find_map(|case| case.body.clone());
        let body =
            case.map(|body| if body.to_string().contains("{{") { json!({"name": "lc", "password": "lc-wrong-password"}) } else { body });
        let call = call_with(&operation.id, operation.method.clone(), operation.path.clone(), &format!("Bearer {token}"), body.as_ref());
        script.call(Persona::DeadToken, Purpose::Probe(label.into()), call, &[]);
    }
}

fn exchange(script: &mut Script<'_>, label: &str, subject: &str) -> usize {
    script.call(Persona::Admin, Purpose::Probe(label.into()), token_call(&exchange_form(subject, ALL_SCOPES)), &[]);
    script.last()
}

fn suspension(script: &mut Script<'_>) {
    let user = script.user(WITH_PASSWORD);
    let token = script.token(user, ALL_SCOPES, Client::First);
    let other = script.user(Traits::default());
    let bystander = script.token(other, ALL_SCOPES, Client::First);
    as_user(script, Persona::User, "before suspension", "GetProfile", &token, None, None);
    let of = as_admin(script, "suspend", "UpdateUserIsSuspended", user, Some(&json!({"isSuspended": true})));
    script.look(user, of);
    dead(script, "token of a suspended user", &token);
    let subject = script.subject_token(user);
    exchange(script, "exchange for a suspended user", &subject);
    as_user(script, Persona::OtherUser, "others are not touched", "GetProfile", &bystander, None, None);
    let of = as_admin(script, "a change does not restore", "UpdateUser", user, Some(&json!({"name": "lc"})));
    script.look(user, of);
    as_user(script, Persona::OtherUser, "nor by a change of somebody else's name", "GetProfile", &bystander, None, None);
    as_admin(script, "suspend again", "UpdateUserIsSuspended", user, Some(&json!({"isSuspended": true})));
    let of = as_admin(script, "restore", "UpdateUserIsSuspended", user, Some(&json!({"isSuspended": false})));
    script.look(user, of);
    as_user(script, Persona::DeadToken, "old token after restoring", "GetProfile", &token, None, None);
    let token = script.fresh_token(user, ALL_SCOPES, Client::First);
    as_user(script, Persona::User, "new token after restoring", "GetProfile", &token, None, None);
}

fn deletion(script: &mut Script<'_>) {
    let user = script.user(WITH_PASSWORD);
    let token = script.token(user, ALL_SCOPES, Client::First);
    let subject = script.subject_token(user);
    as_user(script, Persona::User, "before deletion", "GetProfile", &token, None, None);
    let of = as_admin(script, "delete", "DeleteUser", user, None);
    script.look(user, of);
    dead(script, "token of a deleted user", &token);
    exchange(script, "exchange for a deleted user", &subject);
    as_admin(script, "change a deleted user", "UpdateUser", user, Some(&json!({"name": "lc"})));
    as_admin(script, "suspend a deleted user", "UpdateUserIsSuspended", user, Some(&json!({"isSuspended": true})));
    as_admin(script, "delete again", "DeleteUser", user, None);
    let body = json!({"username": user.username()});
    let call = script.admin_call("CreateUser", "/api/users".into(), Some(&body));
    script.call(Persona::Admin, Purpose::Probe("the username is free again".into()), call, &[]);
}

fn subject_token(script: &mut Script<'_>) {
    let user = script.user(Traits::default());
    let subject = script.subject_token(user);
    exchange(script, "first exchange", &subject);
    exchange(script, "second exchange of the same token", &subject);
    let again = script.subject_token(user);
    let mut refused = token_call(&exchange_form(&again, ALL_SCOPES));
    refused.headers[0].1 = "Basic {{first.wrong}}".into();
    script.call(Persona::Forged, Purpose::Probe("exchange with a wrong secret".into()), refused, &[]);
    exchange(script, "a refused exchange does not use the token up", &again);
}

fn password(script: &mut Script<'_>) {
    let user = script.user(WITH_PASSWORD);
    let old = script.password(user);
    let record = script.record(user);
    let token = script.token(user, ALL_SCOPES, Client::First);
    let new = script.new_password();
    let of =
        as_user(script, Persona::User, "change the password", "UpdatePassword", &token, Some(&record), Some(&json!({"password": new})));
    script.look(user, of);
    as_user(script, Persona::User, "the old password", "CreateVerificationByPassword", &token, None, Some(&json!({"password": old})));
    as_user(script, Persona::User, "the new password", "CreateVerificationByPassword", &token, None, Some(&json!({"password": new})));
    as_user(script, Persona::User, "the token lives on", "GetProfile", &token, None, None);
    let name = script.username();
    let of = as_user(
        script,
        Persona::User,
        "the record outlives the password",
        "UpdateProfile",
        &token,
        Some(&record),
        Some(&json!({"username": name})),
    );
    script.look(user, of);
}

fn first_password(script: &mut Script<'_>) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    as_user(script, Persona::User, "no password yet", "GetProfile", &token, None, None);
    as_user(
        script,
        Persona::User,
        "no password to prove",
        "CreateVerificationByPassword",
        &token,
        None,
        Some(&json!({"password": "lc-wrong-password"})),
    );
    let first = script.new_password();
    let of = as_user(script, Persona::User, "set the first password", "UpdatePassword", &token, None, Some(&json!({"password": first})));
    script.look(user, of);
    script.look_as_user(user, of);
    let second = script.new_password();
    as_user(script, Persona::User, "the second needs a proof", "UpdatePassword", &token, None, Some(&json!({"password": second})));
    as_user(
        script,
        Persona::User,
        "the first still counts",
        "CreateVerificationByPassword",
        &token,
        None,
        Some(&json!({"password": first})),
    );
}

fn merge_and_replace(script: &mut Script<'_>) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    for (label, body) in [
        ("a name", json!({"name": "lc", "avatar": "https://example.com/a.png"})),
        ("the name is taken back", json!({"name": null, "avatar": null})),
    ] {
        let of = as_user(script, Persona::User, label, "UpdateProfile", &token, None, Some(&body));
        script.look(user, of);
    }
    for (label, body) in [
        ("custom data", json!({"a": 1, "b": {"c": 2}})),
        ("custom data is replaced", json!({"d": [1, null, "x"]})),
        ("custom data is emptied", json!({})),
    ] {
        let of = as_user(script, Persona::User, label, "UpdateProfile", &token, None, Some(&json!({"customData": body})));
        script.look(user, of);
    }
    let changes = [
        ("claims", json!({"givenName": "A", "nickname": "B"})),
        ("claims are merged", json!({"nickname": "C", "website": ""})),
        ("the address is set", json!({"address": {"locality": "L", "country": "IT"}})),
        ("the address is replaced", json!({"address": {"country": "FR"}})),
        ("nothing changes nothing", json!({})),
    ];
    for (label, body) in changes {
        let of = as_user(script, Persona::User, label, "UpdateOtherProfile", &token, None, Some(&body));
        script.look(user, of);
    }
    for (label, body) in [
        ("profile is replaced", json!({"profile": {"givenName": "X"}})),
        ("an empty name is none", json!({"name": ""})),
        ("custom data by the administrator", json!({"customData": {"e": 5}})),
    ] {
        let of = as_admin(script, label, "UpdateUser", user, Some(&body));
        script.look_as_user(user, of);
    }
    let without_address = script.token(user, "openid profile", Client::First);
    let of = as_user(
        script,
        Persona::User,
        "the address again",
        "UpdateOtherProfile",
        &token,
        None,
        Some(&json!({"address": {"country": "DE"}})),
    );
    script.look(user, of);
    as_user(
        script,
        Persona::User,
        "a token without address sees none",
        "UpdateOtherProfile",
        &without_address,
        None,
        Some(&json!({"nickname": "D"})),
    );
}

fn identifiers(script: &mut Script<'_>) {
    let (first, second) = (script.user(WITH_PASSWORD), script.user(Traits::default()));
    let (email, phone) = (script.email(), script.phone());
    let of = as_admin(script, "e-mail and phone", "UpdateUser", first, Some(&json!({"primaryEmail": email, "primaryPhone": phone})));
    script.look(first, of);
    script.look_as_user(first, of);
    let upper = email.replace("@example.com", "@EXAMPLE.COM");
    for (label, body) in [
        ("a taken username", json!({"username": first.username()})),
        ("a taken e-mail in other letters", json!({"primaryEmail": upper})),
        ("a taken phone", json!({"primaryPhone": phone})),
    ] {
        let of = as_admin(script, label, "UpdateUser", second, Some(&body));
        script.look(second, of);
        let mut body = body;
        if body.get("username").is_none() {
            body["name"] = script.text().into();
        }
        let call = script.admin_call("CreateUser", "/api/users".into(), Some(&body));
        script.call(Persona::Admin, Purpose::Probe(format!("{label}, for a new user")), call, &[]);
    }
    let of = as_admin(script, "one's own e-mail again", "UpdateUser", first, Some(&json!({"primaryEmail": upper})));
    script.look(first, of);
    let of = as_admin(
        script,
        "the administrator may empty every identifier",
        "UpdateUser",
        first,
        Some(&json!({"primaryEmail": null, "primaryPhone": ""})),
    );
    script.look(first, of);
    let record = script.record(first);
    let token = script.token(first, ALL_SCOPES, Client::First);
    let of = as_user(
        script,
        Persona::User,
        "the last identifier stays",
        "UpdateProfile",
        &token,
        Some(&record),
        Some(&json!({"username": null})),
    );
    script.look(first, of);
}

fn records(script: &mut Script<'_>) {
    let (owner, other) = (script.user(WITH_PASSWORD), script.user(WITH_PASSWORD));
    let record = script.record(owner);
    let (own, foreign) = (script.token(owner, ALL_SCOPES, Client::First), script.token(other, ALL_SCOPES, Client::First));
    for attempt in ["the record", "the record again"] {
        let name = script.username();
        let of = as_user(script, Persona::User, attempt, "UpdateProfile", &own, Some(&record), Some(&json!({"username": name})));
        script.look(owner, of);
    }
    let name = script.username();
    let of = as_user(
        script,
        Persona::OtherUser,
        "another user's record",
        "UpdateProfile",
        &foreign,
        Some(&record),
        Some(&json!({"username": name})),
    );
    script.look(other, of);
    let junk = "x".repeat(4000);
    let name = script.username();
    let of = as_user(script, Persona::User, "a very long record id", "UpdateProfile", &own, Some(&junk), Some(&json!({"username": name})));
    script.look(owner, of);
}

/// Values at their limits, and texts of many kinds, that must come back as they were sent.
fn limits(script: &mut Script<'_>) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    let picture = format!("https://example.com/{}", "a".repeat(2048 - "https://example.com/".len()));
    let texts =
        ["n".repeat(127) + "z", "Zoë Ångström 名前 🙂".to_owned(), "مرحبا \u{202e}abc".to_owned(), "quote \" slash \\ tab \t".to_owned()];
    for text in texts {
        let of = as_user(script, Persona::User, "a text comes back as sent", "UpdateProfile", &token, None, Some(&json!({"name": text})));
        script.look(user, of);
        let of = as_user(
            script,
            Persona::User,
            "a claim comes back as sent",
            "UpdateOtherProfile",
            &token,
            None,
            Some(&json!({"nickname": text})),
        );
        script.look(user, of);
        let of =
            as_admin(script, "a text comes back as sent", "UpdateUser", user, Some(&json!({"name": text, "customData": {"text": text}})));
        script.look(user, of);
    }
    let of =
        as_user(script, Persona::User, "the longest picture address", "UpdateProfile", &token, None, Some(&json!({"avatar": picture})));
    script.look(user, of);
    let of = as_admin(script, "the longest picture address", "UpdateUser", user, Some(&json!({"avatar": picture})));
    script.look(user, of);
    let deep =
        json!({"numbers": [0, -1, 1.5, 1e21, 12_345_678_901_234_567_i64], "deep": {"a": {"b": [{"c": [true, null]}]}}, "": "empty key"});
    let of = as_user(script, Persona::User, "nested custom data", "UpdateProfile", &token, None, Some(&json!({"customData": deep})));
    script.look(user, of);
    let id = script.symbol("made");
    let body = json!({"primaryEmail": script.email().replace("lc_", "LC_"), "name": "n".repeat(128), "username": script.username()});
    let call = script.admin_call("CreateUser", "/api/users".into(), Some(&body));
    script.call(Persona::Admin, Purpose::Probe("an e-mail keeps its letters".into()), call, &[(&id, "/id")]);
    let of = script.last();
    let look = script.admin_call("GetUser", format!("/api/users/{{{{{id}}}}}"), None);
    script.call(Persona::Admin, Purpose::Look(of), look, &[]);
}

/// What each scope opens, and reads that change nothing.
fn reads(script: &mut Script<'_>) {
    let user = script.user(WITH_PASSWORD);
    as_admin(
        script,
        "something to see",
        "UpdateUser",
        user,
        Some(&json!({"name": "lc", "customData": {"a": 1}, "profile": {"nickname": "n", "address": {"country": "IT"}}})),
    );
    let whole = script.token(user, ALL_SCOPES, Client::First);
    for (label, headers) in [("with an origin", ("origin", "https://app.example.com")), ("in another language", ("accept-language", "de"))]
    {
        let mut call = call_with("GetProfile", "GET".into(), "/api/my-account".into(), &format!("Bearer {whole}"), None);
        call.headers.push((headers.0.into(), headers.1.into()));
        script.call(Persona::User, Purpose::Probe(label.into()), call, &[]);
    }
    for scope in ALL_SCOPES.split(' ') {
        let scopes = if scope == "openid" { scope.to_owned() } else { format!("openid {scope}") };
        let token = script.token(user, &scopes, Client::First);
        as_user(script, Persona::User, &format!("with {scopes}"), "GetProfile", &token, None, None);
    }
    let call = Call {
        operation: Some("GetProfile".into()),
        method: "GET".into(),
        target: "/api/My-Account/".into(),
        headers: vec![("authorization".into(), format!("Bearer {whole}"))],
        body: None,
        body_base64: None,
    };
    script.call(Persona::User, Purpose::Probe("other letter case and a trailing slash".into()), call, &[]);
}

/// Tokens of a sign-in: a third-party application reads but does not write; an ID token opens nothing.
fn signed_in(script: &mut Script<'_>) {
    let user = script.user(WITH_PASSWORD);
    let third = script.token(user, ALL_SCOPES, Client::Third);
    as_user(script, Persona::ThirdPartyUser, "a third-party application reads", "GetProfile", &third, None, None);
    let of = as_user(
        script,
        Persona::ThirdPartyUser,
        "a third-party application does not write",
        "UpdateProfile",
        &third,
        None,
        Some(&json!({"name": "lc"})),
    );
    script.look(user, of);
    let first = script.token(user, ALL_SCOPES, Client::FirstBySignIn);
    as_user(script, Persona::User, "token of a sign-in", "GetProfile", &first, None, None);
    let id_token = first.replace("}}", ".id}}");
    for operation in ["GetProfile", "GetMfaSettings"] {
        as_user(script, Persona::IdToken, "an ID token", operation, &id_token, None, None);
    }
    let call = call_with("GetUser", "GET".into(), format!("/api/users/{}", user.id()), &format!("Bearer {id_token}"), None);
    script.call(Persona::IdToken, Purpose::Probe("an ID token".into()), call, &[]);
    as_admin(script, "suspend", "UpdateUserIsSuspended", user, Some(&json!({"isSuspended": true})));
    as_user(script, Persona::DeadToken, "signed-in token of a suspended user", "GetProfile", &first, None, None);
    as_user(script, Persona::DeadToken, "third-party token of a suspended user", "GetProfile", &third, None, None);
}
