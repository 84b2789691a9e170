//! Confirms a deviation: reduces its sequence and replays that on fresh data.

use super::execute::Sighted;
use super::reduce::reduce;
use super::stage::Stage;
use crate::plan::Sequence;

/// Replays that a finding needs.
pub const REPLAYS: usize = 3;

/// A deviation after its replays.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// How many of [`REPLAYS`] showed it.
    pub shown: usize,
    /// The reduced sequence.
    pub sequence: Sequence,
    /// Requests that the reduction took, before the replays.
    pub requests: u64,
}

/// Reduces the sequence of a deviation, with less effort if the cause is `known` from elsewhere, and replays it.
pub async fn confirm(stage: &Stage<'_>, sequence: &Sequence, sighted: &Sighted, known: bool) -> Confirmation {
    let before = stage.context.gate.sent();
    let sequence = reduce(stage, sequence, sighted, known).await;
    let requests = stage.context.gate.sent() - before;
    let mut shown = 0;
    for _ in 0..REPLAYS {
        let trace = stage.execute(&sequence).await;
        shown += usize::from(trace.deviations.iter().any(|other| other.same(sighted)));
    }
    Confirmation { shown, sequence, requests }
}
