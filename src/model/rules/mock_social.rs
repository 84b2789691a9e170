//! The social connector that test deployments of Logto have in place of a real provider: it believes what it is given.

use serde_json::{Map, Value};

/// Name of the connector's factory.
pub const MOCK_SOCIAL: &str = "mock-social-connector";

/// Members of an answer that become the account's, besides its id.
const SHOWN: [&str; 4] = ["email", "phone", "name", "avatar"];

/// The account that an answer speaks of; `None` when the connector cannot read the answer. Without an id in the answer the
/// connector makes one up, so that nothing is known of it: `Some(None)`.
pub fn mock_account(answer: &Value) -> Option<Option<Value>> {
    let optional = |name: &str| answer.get(name).is_none_or(Value::is_string);
    let readable = answer.get("code").is_some_and(Value::is_string) && optional("userId") && SHOWN.into_iter().all(optional);
    readable.then(|| {
        let id = answer.get("userId")?;
        let mut details = Map::from_iter([("id".to_owned(), id.clone())]);
        details.extend(SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(*name)?.clone()))));
        details.insert("rawData".to_owned(), answer.clone());
        Some(Value::Object(Map::from_iter([("userId".to_owned(), id.clone()), ("details".to_owned(), Value::Object(details))])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_with_a_code_is_believed() {
        let answer = json!({"code": "c", "userId": "u", "name": "N", "tokenResponse": {"access_token": "a"}});
        let account = json!({"userId": "u", "details": {"id": "u", "name": "N", "rawData": answer}});
        assert_eq!(mock_account(&answer), Some(Some(account)));
        assert_eq!(mock_account(&json!({"code": "c"})), Some(None));
        for unreadable in [json!({}), json!({"code": 1}), json!({"code": "c", "email": null})] {
            assert_eq!(mock_account(&unreadable), None, "{unreadable}");
        }
    }
}
