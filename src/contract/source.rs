//! What a request needs that no answer of the two collections brings: a code out of a message, an authenticator's answer,
//! the word of an identity provider.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where something is got outside the two collections. Texts may hold `{{symbols}}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// The code in the newest message to a recipient.
    Message {
        /// The e-mail address or phone number.
        to: String,
        /// Id of the verification record that the code belongs to; none for a code that belongs to the recipient alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<String>,
    },
    /// The present code of an authenticator app.
    Totp {
        /// The shared secret in base32.
        secret: String,
    },
    /// What an authenticator answers when a passkey is registered, as JSON.
    Passkey {
        /// The registration options as JSON.
        options: String,
        /// Id of the verification record that they belong to.
        record: String,
        /// What is wrong with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flaw: Option<Flaw>,
    },
    /// What an identity provider of the harness sends a user back with after a sign-in, as JSON.
    Consent {
        /// The page the user was sent to.
        page: String,
        /// Id of the verification record that it is for.
        record: String,
        /// Id of the account at the provider.
        account: String,
        /// The token that comes along has run out already and cannot be renewed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        spent: bool,
    },
}

/// What can be wrong with the answer of an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// It answers another challenge.
    WrongChallenge,
    /// It was asked by another page.
    WrongOrigin,
    /// Nobody showed that it was the user.
    UserNotVerified,
    /// It registers the credential once more that was registered last.
    Reused,
}

/// By what a message goes; the name is the type of the connector that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageKind {
    /// Mail.
    Email,
    /// Text message.
    Sms,
}

impl MessageKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// Type of the connector that sends it.
    pub const fn connector(self) -> &'static str {
        match self {
            Self::Email => "Email",
            Self::Sms => "Sms",
        }
    }

    /// The kind of message that a request body asks for, as far as it can be told.
    pub fn asked(body: &Value) -> Option<Self> {
        match body.pointer("/identifier/type").and_then(Value::as_str) {
            Some("email") => Some(Self::Email),
            Some(_) => Some(Self::Sms),
            None if body.get("email").is_some() => Some(Self::Email),
            None => body.get("phone").map(|_| Self::Sms),
        }
    }
}

impl Source {
    /// Its texts.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Message { to, record } => std::iter::once(to.as_str()).chain(record.as_deref()).collect(),
            Self::Totp { secret } => vec![secret],
            Self::Passkey { options, record, .. } => vec![options, record],
            Self::Consent { page, record, account, .. } => vec![page, record, account],
        }
    }

    /// The same with other texts.
    #[must_use]
    pub fn map(&self, mut change: impl FnMut(&str) -> String) -> Self {
        self.try_map(|text| Ok::<_, std::convert::Infallible>(change(text))).unwrap_or_else(|never| match never {})
    }

    /// The same with other texts; fails when one of them cannot be made.
    pub fn try_map<E>(&self, mut change: impl FnMut(&str) -> Result<String, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Message { to, record } => Self::Message { to: change(to)?, record: record.as_deref().map(change).transpose()? },
            Self::Totp { secret } => Self::Totp { secret: change(secret)? },
            Self::Passkey { options, record, flaw } => Self::Passkey { options: change(options)?, record: change(record)?, flaw: *flaw },
            Self::Consent { page, record, account, spent } => {
                Self::Consent { page: change(page)?, record: change(record)?, account: change(account)?, spent: *spent }
            }
        })
    }

    /// Whether what is got is JSON, which stands in a body as it is.
    pub const fn is_json(&self) -> bool {
        matches!(self, Self::Passkey { .. } | Self::Consent { .. })
    }

    /// One line for people.
    pub fn line(&self) -> String {
        match self {
            Self::Message { to, .. } => format!("reads the code sent to {to}"),
            Self::Totp { .. } => "reads the code of the authenticator app".into(),
            Self::Passkey { flaw: None, .. } => "makes a passkey".into(),
            Self::Passkey { flaw: Some(flaw), .. } => {
                let flaw = serde_json::to_value(flaw).ok().and_then(|flaw| flaw.as_str().map(str::to_owned)).unwrap_or_default();
                format!("makes a passkey ({})", flaw.replace('-', " "))
            }
            Self::Consent { account, .. } => format!("signs in at the identity provider as {account}"),
        }
    }
}
