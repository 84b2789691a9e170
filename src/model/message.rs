//! Messages: how often and whether they can be sent; codes that belong to no verification record.

use serde_json::{Value, json};

use super::call::Call;
use super::guard::NEAR_MS;
use super::rules::{Phone, parse_phone};
use super::state::{Entity, Key, Kind, State, Term, Truth};
use crate::contract::MessageKind;
use crate::contract::guard::{MessageRule, SentCodeRule};

/// Messages that one recipient gets at most within `WINDOW_MS`.
pub const MOST_MESSAGES: u64 = 10;
/// The time within which messages are counted, in milliseconds.
const WINDOW_MS: i64 = 600_000;
/// Digits of a code.
const CODE_DIGITS: usize = 6;
/// Seconds a code lives where the tenant says nothing.
pub const CODE_LIFE: i64 = 600;
/// Wrong codes that are accepted where the tenant says nothing.
pub const MOST_TRIES: u64 = 10;

/// Where a message goes.
struct Recipient {
    text: String,
    kind: MessageKind,
    /// Characters that can be stored.
    room: usize,
}

/// The e-mail address in the body if it looks like one, else the phone number.
fn recipient(call: &Call<'_>) -> Option<Recipient> {
    let text = |name: &str| call.input.get(name).and_then(Value::as_str);
    match (text("email").filter(|text| looks_like_address(text)), text("phone")) {
        (Some(email), _) => Some(Recipient { text: email.to_owned(), kind: MessageKind::Email, room: 128 }),
        (None, Some(phone)) => Some(Recipient { text: phone.to_owned(), kind: MessageKind::Sms, room: 32 }),
        (None, None) => None,
    }
}

fn looks_like_address(text: &str) -> bool {
    let has_inner_dot = |domain: &str| {
        let mut rest = domain.chars();
        rest.next();
        rest.as_str().rfind('.').is_some_and(|at| at + 1 < rest.as_str().len())
    };
    let mut signs = text.char_indices().skip(1).filter(|(_, one)| *one == '@');
    !text.contains(char::is_whitespace) && signs.any(|(at, _)| has_inner_dot(&text[at + 1..]))
}

/// The code that waits for a recipient: letters count as they are.
fn code_key(recipient: &Recipient) -> Key {
    Key::new(Kind::MessageCode, recipient.text.clone())
}

/// A recipient however it is written: messages to it are counted together.
fn normal(recipient: &str) -> String {
    let recipient = recipient.trim();
    match parse_phone(recipient) {
        _ if recipient.contains('@') => recipient.to_lowercase(),
        Phone::Valid(stored) => stored,
        _ => recipient.to_owned(),
    }
}

/// Whether a message can be sent.
pub fn can_send(rule: MessageRule, call: &Call<'_>, state: &State, now: i64) -> Truth {
    let Some(recipient) = recipient(call) else { return Truth::Yes };
    match rule {
        MessageRule::Allowed => may_send(state, &recipient.text, now),
        MessageRule::Storable => Truth::of(recipient.text.chars().count() <= recipient.room),
        MessageRule::Connected => has_channel(state, recipient.kind.connector()),
    }
}

/// Whether one more message to a recipient is allowed.
pub fn may_send(state: &State, recipient: &str, now: i64) -> Truth {
    let sends = times(state.find(Kind::Recipient, &normal(recipient)));
    let within = |window: i64| sends.iter().filter(|sent| now - *sent < window).map(|_| 1).sum::<u64>();
    if within(WINDOW_MS + NEAR_MS) < MOST_MESSAGES {
        Truth::Yes
    } else if within(WINDOW_MS - NEAR_MS) >= MOST_MESSAGES {
        Truth::No
    } else {
        Truth::Near
    }
}

/// Whether there is a connector of a type for messages: `Email` or `Sms`.
pub fn has_channel(state: &State, kind: &str) -> Truth {
    let fits = |connector: &Entity| connector.exists() && connector.text("type") == Some(Some(kind));
    if state.all(Kind::Connector).any(|(_, connector)| fits(connector)) {
        Truth::Yes
    } else if state.knows_all(Kind::Connector, None) {
        Truth::No
    } else {
        Truth::Unknown
    }
}

