//! Conformance harness for Logto's Account API and Management API.
//!
//! ```text
//! specs/ ──► contract ──► model ──► plan ──► engine ──► check ──► report
//!                           │                  │ ▲
//!                           └──► reference ◄───┘ └── target (any deployment)
//! ```
//!
//! `contract`, `model`, `plan` and `check` are pure: no clock, no network, no asynchronous runtime.
//! Only `cli` prints and reads the environment.
pub mod check;
pub mod cli;
pub mod clock;
pub mod contract;
pub mod engine;
pub mod model;
pub mod plan;
pub mod reference;
pub mod report;
pub mod snapshots;
pub mod target;
pub mod trials;
