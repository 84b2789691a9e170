//! Who is let in with a password, and what a second factor does about it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::password::is_password;
use super::state::{Entity, Fresh, Key, Kind, State, Term, Truth};
use super::totp;
use crate::contract::guard::Refusal;
use crate::contract::{Flaw, Outcome, SignInRefusals};

/// Of an authenticator app: the step of the last code that let its user in, null where that is not known.
const LAST_STEP: &str = "lastUsedStep";

/// Of a passkey: when it let its user in last.
const LAST_USE: &str = "lastUsedAt";

/// A second factor that is shown where a sign-in asks for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecondFactor {
    /// The code of an authenticator app with this secret.
    Totp(String),
    /// A backup code.
    BackupCode(String),
    /// A passkey of the device that makes those of the sequence, used rightly or not.
    Passkey(Option<Flaw>),
}

impl SecondFactor {
    /// The kind, as factors have it in `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Totp(_) => "Totp",
            Self::BackupCode(_) => "BackupCode",
            Self::Passkey(_) => "WebAuthn",
        }
    }

    /// What a wrong one is refused with.
    pub fn refusal<'a>(&self, refusals: &'a SignInRefusals) -> &'a Refusal {
        match self {
            Self::Totp(_) => &refusals.totp,
            Self::BackupCode(_) => &refusals.backup_code,
            Self::Passkey(_) => &refusals.passkey,
        }
    }

    /// The secret or the code, in which symbols can stand.
    pub const fn text(&self) -> Option<&String> {
        match self {
            Self::Totp(text) | Self::BackupCode(text) => Some(text),
            Self::Passkey(_) => None,
        }
    }

    /// The same, to change.
    pub const fn text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Totp(text) | Self::BackupCode(text) => Some(text),
            Self::Passkey(_) => None,
        }
    }
}

/// What a sign-in comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The user is let in.
    Open,
    /// The user is turned away.
    Refused(Outcome),
    /// Too little is known.
    Unsure,
}

