//! Tells a run's listener of every exchange.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::event::{Event, Listener};
use super::time::Time;
use crate::target::{Exchange, Witness};

/// Passes what a gate shows on to a listener.
pub(super) struct Telling {
    pub(super) listener: Listener,
    pub(super) time: Time,
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telling")
    }
}

impl Witness for Telling {
    fn now_ms(&self) -> i64 {
        self.time.now()
    }

    fn saw(&self, exchange: Exchange) {
        // A listener that fails must not keep the answer from whoever waits for it, least of all from the clean-up.
        drop(catch_unwind(AssertUnwindSafe(|| (self.listener)(&Event::Exchanged(exchange)))));
    }
}
