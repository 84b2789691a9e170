//! The standard connectors for `OpenID` Connect and OAuth 2.0: where they send users, which answers they read, and which
//! account they make of what the provider says.

use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

/// Factory of connectors to `OpenID` Connect providers.
pub const OIDC: &str = "oidc";
/// Factory of connectors to OAuth 2.0 providers.
pub const OAUTH2: &str = "oauth2";

/// Members of an account, and where the OAuth 2.0 connector looks for them when its settings do not say.
const PROFILE: [&str; 5] = ["id", "email", "phone", "name", "avatar"];

/// Whether a factory is one of these two.
pub fn is_standard(factory: &str) -> bool {
    matches!(factory, OIDC | OAUTH2)
}

/// Whether a connector asks the provider about an answer; any other answer is refused at once.
pub fn is_readable(factory: &str, answer: &Value) -> bool {
    let Some(members) = answer.as_object() else { return false };
    let told = members.get("code").is_some_and(Value::is_string);
    match factory {
        OIDC => told && members.values().all(Value::is_string),
        _ => told && members.get("state").is_none_or(Value::is_string),
    }
}

/// Where a connector with these settings sends a user; `request` is the start of a proof. `None` when the settings lack
/// something or say more than is known here. `OpenID` Connect puts a nonce in that the deployment makes up.
pub fn page(factory: &str, config: &Value, request: &Value, nonce: Option<&str>) -> Option<String> {
    let text = |from: &Value, name: &str| from.get(name).and_then(Value::as_str).map(str::to_owned);
    let more = ["authRequestOptionalConfig", "customConfig"].iter().filter_map(|name| config.get(*name)?.as_object());
    if !is_standard(factory) || more.into_iter().any(|more| !more.is_empty()) {
        return None;
    }
    let (asked, set) = (text(request, "scope"), text(config, "scope"));
    let asked = if factory == OIDC { asked } else { asked.filter(|scope| !scope.is_empty()) };
    // A scope that the settings do not have comes last.
    let (scope, late) = match (set, asked) {
        (None, asked) if factory == OAUTH2 => (None, asked),
        (set, asked) => (Some(asked.or_else(|| set.map(|set| if factory == OIDC { with_openid(&set) } else { set }))?), None),
    };
    let mut query = Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", &text(config, "clientId")?);
    query.extend_pairs(scope.map(|scope| ("scope", scope)));
    query.append_pair("redirect_uri", &text(request, "redirectUri")?).append_pair("state", &text(request, "state")?);
    if factory == OIDC {
        query.append_pair("nonce", nonce?);
    }
    query.extend_pairs(late.map(|scope| ("scope", scope)));
    Some(format!("{}?{}", text(config, "authorizationEndpoint")?, query.finish()))
}

fn with_openid(scope: &str) -> String {
    let mut scopes: Vec<&str> = scope.split([' ', '+']).filter(|one| !one.is_empty()).collect();
    if scopes.contains(&"openid") {
        return scope.to_owned();
    }
    scopes.push("openid");
    scopes.join(" ")
}

/// The identity that is linked for what the provider says: the claims of an ID token, or the answer about the user. `None`
/// when the connector does not take it.
pub fn identity(factory: &str, config: &Value, said: &Value) -> Option<Value> {
    let mut details = if factory == OIDC { from_claims(config, said)? } else { from_profile(config, said)? };
    let id = details.get("id")?.clone();
    details.insert("rawData".into(), said.clone());
    Some(json!({"userId": id, "details": details}))
}

fn from_claims(config: &Value, claims: &Value) -> Option<Map<String, Value>> {
    let trusts = config.get("trustUnverifiedEmail") == Some(&Value::Bool(true));
    let verified = |name: &str, absent: bool| match claims.get(name) {
        None | Some(Value::Null) => Some(absent),
        Some(flag) => flag.as_bool(),
    };
    let text = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(_) => None,
    };
    let mut details = Map::from_iter([("id".to_owned(), json!(claims.get("sub")?.as_str()?))]);
    let known = [
        ("name", text("name")?),
        ("avatar", text("picture")?),
        ("email", text("email")?.filter(|_| verified("email_verified", trusts) == Some(true))),
        ("phone", text("phone")?.filter(|_| verified("phone_verified", false) == Some(true))),
    ];
    details.extend(known.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((name.to_owned(), value.into()))
    }));
    Some(details)
}

