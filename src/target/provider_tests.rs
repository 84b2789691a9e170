//! The identity provider as a connector meets it.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use url::Url;

use super::super::client::Client;
use super::super::form;
use super::super::test_server::client;
use super::*;
use crate::model::rules::oidc_page;
use crate::model::wire::Request;

async fn start() -> (Provider, Client) {
    let provider = Provider::start((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
    let client = client(Url::parse(provider.issuer()).unwrap());
    (provider, client)
}

fn page(provider: &Provider, factory: &str, scope: &str) -> String {
    let request = json!({"state": "s", "redirectUri": "http://x/", "scope": scope});
    oidc_page(factory, &provider.config(factory).unwrap(), &request, Some("n")).unwrap()
}

fn exchange(provider: &Provider, factory: &str, code: &Value) -> Request {
    let fields = [("grant_type", "authorization_code"), ("code", code.as_str().unwrap()), ("redirect_uri", "http://x/")];
    let id = client_of(factory).unwrap();
    form::post("/token", &fields).with_header("authorization", form::basic(id, provider.secret()))
}

#[tokio::test]
async fn a_code_brings_signed_tokens_once() {
    let (provider, client) = start().await;
    let account = Account { email: Some("a@example.com".into()), email_verified: Some(true), ..Account::new("u1") };
    let consent = provider.consent(&page(&provider, "oidc", "openid email"), &account).unwrap();
    assert_eq!(consent.data["state"], "s");
    assert_eq!((&consent.identity["userId"], &consent.identity["details"]["email"]), (&json!("u1"), &json!("a@example.com")));
    let tokens = client.send(&exchange(&provider, "oidc", &consent.data["code"])).await.unwrap().into_json().unwrap();
    assert_eq!(tokens, consent.tokens);
    let [header, claims, signature]: [&str; 3] = tokens["id_token"].as_str().unwrap().split('.').collect::<Vec<_>>().try_into().unwrap();
    let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(said, consent.identity["details"]["rawData"]);
    assert_eq!((&said["nonce"], &said["aud"]), (&json!("n"), &json!("lc-oidc")));
    let keys = client.send(&Request::new("GET", "/jwks")).await.unwrap().into_json().unwrap();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let signed = format!("{header}.{claims}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let again = client.send(&exchange(&provider, "oidc", &consent.data["code"])).await.unwrap();
    assert_eq!((again.status, again.json()), (400, Some(&json!({"error": "invalid_grant"}))));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let profile = client.send(&Request::new("GET", "/userinfo").with_header("authorization", bearer)).await.unwrap();
    assert_eq!(profile.into_json(), Some(json!({"sub": "u1", "email": "a@example.com", "email_verified": true})));
}

#[tokio::test]
async fn a_code_is_for_one_client_and_a_renewal_for_those_who_may() {
    let (provider, client) = start().await;
    let page = page(&provider, "oauth2", "offline_access");
    let consent = provider.consent(&page, &Account::new("u1")).unwrap();
    assert_eq!(client.send(&exchange(&provider, "oidc", &consent.data["code"])).await.unwrap().status, 400);
    assert_eq!(client.send(&exchange(&provider, "oauth2", &consent.data["code"])).await.unwrap().status, 400);
    for renews in [true, false] {
        let consent = provider.consent(&page, &Account { renews, ..Account::new("u1") }).unwrap();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", consent.tokens["refresh_token"].as_str().unwrap())];
        let request = form::post("/token", &fields).with_header("authorization", form::basic("lc-oauth2", provider.secret()));
        let answer = client.send(&request).await.unwrap();
        assert_eq!(answer.status, if renews { 200 } else { 400 });
        assert_eq!(answer.into_json().filter(|_| renews).unwrap_or_default(), consent.tokens["renewed"]);
    }
    let unknown = form::post("/token", &[("grant_type", "authorization_code"), ("client_id", "lc-oauth2"), ("client_secret", "wrong")]);
    assert_eq!(client.send(&unknown).await.unwrap().status, 401);
}

#[tokio::test]
async fn only_own_pages_are_consented_to() {
    let (provider, _) = start().await;
    let page = page(&provider, "oidc", "openid");
    let refused = |page: &str| provider.consent(page, &Account::new("u")).unwrap_err();
    assert!(matches!(refused("http://elsewhere.example/authorize?x=secret"), ProviderError::Page(page) if !page.contains("secret")));
    assert_eq!(refused(&page.replace("client_id=lc-oidc", "client_id=other")), ProviderError::Parameter("client_id"));
    assert_eq!(refused(&page.replace("state=s", "")), ProviderError::Parameter("state"));
    assert_eq!(provider.config("google-universal"), None);
}
