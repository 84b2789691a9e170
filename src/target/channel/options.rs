//! Which channel to open, as it is written in `--channel KIND[:DETAIL]`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::super::secret::{MASK, SecretRegister};
use crate::contract::nearest;

/// Where Logto's mock connectors write, unless they are told otherwise.
const MOCK_DIR: &str = "/tmp/logto";

const KINDS: [&str; 5] = ["webhook", "smtp", "mailpit", "file", "command"];

/// Everything that opening a channel needs.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// Which one.
    pub kind: ChannelKind,
    /// Gets every code and password of the channel.
    pub secrets: SecretRegister,
}

/// One kind of channel with its details.
#[derive(Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// An HTTP listener of ours behind Logto's HTTP connectors for mail and text messages.
    Webhook {
        /// Where to listen; port 0 takes a free one.
        bind: SocketAddr,
        /// The address the deployment posts to, if it is another one.
        public: Option<Url>,
    },
    /// An SMTP sink of ours behind Logto's SMTP connector.
    Smtp {
        /// Where to listen; port 0 takes a free one.
        bind: SocketAddr,
        /// Host and port the deployment sends to, if they are others.
        public: Option<(String, u16)>,
    },
    /// A Mailpit that stands behind the deployment.
    Mailpit {
        /// Its base URL; user and password may stand in it.
        url: Url,
    },
    /// The files that Logto's mock connectors write.
    File {
        /// The folder they lie in.
        dir: PathBuf,
    },
    /// A program that prints the code.
    Command {
        /// The program.
        program: PathBuf,
    },
}

impl ChannelKind {
    /// A webhook on a free port of the loopback interface.
    pub fn local_webhook() -> Self {
        Self::Webhook { bind: LOCAL, public: None }
    }

    /// Whether connectors of ours must stand on the deployment for it.
    pub fn needs_connectors(&self) -> bool {
        matches!(self, Self::Webhook { .. } | Self::Smtp { .. })
    }
}

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { bind, public: None } => write!(f, "webhook:{bind}"),
            Self::Webhook { bind, public: Some(url) } => write!(f, "webhook:{bind}={url}"),
            Self::Smtp { bind, public: None } => write!(f, "smtp:{bind}"),
            Self::Smtp { bind, public: Some((host, port)) } => write!(f, "smtp:{bind}={host}:{port}"),
            Self::Mailpit { url } => {
                let mut shown = url.clone();
                if url.password().is_some() {
                    // Fails only for URLs without host, which are refused.
                    let _ = shown.set_password(Some(MASK));
                }
                write!(f, "mailpit:{shown}")
            }
            Self::File { dir } => write!(f, "file:{}", dir.display()),
            Self::Command { program } => write!(f, "command:{}", program.display()),
        }
    }
}

impl fmt::Debug for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChannelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, detail) = text.split_once(':').map_or((text, None), |(kind, detail)| (kind, Some(detail)));
        if detail == Some("") {
            return Err(format!("`{text}` says nothing after the colon"));
        }
        match (kind, detail) {
            ("webhook", detail) => {
                let (bind, public) = addresses(detail, "webhook:0.0.0.0:8025=https://host.example/hook")?;
                let public = public.map(|url| web_url(url, "https://host.example/hook")).transpose()?;
                Ok(Self::Webhook { bind, public })
            }
            ("smtp", detail) => {
                let (bind, public) = addresses(detail, "smtp:0.0.0.0:2525=host.example:2525")?;
                let place = |text: &str| {
                    let (host, port) = text.rsplit_once(':')?;
                    Some((host.to_owned(), port.parse().ok().filter(|port| *port != 0)?)).filter(|(host, _)| !host.is_empty())
                };
                let public = public
                    .map(|text| place(text).ok_or_else(|| format!("`{text}` is no HOST:PORT, for example host.example:2525")))
                    .transpose()?;
                Ok(Self::Smtp { bind, public })
            }
            ("mailpit", Some(url)) => Ok(Self::Mailpit { url: web_url(url, "http://127.0.0.1:8025")? }),
            ("mailpit", None) => Err("`mailpit` needs its URL: mailpit:http://127.0.0.1:8025".to_owned()),
            ("file", dir) => Ok(Self::File { dir: PathBuf::from(dir.unwrap_or(MOCK_DIR)) }),
            ("command", Some(program)) => Ok(Self::Command { program: PathBuf::from(program) }),
            ("command", None) => Err("`command` needs its program: command:./latest-code".to_owned()),
            _ => Err(format!("`{kind}` is no channel; {}", nearest(kind, KINDS.into_iter()))),
        }
    }
}

/// `BIND[=PUBLIC]`: the address to listen on, and the one that the deployment uses.
fn addresses<'a>(detail: Option<&'a str>, example: &str) -> Result<(SocketAddr, Option<&'a str>), String> {
    let Some(detail) = detail else { return Ok((LOCAL, None)) };
    let (bind, public) = detail.split_once('=').map_or((detail, None), |(bind, public)| (bind, Some(public)));
    let bind: SocketAddr = bind.parse().map_err(|_| format!("`{bind}` is no address to listen on, for example 127.0.0.1:8025"))?;
    if public.is_none() && bind.ip().is_unspecified() {
        return Err(format!("nobody can send to {bind}: say how the target reaches it, for example {example}"));
    }
    if public.is_some() && bind.port() == 0 {
        return Err(format!("a public address needs a fixed port behind it, for example {example}"));
    }
    Ok((bind, public))
}

fn web_url(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| format!("`{text}` is no http or https URL, for example {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_as_they_are_shown() {
        for text in [
            "webhook:127.0.0.1:0",
            "webhook:0.0.0.0:8025=https://public.example/hook",
            "smtp:127.0.0.1:2525",
            "smtp:0.0.0.0:2525=mail.example:25",
            "mailpit:http://127.0.0.1:8025/",
            "file:/tmp/logto",
            "command:./code",
        ] {
            assert_eq!(text.parse::<ChannelKind>().unwrap().to_string(), text);
        }
        assert_eq!("webhook".parse(), Ok(ChannelKind::local_webhook()));
        assert_eq!("file".parse(), Ok(ChannelKind::File { dir: "/tmp/logto".into() }));
        let with_password: ChannelKind = "mailpit:http://me:hush-hush@host.example/".parse().unwrap();
        assert!(!format!("{with_password:?}").contains("hush"));
    }

    #[test]
    fn what_is_wrong_is_told_with_an_example() {
        let error = |text: &str| text.parse::<ChannelKind>().unwrap_err();
        assert_eq!(error("webhok"), "`webhok` is no channel; did you mean `webhook`?");
        assert!(error("webhook:0.0.0.0:8025").contains("say how the target reaches it"));
        assert!(error("webhook:0.0.0.0:0=https://x.example").contains("fixed port"));
        assert!(error("webhook:localhost").contains("127.0.0.1:8025"));
        assert!(error("webhook:127.0.0.1:1=ftp://x").contains("https://host.example/hook"));
        assert!(error("smtp:0.0.0.0:25=host").contains("HOST:PORT"));
        assert!(error("mailpit").contains("mailpit:http"));
        assert!(error("mailpit:nowhere").contains("no http or https URL"));
        assert!(error("command").contains("program"));
        assert!(error("file:").contains("after the colon"));
    }
}
