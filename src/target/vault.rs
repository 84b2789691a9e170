//! What must be put back and is full of secrets: files of their own beside the ledger, readable by their owner only, gone as
//! soon as they are not needed. So a finished run leaves no foreign secret behind.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Documents by name; clones share them.
#[derive(Debug, Clone)]
pub struct Vault {
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// Files whose names begin like the ledger's.
    Beside(PathBuf),
    Memory(Arc<Mutex<HashMap<String, Value>>>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Beside(_) => "Beside",
            Self::Memory(_) => "Memory",
        })
    }
}

impl Vault {
    /// A vault of files beside a ledger.
    pub fn beside(ledger: &Path) -> Self {
        Self { place: Place::Beside(ledger.to_owned()) }
    }

    /// A vault that ends with the process.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Arc::default()) }
    }

    /// Keeps a document; when this returns, it is on disk. One of the same name is replaced.
    pub fn keep(&self, name: &str, document: &Value) -> io::Result<()> {
        let ledger = match &self.place {
            Place::Memory(memory) => {
                memory.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), document.clone());
                return Ok(());
            }
            Place::Beside(ledger) => ledger,
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(file_of(ledger, name))?;
        file.write_all(document.to_string().as_bytes())?;
        file.sync_all()
    }

    /// A document that was kept; `None` when there is none of the name.
    pub fn read(&self, name: &str) -> io::Result<Option<Value>> {
        let ledger = match &self.place {
            Place::Memory(memory) => return Ok(memory.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()),
            Place::Beside(ledger) => ledger,
        };
        match std::fs::read(file_of(ledger, name)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets a document, if there is one.
    pub fn forget(&self, name: &str) -> io::Result<()> {
        let ledger = match &self.place {
            Place::Memory(memory) => {
                memory.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                return Ok(());
            }
            Place::Beside(ledger) => ledger,
        };
        match std::fs::remove_file(file_of(ledger, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn file_of(ledger: &Path, name: &str) -> PathBuf {
    let name: String = name.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '-' }).collect();
    ledger.with_extension(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_server::Scratch;
    use super::*;

    #[test]
    fn documents_lie_beside_the_ledger_until_they_are_forgotten() {
        let ledger = Scratch::new("vault");
        let file = ledger.0.with_extension("email-connector.json");
        let _ = std::fs::remove_file(&file);
        for vault in [Vault::beside(&ledger.0), Vault::in_memory()] {
            assert_eq!(vault.read("Email connector").unwrap(), None);
            vault.keep("Email connector", &json!({"a": 1})).unwrap();
            vault.keep("Email connector", &json!({})).unwrap();
            assert_eq!(vault.clone().read("Email connector").unwrap(), Some(json!({})));
            #[cfg(unix)]
            if let Ok(kept) = std::fs::metadata(&file) {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(kept.permissions().mode() & 0o777, 0o600);
            }
            vault.forget("Email connector").unwrap();
            vault.forget("Email connector").unwrap();
            assert!(vault.read("Email connector").unwrap().is_none() && !file.exists());
        }
    }
}
