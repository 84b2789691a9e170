use super::*;
use crate::contract::Version;
use crate::model::password::{SETTLED, digest};

fn subject_tokens(script: &Script<'_>) -> usize {
    script.steps.iter().filter(|step| step.operation() == Some("CreateSubjectToken")).count()
}

#[test]
fn a_subject_token_is_given_again_until_a_call_uses_it() {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let mut script = Script::new(&contract, &Facts::default(), None);
    let (user, other) = (script.user(Traits::default()), script.user(Traits::default()));
    let first = script.subject_token(user);
    assert_eq!(script.subject_token(user), first);
    assert_ne!(script.subject_token(other), first);
    script.call(Persona::Admin, Purpose::Setup, token_call(&exchange_form(&first, "openid")), &[]);
    assert_ne!(script.subject_token(user), first, "it is used up");
    assert_eq!(subject_tokens(&script), 3);
}

#[test]
fn a_user_with_a_digest_signs_in_with_the_password_and_is_stored_like_others_then() {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let mut script = Script::new(&contract, &Facts::default(), None);
    let user = script.user(Traits { password: true, email: false });
    let password = script.binding.resolve(&script.password(user)).unwrap();
    let key = Key::new(Kind::User, script.binding.resolve(&user.id()).unwrap());
    let known = |script: &Script<'_>, name: &str| script.state.get(&key).unwrap().text(name).flatten().map(str::to_owned);
    assert_eq!(known(&script, "passwordDigest"), Some(digest(&password)));
    for (algorithm, after) in [(SETTLED, Some(digest(&password))), ("SHA256", None)] {
        script.state.update(&key, |user| user.set("passwordAlgorithm", algorithm));
        script.token(user, algorithm, Client::FirstBySignIn);
        assert_eq!((known(&script, "passwordAlgorithm").as_deref(), known(&script, "passwordDigest")), (Some(SETTLED), after));
    }
}
