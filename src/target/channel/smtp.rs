//! `smtp`: a sink of ours behind Logto's SMTP connector.
//!
//! Settings of the connector `simple-mail-transfer-protocol` that matter here: `host`, `port`, `auth` (`user`, `pass`),
//! `fromEmail`, `secure`, `ignoreTLS`, and `templates` with `usageType`, `contentType`, `subject` and `content`, in which
//! `{{code}}` stands for the code. Our templates put a marker before it.
//!
//! The protocol is `mailin`'s; connections, time and memory are bounded here, and end with the channel.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_parser::MessageParser;
use mailin::{Action, AuthMechanism, Handler, Response, SessionBuilder, response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::inbox::Inbox;
use super::listener::{Task, bind, password};
use super::text::{MARKER, code_in};
use super::trouble::ChannelError;

/// The user the connector logs in as.
const USER: &str = "conformance";

/// What messages Logto has templates for.
const USAGES: [&str; 9] = [
    "SignIn",
    "Register",
    "ForgotPassword",
    "OrganizationInvitation",
    "Generic",
    "UserPermissionValidation",
    "BindNewIdentifier",
    "MfaVerification",
    "BindMfa",
];

/// Longest accepted line and mail, in bytes.
const MOST_LINE: u64 = 16 << 10;
const MOST_MAIL: usize = 256 << 10;

/// Recipients of one mail.
const MOST_RECIPIENTS: usize = 16;

/// Connections at a time; further ones wait.
const MOST_CONNECTIONS: usize = 64;

/// Longest time between two lines.
const SLOWEST: Duration = Duration::from_secs(30);

/// The sink.
pub struct Smtp {
    host: String,
    port: u16,
    password: String,
    inbox: Arc<Inbox>,
    _task: Task,
}

impl Smtp {
    /// Listens; mail of whoever knows the password ends in the inbox.
    pub async fn open(address: SocketAddr, public: Option<&(String, u16)>, inbox: Inbox) -> Result<Self, ChannelError> {
        let (listener, bound) = bind("smtp", address).await?;
        let (inbox, password) = (Arc::new(inbox), password());
        let task = Task(tokio::spawn(accept(listener, Arc::clone(&inbox), password.clone())));
        let (host, port) = public.cloned().unwrap_or_else(|| (bound.ip().to_string(), bound.port()));
        Ok(Self { host, port, password, inbox, _task: task })
    }

    /// Bodies of `POST /api/connectors`.
    pub fn connectors(&self) -> Vec<Value> {
        let content = format!("{MARKER} {{{{code}}}}\n");
        let template =
            |usage: &&str| json!({"usageType": usage, "contentType": "text/plain", "subject": content.trim(), "content": content});
        let templates: Vec<Value> = USAGES.iter().map(template).collect();
        vec![json!({"connectorId": "simple-mail-transfer-protocol", "config": {
            "host": self.host, "port": self.port, "auth": {"user": USER, "pass": self.password},
            "fromEmail": "conformance@example.com", "secure": false, "ignoreTLS": true, "templates": templates,
        }})]
    }

    /// The secret that the connector logs in with.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The newest code for a recipient.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Option<String> {
        self.inbox.code(recipient, patience).await
    }
}

