//! The ways to break each guard kind: what to change in an accepted request so that exactly this guard refuses it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::probe::{Credential, Identifier, Payload, Probe, Proof, Who};
use super::script::Client;
use crate::contract::Given;
use crate::contract::entity::Owner;
use crate::contract::guard::{
    AuthorizationRule, BodyShape, ClientRule, Guard, GuardKind, MessageRule, Place, SentCodeRule, ValueRef, When,
};

/// A signed token that nobody issued.
pub const FORGED_TOKEN: &str = "Bearer eyJhbGciOiJFUzM4NCIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJmb3JnZWQiLCJzY29wZSI6ImFsbCIsImF1ZCI6Imh0dHBzOi8vZGVmYXVsdC5sb2d0by5hcHAvYXBpIn0.Zm9yZ2Vk";

/// An id that nothing on a deployment has.
pub const UNUSED_ID: &str = "lcnosuchobject";

/// One that is too long to be an id.
pub const OVERLONG_ID: &str = "lcnosuchobjectwithalongid";

/// Spoiled copies of a request, each with what was done to it. The first one is the plainest.
pub fn break_guard<'a>(guard: &Guard, accepted: &Probe<'a>) -> Vec<Probe<'a>> {
    let mut base = accepted.clone();
    if let Some(when) = &guard.when {
        bring_about(when, &mut base);
        // What only another kind of body can break is for the cases with such a body.
        if accepted.fits() && !base.fits() {
            return Vec::new();
        }
    }
    let mut spoiled = Vec::new();
    let mut add = |label: &str, change: &dyn Fn(&mut Probe<'a>)| {
        let mut probe = base.clone();
        change(&mut probe);
        probe.label = format!("{}: {label}", accepted.label);
        spoiled.push(probe);
    };
    let header = |text: &str| Credential::Header(text.to_owned());
    match &guard.kind {
        GuardKind::Authorization(AuthorizationRule::Present) | GuardKind::Client(ClientRule::Presented) => {
            add("no credentials", &|probe| {
                probe.credential = Credential::None;
                probe.remove("client_id");
            });
        }
        GuardKind::Authorization(AuthorizationRule::Bearer) => {
            add("Basic credentials", &|probe| probe.credential = header("Basic bGM6bGM="));
            if base.by_user() {
                add("scheme in lower case", &|probe| probe.credential = Credential::LowerCase);
            } else {
                add("scheme in lower case", &|probe| probe.credential = header("bearer {{admin.token}}"));
            }
        }
        GuardKind::Authorization(AuthorizationRule::UserToken) => {
            add("made-up token", &|probe| probe.credential = header("Bearer lc-no-such-token"));
            add("forged signed token", &|probe| probe.credential = header(FORGED_TOKEN));
            add("management token", &|probe| probe.credential = header("Bearer {{admin.token}}"));
            add("empty token", &|probe| probe.credential = header("Bearer "));
        }
        GuardKind::Authorization(AuthorizationRule::ManagementToken) => {
            add("token of a user", &|probe| probe.credential = Credential::Caller);
            add("made-up token", &|probe| probe.credential = header("Bearer lc-no-such-token"));
            add("forged signed token", &|probe| probe.credential = header(FORGED_TOKEN));
        }
        GuardKind::Scope(scope) if scope == "all" => {
            add("machine token without scope", &|probe| probe.credential = header("Bearer {{machine.token}}"));
        }
        GuardKind::Scope(scope) => add(&format!("token without {scope}"), &|probe| {
            probe.scopes.remove(scope);
        }),
        GuardKind::CenterEnabled(_) => add("account center off", &|probe| {
            probe.enabled = false;
            // With the account center off nobody can make a record.
            probe.proof = Proof::None;
        }),
        GuardKind::MaxBody(most) => add("body too large", &|probe| {
            probe.payload = match &probe.payload {
                Payload::Form(_) => Payload::Padded("application/x-www-form-urlencoded", "padding=", *most, ""),
                _ => Payload::Padded("application/json", "{\"padding\":\"", *most, "\"}"),
            };
        }),
        GuardKind::Parsable(_) => {
            for (label, bytes) in [("broken JSON", "{\"a\":"), ("JSON null", "null"), ("a JSON text", "\"x\"")] {
                add(label, &|probe| probe.payload = Payload::Raw("application/json", bytes.as_bytes().to_vec()));
            }
        }
        GuardKind::ValidInput(_) => spoil_input(&base, &mut add),
        GuardKind::NoNul(_) => {
            if let Some((_, schema)) = &base.operation.body {
                let nul = json!("a\u{0}b");
                let free = schema.properties().into_iter().find(|(name, inner)| {
                    !name.starts_with("password")
                        && crate::contract::Schema::compile((*inner).clone()).is_ok_and(|inner| inner.admits(&nul))
                });
                if let Some((name, _)) = free {
                    add("U+0000 in a text", &|probe| probe.set(name, nul.clone()));
                }
            }
        }
        GuardKind::Field(rule) => {
            for field in base.fields(rule) {
                for (label, level) in [("Off", Some("Off")), ("ReadOnly", Some("ReadOnly")), ("absent", None)] {
                    add(&format!("field {field} {label}"), &|probe| {
                        probe.levels.insert(field.clone(), level.map(str::to_owned));
                    });
                }
            }
        }
        GuardKind::FieldReadable(rule) => {
            for field in base.fields(rule) {
                for (label, level) in [("Off", Some("Off")), ("absent", None)] {
                    add(&format!("field {field} {label}"), &|probe| {
                        probe.levels.insert(field.clone(), level.map(str::to_owned));
                    });
                }
            }
        }
        GuardKind::FirstParty(_) => add("third-party application", &|probe| probe.client = Client::Third),
        GuardKind::IdentityVerified(_) => {
            for (label, proof) in
                [("no proof", Proof::None), ("unknown record", Proof::Unknown), ("another user's record", Proof::OtherUsers)]
            {
                add(label, &|probe| probe.proof = proof);
            }
        }
        GuardKind::LastIdentifier(rule) => add("last identifier", &|probe| {
            probe.who = match rule.without.as_str() {
                "primaryEmail" => Who::Only(Identifier::Email),
                "primaryPhone" => Who::Only(Identifier::Phone),
                "identities" => Who::Only(Identifier::Identity),
                _ => Who::OneIdentifier,
            };
            if probe.operation.body.is_some() {
                probe.set(&rule.without, Value::Null);
            }
        }),
        GuardKind::UsernamePolicy(value) => add("username too long", &|probe| probe.put(value, json!("u".repeat(129)))),
        GuardKind::PasswordPolicy(value) => {
            add("password too short", &|probe| probe.put(value, json!("Kx7-bd")));
            add("repetitive password", &|probe| probe.put(value, json!("aaaaaaaaaaaa")));
        }
        GuardKind::NewPassword(value) => add("same password", &|probe| probe.put(value, json!("{{own.password}}"))),
        GuardKind::PasswordMatches(value) | GuardKind::UserPassword(value) => {
            add("wrong password", &|probe| probe.put(value, json!("lc-wrong-password")));
        }
        GuardKind::Unique(rule) => {
            if rule.property() == "username" {
                add("taken username", &|probe| probe.put(&rule.value(), json!("{{other.username}}")));
            }
        }
        GuardKind::PhoneValid(value) => add("no phone number", &|probe| probe.put(value, json!("1"))),
        GuardKind::MaxChars(bounds) => {
            for (key, most) in bounds {
                let text = match key.as_str() {
                    "avatar" | "termsOfUseUrl" | "privacyPolicyUrl" => format!("https://example.com/{}", "a".repeat(*most)),
                    "body.identifier.value" if base.member("identifier.type").is_some_and(|kind| kind == "phone") => "1".repeat(most + 1),
                    "primaryEmail" | "body.identifier.value" => format!("{}@example.com", "a".repeat(*most)),
                    "path.userId" => OVERLONG_ID.to_owned(),
                    _ => "u".repeat(most + 1),
                };
                add(&format!("{key} too long"), &|probe| match ValueRef::parse(key) {
                    Ok(place) => probe.put(&place, json!(text)),
                    Err(_) => probe.set(key, json!(text)),
                });
            }
        }
        GuardKind::AnyKey(_) => {
            add("nothing to set", &|probe| probe.payload = Payload::Json(json!({})));
            add("only unknown keys", &|probe| probe.payload = Payload::Json(json!({"lcUnknown": 1})));
        }
        GuardKind::NotTogether(keys) => add("both at once", &|probe| {
            for key in keys {
                if let Some(name) = key.strip_prefix("query.") {
                    probe.query.entry(name.to_owned()).or_insert_with(|| UNUSED_ID.to_owned());
                } else if probe.member(key).is_none() {
                    probe.set(key, json!("{{password}}"));
                }
            }
        }),
        GuardKind::HasKey(key) => add(&format!("{key} missing"), &|probe| probe.remove(key)),
        GuardKind::LegacyDigest(value) => add("no legacy digest", &|probe| probe.put(value, json!("garbage"))),
        GuardKind::DistinctNames(value) => {
            add("a name twice", &|probe| probe.put(value, json!([{"name": "nickname"}, {"name": "nickname"}])));
        }
        GuardKind::NotEmpty(value) => add(&format!("{} empty", value.name), &|probe| probe.put(value, json!(""))),
        GuardKind::Exists(selector) => match &selector.value {
            Some(value) => {
                let one = json!(UNUSED_ID);
                let none = if base.member(&value.name).is_some_and(|value| value.is_array()) { json!([UNUSED_ID]) } else { one };
                add(&format!("unknown {}", selector.kind), &|probe| probe.put(value, none.clone()));
                if selector.of == Some(Owner::User) && value.place != Place::Query {
                    add(&format!("{} of another user", selector.kind), &|probe| {
                        probe.path.insert("userId".into(), "{{other.id}}".into());
                    });
                }
            }
            None => add(&format!("no {}", selector.kind), &|probe| probe.given.clear()),
        },
        GuardKind::Absent(selector) => {
            // What is compared with another entity needs one: see the operation's tries.
            if selector.except.is_some() {
                return spoiled;
            }
            let given = Given { operation: base.operation.id.clone(), case: accepted.label.clone(), for_caller: false };
            match &selector.value {
                Some(value) => {
                    let property = selector.by.as_deref().unwrap_or("id");
                    add(&format!("{value} taken"), &|probe| {
                        probe.put(value, json!(format!("{{{{taken.{property}}}}}")));
                        probe.given.insert("taken".into(), given.clone());
                    });
                }
                None => add(&format!("{} taken", selector.kind), &|probe| drop(probe.given.insert("taken".into(), given.clone()))),
            }
        }
        GuardKind::Pagination(_) => {
            for (name, value) in [("page", "0"), ("page", "-1"), ("page", "lc"), ("page_size", "0"), ("page_size", "101")] {
                add(&format!("{name} {value}"), &|probe| drop(probe.query.insert(name.into(), value.into())));
            }
        }
        GuardKind::Fits(rule) => {
            for value in &rule.unfit {
                match &rule.value {
                    Some(place) => add(&format!("{place} is {value}"), &|probe| probe.put(place, value.clone())),
                    None => add(&format!("settings {value}"), &|probe| probe.payload = Payload::Json(value.clone())),
                }
            }
        }
        GuardKind::Ordered(places) => add("limits crossed", &|probe| {
            for (number, place) in (1..=places.len()).rev().zip(places) {
                probe.put(place, json!(number));
            }
        }),
        GuardKind::PolicyInformed(place) => add("nobody named", &|probe| probe.remove(&place.name)),
        GuardKind::Search(_) => {
            let senseless = [
                ("search", "", "nothing"),
                ("search.lcNoSuchProperty", "lc", "in an unknown property"),
                ("search.name.first", "lc", "in a property of a property"),
                ("mode", "lc", "by an unknown mode"),
                ("mode", "", "by no mode"),
                ("joint", "lc", "joined in an unknown way"),
            ];
            for (name, value, label) in senseless {
                add(&format!("search {label}"), &|probe| drop(probe.query.insert(name.into(), value.into())));
            }
            add("search by similar_to in any letter case", &|probe| {
                probe.query = [("search", "lc%"), ("mode", "similar_to")].map(|(name, value)| (name.into(), value.into())).into();
            });
        }
        GuardKind::HasIdentity(value) | GuardKind::HasSsoIdentity(value) => {
            add("identity unknown", &|probe| probe.put(value, json!(UNUSED_ID)));
            add("identity of another user", &|probe| drop(probe.path.insert("userId".into(), "{{other.id}}".into())));
        }
        GuardKind::Distinct(value) => {
            if let Some(Value::Array(items)) = base.member(&value.name)
                && let Some(item) = items.first()
            {
                add("an element twice", &|probe| probe.put(value, json!([item, item])));
            }
        }
        GuardKind::InFuture(value) => add("a time that is over", &|probe| probe.put(value, json!(1_000_000_000_000_i64))),
        GuardKind::Record(rule) => {
            add("unknown record", &|probe| probe.put(&rule.id, json!(UNUSED_ID)));
            add("a record of the password", &|probe| probe.put(&rule.id, json!("{{own.record}}")));
        }
        GuardKind::Client(ClientRule::Known) => {
            add("unknown client", &|probe| probe.credential = header("Basic bGMtbm8tc3VjaC1jbGllbnQ6bGM="));
        }
        GuardKind::Client(ClientRule::Authenticated) => add("wrong secret", &|probe| probe.credential = header("Basic {{first.wrong}}")),
        GuardKind::Client(ClientRule::GrantAllowed) => {
            let machine = base.member("grant_type").is_some_and(|grant| grant == "client_credentials");
            let wrong = if machine { "Basic {{first.basic}}" } else { "Basic {{third.basic}}" };
            add("grant not allowed for this client", &|probe| probe.credential = header(wrong));
        }
        GuardKind::OneOf(rule) => add("unknown choice", &|probe| probe.put(&rule.value, json!("password"))),
        GuardKind::SubjectToken(value) => {
            add("unknown subject token", &|probe| probe.put(value, json!("sub_lcnosuchtoken0000000")));
            add("unknown personal access token", &|probe| {
                probe.put(value, json!("pat_lcnosuchtoken00000000000000000000"));
                probe.set("subject_token_type", json!("urn:logto:token-type:personal_access_token"));
            });
            let other = |kind: &str| match kind {
                "urn:logto:token-type:personal_access_token" => "urn:logto:token-type:impersonation_token",
                _ => "urn:logto:token-type:personal_access_token",
            };
            if let Some(Value::String(kind)) = base.member("subject_token_type") {
                add("another kind of subject token", &|probe| probe.set("subject_token_type", json!(other(&kind))));
            }
            add("unknown kind of subject token", &|probe| probe.set("subject_token_type", json!("urn:lc:no-such-kind")));
        }
        GuardKind::ActorToken(value) => add("bad actor token", &|probe| {
            probe.put(value, json!("lc-no-such-token"));
            probe.set("actor_token_type", json!("urn:ietf:params:oauth:token-type:access_token"));
        }),
        GuardKind::FactorOn(_) => add("factor off", &|probe| probe.factors = Some(false)),
        GuardKind::TotpSecret(value) => {
            add("short secret", &|probe| probe.put(value, json!("JBSWY3DP")));
            add("secret of other letters", &|probe| probe.put(value, json!("0".repeat(32))));
        }
        GuardKind::TotpCode(rule) => add("wrong code", &|probe| probe.put(&rule.code, json!("no code"))),
        GuardKind::BackupCodes(value) => {
            add("no codes", &|probe| probe.put(value, json!([])));
            add("nine codes", &|probe| probe.put(value, json!(vec!["0123456789"; 9])));
            add("codes of other letters", &|probe| probe.put(value, json!(vec!["012345678g"; 10])));
        }
        GuardKind::PasskeyProof(rule) => add("another kind of proof", &|probe| {
            probe.set(&format!("{}.response", rule.proof.name), json!({"clientDataJSON": "e30", "attestationObject": "oA"}));
        }),
        GuardKind::ResourceKnown(value) => add("unknown resource", &|probe| probe.put(value, json!("https://nowhere.example"))),
        GuardKind::CodeUsable(value) => add("unknown code", &|probe| probe.put(value, json!("lc-no-such-code"))),
        GuardKind::RefreshToken(value) => add("unknown refresh token", &|probe| probe.put(value, json!("lc-no-such-token"))),
        GuardKind::EmailDomain(value) => add("no domain", &|probe| probe.put(value, json!("lc@@example.com"))),
        GuardKind::Picture(value) => {
            for (label, content) in
                [("no picture", "aGVsbG8="), ("half a picture", "R0lGODlhAQABAIAAAAAA"), ("a vector graphic", "PHN2Zy8+")]
            {
                add(label, &|probe| probe.put(value, json!({"name": "picture.png", "type": "image/png", "base64": content})));
            }
        }
        GuardKind::Belongs(selector) => match &selector.of {
            Some(Owner::User) => add(&format!("{} of another user", selector.kind), &|probe| {
                probe.path.insert("userId".into(), "{{other.id}}".into());
            }),
            Some(Owner::Value(owner)) => add(&format!("another {}", owner.name), &|probe| probe.put(owner, json!("{{email}}"))),
            Some(Owner::Caller | Owner::Composed(_)) | None => {}
        },
        GuardKind::SentCode(SentCodeRule::Pending) => add("nothing was sent", &|_| {}),
        GuardKind::Message(MessageRule::Storable) if base.member("email").is_some() => {
            add("email too long", &|probe| probe.set("email", json!(format!("{}@example.com", "a".repeat(128)))));
        }
        GuardKind::Message(MessageRule::Storable) => add("phone too long", &|probe| probe.set("phone", json!("1".repeat(33)))),
        GuardKind::PasswordExpiryOn(_) => add("no policy", &|_| {}),
        // Needs another policy of the sign-in experience, a message channel, a provider, or a file too large to be sent for this.
        GuardKind::NoSubaddress(_)
        | GuardKind::EmailListed(_)
        | GuardKind::SendAllowed(_)
        | GuardKind::Channel(_)
        | GuardKind::CodePending(_)
        | GuardKind::CodeFresh(_)
        | GuardKind::TriesLeft(_)
        | GuardKind::CodeMatches(_)
        | GuardKind::SocialUnbound(_)
        | GuardKind::SocialNew(_)
        | GuardKind::SocialBound(_)
        | GuardKind::SocialToken(_)
        | GuardKind::SocialTarget(_)
        | GuardKind::SocialProof(_)
        | GuardKind::TokenSetUsable(_)
        | GuardKind::TokenSetRenewed(_)
        | GuardKind::MaxFile(_)
        | GuardKind::Storage(_)
        // Codes need messages that are sent and read; ends need time.
        | GuardKind::SentCode(_)
        | GuardKind::Message(MessageRule::Allowed | MessageRule::Connected)
        | GuardKind::Unexpired(_)
        // Needs a user of the tenant with the Management API's scope, a suspended user with a live token, or a changed lock-out policy.
        // What breaks a property of some entity is a matter of the operation: see its tries.
        | GuardKind::NotSelf(_)
        | GuardKind::NotSuspended(_)
        | GuardKind::NotLocked(_)
        | GuardKind::Is(_)
        | GuardKind::IdentityFree(_)
        | GuardKind::ConnectorAccepts(_) => {}
    }
    spoiled
}

