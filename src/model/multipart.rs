//! Forms with files (`multipart/form-data`). A file is written `{"name": …, "type": …, "base64": …}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Parts are parted by this in forms that the harness sends.
const BOUNDARY: &str = "lc-boundary-of-parts";

/// The content type and body that carry the files of an object; members that are no files go as texts.
pub fn write(members: &Value) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in members.as_object().into_iter().flatten() {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"").bytes());
        if let Some(content) = text("base64").and_then(|text| STANDARD.decode(text).ok()) {
            let (file, kind) = (text("name").unwrap_or("file"), text("type").unwrap_or("application/octet-stream"));
            body.extend(format!("; filename=\"{file}\"\r\nContent-Type: {kind}\r\n\r\n").bytes());
            body.extend(content);
        } else {
            body.extend(b"\r\n\r\n");
            body.extend(value.as_str().map_or_else(|| value.to_string(), str::to_owned).bytes());
        }
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// The files of a form, each under the name of its part; of several with one name the first. Texts are left out, as the
/// server looks for files only, and a part that says no type is a text to it. `None` when the content type names no boundary.
pub fn read(content_type: &str, body: &[u8]) -> Option<Value> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning.
    let body = [b"\r\n", body].concat();
    let mut files = Map::new();
    let mut rest = find(&body, delimiter.as_bytes()).map(|(_, after)| after);
    while let Some(part) = rest.filter(|part| !part.starts_with(b"--")) {
        let next = find(part, delimiter.as_bytes());
        let content = next.map_or(part, |(before, _)| before);
        if let Some((name, file)) = find(content, b"\r\n\r\n").and_then(|(head, content)| read_file(head, content)) {
            files.entry(name).or_insert(file);
        }
        rest = next.map(|(_, after)| after);
    }
    Some(Value::Object(files))
}

/// The bytes of a file.
pub fn content(file: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(file.get("base64")?.as_str()?).ok()
}

fn read_file(head: &[u8], content: &[u8]) -> Option<(String, Value)> {
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        head.lines()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value))
    };
    let parameter = |wanted: &str| {
        let parts = header("content-disposition")?.split(';');
        parts
            .filter_map(|part| part.trim().split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.trim_matches('"').to_owned())
    };
    let file = json!({
        "name": parameter("filename")?,
        "type": header("content-type").map(str::trim).filter(|kind| !kind.is_empty())?,
        "base64": STANDARD.encode(content),
    });
    Some((parameter("name")?, file))
}

fn find<'b>(bytes: &'b [u8], wanted: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    Some((&bytes[..at], &bytes[at + wanted.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let file = json!({"name": "a.png", "type": "image/png", "base64": STANDARD.encode(b"\x89PNG\r\n\r\n\0\xff")});
        let (content_type, body) = write(&json!({"file": file, "note": "text"}));
        let read = read(&content_type, &body).unwrap();
        assert_eq!(read, json!({"file": file}), "texts are no files");
        assert_eq!(content(&read["file"]).unwrap(), b"\x89PNG\r\n\r\n\0\xff");
    }

    #[test]
    fn forms_without_files_are_empty() {
        for kind in ["", "Content-Type: \r\n"] {
            let form = format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n{kind}\r\na\r\n--x--\r\n");
            assert_eq!(read("multipart/form-data; boundary=x", form.as_bytes()), Some(json!({})), "{kind:?}");
        }
        assert_eq!(read("multipart/form-data; boundary=x", b"--x--\r\n"), Some(json!({})));
        assert_eq!(read("multipart/form-data", b"--x--\r\n"), None);
        assert_eq!(read("multipart/form-data; boundary=\"x\"", b""), Some(json!({})));
    }
}
