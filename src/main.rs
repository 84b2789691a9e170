//! Command line of the conformance harness.

use std::process::ExitCode;

fn main() -> ExitCode {
    logto_conformance::cli::main(std::env::args_os()).exit_code().into()
}
