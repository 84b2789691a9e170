//! Finds secrets in files, however they are written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Shorter parts of base64 stand in other texts by chance.
const LEAST: usize = 8;

/// A secret in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hit {
    /// The file, in the folder that was searched.
    pub file: String,
    /// What the secret is; never the secret itself.
    pub secret: String,
    /// How it is written there.
    pub written: &'static str,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds a secret ({}), {}", self.file, self.secret, self.written)
    }
}

/// Looks for secrets, each with what it is, in files below a folder.
pub fn search(folder: &Path, files: &[PathBuf], secrets: &BTreeMap<String, String>) -> io::Result<Vec<Hit>> {
    let forms: Vec<(&String, Vec<(&'static str, String)>)> = secrets.iter().map(|(secret, what)| (what, written(secret))).collect();
    let mut hits = Vec::new();
    for path in files {
        let bytes = fs::read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        for (what, forms) in &forms {
            if let Some((form, _)) = forms.iter().find(|(_, form)| text.contains(form.as_str())) {
                let file = path.strip_prefix(folder).unwrap_or(path).display().to_string();
                hits.push(Hit { file, secret: (*what).clone(), written: form });
            }
        }
    }
    Ok(hits)
}

/// Whether a secret stands in a text, however it is written.
pub fn stands(secret: &str, text: &str) -> bool {
    written(secret).iter().any(|(_, form)| text.contains(form.as_str()))
}

/// The inside of the JSON string of a text.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The ways to write a secret.
fn written(secret: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("as it is", secret.to_owned()),
        ("escaped in JSON", in_json(secret)),
        ("escaped in JSON twice", in_json(&in_json(secret))),
        ("encoded in a form", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
        ("encoded in a URL", utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()),
    ];
    // Behind an id and a colon, as in Basic credentials, base64 may begin at each of three places.
    for before in 0..3_usize {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        // What other bytes have a part in is left out.
        let (from, to) = ((before * 4).div_ceil(3), bytes.len() * 4 / 3);
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            all.extend(text.get(from..to).filter(|part| part.len() >= LEAST).map(|part| ("in base64", part.to_owned())));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "a \"s3cret\"/+&ü%=\\end";

    /// How a secret is found in a text.
    fn found(text: &str) -> Vec<&'static str> {
        let folder =
            std::env::temp_dir().join(format!("logto-conformance-search-{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("out.txt");
        fs::write(&file, text).unwrap();
        let secrets = BTreeMap::from([(SECRET.to_owned(), "password".to_owned())]);
        let hits = search(&folder, &[file], &secrets).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        for hit in &hits {
            assert_eq!((hit.file.as_str(), hit.secret.as_str()), ("out.txt", "password"));
            assert!(!hit.to_string().contains("s3cret"), "{hit}");
        }
        hits.into_iter().map(|hit| hit.written).collect()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        assert_eq!(found(&format!("so {SECRET}.")), ["as it is"]);
        assert_eq!(found(&serde_json::json!({ "a": SECRET }).to_string()), ["escaped in JSON"]);
        let body = serde_json::json!({ "a": SECRET }).to_string();
        assert_eq!(found(&serde_json::json!({ "body": body }).to_string()), ["escaped in JSON twice"]);
        assert_eq!(found(&format!("?a={form}&b")), ["encoded in a form"]);
        assert_eq!(found(&utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string()), ["encoded in a URL"]);
        for id in ["", "i:", "id:", "id1:", "id12:"] {
            for more in ["", "x", "xy"] {
                assert_eq!(found(&format!("Basic {}", STANDARD.encode(format!("{id}{SECRET}{more}")))), ["in base64"], "{id} {more}");
            }
        }
        assert_eq!(found(&URL_SAFE_NO_PAD.encode(SECRET)), ["in base64"]);
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert_eq!(found("a <secret> and a part of it, s3cret; not even YSAiczNj"), Vec::<&str>::new());
    }
}
