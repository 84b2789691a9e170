//! Stories of proofs: codes that were sent, second factors, and what happens to whoever tries too often.

use serde_json::{Value, json};

use super::build::{Draft, Write};
use super::entries::{entries, passkeys};
use super::epoch::Need;
use super::lives::{as_admin, as_user, open};
use super::script::{ALL_SCOPES, Client, Script, Traits, User, call_with, exchange_form, token_call};
use super::sequence::{Facts, Persona, Purpose};
use super::stand_in::APP_SECRET;
use crate::contract::{Contract, MessageKind, Source};
use crate::model::{MOST_MESSAGES, MOST_TRIES};

const WITH_PASSWORD: Traits = Traits { password: true, email: true };

/// Failures after which somebody is locked out in these stories.
const MOST_FAILURES: u32 = 3;
/// Seconds after which records end.
const RECORD_LIFE: u32 = 600;
/// Seconds after which codes end at the earliest.
const CODE_LIFE: u32 = 60;
/// Seconds more, so that clocks may differ.
const MARGIN: u32 = 45;

/// All stories that the target has the means for.
pub fn proofs<'a>(contract: &'a Contract, facts: &'a Facts) -> Vec<Draft<'a>> {
    let mail = facts.channels.contains(&MessageKind::Email);
    let both = mail && facts.channels.contains(&MessageKind::Sms);
    let factors = || Need { factors: Some(true), ..open_to_factors() };
    let draft = |id: &str, need: Need, alone: bool, write: Write<'a>| Draft { id: format!("proofs/{id}"), need, alone, write };
    let mut drafts = vec![draft("factors", factors(), false, Box::new(second_factors))];
    if facts.can_sign_in {
        drafts.push(draft("entries", factors(), false, Box::new(entries)));
        drafts.push(draft("passkeys", factors(), false, Box::new(passkeys)));
    }
    if both {
        drafts.push(draft("codes", open(), false, Box::new(codes)));
        drafts.push(draft("numbers", open(), false, Box::new(numbers)));
    }
    if mail {
        drafts.push(draft("foreign-codes", open(), false, Box::new(foreign_codes)));
        drafts.push(draft("tries", open(), false, Box::new(tries)));
        drafts.push(draft("messages", open(), false, Box::new(messages)));
        drafts.push(draft("sent-codes", open(), false, Box::new(sent_codes)));
        drafts.push(draft("addresses", open(), true, Box::new(move |script| addresses(script, facts))));
        drafts.push(draft("lock-out-by-codes", open(), true, Box::new(move |script| lock_out_by_codes(script, facts))));
    }
    if facts.may_wait {
        drafts.push(draft("expiry", open(), true, Box::new(move |script| expiry(script, facts))));
    }
    drafts.push(draft("lock-out", open(), true, Box::new(move |script| lock_out(script, facts))));
    let common = ["CreateUser", "UpdateProfile", "CreateVerificationByPassword", "CreateVerificationByVerificationCode", "UpdateSignInExp"];
    if common.iter().any(|id| contract.operation(id).is_none()) {
        drafts.clear();
    }
    drafts
}

fn open_to_factors() -> Need {
    let mut need = open();
    need.levels.extend(["mfa", "passkey"].map(|field| (field.to_owned(), Some("Edit".to_owned()))));
    need
}

/// Somebody with a token.
struct Caller {
    user: User,
    token: String,
}

impl Caller {
    fn new(script: &mut Script<'_>) -> Self {
        let user = script.user(WITH_PASSWORD);
        Self { user, token: script.token(user, ALL_SCOPES, Client::First) }
    }

    fn does(&self, script: &mut Script<'_>, label: &str, operation: &str, record: Option<&str>, body: &Value) -> usize {
        as_user(script, Persona::User, label, operation, &self.token, record, Some(body))
    }

