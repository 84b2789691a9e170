//! A software authenticator: makes and uses passkeys as a browser and a phone do together, right or with one flaw, and
//! reads the codes of authenticator apps.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passkey::authenticator::{Authenticator as Device, MemoryStore, UiHint, UserCheck, UserValidationMethod};
use passkey::crypto::iana::{Algorithm, EnumI64 as _};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::types::ctap2::{Aaguid, Ctap2Error, StatusCode, get_assertion, make_credential};
use passkey::types::webauthn::{
    PublicKeyCredentialDescriptor, PublicKeyCredentialParameters, PublicKeyCredentialType, PublicKeyCredentialUserEntity,
};
use passkey::types::{Bytes, Passkey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use totp_rs::{Builder, Secret};

use crate::contract::Flaw;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorError {
    /// The options lack something.
    #[error("the options of the passkey have no usable `{0}`")]
    Options(&'static str),
    /// Nothing was registered yet that could be used again.
    #[error("no passkey was registered here before")]
    Nothing,
    /// The authenticator declines.
    #[error("the authenticator answers {0}")]
    Declined(String),
}

/// A device with passkeys in memory.
pub struct Authenticator {
    device: Device<MemoryStore, Owner, RustCryptoBackend>,
    last: Option<Registered>,
}

/// What a registration brought.
#[derive(Clone)]
struct Registered {
    id: Vec<u8>,
    attestation: Vec<u8>,
    data: Vec<u8>,
}

/// The owner is always there, and verified when that is asked for.
struct Owner;

#[async_trait]
impl UserValidationMethod for Owner {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Self::PasskeyItem>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new()
    }
}

impl Authenticator {
    /// A device without passkeys.
    pub fn new() -> Self {
        Self { device: Device::new(Aaguid::new_empty(), HashMap::new(), Owner, RustCryptoBackend), last: None }
    }

    /// Makes a passkey for the `registrationOptions` that a page of `origin` got: the `payload` of the verification of a
    /// registration. Fails when the options name no challenge, relying party, user or algorithm the device has.
    pub async fn register(&mut self, options: &Value, origin: &str, flaw: Option<Flaw>) -> Result<Value, AuthenticatorError> {
        let client = client_data("webauthn.create", options, origin, flaw)?;
        let made = if flaw == Some(Flaw::Reused) {
            self.last.clone().ok_or(AuthenticatorError::Nothing)?
        } else {
            let request = make_credential::Request {
                client_data_hash: hash(&client),
                rp: make_credential::PublicKeyCredentialRpEntity { id: text(options, "/rp/id")?.to_owned(), name: None },
                user: PublicKeyCredentialUserEntity {
                    id: bytes(options, "/user/id")?,
                    name: text(options, "/user/name")?.to_owned(),
                    display_name: text(options, "/user/displayName")?.to_owned(),
                },
                pub_key_cred_params: algorithms(options),
                exclude_list: None,
                extensions: None,
                options: make_credential::Options { rk: true, up: true, uv: flaw != Some(Flaw::UserNotVerified) },
                pin_auth: None,
                pin_protocol: None,
            };
            let response = self.device.make_credential(request).await.map_err(|code| declined(&code))?;
            let credential = response.auth_data.attested_credential_data.as_ref().map(|data| data.credential_id().to_vec());
            Registered {
                id: credential.ok_or(AuthenticatorError::Nothing)?,
                attestation: response.as_webauthn_bytes().into(),
                data: response.auth_data.to_vec(),
            }
        };
        self.last = Some(made.clone());
        let id = URL_SAFE_NO_PAD.encode(&made.id);
        Ok(json!({
            "type": "WebAuthn", "id": id, "rawId": id, "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client), "attestationObject": URL_SAFE_NO_PAD.encode(made.attestation),
                "authenticatorData": URL_SAFE_NO_PAD.encode(made.data), "transports": ["internal"],
                "publicKeyAlgorithm": Algorithm::ES256.to_i64(),
            },
        }))
    }

    /// Proves the possession of a passkey for the authentication options that a page of `origin` got: the `payload` of the
    /// verification at sign-in. Fails when none of the passkeys asked for is here.
    pub async fn prove(&mut self, options: &Value, origin: &str, flaw: Option<Flaw>) -> Result<Value, AuthenticatorError> {
        let client = client_data("webauthn.get", options, origin, flaw)?;
        let asked: Vec<Vec<u8>> = options
            .get("allowCredentials")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|one| URL_SAFE_NO_PAD.decode(one.get("id")?.as_str()?).ok())
            .collect();
        // Without a list any passkey of the relying party will do.
        let allowed = if asked.is_empty() { self.device.store().keys().cloned().collect() } else { asked };
        let named = |id: Vec<u8>| PublicKeyCredentialDescriptor { ty: PublicKeyCredentialType::PublicKey, id: id.into(), transports: None };
        let request = get_assertion::Request {
            rp_id: text(options, "/rpId")?.to_owned(),
            client_data_hash: hash(&client),
            allow_list: Some(allowed.into_iter().map(named).collect()),
            extensions: None,
            options: get_assertion::Options { up: true, uv: flaw != Some(Flaw::UserNotVerified) },
            pin_auth: None,
            pin_protocol: None,
        };
        let response = self.device.get_assertion(request).await.map_err(|code| declined(&code))?;
        let credential = response.credential.ok_or(AuthenticatorError::Nothing)?;
        let id = URL_SAFE_NO_PAD.encode(&*credential.id);
        let user = response.user.map(|user| URL_SAFE_NO_PAD.encode(&*user.id));
        let mut answer = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
            "authenticatorData": URL_SAFE_NO_PAD.encode(response.auth_data.to_vec()),
            "signature": URL_SAFE_NO_PAD.encode(&*response.signature),
        });
        if let (Some(answer), Some(user)) = (answer.as_object_mut(), user) {
            answer.insert("userHandle".into(), user.into());
        }
        Ok(json!({
            "type": "WebAuthn", "id": id, "rawId": id, "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": answer,
        }))
    }
}

