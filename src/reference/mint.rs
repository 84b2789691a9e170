//! Values that a deployment makes up: ids, tokens, digests.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::model::Fresh;
use crate::model::time::{after, iso};

const ID_CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Makes values up, the same ones for the same seed.
#[derive(Debug)]
pub struct Mint {
    random: StdRng,
}

impl Mint {
    /// A mint with a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    /// Lower-case letters and digits.
    pub fn id(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(ID_CHARACTERS[self.random.random_range(0..ID_CHARACTERS.len())])).collect()
    }

    /// 43 characters that carry 256 random bits, safe in URLs.
    pub fn opaque(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.random.random::<[u8; 32]>())
    }

    /// Six digits, as a message carries them.
    pub fn code(&mut self) -> String {
        format!("{:06}", self.random.random_range(0..1_000_000))
    }

    /// What looks like a signed token; the signature is random.
    pub fn jwt(&mut self, kind: &str, claims: &Value) -> String {
        let header = json!({"alg": "ES384", "typ": kind, "kid": "reference"});
        let signature: Vec<u8> = (0..96).map(|_| self.random.random()).collect();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(&header), part(claims), URL_SAFE_NO_PAD.encode(signature))
    }

    /// What looks like a password digest.
    pub fn digest(&mut self) -> String {
        let part = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        let (salt, hash) = (self.random.random::<[u8; 16]>(), self.random.random::<[u8; 32]>());
        format!("$argon2i$v=19$m=4096,t=10,p=1${}${}", part(&salt), part(&hash))
    }

    /// A value of a kind; `claims` are what a signed token says.
    pub fn make(&mut self, fresh: Fresh, now: i64, claims: &Value) -> Value {
        match fresh {
            Fresh::UserId => self.id(12).into(),
            Fresh::RecordId => self.id(21).into(),
            Fresh::SubjectToken => format!("sub_{}", self.id(32)).into(),
            Fresh::PersonalAccessToken => format!("pat_{}", self.id(32)).into(),
            Fresh::OpaqueToken => self.opaque().into(),
            Fresh::Secret => self.id(32).into(),
            Fresh::TotpSecret => (0..32).map(|_| char::from(BASE32[self.random.random_range(0..BASE32.len())])).collect::<String>().into(),
            Fresh::BackupCodes => (0..10).map(|_| Value::String(format!("{:010x}", self.random.random::<u64>() >> 24))).collect(),
            // A picture of a single dot: the reference draws none.
            Fresh::QrCode => format!("data:image/png;base64,{DOT}").into(),
            Fresh::IsoNow => iso(now).into(),
            Fresh::Jwt => self.jwt("at+jwt", claims).into(),
            Fresh::Digest => self.digest().into(),
            Fresh::Now => now.into(),
            Fresh::Number => self.random.random_range(1..1000).into(),
            Fresh::IsoAfter(seconds) => iso(now + i64::from(seconds) * 1000).into(),
            Fresh::MsAfter(seconds) => after(now, seconds).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_shapes_and_repeat_with_the_seed() {
        let made = |seed| {
            let mut mint = Mint::new(seed);
            let kinds = [Fresh::UserId, Fresh::RecordId, Fresh::SubjectToken, Fresh::OpaqueToken, Fresh::Jwt, Fresh::Digest];
            kinds.map(|fresh| mint.make(fresh, 0, &json!({})).as_str().unwrap().to_owned())
        };
        let [user, record, subject, opaque, jwt, digest] = made(1);
        assert_eq!((user.len(), record.len(), opaque.len(), jwt.split('.').count()), (12, 21, 43, 3));
        assert!(subject.starts_with("sub_") && digest.starts_with("$argon2i$"));
        assert_eq!(made(1)[0], user);
        assert_ne!(made(2)[0], user);
    }
}
