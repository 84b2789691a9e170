//! Bodies of refusals.

use serde_json::{Map, Value, json};

use crate::contract::guard::{AuthorizationRule, Guard, GuardKind, Place, Refusal, Status};
use crate::model::json;
use crate::model::rules::{PasswordPolicy, UserInfo, UsernamePolicy};
use crate::model::wire::Answer;
use crate::model::{Call, Key, Scene};

/// An answer with a JSON body.
pub fn json_answer(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        headers: vec![("content-type".into(), "application/json; charset=utf-8".into())],
        body: body.to_string().into_bytes().into(),
    }
}

/// An answer with a text.
pub fn text_answer(status: u16, text: &str) -> Answer {
    Answer { status, headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())], body: text.as_bytes().to_vec().into() }
}

/// An answer without body.
pub fn empty_answer(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

/// The answer with an error code.
pub fn coded(status: u16, code: &str) -> Answer {
    json_answer(status, &error_body(code, None))
}

/// The answer of a refusal with an error code.
pub fn refused(Refusal { status, code }: &Refusal) -> Answer {
    coded(exact(*status), code.as_deref().unwrap_or_default())
}

/// The status that is sent.
const fn exact(status: Status) -> u16 {
    match status {
        Status::Exact(status) => status,
        Status::AnyRefusal => 400,
    }
}

fn error_body(code: &str, data: Option<Value>) -> Value {
    let mut body = Map::from_iter([("code".to_owned(), json!(code))]);
    body.extend(data.map(|data| ("data".to_owned(), data)));
    body.insert("message".into(), message(code).into());
    if let Some(error) = code.strip_prefix("oidc.") {
        body.insert("error".into(), error.into());
        body.insert("error_description".into(), message(code).into());
    }
    Value::Object(body)
}

/// A text for people: what the code says, in words.
fn message(code: &str) -> String {
    let words = code.rsplit('.').next().unwrap_or(code).replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// The answer of a broken guard.
pub fn refusal(scene: &Scene<'_>, guard: &Guard) -> Answer {
    let Refusal { status, code } = guard.refusal();
    let status = exact(*status);
    match (code.as_deref(), &guard.kind) {
        (None, GuardKind::Parsable(_)) => json_answer(status, &json!({"message": "The body cannot be parsed."})),
        (None, GuardKind::PasswordPolicy(_)) => {
            json_answer(status, &json!({"result": false, "issues": data(scene, &guard.kind).unwrap_or_else(|| json!([]))}))
        }
        (None, _) if status == 404 => text_answer(404, "Not Found"),
        // The contract promises a refusal and no more; a code is what clients can work with.
        (None, _) => invalid_input(scene.call, status, "guard.invalid_input"),
        (Some(code), GuardKind::ValidInput(_)) if !code.starts_with("oidc.") => invalid_input(scene.call, status, code),
        (Some(code), kind) => match code.strip_suffix('*') {
            Some(start) => json_answer(status, &error_body(&completed(scene, kind, start), None)),
            None => json_answer(status, &error_body(code, data(scene, kind))),
        },
    }
}

/// The code that a pattern such as `user.username_*` stands for here.
fn completed(scene: &Scene<'_>, kind: &GuardKind, start: &str) -> String {
    let violation = match kind {
        GuardKind::UsernamePolicy(value) => {
            let policy: UsernamePolicy = setting(scene, "usernamePolicy").unwrap_or_default();
            scene.call.text(value).and_then(|username| policy.violation(&username))
        }
        _ => None,
    };
    format!("{start}{}", violation.unwrap_or("rejected"))
}

fn setting<T: serde::de::DeserializeOwned>(scene: &Scene<'_>, name: &str) -> Option<T> {
    serde_json::from_value(scene.state.settings(&Key::sign_in_experience()).known(name)?.clone()).ok()
}

fn data(scene: &Scene<'_>, kind: &GuardKind) -> Option<Value> {
    match kind {
        GuardKind::Authorization(AuthorizationRule::Bearer) => Some(json!({"supportedTypes": ["Bearer"]})),
        GuardKind::Authorization(AuthorizationRule::ManagementToken) => Some(json!({"code": "ERR_JWS_INVALID", "name": "JWSInvalid"})),
        GuardKind::PasswordPolicy(value) => {
            let policy: PasswordPolicy = setting(scene, "passwordPolicy").unwrap_or_default();
            let text = |name: &str| scene.judged_user().and_then(|user| user.text(name)).flatten().map(str::to_owned);
            let info =
                UserInfo { name: text("name"), username: text("username"), email: text("primaryEmail"), phone: text("primaryPhone") };
            serde_json::to_value(policy.issues(&scene.call.text(value)?, &info)).ok()
        }
        _ => None,
    }
}

/// `guard.invalid_input` with what the schemas find wrong, in the form of a `ZodError`.
fn invalid_input(call: &Call<'_>, status: u16, code: &str) -> Answer {
    let body = call.operation.body.as_ref().and_then(|(_, schema)| {
        let value = json::parse(&call.request.body).unwrap_or_else(|_| call.input.clone());
        Some(("body", schema.first_error(&value)?))
    });
    let found = body.or_else(|| {
        call.operation.parameters.iter().find_map(|parameter| {
            let (part, value) = match parameter.place {
                Place::Path => ("params", call.path.get(&parameter.name)),
                Place::Query => ("query", call.query.get(&parameter.name)),
                Place::Body | Place::Header => return None,
            };
            let mut error = parameter.schema.first_error(&value.map_or(Value::Null, |text| json!(text)))?;
            error.pointer = format!("/{}{}", parameter.name, error.pointer);
            Some((part, error))
        })
    });
    let (part, pointer, what) = match found {
        Some((part, error)) => (part, error.pointer, error.what),
        None => ("body", String::new(), "the value cannot be stored".to_owned()),
    };
    let path: Vec<Value> =
        pointer.split('/').skip(1).map(|key| key.parse::<u64>().map_or_else(|_| json!(key), |index| json!(index))).collect();
    let issue = json!({"code": "custom", "path": path, "message": what});
    let body = json!({
        "code": code,
        "data": {"issues": [issue], "name": "ZodError"},
        "details": format!("Error in key path \"{}\": {what}", pointer.trim_start_matches('/').replace('/', ".")),
        "message": format!("The request {part} is invalid."),
    });
    json_answer(status, &body)
}
