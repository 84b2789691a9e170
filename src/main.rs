//! Command line of the conformance harness.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A run makes and drops many small values: with the allocator of the C library that is a quarter of its time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    logto_conformance::cli::main(std::env::args_os()).exit_code().into()
}