    /// A record for an address or number, and the code sent there. `own` is the template for what is already the caller's.
    fn sends(&self, script: &mut Script<'_>, label: &str, (kind, value): (&str, &str), template: Option<&str>) -> Sent {
        let mut body = json!({"identifier": {"type": kind, "value": value}});
        if let Some(template) = template {
            body["templateType"] = template.into();
        }
        let symbol = script.symbol("verification");
        let (operation, authorization) = ("CreateVerificationByVerificationCode", format!("Bearer {}", self.token));
        let call = call_with(operation, "POST".into(), "/api/verifications/verification-code".into(), &authorization, Some(&body));
        script.call(Persona::User, Purpose::Probe(label.to_owned()), call, &[(&symbol, "/verificationRecordId")]);
        Sent { kind: kind.to_owned(), value: value.to_owned(), record: format!("{{{{{symbol}}}}}") }
    }

    /// Gives a code for a record.
    fn proves(&self, script: &mut Script<'_>, label: &str, sent: &Sent, code: &str) -> usize {
        let body = json!({"identifier": {"type": sent.kind, "value": sent.value}, "verificationId": sent.record, "code": code});
        self.does(script, label, "VerifyVerificationByVerificationCode", None, &body)
    }

    /// A change that needs a proof of identity, and a look at what became of it.
    fn renames(&self, script: &mut Script<'_>, label: &str, record: &str) {
        let body = json!({"username": script.username()});
        let of = self.does(script, label, "UpdateProfile", Some(record), &body);
        script.look(self.user, of);
    }
}

/// A code that was sent.
#[derive(Clone)]
struct Sent {
    kind: String,
    value: String,
    record: String,
}

impl Sent {
    fn code(&self, script: &mut Script<'_>) -> String {
        script.obtain(Persona::User, Source::Message { to: self.value.clone(), record: Some(self.record.clone()) })
    }
}

/// What a record of a code is good for, by whose address it is and what it was asked for.
fn codes(script: &mut Script<'_>) {
    let caller = Caller::new(script);
    let (email, phone) = (script.own_email(caller.user), script.phone());
    as_admin(script, "a phone number", "UpdateUser", caller.user, Some(&json!({"primaryPhone": phone})));
    for own in [("email", email.as_str()), ("phone", phone.as_str())] {
        let sent = caller.sends(script, "a code to the own address", own, None);
        caller.renames(script, "an unverified record proves nothing", &sent.record);
        let code = sent.code(script);
        caller.proves(script, "the code", &sent, &code);
        caller.proves(script, "the code again", &sent, &code);
        caller.renames(script, "the record proves who it is", &sent.record);
        caller.renames(script, "and once more", &sent.record);
        let sent = caller.sends(script, "a code for a second factor", own, Some("BindMfa"));
        let code = sent.code(script);
        caller.proves(script, "the code for a second factor", &sent, &code);
        caller.renames(script, "a record for a second factor does not prove who it is", &sent.record);
    }
    let new = script.email();
    let sent = caller.sends(script, "a code to a new address", ("email", &new), None);
    let elsewhere = Sent { value: script.email(), ..sent.clone() };
    caller.proves(script, "said to be of another address", &elsewhere, "none");
    let code = sent.code(script);
    caller.proves(script, "the code of a new address", &sent, &code);
    caller.renames(script, "the record of a new address does not prove who it is", &sent.record);
    let proof = script.record(caller.user);
    let body = json!({"email": new.replace("lc_", "LC_"), "newIdentifierVerificationRecordId": sent.record});
    let of = caller.does(script, "in other letters it is another address", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(caller.user, of);
    let body = json!({"email": new, "newIdentifierVerificationRecordId": sent.record});
    let of = caller.does(script, "without a proof of identity", "UpdatePrimaryEmail", None, &body);
    script.look(caller.user, of);
    let of = caller.does(script, "the new address", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(caller.user, of);
    script.look_as_user(caller.user, of);
    let of = caller.does(script, "the same record again", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(caller.user, of);
}

/// A new phone number, and one that somebody else has.
fn numbers(script: &mut Script<'_>) {
    let caller = Caller::new(script);
    let proof = script.record(caller.user);
    let (new, taken) = (script.phone(), script.phone());
    let other = script.user(Traits::default());
    as_admin(script, "a phone number of somebody else", "UpdateUser", other, Some(&json!({"primaryPhone": taken})));
    for (label, value) in [("the new number", new), ("a number that somebody else has", taken)] {
        let sent = caller.sends(script, "a code to a new number", ("phone", &value), None);
        let elsewhere = Sent { value: script.phone(), ..sent.clone() };
        caller.proves(script, "said to be of another number", &elsewhere, "none");
        let code = sent.code(script);
        caller.proves(script, "the code of a new number", &sent, &code);
        let body = json!({"phone": value, "newIdentifierVerificationRecordId": sent.record});
        let of = caller.does(script, label, "UpdatePrimaryPhone", Some(&proof), &body);
        script.look(caller.user, of);
        script.look_as_user(caller.user, of);
    }
}

/// Codes that belong to no record: a right one once, wrong ones so often, a new one in place of the old.
fn sent_codes(script: &mut Script<'_>) {
    let email = script.email();
    let send = |script: &mut Script<'_>, label: &str| {
        let call = script.admin_call("CreateVerificationCode", "/api/verification-codes".into(), Some(&json!({"email": email})));
        script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, &[]);
        script.obtain(Persona::Admin, Source::Message { to: email.clone(), record: None })
    };
    let give = |script: &mut Script<'_>, label: &str, code: &str| {
        let body = json!({"email": email, "verificationCode": code});
        let call = script.admin_call("VerifyVerificationCode", "/api/verification-codes/verify".into(), Some(&body));
        script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, &[]);
    };
    let first = send(script, "a code");
    let second = send(script, "another one in its place");
    give(script, "a wrong code", "none");
    give(script, "the right code", &second);
    give(script, "the right code again", &second);
    give(script, "the code before", &first);
    let third = send(script, "a third one");
    for number in 1..=MOST_TRIES {
        give(script, &format!("wrong code {number}"), "none");
    }
    give(script, "the right code comes too late", &third);
}

