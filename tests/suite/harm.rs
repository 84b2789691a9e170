//! What a run must not leave behind, wherever it ends: objects, changes, secrets.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

mod canaries;
mod foreign;
mod killed;
mod program;
mod tenant;
