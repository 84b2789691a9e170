//! When a run has to end, and how much longer what goes on may take then.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::target::Gate;

/// What goes on when a run is ended may take this much longer.
const GRACE: Duration = Duration::from_secs(1);

/// How long after the deadline the clean-up is cut off.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often it is looked whether the run has to end.
const LOOK: Duration = Duration::from_millis(50);

/// Deletions that a clean-up has under way at once.
const AT_ONCE: u32 = 8;

/// Requests of a clean-up that are no deletions: a token, lists, settings.
const REST: u32 = 30;

/// The limits of a run; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    deadline: Option<Instant>,
    queue: Duration,
    hurry: Arc<AtomicBool>,
}

/// What was going on was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CutOff;

impl Limits {
    /// A run that must be over so long from now, clean-up included, if that is given. Setting `hurry` cuts its clean-up off.
    pub fn new(budget: Option<Duration>, hurry: Arc<AtomicBool>) -> Self {
        Self { deadline: budget.and_then(|budget| Instant::now().checked_add(budget)), queue: Duration::ZERO, hurry }
    }

    /// The same, for a run that waits up to this long until another has left the target.
    #[must_use]
    pub fn queueing(self, queue: Duration) -> Self {
        Self { queue, ..self }
    }

    /// How long the run may wait for another.
    pub(super) fn queue(&self) -> Duration {
        self.queue
    }

    /// Sets `stop` as soon as what is left of the time is needed to clean up; does not end.
    pub(super) async fn watch(&self, gate: &Gate, stop: &AtomicBool) -> Infallible {
        let Some(deadline) = self.deadline else { return std::future::pending().await };
        while !stop.load(Ordering::Relaxed) {
            let objects = u32::try_from(gate.ledger().open()).unwrap_or(u32::MAX);
            let needed = gate.pace().saturating_mul((objects / AT_ONCE).saturating_add(REST));
            if Instant::now() + needed >= deadline {
                stop.store(true, Ordering::Relaxed);
            }
            sleep(LOOK).await;
        }
        std::future::pending().await
    }

    /// Lets something go on until the run is ended and a moment longer.
    pub(super) async fn within<T>(&self, stop: &AtomicBool, going_on: impl Future<Output = T>) -> Result<T, CutOff> {
        tokio::select! {
            biased;
            done = going_on => Ok(done),
            () = self.over(stop) => Err(CutOff),
        }
    }

    /// Ends when what goes on has to.
    async fn over(&self, stop: &AtomicBool) {
        let mut asked = None;
        loop {
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                stop.store(true, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) && now >= *asked.get_or_insert(now + GRACE) || self.hurry.load(Ordering::Relaxed) {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Lets a clean-up go on until there is no time left for it, or somebody has lost patience.
    pub(super) async fn patiently<T>(&self, cleaning: impl Future<Output = T>) -> Result<T, CutOff> {
        let hurried = async {
            while !self.hurry.load(Ordering::Relaxed) {
                sleep(LOOK).await;
            }
        };
        let timed = async {
            match self.deadline {
                Some(deadline) => timeout_at(deadline + PATIENCE, cleaning).await.map_err(|_| CutOff),
                None => Ok(cleaning.await),
            }
        };
        tokio::select! {
            biased;
            done = timed => done,
            () = hurried => Err(CutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_goes_on_is_cut_off_a_moment_after_the_run_is_ended() {
        let (limits, stop) = (Limits::default(), AtomicBool::new(true));
        let started = Instant::now();
        assert_eq!(limits.within(&stop, pending::<()>()).await, Err(CutOff));
        assert!(started.elapsed() >= GRACE && started.elapsed() < 2 * GRACE);
        assert_eq!(limits.within(&stop, ready(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn the_deadline_ends_what_goes_on_and_later_the_clean_up() {
        let limits = Limits::new(Some(Duration::ZERO), Arc::default());
        let stop = AtomicBool::new(false);
        assert_eq!(limits.within(&stop, pending::<()>()).await, Err(CutOff));
        assert!(stop.load(Ordering::Relaxed));
        assert_eq!(limits.patiently(ready(7)).await, Ok(7));
        let long_over = Limits { deadline: Instant::now().checked_sub(PATIENCE), ..limits };
        assert_eq!(long_over.patiently(pending::<()>()).await, Err(CutOff));
    }

    #[tokio::test]
    async fn whoever_loses_patience_ends_the_clean_up() {
        let hurry = Arc::new(AtomicBool::new(false));
        let limits = Limits::new(None, Arc::clone(&hurry));
        assert_eq!(limits.patiently(ready(7)).await, Ok(7));
        hurry.store(true, Ordering::Relaxed);
        assert_eq!(limits.patiently(pending::<()>()).await, Err(CutOff));
    }
}
