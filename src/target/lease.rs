//! The lease on a tenant's settings: a role with a fixed name, so that two exclusive runs never fight over them.
//!
//! Names of roles are unique, so whoever creates the role holds the lease, and nobody else can. Its description says which run
//! that is and until when, and is renewed while the run goes on; a role whose time is long over is taken away by the next run.
//! It is taken away by its id: of two runs that find the same abandoned lease, the slower one finds nothing to take away any
//! more, and no free name either. No user has the role, so nobody is disturbed by it.

use serde_json::{Value, json};

use super::form::percent;
use super::gate::{Clearance, Gate, GateError, LEASE_ROLE};
use super::ledger::Intent;
use crate::model::time::{iso, millis};
use crate::model::wire::{Answer, Request};

/// How long a lease lasts after each renewal, in milliseconds.
pub const LEASE_TIME: i64 = 120_000;

/// How far the clocks of two machines may be apart: an old lease counts this much longer, in milliseconds.
const SKEW: i64 = 60_000;

/// How often a lease is asked for when the one that stood in the way is gone at the second look.
const TRIES: usize = 3;

/// What stands between the run and the time in the description of the role.
const UNTIL: &str = "holds the settings of this tenant until";

/// A lease that a run holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    id: String,
}

/// Why a run does not hold the lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run holds it.
    #[error(
        "another exclusive run, `{run}`, holds the settings of this tenant until {until}; let the next run `--wait` for its end; if it was killed, `logto-conformance restore` with its ledger, conformance-out/{run}/ledger.jsonl, ends it at once"
    )]
    Held {
        /// Name of the other run.
        run: String,
        /// When its lease ends unless it is renewed, ISO 8601.
        until: String,
    },
    /// The role is there and says nothing about a run.
    #[error("a role `{LEASE_ROLE}` stands in the way that no run of this version made; delete it if no other run goes on")]
    Unreadable,
    /// The lease was taken away meanwhile.
    #[error("the lease on the tenant's settings is lost: its role `{LEASE_ROLE}` was deleted; another run may change the settings now")]
    Lost,
    /// The deployment refuses.
    #[error("cannot {step}: the deployment answers {status} {code}; does the machine-to-machine application have the Management API role?")]
    Refused {
        /// The step, in words.
        step: &'static str,
        /// Status code.
        status: u16,
        /// Error code of the answer.
        code: String,
    },
    /// No answer.
    #[error(transparent)]
    Gate(#[from] GateError),
}

