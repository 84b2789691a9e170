//! What a run tells while it goes on.

use std::sync::Arc;

use crate::target::Exchange;

/// One thing that happened. Terminal, logs and tests are consumers.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Another exclusive run is on the target; it is waited for.
    Queued {
        /// The other run.
        behind: String,
        /// When its lease ends unless it is renewed, ISO 8601.
        until: String,
    },
    /// The target was read and the plan is made.
    Planned {
        /// Sequences in the plan.
        sequences: usize,
        /// Requests in the plan.
        requests: usize,
        /// Password computations that a whole plan asks of the target.
        passwords: Option<usize>,
        /// Epochs (changes of settings).
        epochs: usize,
    },
    /// A request was answered; also by whatever sets the run up and cleans up after it.
    Exchanged(Exchange),
    /// An epoch's settings are in force.
    EpochStarted {
        /// Index.
        index: usize,
        /// Sequences in it.
        sequences: usize,
    },
    /// A sequence ended.
    SequenceFinished {
        /// Its name.
        id: String,
        /// Requests it sent.
        requests: usize,
        /// Deviations it showed, not yet confirmed.
        deviations: usize,
    },
    /// A deviation was replayed on fresh data.
    Confirmed {
        /// What it is.
        cause: String,
        /// How often it showed.
        shown: usize,
        /// Out of how many replays.
        tries: usize,
        /// It holds, and is the first of its cause.
        first: bool,
        /// Whether it is a finding.
        holds: bool,
        /// Requests that the run had sent when it showed first.
        after: u64,
    },
    /// Everything made is being removed.
    CleaningUp,
}

/// Receives events.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;
