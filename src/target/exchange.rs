//! What goes through a gate, for whoever watches it.

use std::fmt;
use std::time::Duration;

use crate::model::wire::{Answer, Request};

/// One request and its answer, as they went over the wire: secrets included.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Position in the order of sending, from 0. A request without an answer leaves a gap.
    pub number: u64,
    /// When the request was sent, in milliseconds since 1970.
    pub started_ms: i64,
    /// Time until the whole answer was there.
    pub took: Duration,
    /// Where it went: the whole URL, as it stood on the wire.
    pub url: String,
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

impl fmt::Display for Exchange {
    /// `PATCH /api/my-account 200 12 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, answer, took, .. } = self;
        write!(f, "{} {} {} {} ms", request.method, request.target, answer.status, took.as_millis())
    }
}

impl fmt::Debug for Exchange {
    /// Without headers and bodies: a log of thousands must stay readable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Sees every exchange of a gate.
pub trait Witness: fmt::Debug + Send + Sync {
    /// What time it is, in milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// An answer has come. The secrets in it are registered.
    fn saw(&self, exchange: Exchange);
}
