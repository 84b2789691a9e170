//! What an authenticator says when a passkey is registered or used (`WebAuthn` Level 2, 7.1 and 7.2), as far as a server looks
//! at it.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use super::state::Truth;

/// Flag of the authenticator data: somebody was there.
const USER_PRESENT: u8 = 0x01;
/// Flag: that somebody was the user.
const USER_VERIFIED: u8 = 0x04;
/// Flag: a new credential is included.
const CREDENTIAL_INCLUDED: u8 = 0x40;
/// Where the flags are: after the digest of the relying party.
const FLAGS_AT: usize = 32;
/// Deeper structures are not read.
const MOST_DEPTH: usize = 8;

/// Base64 of either alphabet's URL form, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Whether a proof answers the registration with this challenge (`None`: not known), from an origin for which `admits`
/// holds. Attestations other than `none` cannot be judged here.
pub fn proves(proof: &Value, challenge: Option<&str>, admits: impl Fn(&str) -> Truth) -> Truth {
    let Some(client) = client_data(proof) else { return Truth::No };
    let text = |name: &str| client.get(name).and_then(Value::as_str);
    if proof.get("id") != proof.get("rawId") || text("type") != Some("webauthn.create") {
        return Truth::No;
    }
    let answers = Truth::maybe(challenge.map(|challenge| text("challenge") == Some(challenge)));
    answers.and(text("origin").map_or(Truth::No, admits)).and(attested(proof))
}

/// A part of an authenticator's answer.
pub fn decoded(proof: &Value, name: &str) -> Option<Vec<u8>> {
    BASE64.decode(proof.get("response")?.get(name)?.as_str()?).ok()
}

/// What the browser says that it was asked, and where.
pub fn client_data(proof: &Value) -> Option<Value> {
    serde_json::from_slice(&decoded(proof, "clientDataJSON")?).ok()
}

/// The authenticator data within an attestation in base64.
pub fn authenticator_data(attestation: &str) -> Option<Vec<u8>> {
    let (Item::Map(members), _) = read(&BASE64.decode(attestation).ok()?, MOST_DEPTH)? else { return None };
    match member(&members, "authData") {
        Some(Item::Bytes(data)) => Some(data.clone()),
        _ => None,
    }
}

fn member<'a>(members: &'a [(Item, Item)], name: &str) -> Option<&'a Item> {
    members.iter().find(|(key, _)| matches!(key, Item::Text(key) if key == name)).map(|(_, value)| value)
}

/// Whether the attestation says that the user was there, was verified, and has a new credential.
fn attested(proof: &Value) -> Truth {
    let Some((Item::Map(members), _)) = decoded(proof, "attestationObject").as_deref().and_then(|bytes| read(bytes, MOST_DEPTH)) else {
        return Truth::No;
    };
    let Some(Item::Bytes(data)) = member(&members, "authData") else { return Truth::No };
    let wanted = USER_PRESENT | USER_VERIFIED | CREDENTIAL_INCLUDED;
    if data.get(FLAGS_AT).is_none_or(|flags| flags & wanted != wanted) {
        return Truth::No;
    }
    match (member(&members, "fmt"), member(&members, "attStmt")) {
        (Some(Item::Text(format)), Some(Item::Map(statement))) if format == "none" => Truth::of(statement.is_empty()),
        _ => Truth::Unknown,
    }
}

/// What of CBOR (RFC 8949) an attestation is made of.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
    Other(u64),
}

/// Reads one item; gives the rest as well.
fn read(bytes: &[u8], depth: usize) -> Option<(Item, &[u8])> {
    let depth = depth.checked_sub(1)?;
    let (&first, rest) = bytes.split_first()?;
    let (argument, mut rest) = argument(first & 0x1f, rest)?;
    let length = usize::try_from(argument).ok()?;
    let item = match first >> 5 {
        kind @ (2 | 3) => {
            let (content, after) = (rest.get(..length)?, rest.get(length..)?);
            rest = after;
            if kind == 2 { Item::Bytes(content.to_vec()) } else { Item::Text(String::from_utf8(content.to_vec()).ok()?) }
        }
        4 => {
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(next(&mut rest, depth)?);
            }
            Item::List(items)
        }
        5 => {
            let mut members = Vec::new();
            for _ in 0..length {
                members.push((next(&mut rest, depth)?, next(&mut rest, depth)?));
            }
            Item::Map(members)
        }
        6 => next(&mut rest, depth)?,
        _ => Item::Other(argument),
    };
    Some((item, rest))
}

/// Reads one item and moves on.
fn next(rest: &mut &[u8], depth: usize) -> Option<Item> {
    let (item, after) = read(rest, depth)?;
    *rest = after;
    Some(item)
}

/// The number in the head of an item: in the head itself or in the 1, 2, 4 or 8 bytes after it.
fn argument(head: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let bytes = match head {
        0..=23 => return Some((u64::from(head), rest)),
        24..=27 => 1_usize << (head - 24),
        _ => return None,
    };
    let number = rest.get(..bytes)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    Some((number, rest.get(bytes..)?))
}

