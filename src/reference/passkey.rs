//! Passkeys at sign-in: what a browser is asked, and whether its answer is signed by a passkey of the user.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use passkey::crypto::PublicKeyT as _;
use passkey::crypto::rust_crypto::RustCryptoPublicKey;
use passkey::types::ctap2::{AttestedCredentialData, AuthenticatorData, Flags};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::fault::Change;
use super::issue::host_of;
use super::refusal::{coded, json_answer, refused};
use super::sign_in::{identified, interaction_id, no_session, proved};
use super::support::{Visit, invalid};
use crate::model::passkey::{authenticator_data, client_data, decoded};
use crate::model::time::iso;
use crate::model::wire::Answer;
use crate::model::{Kind, SecondFactor, State, use_factor};

/// What was asked.
#[derive(Debug)]
pub struct Asked {
    record: String,
    challenge: String,
}

/// `POST /api/experience/verification/web-authn/authentication`
pub fn ask(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let Some(user) = identified(visit, &id) else { return coded(404, "session.identifier_not_found") };
    let own: Vec<Value> = credentials(&visit.store.state, &user)
        .map(|known| json!({"id": URL_SAFE_NO_PAD.encode(known.credential_id()), "type": "public-key", "transports": ["internal"]}))
        .collect();
    if own.is_empty() {
        return refused(&visit.deployment.contract.sign_in.no_passkey);
    }
    let (record, challenge) = (visit.store.mint.id(21), visit.store.mint.opaque());
    let options = json!({
        "challenge": challenge, "rpId": host_of(visit.request), "allowCredentials": own, "timeout": 60_000,
        "userVerification": "required",
    });
    let answer = json_answer(200, &json!({"verificationId": record, "authenticationOptions": options}));
    visit.store.sign_ins.ask(&id, Asked { record, challenge });
    answer
}

/// `POST /api/experience/verification/web-authn/authentication/verify`
pub fn verify(visit: &mut Visit<'_>) -> Answer {
    let Some(id) = interaction_id(visit) else { return no_session() };
    let body = visit.body();
    let Some(record) = body.get("verificationId").and_then(Value::as_str) else { return invalid("verificationId") };
    let Some(answer) = body.get("payload").filter(|answer| answer["type"] == "WebAuthn") else { return invalid("payload") };
    let Some(user) = identified(visit, &id) else { return coded(404, "session.identifier_not_found") };
    let Some(asked) = visit.store.sign_ins.asked(&id).filter(|asked| asked.record == record) else {
        return coded(404, "session.verification_session_not_found");
    };
    let credential =
        credentials(&visit.store.state, &user).find(|known| answer["id"].as_str() == Some(&URL_SAFE_NO_PAD.encode(known.credential_id())));
    let anything = visit.deployment.signs_in_with(&Change::AnyPasskeyAnswer);
    let reached = visit.request.header("host").unwrap_or_default();
    let right = |known: &AttestedCredentialData| {
        is_of(answer, &asked.challenge, reached) && is_signed(answer, known, host_of(visit.request)) == Some(true)
    };
    if !credential.is_some_and(|known| anything || right(&known)) {
        return refused(&visit.deployment.contract.sign_in.passkey);
    }
    use_factor(&mut visit.store.state, &user, &SecondFactor::Passkey(None), &iso(visit.now).into());
    proved(visit, &id);
    json_answer(200, &json!({"verificationId": record}))
}

/// The passkeys of a user, as they were attested when they were registered.
fn credentials(state: &State, user: &str) -> impl Iterator<Item = AttestedCredentialData> {
    let own = state.all(Kind::Factor).filter(move |(_, factor)| factor.text("owner") == Some(Some(user)));
    own.filter_map(|(_, factor)| {
        let record = state.find(Kind::Record, factor.text("newIdentifierVerificationRecordId")??)?;
        AuthenticatorData::from_slice(&authenticator_data(record.text("attestation")??)?).ok()?.attested_credential_data
    })
}

/// Whether it answers this challenge, on a page of the deployment by the name that it is reached by, behind a gateway as well.
fn is_of(answer: &Value, challenge: &str, reached: &str) -> bool {
    let said = client_data(answer).unwrap_or_default();
    let host = said["origin"].as_str().and_then(|origin| origin.split_once("://"));
    said["type"] == "webauthn.get" && said["challenge"] == challenge && host.is_some_and(|(_, host)| host == reached)
}

/// Whether the passkey has signed it for this host, with the user there and verified.
fn is_signed(answer: &Value, known: &AttestedCredentialData, host: &str) -> Option<bool> {
    let (data, signature) = (decoded(answer, "authenticatorData")?, decoded(answer, "signature")?);
    let said = AuthenticatorData::from_slice(&data).ok()?;
    let key = VerifyingKey::from_public_key_der(&RustCryptoPublicKey::der_from_cose_key(&known.key).ok()?).ok()?;
    let signed = [data.as_slice(), &Sha256::digest(decoded(answer, "clientDataJSON")?)].concat();
    let good = key.verify(&signed, &Signature::from_der(&signature).ok()?).is_ok();
    Some(good && said.rp_id_hash()[..] == Sha256::digest(host)[..] && said.flags.contains(Flags::UP | Flags::UV))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Flaw;
    use crate::target::Authenticator;

    const PAGE: &str = "http://own.example:3001";

    #[tokio::test]
    async fn only_what_the_passkey_signs_for_this_page_and_challenge_is_right() {
        let mut device = Authenticator::new();
        let options = json!({
            "rp": {"id": "own.example"}, "user": {"id": "dTE", "name": "u", "displayName": "U"}, "challenge": "Yw",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        });
        let mut passkeys = Vec::new();
        for _ in 0..2 {
            let made = device.register(&options, PAGE, None).await.unwrap();
            let data = authenticator_data(made["response"]["attestationObject"].as_str().unwrap()).unwrap();
            passkeys.push((made["id"].clone(), AuthenticatorData::from_slice(&data).unwrap().attested_credential_data.unwrap()));
        }
        let [(id, own), (_, other)] = passkeys.as_slice() else { panic!("two passkeys") };
        let asked = json!({"challenge": "ZA", "rpId": "own.example", "allowCredentials": [{"type": "public-key", "id": id}]});
        let answer = device.prove(&asked, PAGE, None).await.unwrap();
        assert!(is_of(&answer, "ZA", "own.example:3001"));
        assert!(!is_of(&answer, "ZQ", "own.example:3001") && !is_of(&answer, "ZA", "own.example"));
        assert_eq!(is_signed(&answer, own, "own.example"), Some(true));
        assert_eq!((is_signed(&answer, other, "own.example"), is_signed(&answer, own, "other.example")), (Some(false), Some(false)));
        for flaw in [Flaw::WrongChallenge, Flaw::WrongOrigin] {
            assert!(!is_of(&device.prove(&asked, PAGE, Some(flaw)).await.unwrap(), "ZA", "own.example:3001"), "{flaw:?}");
        }
        let absent = device.prove(&asked, PAGE, Some(Flaw::UserNotVerified)).await.unwrap();
        assert_eq!(is_signed(&absent, own, "own.example"), Some(false));
        let mut forged = answer;
        forged["response"]["clientDataJSON"] = absent["response"]["clientDataJSON"].clone();
        forged["response"]["signature"] = "MAYCAQECAQE".into();
        assert_eq!(is_signed(&forged, own, "own.example"), Some(false));
    }
}
