//! `mailpit`: a Mailpit that stands behind the deployment, read over its REST API.
//!
//! `GET /api/v1/search?query=to:"…"` lists `messages`, newest first, each with `ID` and the addresses `To`;
//! `GET /api/v1/message/{ID}` has `Text` and `HTML`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::super::client::{Client, ClientOptions};
use super::super::form::percent;
use super::text::{code_in, key};
use super::trouble::ChannelError;
use crate::model::wire::Request;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// Messages that are remembered as read; the oldest are forgotten first.
const MOST_READ: usize = 4096;

/// A Mailpit and what was read of it.
pub struct Mailpit {
    client: Client,
    address: String,
    authorization: Option<String>,
    read: Mutex<VecDeque<String>>,
}

impl Mailpit {
    /// Checks that it answers.
    pub async fn open(url: &Url) -> Result<Self, ChannelError> {
        let mut bare = url.clone();
        // Fail only for URLs without host, which are refused before.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let user = percent_encoding::percent_decode_str(url.username()).decode_utf8_lossy();
        let password = percent_encoding::percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
        let authorization = (!user.is_empty()).then(|| super::super::form::basic_plain(&user, &password));
        let address = bare.to_string();
        let client = Client::new(ClientOptions::new(bare))
            .map_err(|error| ChannelError::Mailpit { url: address.clone(), why: error.to_string() })?;
        let mailpit = Self { client, address, authorization, read: Mutex::default() };
        mailpit.get("/api/v1/messages?limit=1").await?;
        Ok(mailpit)
    }

    /// The code of the newest message to a recipient that was not read yet; older ones count as read.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Result<Option<String>, ChannelError> {
        let end = Instant::now() + patience;
        loop {
            if let Some(id) = self.newest(recipient).await? {
                let message = self.get(&format!("/api/v1/message/{}", percent(&id))).await?;
                let part = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let page = mail_parser::decoders::html::html_to_text(&part("HTML"));
                let found = code_in(&part("Text")).or_else(|in_text| code_in(&page).map_err(|_| in_text));
                return found.map(Some).map_err(|found| ChannelError::Unclear { recipient: recipient.to_owned(), found });
            }
            if Instant::now() + PAUSE > end {
                return Ok(None);
            }
            sleep(PAUSE).await;
        }
    }

    async fn newest(&self, recipient: &str) -> Result<Option<String>, ChannelError> {
        let query = percent(&format!("to:\"{recipient}\""));
        let list = self.get(&format!("/api/v1/search?query={query}&limit=50")).await?;
        let messages = list.get("messages").and_then(Value::as_array).ok_or_else(|| self.odd("the list has no `messages`"))?;
        // The search finds parts of addresses as well.
        let wanted = key(recipient);
        let is_to = |message: &&Value| {
            let to = message.get("To").and_then(Value::as_array).into_iter().flatten();
            to.filter_map(|one| one.get("Address")?.as_str()).any(|address| key(address) == wanted)
        };
        let ids: Vec<&str> = messages.iter().filter(is_to).filter_map(|message| message.get("ID")?.as_str()).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<&str> = ids.into_iter().filter(|id| !read.iter().any(|known| known == id)).collect();
        read.extend(fresh.iter().map(|id| (*id).to_owned()));
        let over = read.len().saturating_sub(MOST_READ);
        read.drain(..over);
        Ok(fresh.first().map(|id| (*id).to_owned()))
    }

    async fn get(&self, target: &str) -> Result<Value, ChannelError> {
        let mut request = Request::new("GET", target);
        request.headers.extend(self.authorization.iter().map(|value| ("authorization".to_owned(), value.clone())));
        let answer = self.client.send(&request).await.map_err(|error| self.odd(&error.to_string()))?;
        let status = answer.status;
        let body = answer.into_json().filter(|_| status == 200);
        body.ok_or_else(|| self.odd(&format!("GET {} brings {status}", request.path())))
    }

    fn odd(&self, why: &str) -> ChannelError {
        ChannelError::Mailpit { url: self.address.clone(), why: why.to_owned() }
    }
}

