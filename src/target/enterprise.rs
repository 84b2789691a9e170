//! Signing a user in through an enterprise connector, without a browser.

use serde_json::{Value, json};

use super::gate::Gate;
use super::provider::ProviderError;
use super::sign_in::{Flow, OidcClient, SignInError, SignedIn, text, unexpected};
use crate::model::wire::Request;

/// Signs in whoever agrees at the connector's provider, and exchanges the code for tokens: the owner of the identity, or of the
/// verified e-mail address if nobody has the identity yet; it is linked then. `agree` is told the provider's page and gives
/// what the browser brings back. The sign-in experience has to allow enterprise sign-in (`singleSignOnEnabled`).
pub async fn sign_in_through(
    gate: &Gate,
    client: &OidcClient,
    connector: &str,
    agree: impl FnOnce(&str) -> Result<Value, ProviderError> + Send,
    scopes: &[&str],
    resource: Option<&str>,
) -> Result<SignedIn, SignInError> {
    let mut flow = Flow::begin(gate, client, scopes, resource).await?;
    let at = |step: &str| format!("/api/experience/verification/sso/{connector}/{step}");
    // Nobody listens there: what would come back is handed in at once.
    let start =
        json!({"state": connector, "redirectUri": format!("{}/callback/{connector}", gate.endpoint().as_str().trim_end_matches('/'))});
    let begun = flow.expect("enterprise sign-in", Request::new("POST", at("authorization-uri")).with_json(&start), &[200]).await?;
    let missing = |what: &str| unexpected("enterprise sign-in", format!("the answer has no {what}"));
    let page = text(&begun, "authorizationUri").ok_or_else(|| missing("authorizationUri"))?;
    let id = text(&begun, "verificationId").ok_or_else(|| missing("verificationId"))?;
    let data = agree(&page).map_err(|error| unexpected("enterprise provider", error.to_string()))?;
    let proof = json!({"verificationId": id, "connectorData": data});
    flow.expect("enterprise proof", Request::new("POST", at("verify")).with_json(&proof), &[200]).await?;
    flow.finish(&id, None).await
}
