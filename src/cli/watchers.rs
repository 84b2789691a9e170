//! The consumers of a run's events besides its display: budget, log, exchanges.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use super::session::{create_parent, now};
use super::settings::Budget;
use crate::engine::{Event, Listener};
use crate::model::time::iso;
use crate::report::Har;
use crate::target::SecretRegister;

/// Tells every event to another listener too, if there is one.
pub fn both(listener: Listener, other: Option<Listener>) -> Listener {
    let Some(other) = other else { return listener };
    Arc::new(move |event| {
        other(event);
        listener(event);
    })
}

/// Ends the run when so many requests are sent.
pub fn counted(listener: Listener, budget: Option<Budget>, stop: &Arc<AtomicBool>) -> Listener {
    let Some(Budget::Requests(most)) = budget else { return listener };
    let (stop, sent) = (Arc::clone(stop), AtomicU64::new(0));
    Arc::new(move |event| {
        if let Event::SequenceFinished { requests, .. } = event {
            let total = sent.fetch_add(*requests as u64, Ordering::Relaxed) + *requests as u64;
            if total >= most {
                stop.store(true, Ordering::Relaxed);
            }
        }
        listener(event);
    })
}

/// Tells every event to a file too, when one is named.
pub fn logged(listener: Listener, path: Option<&Path>, secrets: &SecretRegister) -> Result<Listener, Failure> {
    let Some(path) = path else { return Ok(listener) };
    create_parent(path)?;
    let file = std::fs::File::create(path).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))?;
    let (file, secrets) = (Mutex::new(file), secrets.clone());
    Ok(Arc::new(move |event| {
        let line = format!("{} {}\n", iso(now()), secrets.redact(&format!("{event:?}")));
        // A full disk ends the log, not the run.
        drop(file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()));
        listener(event);
    }))
}

/// The files that take down what goes over the wire.
#[derive(Debug, Clone, Default)]
pub struct Recorders(Arc<[(PathBuf, Har)]>);

impl Recorders {
    /// Begins the files.
    pub fn begin(paths: Vec<PathBuf>, secrets: &SecretRegister) -> Result<Self, Failure> {
        let begin = |path: PathBuf| {
            create_parent(&path)?;
            let har = Har::create(&path, secrets.clone()).map_err(|error| unwritten(&path, &error))?;
            Ok((path, har))
        };
        Ok(Self(paths.into_iter().map(begin).collect::<Result<_, Failure>>()?))
    }

    /// Shows them every exchange.
    pub fn hear(&self, listener: Listener) -> Listener {
        let recorders = self.clone();
        Arc::new(move |event| {
            if let Event::Exchanged(exchange) = event {
                for (_, har) in recorders.0.iter() {
                    har.tell(exchange);
                }
            }
            listener(event);
        })
    }

    /// Finishes the files, whatever came of the run.
    pub fn finish(&self) -> Result<(), Failure> {
        self.0.iter().try_for_each(|(path, har)| har.finish().map_err(|error| unwritten(path, &error)))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("failed to write {}: {error}", path.display()))
}
