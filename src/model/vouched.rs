//! What a social provider makes of a sign-in there, where that is known: the provider is ours, or takes what it is told.
//!
//! A consent at a provider of ours is remembered by its code: `record` is the proof it was given for, with `connector` and
//! `redirectUri`; `account` the identity that is linked, `tokens` the token answer that comes along (its member `renewed` is
//! what a renewal brings, null for a refusal), `used` whether the code is spent.

use serde_json::{Value, json};

use super::rules::{OIDC, is_readable, is_standard, provider};
use super::state::{Entity, Key, Kind, State, Term, Truth};

/// Remembers that somebody consented at the page of a social record: `data` is what comes back with the user, `account` the
/// identity as it will be linked, `tokens` the token answer that will be given for the code.
pub fn consented(state: &mut State, page_record: &str, data: &Value, account: &Value, tokens: &Value) {
    let Some(code) = data.get("code").and_then(Value::as_str) else { return };
    let record = state.find(Kind::Record, page_record).cloned().unwrap_or_default();
    let consent = Entity::default()
        .with("record", page_record)
        .with("connector", record.get("connector").clone())
        .with("redirectUri", record.get("redirectUri").clone())
        .with("account", account.clone())
        .with("tokens", tokens.clone())
        .with("used", false);
    state.insert(Key::new(Kind::Consent, code), consent);
}

/// A social record and what came back for it.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub state: &'a State,
    pub id: &'a str,
    pub record: &'a Entity,
    pub data: &'a Value,
}

impl<'a> Proof<'a> {
    fn connector(&self) -> Option<&'a Entity> {
        self.state.find(Kind::Connector, self.record.text("connector").flatten()?)
    }

    fn factory(&self) -> Option<&'a str> {
        self.connector()?.text("connectorId")?
    }

    /// The consent that the answer speaks of, with the factory it goes to.
    fn consent(&self) -> Option<(&'a str, &'a Entity)> {
        let factory = self.factory().filter(|factory| is_standard(factory))?;
        Some((factory, self.state.find(Kind::Consent, self.data.get("code")?.as_str()?)?))
    }

    /// Whether the connector takes it. Of a foreign provider either answer is right.
    pub fn accepted(&self) -> Truth {
        let Some(factory) = self.factory().filter(|factory| is_standard(factory)) else {
            return provider::accepts(self.factory(), self.data).map_or(Truth::Near, Truth::of);
        };
        if !is_readable(factory, self.data) {
            return Truth::No;
        }
        self.consent().map_or(Truth::Near, |(_, consent)| {
            let fresh = Truth::maybe(consent.flag("used").map(|used| !used));
            fresh.and(self.answers(factory, consent))
        })
    }

    /// Whether a consent was given for this record, or for one that the connector cannot tell from it.
    fn answers(&self, factory: &str, consent: &Entity) -> Truth {
        if consent.text("record") == Some(Some(self.id)) {
            return Truth::Yes;
        }
        // The nonce is another one.
        if factory == OIDC {
            return Truth::No;
        }
        let same = |name: &str| Truth::maybe(consent.known(name).zip(self.record.known(name)).map(|(one, other)| one == other));
        match same("connector") {
            Truth::Yes => same("redirectUri"),
            _ => Truth::Near,
        }
    }

    /// The identity that an accepted answer speaks of, as it is linked to a user.
    pub fn account(&self) -> Option<Value> {
        match self.consent() {
            Some((_, consent)) => consent.known("account").cloned(),
            None => provider::account(self.factory(), self.data),
        }
    }

    /// The token answer that came along: null for none.
    pub fn tokens(&self) -> Option<Value> {
        match self.consent() {
            Some((_, consent)) => consent.known("tokens").cloned(),
            None => provider::token_answer(self.factory(), self.data),
        }
    }

    /// The consent whose code is spent once the provider was asked, and whether it surely was.
    pub fn spent(&self) -> Option<(Key, Term)> {
        let (factory, consent) = self.consent()?;
        let code = self.data.get("code")?.as_str()?;
        let asked = consent.known("connector").is_some() && consent.known("connector") == self.record.known("connector");
        let used = if asked { json!(true).into() } else { Term::Unknown };
        is_readable(factory, self.data).then(|| (Key::new(Kind::Consent, code), used))
    }
}

/// Remembers that a code is spent.
pub(super) fn spend(state: &mut State, spent: Option<(Key, Term)>) {
    if let Some((key, used)) = spent {
        state.update(&key, |consent| consent.set("used", used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records of one connector of a factory, with a consent at the page of the first one.
    fn state(factory: &str) -> State {
        let mut state = State::closed();
        state.insert(Key::new(Kind::Connector, "c"), Entity::from_json(&json!({"connectorId": factory})));
        for (id, back) in [("r1", "http://x/"), ("r2", "http://x/"), ("r3", "http://y/")] {
            let record = json!({"type": "Social", "connector": "c", "redirectUri": back});
            state.insert(Key::new(Kind::Record, id), Entity::from_json(&record));
        }
        consented(&mut state, "r1", &json!({"code": "k", "state": "s"}), &json!({"userId": "u"}), &json!({"access_token": "a"}));
        state
    }

    fn proof<'a>(state: &'a State, id: &'a str, data: &'a Value) -> Proof<'a> {
        Proof { state, id, record: state.find(Kind::Record, id).unwrap(), data }
    }

    #[test]
    fn a_code_is_good_once_for_what_it_was_given_for() {
        let data = json!({"code": "k", "state": "other"});
        for (factory, second) in [("oidc", Truth::No), ("oauth2", Truth::Yes)] {
            let mut state = state(factory);
            assert_eq!(proof(&state, "r1", &data).accepted(), Truth::Yes);
            assert_eq!(proof(&state, "r1", &data).account(), Some(json!({"userId": "u"})));
            assert_eq!(proof(&state, "r2", &data).accepted(), second, "{factory}");
            assert_eq!(proof(&state, "r3", &data).accepted(), Truth::No);
            assert_eq!(proof(&state, "r1", &json!({"code": "other"})).accepted(), Truth::Near);
            assert_eq!(proof(&state, "r1", &json!({"state": "s"})).accepted(), Truth::No);
            let spent = proof(&state, "r3", &data).spent();
            spend(&mut state, spent);
            assert_eq!(proof(&state, "r1", &data).accepted(), Truth::No);
        }
    }

    #[test]
    fn a_code_is_surely_spent_only_where_its_own_connector_asked() {
        let mut state = state("oauth2");
        state.insert(Key::new(Kind::Connector, "d"), Entity::from_json(&json!({"connectorId": "oauth2"})));
        state.insert(Key::new(Kind::Record, "other"), Entity::from_json(&json!({"type": "Social", "connector": "d"})));
        let data = json!({"code": "k"});
        let spent = |record: &str, data: &Value| proof(&state, record, data).spent();
        let code = Key::new(Kind::Consent, "k");
        assert_eq!(spent("r1", &data), Some((code.clone(), true.into())));
        assert_eq!(spent("other", &data), Some((code, Term::Unknown)));
        assert_eq!(spent("r1", &json!({"code": "k", "state": 1})), None, "nobody was asked");
        assert_eq!(spent("r1", &json!({"code": "unheard"})), None);
    }
}
