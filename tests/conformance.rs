//! The contract as a test suite: against the embedded reference, or the target of `conformance.toml` and
//! `LOGTO_CONFORMANCE_*`.

/// The program's own: a trial that runs alone is to start and end within a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    logto_conformance::trials::Conformance::new().snapshots(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots")).main()
}
