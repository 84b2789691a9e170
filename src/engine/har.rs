//! Recorded traffic: HAR 1.2 files, plain or gzip (told by content, not by name).
//!
//! Only what the model needs is read; every other key may be missing or wrong. Two habits of recorders that HAR 1.2
//! does not know are understood: a request body in base64 (`postData._encoding` or `postData.encoding`), and the pseudo
//! headers of HTTP/2 (`:authority`), which are dropped. (The `har` crate loses `_encoding` and does not say which entry
//! is at fault.)

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::wire::{Answer, Request};

/// Bytes of JSON past which a recording is refused, after unpacking.
pub const MAX_BYTES: u64 = 256 << 20;

/// The exchanges of one file, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The file.
    pub path: PathBuf,
    /// Its exchanges.
    pub entries: Vec<Recorded>,
}

/// One recorded exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Position in `log.entries`, from 0.
    pub index: usize,
    /// When the request was sent, in milliseconds since 1970; `None` when the file does not say it in RFC 3339.
    pub started_ms: Option<i64>,
    /// Milliseconds until the answer was there, rounded up; `None` when the file does not say it.
    pub took_ms: Option<i64>,
    /// Scheme, host and port of the request, for example `https://example.com:8443`.
    pub origin: String,
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
    /// What the recorder noted beside the exchange.
    pub comment: Option<String>,
}

