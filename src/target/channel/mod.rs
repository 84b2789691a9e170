//! Channels: how the codes that a deployment sends by mail or text message reach the harness.
//!
//! ```text
//! deployment ─► our connectors ─► webhook, smtp ─► inbox ─┐
//!            └► its own ones   ─► mailpit, file, command ─┴─► Channel::code(recipient)
//! ```
//!
//! Each kind is a file. Messages are told apart by their recipient, so concurrent sends never mix up codes; where only the
//! newest message can be read, sends take turns ([`Channel::turn`]). Every code seen is in the secret register before it is
//! handed out.

mod command;
mod file;
mod inbox;
mod listener;
mod mailpit;
mod open;
mod options;
mod smtp;
mod text;
mod trouble;
mod webhook;

pub use open::{Channel, Turn};
pub use options::{ChannelKind, ChannelOptions};
pub use trouble::ChannelError;
