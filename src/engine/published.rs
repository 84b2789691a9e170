//! Reads the document that a target publishes of its Management API.

use crate::contract::{PUBLISHED_AT, Published};
use crate::model::wire::Request;
use crate::target::{Clearance, Gate};

/// The reduced document; or why there is none, for people.
pub async fn read_published(gate: &Gate) -> Result<Published, String> {
    let answer = gate.send(&Request::new("GET", PUBLISHED_AT), &Clearance::read()).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("GET {PUBLISHED_AT} answers {}", answer.status));
    }
    let document = answer.json().ok_or_else(|| format!("GET {PUBLISHED_AT} brings no JSON"))?;
    Published::read(document).map_err(|error| format!("the document at {PUBLISHED_AT} cannot be used: {error}"))
}
