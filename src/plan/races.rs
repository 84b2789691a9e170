//! Races: requests sent together that only an order of their own keeps apart. Each round has fresh data and a sequence of its
//! own, so that a lost race is replayed as it was.

use serde_json::{Value, json};

use super::build::{Draft, Profile};
use super::epoch::Need;
use super::lives::open;
use super::script::{ALL_SCOPES, Client, Script, Traits, User, call_with, exchange_form, token_call};
use super::sequence::{Call, Facts, Persona, Purpose};
use super::stand_in::APP_SECRET;
use crate::contract::{Contract, MessageKind};
use crate::model::{MOST_MESSAGES, MOST_TRIES};

const WITH_PASSWORD: Traits = Traits { password: true, email: false };

/// Wrong passwords that lock a user out while the lock-out is raced.
const MOST_ATTEMPTS: u64 = 3;

/// One race.
struct Race {
    name: &'static str,
    /// Operations without which it cannot be run.
    operations: &'static [&'static str],
    /// It changes settings of the tenant.
    alone: bool,
    /// It sends e-mail.
    mail: bool,
    need: fn() -> Need,
    write: fn(&mut Script<'_>, &Facts),
}

const RACES: [Race; 20] = [
    race("username", &["CreateUser"], |script, _| create(script, |_, unique| json!({"username": unique.username}))),
    race("email-letter-case", &["CreateUser"], |script, _| {
        create(script, |second, unique| {
            let email = if second { unique.email.replace("lc_", "LC_") } else { unique.email.clone() };
            json!({"primaryEmail": email, "name": unique.name})
        });
    }),
    race("phone", &["CreateUser"], |script, _| {
        create(script, |_, unique| json!({"primaryPhone": unique.phone, "name": unique.name}));
    }),
    race("email-change", &["UpdateUser"], email_change),
    race("last-identifiers", &["DeletePrimaryEmail", "DeletePrimaryPhone"], last_identifiers),
    race("last-username", &["DeletePrimaryEmail", "UpdateProfile"], last_username),
    race("subject-token", &["IssueToken", "CreateSubjectToken"], subject_token),
    race("identity", &["ReplaceUserIdentity", "ListUserAllIdentities"], identity),
    race("role", &["CreateRole", "AssignUserRoles", "ListUserRoles"], role),
    race("personal-access-token", &["CreateUserPersonalAccessToken", "ListUserPersonalAccessTokens"], personal_access_token),
    race("totp", &["CreateUserMfaVerification", "ListUserMfaVerifications"], totp),
    Race { need: with_factors, ..race("own-totp", &["AddMfaVerification", "GetMfaVerifications"], own_totp) },
    race("own-name-and-picture", &["UpdateProfile"], |script, _| {
        own_changes(script, "UpdateProfile", [json!({"name": "lc"}), json!({"avatar": "https://example.com/a.png"})]);
    }),
    race("own-claims", &["UpdateOtherProfile"], |script, _| {
        own_changes(script, "UpdateOtherProfile", [json!({"nickname": "lc"}), json!({"website": "https://example.com"})]);
    }),
    race("claims", &["UpdateUserProfile"], |script, _| {
        changes(
            script,
            "UpdateUserProfile",
            [json!({"profile": {"nickname": "lc"}}), json!({"profile": {"website": "https://example.com"}})],
        );
    }),
    race("custom-data", &["UpdateUserCustomData"], |script, _| {
        changes(script, "UpdateUserCustomData", [json!({"customData": {"a": 1}}), json!({"customData": {"b": 2}})]);
    }),
    Race { alone: true, ..race("lock-out", &["CreateVerificationByPassword", "UpdateSignInExp"], lock_out) },
    Race {
        mail: true,
        ..race("wrong-codes", &["VerifyVerificationByVerificationCode", "CreateVerificationByVerificationCode"], wrong_codes)
    },
    Race { mail: true, ..race("messages", &["CreateVerificationByVerificationCode"], messages) },
    Race { alone: true, ..race("toggle", &["UpdateProfile", "UpdateAccountCenterSettings"], toggle) },
];

const fn race(name: &'static str, operations: &'static [&'static str], write: fn(&mut Script<'_>, &Facts)) -> Race {
    Race { name, operations, alone: false, mail: false, need: open, write }
}

