//! The ledger: what a run is about to create or change, on disk before it is sent, so that it can be taken back even
//! after `kill -9`.
//!
//! One JSON document per line, append only: a header, then `{"intend": …}`, `{"settle": …}` and `{"undone": …}`. What must be
//! put back and is full of secrets lies beside it, for as long as it is needed ([`Vault`](super::vault::Vault)).

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::vault::Vault;

/// First line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Short random name of the run; the name space of its objects is `lc_<run>_`.
    pub run: String,
    /// Base URL of the deployment.
    pub endpoint: String,
    /// When the run started, for people.
    pub started: String,
}

/// Something that is about to be created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Intent {
    /// A user is created.
    User {
        /// Its username, or its name when it has none; carries the run's name space.
        marker: String,
    },
    /// An application is created.
    Application {
        /// Its name.
        name: String,
    },
    /// A role is created.
    Role {
        /// Its name.
        name: String,
    },
    /// Another object of the tenant is created.
    Object {
        /// The path that DELETE removes it by; `{member}` stands for a member of the answer.
        undo: String,
        /// A text of it that carries the run's name space.
        marker: String,
    },
    /// The account-center settings are changed for the first time.
    AccountCenter {
        /// The whole settings before.
        before: Value,
    },
    /// The sign-in experience is changed for the first time.
    SignInExperience {
        /// The whole settings before.
        before: Value,
    },
    /// A connector for messages takes the place of the one that stands there.
    Connector {
        /// What it sends: `Email` or `Sms`.
        sends: String,
        /// Id of ours.
        ours: String,
        /// Id of the one before, if there was one; it lies in the vault under [`Intent::label`].
        before: Option<String>,
    },
}

impl Intent {
    /// What identifies the object within a run; also how people read it.
    pub fn label(&self) -> String {
        match self {
            Self::User { marker } => format!("user {marker}"),
            Self::Application { name } => format!("application {name}"),
            Self::Role { name } => format!("role {name}"),
            Self::Object { undo, marker } => format!("{} {marker}", collection(undo)),
            Self::AccountCenter { .. } => "account center".to_owned(),
            Self::SignInExperience { .. } => "sign-in experience".to_owned(),
            Self::Connector { sends, .. } => format!("{sends} connector"),
        }
    }
}

/// The path of the list that an object is in, from the path that removes it.
pub fn collection(undo: &str) -> &str {
    undo.split("/{").next().unwrap_or(undo)
}

/// The member of an object that names it in the path that removes it.
pub fn identity(undo: &str) -> &str {
    undo.rsplit_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("id", |(member, _)| member)
}

/// One line of a ledger after the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// This is about to be created or changed.
    Intend(Intent),
    /// The object exists under this id.
    Settle {
        /// [`Intent::label`] of the object.
        label: String,
        /// Its id on the deployment.
        id: String,
    },
    /// The object is gone, or the settings are as they were.
    Undone {
        /// [`Intent::label`] of the object.
        label: String,
    },
}

impl Record {
    /// Whether it announces that an object is made, not that settings are changed.
    pub fn makes(&self) -> bool {
        let made = |intent: &Intent| {
            matches!(intent, Intent::User { .. } | Intent::Application { .. } | Intent::Role { .. } | Intent::Object { .. })
        };
        matches!(self, Self::Intend(intent) if made(intent))
    }
}

/// Why a ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The system refuses.
    #[error("cannot use the ledger {path}: {cause}")]
    Io {
        /// The ledger.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A line is not what a ledger holds.
    #[error("{path}:{line}: not a line of a ledger: {cause}")]
    Line {
        /// The ledger.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// There is not even a header.
    #[error("the ledger {0} is empty")]
    Empty(PathBuf),
}

/// The ledger of one run; clones share one file.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Mutex<Inner>>,
    vault: Vault,
}

#[derive(Debug, Default)]
struct Inner {
    file: Option<File>,
    records: Vec<Record>,
    /// Labels of what is intended and not undone.
    open: HashSet<String>,
}

impl Ledger {
    /// Starts a new file, readable by its owner only; an existing file is never overwritten.
    pub fn create(path: &Path, header: &Header) -> Result<Self, LedgerError> {
        let failed = |cause| LedgerError::Io { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        write_line(&mut file, header).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self::over(Some(file), Vec::new(), Vault::beside(path)))
    }