/// The code that an authenticator app shows for a base32 secret at a moment (milliseconds since 1970): SHA-1, six digits, 30 s.
/// `None` when the secret is no base32 or the moment before 1970.
pub fn totp(secret: &str, now_ms: i64) -> Option<String> {
    let secret = Secret::try_from_base32(secret.trim_end_matches('=')).ok()?;
    // Secrets shorter than the standard wants are in use.
    let app = Builder::new().with_secret(secret).build_noncompliant();
    Some(app.generate(u64::try_from(now_ms / 1000).ok()?).to_string())
}

/// What the browser has signed.
fn client_data(kind: &str, options: &Value, origin: &str, flaw: Option<Flaw>) -> Result<Vec<u8>, AuthenticatorError> {
    let asked = text(options, "/challenge")?;
    let challenge = if flaw == Some(Flaw::WrongChallenge) { URL_SAFE_NO_PAD.encode(Sha256::digest(asked)) } else { asked.to_owned() };
    let origin = if flaw == Some(Flaw::WrongOrigin) { "https://elsewhere.example" } else { origin };
    Ok(json!({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false}).to_string().into_bytes())
}

fn hash(client: &[u8]) -> Bytes {
    Sha256::digest(client).to_vec().into()
}

fn algorithms(options: &Value) -> Vec<PublicKeyCredentialParameters> {
    let listed = options.get("pubKeyCredParams").and_then(Value::as_array).into_iter().flatten();
    let known = listed.filter_map(|one| Algorithm::from_i64(one.get("alg")?.as_i64()?));
    known.map(|alg| PublicKeyCredentialParameters { ty: PublicKeyCredentialType::PublicKey, alg }).collect()
}

fn text<'a>(options: &'a Value, pointer: &'static str) -> Result<&'a str, AuthenticatorError> {
    options.pointer(pointer).and_then(Value::as_str).ok_or(AuthenticatorError::Options(pointer))
}

fn bytes(options: &Value, pointer: &'static str) -> Result<Bytes, AuthenticatorError> {
    let decoded = URL_SAFE_NO_PAD.decode(text(options, pointer)?).map_err(|_| AuthenticatorError::Options(pointer))?;
    Ok(decoded.into())
}

fn declined(code: &StatusCode) -> AuthenticatorError {
    AuthenticatorError::Declined(format!("{code:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Truth;

    const ORIGIN: &str = "http://127.0.0.1:3001";

    fn options() -> Value {
        json!({
            "rp": {"name": "127.0.0.1", "id": "127.0.0.1"}, "user": {"id": "dTE", "name": "u1", "displayName": "U"},
            "challenge": "Y2hhbGxlbmdl", "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        })
    }

    fn verdict(payload: &Value) -> Truth {
        crate::model::proves_passkey(payload, Some("Y2hhbGxlbmdl"), |origin| Truth::of(origin == ORIGIN))
    }

    #[tokio::test]
    async fn a_passkey_is_made_and_each_flaw_shows() {
        let mut device = Authenticator::new();
        assert_eq!(device.register(&options(), ORIGIN, Some(Flaw::Reused)).await, Err(AuthenticatorError::Nothing));
        let made = device.register(&options(), ORIGIN, None).await.unwrap();
        assert_eq!(verdict(&made), Truth::Yes);
        for flaw in [Flaw::WrongChallenge, Flaw::WrongOrigin, Flaw::UserNotVerified] {
            assert_eq!(verdict(&device.register(&options(), ORIGIN, Some(flaw)).await.unwrap()), Truth::No, "{flaw:?}");
        }
        let fresh = device.register(&options(), ORIGIN, None).await.unwrap();
        let again = device.register(&options(), ORIGIN, Some(Flaw::Reused)).await.unwrap();
        assert_ne!(fresh["id"], made["id"]);
        assert_eq!((verdict(&again), &again["id"]), (Truth::Yes, &fresh["id"]));
    }

    #[tokio::test]
    async fn a_passkey_that_was_made_can_be_used() {
        let mut device = Authenticator::new();
        let made = device.register(&options(), ORIGIN, None).await.unwrap();
        let ask = json!({"challenge": "Yw", "rpId": "127.0.0.1", "allowCredentials": [{"type": "public-key", "id": made["id"]}]});
        let proof = device.prove(&ask, ORIGIN, None).await.unwrap();
        assert_eq!((&proof["id"], proof["response"]["userHandle"].as_str()), (&made["id"], Some("dTE")));
        let flags = |payload: &Value| URL_SAFE_NO_PAD.decode(payload["response"]["authenticatorData"].as_str().unwrap()).unwrap()[32];
        assert_eq!((flags(&proof) & 4, flags(&device.prove(&ask, ORIGIN, Some(Flaw::UserNotVerified)).await.unwrap()) & 4), (4, 0));
        let unknown = json!({"challenge": "Yw", "rpId": "127.0.0.1", "allowCredentials": [{"type": "public-key", "id": "bm9uZQ"}]});
        assert!(matches!(device.prove(&unknown, ORIGIN, None).await, Err(AuthenticatorError::Declined(_))));
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (second, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", second * 1000).as_deref(), Some(code));
        }
        assert_eq!(totp("AAAAAAAAAAAAAAAAAA======", 0).map(|code| code.len()), Some(6));
        assert_eq!((totp("1!", 0), totp("JBSWY3DPEHPK3PXP", -5000)), (None, None));
    }
}
