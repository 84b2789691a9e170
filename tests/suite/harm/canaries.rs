//! Everything secret that went over the wire, looked for in everything that the program said or kept.

use std::path::Path;

use logto_conformance::cli::canaries::{Hunt, HuntError, hunt};

use super::program::Folder;

fn hunted(program: &Path, folder: &Folder) -> Result<Hunt, HuntError> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(hunt(program, &folder.0))
}

#[test]
fn no_secret_of_a_run_is_told_or_kept() {
    let folder = Folder::new("canaries");
    let hunt = hunted(Path::new(env!("CARGO_BIN_EXE_logto-conformance")), &folder).unwrap();
    assert_eq!(hunt.hits, []);
    assert!(hunt.secrets > 300 && hunt.files > 30 && hunt.commands > 9, "{hunt:?}");
}

/// A program that does nothing but end as it has to, after these lines of shell.
#[cfg(unix)]
fn pretender(folder: &Folder, lines: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.0.join("pretender.sh");
    let ends = "case \"$*\" in *wrong.example*|*--proxy*) exit 3;; esac";
    let makes = "/bin/mkdir -p out/findings; echo {} > out/findings/f.json";
    std::fs::write(&path, format!("#!/bin/sh\n{makes}\n{lines}\n{ends}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_program_that_tells_a_secret_is_caught() {
    let cases = [
        ("silent", "true", None),
        ("plain", "printf 'so %s' \"$LOGTO_CONFORMANCE_CLIENT_SECRET\" >&2", Some(("1-stderr.txt", "as it is"))),
        ("basic", "printf 'id:%s' \"$LOGTO_CONFORMANCE_CLIENT_SECRET\" | /usr/bin/base64 -w0 > out/kept", Some(("out/kept", "in base64"))),
    ];
    for (name, lines, told) in cases {
        let folder = Folder::new(&format!("canaries-{name}"));
        let hunt = hunted(&pretender(&folder, lines), &folder).unwrap();
        match told {
            None => assert_eq!(hunt.hits, [], "{name}"),
            Some((file, written)) => {
                assert!(hunt.hits.iter().any(|hit| hit.file == file && hit.written == written), "{name}: {hunt:?}");
            }
        }
    }
    let folder = Folder::new("canaries-broken");
    let broken = hunted(&pretender(&folder, "exit 5"), &folder).unwrap_err();
    assert!(matches!(&broken, HuntError::Ended { command, .. } if command == "check"), "{broken}");
}
