//! One open channel, whatever its kind.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::secret::SecretRegister;
use super::command::Program;
use super::file::Records;
use super::inbox::Inbox;
use super::mailpit::Mailpit;
use super::options::{ChannelKind, ChannelOptions};
use super::smtp::Smtp;
use super::trouble::ChannelError;
use super::webhook::Webhook;
use crate::contract::MessageKind;

/// Where the messages that a target sends reach the harness. What listens stops when this is dropped.
pub struct Channel {
    source: Source,
    shown: String,
    secrets: SecretRegister,
    turn: Arc<Mutex<()>>,
}

enum Source {
    Webhook(Webhook),
    Smtp(Smtp),
    Mailpit(Mailpit),
    Records(Records),
    Program(Program),
}

/// The right to let the target send a message; kept until its code is read.
#[must_use = "the next send may start as soon as this is dropped"]
#[derive(Debug)]
pub struct Turn(Option<OwnedMutexGuard<()>>);

impl Turn {
    /// Whether others wait while this one is kept.
    pub fn is_exclusive(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Channel {
    /// Without its secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.shown).finish()
    }
}

impl Channel {
    /// Opens it: binds listeners, and checks what can be checked.
    pub async fn open(options: &ChannelOptions) -> Result<Self, ChannelError> {
        let secrets = options.secrets.clone();
        let inbox = || Inbox::new(secrets.clone());
        let source = match &options.kind {
            ChannelKind::Webhook { bind, public } => Source::Webhook(Webhook::open(*bind, public.as_ref(), inbox()).await?),
            ChannelKind::Smtp { bind, public } => Source::Smtp(Smtp::open(*bind, public.as_ref(), inbox()).await?),
            ChannelKind::Mailpit { url } => {
                if let Some(password) = url.password() {
                    secrets.register(password);
                }
                Source::Mailpit(Mailpit::open(url).await?)
            }
            ChannelKind::File { dir } => Source::Records(Records::new(dir)),
            ChannelKind::Command { program } => Source::Program(Program::new(program)),
        };
        match &source {
            Source::Webhook(webhook) => secrets.register(webhook.authorization().trim_start_matches("Bearer ")),
            Source::Smtp(smtp) => secrets.register(smtp.password()),
            Source::Mailpit(_) | Source::Records(_) | Source::Program(_) => {}
        }
        Ok(Self { source, shown: options.kind.to_string(), secrets, turn: Arc::default() })
    }

    /// Connectors that must stand on the target for it: bodies of `POST /api/connectors`. None where the target's own ones
    /// are used.
    pub fn connectors(&self) -> Vec<Value> {
        match &self.source {
            Source::Webhook(webhook) => webhook.connectors(),
            Source::Smtp(smtp) => smtp.connectors(),
            Source::Mailpit(_) | Source::Records(_) | Source::Program(_) => Vec::new(),
        }
    }

    /// Whether it can bring messages of a kind.
    pub fn reaches(&self, kind: MessageKind) -> bool {
        match &self.source {
            Source::Smtp(_) | Source::Mailpit(_) => kind == MessageKind::Email,
            Source::Webhook(_) | Source::Records(_) | Source::Program(_) => true,
        }
    }

    /// Whether only the newest message can be read, so that the next send must wait for its code to be read.
    pub fn serialises(&self) -> bool {
        matches!(self.source, Source::Records(_))
    }

    /// Waits for the right to let the target send: take it before the request that sends, keep it until
    /// [`code`](Self::code) has answered. Where sends need not take turns, nobody waits.
    pub async fn turn(&self) -> Turn {
        Turn(if self.serialises() { Some(Arc::clone(&self.turn).lock_owned().await) } else { None })
    }

    /// The code of the newest message to a recipient that was not asked for yet; older ones for it are void. Waits for it at
    /// most so long. The code is registered as a secret.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Result<String, ChannelError> {
        let code = match &self.source {
            Source::Webhook(webhook) => webhook.code(recipient, patience).await,
            Source::Smtp(smtp) => smtp.code(recipient, patience).await,
            Source::Mailpit(mailpit) => mailpit.code(recipient, patience).await?,
            Source::Records(records) => records.code(recipient, patience).await?,
            Source::Program(program) => program.code(recipient, patience).await?,
        };
        let code = code.ok_or_else(|| self.silent(recipient, patience))?;
        self.secrets.register(&code);
        Ok(code)
    }

    fn silent(&self, recipient: &str, waited: Duration) -> ChannelError {
        let remedy = match &self.source {
            Source::Webhook(_) => "can the target reach the address in its HTTP connectors? Say it in `--channel webhook:BIND=URL`",
            Source::Smtp(_) => "can the target reach the host in its SMTP connector? Say it in `--channel smtp:BIND=HOST:PORT`",
            Source::Mailpit(_) => "does the target's e-mail connector send to this Mailpit?",
            Source::Records(_) => "does the target use the mock connectors, and is this the folder they write to?",
            Source::Program(_) => "the program was ended; let it print the code sooner",
        };
        ChannelError::Silent { recipient: recipient.to_owned(), waited, remedy: remedy.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(kind: &str) -> Channel {
        Channel::open(&ChannelOptions { kind: kind.parse().unwrap(), secrets: SecretRegister::new() }).await.unwrap()
    }

    #[tokio::test]
    async fn kinds_say_what_they_need_and_reach() {
        for (kind, connectors, text_messages) in
            [("webhook", 2, true), ("smtp", 1, false), ("file:/nonexistent", 0, true), ("command:/nonexistent", 0, true)]
        {
            let channel = open(kind).await;
            assert_eq!((channel.connectors().len(), channel.reaches(MessageKind::Sms)), (connectors, text_messages), "{kind}");
            assert!(channel.reaches(MessageKind::Email));
            assert_eq!(channel.serialises(), kind.starts_with("file"));
        }
    }

    #[tokio::test]
    async fn sends_take_turns_only_where_they_must() {
        let webhook = open("webhook").await;
        let (first, second) = (webhook.turn().await, webhook.turn().await);
        assert!(!first.is_exclusive() && !second.is_exclusive());
        let file = open("file:/nonexistent").await;
        let first = file.turn().await;
        let short = Duration::from_millis(20);
        assert!(tokio::time::timeout(short, file.turn()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(short, file.turn()).await.unwrap().is_exclusive());
    }

    #[tokio::test]
    async fn silence_names_what_to_look_at() {
        let channel = open("webhook").await;
        let error = channel.code("ann@example.com", Duration::from_millis(10)).await.unwrap_err().to_string();
        assert!(error.starts_with("no message to ann@example.com within 0 s; ") && error.contains("webhook:BIND=URL"), "{error}");
        assert!(!format!("{channel:?}").contains("Bearer"));
    }
}