/// All races that the contract has the operations for, in as many rounds as the profile asks for.
pub fn races<'a>(contract: &'a Contract, facts: &'a Facts, profile: Profile) -> Vec<Draft<'a>> {
    let rounds = match profile {
        Profile::Quick => 1,
        Profile::Standard => 2,
        Profile::Deep => 10,
    };
    let common = ["CreateUser", "GetUser", "UpdateUser", "GetProfile"];
    let mail = facts.channels.contains(&MessageKind::Email);
    let known = |race: &&Race| (mail || !race.mail) && common.iter().chain(race.operations).all(|id| contract.operation(id).is_some());
    let draft = move |race: &'static Race, round: u32| Draft {
        id: format!("races/{}/{round}", race.name),
        need: (race.need)(),
        alone: race.alone,
        write: Box::new(move |script: &mut Script<'_>| (race.write)(script, facts)),
    };
    RACES.iter().filter(known).flat_map(|race| (1..=rounds).map(move |round| draft(race, round))).collect()
}

fn with_factors() -> Need {
    let mut need = open();
    need.levels.insert("mfa".into(), Some("Edit".into()));
    Need { factors: Some(true), ..need }
}

/// Sends calls together and returns the first step.
fn together(script: &mut Script<'_>, label: &str, persona: Persona, calls: Vec<Call>, capture: &[(&str, &str)]) -> usize {
    let mut first = 0;
    script.together(|script| {
        for (index, call) in calls.into_iter().enumerate() {
            script.call(persona, Purpose::Probe(label.into()), call, capture);
            if index == 0 {
                first = script.last();
            }
        }
    });
    first
}

/// A call by the administrator; `path` are the values of the path's parameters in order.
fn by_admin(script: &Script<'_>, operation: &str, path: &[&str], body: Option<&Value>) -> Call {
    let template = script.contract().operation(operation).map_or("", |operation| operation.path.as_str());
    let mut values = path.iter();
    let segments = template.split('/').map(|part| if part.starts_with('{') { values.next().copied().unwrap_or(part) } else { part });
    let target = segments.collect::<Vec<_>>().join("/");
    script.admin_call(operation, target, body)
}

/// A call by a user, with a proof of identity where there is one.
fn by_user(script: &Script<'_>, operation: &str, token: &str, record: Option<&str>, body: Option<&Value>) -> Call {
    let (method, path) = script.contract().operation(operation).map(|known| (known.method.clone(), known.path.clone())).unwrap_or_default();
    let mut call = call_with(operation, method, path, &format!("Bearer {token}"), body);
    call.headers.extend(record.map(|record| ("logto-verification-id".to_owned(), record.to_owned())));
    call
}

fn setup(script: &mut Script<'_>, call: Call) {
    script.call(Persona::Admin, Purpose::Setup, call, &[]);
}

fn look_at(script: &mut Script<'_>, operation: &str, path: &[&str], of: usize) {
    let call = by_admin(script, operation, path, None);
    script.call(Persona::Admin, Purpose::Look(of), call, &[]);
}

/// Values that only one user can have.
struct Unique {
    username: String,
    email: String,
    phone: String,
    name: String,
}

/// Two users are made with the same value; the one that is made is looked at.
fn create(script: &mut Script<'_>, body: fn(second: bool, unique: &Unique) -> Value) {
    let unique = Unique { username: script.username(), email: script.email(), phone: script.phone(), name: script.text() };
    let calls = [false, true].map(|second| by_admin(script, "CreateUser", &[], Some(&body(second, &unique))));
    let id = script.symbol("made");
    let of = together(script, "two users with one identifier", Persona::Admin, calls.into(), &[(&id, "/id")]);
    look_at(script, "GetUser", &[&format!("{{{{{id}}}}}")], of);
}

/// Two users are given the same e-mail address.
fn email_change(script: &mut Script<'_>, _: &Facts) {
    let users = [script.user(Traits::default()), script.user(Traits::default())];
    let body = json!({"primaryEmail": script.email()});
    let calls = users.map(|user| by_admin(script, "UpdateUser", &[&user.id()], Some(&body)));
    let of = together(script, "two users get one address", Persona::Admin, calls.into(), &[]);
    for user in users {
        script.look(user, of);
    }
}

/// A user with a password, a token and a proof of identity.
fn caller(script: &mut Script<'_>) -> (User, String, String) {
    let user = script.user(WITH_PASSWORD);
    (user, script.token(user, ALL_SCOPES, Client::First), script.record(user))
}

