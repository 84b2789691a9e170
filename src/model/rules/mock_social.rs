//! The social connector that test deployments of Logto have in place of a real provider: it believes what it is given.

use serde_json::{Map, Value};

/// Name of the connector's factory.
pub const MOCK_SOCIAL: &str = "mock-social-connector";

/// Members of an answer that become the account's, besides its id.
const SHOWN: [&str; 4] = ["email", "phone", "name", "avatar"];

/// What the connector reads from an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Account {
    /// This identity.
    Known(Value),
    /// The answer names nobody, so the connector makes somebody up.
    MadeUp,
    /// Nothing: the answer cannot be read.
    Unreadable,
}

/// The account that an answer speaks of.
pub fn mock_account(answer: &Value) -> Account {
    let optional = |name: &str| answer.get(name).is_none_or(Value::is_string);
    if !(answer.get("code").is_some_and(Value::is_string) && optional("userId") && SHOWN.into_iter().all(optional)) {
        return Account::Unreadable;
    }
    let Some(id) = answer.get("userId") else { return Account::MadeUp };
    let mut details = Map::from_iter([("id".to_owned(), id.clone())]);
    details.extend(SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(*name)?.clone()))));
    details.insert("rawData".to_owned(), answer.clone());
    let identity = [("userId".to_owned(), id.clone()), ("details".to_owned(), Value::Object(details))];
    Account::Known(Value::Object(Map::from_iter(identity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_with_a_code_is_believed() {
        let answer = json!({"code": "c", "userId": "u", "name": "N", "tokenResponse": {"access_token": "a"}});
        let account = json!({"userId": "u", "details": {"id": "u", "name": "N", "rawData": answer}});
        assert_eq!(mock_account(&answer), Account::Known(account));
        assert_eq!(mock_account(&json!({"code": "c"})), Account::MadeUp);
        for unreadable in [json!({}), json!({"code": 1}), json!({"code": "c", "email": null})] {
            assert_eq!(mock_account(&unreadable), Account::Unreadable, "{unreadable}");
        }
    }
}
