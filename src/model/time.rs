//! Times as the APIs write them.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 of a number (taken as it is) or an ISO 8601 text.
pub fn millis(value: &Value) -> Option<i64> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "times in milliseconds are far below 2^53")]
        Value::Number(number) => number.as_f64().map(|number| number as i64),
        Value::String(text) => {
            let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
            i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
        }
        _ => None,
    }
}

/// An ISO 8601 text in UTC with milliseconds.
pub fn iso(millis: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (moment.date(), moment.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}

/// A time this many seconds later, in milliseconds; the last one that can be said when it is too far.
pub fn after(now: i64, seconds: u64) -> i64 {
    i64::try_from(seconds).ok().and_then(|seconds| now.checked_add(seconds.checked_mul(1000)?)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_texts_and_milliseconds_agree() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2026-11-22T08:12:50.299Z", 1_795_335_170_299),
            ("2024-02-29T23:59:59.001Z", 1_709_251_199_001),
        ] {
            assert_eq!(millis(&Value::String(text.into())), Some(expected));
            assert_eq!(iso(expected), text);
        }
        assert_eq!(millis(&Value::String("soon".into())), None);
    }
}
