//! The lease on the target's settings, held while an exclusive run goes on.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::event::Event;
use super::run::{RunError, RunOptions};
use crate::target::{Gate, LEASE_TIME, Lease, LeaseError, Mode};

/// How often the lease is renewed; the more often, the more renewals may fail before it ends.
const RENEWAL: Duration = Duration::from_secs(20);

/// How often a run that waits for another looks whether it has left.
const LOOK: Duration = Duration::from_millis(500);

/// A lease that is renewed until this is dropped.
pub(super) struct Hold {
    renewing: Option<JoinHandle<()>>,
    lost: Arc<OnceLock<String>>,
}

impl Hold {
    /// Takes the lease if the mode needs it. When it is lost later, the run is ended.
    pub(super) async fn take(options: &RunOptions, gate: &Gate, admin: &str) -> Result<Self, RunError> {
        let lost = Arc::new(OnceLock::new());
        if options.mode != Mode::Exclusive {
            return Ok(Self { renewing: None, lost });
        }
        let lease = queue(options, gate, admin).await.map_err(|error| unheld(&error))?;
        let (options, gate, mut token, farewell) = (options.clone(), gate.clone(), admin.to_owned(), Arc::clone(&lost));
        let renewing = tokio::spawn(async move {
            let mut renewed = options.time.now();
            loop {
                tokio::time::sleep(RENEWAL).await;
                let now = options.time.now();
                match lease.renew(&gate, &token, now).await {
                    Ok(()) => renewed = now,
                    Err(LeaseError::Refused { status: 401, .. }) => {
                        if let Ok(anew) = options.credentials.mint_admin(&gate, Some("all")).await {
                            token = anew.access_token;
                        }
                    }
                    // What was not answered is tried again, until others must take the lease for abandoned.
                    Err(error) if matches!(error, LeaseError::Lost) || now - renewed > LEASE_TIME => {
                        let _ = farewell.set(error.to_string());
                        options.stop.store(true, Ordering::Relaxed);
                        return;
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(Self { renewing: Some(renewing), lost })
    }

    /// Why the lease is no longer held, if it is not.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(renewing) = &self.renewing {
            renewing.abort();
        }
    }
}

/// Takes the lease, as soon as another run has left if that is not too long.
async fn queue(options: &RunOptions, gate: &Gate, admin: &str) -> Result<Lease, LeaseError> {
    let begun = Instant::now();
    let mut told = None;
    loop {
        match Lease::acquire(gate, admin, options.time.now()).await {
            Err(LeaseError::Held { run, until }) if begun.elapsed() < options.time.limits().queue() => {
                if told.as_ref() != Some(&run) {
                    (options.listener)(&Event::Queued { behind: run.clone(), until });
                    told = Some(run);
                }
                tokio::time::sleep(LOOK).await;
            }
            end => return end,
        }
    }
}

fn unheld(error: &LeaseError) -> RunError {
    match error {
        LeaseError::Held { .. } | LeaseError::Unreadable | LeaseError::Lost => RunError::Incomplete(error.to_string()),
        LeaseError::Refused { .. } | LeaseError::Gate(_) => RunError::Unreachable(error.to_string()),
    }
}
