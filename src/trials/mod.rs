//! The contract as a test suite: one trial for each operation and requirement, each story, each race, and each snapshot.
//!
//! ```text
//! contract ──► cases ──► names for the test runner
//!                │
//! report ────────┴─────► verdict of each case
//! ```
//!
//! A test of your own server is a file of `tests/` without the usual harness (`harness = false` in `Cargo.toml`):
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     logto_conformance::trials::Conformance::new().main()
//! }
//! ```
//!
//! It takes the command line of `cargo test` and finds the target as `check` does: in `conformance.toml` and in
//! `LOGTO_CONFORMANCE_*`. [`Conformance::target`] names one that the test has started itself.
mod case;
mod flow;
mod outcome;
pub mod trace;

pub use case::{Case, PUBLISHED, ROUTES, cases};
pub use flow::{Flow, flows};
pub use outcome::{Ended, ended, idle, is_about, is_waived, unheard, unreviewed};

pub use crate::cli::trials::Conformance;
