use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::response::{Html, IntoResponse, Response};

use super::super::gate::Mode;
use super::super::ledger::Ledger;
use super::super::secret::SecretRegister;
use super::super::test_server::{Log, client, serve};
use super::*;

fn app(secret: Option<&str>) -> OidcClient {
    OidcClient { client_id: "app".into(), client_secret: secret.map(str::to_owned), redirect_uri: "http://127.0.0.1:9/callback".into() }
}

fn redirect(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to), (SET_COOKIE, "_session=S1-session; path=/")]).into_response()
}

/// Enough of a deployment for one sign-in; `wrong_state` and `endless` make it misbehave.
async fn deployment(third_party: bool, wrong_state: bool, endless: bool) -> (Gate, Log) {
    let state = Arc::new(Mutex::new(String::new()));
    let (endpoint, log) = serve(move |line, _| {
        let callback = || {
            let state = if wrong_state { "other".to_owned() } else { state.lock().unwrap().clone() };
            format!("http://127.0.0.1:9/callback?code=S2-code&state={state}")
        };
        if let Some((_, rest)) = line.split_once("&state=") {
            *state.lock().unwrap() = rest.split('&').next().unwrap().to_owned();
            return redirect("/sign-in");
        }
        match line {
            "POST /api/experience/verification/password" => json!({"verificationId": "S3-verification"}).to_string().into_response(),
            "POST /api/experience/submit" => json!({"redirectTo": "http://public.example/oidc/auth/x"}).to_string().into_response(),
            "GET /oidc/auth/x" if endless => redirect("/oidc/auth/x"),
            "GET /oidc/auth/x" => redirect("/consent?app_id=app"),
            "GET /consent?app_id=app" if third_party => Html("<div id=app>").into_response(),
            "GET /consent?app_id=app" => redirect(&callback()),
            "POST /api/interaction/consent" => json!({"redirectTo": callback()}).to_string().into_response(),
            "POST /oidc/token" => {
                json!({"access_token": "S4-access", "refresh_token": "S5-refresh", "scope": "openid"}).to_string().into_response()
            }
            _ => StatusCode::NO_CONTENT.into_response(),
        }
    })
    .await;
    (Gate::new(client(endpoint), Mode::Isolated, Ledger::in_memory(), SecretRegister::new(), "lc_"), log)
}

async fn run(gate: &Gate, client: &OidcClient) -> Result<SignedIn, SignInError> {
    sign_in(gate, client, Login { username: "lc_r1_a", password: "S0-password", second: None }, &["openid"], None).await
}

#[tokio::test]
async fn first_and_third_party_applications_get_tokens() {
    for third_party in [false, true] {
        let (gate, log) = deployment(third_party, false, false).await;
        let client = if third_party { app(None) } else { app(Some("S6-secret")) };
        let signed_in = run(&gate, &client).await.unwrap();
        assert_eq!(signed_in.access_token, "S4-access");
        assert_eq!(signed_in.refresh_token.as_deref(), Some("S5-refresh"));
        assert_eq!(signed_in.id_token, None);
        let consented = log.lock().unwrap().iter().any(|(line, _)| line == "POST /api/interaction/consent");
        assert_eq!(consented, third_party);
        let seen = "S0-password S1-session S2-code S3-verification S4-access S5-refresh";
        assert_eq!(gate.secrets().redact(seen), ["<secret>"; 6].join(" "));
    }
}

#[tokio::test]
async fn a_foreign_state_and_endless_redirects_are_errors() {
    let (gate, _) = deployment(false, true, false).await;
    assert!(matches!(run(&gate, &app(None)).await, Err(SignInError::Unexpected { step: "callback", .. })));
    let (gate, log) = deployment(false, false, true).await;
    assert!(matches!(run(&gate, &app(None)).await, Err(SignInError::TooManyRedirects)));
    assert_eq!(log.lock().unwrap().iter().filter(|(line, _)| line == "GET /oidc/auth/x").count(), MAX_STEPS);
}

#[test]
fn a_callback_is_the_redirect_uri_itself_and_errors_in_it_are_told() {
    let uri = "http://127.0.0.1:9/callback";
    assert!(is_callback("http://127.0.0.1:9/callback?code=x", uri));
    assert!(!is_callback("http://127.0.0.1:9/callbacks?code=x", uri));
    let denied = code_in(&format!("{uri}?error=access_denied&error_description=no"), "s").unwrap_err();
    assert!(matches!(denied, SignInError::Denied { error, .. } if error == "access_denied"));
}
