//! Everything secret that went over the wire in a run, looked for in everything that the program said or kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::reference::Fault;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::program::Folder;
use super::server::proxied_with;

/// The administrator's secret, with characters that every encoding writes in its own way.
const SECRET: &str = "canary \"s3cret\"/+&ü%=\\end";

/// A header for a gateway in front.
const HEADER: &str = "canary-gateway-9f8e7d6c";

/// Members whose value is a secret wherever it stands.
const MEMBERS: [&str; 16] = [
    "access_token",
    "id_token",
    "refresh_token",
    "token",
    "subjectToken",
    "subject_token",
    "password",
    "oldPassword",
    "client_secret",
    "clientSecret",
    "secret",
    "verificationRecordId",
    "verificationId",
    "newIdentifierVerificationRecordId",
    "code_verifier",
    "passwordDigest",
];

/// Faults that make findings which speak of secrets.
const FAULTS: [&str; 4] = ["password-leaks", "digest-leaks", "any-password-proves", "user-created-201"];

/// The secrets of an exchange, found without the program's own register.
fn secrets(request: &Request, answer: &Answer, found: &mut BTreeSet<String>) {
    for body in [serde_json::from_slice(&request.body).ok(), answer.json()].into_iter().flatten() {
        members(&body, found);
    }
    if let Ok(form) = std::str::from_utf8(&request.body)
        && request.header("content-type").is_some_and(|kind| kind.contains("form-urlencoded"))
    {
        for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
            if MEMBERS.contains(&&*name) || name == "code" {
                found.insert(value.into_owned());
            }
        }
    }
    for value in request.headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value) {
        found.extend(value.split_once(' ').map(|(_, rest)| rest.to_owned()));
    }
    found.extend(request.header("logto-verification-id").map(str::to_owned));
    for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
        found.extend(value.split(';').next().and_then(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned()));
    }
    for (_, value) in answer.headers.iter().filter(|(name, _)| name == "location") {
        found.extend(value.split_once("code=").map(|(_, rest)| rest.split('&').next().unwrap_or_default().to_owned()));
    }
}

fn members(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| members(item, found)),
        Value::Object(map) => {
            for (name, member) in map {
                match member {
                    Value::String(text) if MEMBERS.contains(&name.as_str()) => drop(found.insert(text.clone())),
                    Value::Array(codes) if name == "codes" => found.extend(codes.iter().filter_map(Value::as_str).map(str::to_owned)),
                    // The secrets of applications and access tokens.
                    Value::String(text) if name == "value" && (text.starts_with("pat_") || map.contains_key("applicationId")) => {
                        found.insert(text.clone());
                    }
                    _ => members(member, found),
                }
            }
        }
        _ => {}
    }
}

