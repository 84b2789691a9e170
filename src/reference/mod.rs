//! The reference: a deployment in memory, built on the contract and the model.
//!
//! It is the executable form of the contract, the default target, and the test bed. It is nothing to deploy: passwords
//! are kept as they are, and nothing outlives the process.
//!
//! `deployment` answers requests (free of any network type), `support` and `sign_in` hold what is needed besides the
//! specified operations, `edge` adds what every answer carries, `server` puts it all on a socket.

mod clock;
mod deployment;
mod edge;
mod mint;
mod paths;
mod refusal;
mod server;
mod sign_in;
mod support;

pub use clock::{Clock, ManualClock, SystemClock};
pub use server::{Reference, ReferenceOptions, Running};
