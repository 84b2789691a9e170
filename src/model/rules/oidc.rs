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
    // A flag of another type is refused like a text of another type.
    let (email, phone) = (verified("email_verified", trusts)?, verified("phone_verified", false)?);
    let mut details = Map::from_iter([("id".to_owned(), json!(claims.get("sub")?.as_str()?))]);
    let known = [
        ("name", text("name")?),
        ("avatar", text("picture")?),
        ("email", text("email")?.filter(|_| email)),
        ("phone", text("phone")?.filter(|_| phone)),
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

    #[test]
    fn a_page_is_told_only_where_nothing_else_is_put_into_it() {
        let request = json!({"state": "s", "redirectUri": "y"});
        let told = |factory: &str, name: &str, more: Value| {
            let config = json!({"authorizationEndpoint": "http://p/a", "clientId": "c", "scope": "openid", name: more});
            page(factory, &config, &request, Some("n")).is_some()
        };
        for factory in [OIDC, OAUTH2] {
            for name in ["authRequestOptionalConfig", "customConfig"] {
                assert!(told(factory, name, json!({})), "{factory} {name}");
                assert!(!told(factory, name, json!({"prompt": "none"})), "{factory} {name}");
            }
        }
        assert!(!told("github", "customConfig", json!({})));
    }

    #[test]
    fn a_scope_that_is_asked_for_takes_the_place_of_the_one_in_the_settings() {
        let (start, end) = ("http://p/a?response_type=code&client_id=c", "redirect_uri=y&state=s");
        let told = |factory: &str, set: Option<&str>, asked: Option<&str>| {
            let mut config = json!({"authorizationEndpoint": "http://p/a", "clientId": "c"});
            let mut request = json!({"state": "s", "redirectUri": "y"});
            for (from, scope) in [(&mut config, set), (&mut request, asked)] {
                from.as_object_mut().unwrap().extend(scope.map(|scope| ("scope".to_owned(), scope.into())));
            }
            page(factory, &config, &request, Some("n"))
        };
        for (set, asked, scope) in [
            (Some("openid a"), None, Some("openid+a")),
            (Some("openid a"), Some("b"), Some("b")),
            (Some("openid a"), Some(""), Some("")),
            (None, Some("b"), Some("b")),
            (None, None, None),
        ] {
            let wanted = scope.map(|scope| format!("{start}&scope={scope}&{end}&nonce=n"));
            assert_eq!(told(OIDC, set, asked), wanted, "{set:?} {asked:?}");
        }
        for (set, asked, query) in [
            (Some("a"), None, format!("&scope=a&{end}")),
            (Some("a"), Some("b"), format!("&scope=b&{end}")),
            (Some("a"), Some(""), format!("&scope=a&{end}")),
            (None, Some("b"), format!("&{end}&scope=b")),
            (None, Some(""), format!("&{end}")),
            (None, None, format!("&{end}")),
        ] {
            assert_eq!(told(OAUTH2, set, asked), Some(format!("{start}{query}")), "{set:?} {asked:?}");
        }
    }

    #[test]
    fn a_phone_number_counts_only_where_the_provider_has_verified_it() {
        for (verified, phone) in [(json!(true), Some("15550001")), (json!(false), None), (Value::Null, None)] {
            // Trust in addresses is none in numbers.
            for config in [json!({}), json!({"trustUnverifiedEmail": true})] {
                let found = identity(&config, &json!({"sub": "u", "phone": "15550001", "phone_verified": verified}));
                assert_eq!(found["details"].get("phone").and_then(Value::as_str), phone, "{verified} {config}");
            }
        }
    }

    #[test]
    fn of_a_profile_only_the_id_may_be_a_number() {
        let taken = |profile: Value| super::identity(OAUTH2, &json!({}), &profile).map(|found| found["userId"].clone());
        assert_eq!(taken(json!({"id": 7, "name": "N"})), Some("7".into()));
        assert_eq!(taken(json!({"id": "u", "name": "N"})), Some("u".into()));
        for name in ["email", "phone", "name", "avatar"] {
            assert_eq!(taken(json!({"id": "u", name: 7})), None, "{name}");
        }
    }
}
