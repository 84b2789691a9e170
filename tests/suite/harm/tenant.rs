//! A tenant as its administrator sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::target::{Client, ClientOptions};
use serde_json::{Map, Value};

/// Lists that are compared.
const LISTS: [&str; 8] =
    ["users", "applications", "roles", "organizations", "organization-roles", "organization-scopes", "connectors", "sso-connectors"];

/// The administrator of a deployment.
pub struct Tenant {
    client: Client,
    token: String,
}

impl Tenant {
    pub async fn open(endpoint: &str, client_id: &str, client_secret: &str, resource: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::new(ClientOptions::new(endpoint.parse().unwrap())).unwrap();
        let fields = [("grant_type", "client_credentials"), ("resource", resource), ("scope", "all")];
        let mut request = Request::new("POST", "/oidc/token")
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("authorization", format!("Basic {}", STANDARD.encode(format!("{client_id}:{client_secret}"))));
        request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        let token = client.send(&request).await.unwrap().json().unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { client, token }
    }

    pub async fn send(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        let request = Request::new(method, target).with_header("authorization", format!("Bearer {}", self.token));
        let request = body.map_or_else(|| request.clone(), |body| request.clone().with_json(&body));
        self.client.send(&request).await.unwrap()
    }

    async fn list(&self, name: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        for page in 1.. {
            let answer = self.send("GET", &format!("/api/{name}?page={page}&page_size=100"), None).await;
            let Some(Value::Array(items)) = answer.json().filter(|_| answer.status == 200) else { break };
            let more = items.len() == 100;
            if !all.is_empty() && all.first() == items.first() {
                break;
            }
            all.extend(items.iter().cloned());
            if !more {
                break;
            }
        }
        all
    }

    /// Everything that belongs to no run.
    pub async fn foreign(&self) -> Value {
        let mut dump = Map::new();
        for list in LISTS {
            let items = self.list(list).await.into_iter().filter(|item| !is_a_runs(item));
            dump.insert(list.to_owned(), items.collect());
        }
        for settings in ["account-center", "sign-in-exp"] {
            dump.insert(settings.to_owned(), self.send("GET", &format!("/api/{settings}"), None).await.into_json().unwrap());
        }
        Value::Object(dump)
    }

    /// What runs left.
    pub async fn residue(&self) -> Vec<String> {
        let mut left = Vec::new();
        for list in LISTS {
            let items = self.list(list).await.into_iter().filter(is_a_runs);
            left.extend(items.map(|item| format!("{list}: {} {}", item["username"], item["name"])));
        }
        left
    }
}

fn is_a_runs(item: &Value) -> bool {
    match item {
        Value::String(text) => text.starts_with("lc_") || text.starts_with("lc-"),
        Value::Array(items) => items.iter().any(is_a_runs),
        Value::Object(members) => members.values().any(is_a_runs),
        _ => false,
    }
}
