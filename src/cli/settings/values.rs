//! The values of settings, each with its one parser.

use crate::plan::Profile;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::contract::{Version, nearest};

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::target::MASK)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

pub fn profile(text: &str) -> Result<Profile, String> {
    let known = [Profile::Quick, Profile::Standard, Profile::Deep];
    known.into_iter().find(|profile| profile.to_string() == text).ok_or_else(|| "write quick, standard or deep".to_owned())
}

pub(super) fn version(text: &str) -> Result<Version, String> {
    let version: Version = text.parse()?;
    if Version::KNOWN.contains(&version) {
        return Ok(version);
    }
    let known: Vec<String> = Version::KNOWN.iter().map(ToString::to_string).collect();
    Err(format!("the contract describes {}", known.join(" and ")))
}

pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("write an http or https URL, for example https://logto.example.com".to_owned()),
    }
}

pub(super) fn proxy(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("write the proxy's http or https URL, for example http://proxy.example.com:3128".to_owned()),
    }
}

pub(super) fn jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|jobs| *jobs > 0).ok_or_else(|| "write a number from 1 up".to_owned())
}

/// A time with its unit: `500ms`, `60s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    let time = match (number, &text[digits.len()..]) {
        (Some(number), "ms") => Some(Duration::from_millis(number)),
        (Some(number), "s") => Some(Duration::from_secs(number)),
        (Some(number), "m") => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    };
    time.ok_or_else(|| "write a number with its unit: 500ms, 60s or 2m".to_owned())
}

/// Requests per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Option<f64> = text.strip_suffix("/s").unwrap_or(text).parse().ok();
        number
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .map(Self)
            .ok_or_else(|| "write requests per second, for example 50/s".to_owned())
    }
}

/// Where an identity provider listens, and the address it has for the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAddress {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Its address for the target, if that is another one.
    pub public: Option<String>,
}

impl ProviderAddress {
    /// A free port of the loopback interface.
    pub fn local() -> Self {
        Self { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), public: None }
    }
}

impl FromStr for ProviderAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bind, public) = text.split_once('=').map_or((text, None), |(bind, url)| (bind, Some(url)));
        let bind = bind.parse().map_err(|_| format!("`{bind}` is no address to listen on: write for example 127.0.0.1:8080"))?;
        if let Some(url) = public
            && Url::parse(url).ok().is_none_or(|url| !matches!(url.scheme(), "http" | "https"))
        {
            return Err(format!("`{url}` is no address: write for example 127.0.0.1:8080=http://idp.example.com"));
        }
        Ok(Self { bind, public: public.map(|url| url.trim_end_matches('/').to_owned()) })
    }
}

/// How much a run may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// This long.
    Time(Duration),
    /// This many requests.
    Requests(u64),
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let budget = match text.strip_suffix("req") {
            Some(number) => number.parse().ok().map(Self::Requests),
            None => duration(text).ok().map(Self::Time),
        };
        budget.ok_or_else(|| "write a time such as 60s, or a number of requests such as 5000req".to_owned())
    }
}

/// A header sent with every request; its value is taken for a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

impl fmt::Debug for ExtraHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, crate::target::MASK)
    }
}

impl FromStr for ExtraHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        match text.split_once(':') {
            Some((name, value)) if is_token(name) => Ok(Self { name: name.to_owned(), value: value.trim().to_owned() }),
            _ => Err("write NAME:VALUE".to_owned()),
        }
    }
}

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// The stable, machine-readable form.
    Json,
    /// For a CI server.
    Junit,
    /// For a step summary.
    Markdown,
    /// One page for a browser.
    Html,
    /// The whole plan.
    Plan,
    /// What went over the wire.
    Har,
}

impl Format {
    const NAMES: [(&'static str, Self); 6] = [
        ("json", Self::Json),
        ("junit", Self::Junit),
        ("markdown", Self::Markdown),
        ("html", Self::Html),
        ("plan", Self::Plan),
        ("har", Self::Har),
    ];
}

/// A report that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTarget {
    /// Its format.
    pub format: Format,
    /// Where to write it; into the run's folder when absent.
    pub path: Option<PathBuf>,
}

impl FromStr for ReportTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once(':').map_or((text, None), |(name, path)| (name, Some(path)));
        if path.is_some_and(str::is_empty) {
            return Err(format!("`{text}` names no file after the colon"));
        }
        match Format::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, format)) => Ok(Self { format: *format, path: path.map(PathBuf::from) }),
            None => Err(format!("`{name}` is no format; {}", nearest(name, Format::NAMES.iter().map(|(known, _)| *known)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rates_and_budgets_carry_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["", "5", "s", "-1s", "1h", "1.5s", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!("5000req".parse(), Ok(Budget::Requests(5000)));
        assert_eq!("60s".parse(), Ok(Budget::Time(Duration::from_secs(60))));
        assert!("60".parse::<Budget>().is_err());
        assert_eq!("0.5/s".parse(), Ok(Rate(0.5)));
        for wrong in ["0/s", "NaN/s", "inf", "-1/s", "fast"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn report_formats_are_known() {
        assert_eq!("junit:a:b.xml".parse(), Ok(ReportTarget { format: Format::Junit, path: Some("a:b.xml".into()) }));
        assert_eq!("plan".parse(), Ok(ReportTarget { format: Format::Plan, path: None }));
        let error = |text: &str| text.parse::<ReportTarget>().unwrap_err();
        assert_eq!("har:x".parse(), Ok(ReportTarget { format: Format::Har, path: Some("x".into()) }));
        assert_eq!(error("jsn:x"), "`jsn` is no format; did you mean `json`?");
        assert_eq!(error("json:"), "`json:` names no file after the colon");
    }

    #[test]
    fn endpoints_headers_and_versions_are_checked_at_the_door() {
        assert!(endpoint("logto.example.com").is_err() && endpoint("ftp://x").is_err() && endpoint("https://x/prefix").is_ok());
        assert_eq!("X-Key: a:b".parse(), Ok(ExtraHeader { name: "X-Key".into(), value: "a:b".into() }));
        assert!("no colon".parse::<ExtraHeader>().is_err() && "a b:c".parse::<ExtraHeader>().is_err());
        assert_eq!(version("1.41"), Err("the contract describes 1.42 and 1.43".into()));
    }
}
