//! Which phone numbers a deployment takes, and how it stores them.
//!
//! Logto hands `+` and the digits to `libphonenumber-js` and refuses only what that cannot take apart: an unknown
//! calling code, or a national number of fewer than 2 or more than 17 digits. Whether anybody could have the number is
//! not asked. What is stored is calling code + national number, without the national prefix (the leading zero in most
//! countries). The plans that decide on the prefix stand in `specs/phone-plans.txt`; a number whose plan has a rule
//! that is not written there is [`Phone::Unknown`].

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// What a deployment does with a phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phone {
    /// It takes the number and stores these digits.
    Valid(String),
    /// It refuses the number with `user.invalid_phone`.
    Invalid,
    /// How it stores the number is not known; nor, past 17 national digits, whether it takes it.
    Unknown,
}

/// Digits that a national number may have.
const NATIONAL_DIGITS: RangeInclusive<usize> = 2..=17;

/// Digits of the longest calling code.
const LONGEST_CALLING_CODE: usize = 3;

static PLANS: LazyLock<BTreeMap<&str, Plan<'static>>> = LazyLock::new(|| {
    let text = include_str!("../../../specs/phone-plans.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| plan(line).expect("every line of specs/phone-plans.txt is a plan (tested)")).collect()
});

/// Reads a phone number as sent in `primaryPhone` or `phone`: the calling code and the rest, digits only.
///
/// Whatever is not `^\d+$` is [`Phone::Invalid`] too; a deployment refuses it earlier, by the schema of the body
/// (400 `guard.invalid_input`).
pub fn parse(digits: &str) -> Phone {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Phone::Invalid;
    }
    // No calling code is the beginning of another one.
    let found = (1..=LONGEST_CALLING_CODE.min(digits.len())).find_map(|length| {
        let (code, national) = digits.split_at(length);
        Some((code, national, PLANS.get(code)?))
    });
    let Some((code, national, plan)) = found else { return Phone::Invalid };
    match plan.strip(national) {
        Some(national) if NATIONAL_DIGITS.contains(&national.len()) => Phone::Valid(format!("{code}{national}")),
        None if national.len() >= *NATIONAL_DIGITS.start() => Phone::Unknown,
        _ => Phone::Invalid,
    }
}

/// How the numbers of one calling code are built.
#[derive(Debug)]
struct Plan<'a> {
    prefixes: Vec<Prefix<'a>>,
    /// First digits of numbers that follow a rule which is not written down.
    unwritten: &'a str,
    lengths: Lengths,
}

/// A national prefix: what people dial at home before the number.
#[derive(Debug)]
struct Prefix<'a> {
    /// Digits, `x` for any.
    pattern: &'a str,
    /// Lengths of national numbers that begin with the same digits.
    ambiguous: Lengths,
}

impl Plan<'_> {
    /// The number without its national prefix; `None` when that is not known.
    fn strip<'n>(&self, national: &'n str) -> Option<&'n str> {
        if national.starts_with(|first| self.unwritten.contains(first)) {
            return None;
        }
        let Some(prefix) = self.prefixes.iter().find(|prefix| prefix.begins(national)) else { return Some(national) };
        let stripped = &national[prefix.pattern.len()..];
        // Too long is not held against what remains, only too short or a length in between.
        if stripped.len() <= self.lengths.longest() && !self.lengths.contains(stripped.len()) {
            return Some(national);
        }
        (!prefix.ambiguous.contains(national.len())).then_some(stripped)
    }
}

impl Prefix<'_> {
    fn begins(&self, national: &str) -> bool {
        let matches = |(expected, digit): (u8, u8)| expected == b'x' || expected == digit;
        national.len() >= self.pattern.len() && self.pattern.bytes().zip(national.bytes()).all(matches)
    }
}

/// Lengths, ascending.
#[derive(Debug, Default)]
struct Lengths(Vec<RangeInclusive<usize>>);

impl Lengths {
    fn contains(&self, length: usize) -> bool {
        self.0.iter().any(|range| range.contains(&length))
    }

    fn longest(&self) -> usize {
        self.0.last().map_or(0, |range| *range.end())
    }
}

