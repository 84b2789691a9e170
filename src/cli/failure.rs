//! Ways a command fails before it has a verdict: the user's, with place and remedy, and ours.

use std::error::Error;
use std::io;

use super::output::print_error;
use super::settings::SettingsError;
use crate::check::WaiverError;
use crate::contract::SpecError;
use crate::engine::har::HarError;
use crate::report::RunVerdict;

/// Why a command has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, the configuration, the contract, a waiver file or a recording is wrong.
    #[error("{0}")]
    Usage(String),
    /// The target does not answer, or refuses the credentials.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing could be tested as things are.
    #[error("{0}")]
    Incomplete(String),
    /// Nothing was tested, and something that was changed could not be put back.
    #[error("{0}")]
    Residue(String),
    /// Our own fault, or the machine's.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Says what is wrong on standard error, and how the run ended.
    pub fn end(&self) -> RunVerdict {
        print_error(&self.to_string());
        match self {
            Self::Usage(_) => RunVerdict::Usage,
            Self::Unreachable(_) => RunVerdict::Unreachable,
            Self::Incomplete(_) => RunVerdict::Incomplete,
            Self::Residue(_) => RunVerdict::Residue,
            Self::Internal(_) => RunVerdict::Internal,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WaiverError> for Failure {
    fn from(error: WaiverError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<HarError> for Failure {
    fn from(error: HarError) -> Self {
        let mut text = format!("failed to {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::Usage(format!("{text}\n  help: {}", error.hint()))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Internal(format!("failed to write: {error}"))
    }
}
