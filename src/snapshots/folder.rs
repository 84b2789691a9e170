//! Reviewed documents on disk, in the format of `insta`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use insta::Snapshot;

use super::document::Document;

/// Extension of reviewed snapshots.
const REVIEWED: &str = "snap";

/// Extension of those that wait for a review.
const PENDING: &str = "snap.new";

/// What a comparison with reviewed snapshots showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many are as reviewed.
    pub same: usize,
    /// Names of those that differ from what was reviewed.
    pub different: Vec<String>,
    /// Names of those that nobody has reviewed.
    pub new: Vec<String>,
    /// Files that nothing was seen for; of whole runs only.
    pub unreferenced: Vec<PathBuf>,
}

impl Comparison {
    /// Whether all that was seen is as reviewed.
    pub fn agrees(&self) -> bool {
        self.different.is_empty() && self.new.is_empty()
    }

    /// What there is to say, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.different.iter().map(|name| format!("snapshot {name} differs: see `cargo insta review`")));
        lines.extend(self.new.iter().map(|name| format!("snapshot {name} is new: see `cargo insta review`")));
        lines.extend(self.unreferenced.iter().map(|path| format!("snapshot {} is unreferenced: remove it", path.display())));
        lines
    }
}

/// Compares documents with the reviewed ones of a folder. What differs is written beside them as `.snap.new`; what agrees is
/// not pending any more. `whole`: everything there is was seen, so that the rest is unreferenced.
///
/// # Errors
///
/// When the folder cannot be read or written, or a file in it is no snapshot.
pub fn compare(folder: &Path, documents: &[Document], whole: bool) -> io::Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut known = BTreeSet::new();
    for document in documents {
        let path = folder.join(format!("{}.{REVIEWED}", document.name));
        let pending = folder.join(format!("{}.{PENDING}", document.name));
        known.insert(path.clone());
        let reviewed = if path.is_file() { Some(read(&path)?) } else { None };
        match reviewed {
            Some(text) if text == document.text.trim_end() => {
                comparison.same += 1;
                match std::fs::remove_file(&pending) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                continue;
            }
            Some(_) => comparison.different.push(document.name.clone()),
            None => comparison.new.push(document.name.clone()),
        }
        if let Some(parent) = pending.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&pending, file(document))?;
    }
    if whole {
        comparison.unreferenced = files(folder)?.into_iter().filter(|path| !known.contains(path)).collect();
    }
    Ok(comparison)
}

/// A document as `insta` writes it.
fn file(document: &Document) -> String {
    format!(
        "---\nsource: src/snapshots/document.rs\nexpression: \"{}\"\n---\n{}\n",
        document.title.replace('"', "'"),
        document.text.trim_end()
    )
}

fn read(path: &Path) -> io::Result<String> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let snapshot = Snapshot::from_file(path).map_err(|error| wrong(error.to_string()))?;
    let text = snapshot.as_text().ok_or_else(|| wrong("holds no text".into()))?;
    Ok(text.to_string().trim_end().to_owned())
}

/// Names of all reviewed snapshots of a folder.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn reviewed(folder: &Path) -> io::Result<Vec<String>> {
    let name = |path: PathBuf| {
        let path = path.strip_prefix(folder).ok()?.with_extension("");
        Some(path.to_str()?.replace('\\', "/"))
    };
    Ok(files(folder)?.into_iter().filter_map(name).collect())
}

/// All reviewed snapshots below a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == REVIEWED) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("logto-conformance-snapshots-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn document(text: &str) -> Document {
        Document { name: "account/GetProfile.200".into(), title: "GET /api/my-account answers 200".into(), text: text.into() }
    }

    #[test]
    fn what_is_new_or_differs_waits_for_a_review_and_what_agrees_does_not() {
        let folder = Scratch::new("review");
        let dir = &folder.0;
        let pending = dir.join("account/GetProfile.200.snap.new");
        let first = compare(dir, &[document("GET /\n\n200\n")], true).unwrap();
        assert_eq!((first.same, first.new.len(), first.agrees()), (0, 1, false));
        std::fs::rename(&pending, dir.join("account/GetProfile.200.snap")).unwrap();
        let second = compare(dir, &[document("GET /\n\n200\n")], true).unwrap();
        assert_eq!((second.same, second.agrees(), pending.exists()), (1, true, false));
        assert_eq!(reviewed(dir).unwrap(), ["account/GetProfile.200"]);
        let third = compare(dir, &[document("GET /\n\n401\n")], true).unwrap();
        assert_eq!(third.lines(), ["snapshot account/GetProfile.200 differs: see `cargo insta review`"]);
        assert!(std::fs::read_to_string(&pending).unwrap().starts_with("---\nsource: "));
        compare(dir, &[document("GET /\n\n200\n")], true).unwrap();
        assert!(!pending.exists(), "it agrees again");
    }

    #[test]
    fn what_nothing_was_seen_for_is_unreferenced_in_whole_runs_only() {
        let folder = Scratch::new("unreferenced");
        std::fs::write(folder.0.join("old.snap"), "---\nsource: x\n---\ntext\n").unwrap();
        assert_eq!(compare(&folder.0, &[], false).unwrap(), Comparison::default());
        assert_eq!(compare(&folder.0, &[], true).unwrap().unreferenced, [folder.0.join("old.snap")]);
    }
}