fn plan(line: &str) -> Option<(&str, Plan<'_>)> {
    let mut words = line.split(' ');
    let (code, prefixes, lengths) = (words.next()?, words.next()?, words.next()?);
    let (prefixes, unwritten) = match (prefixes, prefixes.strip_prefix('?')) {
        ("-", _) => (Vec::new(), ""),
        (_, Some(first_digits)) => (Vec::new(), first_digits),
        _ => (prefixes.split('|').map(prefix).collect::<Option<_>>()?, ""),
    };
    Some((code, Plan { prefixes, unwritten, lengths: ranges(lengths)? }))
}

fn prefix(text: &str) -> Option<Prefix<'_>> {
    Some(match text.split_once('~') {
        Some((pattern, lengths)) => Prefix { pattern, ambiguous: ranges(lengths)? },
        None => Prefix { pattern: text, ambiguous: Lengths::default() },
    })
}

fn ranges(text: &str) -> Option<Lengths> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    text.split(',').map(range).collect::<Option<_>>().map(Lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(stored: &str) -> Phone {
        Phone::Valid(stored.to_owned())
    }

    #[test]
    fn the_plans_are_well_formed() {
        assert_eq!(PLANS.len(), 215);
        for (code, plan) in PLANS.iter() {
            assert!(code.len() <= LONGEST_CALLING_CODE && !code.starts_with('0'), "{code}");
            assert!((1..code.len()).all(|length| !PLANS.contains_key(&code[..length])), "{code} begins with another");
            assert!(plan.lengths.longest() > 0 && plan.lengths.0.is_sorted_by(|a, b| a.end() < b.start()), "{code}");
        }
    }

    #[test]
    fn the_national_prefix_is_dropped() {
        for (sent, stored) in [
            ("16502530000", "16502530000"),
            ("116502530000", "16502530000"),
            ("447911123456", "447911123456"),
            ("4407911123456", "447911123456"),
            ("61412345678", "61412345678"),
            ("610412345678", "61412345678"),
            ("390612345678", "390612345678"),
            ("393123456789", "393123456789"),
            ("8613012345678", "8613012345678"),
            ("86013012345678", "8613012345678"),
            ("8617912345678", "8617912345678"),
            ("861100013012345678", "8613012345678"),
            ("4915112345678", "4915112345678"),
            ("49015112345678", "4915112345678"),
        ] {
            assert_eq!(parse(sent), valid(stored), "{sent}");
        }
    }

    #[test]
    fn the_prefix_stays_where_too_little_would_remain() {
        assert_eq!(parse("440123456"), valid("440123456"));
        assert_eq!(parse("44012"), valid("44012"));
        assert_eq!(parse("1123"), valid("1123"));
        // More than a national number may have remains, which is no reason to keep it.
        assert_eq!(parse("440123456789012"), valid("44123456789012"));
    }

    #[test]
    fn only_the_calling_code_and_the_length_decide_on_validity() {
        for refused in [
            "",
            "1",
            "12",
            "0",
            "044123456",
            "999123456",
            "210123456",
            "44",
            "447",
            "+16502530000",
            "1 650",
            "٤٤1234567",
            "1234567890123456789",
        ] {
            assert_eq!(parse(refused), Phone::Invalid, "{refused}");
        }
        for taken in ["122", "4477", "123456789012345678", "15550000000", "3900"] {
            assert_eq!(parse(taken), valid(taken), "{taken}");
        }
        // The prefix goes first: 18 digits with it are 17 without.
        assert_eq!(parse("44012345678901234567"), valid("4412345678901234567"));
        assert_eq!(parse("440123456789012345678"), Phone::Invalid);
    }

    #[test]
    fn rules_that_are_not_written_down_are_unknown() {
        assert_eq!(parse("5511912345678"), valid("5511912345678"));
        assert_eq!(parse("55011912345678"), Phone::Unknown);
        assert_eq!(parse("81312345678"), valid("81312345678"));
        assert_eq!(parse("810312345678"), Phone::Unknown);
        assert_eq!(parse("810"), Phone::Invalid);
    }
}