/// Each of the last two identifiers may go, not both.
fn last_identifiers(script: &mut Script<'_>, _: &Facts) {
    let (user, token, record) = caller(script);
    let body = json!({"username": null, "primaryEmail": script.email(), "primaryPhone": script.phone()});
    let left = by_admin(script, "UpdateUser", &[&user.id()], Some(&body));
    setup(script, left);
    let calls = ["DeletePrimaryEmail", "DeletePrimaryPhone"].map(|operation| by_user(script, operation, &token, Some(&record), None));
    let of = together(script, "both identifiers are given up", Persona::User, calls.into(), &[]);
    script.look(user, of);
    script.look_as_user(user, of);
}

/// The same with the username, which goes another way.
fn last_username(script: &mut Script<'_>, _: &Facts) {
    let (user, token, record) = caller(script);
    let body = json!({"primaryEmail": script.email()});
    let left = by_admin(script, "UpdateUser", &[&user.id()], Some(&body));
    setup(script, left);
    let calls = vec![
        by_user(script, "DeletePrimaryEmail", &token, Some(&record), None),
        by_user(script, "UpdateProfile", &token, Some(&record), Some(&json!({"username": null}))),
    ];
    let of = together(script, "both identifiers are given up", Persona::User, calls, &[]);
    script.look(user, of);
    script.look_as_user(user, of);
}

/// A subject token serves once, however many ask.
fn subject_token(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let subject = script.subject_token(user);
    let calls = vec![token_call(&exchange_form(&subject, ALL_SCOPES)); 4];
    together(script, "one subject token is exchanged", Persona::Admin, calls, &[]);
}

/// A social account belongs to one user.
fn identity(script: &mut Script<'_>, _: &Facts) {
    let users = [script.user(Traits::default()), script.user(Traits::default())];
    let body = json!({"userId": script.alphanumeric(), "details": {}});
    let calls = users.map(|user| by_admin(script, "ReplaceUserIdentity", &[&user.id(), "lc-races"], Some(&body)));
    let of = together(script, "two users link one social account", Persona::Admin, calls.into(), &[]);
    for user in users {
        script.look(user, of);
    }
}

/// Giving a role that was just given changes nothing.
fn role(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let id = script.symbol("made");
    let body = json!({"name": script.username(), "description": script.text()});
    let made = by_admin(script, "CreateRole", &[], Some(&body));
    script.call(Persona::Admin, Purpose::Setup, made, &[(&id, "/id")]);
    let body = json!({"roleIds": [format!("{{{{{id}}}}}")]});
    let calls = vec![by_admin(script, "AssignUserRoles", &[&user.id()], Some(&body)); 2];
    let of = together(script, "one role is given twice", Persona::Admin, calls, &[]);
    look_at(script, "ListUserRoles", &[&user.id()], of);
}

/// Names of personal access tokens are unique for each user.
fn personal_access_token(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let body = json!({"name": script.username()});
    let calls = vec![by_admin(script, "CreateUserPersonalAccessToken", &[&user.id()], Some(&body)); 2];
    let of = together(script, "two tokens of one name", Persona::Admin, calls, &[]);
    look_at(script, "ListUserPersonalAccessTokens", &[&user.id()], of);
}

/// A user has one authenticator app.
fn totp(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let calls = vec![by_admin(script, "CreateUserMfaVerification", &[&user.id()], Some(&json!({"type": "Totp"}))); 2];
    let of = together(script, "two authenticator apps", Persona::Admin, calls, &[]);
    look_at(script, "ListUserMfaVerifications", &[&user.id()], of);
}

/// The same by the user.
fn own_totp(script: &mut Script<'_>, _: &Facts) {
    let (user, token, record) = caller(script);
    let body = json!({"type": "Totp", "secret": APP_SECRET});
    let calls = vec![by_user(script, "AddMfaVerification", &token, Some(&record), Some(&body)); 2];
    let of = together(script, "two authenticator apps", Persona::User, calls, &[]);
    look_at(script, "ListUserMfaVerifications", &[&user.id()], of);
    script.look_as_user_at(user, "GetMfaVerifications", "/api/my-account/mfa-verifications", of);
}

