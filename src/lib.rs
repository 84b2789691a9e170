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
//!
//! The pure part on one exchange: what the model predicts of an answer, and what the checks say of the one that came.
//!
//! ```
//! use logto_conformance::check::{self, judge};
//! use logto_conformance::contract::{Contract, Version};
//! use logto_conformance::model::wire::{Answer, Request};
//! use logto_conformance::model::{State, States, observe};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let contract = Contract::embedded(Version::NEWEST)?;
//! let before = States::certain(State::default());
//! // Nobody reads an account without a token, and this deployment lets it happen.
//! let request = Request::new("GET", "/api/my-account");
//! let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
//! let answer = Answer { status: 200, headers, body: br#"{"id": "a1b2c3"}"#.to_vec().into() };
//!
//! let observation = observe(&contract, &before, &request, &answer, 0);
//! let judgements = judge(&contract, &request, &answer, &observation);
//! let broken = judgements.iter().filter(|judgement| matches!(judgement.result, check::Result::Fail(_)));
//! assert!(broken.map(|judgement| judgement.requirement.id.as_str()).any(|id| id == "ACC-AUTH-01"));
//! # Ok(())
//! # }
//! ```
//!
//! A whole run, as a test of a server of one's own, is [`trials::Conformance`]; what of this is promised, docs/stability.md says.
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
