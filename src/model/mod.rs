//! What a conforming deployment must remember, and what it must answer.
//!
//! Two functions carry everything: [`predict()`] says which answers a state admits, [`observe()`] says what an answer
//! makes of the states a deployment may be in. Live checks, recorded traffic, races and lost answers all use them.

mod body;
mod call;
mod consent;
mod effect;
mod enterprise;
mod guard;
pub mod json;
mod list;
mod message;
pub mod multipart;
mod observe;
mod obtained;
mod one_time;
pub mod passkey;
pub mod password;
mod pattern;
mod predict;
mod proof;
mod race;
mod route;
pub mod rules;
#[cfg(test)]
pub mod sample;
mod select;
pub mod session;
mod sign_in;
mod state;
mod survey;
mod tenant;
pub mod time;
mod totp;
mod vouched;
pub mod wire;

pub use self::passkey::proves as proves_passkey;
pub use body::form;
pub use call::Call;
pub use enterprise::{keep_enterprise_tokens, signed_in_through};
pub use guard::{NEAR_MS, Scene};
pub use message::{MOST_MESSAGES, MOST_TRIES, addressee, forget_send};
pub use observe::{Difference, Observation, Relation, accept, describe, observe, observe_nothing};
pub use obtained::{Got, obtained};
pub use passkey::answer as passkey_answer;
pub use pattern::{Lesson, ListPattern, Member, Mismatch, Pattern, Teaching, Why, brief};
pub use predict::{Alternative, Prediction, predict, successes};
pub use race::{Conflict, Exchange, Together, observe_together};
pub use route::{Route, route};
pub use sign_in::{Entry, SecondFactor, asks_for_factor, doubt_factors, entry, next_step, use_factor};
pub use state::{ACCOUNT_CENTER, Entity, Fresh, Key, Kind, SIGN_IN_EXPERIENCE, State, States, Term, Truth};
pub use survey::{Account, Survey, survey};
pub use totp::code as totp_code;
pub use vouched::consented;
