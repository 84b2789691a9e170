//! Writing to the two standard streams. A reader that closed its end (`| head`) is no error: the rest is not written, and
//! the run ends as it would have ended.

use std::io::{self, ErrorKind, Write};

use crate::report::RunVerdict;

/// Writes a text to standard output, as it is.
///
/// Fails when it cannot be written, for example to a full disk; not when the reader is gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut stream = io::stdout().lock();
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `error: …` to standard error. There is nowhere left to tell when that fails.
pub fn print_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}

/// Shows what clap has to say: help and version to standard output, complaints to standard error.
pub(super) fn clap(error: &clap::Error) -> RunVerdict {
    let _ = error.print();
    if error.use_stderr() { RunVerdict::Usage } else { RunVerdict::Conformant }
}