/// What a page at an origin answers to a registration with this challenge, after the user was there, verified or not.
pub fn answer(challenge: &str, origin: &str, verified: bool) -> Value {
    let flags = USER_PRESENT | CREDENTIAL_INCLUDED | if verified { USER_VERIFIED } else { 0 };
    response("webauthn.create", challenge, origin, flags)
}

fn response(kind: &str, challenge: &str, origin: &str, flags: u8) -> Value {
    let client = json!({"type": kind, "challenge": challenge, "origin": origin});
    let response = json!({"clientDataJSON": BASE64.encode(client.to_string()), "attestationObject": attestation(flags)});
    json!({"type": "WebAuthn", "id": "bGM", "rawId": "bGM", "response": response, "clientExtensionResults": {}})
}

/// An attestation `none` whose authenticator data has these flags.
fn attestation(flags: u8) -> String {
    let mut data = vec![0; FLAGS_AT];
    data.push(flags);
    let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
    BASE64.encode([b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[length], &data].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(kind: &str, challenge: &str, flags: u8) -> Value {
        response(kind, challenge, "https://own.example", flags)
    }

    #[test]
    fn only_the_answer_to_the_challenge_by_a_verified_user_proves() {
        let own = |origin: &str| Truth::of(origin == "https://own.example");
        let all = USER_PRESENT | USER_VERIFIED | CREDENTIAL_INCLUDED;
        assert_eq!(proves(&proof("webauthn.create", "c", all), Some("c"), own), Truth::Yes);
        assert_eq!(proves(&proof("webauthn.create", "c", all), None, own), Truth::Unknown);
        assert_eq!(proves(&proof("webauthn.get", "c", all), Some("c"), own), Truth::No);
        assert_eq!(proves(&proof("webauthn.create", "d", all), Some("c"), own), Truth::No);
        assert_eq!(proves(&proof("webauthn.create", "c", all ^ USER_VERIFIED), Some("c"), own), Truth::No);
        assert_eq!(proves(&proof("webauthn.create", "c", all), Some("c"), |_| Truth::No), Truth::No);
        assert_eq!(proves(&json!({"id": "a", "rawId": "a", "response": {"clientDataJSON": "e30"}}), Some("c"), own), Truth::No);
        assert_eq!(proves(&json!({}), Some("c"), own), Truth::No);
    }

    #[test]
    fn an_attestation_is_judged_only_where_there_is_nothing_to_attest() {
        let none: &[u8] = b"\x64none";
        let packed: &[u8] = b"\x66packed";
        // Statements: {}, {"a": 0}, {"x5c": [one certificate]}.
        let table: [(&[u8], &[u8], Truth); 5] = [
            (none, b"\xa0", Truth::Yes),
            (none, b"\xa1\x61a\x00", Truth::No),
            (packed, b"\xa0", Truth::Unknown),
            (packed, b"\xa1\x61a\x00", Truth::Unknown),
            (packed, b"\xa1\x63x5c\x81\x41\x00", Truth::Unknown),
        ];
        let mut data = vec![0; FLAGS_AT];
        data.push(USER_PRESENT | USER_VERIFIED | CREDENTIAL_INCLUDED);
        for (format, statement, expected) in table {
            let object = [b"\xa3\x63fmt".as_slice(), format, b"\x67attStmt", statement, b"\x68authData\x58\x21", &data].concat();
            let proof = json!({"response": {"attestationObject": BASE64.encode(object)}});
            assert_eq!(attested(&proof), expected, "{format:x?} {statement:x?}");
        }
    }

    /// Examples of RFC 8949, appendix A.
    #[test]
    fn items_are_read_as_the_standard_writes_them() {
        let bytes = Item::Bytes(vec![1, 2, 3, 4]);
        let number = Item::Other;
        let table: [(&[u8], Item); 11] = [
            (b"\x17", number(23)),
            (b"\x18\x18", number(24)),
            (b"\x19\x03\xe8", number(1000)),
            (b"\x1a\x00\x0f\x42\x40", number(1_000_000)),
            (b"\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00", number(1_000_000_000_000)),
            (b"\x44\x01\x02\x03\x04", bytes.clone()),
            (b"\x64IETF", Item::Text("IETF".into())),
            (b"\x83\x01\x02\x03", Item::List(vec![number(1), number(2), number(3)])),
            (b"\xa2\x01\x02\x03\x04", Item::Map(vec![(number(1), number(2)), (number(3), number(4))])),
            // What is tagged is read as if it were not.
            (b"\xc1\x1a\x51\x4b\x67\xb0", number(1_363_896_240)),
            (b"\xd7\x44\x01\x02\x03\x04", bytes),
        ];
        for (written, item) in table {
            assert_eq!(read(&written[..written.len() - 1], MOST_DEPTH), None, "{written:x?} cut");
            assert_eq!(read(written, MOST_DEPTH), Some((item, b"".as_slice())), "{written:x?}");
        }
    }
}
