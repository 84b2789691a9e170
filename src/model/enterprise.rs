//! Enterprise identities: they come about by signing in through an enterprise connector, outside the specified operations.

use serde_json::Value;

use super::guard::sso_property;
use super::proof::{kept_tokens, tokens_of};
use super::state::{Key, Kind, State, Term, Truth};

/// Property of a user that says that there is an enterprise identity of a connector, where it was not seen yet.
fn linked_property(connector: &str) -> String {
    format!("hasSsoIdentity/{connector}")
}

/// Whether a user is known to have signed in through an enterprise connector.
pub(super) fn is_linked(user: &super::state::Entity, connector: &str) -> Truth {
    Truth::maybe(user.flag(&linked_property(connector)))
}

/// Remembers that a user signed in through an enterprise connector, with the provider's token answer. How the identity looks
/// is known once it is shown.
pub fn signed_in_through(state: &mut State, user: &str, connector: &str, tokens: &Value, now: i64) {
    let user = Key::new(Kind::User, user);
    state.update(&user, |known| {
        known.set("ssoIdentities", Term::Unknown);
        known.set(sso_property(connector), Term::Unknown);
        known.set(linked_property(connector), true);
        for moved in ["lastSignInAt", "updatedAt", "applicationId"] {
            known.set(moved, Term::Unknown);
        }
    });
    keep_enterprise_tokens(state, &user, connector, tokens, now);
}

/// Stores the token answer of an enterprise provider for a user, if its connector keeps tokens.
pub fn keep_enterprise_tokens(state: &mut State, user: &Key, connector: &str, tokens: &Value, now: i64) {
    let keeps = state.find(Kind::SsoConnector, connector).and_then(|known| known.flag("enableTokenStorage"));
    if keeps == Some(false) || tokens.get("access_token").is_none() {
        return;
    }
    let mut entity = tokens_of(&kept_tokens(tokens, now));
    entity.set("owner", user.id.as_str());
    entity.set("userId", user.id.as_str());
    entity.set("ssoConnectorId", connector);
    entity.set("target", Value::Null);
    if keeps.is_some() {
        state.insert(Key::new(Kind::TokenSet, format!("{} sso {connector}", user.id)), entity);
    } else {
        state.update(user, |user| user.set(super::state::KNOWS_ALL, Term::Unknown));
    }
}

/// Unlinks what came through an enterprise connector that is gone.
pub(super) fn forget_connector(state: &mut State, connector: &str) {
    let linked = |user: &super::state::Entity| user.iter().any(|(name, _)| name.contains("sso") || name.contains("Sso"));
    state.update_all(Kind::User, linked, |user| {
        if let Some(Value::Array(all)) = user.known("ssoIdentities") {
            let left = all.iter().filter(|identity| identity.get("ssoConnectorId").is_none_or(|id| id != connector));
            let left: Value = left.cloned().collect();
            user.set("ssoIdentities", left);
        }
        user.set(sso_property(connector), Value::Null);
        user.set(linked_property(connector), false);
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::state::{Entity, KNOWS_ALL};
    use super::*;

    #[test]
    fn a_sign_in_leaves_an_identity_and_tokens() {
        let mut state = State::closed();
        state.insert(Key::new(Kind::User, "u"), Entity::from_json(&json!({"ssoIdentities": []})));
        state.insert(Key::new(Kind::SsoConnector, "c"), Entity::from_json(&json!({"enableTokenStorage": true})));
        signed_in_through(&mut state, "u", "c", &json!({"access_token": "a", "expires_in": 60, "refresh_token": "r"}), 1000);
        let user = state.find(Kind::User, "u").unwrap();
        assert_eq!((is_linked(user, "c"), is_linked(user, "d")), (Truth::Yes, Truth::Unknown));
        let (_, tokens) = state.all(Kind::TokenSet).next().unwrap();
        assert_eq!((tokens.known("endsAt"), tokens.flag("renewable")), (Some(&json!(61_000)), Some(true)));
        state.delete(&Key::new(Kind::SsoConnector, "c"));
        forget_connector(&mut state, "c");
        assert_eq!(is_linked(state.find(Kind::User, "u").unwrap(), "c"), Truth::No);
        assert_eq!(state.all(Kind::TokenSet).count(), 0);
    }

    #[test]
    fn tokens_are_stored_where_the_connector_keeps_them_and_the_provider_sent_one() {
        let token = json!({"access_token": "a"});
        for (connector, tokens, stored, all) in [
            (json!({"enableTokenStorage": true}), &token, 1, Some(true)),
            (json!({"enableTokenStorage": true}), &json!({"scope": "a"}), 0, Some(true)),
            (json!({"enableTokenStorage": true}), &Value::Null, 0, Some(true)),
            (json!({"enableTokenStorage": false}), &token, 0, Some(true)),
            // Whether it keeps them is not known.
            (json!({}), &token, 0, None),
            (json!({}), &Value::Null, 0, Some(true)),
        ] {
            let mut state = State::closed();
            let user = Key::new(Kind::User, "u");
            state.insert(user.clone(), Entity::from_json(&json!({KNOWS_ALL: true})));
            state.insert(Key::new(Kind::SsoConnector, "c"), Entity::from_json(&connector));
            keep_enterprise_tokens(&mut state, &user, "c", tokens, 1000);
            let known = state.get(&user).unwrap().flag(KNOWS_ALL);
            assert_eq!((state.all(Kind::TokenSet).count(), known), (stored, all), "{connector} {tokens}");
        }
    }

    #[test]
    fn a_connector_takes_its_own_identities_along_and_no_others() {
        let mut state = State::closed();
        let identities = json!([{"ssoConnectorId": "c", "identityId": "1"}, {"ssoConnectorId": "d", "identityId": "2"}]);
        state.insert(Key::new(Kind::User, "u"), Entity::from_json(&json!({"ssoIdentities": identities})));
        forget_connector(&mut state, "c");
        let left = state.find(Kind::User, "u").unwrap().known("ssoIdentities");
        assert_eq!(left, Some(&json!([{"ssoConnectorId": "d", "identityId": "2"}])));
    }
}