/// No Mailpit is at hand in the tests: they run against a stand-in made from its documented API.
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    use serde_json::json;

    use super::super::super::test_server::serve;
    use super::*;

    /// Messages: id, recipient, text, page; the newest last.
    type Messages = Arc<Mutex<Vec<(&'static str, &'static str, &'static str, &'static str)>>>;

    fn stand_in(messages: &Messages, line: &str) -> Response {
        let messages = messages.lock().unwrap();
        let summary = |(id, to, ..): &(&str, &str, &str, &str)| json!({"ID": id, "To": [{"Name": "", "Address": to}], "Snippet": ""});
        let target = line.strip_prefix("GET ").unwrap();
        let body = match target.split_once('?') {
            Some(("/api/v1/messages", _)) => json!({"total": 0, "messages": []}),
            Some(("/api/v1/search", query)) => {
                let query = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "query").unwrap().1;
                let part = query.strip_prefix("to:\"").unwrap().strip_suffix('"').unwrap().to_lowercase();
                let fitting = messages.iter().rev().filter(|(_, to, ..)| to.to_lowercase().contains(&part));
                json!({"messages": fitting.map(summary).collect::<Vec<_>>()})
            }
            _ => match messages.iter().find(|(id, ..)| target == format!("/api/v1/message/{id}")) {
                Some((id, to, text, page)) => json!({"ID": id, "To": [{"Address": to}], "Text": text, "HTML": page}),
                None => return StatusCode::NOT_FOUND.into_response(),
            },
        };
        body.to_string().into_response()
    }

    async fn open(messages: &Messages) -> Mailpit {
        let served = Arc::clone(messages);
        let (url, _) = serve(move |line, _| stand_in(&served, line)).await;
        Mailpit::open(&url).await.unwrap()
    }

    #[tokio::test]
    async fn the_newest_unread_message_of_the_recipient_counts() {
        let messages = Messages::default();
        messages.lock().unwrap().extend([
            ("a", "ann@example.com", "Your code is 111111.", ""),
            ("b", "Ann@example.com", "Your code is 222222.", ""),
            ("c", "joann@example.com", "Your code is 333333.", ""),
        ]);
        let mailpit = open(&messages).await;
        let none = Duration::ZERO;
        assert_eq!(mailpit.code("ann@example.com", none).await.unwrap().as_deref(), Some("222222"));
        assert_eq!(mailpit.code("ann@example.com", none).await.unwrap(), None);
        messages.lock().unwrap().push(("d", "ann@example.com", "", "<style>b{color:#654321}</style><p>Code <b>444444</b></p>"));
        assert_eq!(mailpit.code("ann@example.com", none).await.unwrap().as_deref(), Some("444444"));
        messages.lock().unwrap().push(("e", "ann@example.com", "111111 or 222222", ""));
        let error = mailpit.code("ann@example.com", none).await.unwrap_err().to_string();
        assert!(error.contains("several numbers") && error.contains("{{code}}"), "{error}");
    }

    #[tokio::test]
    async fn a_late_message_is_waited_for() {
        let messages = Messages::default();
        let mailpit = open(&messages).await;
        let later = Arc::clone(&messages);
        tokio::spawn(async move {
            sleep(PAUSE / 2).await;
            later.lock().unwrap().push(("a", "ann@example.com", "123456", ""));
        });
        assert_eq!(mailpit.code("ann@example.com", Duration::from_secs(5)).await.unwrap().as_deref(), Some("123456"));
    }

    #[tokio::test]
    async fn what_is_no_mailpit_is_told() {
        let (mut url, _) = serve(|_, _| StatusCode::UNAUTHORIZED.into_response()).await;
        url.set_username("me").unwrap();
        url.set_password(Some("hush-hush")).unwrap();
        let error = Mailpit::open(&url).await.err().unwrap().to_string();
        assert!(error.contains("GET /api/v1/messages brings 401") && !error.contains("hush"), "{error}");
    }
}
