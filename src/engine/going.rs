//! A task that ends with whoever waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

/// A task that is cut off when this is dropped.
pub(super) struct Going<T>(JoinHandle<T>);

impl<T: Send + 'static> Going<T> {
    /// Starts a task.
    pub(super) fn on(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Future for Going<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Going<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
