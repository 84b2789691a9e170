//! What identity providers make of a sign-in, as far as their connector alone decides it.
//!
//! What a real provider vouches for is its own business. The mock connector that comes with the deployment's own tests
//! takes what it is told.

use serde_json::Value;

use super::mock_social::{Account, MOCK_SOCIAL, mock_account};

/// Whether a connector of this factory takes an answer of the provider; `None` when only the provider knows.
pub fn accepts(factory: Option<&str>, data: &Value) -> Option<bool> {
    (factory == Some(MOCK_SOCIAL)).then(|| mock_account(data) != Account::Unreadable)
}

/// The social account that an accepted answer speaks of, as it is linked to a user; `None` when only the provider knows.
pub fn account(factory: Option<&str>, data: &Value) -> Option<Value> {
    match mock_account(data) {
        Account::Known(identity) if factory == Some(MOCK_SOCIAL) => Some(identity),
        _ => None,
    }
}

/// The token answer that came along: null for none; `None` when only the provider knows.
pub fn token_answer(factory: Option<&str>, data: &Value) -> Option<Value> {
    let answer = data.get("tokenResponse").filter(|answer| answer.get("access_token").is_some());
    (factory == Some(MOCK_SOCIAL)).then(|| answer.cloned().unwrap_or_default())
}

/// Where the user is sent to sign in; `None` when only the connector knows.
pub fn page(factory: Option<&str>, request: &Value) -> Option<String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let (state, back) = (text("state")?, text("redirectUri")?);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", state).append_pair("redirect_uri", back).append_pair("scope", text("scope").unwrap_or("email profile"));
    (factory == Some(MOCK_SOCIAL)).then(|| format!("http://mock-social/?{}", query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_mock_connector_takes_what_it_is_told() {
        let told = json!({"code": "c", "userId": "u", "email": "a@b.c", "tokenResponse": {"access_token": "t"}});
        assert_eq!(accepts(Some(MOCK_SOCIAL), &told), Some(true));
        let account = account(Some(MOCK_SOCIAL), &told).unwrap();
        assert_eq!(account["userId"], "u");
        assert_eq!(account["details"], json!({"id": "u", "email": "a@b.c", "rawData": told}));
        assert_eq!(token_answer(Some(MOCK_SOCIAL), &told), Some(json!({"access_token": "t"})));
        assert_eq!(token_answer(Some(MOCK_SOCIAL), &json!({"code": "c"})), Some(Value::Null));
        assert_eq!(accepts(Some(MOCK_SOCIAL), &json!({})), Some(false));
        let page = page(Some(MOCK_SOCIAL), &json!({"state": "s", "redirectUri": "http://x/"}));
        assert_eq!(page.as_deref(), Some("http://mock-social/?state=s&redirect_uri=http%3A%2F%2Fx%2F&scope=email+profile"));
    }

    #[test]
    fn of_others_nothing_is_said() {
        let data = json!({"code": "c", "userId": "u"});
        assert_eq!((accepts(Some("google-universal"), &data), account(None, &data), token_answer(None, &data)), (None, None, None));
        assert_eq!(page(None, &json!({"state": "s", "redirectUri": "x"})), None);
    }
}
