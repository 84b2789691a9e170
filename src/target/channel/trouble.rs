//! How a channel can fail, each with what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a channel cannot be opened, or brings no code.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Nobody can listen there.
    #[error("cannot listen on {address}: {cause}; choose another address, for example `--channel {kind}:127.0.0.1:0`")]
    Bind {
        /// Kind of channel.
        kind: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// Nothing came in time.
    #[error("no message to {recipient} within {} s; {remedy}", .waited.as_secs())]
    Silent {
        /// Whom it was for.
        recipient: String,
        /// How long was waited.
        waited: Duration,
        /// What to look at.
        remedy: String,
    },
    /// A message came, and there is no code in it, or more than one number that could be one.
    #[error("the message to {recipient} holds {found}; let its template hold {{{{code}}}} and no other number of six digits")]
    Unclear {
        /// Whom it was for.
        recipient: String,
        /// What was found.
        found: &'static str,
    },
    /// Mailpit does not answer as it should.
    #[error("{url} does not answer like Mailpit: {why}; check `--channel mailpit:URL`")]
    Mailpit {
        /// Its address without credentials.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The record of a mock connector cannot be read.
    #[error("cannot read {path}: {cause}; let the target's folder of mock messages be mounted, and name it in `--channel file:DIR`")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The program brings no code.
    #[error("{program} {why}; it must print the code of the newest message and nothing else, and end with 0")]
    Command {
        /// The program.
        program: PathBuf,
        /// What it did instead.
        why: String,
    },
}
