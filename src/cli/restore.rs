//! `restore`: finishes the clean-up of a run that was killed.

use std::path::PathBuf;

use super::session::{self, now};
use super::{Failure, Settings, print};
use crate::report::RunVerdict;
use crate::target::{Client, Gate, Intent, LEASE_ROLE, Lease, LeaseError, Ledger, Mode, Record, SecretRegister, cleanup, namespace};

pub(super) const EXAMPLE: &str =
    "Example:\n  $ logto-conformance restore conformance-out/abc/ledger.jsonl --target https://logto.example.com";

/// Arguments of `restore`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The ledger of the run
    #[arg(value_name = "LEDGER")]
    pub ledger: PathBuf,
}

/// Undoes what the ledger says and is not undone yet; says what it did.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let (header, ledger) = Ledger::reopen(&args.ledger).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut target = settings.target.clone();
    if target.target.is_none() {
        target.target = header.endpoint.parse().ok();
    }
    let options = target.client_options().ok_or_else(|| Failure::Usage("the ledger names no target\n  help: give --target".into()))?;
    let credentials = target.credentials()?;
    // Settings that the run changed are put back; that needs the mode that allowed to change them.
    let changed = |record: &Record| {
        matches!(record, Record::Intend(Intent::AccountCenter { .. } | Intent::SignInExperience { .. } | Intent::Connector { .. }))
    };
    let mode = if ledger.records().iter().any(changed) { Mode::Exclusive } else { Mode::Isolated };
    session::block_on(async {
        let started = now();
        let client = Client::new(options).map_err(|error| Failure::Usage(error.to_string()))?;
        let secrets = SecretRegister::new();
        let gate = Gate::new(client, mode, ledger, secrets.clone(), namespace(&header.run));
        let token =
            credentials.mint_admin(&gate, Some("all")).await.map_err(|error| Failure::Unreachable(secrets.redact(&error.to_string())))?;
        // What another run goes on with must not change under it.
        if mode == Mode::Exclusive {
            let lease = Lease::acquire(&gate, &token.access_token, started).await;
            lease.map_err(|error| refused(&error, &secrets))?;
        }
        let mut records = gate.ledger().records();
        if mode == Mode::Exclusive {
            // Given back last, whenever it was taken.
            let lease = Intent::Role { name: LEASE_ROLE.into() };
            let speaks_of_it = |record: &Record| match record {
                Record::Intend(intent) => *intent == lease,
                Record::Undone { label } => *label == lease.label(),
                Record::Settle { .. } => false,
            };
            records.retain(|record| !speaks_of_it(record));
            records.insert(0, Record::Intend(lease));
        }
        let report = cleanup(&gate, &token.access_token, &records).await;
        let undone = report.undone.iter().map(|line| format!("undone: {line}"));
        let left = report.residue.iter().map(|line| format!("not put back: {line}"));
        let sum = format!("{} undone, {} left, {} ms\n", report.undone.len(), report.residue.len(), now() - started);
        let text = undone.chain(left).chain([sum]).collect::<Vec<_>>().join("\n");
        print(&secrets.redact(&text))?;
        Ok(if report.is_clean() { RunVerdict::Conformant } else { RunVerdict::Residue })
    })
}

/// Why nothing is put back now.
fn refused(error: &LeaseError, secrets: &SecretRegister) -> Failure {
    let text = secrets.redact(&error.to_string());
    match error {
        LeaseError::Held { .. } | LeaseError::Unreadable | LeaseError::Lost => Failure::Incomplete(text),
        LeaseError::Refused { .. } | LeaseError::Gate(_) => Failure::Unreachable(text),
    }
}