/// Changes the body so that a condition applies.
fn bring_about(when: &When, probe: &mut Probe<'_>) {
    match &when.body {
        Some(BodyShape::Has(key)) if probe.member(key).is_none() => probe.set(key, json!("lc")),
        Some(BodyShape::Keys(keys)) => {
            for (key, shape) in keys {
                match (shape, probe.member(key)) {
                    (shape, Some(_)) if shape == "string" => {}
                    (shape, None) if shape == "string" => probe.set(key, json!("lc")),
                    (shape, _) => probe.set(key, shape.clone()),
                }
            }
        }
        _ => {}
    }
    match &when.query {
        Some(BodyShape::Has(key)) if !probe.query.contains_key(key) => drop(probe.query.insert(key.clone(), "lc".into())),
        Some(BodyShape::Keys(keys)) => {
            for (key, value) in keys {
                probe.query.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
        _ => {}
    }
}

/// Takes what is done to a request, for people and as a change.
type Adder<'f, 'a> = dyn FnMut(&str, &dyn Fn(&mut Probe<'a>)) + 'f;

/// Bodies that differ from an accepted one in exactly one member, which the schema does not admit.
fn spoil_input<'a>(base: &Probe<'a>, add: &mut Adder<'_, 'a>) {
    for parameter in base.operation.parameters.iter().filter(|parameter| parameter.place == Place::Query) {
        if !parameter.schema.admits(&json!("lc lc")) {
            add(&format!("query {} is no such value", parameter.name), &|probe| {
                probe.query.insert(parameter.name.clone(), "lc lc".into());
            });
        }
        if parameter.required {
            add(&format!("query {} missing", parameter.name), &|probe| drop(probe.query.remove(&parameter.name)));
        }
    }
    let Some((content_type, schema)) = &base.operation.body else { return };
    // What depends on another member of the body shows only in the whole.
    let whole = match &base.payload {
        Payload::Json(Value::Object(members)) if base.fits() => Some(members.clone()),
        _ => None,
    };
    let spoils = |change: &dyn Fn(&mut Map<String, Value>)| {
        whole.clone().is_some_and(|mut members| {
            change(&mut members);
            !schema.admits(&Value::Object(members))
        })
    };
    let required = schema.raw().get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut needed: BTreeSet<&str> = required.collect();
    needed.extend(schema.properties().keys().filter(|key| spoils(&|members| drop(members.shift_remove(**key)))));
    for key in needed {
        add(&format!("{key} missing"), &|probe| probe.remove(key));
    }
    if content_type.contains("json") {
        add("a list", &|probe| probe.payload = Payload::Raw("application/json", b"[]".to_vec()));
        add("plain text", &|probe| probe.payload = Payload::Raw("text/plain", b"hello".to_vec()));
        for (name, inner) in schema.properties() {
            let Ok(inner) = crate::contract::Schema::compile(inner.clone()) else { continue };
            let wrong = [
                ("an object", json!({"lc": 1})),
                ("a number", json!(12345)),
                ("null", Value::Null),
                ("an empty text", json!("")),
                ("a text", json!("lc lc")),
            ];
            let unfit = |value: &Value| !inner.admits(value) || spoils(&|members| drop(members.insert(name.to_owned(), value.clone())));
            for (label, value) in wrong.iter().filter(|(_, value)| unfit(value)) {
                add(&format!("{name} is {label}"), &|probe| probe.set(name, value.clone()));
            }
        }
    }
}
