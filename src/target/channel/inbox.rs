//! Messages that arrived by themselves and were not asked for yet.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::super::secret::SecretRegister;
use super::text::key;

/// Codes that are kept; the oldest go first. More than any run has open at a time.
const MOST: usize = 4096;

/// Longest recipient and code that are kept, in bytes.
const LONGEST: usize = 512;

/// Codes by recipient, with somebody perhaps waiting for them.
pub struct Inbox {
    letters: Mutex<VecDeque<Letter>>,
    arrived: Notify,
    secrets: SecretRegister,
}

struct Letter {
    /// The recipient as the deployment wrote it.
    to: String,
    key: String,
    code: String,
}

impl Inbox {
    /// An empty one; every code that arrives is registered.
    pub fn new(secrets: SecretRegister) -> Self {
        Self { letters: Mutex::default(), arrived: Notify::new(), secrets }
    }

    /// Takes a message in. What no deployment would send is dropped.
    pub fn deliver(&self, to: &str, code: &str) {
        if to.len() > LONGEST || code.is_empty() || code.len() > LONGEST {
            return;
        }
        self.secrets.register(code);
        {
            let mut letters = self.letters();
            if letters.len() == MOST {
                letters.pop_front();
            }
            letters.push_back(Letter { to: to.to_owned(), key: key(to), code: code.to_owned() });
        }
        self.arrived.notify_waiters();
    }

    /// The newest code for a recipient, as soon as there is one; older ones for it are void. `None` when the time is over.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            // From here on no arrival is missed.
            arrived.as_mut().enable();
            if let Some(code) = self.take(recipient) {
                return Some(code);
            }
            timeout_at(end, arrived).await.ok()?;
        }
    }

    fn take(&self, recipient: &str) -> Option<String> {
        let mut letters = self.letters();
        let wanted = key(recipient);
        // Another spelling counts only while there is none that is exactly the same.
        let exact = letters.iter().rposition(|letter| letter.to == recipient);
        let found = exact.or_else(|| letters.iter().rposition(|letter| letter.key == wanted))?;
        let letter = letters.remove(found)?;
        letters.retain(|other| other.to != letter.to);
        Some(letter.code)
    }

    fn letters(&self) -> std::sync::MutexGuard<'_, VecDeque<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn the_newest_code_is_given_once() {
        let secrets = SecretRegister::new();
        let inbox = Inbox::new(secrets.clone());
        inbox.deliver("ann@example.com", "111111");
        inbox.deliver("ann@example.com", "222222");
        inbox.deliver("15550100001", "333333");
        assert_eq!(inbox.code("Ann@example.com", SOON).await.as_deref(), Some("222222"));
        assert_eq!(inbox.code("ann@example.com", SOON).await, None);
        assert_eq!(inbox.code("+1 555 010 0001", SOON).await.as_deref(), Some("333333"));
        assert_eq!(secrets.redact("111111 222222 333333"), "<secret> <secret> <secret>");
    }

    #[tokio::test]
    async fn the_same_spelling_goes_first() {
        let inbox = Inbox::new(SecretRegister::new());
        inbox.deliver("ann@example.com", "111111");
        inbox.deliver("ANN@example.com", "222222");
        assert_eq!(inbox.code("ann@example.com", SOON).await.as_deref(), Some("111111"));
        assert_eq!(inbox.code("ann@example.com", SOON).await.as_deref(), Some("222222"));
    }

    #[tokio::test]
    async fn whoever_waits_gets_what_comes_later() {
        let inbox = Arc::new(Inbox::new(SecretRegister::new()));
        let waiting: Vec<_> = (0..50)
            .map(|n| {
                let inbox = Arc::clone(&inbox);
                tokio::spawn(async move { inbox.code(&format!("u{n}@example.com"), Duration::from_secs(5)).await })
            })
            .collect();
        tokio::task::yield_now().await;
        for n in (0..50).rev() {
            inbox.deliver(&format!("u{n}@example.com"), &format!("{:06}", 100_000 + n));
        }
        for (n, waiter) in waiting.into_iter().enumerate() {
            assert_eq!(waiter.await.unwrap(), Some(format!("{:06}", 100_000 + n)));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let inbox = Inbox::new(SecretRegister::new());
        (0..=MOST).for_each(|n| inbox.deliver(&format!("{n}@example.com"), "123456"));
        inbox.deliver(&"a".repeat(LONGEST + 1), "123456");
        assert_eq!(inbox.letters().len(), MOST);
        assert_eq!(inbox.take("0@example.com"), None);
    }
}