fn times(counted: Option<&Entity>) -> Vec<i64> {
    let sent = counted.and_then(|counted| counted.known("sends")).and_then(Value::as_array);
    sent.into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Whether the code of the recipient can be used. `policy` is the tenant's policy for codes, if it is known.
pub fn can_use(rule: SentCodeRule, call: &Call<'_>, state: &State, policy: Option<&Value>, now: i64) -> Truth {
    let Some(key) = recipient(call).map(|recipient| code_key(&recipient)) else { return Truth::Unknown };
    let Some(code) = state.get(&key) else {
        return if state.is_closed() && rule == SentCodeRule::Pending { Truth::No } else { Truth::Unknown };
    };
    let number = |name: &str| policy.map(|policy| policy.get(name).and_then(Value::as_i64));
    match rule {
        SentCodeRule::Pending => Truth::maybe(code.flag("used").map(|used| !used)),
        SentCodeRule::Fresh => match (number("expirationDuration"), code.known("createdAt").and_then(Value::as_i64)) {
            (Some(life), Some(created)) => match created + life.unwrap_or(CODE_LIFE) * 1000 - now {
                left if left.abs() < NEAR_MS => Truth::Near,
                left => Truth::of(left > 0),
            },
            _ => Truth::Unknown,
        },
        SentCodeRule::TriesLeft => match (number("maxRetryAttempts"), code.known("tries").and_then(Value::as_u64)) {
            (Some(most), Some(tries)) => Truth::of(tries < most.and_then(|most| u64::try_from(most).ok()).unwrap_or(MOST_TRIES)),
            _ => Truth::Unknown,
        },
        SentCodeRule::Right => {
            let given = call.input.get("verificationCode").and_then(Value::as_str).unwrap_or_default();
            if let Some(right) = code.text("code").flatten() {
                return Truth::of(given == right);
            }
            let possible = given.len() == CODE_DIGITS && given.bytes().all(|byte| byte.is_ascii_digit());
            let wrong = code.known("wrong").and_then(Value::as_array).is_some_and(|wrong| wrong.iter().any(|one| one == given));
            if possible && !wrong { Truth::Unknown } else { Truth::No }
        }
    }
}

/// A new code takes the place of an older one.
pub fn make_code(call: &Call<'_>, state: &mut State, now: i64) {
    if let Some(recipient) = recipient(call) {
        let code = Entity::default().with("createdAt", json!(now)).with("tries", json!(0)).with("used", false);
        state.insert(code_key(&recipient), code);
    }
}

/// Somebody has read the code that waits for a recipient.
pub fn reveal_code(state: &mut State, recipient: &str, code: &str) {
    state.update(&Key::new(Kind::MessageCode, recipient), |waiting| waiting.set("code", code));
}

/// A message went out to the recipient of a call.
pub fn count_message(call: &Call<'_>, state: &mut State, now: i64) {
    if let Some(recipient) = recipient(call) {
        count_send(state, &recipient.text, now);
    }
}

/// Whom a call of the Management API sends a code to, and by what.
pub fn addressee(call: &Call<'_>) -> Option<(String, MessageKind)> {
    recipient(call).map(|recipient| (recipient.text, recipient.kind))
}

/// A message that was counted did not go out after all.
pub fn forget_send(state: &mut State, recipient: &str, at: i64) {
    state.update(&Key::new(Kind::Recipient, normal(recipient)), |recipient| {
        let mut sends = times(Some(recipient));
        if let Some(last) = sends.iter().rposition(|sent| *sent == at) {
            sends.remove(last);
        }
        recipient.set("sends", json!(sends));
    });
}

/// A message went out.
pub fn count_send(state: &mut State, recipient: &str, now: i64) {
    note(state, &normal(recipient), |recipient| {
        let mut sends = times(Some(recipient));
        sends.push(now);
        recipient.set("sends", json!(sends));
    });
}

/// Changes what is remembered of a recipient.
pub fn note(state: &mut State, recipient: &str, change: impl FnOnce(&mut Entity)) {
    let key = Key::new(Kind::Recipient, recipient);
    if state.get(&key).is_none() {
        state.insert(key.clone(), Entity::default());
    }
    state.update(&key, change);
}

/// A wrong code was tried.
pub fn count_wrong_code(call: &Call<'_>, state: &mut State) {
    let Some(recipient) = recipient(call) else { return };
    state.update(&code_key(&recipient), |code| {
        let tries = code.known("tries").and_then(Value::as_u64).map_or(Term::Unknown, |tries| Term::Known((tries + 1).into()));
        code.set("tries", tries);
        let mut wrong = code.known("wrong").and_then(Value::as_array).cloned().unwrap_or_default();
        wrong.extend(call.input.get("verificationCode").cloned());
        code.set("wrong", Value::Array(wrong));
    });
}

/// The right code was given.
pub fn use_code(call: &Call<'_>, state: &mut State) {
    if let Some(recipient) = recipient(call) {
        state.insert(code_key(&recipient), Entity::default().with("used", true));
    }
}

/// Forgets failures of users and messages to recipients.
pub fn forget_failures(call: &Call<'_>, state: &mut State) {
    if call.input.get("targetType").and_then(Value::as_str) != Some("User") {
        return;
    }
    for target in call.input.get("targets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        state.update(&Key::new(Kind::User, target), |user| user.set("failures", json!(0)));
        state.remove(&Key::new(Kind::Recipient, target));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::sample::NOW;
    use std::collections::BTreeMap;

    use super::*;
    use crate::contract::{Contract, Version};
    use crate::model::wire::Request;

    const ADDRESS: &str = "a@b.c";

    /// Looks at a call of an operation with this body.
    fn call<T>(operation: &str, body: &Value, look: impl FnOnce(&Call<'_>) -> T) -> T {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let request = Request::new("POST", "").with_json(body);
        look(&Call::read(contract.operation(operation).unwrap(), BTreeMap::new(), &request))
    }

    /// Looks at a try of a code.
    fn tried<T>(code: &str, look: impl FnOnce(&Call<'_>) -> T) -> T {
        call("VerifyVerificationCode", &json!({"email": ADDRESS, "verificationCode": code}), look)
    }

    /// A code was sent just now.
    fn sent() -> State {
        let mut state = State::closed();
        call("CreateVerificationCode", &json!({"email": ADDRESS}), |call| make_code(call, &mut state, NOW));
        state
    }

    #[test]
    fn what_looks_like_an_address_is_one() {
        for address in ["a@b.c", "a@b.c.d", "@@b.c", "a@@b.c", "a@b@c.d"] {
            assert!(looks_like_address(address), "{address}");
        }
        for other in ["", "a", "a@b", "@b.c", "a@.c", "a@b.", "a b@c.d", "a@.", "a.b@c"] {
            assert!(!looks_like_address(other), "{other}");
        }
    }

    #[test]
    fn an_address_that_fits_counts_before_a_phone_number() {
        let email = Some((ADDRESS.to_owned(), MessageKind::Email));
        let phone = Some(("447911123456".to_owned(), MessageKind::Sms));
        for (body, expected) in [
            (json!({"email": "a@b.c"}), email.clone()),
            (json!({"phone": "447911123456"}), phone.clone()),
            (json!({"email": "a@b.c", "phone": "447911123456"}), email),
            (json!({"email": "nobody", "phone": "447911123456"}), phone),
            (json!({}), None),
        ] {
            assert_eq!(call("CreateVerificationCode", &body, addressee), expected, "{body}");
        }
    }

    #[test]
    fn one_message_more_than_ten_is_allowed_when_the_first_is_ten_minutes_old() {
        for (age, expected) in [
            (0, Truth::No),
            (569_999, Truth::No),
            (600_000, Truth::Near),
            (629_999, Truth::Near),
            (630_000, Truth::Yes),
            (86_400_000, Truth::Yes),
        ] {
            let mut state = State::closed();
            count_send(&mut state, ADDRESS, NOW - age);
            for _ in 2..MOST_MESSAGES {
                count_send(&mut state, ADDRESS, NOW);
            }
            assert_eq!(may_send(&state, ADDRESS, NOW), Truth::Yes, "{age}");
            count_send(&mut state, ADDRESS, NOW);
            assert_eq!(may_send(&state, ADDRESS, NOW), expected, "{age}");
        }
    }

    #[test]
    fn messages_to_one_recipient_are_counted_together_however_it_is_written() {
        for (sent, other, together) in [
            ("A@B.c", "a@b.C", true),
            ("a@b.c", "a@b.d", false),
            ("4407911123456", "447911123456", true),
            ("447911123456", "447911123457", false),
        ] {
            let mut state = State::closed();
            for _ in 0..MOST_MESSAGES {
                count_send(&mut state, sent, NOW);
            }
            assert_eq!(may_send(&state, other, NOW), Truth::of(!together), "{sent} {other}");
        }
    }

    #[test]
    fn a_message_that_did_not_go_out_is_not_counted() {
        let mut state = State::closed();
        for at in [NOW - 2, NOW, NOW] {
            count_send(&mut state, ADDRESS, at);
        }
        for (at, left) in [(NOW, json!([NOW - 2, NOW])), (NOW - 1, json!([NOW - 2, NOW])), (NOW - 2, json!([NOW])), (NOW, json!([]))] {
            forget_send(&mut state, "A@B.C", at);
            assert_eq!(state.find(Kind::Recipient, ADDRESS).unwrap().known("sends"), Some(&left), "{at}");
        }
    }

    #[test]
    fn a_code_that_nobody_was_seen_to_ask_for_may_wait_where_not_all_is_known() {
        for (state, rule, expected) in [
            (State::closed(), SentCodeRule::Pending, Truth::No),
            (State::default(), SentCodeRule::Pending, Truth::Unknown),
            (State::closed(), SentCodeRule::Fresh, Truth::Unknown),
            (State::closed(), SentCodeRule::Right, Truth::Unknown),
            (sent(), SentCodeRule::Pending, Truth::Yes),
        ] {
            assert_eq!(tried("123456", |call| can_use(rule, call, &state, None, NOW)), expected, "{rule:?}");
        }
    }

    #[test]
    fn a_code_lives_as_long_as_the_tenant_says_or_ten_minutes() {
        let (minute, usual) = (json!({"expirationDuration": 60}), json!({}));
        for (policy, age, expected) in [
            (Some(&usual), 0, Truth::Yes),
            (Some(&usual), 570_000, Truth::Yes),
            (Some(&usual), 570_001, Truth::Near),
            (Some(&usual), 600_000, Truth::Near),
            (Some(&usual), 629_999, Truth::Near),
            (Some(&usual), 630_000, Truth::No),
            (Some(&minute), 0, Truth::Yes),
            (Some(&minute), 120_000, Truth::No),
            (None, 0, Truth::Unknown),
        ] {
            let fresh = tried("123456", |call| can_use(SentCodeRule::Fresh, call, &sent(), policy, NOW + age));
            assert_eq!(fresh, expected, "{policy:?} {age}");
        }
    }

    #[test]
    fn a_code_bears_ten_wrong_tries() {
        let (mut state, policy) = (sent(), json!({}));
        tried("000000", |wrong| {
            for _ in 0..MOST_TRIES {
                assert_eq!(can_use(SentCodeRule::TriesLeft, wrong, &state, Some(&policy), NOW), Truth::Yes);
                count_wrong_code(wrong, &mut state);
            }
            assert_eq!(can_use(SentCodeRule::TriesLeft, wrong, &state, Some(&policy), NOW), Truth::No);
        });
    }

    #[test]
    fn six_digits_not_yet_refused_may_be_the_code_until_somebody_has_read_it() {
        let mut state = sent();
        let right = |state: &State, code: &str| tried(code, |call| can_use(SentCodeRule::Right, call, state, None, NOW));
        tried("000000", |call| count_wrong_code(call, &mut state));
        for (code, expected) in [
            ("123456", Truth::Unknown),
            ("000000", Truth::No),
            ("12345", Truth::No),
            ("1234567", Truth::No),
            ("12345a", Truth::No),
            ("none", Truth::No),
        ] {
            assert_eq!(right(&state, code), expected, "{code}");
        }
        reveal_code(&mut state, ADDRESS, "123456");
        assert_eq!((right(&state, "123456"), right(&state, "123457")), (Truth::Yes, Truth::No));
    }
}
