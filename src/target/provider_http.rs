//! The endpoints of the identity provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::provider_desk::Desk;

type Shared = State<Arc<Desk>>;

/// All endpoints. `/authorize` has nothing behind it: nobody comes with a browser.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(|State(desk): Shared| async move { answer(StatusCode::OK, &desk.keys()) }))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo))
        .with_state(desk)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

fn refused(status: StatusCode, error: &str) -> Response {
    answer(status, &json!({"error": error}))
}

async fn discovery(State(desk): Shared) -> Response {
    let at = |path: &str| format!("{}{path}", desk.issuer);
    let document = json!({
        "issuer": desk.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"), "jwks_uri": at("/jwks"), "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    answer(StatusCode::OK, &document)
}

async fn token(State(desk): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (client, secret) = credentials(&headers).unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
    if secret != desk.secret {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let tokens = match field("grant_type") {
        "authorization_code" => desk.redeem(field("code"), &client, field("redirect_uri")),
        "refresh_token" => desk.renew(field("refresh_token")),
        _ => return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    tokens.map_or_else(|| refused(StatusCode::BAD_REQUEST, "invalid_grant"), |tokens| answer(StatusCode::OK, &tokens))
}

/// Id and secret from HTTP Basic, encoded for a form or not: no client here has characters for which it matters.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(id), plain(secret)))
}

async fn userinfo(State(desk): Shared, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let profile = bearer.and_then(|token| desk.profile(token));
    profile.map_or_else(|| refused(StatusCode::UNAUTHORIZED, "invalid_token"), |profile| answer(StatusCode::OK, &profile))
}