impl From<&Refusal> for Entry {
    fn from(refusal: &Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

/// What becomes of a sign-in with username and password, and this second factor at hand.
pub fn entry(refusals: &SignInRefusals, state: &State, user: &str, password: &str, shown: Option<&SecondFactor>) -> Entry {
    let Some(account) = state.find(Kind::User, user).filter(|account| account.exists()) else { return Entry::Unsure };
    let Some(suspended) = account.flag("isSuspended").filter(|_| takes_passwords(state)) else { return Entry::Unsure };
    match is_password(account, Some(password)) {
        Some(true) => {}
        Some(false) => return (&refusals.password).into(),
        None => return Entry::Unsure,
    }
    if suspended {
        return (&refusals.suspended).into();
    }
    match (asks_for_factor(state, user), shown) {
        (Truth::No, _) => Entry::Open,
        (Truth::Yes, None) => (&refusals.unproved).into(),
        (Truth::Yes, Some(shown)) => proof(refusals, state, user, shown),
        _ => Entry::Unsure,
    }
}

/// Whether the tenant lets users in by username and password, and asks for nothing that this model does not follow.
fn takes_passwords(state: &State) -> bool {
    let settings = state.settings(&Key::sign_in_experience());
    let at = |name: &str, pointer: &str| settings.known(name).and_then(|value| value.pointer(pointer));
    let off = |name: &str| settings.known(name).is_some_and(|value| value.get("enabled").is_none_or(|on| on == false));
    let empty = |list: Option<&Value>| list.and_then(Value::as_array).is_none_or(Vec::is_empty);
    let methods = at("signIn", "/methods").and_then(Value::as_array);
    let method = methods.and_then(|methods| methods.iter().find(|method| method["identifier"] == "username"));
    let asked = at("signUp", "/identifiers").and_then(Value::as_array);
    method.is_some_and(|method| method["password"] == true)
        && asked.is_some_and(|asked| asked.iter().all(|identifier| identifier == "username"))
        && empty(at("signUp", "/secondaryIdentifiers"))
        && ["captchaPolicy", "passkeySignIn", "passwordExpiration"].into_iter().all(off)
}

/// Whether a sign-in of the user asks for a second factor: there is one that the tenant takes, and nobody said not to ask.
pub fn asks_for_factor(state: &State, user: &str) -> Truth {
    let settings = state.settings(&Key::sign_in_experience());
    let tenant = settings.known("mfa").and_then(|mfa| Some((mfa.get("factors")?.as_array()?, mfa.get("policy"))));
    let (Some((taken, policy)), Some(risk)) = (tenant, settings.known("adaptiveMfa")) else { return Truth::Unknown };
    if taken.is_empty() {
        return Truth::No;
    }
    let known = |kind: &Value| ["Totp", "WebAuthn", "BackupCode"].iter().any(|name| kind == name);
    if policy != Some(&json!("NoPrompt")) || risk.get("enabled") == Some(&Value::Bool(true)) || !taken.iter().all(known) {
        return Truth::Unknown;
    }
    let own = state.all(Kind::Factor).filter(|(_, factor)| factor.text("owner") == Some(Some(user)));
    let counts = own.map(|(_, factor)| match factor.known("type") {
        None => Truth::Unknown,
        Some(kind) if !taken.contains(kind) => Truth::No,
        Some(kind) if kind == "BackupCode" => Truth::maybe(factor.known("remainCodes").map(|left| left != 0)),
        Some(_) => Truth::Yes,
    });
    let all = Truth::maybe(knows_factors(state, user).then_some(false));
    let has = counts.fold(all, Truth::or);
    let choice = |name: &str| state.find(Kind::User, user)?.known(&format!("logtoConfig.mfa.{name}")).cloned();
    let wanted = match (choice("enabled"), choice("skipMfaOnSignIn")) {
        (Some(Value::Bool(false)), _) | (_, Some(Value::Bool(true))) => Truth::No,
        (Some(_), Some(_)) => Truth::Yes,
        _ => Truth::Unknown,
    };
    has.and(wanted)
}

/// Whether all factors of the user are known.
fn knows_factors(state: &State, user: &str) -> bool {
    state.knows_all(Kind::Factor, Some(&Key::new(Kind::User, user)))
}

/// What becomes of a second factor that is shown.
fn proof(refusals: &SignInRefusals, state: &State, user: &str, shown: &SecondFactor) -> Entry {
    let kind = shown.kind();
    let mut own = state
        .all(Kind::Factor)
        .filter(|(_, factor)| factor.text("owner") == Some(Some(user)) && factor.known("type").is_none_or(|known| known == kind));
    let unused = |app: &Entity| !app.iter().any(|(name, _)| name == LAST_STEP);
    let good = match (own.next(), own.next(), shown) {
        (None, _, SecondFactor::Passkey(_)) if knows_factors(state, user) => return (&refusals.no_passkey).into(),
        (None, _, _) => knows_factors(state, user).then_some(false),
        // After one code has let the user in, no code of that time does again.
        (Some((_, app)), None, SecondFactor::Totp(secret)) => match app.known("secret") {
            Some(known) if known != secret => Some(false),
            Some(_) if unused(app) => Some(true),
            _ => None,
        },
        (Some((_, set)), None, SecondFactor::BackupCode(code)) => {
            set.known("codes").and_then(Value::as_array).map(|codes| codes.iter().any(|unused| unused == code))
        }
        // Whatever is wrong with it, the server looks.
        (Some((_, known)), None, SecondFactor::Passkey(flaw)) if known.known("type").is_some() => Some(flaw.is_none()),
        _ => None,
    };
    match good {
        Some(true) => Entry::Open,
        Some(false) => shown.refusal(refusals).into(),
        None => Entry::Unsure,
    }
}

/// Uses what a sign-in was let in by: a backup code or a passkey at a moment, or an app's code of a step; null where that is
/// not known.
pub fn use_factor(state: &mut State, user: &str, shown: &SecondFactor, when: &Value) {
    let of_user = |factor: &Entity| factor.text("owner") == Some(Some(user)) && factor.text("type") == Some(Some(shown.kind()));
    let Some(key) = state.all(Kind::Factor).find(|(_, factor)| of_user(factor)).map(|(id, _)| Key::new(Kind::Factor, id)) else {
        return;
    };
    state.update(&key, |factor| match shown {
        SecondFactor::Totp(_) => factor.set(LAST_STEP, when.clone()),
        SecondFactor::BackupCode(shown) => {
            let Some(Value::Array(codes)) = factor.known("codes").cloned() else { return };
            let spent = json!({"code": shown, "usedAt": when});
            let codes: Vec<Value> = codes.into_iter().map(|code| if code == **shown { spent.clone() } else { code }).collect();
            factor.set("remainCodes", json!(codes.iter().filter(|code| code.is_string()).count()));
            factor.set("codes", Value::Array(codes));
        }
        SecondFactor::Passkey(_) if when.is_null() => factor.set(LAST_USE, Term::Fresh(Fresh::IsoNow)),
        SecondFactor::Passkey(_) => factor.set(LAST_USE, when.clone()),
    });
}

/// After a sign-in that nothing explains, nobody knows what it left of the user's factors.
pub fn doubt_factors(state: &mut State, user: &str) {
    state.update_all(
        Kind::Factor,
        |factor| factor.text("owner") == Some(Some(user)),
        |factor| {
            for name in ["codes", "remainCodes", LAST_STEP, LAST_USE] {
                factor.set(name, Term::Unknown);
            }
        },
    );
}

/// The step of an app's code that is good now and later than the one before it.
pub fn next_step(factor: &Entity, code: &str, now: i64) -> Option<i64> {
    let secret = factor.text("secret").flatten()?;
    let last = factor.known(LAST_STEP).and_then(Value::as_i64);
    totp::steps(secret, code, now).find(|step| last.is_none_or(|last| *step > last))
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
