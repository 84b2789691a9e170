//! The command line: the only part that prints, reads the environment, or decides how the process ends.
//!
//! One file per command. A command gets its own arguments and the effective [`Settings`] (file, environment and flags
//! already laid over each other) and says how the run ended.

pub mod canaries;
pub mod check;
mod command;
mod compare;
mod coverage;
mod doctor;
mod drift;
mod explain;
mod failure;
mod github;
mod init;
mod inspect;
mod list;
mod merge;
mod output;
mod progress;
pub mod replay;
pub mod restore;
pub mod selftest;
pub mod serve;
mod session;
pub mod settings;
mod spec;
mod table;
pub mod trials;
mod watchers;

pub use command::main;
pub use failure::Failure;
pub use output::{print, print_error};
pub use settings::Settings;