/// What records are worth in other hands.
fn foreign_codes(script: &mut Script<'_>) {
    let (owner, other) = (Caller::new(script), Caller::new(script));
    let own = script.own_email(owner.user);
    let sent = owner.sends(script, "a code to the own address", ("email", &own), None);
    let code = sent.code(script);
    other.proves(script, "another user gives the code", &sent, &code);
    other.renames(script, "a record of somebody else proves nothing", &sent.record);
    owner.renames(script, "but it is the owner's, whoever gave the code", &sent.record);
    let proof = script.record(other.user);
    let body = json!({"email": own, "newIdentifierVerificationRecordId": sent.record});
    let of = other.does(script, "an address that somebody else has", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(other.user, of);
    let new = script.email();
    let sent = owner.sends(script, "a code to a new address", ("email", &new), None);
    let code = sent.code(script);
    owner.proves(script, "the code of a new address", &sent, &code);
    let body = json!({"email": new, "newIdentifierVerificationRecordId": sent.record});
    let of = other.does(script, "a new address is whoever's that has its record", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(other.user, of);
    let proof = script.record(owner.user);
    let of = owner.does(script, "once only", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(owner.user, of);
}

/// A record takes so many wrong codes and no more.
fn tries(script: &mut Script<'_>) {
    let caller = Caller::new(script);
    let email = script.email();
    let sent = caller.sends(script, "a code to a new address", ("email", &email), None);
    let code = sent.code(script);
    for number in 1..=MOST_TRIES {
        caller.proves(script, &format!("wrong code {number}"), &sent, "none");
    }
    caller.proves(script, "the right code comes too late", &sent, &code);
    let sent = caller.sends(script, "another code to the same address", ("email", &email), None);
    let code = sent.code(script);
    caller.proves(script, "a wrong one", &sent, "none");
    caller.proves(script, "an empty one", &sent, "");
    caller.proves(script, "the right one", &sent, &code);
}

/// A recipient gets so many messages and no more.
fn messages(script: &mut Script<'_>) {
    let caller = Caller::new(script);
    let email = script.email();
    let upper = email.replace("@example.com", "@EXAMPLE.com");
    for number in 0..=MOST_MESSAGES {
        let value = if number % 2 == 0 { &email } else { &upper };
        caller.sends(script, &format!("message {}", number + 1), ("email", value), None);
    }
    let call = script.admin_call("CreateVerificationCode", "/api/verification-codes".into(), Some(&json!({"email": email})));
    script.call(Persona::Admin, Purpose::Probe("nor by the administrator".into()), call, &[]);
    let other = script.email();
    caller.sends(script, "somebody else gets one", ("email", &other), None);
}

/// Addresses that the tenant does not take: with a plus, on one list, missing on the other. Whoever has one keeps it.
fn addresses(script: &mut Script<'_>, facts: &Facts) {
    let caller = Caller::new(script);
    let own = script.own_email(caller.user);
    let policy = |script: &mut Script<'_>, label: &str, policy: &Value| {
        let call = script.admin_call("UpdateSignInExp", "/api/sign-in-exp".into(), Some(&json!({"emailBlocklistPolicy": policy})));
        script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, &[]);
    };
    let [plus, listed, elsewhere] =
        [script.email().replace('@', "+lc@"), script.email(), script.email().replace("@example.com", "@example.org")];
    let refused = [("with a plus", plus), ("on the list", listed.clone()), ("not on the other list", elsewhere)];
    let proved = refused.clone().map(|(_, address)| {
        let sent = caller.sends(script, "a code while every address is taken", ("email", &address), None);
        let code = sent.code(script);
        caller.proves(script, "its code", &sent, &code);
        sent.record
    });
    let proof = script.record(caller.user);
    let lists =
        json!({"blockSubaddressing": true, "customBlocklist": [listed, listed], "customAllowlist": ["@example.com", "lc*+lc@example.com"]});
    policy(script, "a policy on addresses", &lists);
    for ((label, address), record) in refused.iter().zip(&proved) {
        caller.sends(script, label, ("email", address), None);
        let body = json!({"email": address, "newIdentifierVerificationRecordId": record});
        let of = caller.does(script, label, "UpdatePrimaryEmail", Some(&proof), &body);
        script.look(caller.user, of);
    }
    caller.sends(script, "the own address", ("email", &own), None);
    let found = facts.sign_in_experience.get("emailBlocklistPolicy").cloned().unwrap_or_else(|| json!({}));
    policy(script, "the policy as it was", &found);
    let body = json!({"email": refused[0].1, "newIdentifierVerificationRecordId": proved[0]});
    let of = caller.does(script, "once every address is taken again", "UpdatePrimaryEmail", Some(&proof), &body);
    script.look(caller.user, of);
}

fn sign_in_policy(script: &mut Script<'_>, label: &str, policy: &Value) {
    let call = script.admin_call("UpdateSignInExp", "/api/sign-in-exp".into(), Some(&json!({"sentinelPolicy": policy})));
    script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, &[]);
}

