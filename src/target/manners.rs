//! Good manners towards a deployment that others use too: a rate across all tasks, and `Retry-After`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::wire::Answer;

/// How often a read that was answered with 429 is sent again.
pub(super) const MAX_RETRIES: usize = 3;

/// Longest wait that a `Retry-After` can ask of us.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Spaces requests evenly; clones share one schedule.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    schedule: Option<Arc<Schedule>>,
}

#[derive(Debug)]
struct Schedule {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Manners {
    /// At most `rate` requests per second; `None` does not limit. `Err` carries a rate that is not a positive number.
    pub fn new(rate: Option<f64>) -> Result<Self, f64> {
        let Some(rate) = rate else { return Ok(Self::default()) };
        let interval = Duration::try_from_secs_f64(1.0 / rate).map_err(|_| rate)?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(rate);
        }
        Ok(Self { schedule: Some(Arc::new(Schedule { interval, next: Mutex::new(Instant::now()) })) })
    }

    /// Waits until the caller's slot has come. Slots are given out in the order of the calls.
    pub async fn wait_turn(&self) {
        let Some(schedule) = &self.schedule else { return };
        let slot = {
            let mut next = schedule.next.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = (*next).max(Instant::now());
            *next = slot.checked_add(schedule.interval).unwrap_or(slot);
            slot
        };
        tokio::time::sleep_until(slot).await;
    }
}

/// How long an answer asks us to stay away: only 429 with a number of seconds counts, at most 30 s.
pub(super) fn asked_to_wait(answer: &Answer) -> Option<Duration> {
    if answer.status != 429 {
        return None;
    }
    let seconds = answer.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_are_spaced_across_clones() {
        let manners = Manners::new(Some(100.0)).unwrap();
        let start = Instant::now();
        let other = manners.clone();
        tokio::join!(manners.wait_turn(), other.wait_turn(), async {
            manners.wait_turn().await;
            other.wait_turn().await;
        });
        assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(Manners::new(Some(rate)).is_err(), "{rate}");
        }
    }

    #[test]
    fn only_a_429_with_seconds_asks_to_wait_and_never_for_long() {
        let answer = |status, after: &str| Answer { status, headers: vec![("retry-after".into(), after.into())], ..Answer::default() };
        assert_eq!(asked_to_wait(&answer(429, " 2 ")), Some(Duration::from_secs(2)));
        assert_eq!(asked_to_wait(&answer(429, "86400")), Some(MAX_WAIT));
        assert_eq!(asked_to_wait(&answer(429, "Fri, 01 Jan 2027 00:00:00 GMT")), None);
        assert_eq!(asked_to_wait(&answer(503, "2")), None);
    }
}
