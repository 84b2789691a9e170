//! What time it is on this side, and how it passes when a sequence waits.

use std::sync::Arc;
use std::time::Duration;

use super::limits::Limits;
use crate::clock::{Clock as _, SkippingClock};

/// The time of a run.
#[derive(Debug, Clone, Default)]
pub struct Time {
    clock: Arc<SkippingClock>,
    waits: Waits,
    limits: Limits,
}

/// How sequences wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waits {
    /// Not at all: what needs it is not planned.
    #[default]
    Never,
    /// As long as it takes.
    Really,
    /// At once, on a target that has the same clock.
    Skipping,
}

impl Time {
    /// The time of a clock.
    pub fn new(clock: Arc<SkippingClock>, waits: Waits) -> Self {
        Self { clock, waits, limits: Limits::default() }
    }

    /// The same time, with limits to the run.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// When the run has to end.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whether sequences may wait.
    pub fn may_wait(&self) -> bool {
        self.waits != Waits::Never
    }

    /// Lets so many seconds pass.
    pub async fn wait(&self, seconds: u32) {
        match self.waits {
            Waits::Never => {}
            Waits::Really => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            Waits::Skipping => self.clock.skip(i64::from(seconds) * 1000),
        }
    }
}