fn strict(script: &mut Script<'_>) {
    sign_in_policy(script, "a strict policy", &json!({"maxAttempts": MOST_FAILURES, "lockoutDuration": 10}));
}

fn lenient(script: &mut Script<'_>, facts: &Facts) {
    let found = facts.sign_in_experience.get("sentinelPolicy").cloned().unwrap_or_else(|| json!({}));
    sign_in_policy(script, "the policy as it was", &found);
}

fn lift(script: &mut Script<'_>, target: &str) {
    let body = json!({"targetType": "User", "targets": [target]});
    let call = script.admin_call("DeleteSentinelActivities", "/api/sentinel-activities/delete".into(), Some(&body));
    script.call(Persona::Admin, Purpose::Probe("the lock-out is lifted".into()), call, &[]);
}

/// What ends by itself after ten minutes: records, codes, subject tokens, one-time tokens, personal access tokens.
fn expiry(script: &mut Script<'_>, facts: &Facts) {
    let caller = Caller::new(script);
    let proof = script.record(caller.user);
    let subject = script.subject_token(caller.user);
    let email = script.email();
    let reads_mail = facts.channels.contains(&MessageKind::Email);
    let (proved, sent) = if reads_mail {
        let proved = caller.sends(script, "a code to a new address", ("email", &email), None);
        let code = proved.code(script);
        caller.proves(script, "its code", &proved, &code);
        let sent = caller.sends(script, "another code", ("email", &email), None);
        let code = sent.code(script);
        (Some(proved), Some((sent, code)))
    } else {
        (None, None)
    };
    let administrator = |script: &mut Script<'_>, label: &str, operation: &str, target: String, body: &Value, capture: &[(&str, &str)]| {
        let call = script.admin_call(operation, target, Some(body));
        script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, capture);
    };
    let (one_time, context) = (script.symbol("one-time-token"), json!({"email": email, "expiresIn": 60}));
    administrator(
        script,
        "a one-time token for a minute",
        "AddOneTimeTokens",
        "/api/one-time-tokens".into(),
        &context,
        &[(&one_time, "/token")],
    );
    caller.renames(script, "the record before it ends", &proof);
    if reads_mail {
        codes_end(script, &caller, facts);
    }
    script.wait(RECORD_LIFE + MARGIN);
    caller.renames(script, "the record after it ended", &proof);
    script.call(
        Persona::Admin,
        Purpose::Probe("the subject token after it ended".into()),
        token_call(&exchange_form(&subject, ALL_SCOPES)),
        &[],
    );
    let body = json!({"email": email, "token": format!("{{{{{one_time}}}}}")});
    administrator(script, "the one-time token after it ended", "VerifyOneTimeToken", "/api/one-time-tokens/verify".into(), &body, &[]);
    let fresh = {
        script.forget_tokens(caller.user);
        script.record(caller.user)
    };
    caller.renames(script, "a new record", &fresh);
    if let (Some(proved), Some((sent, code))) = (proved, sent) {
        caller.proves(script, "a code after its record ended", &sent, &code);
        let body = json!({"email": email, "newIdentifierVerificationRecordId": proved.record});
        let of = caller.does(script, "a new address by a record that ended", "UpdatePrimaryEmail", Some(&fresh), &body);
        script.look(caller.user, of);
    }
}

