//! How long answers take, by operation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Collects from all sequences of a run.
#[derive(Debug, Default)]
pub struct Times(Mutex<BTreeMap<String, Vec<Duration>>>);

impl Times {
    /// Waits for an answer and notes how long that took; what is not answered is not noted.
    pub async fn of<T, E>(&self, operation: Option<&str>, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let begun = Instant::now();
        let result = answer.await;
        if let (Ok(_), Some(operation)) = (&result, operation) {
            let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            times.entry(operation.to_owned()).or_default().push(begun.elapsed());
        }
        result
    }

    /// Takes what was noted, in the order of arrival.
    pub fn take(&self) -> BTreeMap<String, Vec<Duration>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
