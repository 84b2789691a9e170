//! The program as a user starts it, in a folder of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longest time for one run of the program.
const LIMIT: Duration = Duration::from_secs(240);

/// A folder of its own; gone with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-harm-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// Starts the program at a target. Its output goes to files: no pipe can fill up.
    pub fn start(&self, credentials: (&str, &str), arguments: &[&str]) -> Child {
        let stream = |name: &str| File::options().create(true).append(true).open(self.0.join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(arguments).current_dir(&self.0).env_clear();
        command.env("LOGTO_CONFORMANCE_CLIENT_ID", credentials.0).env("LOGTO_CONFORMANCE_CLIENT_SECRET", credentials.1);
        command.stdout(stream("stdout.txt")).stderr(stream("stderr.txt")).spawn().unwrap()
    }

    /// The exit code; -1 when a signal ended it.
    pub fn end(&self, mut child: Child) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(started.elapsed() < LIMIT, "still running:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn said(&self) -> String {
        ["stdout.txt", "stderr.txt"].map(|name| fs::read_to_string(self.0.join(name)).unwrap_or_default()).join("")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
