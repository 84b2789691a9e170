//! Codes of authenticator apps (RFC 6238: SHA-1, 30 seconds, six digits) and the secrets they come from.

use ring::hmac;

use super::state::Truth;

/// Seconds one code stands for.
const STEP: i64 = 30;
/// Codes of this many steps before and after now are accepted.
const WINDOW: i64 = 1;
/// Characters a secret may have, padding included.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=32;

/// Whether a text can be a shared secret: 16 to 32 characters of base32 in capitals, in whole groups of eight.
pub fn is_secret(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padded = matches!((digits.len() % 8, text.len() - digits.len()), (0, 0) | (2, 6) | (4, 4) | (5, 3) | (7, 1));
    SECRET_CHARS.contains(&text.len()) && padded && digits.bytes().all(|byte| digit(byte).is_some())
}

/// Whether a code proves a secret at a moment (milliseconds since 1970). One step outside the window it cannot be told:
/// clocks differ and requests travel.
pub fn proves(secret: &str, code: &str, now: i64) -> Truth {
    let step = now.div_euclid(STEP * 1000);
    let near = |distance: i64| [-distance, distance].iter().any(|offset| at(secret, step + offset).as_deref() == Some(code));
    match (0..=WINDOW + 1).find(|&distance| near(distance)) {
        // The neighbours are accepted whichever way the clock is off; the code of now is good a step earlier or later, too.
        Some(distance) if distance < WINDOW => Truth::Yes,
        Some(WINDOW) if !at_edge(now) => Truth::Yes,
        Some(_) => Truth::Near,
        None => Truth::No,
    }
}

/// The steps around a moment (milliseconds since 1970) that a code stands for, as far as it is accepted then.
pub fn steps(secret: &str, code: &str, now: i64) -> impl Iterator<Item = i64> {
    let step = now.div_euclid(STEP * 1000);
    (step - WINDOW..=step + WINDOW).filter(move |step| at(secret, *step).as_deref() == Some(code))
}

/// Whether a step ends or begins within these few seconds.
const fn at_edge(now: i64) -> bool {
    let within = now.rem_euclid(STEP * 1000);
    within < 3000 || within > STEP * 1000 - 3000
}

/// The code of a secret at a moment (milliseconds since 1970); none when the secret cannot be read.
pub fn code(secret: &str, now: i64) -> Option<String> {
    at(secret, now.div_euclid(STEP * 1000))
}

/// The code of a step; none when the secret cannot be read.
fn at(secret: &str, step: i64) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &decode(secret)?);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let digest = tag.as_ref();
    let offset = usize::from(digest.last()? & 0x0f);
    let word: [u8; 4] = digest.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000))
}

/// The bytes of a base32 text; bits that fill no byte are dropped.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        bits = (bits << 5 | u32::from(digit(byte)?)) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Value of a base32 digit.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secret of the test vectors of RFC 6238.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_standard() {
        for (second, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(proves(SECRET, code, second * 1000), Truth::Yes, "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_before_and_after() {
        let middle = 45_000;
        assert_eq!(proves(SECRET, "287082", middle), Truth::Yes);
        assert_eq!(proves(SECRET, "287082", middle + 30_000), Truth::Yes);
        assert_eq!(proves(SECRET, "287082", middle + 60_000), Truth::Near);
        assert_eq!(proves(SECRET, "287082", middle + 90_000), Truth::No);
        assert_eq!(proves(SECRET, "287082", middle - 30_000), Truth::Yes);
        assert_eq!(proves(SECRET, "", middle), Truth::No);
    }

    #[test]
    fn secrets_are_whole_groups_of_base32() {
        for good in ["JBSWY3DPEHPK3PXP", SECRET, "AAAAAAAAAAAAAAAAAA======", "AAAAAAAAAAAAAAAAAAAAAAA="] {
            assert!(is_secret(good), "{good}");
        }
        for bad in ["", "short", "AAAAAAAA", "AAAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaa", "1111111111111111", "AAAAAAAAAAAAAAAA\n"] {
            assert!(!is_secret(bad), "{bad}");
        }
        assert!(!is_secret(&"A".repeat(40)));
    }

    #[test]
    fn near_the_edge_of_a_step_its_neighbours_cannot_be_told() {
        use Truth::{Near, No, Yes};
        for (within, neighbours) in [(0, Near), (2999, Near), (3000, Yes), (15_000, Yes), (27_000, Yes), (27_001, Near), (29_999, Near)] {
            let now = 1_800_000_000_000 + within;
            for (steps, expected) in [(-3, No), (-2, Near), (-1, neighbours), (0, Yes), (1, neighbours), (2, Near), (3, No)] {
                let other = code(SECRET, now + steps * STEP * 1000).unwrap();
                assert_eq!(proves(SECRET, &other, now), expected, "{within} {steps}");
            }
        }
    }

    #[test]
    fn a_code_stands_for_its_own_step_if_that_is_now_or_next_to_it() {
        let now = 1_800_000_000_000;
        for (steps_away, stands) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let step = now / 30_000 + steps_away;
            let code = code(SECRET, step * 30_000).unwrap();
            let found: Vec<i64> = steps(SECRET, &code, now).collect();
            assert_eq!(found, if stands { vec![step] } else { vec![] }, "{steps_away}");
        }
    }
}
