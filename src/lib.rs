//! Conformance harness for Logto's Account API and Management API.
//!
//! ```text
//! specs/ ──► contract ──► model ──► plan ──► engine ──► check ──► report
//!                           │                  │ ▲
//!                           └──► reference ◄───┘ └── target (any deployment)
//! ```
pub mod model;
pub mod target;