impl Lease {
    /// Takes the lease for the run of the gate; takes it again when the run holds it already. `now` is in milliseconds since
    /// 1970. It stands in the ledger before, so that [`cleanup`](super::cleanup()) gives it back.
    ///
    /// # Errors
    ///
    /// When another run holds it, and when the deployment does not answer or refuses.
    pub async fn acquire(gate: &Gate, admin_token: &str, now: i64) -> Result<Self, LeaseError> {
        let desk = Desk { gate, token: admin_token };
        let mut refusal = LeaseError::Unreadable;
        for _ in 0..TRIES {
            if let Some(standing) = desk.standing(None).await? {
                match standing.holder() {
                    None => return Err(LeaseError::Unreadable),
                    Some((space, _)) if space == gate.namespace() => {
                        gate.own(&standing.id);
                        let lease = Self { id: standing.id };
                        lease.renew(gate, admin_token, now).await?;
                        return Ok(lease);
                    }
                    Some((space, until)) if until + SKEW > now => return Err(held(&space, until)),
                    Some(_) => desk.delete(&standing.id).await?,
                }
            }
            match desk.create(now).await? {
                Ok(id) => {
                    // A deployment may forget that names are unique; then both runs leave.
                    let Some(other) = desk.standing(Some(&id)).await? else { return Ok(Self { id }) };
                    desk.delete(&id).await?;
                    return Err(other.holder().map_or(LeaseError::Unreadable, |(space, until)| held(&space, until)));
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Whether the run of the gate could take the lease now; nothing is written.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire) would fail.
    pub async fn look(gate: &Gate, admin_token: &str, now: i64) -> Result<(), LeaseError> {
        let Some(standing) = (Desk { gate, token: admin_token }).standing(None).await? else { return Ok(()) };
        match standing.holder() {
            None => Err(LeaseError::Unreadable),
            Some((space, until)) if space != gate.namespace() && until + SKEW > now => Err(held(&space, until)),
            Some(_) => Ok(()),
        }
    }

    /// Says that the run goes on: the lease lasts for [`LEASE_TIME`] from now.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`] when the lease is another's by now.
    pub async fn renew(&self, gate: &Gate, admin_token: &str, now: i64) -> Result<(), LeaseError> {
        let desk = Desk { gate, token: admin_token };
        let body = json!({"description": description(gate.namespace(), now)});
        let request = Request::new("PATCH", format!("/api/roles/{}", percent(&self.id))).with_json(&body);
        let answer = desk.send(request, &Clearance::write()).await?;
        match answer.status {
            200 => Ok(()),
            404 => Err(LeaseError::Lost),
            _ => Err(refused("renew the lease on the tenant's settings", &answer)),
        }
    }
}

fn description(space: &str, now: i64) -> String {
    format!("{space} {UNTIL} {}", iso(now.saturating_add(LEASE_TIME)))
}

fn held(space: &str, until: i64) -> LeaseError {
    LeaseError::Held { run: space.trim_start_matches("lc_").trim_end_matches('_').to_owned(), until: iso(until) }
}

fn refused(step: &'static str, answer: &Answer) -> LeaseError {
    let code = answer.json().as_ref().and_then(|body| Some(body.get("code")?.as_str()?.to_owned())).unwrap_or_default();
    LeaseError::Refused { step, status: answer.status, code }
}

/// The role as it stands on the deployment.
struct Standing {
    id: String,
    description: String,
}

impl Standing {
    /// The name space of the run that holds it, and until when.
    fn holder(&self) -> Option<(String, i64)> {
        let (space, until) = self.description.split_once(UNTIL)?;
        Some((space.trim().to_owned(), millis(&Value::from(until.trim()))?))
    }
}

struct Desk<'a> {
    gate: &'a Gate,
    token: &'a str,
}

impl Desk<'_> {
    /// The role, if there is one besides this id.
    async fn standing(&self, besides: Option<&str>) -> Result<Option<Standing>, LeaseError> {
        let target = format!("/api/roles?page=1&page_size=100&search=%25{LEASE_ROLE}%25");
        let answer = self.send(Request::new("GET", target), &Clearance::read()).await?;
        let (200, Some(Value::Array(roles))) = (answer.status, answer.json()) else { return Err(refused("list the roles", &answer)) };
        let text = |role: &Value, name: &str| role.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let named = roles.iter().filter(|role| role.get("name").and_then(Value::as_str) == Some(LEASE_ROLE));
        let mut standing = named.map(|role| Standing { id: text(role, "id"), description: text(role, "description") });
        Ok(standing.find(|role| besides != Some(role.id.as_str())))
    }

    /// The id of the new role, or why there is none.
    async fn create(&self, now: i64) -> Result<Result<String, LeaseError>, LeaseError> {
        const STEP: &str = "take the lease on the tenant's settings";
        let body = json!({"name": LEASE_ROLE, "description": description(self.gate.namespace(), now), "type": "MachineToMachine"});
        let clearance = Clearance::intending(Intent::Role { name: LEASE_ROLE.into() });
        let answer = self.send(Request::new("POST", "/api/roles").with_json(&body), &clearance).await?;
        let id = answer.json().as_ref().and_then(|body| Some(body.get("id")?.as_str()?.to_owned()));
        Ok(match (answer.status, id) {
            (200..300, Some(id)) => Ok(id),
            _ => Err(refused(STEP, &answer)),
        })
    }

    async fn delete(&self, id: &str) -> Result<(), LeaseError> {
        self.gate.own(id);
        let request = Request::new("DELETE", format!("/api/roles/{}", percent(id)));
        let answer = self.send(request, &Clearance::destroying(id)).await?;
        if matches!(answer.status, 204 | 404) { Ok(()) } else { Err(refused("take an abandoned lease away", &answer)) }
    }

    async fn send(&self, request: Request, clearance: &Clearance) -> Result<Answer, GateError> {
        let request = request.with_header("authorization", format!("Bearer {}", self.token));
        self.gate.send(&request, clearance).await
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
