//! A finding as a shell script: the same requests with `curl`, for whoever does not have this program at hand.
//!
//! Symbols become shell variables. The script makes what the harness makes for itself (tokens, an application), and removes
//! everything again. It holds no secret: credentials come from the environment, passwords are drawn when it runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::document::Finding;
use super::line::printable;
use crate::contract::Contract;
use crate::plan::{Action, Call, Plan, Step, symbols, undigested};

/// What every script starts with: credentials, sending, reading answers, clean-up.
const PROLOGUE: &str = include_str!("curl/prologue.sh");

/// Makes the first-party application of the harness.
const APPLICATION: &str = include_str!("curl/application.sh");

/// Brings settings about and puts them back at the end.
const SETTINGS: &str = include_str!("curl/settings.sh");

/// The script of a finding. `None` if its sequence holds what is no single request, such as a sign-in through pages.
pub fn script(contract: &Contract, finding: &Finding, plan: &Plan) -> Option<String> {
    let (epoch, sequence) = plan.epochs.iter().find_map(|epoch| Some((epoch, epoch.sequences.first()?)))?;
    let calls: Vec<(&Step, &Call)> = sequence
        .steps
        .iter()
        .map(|step| if let Action::Call(call) = &step.action { Some((&**step, call)) } else { None })
        .collect::<Option<_>>()?;
    let used: BTreeSet<&str> = sequence.steps.iter().flat_map(|step| step.needs()).map(undigested).collect();
    if used.iter().any(|symbol| symbol.starts_with("third.")) {
        return None;
    }
    let mut text = String::from("#!/bin/sh\n");
    for line in [
        &format!("{}: {} {}", finding.id, finding.requirements.join(" "), finding.operations.join(" ")),
        &format!("expected: {}", finding.expected),
        &format!("actual:   {}", finding.actual),
    ] {
        let _ = writeln!(text, "# {}", printable(line));
    }
    text.push_str(PROLOGUE);
    text.push_str("\n# --- what the requests need\nrun=sh$(date +%s)\ntag=$$\nadmin_token=$(token all)\n");
    if used.contains("machine.token") {
        text.push_str("machine_token=$(token '')\n");
    }
    for symbol in used.iter().filter(|symbol| symbol.starts_with("password#")) {
        let _ = writeln!(text, "{}=$(new_password)", variable(symbol));
    }
    for symbol in used.iter().filter(|symbol| symbol.starts_with("phone#")) {
        let number = symbol.split_once('#').and_then(|(_, number)| number.parse::<u32>().ok()).unwrap_or_default();
        let _ = writeln!(text, "{}=1$((201 + $$ % 700))55501{:02}", variable(symbol), number % 100);
    }
    for symbol in used.iter().filter(|symbol| symbol.starts_with("surrogate#")) {
        let unit = symbol.split_once('#').map_or("", |(_, unit)| unit);
        let _ = writeln!(text, "{}='\\u{unit}'", variable(symbol));
    }
    for symbol in used.iter().filter(|symbol| symbol.starts_with("padding#")) {
        let letters = symbol.split_once('#').and_then(|(_, letters)| letters.parse::<usize>().ok()).unwrap_or_default();
        let _ = writeln!(text, "{}=$(head -c {letters} /dev/zero | tr '\\0' x)", variable(symbol));
    }
    if used.iter().any(|symbol| symbol.starts_with("first.")) {
        text.push_str(APPLICATION);
    }
    if let Some(settings) = &epoch.settings {
        text.push_str(SETTINGS);
        let _ = writeln!(text, "settings /api/account-center {}", quoted(&settings.patch().to_string()));
        if let Some(mfa) = settings.mfa() {
            let _ = writeln!(text, "settings /api/sign-in-exp {}", quoted(&serde_json::json!({"mfa": mfa}).to_string()));
        }
    }
    text.push_str("\n# --- the requests\n");
    for (place, (step, call)) in calls.iter().enumerate() {
        write_call(&mut text, contract, step, call, place + 1 == calls.len());
    }
    let _ = writeln!(text, "finish {}", quoted(&printable(&format!("expected {}, got {}", finding.expected, finding.actual))));
    Some(text)
}