async fn accept(listener: TcpListener, inbox: Arc<Inbox>, password: String) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Dropped with this task, and the connections with it.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            // Out of file handles, for instance: later there may be one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sink = Sink { inbox: Arc::clone(&inbox), password: password.clone(), to: Vec::new(), mail: Vec::new() };
        open.spawn(async move {
            // However a connection ends, there is nobody to tell.
            let _ = converse(stream, from.ip(), sink).await;
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, from: IpAddr, sink: Sink) -> io::Result<()> {
    let mut builder = SessionBuilder::new("logto-conformance");
    // The password lives as long as this run and opens nothing but this sink.
    builder.enable_auth(AuthMechanism::Plain).insecure_enable_plaintext_auth();
    let mut session = builder.build(from, sink);
    let mut stream = BufReader::new(stream);
    say(&mut stream, &session.greeting()).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = timeout(SLOWEST, (&mut stream).take(MOST_LINE).read_until(b'\n', &mut line)).await??;
        if read == 0 || !line.ends_with(b"\n") {
            return Ok(());
        }
        let answer = session.process(&line);
        match answer.action {
            Action::NoReply => {}
            // A mail that is too long would be complained about line by line.
            Action::Reply if answer.code == response::TRANSACTION_FAILED.code => return say(&mut stream, &answer).await,
            Action::Reply => say(&mut stream, &answer).await?,
            Action::Close | Action::UpgradeTls => return say(&mut stream, &answer).await,
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, answer: &Response) -> io::Result<()> {
    let mut text = Vec::new();
    answer.write_to(&mut text)?;
    timeout(SLOWEST, stream.write_all(&text)).await?
}

/// One connection's mail.
struct Sink {
    inbox: Arc<Inbox>,
    password: String,
    to: Vec<String>,
    mail: Vec<u8>,
}

impl Handler for Sink {
    fn rcpt(&mut self, to: &str) -> Response {
        if self.to.len() == MOST_RECIPIENTS {
            return response::NO_STORAGE;
        }
        self.to.push(to.to_owned());
        response::OK
    }

    fn mail(&mut self, _ip: IpAddr, _domain: &str, _from: &str) -> Response {
        self.to.clear();
        response::OK
    }

    fn data_start(&mut self, _domain: &str, _from: &str, _is8bit: bool, _to: &[String]) -> Response {
        self.mail.clear();
        response::OK
    }

    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        if line.len() > MOST_MAIL - self.mail.len() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.mail.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        // Mail without a code, such as an invitation, is taken and forgotten.
        if let Some(code) = code_of(&self.mail) {
            self.to.drain(..).for_each(|to| self.inbox.deliver(&to, &code));
        }
        self.mail = Vec::new();
        response::OK
    }

    fn auth_plain(&mut self, _authorization_id: &str, user: &str, password: &str) -> Response {
        if user == USER && password == self.password { response::AUTH_OK } else { response::INVALID_CREDENTIALS }
    }
}

/// The code in a mail, whatever its encoding.
fn code_of(mail: &[u8]) -> Option<String> {
    let message = MessageParser::default().parse(mail)?;
    let texts = (0..message.text_body_count()).filter_map(|part| message.body_text(part));
    let pages = (0..message.html_body_count()).filter_map(|part| message.body_text(part));
    texts.chain(pages).find_map(|text| code_in(&text).ok())
}

#[cfg(test)]
mod tests {
    use super::super::super::secret::SecretRegister;
    use super::*;

    async fn open() -> Smtp {
        Smtp::open("127.0.0.1:0".parse().unwrap(), None, Inbox::new(SecretRegister::new())).await.unwrap()
    }

    /// Sends lines one by one and gives the status of each answer.
    async fn talk(smtp: &Smtp, lines: &[String]) -> Vec<String> {
        let mut stream = BufReader::new(TcpStream::connect((smtp.host.as_str(), smtp.port)).await.unwrap());
        let mut statuses = Vec::new();
        for line in std::iter::once(None).chain(lines.iter().map(Some)) {
            if let Some(line) = line {
                // Whoever was hung up on notices it in the answer.
                let _ = stream.write_all(format!("{line}\r\n").as_bytes()).await;
            }
            let mut answer = String::new();
            while answer.lines().last().is_none_or(|last| last.as_bytes().get(3) != Some(&b' ')) {
                if stream.read_line(&mut answer).await.unwrap_or(0) == 0 {
                    statuses.push("closed".to_owned());
                    return statuses;
                }
            }
            statuses.push(answer[..3].to_owned());
        }
        statuses
    }

    fn login(password: &str) -> String {
        use base64::Engine as _;
        format!("AUTH PLAIN {}", base64::engine::general_purpose::STANDARD.encode(format!("\0{USER}\0{password}")))
    }

    fn mail(password: &str, to: &str, body: &str) -> Vec<String> {
        let text = [
            "EHLO client",
            &login(password),
            "MAIL FROM:<conformance@example.com>",
            &format!("RCPT TO:<{to}>"),
            "DATA",
            &format!("{body}\r\n."),
        ];
        text.map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn mail_in_every_encoding_is_read() {
        let smtp = open().await;
        let head = "Subject: code\r\nMIME-Version: 1.0\r\n";
        let plain = format!("{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{MARKER} 100001\r\n");
        let quoted = format!(
            "{head}Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nlogto=2Dconformance-=\r\ncode: 10=\r\n0002\r\n"
        );
        let encoded = {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{MARKER} 100003\n"));
            format!("{head}Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n")
        };
        let parts = format!(
            "{head}Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Your code: <b>100004</b></p>\r\n--x--\r\n"
        );
        for (number, body) in [plain, quoted, encoded, parts].iter().enumerate() {
            let to = format!("u{number}@example.com");
            let statuses = talk(&smtp, &mail(smtp.password(), &to, body)).await;
            assert_eq!(statuses, ["220", "250", "235", "250", "250", "354", "250"]);
            assert_eq!(smtp.code(&to, Duration::from_secs(1)).await, Some(format!("10000{}", number + 1)));
        }
    }

    #[tokio::test]
    async fn strangers_and_floods_are_turned_away() {
        let smtp = open().await;
        let lines = mail("wrong", "a@example.com", "123456");
        assert_eq!(talk(&smtp, &lines[..4]).await, ["220", "250", "535", "503", "503"]);
        let flood = format!("EHLO {}", "x".repeat(20_000));
        assert_eq!(talk(&smtp, &[flood]).await, ["220", "closed"]);
        let right = smtp.password().to_owned();
        let heavy = format!("Subject: x\r\n\r\n{MARKER} 123456\r\n{}", "a line of no meaning\r\n".repeat(MOST_MAIL / 20));
        let last = talk(&smtp, &mail(&right, "a@example.com", &heavy)).await;
        assert_ne!(last.last().map(String::as_str), Some("250"), "{last:?}");
        assert_eq!(smtp.code("a@example.com", Duration::from_millis(20)).await, None);
        let after = talk(&smtp, &mail(&right, "a@example.com", &format!("Subject: x\r\n\r\n{MARKER} 123456"))).await;
        assert_eq!(after.last().map(String::as_str), Some("250"));
        assert_eq!(smtp.code("a@example.com", Duration::from_secs(1)).await.as_deref(), Some("123456"));
    }

    #[tokio::test]
    async fn the_connector_has_a_template_for_every_usage() {
        let smtp = open().await;
        let config = &smtp.connectors()[0]["config"];
        assert_eq!(config["templates"].as_array().unwrap().len(), USAGES.len());
        assert_eq!(config["templates"][0]["content"], "logto-conformance-code: {{code}}\n");
        let public = ("mail.example".to_owned(), 25);
        let outside = Smtp::open("127.0.0.1:0".parse().unwrap(), Some(&public), Inbox::new(SecretRegister::new())).await.unwrap();
        assert_eq!(outside.connectors()[0]["config"]["host"], "mail.example");
    }
}
