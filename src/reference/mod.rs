//! The reference: a deployment in memory, built on the contract and the model.
//!
//! It is the executable form of the contract, the default target, and the test bed: each [`Fault`] of
//! `fixtures/faults.yaml` is one deliberate deviation. It is nothing to deploy: passwords are kept as they are, and nothing
//! outlives the process.
//!
//! `deployment` answers requests (free of any network type), `support` and `sign_in` hold what is needed besides the
//! specified operations, `published` the document that lists it all, `outbox` the messages that `courier` posts, `edge` adds
//! what every answer carries, `server` puts it all on a socket. `mutation` applies faults to the contract, `tamper` those
//! below it.

mod courier;
mod deployment;
mod edge;
mod enterprise;
mod fault;
mod files;
mod issue;
mod mint;
mod mutation;
mod outbox;
mod outside;
mod pages;
mod passkey;
mod paths;
mod published;
mod refusal;
mod server;
mod sign_in;
mod support;
mod tamper;

pub use fault::{Change, Fault, FaultClass, FaultError, FaultLayer, OddInput, On, Shown, TokenUse};
pub use server::{App, Reference, ReferenceOptions, Running, Witness};