/// Codes end before their record where the tenant says so.
fn codes_end(script: &mut Script<'_>, caller: &Caller, facts: &Facts) {
    let policy = |script: &mut Script<'_>, label: &str, value: &Value| {
        let call = script.admin_call("UpdateSignInExp", "/api/sign-in-exp".into(), Some(&json!({"verificationCodePolicy": value})));
        script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, &[]);
    };
    policy(script, "codes for a minute", &json!({"expirationDuration": CODE_LIFE}));
    let email = script.email();
    let sent = caller.sends(script, "a code for a minute", ("email", &email), None);
    let code = sent.code(script);
    let call = script.admin_call("CreateVerificationCode", "/api/verification-codes".into(), Some(&json!({"email": email})));
    script.call(Persona::Admin, Purpose::Probe("a code of no record".into()), call, &[]);
    let other = script.obtain(Persona::Admin, Source::Message { to: email.clone(), record: None });
    script.wait(CODE_LIFE + MARGIN);
    caller.proves(script, "the code after a minute", &sent, &code);
    let body = json!({"email": email, "verificationCode": other});
    let call = script.admin_call("VerifyVerificationCode", "/api/verification-codes/verify".into(), Some(&body));
    script.call(Persona::Admin, Purpose::Probe("the code of no record after a minute".into()), call, &[]);
    let found = facts.sign_in_experience.get("verificationCodePolicy").cloned().unwrap_or_else(|| json!({}));
    policy(script, "codes as they were", &found);
}

