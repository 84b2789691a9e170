use super::*;
use crate::contract::{Contract, Version};

const USER: &str = "ann";
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// A user with a password and these factors, in a tenant that takes these kinds.
fn state(taken: &[&str], factors: &[Value]) -> State {
    filled(State::closed(), taken, factors)
}

fn filled(mut state: State, taken: &[&str], factors: &[Value]) -> State {
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

#[test]
fn what_a_factor_is_shown_with_can_be_read_and_changed() {
    for (mut shown, text) in
        [(SecondFactor::Totp("one".into()), Some("one")), (backup("two"), Some("two")), (SecondFactor::Passkey(None), None)]
    {
        assert_eq!(shown.text().map(String::as_str), text);
        if let Some(text) = shown.text_mut() {
            text.push_str(" more");
        }
        assert_eq!(shown.text().cloned(), text.map(|text| format!("{text} more")));
    }
}

#[test]
fn a_tenant_with_a_factor_of_another_kind_is_not_judged() {
    for other in ["EmailVerificationCode", "PhoneVerificationCode"] {
        assert_eq!(ends(&state(&["Totp", other], &[app()]), "right", None).unwrap(), "unsure", "{other}");
    }
}

#[test]
fn a_user_may_have_factors_that_were_never_seen() {
    let user = Key::new(Kind::User, USER);
    let passkey = SecondFactor::Passkey(None);
    let mut none = filled(State::default(), &["Totp"], &[]);
    assert_eq!(ends(&none, "right", None).unwrap(), "unsure");
    none.told_all(Kind::Factor, &user);
    assert_eq!(ends(&none, "right", None), None);
    let mut one = filled(State::default(), &["Totp", "WebAuthn"], &[app()]);
    assert_eq!(ends(&one, "right", None).unwrap(), "session.mfa.require_mfa_verification");
    assert_eq!(ends(&one, "right", Some(&passkey)).unwrap(), "unsure");
    one.told_all(Kind::Factor, &user);
    assert_eq!(ends(&one, "right", Some(&passkey)).unwrap(), "session.mfa.webauthn_verification_not_found");
}

#[test]
fn a_factor_of_a_kind_that_the_user_lacks_is_refused() {
    let app_only = state(&["Totp", "BackupCode"], &[app()]);
    assert_eq!(ends(&app_only, "right", Some(&backup("0000000001"))).unwrap(), "session.mfa.invalid_backup_code");
    let codes_only = state(&["Totp", "BackupCode"], &[codes()]);
    assert_eq!(ends(&codes_only, "right", Some(&SecondFactor::Totp(SECRET.into()))).unwrap(), "session.mfa.invalid_totp_code");
}

#[test]
fn a_factor_of_a_kind_that_is_not_known_may_be_the_one_that_is_shown() {
    let state = state(&["Totp", "WebAuthn"], &[app(), json!({})]);
    for flaw in [None, Some(Flaw::WrongOrigin)] {
        assert_eq!(ends(&state, "right", Some(&SecondFactor::Passkey(flaw))).unwrap(), "unsure");
    }
}

#[test]
fn a_passkey_remembers_when_it_let_its_user_in() {
    let mut state = state(&["WebAuthn"], &[json!({"type": "WebAuthn", "lastUsedAt": null})]);
    let moment = json!("2026-11-22T08:12:50.299Z");
    use_factor(&mut state, USER, &SecondFactor::Passkey(None), &moment);
    assert_eq!(state.find(Kind::Factor, "factor 0").unwrap().known(LAST_USE), Some(&moment));
}

#[test]
fn a_sign_in_that_nothing_explains_leaves_the_factors_of_its_user_in_doubt() {
    let used = json!({"codes": ["0000000001"], "remainCodes": 1, "lastUsedStep": 5, "lastUsedAt": null, "type": "Totp"});
    let mut state = state(&["Totp"], std::slice::from_ref(&used));
    let others = Entity::from_json(&used).with("owner", "bob");
    state.insert(Key::new(Kind::Factor, "of another"), others.clone());
    doubt_factors(&mut state, USER);
    let own = state.find(Kind::Factor, "factor 0").unwrap();
    for name in ["codes", "remainCodes", "lastUsedStep", "lastUsedAt"] {
        assert_eq!(own.get(name), &Term::Unknown, "{name}");
    }
    assert_eq!(own.known("type"), Some(&json!("Totp")));
    assert_eq!(state.find(Kind::Factor, "of another"), Some(&others));
}

#[test]
fn a_code_of_an_app_is_good_only_after_the_last_one() {
    let now = 1_800_000_000_000;
    let (step, code) = (now / 30_000, totp::code(SECRET, now).unwrap());
    for (last, next) in [(json!(null), Some(step)), (json!(step - 1), Some(step)), (json!(step), None), (json!(step + 1), None)] {
        let factor = Entity::from_json(&app()).with(LAST_STEP, last.clone());
        assert_eq!(next_step(&factor, &code, now), next, "after {last}");
    }
}