fn from_profile(config: &Value, profile: &Value) -> Option<Map<String, Value>> {
    let mut details = Map::new();
    for name in PROFILE {
        let place = config.get("profileMap").and_then(|map| map.get(name)).and_then(Value::as_str).unwrap_or(name);
        let value = place.split('.').try_fold(profile, |inner, key| inner.get(key));
        let told = value.filter(|value| !matches!(value, Value::Null | Value::Bool(false)) && **value != "" && **value != 0);
        let Some(value) = told else { continue };
        let value = match value {
            Value::Number(number) if name == "id" => number.to_string(),
            other => other.as_str()?.to_owned(),
        };
        details.insert(name.to_owned(), value.into());
    }
    details.contains_key("id").then_some(details)
}

/// The user as an enterprise connector for `OpenID` Connect stores what its provider says. `None` when it does not take it.
pub fn enterprise_detail(config: &Value, said: &Value) -> Option<Value> {
    let mut detail = from_claims(config, said)?;
    let known = ["sub", "name", "picture", "email", "email_verified", "phone", "phone_verified"];
    let rest = said.as_object()?.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    detail.extend(rest.map(|(name, value)| (camel(name), value.clone())));
    Some(Value::Object(detail))
}

/// A name in camel case.
fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let mut letters = word.chars();
        camel + &letters.next().map(|first| first.to_ascii_uppercase().to_string()).unwrap_or_default() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_who_asks_for_what() {
        let config = json!({"authorizationEndpoint": "http://p/authorize", "clientId": "c", "scope": "profile"});
        let request = json!({"state": "s", "redirectUri": "http://x/"});
        let start = "http://p/authorize?response_type=code&client_id=c";
        let told = |factory, config, request, nonce| page(factory, config, request, nonce);
        let wanted = format!("{start}&scope=profile+openid&redirect_uri=http%3A%2F%2Fx%2F&state=s&nonce=n");
        assert_eq!(told(OIDC, &config, &request, Some("n")), Some(wanted));
        assert_eq!(told(OIDC, &config, &request, None), None);
        let wanted = format!("{start}&scope=profile&redirect_uri=http%3A%2F%2Fx%2F&state=s");
        assert_eq!(told(OAUTH2, &config, &request, None), Some(wanted));
        let bare = json!({"authorizationEndpoint": "http://p/authorize", "clientId": "c"});
        let own = json!({"state": "s", "redirectUri": "y", "scope": "a b"});
        assert_eq!(told(OAUTH2, &bare, &own, None), Some(format!("{start}&redirect_uri=y&state=s&scope=a+b")));
        assert_eq!(told(OAUTH2, &json!({"customConfig": {"prompt": "none"}}), &own, None), None);
    }

    fn identity(config: &Value, said: &Value) -> Value {
        super::identity(OIDC, config, said).unwrap()
    }

    #[test]
    fn an_account_is_what_the_provider_vouches_for() {
        let claims = json!({"sub": "u", "name": "N", "email": "a@b.c", "email_verified": false, "picture": null, "nonce": "n"});
        assert_eq!(identity(&json!({}), &claims), json!({"userId": "u", "details": {"id": "u", "name": "N", "rawData": claims}}));
        let unsaid = json!({"sub": "u", "email": "a@b.c"});
        assert_eq!(identity(&json!({"trustUnverifiedEmail": true}), &unsaid)["details"]["email"], "a@b.c");
        assert_eq!(identity(&json!({}), &unsaid)["details"].get("email"), None);
        assert_eq!(super::identity(OIDC, &json!({}), &json!({"sub": 1})), None);
        let detail = enterprise_detail(&json!({}), &json!({"sub": "u", "picture": "p", "given_name": "G", "email_verified": true}));
        assert_eq!(detail, Some(json!({"id": "u", "avatar": "p", "givenName": "G"})));
        let profile = json!({"inner": {"id": 7}, "email": "a@b.c", "name": ""});
        let map = json!({"profileMap": {"id": "inner.id"}});
        let wanted = json!({"userId": "7", "details": {"id": "7", "email": "a@b.c", "rawData": profile}});
        assert_eq!(super::identity(OAUTH2, &map, &profile), Some(wanted));
        assert_eq!(super::identity(OAUTH2, &json!({}), &profile), None);
    }

    #[test]
    fn answers_are_texts_with_a_code() {
        assert!(is_readable(OIDC, &json!({"code": "c", "state": "s", "iss": "i"})));
        assert!(!is_readable(OIDC, &json!({"code": "c", "extra": 1})) && is_readable(OAUTH2, &json!({"code": "c", "extra": 1})));
        assert!(!is_readable(OAUTH2, &json!({"state": "s"})) && !is_readable(OAUTH2, &json!({"code": "c", "state": 1})));
    }
}
