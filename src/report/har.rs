//! The exchanges of a run as HAR 1.2, written while it goes on: what is in memory is what waits for an earlier answer.
//!
//! Secrets are replaced by symbols, equal ones by equal symbols, so that `inspect` can follow who is who. What turns out to be
//! a secret only later in the run is replaced when the file is finished.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use url::Url;

use crate::model::time::iso;
use crate::target::{Exchange, SecretRegister, left_out};

/// Exchanges that wait for the answer to an earlier request; with more of them it is taken for lost.
const WAITING: usize = 1024;

/// Bytes past which a body is left out: a plan sends a hundred bodies of a megabyte, to see them refused.
const LONGEST: usize = 64 << 10;

/// A file of exchanges that is being written.
#[derive(Debug)]
pub struct Har {
    path: PathBuf,
    secrets: SecretRegister,
    draft: Mutex<Draft>,
}

/// What is written so far, an entry a line, beside the place of the file.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    file: BufWriter<File>,
    /// Number of the request whose answer is written next.
    next: u64,
    waiting: BTreeMap<u64, String>,
    /// The first that went wrong.
    failed: Option<io::Error>,
}

impl Har {
    /// Begins a file. Nothing stands at `path` before [`Har::finish`].
    ///
    /// # Errors
    ///
    /// When the file beside it, with `.part` at the end of its name, cannot be created.
    pub fn create(path: &Path, secrets: SecretRegister) -> io::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = BufWriter::new(File::create(&part)?);
        let draft = Draft { path: part, file, next: 0, waiting: BTreeMap::new(), failed: None };
        Ok(Self { path: path.to_owned(), secrets, draft: Mutex::new(draft) })
    }

    /// Takes an exchange. They may come in any order and are written in the order in which they were sent.
    pub fn tell(&self, exchange: &Exchange) {
        let mut entry = entry(exchange);
        mask(&mut entry, &self.secrets);
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        draft.waiting.insert(exchange.number, entry.to_string());
        draft.write(WAITING);
    }

    /// Writes the whole file.
    ///
    /// # Errors
    ///
    /// When it, or what was told before, could not be written.
    pub fn finish(&self) -> io::Result<()> {
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        draft.write(0);
        if let Some(error) = draft.failed.take() {
            return Err(error);
        }
        draft.file.flush()?;
        let mut file = BufWriter::new(File::create(&self.path)?);
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let comment =
            "secrets are replaced, equal ones by the same (secret-N); requests without an answer and bodies over 64 KiB are left out";
        let head = json!({"version": "1.2", "creator": {"name": name, "version": version}, "comment": comment}).to_string();
        write!(file, "{{\"log\":{},\"entries\":[", head.trim_end_matches('}'))?;
        for (index, line) in BufReader::new(File::open(&draft.path)?).lines().enumerate() {
            let mut entry: Value = serde_json::from_str(&line?)?;
            mask(&mut entry, &self.secrets);
            write!(file, "{}\n{entry}", if index == 0 { "" } else { "," })?;
        }
        writeln!(file, "\n]}}}}")?;
        file.flush()?;
        fs::remove_file(&draft.path)
    }
}