/// The ways to write a secret.
fn written(secret: &str) -> Vec<String> {
    let json = Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let encoded = [STANDARD.encode(secret), STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
    let basic = ["m-canary", "m-canary1", "m-canary12"].map(|id| STANDARD.encode(format!("{id}:{secret}")));
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut all = vec![secret.to_owned(), json, form, utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()];
    all.extend(encoded);
    all.extend(basic);
    all
}

#[test]
fn no_secret_of_a_run_is_told_or_kept() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let faults = FAULTS.iter().map(|name| Fault::named(name).unwrap()).collect();
    let proxied = runtime.block_on(proxied_with(faults, SECRET, Duration::ZERO, |_| None));
    let folder = Folder::new("canaries");
    let target = proxied.target.endpoint.clone();
    let credentials = (proxied.reference.client_id.as_str(), SECRET);
    let header = format!("CF-Access-Client-Secret:{HEADER}");
    let at = |command: &[&str]| {
        let arguments = [command, &["--target", &target, "--header", &header]].concat();
        folder.end(folder.start(credentials, &arguments))
    };
    let reports = ["--report", "json:r.json", "--report", "junit:r.xml", "--report", "markdown:r.md", "--report", "plan:p.json"];
    let check =
        [&["check", "--mode", "exclusive", "--profile", "quick", "--only", "lap/*", "--channel", "webhook", "--out", "out"][..], &reports]
            .concat();
    let ended = at(&check);
    assert!([1, 6].contains(&ended), "exit {ended}:\n{}", folder.said());
    let kept = |end: &str| folder.files().into_iter().filter(|path| path.to_str().unwrap().ends_with(end)).collect::<Vec<_>>();
    let findings: Vec<_> = kept(".json").into_iter().filter(|path| path.parent().unwrap().ends_with("findings")).collect();
    assert!(!findings.is_empty() && !kept(".sh").is_empty(), "{}", folder.said());
    for finding in findings.iter().take(1) {
        assert!([1, 4].contains(&at(&["replay", finding.to_str().unwrap()])), "{}", folder.said());
    }
    for command in
        [&["doctor"][..], &["doctor", "--json"], &["check", "--mode", "read-only", "--profile", "quick"], &["restore", "out/ledger.jsonl"]]
    {
        assert!([0, 1, 4, 6].contains(&at(command)), "{command:?}:\n{}", folder.said());
    }
    // What is refused, and a proxy whose password is wrong, are told without secrets too.
    at(&["check", "--resource", "https://wrong.example.com"]);
    at(&["check", "--proxy", "http://user:canary-proxy-5e4d3c@127.0.0.1:9"]);
    let mut found = BTreeSet::from([SECRET.to_owned(), HEADER.to_owned(), "canary-proxy-5e4d3c".to_owned()]);
    let log = proxied.log.lock().unwrap();
    for (request, answer) in &log.exchanges {
        secrets(request, answer, &mut found);
    }
    let published = published();
    // What everybody may know: ids that name nothing, made-up credentials, and what is too short to be told from a word.
    found.retain(|secret| secret.len() >= 6 && secret.bytes().any(|byte| byte.is_ascii_digit()) && !known(secret, &published));
    assert!(found.len() > 300, "{}", found.len());
    // A recording of it all, judged offline.
    let recording = recording(&log.exchanges);
    let outside = Folder::new("canaries-recording");
    fs::write(outside.0.join("recording.har"), recording.to_string()).unwrap();
    let inspected = folder.end(folder.start(credentials, &["inspect", outside.0.join("recording.har").to_str().unwrap()]));
    assert!([0, 1, 4].contains(&inspected), "exit {inspected}:\n{}", folder.said());
    let mut hits = Vec::new();
    for path in folder.files() {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for secret in &found {
            if let Some(form) = written(secret).into_iter().find(|form| text.contains(form.as_str())) {
                hits.push(format!("{}: {form}", path.strip_prefix(&folder.0).unwrap().display()));
            }
        }
    }
    assert_eq!(hits, Vec::<String>::new(), "{} secrets in {} files", found.len(), folder.files().len());
}

/// Made-up values that stand in the contract or in every plan: whoever has the program has them.
fn known(secret: &str, published: &str) -> bool {
    published.contains(secret) || secret.contains("lc-") || secret.starts_with("never-")
}

fn published() -> String {
    let files = ["src/plan/twist.rs", "specs/account.openapi.yaml", "specs/management.openapi.yaml"];
    files.map(|file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()).join("\n")
}

fn recording(exchanges: &[(Request, Answer)]) -> Value {
    let headers = |headers: &[(String, String)]| -> Vec<Value> {
        headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let entries: Vec<Value> = exchanges
        .iter()
        .map(|(request, answer)| {
            json!({
                "startedDateTime": "2026-11-01T00:00:00.000Z",
                "request": {
                    "method": request.method, "url": format!("http://127.0.0.1:1{}", request.target), "headers": headers(&request.headers),
                    "postData": {"text": STANDARD.encode(&request.body), "encoding": "base64"},
                },
                "response": {
                    "status": answer.status, "headers": headers(&answer.headers),
                    "content": {"text": STANDARD.encode(&answer.body), "encoding": "base64"},
                },
            })
        })
        .collect();
    json!({"log": {"version": "1.2", "entries": entries}})
}
