use super::*;
use crate::contract::{Contract, Version};

const USER: &str = "ann";
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// A user with a password and these factors, in a tenant that takes these kinds.
fn state(taken: &[&str], factors: &[Value]) -> State {
    let mut state = State::closed();
    let settings = json!({
        "signIn": {"methods": [{"identifier": "username", "password": true}]},
        "signUp": {"identifiers": ["username"]},
        "mfa": {"factors": taken, "policy": "NoPrompt"},
        "adaptiveMfa": {}, "captchaPolicy": {}, "passkeySignIn": {"enabled": false}, "passwordExpiration": {"enabled": false},
    });
    state.insert(Key::sign_in_experience(), Entity::from_json(&settings));
    let user =
        json!({"password": "right", "isSuspended": false, "logtoConfig.mfa.enabled": null, "logtoConfig.mfa.skipMfaOnSignIn": false});
    state.insert(Key::new(Kind::User, USER), Entity::from_json(&user));
    for (number, factor) in factors.iter().enumerate() {
        state.insert(Key::new(Kind::Factor, format!("factor {number}")), Entity::from_json(factor).with("owner", USER));
    }
    state
}

fn app() -> Value {
    json!({"type": "Totp", "secret": SECRET})
}

fn codes() -> Value {
    json!({"type": "BackupCode", "codes": ["0000000001", "0000000002"], "remainCodes": 2})
}

fn backup(code: &str) -> SecondFactor {
    SecondFactor::BackupCode(code.into())
}

/// The error code that a sign-in ends with, if it does.
fn ends(state: &State, password: &str, shown: Option<&SecondFactor>) -> Option<String> {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    match entry(&contract.sign_in, state, USER, password, shown) {
        Entry::Open => None,
        Entry::Refused(outcome) => outcome.code,
        Entry::Unsure => Some("unsure".into()),
    }
}

#[test]
fn password_and_suspension_come_before_any_factor() {
    let mut state = state(&["Totp"], &[app()]);
    assert_eq!(ends(&state, "wrong", None).unwrap(), "session.invalid_credentials");
    assert_eq!(ends(&state, "right", None).unwrap(), "session.mfa.require_mfa_verification");
    state.update(&Key::new(Kind::User, USER), |user| user.set("isSuspended", true));
    assert_eq!(ends(&state, "wrong", None).unwrap(), "session.invalid_credentials");
    assert_eq!(ends(&state, "right", None).unwrap(), "user.suspended");
}

#[test]
fn a_factor_is_asked_for_where_tenant_and_user_have_it() {
    assert_eq!(ends(&state(&["Totp"], &[]), "right", None), None);
    assert_eq!(ends(&state(&[], &[app()]), "right", None), None);
    assert_eq!(ends(&state(&["BackupCode"], &[app()]), "right", None), None);
    let mut chosen = state(&["Totp"], &[app()]);
    chosen.update(&Key::new(Kind::User, USER), |user| user.set("logtoConfig.mfa.skipMfaOnSignIn", true));
    assert_eq!(ends(&chosen, "right", None), None);
    let spent = json!({"type": "BackupCode", "codes": [], "remainCodes": 0});
    assert_eq!(ends(&state(&["BackupCode"], &[spent]), "right", None), None);
    for (name, value) in [("mfa", json!({"factors": ["Totp"], "policy": "Mandatory"})), ("adaptiveMfa", json!({"enabled": true}))] {
        let mut strict = state(&["Totp"], &[app()]);
        strict.update(&Key::sign_in_experience(), |settings| settings.set(name, value));
        assert_eq!(ends(&strict, "right", None).unwrap(), "unsure", "{name}");
    }
}

#[test]
fn a_tenant_that_asks_for_more_is_not_judged() {
    for (name, value) in [
        ("captchaPolicy", json!({"enabled": true})),
        ("passwordExpiration", json!({"enabled": true})),
        ("signUp", json!({"identifiers": ["email"]})),
        ("signIn", json!({"methods": []})),
    ] {
        let mut other = state(&[], &[]);
        other.update(&Key::sign_in_experience(), |settings| settings.set(name, value));
        assert_eq!(ends(&other, "right", None).unwrap(), "unsure", "{name}");
    }
}

#[test]
fn a_backup_code_is_good_once() {
    let mut state = state(&["Totp", "BackupCode"], &[app(), codes()]);
    let code = backup("0000000002");
    assert_eq!(ends(&state, "right", Some(&backup("0000000003"))).unwrap(), "session.mfa.invalid_backup_code");
    assert_eq!(ends(&state, "right", Some(&code)), None);
    use_factor(&mut state, USER, &code, &Value::Null);
    assert_eq!(ends(&state, "right", Some(&code)).unwrap(), "session.mfa.invalid_backup_code");
    let set = state.get(&Key::new(Kind::Factor, "factor 1")).unwrap();
    assert_eq!(set.known("remainCodes"), Some(&json!(1)));
    assert_eq!(set.known("codes"), Some(&json!(["0000000001", {"code": "0000000002", "usedAt": null}])));
}

#[test]
fn an_app_lets_in_once_in_its_time() {
    let mut state = state(&["Totp"], &[app()]);
    let other = SecondFactor::Totp("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU".into());
    let own = SecondFactor::Totp(SECRET.into());
    assert_eq!(ends(&state, "right", Some(&other)).unwrap(), "session.mfa.invalid_totp_code");
    assert_eq!(ends(&state, "right", Some(&own)), None);
    let now = 1_800_000_000_000;
    let code = totp::code(SECRET, now).unwrap();
    let step = |state: &State| next_step(state.get(&Key::new(Kind::Factor, "factor 0")).unwrap(), &code, now);
    assert_eq!(step(&state), Some(now / 30_000));
    use_factor(&mut state, USER, &own, &json!(now / 30_000));
    assert_eq!(step(&state), None);
    assert_eq!(ends(&state, "right", Some(&own)).unwrap(), "unsure", "it depends on the time");
}

#[test]
fn a_passkey_is_used_rightly_or_not_and_only_where_there_is_one() {
    let mut with = state(&["WebAuthn"], &[json!({"type": "WebAuthn", "lastUsedAt": null})]);
    assert_eq!(ends(&with, "right", None).unwrap(), "session.mfa.require_mfa_verification");
    assert_eq!(ends(&with, "right", Some(&SecondFactor::Passkey(None))), None);
    let wrong = SecondFactor::Passkey(Some(Flaw::WrongOrigin));
    assert_eq!(ends(&with, "right", Some(&wrong)).unwrap(), "session.mfa.webauthn_verification_failed");
    let without = state(&["Totp", "WebAuthn"], &[app()]);
    assert_eq!(ends(&without, "right", Some(&wrong)).unwrap(), "session.mfa.webauthn_verification_not_found");
    use_factor(&mut with, USER, &SecondFactor::Passkey(None), &Value::Null);
    assert_eq!(with.find(Kind::Factor, "factor 0").unwrap().get(LAST_USE), &Term::Fresh(Fresh::IsoNow));
}
