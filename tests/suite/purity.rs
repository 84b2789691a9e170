//! Arrows point one way: `contract`, `model`, `plan` and `check` know no clock, no network, no runtime, no environment, and
//! nothing of the parts that come after them.
//!
//! Two files may read files, because contracts and waivers lie in files: `contract/load.rs` and `check/waiver.rs`.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::fs;
use std::path::Path;

/// What only the parts that touch the world may name.
const WORLD: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "rustls",
    "indicatif",
    "futures_util",
    "std::env",
    "env::var",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "now_utc",
    "thread::sleep",
    "rand::rng",
    "rand::thread_rng",
    "SysRng",
    "sys_rng",
];

/// What only these files may name.
const FILES: &[&str] = &["std::fs", "File::open"];
const READERS: &[&str] = &["contract/load.rs", "check/waiver.rs"];

/// What only this file may name: who thinks, and when, does not change what is thought.
const THREADS: &str = "std::thread";
const THINKER: &str = "plan/parallel.rs";

/// Each pure part with the parts before it, which it may use.
const PARTS: &[(&str, &[&str])] = &[
    ("contract", &["contract"]),
    ("model", &["contract", "model"]),
    ("plan", &["contract", "model", "plan"]),
    ("check", &["contract", "model", "plan", "check"]),
];

const MODULES: &[&str] = &["contract", "model", "plan", "check", "engine", "target", "report", "reference", "cli", "trials", "snapshots"];

/// The code of a source file: without comments, the contents of its texts blanked, white space gone.
///
/// Texts are blanked because messages may say `engine`; white space goes so that `std :: env` is found as well.
fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_text(rest).filter(|_| !code.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
            code.push_str("\"\"");
            length
        } else if first == '"' {
            code.push_str("\"\"");
            quoted(rest)
        } else if let Some(length) = character(rest) {
            code.push_str("' '");
            length
        } else {
            // White space between two words is what keeps `use x` two words.
            if !first.is_whitespace() {
                code.push(first);
            } else if !code.ends_with(' ') {
                code.push(' ');
            }
            first.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code.replace(" ::", "::").replace(":: ", "::").replace("{ ", "{").replace(" }", "}").replace(" ,", ",")
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of a raw text (`r"…"`, `r#"…"#`, also as bytes) that begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a character such as `'"'` or `'\''` that begins here; lifetimes are none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let name = escape.chars().next()?;
        let after = name.len_utf8();
        return Some(2 + after + escape[after..].find('\'')? + 1);
    }
    let c = inner.chars().next()?;
    inner[c.len_utf8()..].starts_with('\'').then(|| 2 + c.len_utf8())
}

/// Whether `name` stands in `code` as a word of its own.
fn mentions(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word))
}

/// What a file of a pure part must not say, and says.
fn violations(part: &str, file: &str, source: &str) -> Vec<String> {
    let code = code(source);
    let (_, before) = PARTS.iter().find(|(name, _)| *name == part).expect("a pure part");
    let mut found: Vec<String> = WORLD.iter().filter(|name| mentions(&code, name)).map(|name| (*name).to_owned()).collect();
    if file == THINKER {
        found.retain(|name| name != THREADS);
    }
    if !READERS.contains(&file) {
        found.extend(FILES.iter().filter(|name| mentions(&code, name)).map(|name| (*name).to_owned()));
    }
    // `std::{env, fs}` names them without the path.
    for group in code.split("std::{").skip(1) {
        let group = group.split(';').next().unwrap_or(group);
        let forbidden = ["env", "net", "process", "thread"].into_iter().chain((!READERS.contains(&file)).then_some("fs"));
        found.extend(forbidden.filter(|name| mentions(group, name)).map(|name| format!("std::{{{name}}}")));
    }
    for module in MODULES.iter().filter(|module| !before.contains(module)) {
        let direct = format!("crate::{module}");
        let grouped = code.split("crate::{").skip(1).any(|group| mentions(group.split(';').next().unwrap_or(group), module));
        if mentions(&code, &direct) || grouped {
            found.push(direct);
        }
    }
    found
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            walk(&entry.path(), visit);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            visit(&entry.path());
        }
    }
}

#[test]
fn the_pure_parts_name_nothing_of_the_world_nor_of_later_parts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut complaints = Vec::new();
    let mut seen = 0;
    for (part, _) in PARTS.iter().filter(|(part, _)| root.join(part).is_dir()) {
        walk(&root.join(part), &mut |path| {
            seen += 1;
            let file = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let found = violations(part, &file, &fs::read_to_string(path).unwrap());
            if !found.is_empty() {
                complaints.push(format!("src/{file}: {}", found.join(", ")));
            }
        });
    }
    assert!(seen > 20, "only {seen} files were read");
    assert!(complaints.is_empty(), "these files are not pure:\n{}", complaints.join("\n"));
}

#[test]
fn the_scanner_finds_what_is_planted() {
    let planted = [
        "use tokio::time;",
        "fn f() { let now = std::time::Instant::now(); }",
        "use std :: env;",
        "use std::{collections::BTreeMap, env};",
        "use std::{\n    fmt,\n    net::IpAddr,\n};",
        "use crate::engine::har;",
        "use crate::{contract::Contract, report::Report};",
        "fn f(r: &crate::target::Gate) {}",
        "fn f() { std::process::abort() }",
        "let t = SystemTime::now();",
        "let quote = '\"'; use std::thread; let other = '\"';",
        "let raw = r#\"a \"quote\" \"#; use reqwest::Client;",
        "fn f<'a>(x: &'a str) { rand::rng(); }",
        "std::fs::read(\"x\");",
    ];
    for source in planted {
        assert!(!violations("model", "model/planted.rs", source).is_empty(), "not found: {source}");
    }
    assert_eq!(violations("contract", "contract/x.rs", "use crate::model::State;"), ["crate::model"]);
    assert_eq!(violations("check", "check/x.rs", "use crate::model::State;"), Vec::<String>::new());
}

#[test]
fn the_scanner_lets_pass_what_is_only_said() {
    let harmless = [
        "// tokio\nfn f() {}",
        "/* use std::env; /* nested reqwest */ still */ fn f() {}",
        "/// As [`crate::engine`] does.\nfn f() {}",
        "let text = \"no \\\" tokio, crate::report\";",
        "let raw = r#\"use std::env\"#;",
        "let instant_ms = 3; let tokio_like = 4;",
        "use crate::contract::Contract; use super::state::State;",
    ];
    for source in harmless {
        assert_eq!(violations("model", "model/harmless.rs", source), Vec::<String>::new(), "{source}");
    }
    for reader in READERS {
        let part = reader.split('/').next().unwrap();
        assert_eq!(violations(part, reader, "std::fs::read_to_string(path)"), Vec::<String>::new());
    }
}