/// Whoever gives wrong passwords too often is locked out, until that is lifted.
fn lock_out(script: &mut Script<'_>, facts: &Facts) {
    let caller = Caller::new(script);
    let password = json!({"password": script.password(caller.user)});
    strict(script);
    for number in 1..=MOST_FAILURES {
        let wrong = json!({"password": "lc-wrong-password"});
        caller.does(script, &format!("wrong password {number}"), "CreateVerificationByPassword", None, &wrong);
    }
    caller.does(script, "the right password while locked out", "CreateVerificationByPassword", None, &password);
    as_admin(script, "the administrator is not locked out", "VerifyUserPassword", caller.user, Some(&password));
    lift(script, &caller.user.username());
    caller.does(script, "a username is no target", "CreateVerificationByPassword", None, &password);
    lift(script, &caller.user.id());
    caller.does(script, "the right password", "CreateVerificationByPassword", None, &password);
    lenient(script, facts);
}

/// Whoever gives wrong codes for an address too often is locked out for that address, whatever the record.
fn lock_out_by_codes(script: &mut Script<'_>, facts: &Facts) {
    let caller = Caller::new(script);
    let (email, other) = (script.email(), script.email());
    strict(script);
    let sent = caller.sends(script, "a code to a new address", ("email", &email), None);
    let code = sent.code(script);
    for number in 1..=MOST_FAILURES {
        caller.proves(script, &format!("wrong code {number}"), &sent, "none");
    }
    caller.proves(script, "the right code while locked out", &sent, &code);
    let elsewhere = caller.sends(script, "a code to another address", ("email", &other), None);
    let another = elsewhere.code(script);
    caller.proves(script, "another address is not locked out", &elsewhere, &another);
    lift(script, &email);
    let sent = caller.sends(script, "another code to the same address", ("email", &email), None);
    let code = sent.code(script);
    caller.proves(script, "the right code", &sent, &code);
    lenient(script, facts);
}

/// Second factors come, change and go.
fn second_factors(script: &mut Script<'_>) {
    let caller = Caller::new(script);
    let proof = script.record(caller.user);
    let look = |script: &mut Script<'_>, of: usize| {
        script.look_as_user_at(caller.user, "GetMfaVerifications", "/api/my-account/mfa-verifications", of);
        let target = format!("/api/users/{}/mfa-verifications", caller.user.id());
        let call = script.admin_call("ListUserMfaVerifications", target, None);
        script.call(Persona::Admin, Purpose::Look(of), call, &[]);
    };
    let app = |code: &str| json!({"type": "Totp", "secret": APP_SECRET, "code": code});
    let codes: Vec<String> = (0..10).map(|number| format!("{number:010}")).collect();
    let codes = json!({"type": "BackupCode", "codes": codes});
    let of = caller.does(script, "backup codes alone", "AddMfaVerification", Some(&proof), &codes);
    look(script, of);
    let of = caller.does(script, "an app with a wrong code", "AddMfaVerification", Some(&proof), &app("000000x"));
    look(script, of);
    let code = script.obtain(Persona::User, Source::Totp { secret: APP_SECRET.to_owned() });
    let of = caller.does(script, "an app", "AddMfaVerification", Some(&proof), &app(&code));
    look(script, of);
    let of = caller.does(script, "a second app", "AddMfaVerification", Some(&proof), &app(&code));
    look(script, of);
    let body = json!({"secret": APP_SECRET, "code": code});
    let of = caller.does(script, "an app in its place", "CreateOrReplaceTotpMfaVerification", Some(&proof), &body);
    look(script, of);
    let of = caller.does(script, "backup codes", "AddMfaVerification", Some(&proof), &codes);
    look(script, of);
    let of = caller.does(script, "more backup codes", "AddMfaVerification", Some(&proof), &codes);
    look(script, of);
}

#[cfg(test)]
#[path = "proofs_tests.rs"]
mod tests;
