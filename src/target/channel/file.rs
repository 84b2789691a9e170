//! `file`: the records of Logto's mock connectors.
//!
//! `mock-email-service` writes `mock_email_record.txt` with `address` and `code`, `mock-short-message-service`
//! `mock_sms_record.txt` with `phone` and `code`: JSON, one message per file, the next one in its place. So sends must take
//! turns, see [`Channel::turn`](super::Channel::turn).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::text::{key, kind_of};
use super::trouble::ChannelError;
use crate::contract::MessageKind;
use crate::model::json::parse;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest record that is read, in bytes.
const MOST: u64 = 1 << 20;

/// A folder of records, and the last one that was read of each.
pub struct Records {
    dir: PathBuf,
    read: Mutex<Vec<(PathBuf, Stamp)>>,
}

/// What tells a record from the one in whose place it stands.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    text: Vec<u8>,
}

impl Records {
    /// Nothing is read yet: the files come with the first message.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), read: Mutex::default() }
    }

    /// The code of the record, once it is a new one for this recipient.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Result<Option<String>, ChannelError> {
        let (name, member) = match kind_of(recipient) {
            MessageKind::Email => ("mock_email_record.txt", "address"),
            MessageKind::Sms => ("mock_sms_record.txt", "phone"),
        };
        let (path, wanted) = (self.dir.join(name), key(recipient));
        let end = Instant::now() + patience;
        loop {
            if let Some(stamp) = look(&path).await? {
                // A record that is just being written is no JSON yet.
                let record = parse(&stamp.text).unwrap_or_default();
                let text = |name: &str| record.get(name).and_then(Value::as_str);
                if let (true, Some(code)) = (text(member).is_some_and(|to| key(to) == wanted), text("code"))
                    && self.is_new(&path, &stamp)
                {
                    return Ok(Some(code.to_owned()));
                }
            }
            if Instant::now() + PAUSE > end {
                return Ok(None);
            }
            sleep(PAUSE).await;
        }
    }

    fn is_new(&self, path: &Path, stamp: &Stamp) -> bool {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.iter().any(|(known, last)| known == path && last == stamp) {
            return false;
        }
        read.retain(|(known, _)| known != path);
        read.push((path.to_owned(), stamp.clone()));
        true
    }
}

async fn look(path: &Path) -> Result<Option<Stamp>, ChannelError> {
    let wanted = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let file = std::fs::File::open(wanted)?;
        let modified = file.metadata()?.modified().ok();
        let mut text = Vec::new();
        file.take(MOST).read_to_end(&mut text)?;
        Ok(Stamp { modified, text })
    });
    match read.await.unwrap_or_else(|cause| Err(io::Error::other(cause))) {
        Ok(stamp) => Ok(Some(stamp)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(ChannelError::File { path: path.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("logto-conformance-{}-mock-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn each_record_is_read_once_by_its_recipient() {
        let folder = Folder::new("once");
        let records = Records::new(&folder.0);
        let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
        assert_eq!(records.code("ann@example.com", NOW).await.unwrap(), None);
        write("mock_email_record.txt", "{\"address\":\"ann@example.com\",\"code\":\"111111\",\"type\":\"Generic\"}\n");
        write("mock_sms_record.txt", "{\"phone\":\"15550100001\",\"code\":\"222222\"}\n");
        assert_eq!(records.code("bob@example.com", NOW).await.unwrap(), None);
        assert_eq!(records.code("Ann@example.com", NOW).await.unwrap().as_deref(), Some("111111"));
        assert_eq!(records.code("ann@example.com", NOW).await.unwrap(), None);
        assert_eq!(records.code("+15550100001", NOW).await.unwrap().as_deref(), Some("222222"));
        write("mock_email_record.txt", "{\"address\":\"ann@exam");
        assert_eq!(records.code("ann@example.com", NOW).await.unwrap(), None);
        write("mock_email_record.txt", "{\"address\":\"ann@example.com\",\"code\":\"333333\"}\n");
        assert_eq!(records.code("ann@example.com", NOW).await.unwrap().as_deref(), Some("333333"));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_told() {
        let folder = Folder::new("odd");
        std::fs::create_dir_all(folder.0.join("mock_sms_record.txt")).unwrap();
        let error = Records::new(&folder.0).code("15550100001", NOW).await.unwrap_err().to_string();
        assert!(error.contains("mock_sms_record.txt") && error.contains("--channel file:DIR"), "{error}");
    }
}
