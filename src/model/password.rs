//! What is known of a user's password: the text itself, or a digest that can be tried.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::state::{Entity, Term};

/// How a deployment stores the passwords that it learns.
pub const SETTLED: &str = "Argon2i";

/// Kibibytes and rounds of the cheapest Argon2 digests that there are.
const CHEAPEST: (u32, u32) = (8, 1);

/// Kibibytes times rounds of a digest that is worth trying. (Those that deployments make by themselves take the time of
/// hundreds of predictions, and what a hostile one may ask for knows no bounds.)
const COSTLIEST: u32 = 64;

/// An Argon2i digest of a password that costs a deployment next to nothing to compare, where its own would cost it a
/// twentieth of a second of its only thread each time. Always the same one for a password.
pub fn digest(password: &str) -> String {
    let (memory, rounds) = CHEAPEST;
    let salt = Sha256::digest(password);
    let params = Params::new(memory, rounds, 1, None).expect("within the limits of Argon2");
    let digest = Argon2::new(Algorithm::Argon2i, Version::V0x13, params).hash_password_with_salt(password.as_bytes(), &salt[..16]);
    digest.expect("a password of the harness is short").to_string()
}

/// Whether a text is a user's password, if that is known; none is nobody's.
pub fn is_password(user: &Entity, text: Option<&str>) -> Option<bool> {
    match (user.text("password"), text) {
        (Some(current), _) => Some(current.is_some() && current == text),
        (None, None) => Some(false),
        (None, Some(text)) => {
            let digest = user.text("passwordDigest").flatten().and_then(cheap)?;
            Some(Argon2::default().verify_password(text.as_bytes(), &digest).is_ok())
        }
    }
}

/// Gives a user a password.
pub fn set_password(user: &mut Entity, password: Value) {
    user.set("password", password);
    user.set("hasPassword", true);
    user.set("passwordAlgorithm", SETTLED);
    user.set("passwordDigest", Term::Unknown);
}

/// Whether a user's password is stored as new ones are. If not, it is so as soon as somebody proves to know it.
pub fn is_settled(user: &Entity) -> bool {
    user.text("passwordAlgorithm") == Some(Some(SETTLED))
}

/// Lets somebody have proved to know a user's password.
pub fn settle(user: &mut Entity, password: &str) {
    if !is_settled(user) {
        set_password(user, password.into());
    }
}

/// Whether comparing with a user's password costs next to nothing, as far as is known.
pub fn is_cheap(user: &Entity) -> bool {
    user.text("passwordDigest").flatten().and_then(cheap).is_some()
}

/// An Argon2 digest, if it is cheap.
fn cheap(digest: &str) -> Option<PasswordHash> {
    let digest = PasswordHash::new(digest).ok()?;
    let params = Params::try_from(&digest).ok()?;
    (params.m_cost().saturating_mul(params.t_cost()) <= COSTLIEST).then_some(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_known_by_its_text_or_by_a_cheap_digest_of_it() {
        let user = |password: Value, digest: Value| {
            let mut user = Entity::from_json(&json!({"password": password, "passwordDigest": digest}));
            if password == "?" {
                user.set("password", Term::Unknown);
            }
            user
        };
        let cheap = digest("right");
        assert!(cheap.starts_with("$argon2i$v=19$m=8,t=1,p=1$") && cheap.len() <= 256, "{cheap}");
        assert_eq!(digest("right"), cheap);
        for (user, text, expected) in [
            (user("right".into(), Value::Null), Some("right"), Some(true)),
            (user("right".into(), cheap.as_str().into()), Some("wrong"), Some(false)),
            (user(Value::Null, Value::Null), Some("right"), Some(false)),
            (user(Value::Null, Value::Null), None, Some(false)),
            (user("?".into(), cheap.as_str().into()), Some("right"), Some(true)),
            (user("?".into(), cheap.as_str().into()), Some("wrong"), Some(false)),
            (user("?".into(), cheap.as_str().into()), None, Some(false)),
            (user("?".into(), cheap.replace("m=8,", "m=8192,").into()), Some("right"), None),
            (user("?".into(), cheap.replace("m=8,t=1", "m=4294967295,t=4294967295").into()), Some("right"), None),
            (user("?".into(), "0cc175b9c0f1b6a831c399e269772661".into()), Some("a"), None),
            (user("?".into(), Value::Null), Some("right"), None),
        ] {
            assert_eq!(is_password(&user, text), expected, "{user:?} {text:?}");
        }
    }
}