/// A recording that cannot be read: which file and which entry. Its source says what is wrong, [`HarError::hint`] how
/// to mend it.
#[derive(Debug, thiserror::Error)]
#[error("read {}{}", path.display(), entry.map(|index| format!(", log.entries[{index}]")).unwrap_or_default())]
pub struct HarError {
    /// The file.
    pub path: PathBuf,
    /// Position of the entry in `log.entries`, from 0; `None` when the file as a whole is at fault.
    pub entry: Option<usize>,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
    /// It begins like gzip and does not go on so.
    #[error("the gzip data is damaged or ends too early")]
    Gzip(#[source] io::Error),
    /// It is larger than the bound, in bytes.
    #[error("it unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// It is no JSON; line and column are in the source.
    #[error("it is neither JSON nor gzip of JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON without `log.entries`.
    #[error("it has no list `log.entries`")]
    NoEntries,
    /// A part of an entry has a wrong type.
    #[error("a part has the wrong type")]
    Shape(#[source] serde_json::Error),
    /// The entry has no `request`, or that has no `method`.
    #[error("it has no `request` with a `method`")]
    NoRequest,
    /// The entry has no `response`.
    #[error("it has no `response`")]
    NoResponse,
    /// The URL is not absolute.
    #[error("`request.url` is no absolute URL: {0:?}")]
    Url(String),
    /// The status is no HTTP status.
    #[error("`response.status` is {0}, not within 100 to 599")]
    Status(i64),
    /// A body that says it is base64 is not.
    #[error("`{part}` is no valid base64")]
    Base64 {
        /// The key that holds the body.
        part: &'static str,
        /// Where it breaks.
        source: base64::DecodeError,
    },
    /// A body in an encoding that HAR does not know.
    #[error("`{part}` has the unknown encoding {encoding:?}")]
    Encoding {
        /// The key that holds the body.
        part: &'static str,
        /// What the file says.
        encoding: String,
    },
    /// The request body is given in parts that do not tell its bytes.
    #[error("`postData` has `params` and no `text`")]
    Params,
}

impl HarError {
    /// How to mend it.
    pub fn hint(&self) -> &'static str {
        match &self.problem {
            Problem::Io(_) => "check the path and its permissions",
            Problem::Gzip(_) => "copy or record the file again; `gzip -t` tests it",
            Problem::TooLarge(_) => "split the recording into consecutive files",
            Problem::Json(_) => "give a HAR 1.2 file, plain or gzip; save it again from the recorder",
            Problem::NoEntries => "give a HAR 1.2 file: an object with `log.entries`",
            Problem::Shape(_) | Problem::NoRequest => "save the recording again with a recorder that writes HAR 1.2",
            Problem::NoResponse | Problem::Status(_) => "remove the entry: a request without an answer cannot be judged",
            Problem::Url(_) => "record absolute URLs, such as `https://example.com/api/users`",
            Problem::Base64 { .. } => "record the body again, or remove the mark `base64` if it is plain text",
            Problem::Encoding { .. } => "save the body as plain text or as base64",
            Problem::Params => "record again with a recorder that keeps `postData.text`",
        }
    }
}

/// Reads a recording.
///
/// Fails as [`Problem`] lists; one bad entry refuses the whole file, since state is rebuilt from all of them in order.
pub fn read(path: &Path) -> Result<Recording, HarError> {
    let fail = |problem| HarError { path: path.to_owned(), entry: None, problem };
    let file = File::open(path).map_err(|error| fail(Problem::Io(error)))?;
    parse(path, file, MAX_BYTES)
}

fn parse(path: &Path, source: impl Read, max_bytes: u64) -> Result<Recording, HarError> {
    let fail = |entry, problem| HarError { path: path.to_owned(), entry, problem };
    let json = unpack(source, max_bytes).map_err(|problem| fail(None, problem))?;
    // Some recorders begin the file with a byte order mark.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&json);
    let document: Document = serde_json::from_slice(json).map_err(|error| {
        let (entry, problem) = diagnose(json, error);
        fail(entry, problem)
    })?;
    let entries = document.log.and_then(|log| log.entries).ok_or_else(|| fail(None, Problem::NoEntries))?;
    let recorded = |(index, entry): (usize, Entry)| entry.recorded(index).map_err(|problem| fail(Some(index), problem));
    let entries = entries.into_iter().enumerate().map(recorded).collect::<Result<_, _>>()?;
    Ok(Recording { path: path.to_owned(), entries })
}

fn unpack(mut source: impl Read, max_bytes: u64) -> Result<Vec<u8>, Problem> {
    let mut magic = Vec::new();
    source.by_ref().take(2).read_to_end(&mut magic).map_err(Problem::Io)?;
    let is_gzip = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(source);
    let mut json = Vec::new();
    if is_gzip {
        MultiGzDecoder::new(whole).take(max_bytes + 1).read_to_end(&mut json).map_err(Problem::Gzip)?;
    } else {
        whole.take(max_bytes + 1).read_to_end(&mut json).map_err(Problem::Io)?;
    }
    if u64::try_from(json.len()).is_ok_and(|length| length <= max_bytes) { Ok(json) } else { Err(Problem::TooLarge(max_bytes)) }
}

/// Finds the entry at fault; runs only when the file is refused.
fn diagnose(json: &[u8], error: serde_json::Error) -> (Option<usize>, Problem) {
    let Ok(mut document) = serde_json::from_slice::<Value>(json) else { return (None, Problem::Json(error)) };
    let Some(Value::Array(entries)) = document.pointer_mut("/log/entries").map(Value::take) else {
        return (None, Problem::NoEntries);
    };
    let faulty = |(index, entry)| Some((index, serde_json::from_value::<Entry>(entry).err()?));
    match entries.into_iter().enumerate().find_map(faulty) {
        Some((index, error)) => (Some(index), Problem::Shape(error)),
        None => (None, Problem::Shape(error)),
    }
}

#[derive(Deserialize)]
struct Document {
    log: Option<Log>,
}

#[derive(Deserialize)]
struct Log {
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: Option<String>,
    time: Option<Value>,
    request: Option<Sent>,
    response: Option<Received>,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    method: Option<String>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Received {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    headers: Vec<Header>,
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
    #[serde(alias = "_encoding")]
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
}

impl Entry {
    fn recorded(self, index: usize) -> Result<Recorded, Problem> {
        let sent = self.request.ok_or(Problem::NoRequest)?;
        let received = self.response.ok_or(Problem::NoResponse)?;
        let (origin, target) = split_url(&sent.url).ok_or_else(|| Problem::Url(sent.url.clone()))?;
        let request = Request {
            method: sent.method.ok_or(Problem::NoRequest)?,
            target,
            headers: lower_cased(sent.headers),
            body: sent.post_data.map_or(Ok(Vec::new()), PostData::bytes)?,
        };
        let status = u16::try_from(received.status).ok().filter(|status| (100..=599).contains(status));
        let answer = Answer {
            status: status.ok_or(Problem::Status(received.status))?,
            headers: lower_cased(received.headers),
            body: received.content.map_or(Ok(Vec::new()), Content::bytes)?.into(),
        };
        let started_ms = self.started_date_time.as_deref().and_then(milliseconds);
        let took_ms = self.time.as_ref().and_then(Value::as_f64).and_then(rounded_up);
        Ok(Recorded { index, started_ms, took_ms, origin: origin.to_owned(), request, answer, comment: self.comment })
    }
}

impl PostData {
    fn bytes(self) -> Result<Vec<u8>, Problem> {
        if self.text.is_none() && !self.params.is_empty() {
            return Err(Problem::Params);
        }
        decode("request.postData.text", self.text, self.encoding.as_deref())
    }
}

impl Content {
    fn bytes(self) -> Result<Vec<u8>, Problem> {
        decode("response.content.text", self.text, self.encoding.as_deref())
    }
}

fn decode(part: &'static str, text: Option<String>, encoding: Option<&str>) -> Result<Vec<u8>, Problem> {
    let text = text.unwrap_or_default();
    match encoding {
        None | Some("") => Ok(text.into_bytes()),
        Some("base64") => BASE64.decode(text).map_err(|source| Problem::Base64 { part, source }),
        Some(encoding) => Err(Problem::Encoding { part, encoding: encoding.to_owned() }),
    }
}

/// Origin and target (path and query as sent); the fragment never went over the wire.
fn split_url(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if scheme.is_empty() || host_end == 0 {
        return None;
    }
    let (origin, target) = url.split_at(scheme.len() + "://".len() + host_end);
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Some((origin, format!("{slash}{target}")))
}

fn lower_cased(headers: Vec<Header>) -> Vec<(String, String)> {
    let real = headers.into_iter().filter(|header| !header.name.starts_with(':'));
    real.map(|header| (header.name.to_ascii_lowercase(), header.value)).collect()
}

/// A time that recorders give as a fraction; none is negative.
fn rounded_up(time: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds that are asked for")]
    (0.0..1e12).contains(&time).then(|| time.ceil() as i64)
}

fn milliseconds(text: &str) -> Option<i64> {
    let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanoseconds.div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

    fn entry() -> Value {
        json!({
            "startedDateTime": "2026-01-02T03:04:05.678Z",
            "request": {
                "method": "PATCH", "url": "https://example.com:8443/api/users/a%20b?x=1&y=%2F#top", "httpVersion": "h3",
                "headers": [{"name": ":authority", "value": "h"}, {"name": "Content-Type", "value": "text/json"}],
                "postData": {"mimeType": "application/json", "text": "{\"name\":\"é\"}"},
            },
            "response": {
                "status": 200, "headers": [{"name": "X-Total", "value": "1"}], "content": {"text": "{}"}, "_extra": [1],
            },
            "comment": "a note", "_pseudonymised": ["request"],
        })
    }

    fn har(entries: &[Value]) -> String {
        json!({"log": {"version": "1.2", "entries": entries}}).to_string()
    }

    fn load(bytes: impl AsRef<[u8]>) -> Result<Recording, HarError> {
        parse(Path::new("some.har"), bytes.as_ref(), MAX_BYTES)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The good entry, then one changed at a JSON pointer (`null` removes), and the error it leads to.
    fn broken(pointer: &str, value: Value) -> HarError {
        let mut bad = entry();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        load(har(&[entry(), bad])).unwrap_err()
    }

    #[test]
    fn an_exchange_is_read_as_it_went_over_the_wire() {
        let recording = load(har(&[entry()])).unwrap();
        let [read] = recording.entries.as_slice() else { panic!("one entry") };
        assert_eq!(read.index, 0);
        assert_eq!(read.started_ms, Some(1_767_323_045_678));
        assert_eq!(read.origin, "https://example.com:8443");
        assert_eq!((read.request.method.as_str(), read.request.target.as_str()), ("PATCH", "/api/users/a%20b?x=1&y=%2F"));
        assert_eq!(read.request.headers, [("content-type".to_owned(), "text/json".to_owned())]);
        assert_eq!(read.request.body, "{\"name\":\"é\"}".as_bytes());
        assert_eq!(read.answer.status, 200);
        assert_eq!(read.answer.header("x-total"), Some("1"));
        assert_eq!(*read.answer.body, *b"{}");
        assert_eq!(read.comment.as_deref(), Some("a note"));
    }

    #[test]
    fn gzip_and_byte_order_marks_are_told_by_content() {
        let text = har(&[entry()]);
        let plain = load(&text).unwrap();
        assert_eq!(load(gzip(&text)).unwrap(), plain);
        assert_eq!(load(format!("\u{feff}{text}")).unwrap(), plain);
        let (first, second) = text.split_at(40);
        assert_eq!(load([gzip(first), gzip(second)].concat()).unwrap(), plain);
    }

    #[test]
    fn what_is_absent_is_empty() {
        let sparse = json!({"request": {"method": "GET", "url": "http://h"}, "response": {"status": 204}});
        let recording = load(har(&[sparse])).unwrap();
        let read = &recording.entries[0];
        assert_eq!((read.started_ms, read.request.target.as_str(), read.origin.as_str()), (None, "/", "http://h"));
        assert!(read.request.body.is_empty() && read.answer.body.is_empty() && read.comment.is_none());
        assert!(load(har(&[])).unwrap().entries.is_empty());
    }

    #[test]
    fn bodies_may_be_base64() {
        for key in ["_encoding", "encoding"] {
            let mut binary = entry();
            binary["request"]["postData"] = json!({"text": "/wA=", key: "base64"});
            binary["response"]["content"] = json!({"text": "AP8=", "encoding": "base64"});
            let recording = load(har(&[binary])).unwrap();
            assert_eq!(recording.entries[0].request.body, [0xff, 0], "{key}");
            assert_eq!(*recording.entries[0].answer.body, [0, 0xff]);
        }
    }

    #[test]
    fn a_duration_is_read_where_there_is_one() {
        for (time, took) in [(json!(1.2), Some(2)), (json!(0), Some(0)), (json!(-1), None), (json!("soon"), None), (Value::Null, None)] {
            let mut timed = entry();
            timed["time"] = time;
            assert_eq!(load(har(&[timed])).unwrap().entries[0].took_ms, took);
        }
    }

    #[test]
    fn times_need_not_be_utc() {
        assert_eq!(milliseconds("1970-01-01T02:00:00.0015+02:00"), Some(1));
        assert_eq!(milliseconds("1969-12-31T23:59:59.9995Z"), Some(-1));
        assert_eq!(milliseconds("yesterday"), None);
    }

    #[test]
    fn urls_split_after_the_host() {
        for (url, expected) in [
            ("http://h?x=1", Some(("http://h", "/?x=1"))),
            ("http://h#f", Some(("http://h", "/"))),
            ("http://h/a?b=http://i/", Some(("http://h", "/a?b=http://i/"))),
            ("/api/users", None),
            ("http:///x", None),
            ("", None),
        ] {
            assert_eq!(split_url(url), expected.map(|(origin, target)| (origin, target.to_owned())), "{url}");
        }
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused() {
        let text = har(&[entry()]);
        let packed = gzip(&text);
        let problem = |bytes: &[u8]| {
            let error = load(bytes).unwrap_err();
            assert_eq!(error.entry, None);
            error.problem
        };
        assert!(matches!(problem(b""), Problem::Json(_)));
        assert!(matches!(problem(b"\x89PNG"), Problem::Json(_)));
        assert!(matches!(problem(&text.as_bytes()[..text.len() - 9]), Problem::Json(_)));
        assert!(matches!(problem(&packed[..packed.len() / 2]), Problem::Gzip(_)));
        assert!(matches!(problem(&gzip("no JSON")), Problem::Json(_)));
        for other in ["{}", "[]", "7", r#"{"log": {}}"#, r#"{"log": {"entries": {}}}"#, r#"{"log": 1}"#] {
            assert!(matches!(problem(other.as_bytes()), Problem::NoEntries), "{other}");
        }
        assert!(matches!(read(Path::new("no/such.har")).unwrap_err().problem, Problem::Io(_)));
    }

    #[test]
    fn the_size_is_bounded_after_unpacking() {
        let text = har(&[entry()]);
        let exact = u64::try_from(text.len()).unwrap();
        for bytes in [gzip(&text), text.clone().into_bytes()] {
            assert!(parse(Path::new("x"), bytes.as_slice(), exact).is_ok());
            let error = parse(Path::new("x"), bytes.as_slice(), exact - 1).unwrap_err();
            assert!(matches!(error.problem, Problem::TooLarge(bound) if bound == exact - 1));
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        for (pointer, value, message) in [
            ("/request", json!(null), "it has no `request` with a `method`"),
            ("/request/method", json!(null), "it has no `request` with a `method`"),
            ("/request/url", json!("/api"), r#"`request.url` is no absolute URL: "/api""#),
            ("/request/headers", json!(7), "a part has the wrong type"),
            ("/request/postData", json!({"text": "%", "_encoding": "base64"}), "`request.postData.text` is no valid base64"),
            ("/request/postData", json!({"params": [{"name": "a"}]}), "`postData` has `params` and no `text`"),
            ("/response", json!(null), "it has no `response`"),
            ("/response/status", json!(0), "`response.status` is 0, not within 100 to 599"),
            ("/response/status", json!(600), "`response.status` is 600, not within 100 to 599"),
            ("/response/status", json!(-1), "`response.status` is -1, not within 100 to 599"),
            ("/response/status", json!("200"), "a part has the wrong type"),
            ("/response/content", json!({"text": "=", "encoding": "base64"}), "`response.content.text` is no valid base64"),
            ("/response/content", json!({"text": "", "encoding": "gzip"}), r#"`response.content.text` has the unknown encoding "gzip""#),
        ] {
            let error = broken(pointer, value);
            assert_eq!(error.entry, Some(1), "{pointer}");
            assert_eq!(error.to_string(), "read some.har, log.entries[1]");
            assert_eq!(error.problem.to_string(), message);
            assert!(!error.hint().is_empty());
        }
    }
}
