//! The stories of who is let in with a password, and who is asked for a second factor.

use serde_json::{Value, json};

use super::cast::Cast;
use super::lives::{as_admin, as_user};
use super::probe::Probe;
use super::script::{ALL_SCOPES, Client, Script, Traits, User};
use super::sequence::{Persona, Purpose};
use super::stand_in::APP_SECRET;
use crate::contract::Flaw;
use crate::model::SecondFactor;

/// Secret of another one.
const OTHER_SECRET: &str = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU";

/// A second factor is asked for, used up, left out by choice; then the password changes and the user is suspended.
pub fn entries(script: &mut Script<'_>) {
    let user = script.user(Traits { password: true, email: true });
    let token = script.token(user, ALL_SCOPES, Client::First);
    let record = script.record(user);
    let password = script.password(user);
    let codes: Vec<String> = (0..10).map(|number| format!("{number:010x}")).collect();
    let backup = |code: &str| Some(SecondFactor::BackupCode(code.to_owned()));
    let app = |secret: &str| Some(SecondFactor::Totp(secret.to_owned()));
    let reads = |script: &mut Script<'_>, label: &str| {
        as_admin(script, label, "ListUserMfaVerifications", user, None);
        as_user(script, Persona::User, label, "GetBackupCodes", &token, Some(&record), None);
    };
    let asks = |script: &mut Script<'_>, label: &str, operation: &str, body: Value| {
        let of = as_admin(script, label, operation, user, Some(&body));
        script.look(user, of);
    };
    script.signs_in("nothing but the password", user, &password, None);
    asks(script, "an app", "CreateUserMfaVerification", json!({"type": "Totp", "secret": APP_SECRET}));
    asks(script, "backup codes", "CreateUserMfaVerification", json!({"type": "BackupCode", "codes": codes}));
    script.signs_in("no second factor", user, &password, None);
    script.signs_in("a backup code that is none", user, &password, backup("ffffffffff"));
    reads(script, "all codes are left");
    let entered = script.signs_in("a backup code", user, &password, backup(&codes[3]));
    as_user(script, Persona::User, "the token of that", "GetProfile", &entered, None, None);
    script.signs_in("the same code again", user, &password, backup(&codes[3]));
    reads(script, "one code is used up");
    script.signs_in("the code of another app", user, &password, app(OTHER_SECRET));
    script.signs_in("the code of the app", user, &password, app(APP_SECRET));
    reads(script, "the app uses up nothing");
    asks(script, "no second factor is wanted", "UpdateUserLogtoConfigs", json!({"mfa": {"skipMfaOnSignIn": true}}));
    script.signs_in("nobody asks", user, &password, None);
    let new = script.new_password();
    asks(script, "another password", "UpdateUserPassword", json!({"password": new}));
    script.signs_in("the old password", user, &password, None);
    script.signs_in("the new password", user, &new, None);
    asks(script, "suspended", "UpdateUserIsSuspended", json!({"isSuspended": true}));
    script.signs_in("while suspended", user, &new, None);
    asks(script, "restored", "UpdateUserIsSuspended", json!({"isSuspended": false}));
    script.signs_in("as before", user, &new, None);
}

/// A passkey lets its user in, and nothing does that only looks like its answer. Who has none cannot be asked for one.
pub fn passkeys(script: &mut Script<'_>) {
    let Some(user) = with_passkey(script) else { return };
    let token = script.token(user, ALL_SCOPES, Client::First);
    let password = script.password(user);
    let shown = |flaw: Option<Flaw>| Some(SecondFactor::Passkey(flaw));
    let reads = |script: &mut Script<'_>, label: &str| {
        as_admin(script, label, "ListUserMfaVerifications", user, None);
        as_user(script, Persona::User, label, "GetMfaVerifications", &token, None, None);
    };
    script.signs_in("no second factor", user, &password, None);
    script.signs_in("the answer to another challenge", user, &password, shown(Some(Flaw::WrongChallenge)));
    script.signs_in("the answer on another page", user, &password, shown(Some(Flaw::WrongOrigin)));
    script.signs_in("the answer of whoever was there", user, &password, shown(Some(Flaw::UserNotVerified)));
    reads(script, "the passkey was not used");
    let entered = script.signs_in("the passkey", user, &password, shown(None));
    as_user(script, Persona::User, "the token of that", "GetProfile", &entered, None, None);
    reads(script, "the passkey was used");
    let other = script.user(Traits { password: true, email: false });
    as_admin(script, "only an app", "CreateUserMfaVerification", other, Some(&json!({"type": "Totp", "secret": APP_SECRET})));
    let password = script.password(other);
    script.signs_in("a passkey of whoever has none", other, &password, shown(None));
}

/// A user with a passkey, as the contract's own case brings it about.
fn with_passkey(script: &mut Script<'_>) -> Option<User> {
    let operation = script.contract().operation("AddMfaVerification")?;
    let (name, case) = operation.cases.get_key_value("passkey")?;
    let probe = Probe::accepted(script.contract(), operation, name, case);
    let (persona, call, user, _) = probe.render(script, &mut Cast::of_one(true));
    script.call(persona, Purpose::Setup, call, &[]);
    user
}
