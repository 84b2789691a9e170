//! What a run must not leave behind, wherever it ends: objects, changes, secrets.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

#[path = "harm/canaries.rs"]
mod canaries;
#[path = "harm/foreign.rs"]
mod foreign;
#[path = "harm/killed.rs"]
mod killed;
#[path = "harm/program.rs"]
mod program;
#[path = "harm/tenant.rs"]
mod tenant;