/// One request, and what is kept of its answer.
fn write_call(text: &mut String, contract: &Contract, step: &Step, call: &Call, last: bool) {
    let expected = step.expect.as_deref().unwrap_or("any");
    if last {
        text.push_str("# the deviation\n");
    }
    let body = match (&call.body, &call.body_base64) {
        (Some(body), _) => format!("body {}", quoted(&with_passwords(body))),
        (None, Some(raw)) => format!("printf '{}' >\"$work/body\"", octal(&STANDARD.decode(raw).unwrap_or_default())),
        (None, None) => "body ''".to_owned(),
    };
    let _ = write!(text, "{body}\nsend {} {} {}", quoted(expected), quoted(&call.method), quoted(&call.target));
    for (name, value) in &call.headers {
        match value.strip_prefix("Basic {{").and_then(|rest| rest.strip_suffix("}}")).and_then(basic) {
            Some(user) if name == "authorization" => _ = write!(text, " \\\n  -u {user}"),
            _ => _ = write!(text, " \\\n  -H {}", quoted(&format!("{name}: {value}"))),
        }
    }
    text.push('\n');
    for (symbol, pointer) in &step.capture {
        let _ = writeln!(text, "{}=$(member {})", variable(symbol), quoted(last_name(pointer)));
    }
    let undo = call.operation.as_deref().and_then(|id| contract.operation(id)).and_then(|operation| operation.harm.undo.as_deref());
    if let Some((path, name)) = undo.and_then(|undo| undo.strip_suffix('}')?.rsplit_once('{')) {
        let _ = writeln!(text, "made {path} {name}");
    }
}

/// A body with passwords in place of their digests, which a shell cannot compute.
fn with_passwords(body: &str) -> String {
    let Ok(Value::Object(mut object)) = serde_json::from_str(body) else { return body.to_owned() };
    let digest = object.get("passwordDigest").and_then(Value::as_str).and_then(|digest| digest.strip_suffix(".digest}}"));
    let Some(password) = digest.map(|password| format!("{password}}}}}")) else { return body.to_owned() };
    object.shift_remove("passwordDigest");
    object.shift_remove("passwordAlgorithm");
    object.insert("password".to_owned(), password.into());
    Value::Object(object).to_string()
}

/// The credentials that `-u` takes for a `Basic` header made of a symbol.
fn basic(symbol: &str) -> Option<String> {
    let (client, kind) = symbol.split_once('.')?;
    match kind {
        "basic" => Some(format!("\"${client}_id:${client}_secret\"")),
        "wrong" => Some(format!("\"${client}_id:lc-wrong-secret\"")),
        _ => None,
    }
}

fn variable(symbol: &str) -> String {
    symbol.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

fn last_name(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}

/// A word of the shell: literally what the text says, with the variables of its symbols.
fn quoted(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter)) {
        return text.to_owned();
    }
    let mut word = String::new();
    let mut rest = text;
    let literal = |word: &mut String, part: &str| {
        if !part.is_empty() {
            let _ = write!(word, "'{}'", part.replace('\'', r"'\''"));
        }
    };
    while let Some(symbol) = symbols(rest).next() {
        let mark = format!("{{{{{symbol}}}}}");
        let (before, after) = rest.split_once(&mark).unwrap_or((rest, ""));
        literal(&mut word, before);
        let _ = write!(word, "\"${{{}}}\"", variable(symbol));
        rest = after;
    }
    literal(&mut word, rest);
    if word.is_empty() { "''".to_owned() } else { word }
}

/// Bytes as `printf` writes them.
fn octal(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" {}[]\":,._-/".contains(&byte);
    bytes.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("\\{byte:03o}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_literal_but_for_their_symbols() {
        assert_eq!(quoted("/api/users"), "/api/users");
        assert_eq!(quoted("lc_{{run}}_{{user#1.id}}'s $x"), r#"'lc_'"${run}"'_'"${user_1_id}"''\''s $x'"#);
        assert_eq!(quoted("{{user#1.id}}"), r#""${user_1_id}""#);
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_user_is_made_with_the_password_where_the_plan_has_its_digest() {
        let planned = r#"{"username":"a","passwordDigest":"{{password#1.digest}}","passwordAlgorithm":"Argon2i","name":"b"}"#;
        assert_eq!(with_passwords(planned), r#"{"username":"a","name":"b","password":"{{password#1}}"}"#);
        for other in [r#"{"passwordDigest": "0cc1", "passwordAlgorithm": "MD5"}"#, r#"{ "password": "{{password#1}}" }"#, "a=b"] {
            assert_eq!(with_passwords(other), other);
        }
    }

    #[test]
    fn bytes_survive_printf() {
        assert_eq!(octal(b"{\"a\": 1}\n\0\xff%\\'"), r#"{"a": 1}\012\000\377\045\134\047"#);
    }

    #[test]
    fn a_basic_header_is_made_by_curl() {
        assert_eq!(basic("first.basic").unwrap(), r#""$first_id:$first_secret""#);
        assert_eq!(basic("admin.wrong").unwrap(), r#""$admin_id:lc-wrong-secret""#);
        assert_eq!(basic("token#3"), None);
    }
}