impl Draft {
    /// Writes what is next in order, and more until no more than `most` wait.
    fn write(&mut self, most: usize) {
        while let Some(first) = self.waiting.first_entry() {
            let number = *first.key();
            if number > self.next && self.waiting.len() <= most {
                break;
            }
            let line = self.waiting.remove(&number).unwrap_or_default();
            self.next = self.next.max(number + 1);
            if let Err(error) = writeln!(self.file, "{line}") {
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// An exchange as it went over the wire.
fn entry(exchange: &Exchange) -> Value {
    let Exchange { started_ms, took, url, request, answer, .. } = exchange;
    let took = took.as_secs_f64() * 1000.0;
    let query = Url::parse(url).map(|url| url.query_pairs().into_owned().collect::<Vec<_>>()).unwrap_or_default();
    let mut sent = json!({
        "method": request.method, "url": url, "httpVersion": "unknown", "cookies": [], "headers": headers(&request.headers),
        "queryString": named(query.iter().map(|(name, value)| (name.as_str(), value.as_str()))), "headersSize": -1,
        "bodySize": request.body.len(),
    });
    if !request.body.is_empty() {
        let (text, encoding) = text(&request.body);
        let kind = request.header("content-type").unwrap_or_default();
        sent["postData"] = json!({"mimeType": kind, "params": [], "text": text});
        if let Some(encoding) = encoding {
            sent["postData"]["_encoding"] = encoding.into();
        }
    }
    let (text, encoding) = text(&answer.body);
    let kind = answer.header("content-type").unwrap_or_default();
    let mut content = json!({"size": answer.body.len(), "mimeType": kind, "text": text});
    if let Some(encoding) = encoding {
        content["encoding"] = encoding.into();
    }
    json!({
        "startedDateTime": iso(*started_ms), "time": took, "request": sent,
        "response": {
            "status": answer.status, "statusText": "", "httpVersion": "unknown", "cookies": [], "headers": headers(&answer.headers),
            "content": content, "redirectURL": answer.header("location").unwrap_or_default(), "headersSize": -1, "bodySize": -1,
        },
        "cache": {}, "timings": {"send": 0, "wait": took, "receive": 0},
    })
}

fn headers(list: &[(String, String)]) -> Value {
    named(list.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn named<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    pairs.map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// A body as text, or in base64 where it is none.
fn text(body: &[u8]) -> (String, Option<&'static str>) {
    if body.len() > LONGEST {
        return (left_out(body.len()), None);
    }
    match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (BASE64.encode(body), Some("base64")),
    }
}

/// Replaces the secrets in an entry. The words of the format stay, whatever the secrets are.
fn mask(entry: &mut Value, secrets: &SecretRegister) {
    for place in ["/request/url", "/response/redirectURL"] {
        entry.pointer_mut(place).map(|text| replace(text, secrets));
    }
    for place in ["/request/headers", "/request/queryString", "/response/headers"] {
        let pairs = entry.pointer_mut(place).and_then(Value::as_array_mut);
        for pair in pairs.into_iter().flatten() {
            replace(&mut pair["value"], secrets);
        }
    }
    for place in ["/request/postData", "/response/content"] {
        let Some(body) = entry.pointer_mut(place).and_then(Value::as_object_mut) else { continue };
        // A symbol is no base64: what holds one is text from then on.
        if body.get_mut("text").is_some_and(|text| replace(text, secrets)) {
            body.remove("encoding");
            body.remove("_encoding");
        }
    }
}

/// Replaces the secrets in a text; whether there were any.
fn replace(value: &mut Value, secrets: &SecretRegister) -> bool {
    let Some(text) = value.as_str() else { return false };
    match secrets.symbolise(text) {
        std::borrow::Cow::Borrowed(_) => false,
        std::borrow::Cow::Owned(masked) => {
            *value = masked.into();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::har;
    use crate::model::wire::{Answer, Request};

    fn exchange(number: u64, body: &[u8]) -> Exchange {
        let mut request = Request::new("POST", "/api/things?a=b%20c").with_header("content-type", "text/plain");
        request.body = body.to_vec();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let answer = Answer { status: 200, headers, body: body.to_vec().into() };
        let url = "https://host.example/api/things?a=b%20c".to_owned();
        Exchange { number, started_ms: 1_767_323_045_678, took: Duration::from_micros(1500), url, request, answer }
    }

    /// A folder of its own for one test; gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("logto-conformance-har-{}-{name}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn path(&self) -> PathBuf {
            self.0.join("run.har")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bodies(path: &Path) -> Vec<String> {
        let entries = har::read(path).unwrap().entries;
        entries.into_iter().map(|entry| String::from_utf8_lossy(&entry.request.body).into_owned()).collect()
    }

    #[test]
    fn the_reader_reads_what_went_over_the_wire() {
        let folder = Folder::new("read");
        let file = Har::create(&folder.path(), SecretRegister::new()).unwrap();
        let told = [exchange(0, b"text"), exchange(1, b""), exchange(2, &[0, 159, 255])];
        for exchange in &told {
            file.tell(exchange);
        }
        assert!(!folder.path().exists());
        file.finish().unwrap();
        let read = har::read(&folder.path()).unwrap().entries;
        assert_eq!(read.len(), 3);
        for (read, told) in read.into_iter().zip(told) {
            assert_eq!((read.started_ms, read.origin.as_str()), (Some(told.started_ms), "https://host.example"));
            assert_eq!((read.request, read.answer), (told.request, told.answer));
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn the_order_is_that_of_sending_and_a_lost_answer_holds_nothing_up() {
        let folder = Folder::new("order");
        let file = Har::create(&folder.path(), SecretRegister::new()).unwrap();
        for number in [2, 0, 1, 5, 4] {
            file.tell(&exchange(number, number.to_string().as_bytes()));
        }
        assert_eq!(file.draft.lock().unwrap().waiting.len(), 2);
        let most = u64::try_from(WAITING).unwrap();
        for number in 6..6 + most {
            file.tell(&exchange(number, number.to_string().as_bytes()));
        }
        assert_eq!(file.draft.lock().unwrap().waiting.len(), 0, "request 3 is given up");
        // It came after all: later than its turn is better than not at all.
        file.tell(&exchange(3, b"3"));
        file.finish().unwrap();
        let bodies = bodies(&folder.path());
        assert_eq!(bodies[..6], ["0", "1", "2", "4", "5", "6"]);
        assert_eq!(bodies.last().unwrap(), "3");
    }

    #[test]
    fn no_secret_is_kept_even_if_it_is_told_late() {
        let folder = Folder::new("secret");
        let secrets = SecretRegister::new();
        secrets.register("early-secret");
        let file = Har::create(&folder.path(), secrets.clone()).unwrap();
        file.tell(&exchange(0, br#"{"a": "early-secret", "b": "late-secret"}"#));
        file.tell(&exchange(1, &[&[255], &b"early-secret"[..]].concat()));
        assert!(!file.draft.lock().unwrap().waiting.values().any(|line| line.contains("early-secret")));
        secrets.register("late-secret");
        // A word of the format that is somebody's password.
        secrets.register("request");
        file.tell(&exchange(2, b"late-secret request"));
        file.finish().unwrap();
        let text = fs::read_to_string(folder.path()).unwrap();
        assert!(!text.contains("early-secret") && !text.contains("late-secret"), "{text}");
        let bodies = bodies(&folder.path());
        assert_eq!(bodies[0], r#"{"a": "(secret-1)", "b": "(secret-2)"}"#);
        assert!(bodies[1].contains("(secret-1)"), "{}", bodies[1]);
        assert_eq!(bodies[2], "(secret-2) (secret-3)");
    }

    #[test]
    fn a_long_body_is_left_out_and_said_to_be() {
        let folder = Folder::new("long");
        let file = Har::create(&folder.path(), SecretRegister::new()).unwrap();
        file.tell(&exchange(0, &vec![b'a'; LONGEST + 1]));
        file.finish().unwrap();
        let entry = &har::read(&folder.path()).unwrap().entries[0];
        assert_eq!(entry.request.body, b"(left-out-65537)");
        assert!(crate::target::has_symbol(&entry.request.body));
    }

    #[test]
    fn a_run_without_an_exchange_is_an_empty_recording() {
        let folder = Folder::new("empty");
        Har::create(&folder.path(), SecretRegister::new()).unwrap().finish().unwrap();
        assert_eq!(har::read(&folder.path()).unwrap().entries, []);
    }
}
