//! The contract as a test suite: against the embedded reference, or the target of `conformance.toml` and
//! `LOGTO_CONFORMANCE_*`.

fn main() -> std::process::ExitCode {
    logto_conformance::trials::Conformance::new().snapshots(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots")).main()
}
