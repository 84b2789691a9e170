//! One-time tokens: secrets that let the owner of an address sign in once.

use serde_json::{Value, json};

use super::state::{Entity, Fresh, Key, Kind, State, Term};
use super::tenant;

/// Seconds a token lives when nothing else is asked for.
const LIFE: u64 = 600;

/// Makes a token for the address in a body.
pub fn create(input: &Value, state: &mut State) -> Key {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema admits no less than one, fractions are cut off"
    )]
    let life = input.get("expiresIn").and_then(Value::as_f64).map_or(LIFE, |seconds| seconds as u64);
    let email = input.get("email").cloned().unwrap_or_default();
    let token = Entity::default()
        .with("tenantId", tenant::id(state))
        .with("id", Term::Fresh(Fresh::RecordId))
        .with("email", email.clone())
        .with("owner", email)
        .with("token", Term::Fresh(Fresh::Secret))
        .with("context", input.get("context").cloned().unwrap_or_else(|| json!({})))
        .with("status", "active")
        .with("createdAt", Term::Fresh(Fresh::Now))
        .with("expiresAt", Term::Fresh(Fresh::MsAfter(life)));
    let key = Key::unborn(Kind::OneTimeToken, state);
    state.insert(key.clone(), token);
    key
}
