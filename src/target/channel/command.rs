//! `command`: any program that prints the code of the newest message to a recipient.
//!
//! It gets two arguments, `email` or `sms` and the recipient, waits for the message itself, prints the code and ends with 0.
//! When the time is over it is killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::text::kind_of;
use super::trouble::ChannelError;
use crate::contract::MessageKind;

/// Output that is read, in bytes; a code is shorter.
const MOST: u64 = 4096;

/// The program.
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// Nothing is run yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What the program prints for a recipient; `None` when it takes too long.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Result<Option<String>, ChannelError> {
        match timeout(patience, self.run(recipient)).await {
            Ok(code) => code.map(Some).map_err(|why| ChannelError::Command { program: self.path.clone(), why }),
            // Dropping the process killed it.
            Err(_) => Ok(None),
        }
    }

    async fn run(&self, recipient: &str) -> Result<String, String> {
        let kind = match kind_of(recipient) {
            MessageKind::Email => "email",
            MessageKind::Sms => "sms",
        };
        let mut child = Command::new(&self.path)
            .args([kind, recipient])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| format!("cannot be run: {cause}"))?;
        let (output, complaint) = (read(child.stdout.take()), read(child.stderr.take()));
        let (output, complaint) = tokio::join!(output, complaint);
        let status = child.wait().await.map_err(|cause| format!("cannot be waited for: {cause}"))?;
        if !status.success() {
            let first = complaint.lines().next().unwrap_or_default().to_owned();
            return Err(if first.is_empty() { format!("ended with {status}") } else { format!("ended with {status}: {first}") });
        }
        match output.trim() {
            "" => Err("printed nothing".to_owned()),
            code if code.len() > 64 || code.contains(char::is_whitespace) => Err("printed more than a code".to_owned()),
            code => Ok(code.to_owned()),
        }
    }
}

/// The start of an output; the rest is read and dropped, so that the program does not hang on a full pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut text = Vec::new();
    // What cannot be read is not there.
    let _ = (&mut pipe).take(MOST).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A script of its own, gone with the value.
    struct Script(PathBuf);

    impl Script {
        fn new(name: &str, body: &str) -> Self {
            let path = std::env::temp_dir().join(format!("logto-conformance-{}-{name}.sh", std::process::id()));
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            Self(path)
        }

        async fn code(&self, recipient: &str) -> Result<Option<String>, String> {
            Program::new(&self.0).code(recipient, Duration::from_secs(5)).await.map_err(|error| error.to_string())
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[tokio::test]
    async fn the_program_is_told_whom_it_is_about() {
        let script = Script::new("echo", "test \"$1 $2\" = 'sms 15550100001' && echo 123456 || echo 654321");
        assert_eq!(script.code("15550100001").await, Ok(Some("123456".into())));
        assert_eq!(script.code("ann@example.com").await, Ok(Some("654321".into())));
    }

    #[tokio::test]
    async fn failures_of_the_program_are_told() {
        let refused = Script::new("fail", "echo no mail >&2; exit 3").code("a@example.com").await.unwrap_err();
        assert!(refused.contains("3: no mail"), "{refused}");
        assert!(Script::new("mute", "exit 0").code("a@example.com").await.unwrap_err().contains("printed nothing"));
        assert!(Script::new("chatty", "yes | head -c 100000").code("a@example.com").await.unwrap_err().contains("more than a code"));
        let missing = Program::new(Path::new("/nonexistent/code")).code("a@example.com", Duration::from_secs(5)).await.unwrap_err();
        assert!(missing.to_string().contains("cannot be run"), "{missing}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed() {
        let script = Script::new("hang", "exec sleep 60");
        let began = std::time::Instant::now();
        let code = Program::new(&script.0).code("a@example.com", Duration::from_millis(200)).await.unwrap();
        assert_eq!(code, None);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