    /// Opens the ledger of an earlier run to finish its clean-up.
    pub fn reopen(path: &Path) -> Result<(Header, Self), LedgerError> {
        let failed = |cause| LedgerError::Io { path: path.to_owned(), cause };
        let text = std::fs::read(path).map_err(failed)?;
        let parsed = parse(path, &text)?;
        let mut file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        file.set_len(parsed.complete as u64).map_err(failed)?;
        if !text[..parsed.complete].ends_with(b"\n") {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok((parsed.header, Self::over(Some(file), parsed.records, Vault::beside(path))))
    }

    /// A ledger without a file, for tests and for targets that vanish with the process.
    pub fn in_memory() -> Self {
        Self::over(None, Vec::new(), Vault::in_memory())
    }

    /// Reads a ledger. A last line that was cut off while it was written is left out: what it announced was not sent.
    pub fn read(path: &Path) -> Result<(Header, Vec<Record>), LedgerError> {
        let text = std::fs::read(path).map_err(|cause| LedgerError::Io { path: path.to_owned(), cause })?;
        let parsed = parse(path, &text)?;
        Ok((parsed.header, parsed.records))
    }

    /// Notes what is about to be created or changed; when this returns, it is on disk (one fsync for all).
    ///
    /// Intents that stand in the ledger already are skipped: a sequence may announce all of its calls at once, and
    /// the settings *before the first* change are the ones that count.
    pub fn intend(&self, intents: &[Intent]) -> io::Result<()> {
        let mut inner = self.lock();
        let mut wrote = false;
        for intent in intents {
            if !inner.open.contains(&intent.label()) {
                inner.append(Record::Intend(intent.clone()))?;
                wrote = true;
            }
        }
        if wrote { inner.sync() } else { Ok(()) }
    }

    /// Notes the id under which an intended object exists.
    pub fn settle(&self, intent: &Intent, id: &str) -> io::Result<()> {
        self.lock().append(Record::Settle { label: intent.label(), id: id.to_owned() })
    }

    /// Notes that an object is gone or settings are restored.
    pub fn undone(&self, intent: &Intent) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.open.contains(&intent.label()) { inner.append(Record::Undone { label: intent.label() }) } else { Ok(()) }
    }

    /// Whether all of these are announced already, so that nothing needs to be written before they are sent.
    pub fn announces(&self, intents: &[Intent]) -> bool {
        let inner = self.lock();
        intents.iter().all(|intent| inner.open.contains(&intent.label()))
    }

    /// All records so far, for [`cleanup`](super::cleanup()).
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// What lies beside the ledger.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// How much is intended and not undone.
    pub fn open(&self) -> usize {
        self.lock().open.len()
    }

    /// Whether everything that was intended is undone.
    pub fn is_settled_up(&self) -> bool {
        self.lock().open.is_empty()
    }

    fn over(file: Option<File>, records: Vec<Record>, vault: Vault) -> Self {
        let mut inner = Inner { file, ..Inner::default() };
        for record in records {
            inner.keep(record);
        }
        Self { inner: Arc::new(Mutex::new(inner)), vault }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, record: Record) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let whole = file.metadata()?.len();
            if let Err(cause) = write_line(file, &record) {
                // Half a line in the middle would make the ledger unreadable.
                file.set_len(whole)?;
                return Err(cause);
            }
        }
        self.keep(record);
        Ok(())
    }

    fn keep(&mut self, record: Record) {
        match &record {
            Record::Intend(intent) => drop(self.open.insert(intent.label())),
            Record::Undone { label } => drop(self.open.remove(label)),
            Record::Settle { .. } => {}
        }
        self.records.push(record);
    }

    fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

/// One `write` per line, so that a crash cuts off the last line at most.
fn write_line(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

struct Parsed {
    header: Header,
    records: Vec<Record>,
    /// Length in bytes of the lines that are whole.
    complete: usize,
}

fn parse(path: &Path, text: &[u8]) -> Result<Parsed, LedgerError> {
    let wrong = |line, cause| LedgerError::Line { path: path.to_owned(), line, cause };
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').zip(1..);
    let (first, _) = lines.next().ok_or_else(|| LedgerError::Empty(path.to_owned()))?;
    let header = serde_json::from_slice(first).map_err(|cause| wrong(1, cause))?;
    let mut parsed = Parsed { header, records: Vec::new(), complete: first.len() };
    for (line, number) in lines {
        match serde_json::from_slice(line) {
            Ok(record) => parsed.records.push(record),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(cause) => return Err(wrong(number, cause)),
        }
        parsed.complete += line.len();
    }
    Ok(parsed)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