/// A user changes different things at once; each change stays.
fn own_changes(script: &mut Script<'_>, operation: &str, bodies: [Value; 2]) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    let calls = bodies.map(|body| by_user(script, operation, &token, None, Some(&body)));
    let of = together(script, "changes of different things", Persona::User, calls.into(), &[]);
    script.look(user, of);
    script.look_as_user(user, of);
}

/// The administrator changes different things of a user at once; each change stays.
fn changes(script: &mut Script<'_>, operation: &str, bodies: [Value; 2]) {
    let user = script.user(Traits::default());
    // Tokens are made before the race: making one changes the user.
    script.token(user, ALL_SCOPES, Client::First);
    let calls = bodies.map(|body| by_admin(script, operation, &[&user.id()], Some(&body)));
    let of = together(script, "changes of different things", Persona::Admin, calls.into(), &[]);
    script.look(user, of);
    script.look_as_user(user, of);
}

/// No more wrong passwords are looked at than the tenant allows.
fn lock_out(script: &mut Script<'_>, facts: &Facts) {
    let user = script.user(WITH_PASSWORD);
    let token = script.token(user, ALL_SCOPES, Client::First);
    let policy = |value: &Value| json!({"sentinelPolicy": value});
    let strict = by_admin(script, "UpdateSignInExp", &[], Some(&policy(&json!({"maxAttempts": MOST_ATTEMPTS, "lockoutDuration": 1}))));
    setup(script, strict);
    let wrong = json!({"password": "lc-wrong-password"});
    let calls = vec![by_user(script, "CreateVerificationByPassword", &token, None, Some(&wrong)); 6];
    together(script, "wrong passwords at once", Persona::User, calls, &[]);
    let found = facts.sign_in_experience.get("sentinelPolicy").cloned().unwrap_or_else(|| json!({}));
    let restored = by_admin(script, "UpdateSignInExp", &[], Some(&policy(&found)));
    setup(script, restored);
}

/// No more wrong codes are looked at than a record takes.
fn wrong_codes(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    let identifier = json!({"type": "email", "value": script.email()});
    let record = script.symbol("verification");
    let sent = by_user(script, "CreateVerificationByVerificationCode", &token, None, Some(&json!({"identifier": identifier})));
    script.call(Persona::User, Purpose::Setup, sent, &[(&record, "/verificationRecordId")]);
    let wrong = json!({"identifier": identifier, "verificationId": format!("{{{{{record}}}}}"), "code": "none"});
    let wrong = by_user(script, "VerifyVerificationByVerificationCode", &token, None, Some(&wrong));
    near_the_limit(script, "wrong codes at once", wrong, MOST_TRIES);
}

/// No more messages are sent to an address than it may get.
fn messages(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    let body = json!({"identifier": {"type": "email", "value": script.email()}});
    let send = by_user(script, "CreateVerificationByVerificationCode", &token, None, Some(&body));
    near_the_limit(script, "messages at once", send, MOST_MESSAGES);
}

/// The same call as often as it may be sent but for two, then more than two together.
fn near_the_limit(script: &mut Script<'_>, label: &str, call: Call, limit: u64) {
    for _ in 2..limit {
        script.call(Persona::User, Purpose::Setup, call.clone(), &[]);
    }
    together(script, label, Persona::User, vec![call; 4], &[]);
}

/// A field is closed while it is written.
fn toggle(script: &mut Script<'_>, _: &Facts) {
    let user = script.user(Traits::default());
    let token = script.token(user, ALL_SCOPES, Client::First);
    let levels = |name: &str| {
        let mut fields = open().levels;
        fields.insert("name".into(), Some(name.to_owned()));
        json!({"fields": fields})
    };
    script.together(|script| {
        let close = by_admin(script, "UpdateAccountCenterSettings", &[], Some(&levels("ReadOnly")));
        script.call(Persona::Admin, Purpose::Probe("a field is closed while it is written".into()), close, &[]);
        let write = by_user(script, "UpdateProfile", &token, None, Some(&json!({"name": "lc"})));
        script.call(Persona::User, Purpose::Probe("a field is written while it is closed".into()), write, &[]);
    });
    let of = script.last() - 1;
    script.look(user, of);
    look_at(script, "GetAccountCenterSettings", &[], of);
    let reopened = by_admin(script, "UpdateAccountCenterSettings", &[], Some(&levels("Edit")));
    setup(script, reopened);
}

#[cfg(test)]
#[path = "races_tests.rs"]
mod tests;
