//! Posts messages to the connectors' endpoints.

use std::time::Duration;

use reqwest::{Certificate, redirect};

use super::outbox::Delivery;

/// Longest time for an endpoint to take a message.
const SLOWEST: Duration = Duration::from_secs(10);

/// Posts messages.
pub struct Courier {
    plain: Result<reqwest::Client, String>,
}

impl Courier {
    /// Ready to post.
    pub fn new() -> Self {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Plain HTTP must work on machines without any certificate store.
        Self { plain: client(|builder| builder.tls_certs_only(Vec::<Certificate>::new())) }
    }

    /// Posts a message. Fails with what the other side says, or why there is no other side.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<(), String> {
        let secure = delivery.endpoint.starts_with("https:");
        let http = if secure { client(|builder| builder)? } else { self.plain.clone()? };
        let mut post = http.post(&delivery.endpoint).header("content-type", "application/json").body(delivery.body.to_string());
        if let Some(authorization) = &delivery.authorization {
            post = post.header("authorization", authorization);
        }
        // The address may carry secrets.
        let answer = post.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("Response code {}", answer.status().as_u16())) }
    }
}

fn client(trust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(SLOWEST).no_proxy();
    trust(builder).build().map_err(|error| error.to_string())
}
