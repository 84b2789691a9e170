use std::collections::BTreeSet;

use super::*;
use crate::contract::Version;
use crate::plan::epoch::fields;
use crate::plan::{Action, Sequence};

fn planned(facts: Facts) -> Vec<Sequence> {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let defaults: Value = serde_json::from_str(include_str!("../reference/defaults.json")).unwrap();
    let facts = Facts {
        account_center: defaults["accountCenter"].clone(),
        sign_in_experience: defaults["signInExperience"].clone(),
        connectors: vec![json!({"id": "m", "type": "Email"}), json!({"id": "s", "type": "Sms"})],
        may_change_settings: true,
        ..facts
    };
    let write = |draft: Draft<'_>| {
        let mut script = Script::new(&contract, &facts, Some(&draft.need.settings(&fields(&contract))));
        (draft.write)(&mut script);
        script.finish(draft.id)
    };
    proofs(&contract, &facts).into_iter().map(write).collect()
}

fn expected(sequences: &[Sequence]) -> BTreeSet<(&str, &str)> {
    let steps = sequences.iter().flat_map(|sequence| &sequence.steps);
    steps.filter_map(|step| Some((step.operation()?, step.expect.as_deref()?))).collect()
}

#[test]
fn with_everything_at_hand_every_end_of_a_proof_is_foreseen() {
    let channels = MessageKind::ALL.to_vec();
    let sequences = planned(Facts { channels, may_wait: true, ..Facts::default() });
    let certain = |sequence: &Sequence| {
        let unsure = sequence.steps.iter().find(|step| matches!(step.action, Action::Call(_)) && step.expect.is_none());
        assert!(unsure.is_none(), "{}: {unsure:?}", sequence.id);
    };
    sequences.iter().for_each(certain);
    let expected = expected(&sequences);
    let (verify, send) = ("VerifyVerificationByVerificationCode", "CreateVerificationByVerificationCode");
    for outcome in [
        (verify, "200"),
        (verify, "400 verification_code.not_found"),
        (verify, "400 verification_code.code_mismatch"),
        (verify, "400 verification_code.exceed_max_try"),
        (verify, "400 session.verification_blocked_too_many_attempts"),
        (verify, "400 verification_record.not_found"),
        (send, "201"),
        (send, "429 request.message_rate_limited"),
        ("CreateVerificationCode", "429 request.message_rate_limited"),
        ("UpdateProfile", "401 verification_record.permission_denied"),
        ("UpdatePrimaryEmail", "204"),
        ("UpdatePrimaryEmail", "400 verification_record.not_found"),
        ("UpdatePrimaryEmail", "401 verification_record.permission_denied"),
        ("UpdatePrimaryEmail", "422 user.email_already_in_use"),
        (verify, "400 verification_code.email_mismatch"),
        (verify, "400 verification_code.phone_mismatch"),
        (verify, "400 verification_code.expired"),
        ("VerifyVerificationCode", "204"),
        ("VerifyVerificationCode", "400 verification_code.code_mismatch"),
        ("VerifyVerificationCode", "400 verification_code.exceed_max_try"),
        ("VerifyVerificationCode", "400 verification_code.expired"),
        ("UpdatePrimaryPhone", "422 user.phone_already_in_use"),
        ("UpdatePrimaryPhone", "204"),
        ("CreateVerificationByPassword", "400 session.verification_blocked_too_many_attempts"),
        ("AddMfaVerification", "204"),
        ("AddMfaVerification", "400 session.mfa.invalid_totp_code"),
        ("CreateOrReplaceTotpMfaVerification", "204"),
        ("IssueToken", "400 oidc.invalid_grant"),
        ("VerifyOneTimeToken", "400 one_time_token.token_expired"),
    ] {
        assert!(expected.contains(&outcome), "{outcome:?}");
    }
}

#[test]
fn nothing_is_sent_that_nobody_reads_and_nobody_waits_who_may_not() {
    for sequence in planned(Facts::default()) {
        for step in &sequence.steps {
            let sends = step.operation().is_some_and(|operation| operation == "CreateVerificationByVerificationCode");
            assert!(!sends && !matches!(step.action, Action::Wait(_)), "{}", sequence.id);
        }
    }
}
