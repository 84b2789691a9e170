//! `webhook`: Logto's HTTP connectors post each message as JSON to a listener of ours.
//!
//! What they post (connectors `http-email` and `http-sms`): `to`, `type` (name of the template), `payload` with the `code`,
//! and `ip` of whoever asked. Their settings are `endpoint` and `authorization`, sent as the header of that name. Any status
//! from 200 to 299 counts as delivered.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::timeout;
use url::Url;

use super::inbox::Inbox;
use super::listener::{Task, bind, password};
use super::trouble::ChannelError;
use crate::model::json::parse;

/// Longest accepted body in bytes; messages carry user and application along.
const MOST: usize = 256 << 10;

/// Longest time for a body to come in.
const SLOWEST: Duration = Duration::from_secs(10);

/// The listener.
pub struct Webhook {
    endpoint: String,
    authorization: String,
    inbox: Arc<Inbox>,
    _task: Task,
}

impl Webhook {
    /// Listens; messages with the right authorization end in the inbox.
    pub async fn open(address: std::net::SocketAddr, public: Option<&Url>, inbox: Inbox) -> Result<Self, ChannelError> {
        let (listener, bound) = bind("webhook", address).await?;
        let inbox = Arc::new(inbox);
        let authorization = format!("Bearer {}", password());
        let door = Arc::new(Door { inbox: Arc::clone(&inbox), authorization: authorization.clone() });
        let router = Router::new().fallback(move |request: Request<Body>| {
            let door = Arc::clone(&door);
            async move { door.receive(request).await }
        });
        let task = Task(tokio::spawn(async move {
            // Ends only with its channel.
            let _ = axum::serve(listener, router).await;
        }));
        let endpoint = public.map_or_else(|| format!("http://{bound}/messages"), Url::to_string);
        Ok(Self { endpoint, authorization, inbox, _task: task })
    }

    /// Bodies of `POST /api/connectors`.
    pub fn connectors(&self) -> Vec<Value> {
        let config = json!({"endpoint": self.endpoint, "authorization": self.authorization});
        ["http-email", "http-sms"].map(|factory| json!({"connectorId": factory, "config": config})).to_vec()
    }

    /// The secret that the connectors send along.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// The newest code for a recipient.
    pub async fn code(&self, recipient: &str, patience: Duration) -> Option<String> {
        self.inbox.code(recipient, patience).await
    }
}

/// What a post meets.
struct Door {
    inbox: Arc<Inbox>,
    authorization: String,
}

impl Door {
    async fn receive(&self, request: Request<Body>) -> StatusCode {
        if request.method() != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED;
        }
        let given = request.headers().get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
        if given != Some(self.authorization.as_bytes()) {
            return StatusCode::UNAUTHORIZED;
        }
        let body = match timeout(SLOWEST, axum::body::to_bytes(request.into_body(), MOST)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
            Err(_) => return StatusCode::REQUEST_TIMEOUT,
        };
        let Ok(message) = parse(&body) else { return StatusCode::BAD_REQUEST };
        let Some(to) = message.get("to").and_then(Value::as_str) else { return StatusCode::BAD_REQUEST };
        // An invitation has a link in place of a code.
        if let Some(code) = message.pointer("/payload/code").and_then(Value::as_str) {
            self.inbox.deliver(to, code);
        }
        StatusCode::NO_CONTENT
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::client::{Client, ClientOptions};
    use super::super::super::secret::SecretRegister;
    use super::*;
    use crate::model::wire::Request as Outgoing;

    async fn open() -> (Webhook, Client) {
        let webhook = Webhook::open("127.0.0.1:0".parse().unwrap(), None, Inbox::new(SecretRegister::new())).await.unwrap();
        let mut endpoint: Url = webhook.endpoint.parse().unwrap();
        endpoint.set_path("");
        (webhook, Client::new(ClientOptions::new(endpoint)).unwrap())
    }

    fn post(authorization: &str, body: &str) -> Outgoing {
        let mut post = Outgoing::new("POST", "/messages").with_header("content-type", "application/json");
        post.headers.push(("authorization".into(), authorization.to_owned()));
        post.body = body.as_bytes().to_vec();
        post
    }

    #[tokio::test]
    async fn a_message_arrives_as_the_connectors_post_it() {
        let (webhook, client) = open().await;
        let authorization = webhook.connectors()[1]["config"]["authorization"].as_str().unwrap().to_owned();
        let body = json!({"to": "15550100001", "type": "Generic", "payload": {"code": "123456"}, "ip": "::1"}).to_string();
        assert_eq!(client.send(&post(&authorization, &body)).await.unwrap().status, 204);
        assert_eq!(webhook.code("+15550100001", Duration::from_secs(1)).await.as_deref(), Some("123456"));
        let invitation = json!({"to": "a@example.com", "type": "OrganizationInvitation", "payload": {"link": "https://x"}}).to_string();
        assert_eq!(client.send(&post(&authorization, &invitation)).await.unwrap().status, 204);
    }

    #[tokio::test]
    async fn strangers_and_nonsense_are_turned_away() {
        let (webhook, client) = open().await;
        let right = webhook.authorization.clone();
        let message = json!({"to": "a@example.com", "payload": {"code": "123456"}}).to_string();
        let mut statuses = Vec::new();
        for (authorization, body) in [
            ("Bearer wrong", message.as_str()),
            (&right, "{"),
            (&right, "[1]"),
            (&right, "{\"to\": 5}"),
            (&right, &"[".repeat(100_000)),
            (&right, &"x".repeat(MOST + 1)),
        ] {
            statuses.push(client.send(&post(authorization, body)).await.unwrap().status);
        }
        statuses.push(client.send(&Outgoing::new("POST", "/messages")).await.unwrap().status);
        statuses.push(client.send(&Outgoing::new("GET", "/messages")).await.unwrap().status);
        assert_eq!(statuses, [401, 400, 400, 400, 400, 413, 401, 405]);
        assert_eq!(webhook.code("a@example.com", Duration::from_millis(10)).await, None);
    }

    #[tokio::test]
    async fn the_public_address_is_the_one_the_connectors_get() {
        let public: Url = "https://public.example/hook".parse().unwrap();
        let inbox = Inbox::new(SecretRegister::new());
        let webhook = Webhook::open("127.0.0.1:0".parse().unwrap(), Some(&public), inbox).await.unwrap();
        assert_eq!(webhook.connectors()[0]["config"]["endpoint"], "https://public.example/hook");
        let taken = "192.0.2.1:1".parse().unwrap();
        let error = Webhook::open(taken, None, Inbox::new(SecretRegister::new())).await.err().unwrap().to_string();
        assert!(error.contains("--channel webhook:127.0.0.1:0"), "{error}");
    }
}
