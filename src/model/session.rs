//! Sessions and grants: what a sign-in or a token exchange leaves behind, how it ends, and how lists show it.
//!
//! No answer names them when they are made, so they go by handles. Their ids show in lists, where those made first end
//! first (but for a session that lost a grant: it is stored anew, and its end moves by up to a second); until then nobody
//! can name them. A session is told apart by the name in its cookie, where that was seen; losing a grant, it gets another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::call::Call;
use super::guard::scopes;
use super::pattern::{Member, Pattern, Teaching};
use super::state::{Entity, Fresh, KNOWS_ALL, Key, Kind, State, Term, Truth};
use crate::contract::Named;

/// The member of a list's items by which the oldest comes first.
pub const ORDER: &str = "expiresAt";

/// What a session has in place of the handle of a grant that is gone: a later grant may go by that handle.
const REVOKED: &str = "revoked";

/// The property that says when a user was made, as the state's clock has it.
pub const SINCE: &str = "since";

/// The property that an id is shown as; `None` for kinds that go by no handle.
pub const fn naming(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Session => Some("uid"),
        Kind::Grant => Some("id"),
        _ => None,
    }
}

fn handle(kind: Kind, state: &State) -> Key {
    (1..=u32::MAX).map(|number| Key::new(kind, format!("#{number}"))).find(|key| state.get(key).is_none()).expect("numbers do not end")
}

fn begin(kind: Kind, name: &str, owner: &Term, client: &Term, now: i64, state: &mut State) -> Key {
    let key = handle(kind, state);
    let entity = Entity::default()
        .with(name, Term::Fresh(Fresh::Secret))
        .with("owner", owner.clone())
        .with("clientId", client.clone())
        .with("made", json!(now));
    state.insert(key.clone(), entity);
    key
}

/// A grant of a client; its handle.
pub fn begin_grant(owner: &Term, client: &Term, now: i64, state: &mut State) -> Term {
    begin(Kind::Grant, "id", owner, client, now, state).id.as_str().into()
}

/// A session in which a client has a grant, by the name it has in its cookie where that is known; its handle.
pub fn begin_session(owner: &Term, client: &Term, grant: &Term, named: Option<&str>, now: i64, state: &mut State) -> Term {
    let key = begin(Kind::Session, "uid", owner, client, now, state);
    state.update(&key, |session| {
        session.set("grant", grant.clone());
        if let Some(name) = named {
            session.set("jti", name);
        }
    });
    key.id.as_str().into()
}

/// Whose token it is has become known, and so whose session and grant it came from.
pub fn learn_owner(token: &Key, user: &str, state: &mut State) {
    for (link, kind) in [("session", Kind::Session), ("grant", Kind::Grant)] {
        let handle = state.get(token).and_then(|token| token.text(link).flatten().map(str::to_owned));
        let Some(handle) = handle else { continue };
        let key = Key::new(kind, handle);
        if state.get(&key).is_none_or(|entity| entity.known("owner").is_some()) {
            continue;
        }
        state.update(&key, |entity| entity.set("owner", user));
        // A list of that user has shown it under its real id already.
        if state.find(Kind::User, user).is_some_and(|user| user.flag(&format!("{KNOWS_ALL}:{kind}")).is_some()) {
            forget(kind, user, state);
        }
    }
}

/// Whether something of this kind is there of which it is not known whose it is, and which may be this owner's.
pub fn has_strays(kind: Kind, owner: &Key, state: &State) -> bool {
    let moment = |entity: &Entity, name: &str| entity.known(name).and_then(Value::as_i64);
    let since = state.get(owner).and_then(|owner| moment(owner, SINCE));
    let stray = |entity: &Entity| entity.exists() && entity.known("owner").is_none() && moment(entity, "made") >= since;
    naming(kind).is_some() && state.all(kind).any(|(_, entity)| stray(entity))
}

/// Forgets what an owner has of a kind: some of it may be gone.
fn forget(kind: Kind, owner: &str, state: &mut State) {
    let key = Key::new(Kind::User, owner);
    forget_some(kind, &key, state, |_| true);
    state.update(&key, |owner| owner.set(format!("{KNOWS_ALL}:{kind}"), false));
}

/// Ends a grant with its tokens. Where it is not known which grant a token came from, it may have been this one.
pub fn revoke_grant(key: &Key, state: &mut State) {
    let Some(grant) = state.remove(key) else { return };
    let (owner, client) = (grant.get("owner").clone(), grant.get("clientId").clone());
    let own = |holder: &Entity| holder.text("grant") == Some(Some(&key.id));
    state.update_all(Kind::Session, own, |session| {
        session.set("grant", REVOKED);
        session.set("jti", Term::Unknown);
    });
    state.update_all(Kind::Token, own, |token| {
        token.set("grant", Value::Null);
        if token.text("use") == Some(Some("account")) {
            token.set("alive", false);
        } else {
            token.set("refresh_token", Value::Null);
        }
    });
    let perhaps = |token: &Entity| {
        token.known("grant").is_none()
            && token.flag("alive") == Some(true)
            && token.text("use") == Some(Some("account"))
            && (*token.get("user") == owner || token.known("user").is_none())
            && (*token.get("client") == client || token.known("client").is_none())
    };
    state.update_all(Kind::Token, perhaps, |token| token.set("alive", Term::Unknown));
}

/// Ends a session. Its grants go on, but tokens without `offline_access` end with it.
pub fn end_session(key: &Key, state: &mut State) {
    state.remove(key);
    let own = |token: &Entity| token.text("session") == Some(Some(&key.id));
    state.update_all(Kind::Token, own, |token| {
        token.set("session", Value::Null);
        if token.flag("alive") == Some(true) && token.text("use") == Some(Some("account")) {
            let lasts = token.known("scope").map(|scope| scopes(scope).any(|scope| scope == "offline_access"));
            token.set("alive", lasts.map_or(Term::Unknown, Term::from));
        }
    });
}

/// Ends all sessions of a user; grants go on.
pub fn end_sessions(user: &str, state: &mut State) {
    let own: Vec<Key> = state
        .all(Kind::Session)
        .filter(|(_, session)| session.text("owner") == Some(Some(user)))
        .map(|(id, _)| Key::new(Kind::Session, id))
        .collect();
    for key in own {
        end_session(&key, state);
    }
}

/// Ends the grants of a session: all of them, or those of the tenant's own applications.
pub fn revoke_grants_of(session: &Key, first_party_only: bool, state: &mut State) {
    let Some(grant) = state.get(session).map(|session| session.get("grant").clone()) else { return };
    match grant.known().and_then(Value::as_str) {
        Some(handle) => {
            let key = Key::new(Kind::Grant, handle);
            let party = state.get(&key).map_or(Truth::No, |grant| is_first_party(grant, state));
            if !first_party_only || party == Truth::Yes {
                revoke_grant(&key, state);
            }
        }
        // Which tokens came from the session is not known.
        None if grant.known().is_none() => {
            let owner = state.get(session).and_then(|session| session.text("owner").flatten().map(str::to_owned));
            if let Some(owner) = owner {
                state.doubt_tokens(&owner);
                forget(Kind::Grant, &owner, state);
            }
        }
        None => {}
    }
}

fn application<'a>(grant: &Entity, state: &'a State) -> Option<&'a Entity> {
    state.find(Kind::Application, grant.text("clientId").flatten()?)
}

fn is_first_party(grant: &Entity, state: &State) -> Truth {
    Truth::maybe(application(grant, state).and_then(|client| client.flag("isThirdParty")).map(|third| !third))
}

/// Whether lists show an entity: they show no grants of built-in or removed applications.
pub fn is_listed(kind: Kind, entity: &Entity, state: &State) -> Truth {
    if kind != Kind::Grant {
        return Truth::Yes;
    }
    match application(entity, state) {
        Some(client) if !client.exists() => Truth::No,
        Some(client) => client.flag("isThirdParty").map_or(Truth::Unknown, |_| Truth::Yes),
        None => Truth::Unknown,
    }
}

/// `firstParty` or `thirdParty`: whose application has a grant.
pub fn party(grant: &Entity, state: &State) -> Term {
    match is_first_party(grant, state) {
        Truth::Yes => "firstParty".into(),
        Truth::No => "thirdParty".into(),
        _ => Term::Unknown,
    }
}

/// Whether the id of a session or grant was never shown.
pub fn is_anonymous(kind: Kind, entity: &Entity) -> bool {
    naming(kind).is_some_and(|name| matches!(entity.get(name), Term::Fresh(_)))
}

/// The rank of an entity in a list whose items are told apart by their age: those with a known id first.
pub fn rank(kind: Kind, key: &Key, entity: &Entity) -> (bool, i64, u32) {
    let made = entity.known("made").and_then(Value::as_i64).unwrap_or_default();
    let number = key.id.trim_start_matches('#').parse().unwrap_or_default();
    (is_anonymous(kind, entity), made, number)
}

struct Shown<'a> {
    key: &'a Key,
    entity: &'a Entity,
}

impl Shown<'_> {
    fn leaf(&self, property: &str) -> Member {
        let teaches = Some((self.key.clone(), Teaching::Property(property.to_owned())));
        Member::Present(Pattern::Leaf { term: self.entity.get(property).clone(), teaches })
    }

    /// What is known of a property; what is seen is not learnt, since it may change.
    fn glance(&self, property: &str) -> Member {
        Member::Present(Pattern::Leaf { term: self.entity.get(property).clone(), teaches: None })
    }
}

fn object<const N: usize>(members: [(&str, Member); N]) -> Pattern {
    Pattern::Object(members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect())
}

/// How an answer shows a session. `current` is the member that says whether the caller's token came from it, with the
/// session of that token.
pub fn session(key: &Key, session: &Entity, state: &State, current: Option<(&str, &Term)>) -> Pattern {
    let shown = Shown { key, entity: session };
    let mut payload = BTreeMap::from([
        ("uid".to_owned(), shown.leaf("uid")),
        ("exp".to_owned(), shown.glance("exp")),
        ("iat".to_owned(), shown.leaf("iat")),
        ("jti".to_owned(), shown.glance("jti")),
        ("kind".to_owned(), Member::Present(Pattern::exactly("Session".into()))),
        ("loginTs".to_owned(), shown.leaf("loginTs")),
        ("accountId".to_owned(), shown.glance("owner")),
    ]);
    if let (Some(Some(handle)), Some(Some(client))) = (session.text("grant"), session.text("clientId")) {
        let grant = Key::new(Kind::Grant, handle);
        let authorization = match state.get(&grant) {
            Some(entity) => {
                let grant_id = Shown { key: &grant, entity }.leaf("id");
                Member::Present(object([("grantId", grant_id), ("sid", shown.glance("sid"))]))
            }
            None => Member::Withheld(super::pattern::Why::Level),
        };
        payload.insert("authorizations".to_owned(), Member::Present(Pattern::Object(BTreeMap::from([(client.to_owned(), authorization)]))));
    }
    let mut members = BTreeMap::from([
        ("payload".to_owned(), Member::Present(Pattern::Object(payload))),
        ("lastSubmission".to_owned(), shown.glance("lastSubmission")),
        ("clientId".to_owned(), shown.glance("clientId")),
        ("accountId".to_owned(), shown.glance("owner")),
        (ORDER.to_owned(), shown.glance(ORDER)),
    ]);
    if let Some((name, own)) = current {
        let term = own.known().map_or(Term::Unknown, |own| Term::Known((own == key.id.as_str()).into()));
        members.insert(name.to_owned(), Member::Present(Pattern::Leaf { term, teaches: None }));
    }
    Pattern::Object(members)
}

/// How an answer shows a grant.
pub fn grant(key: &Key, grant: &Entity, state: &State) -> Pattern {
    let shown = Shown { key, entity: grant };
    let jti = grant.known("id").map_or(Pattern::Any, |id| Pattern::exactly(id.clone()));
    let client = application(grant, state);
    let name = Pattern::Leaf { term: client.map_or(Term::Unknown, |client| client.get("name").clone()), teaches: None };
    object([
        ("id", shown.leaf("id")),
        (
            "payload",
            Member::Present(object([
                ("exp", shown.glance("exp")),
                ("iat", shown.leaf("iat")),
                ("jti", Member::Present(jti)),
                ("kind", Member::Present(Pattern::exactly("Grant".into()))),
                ("clientId", shown.glance("clientId")),
                ("accountId", shown.glance("owner")),
            ])),
        ),
        (ORDER, shown.glance(ORDER)),
        ("application", Member::Present(object([("id", shown.glance("clientId")), ("name", Member::Present(name))]))),
    ])
}

/// A session or grant that a list shows and that was not known of.
pub fn adopted(kind: Kind, value: &Value) -> Option<Entity> {
    let name = naming(kind)?;
    let id = value.pointer(if kind == Kind::Session { "/payload/uid" } else { "/id" })?;
    let client = value.get("clientId").or_else(|| value.pointer("/payload/clientId")).cloned();
    let made = value.get(ORDER).cloned();
    Some(
        Entity::default()
            .with(name, id.clone())
            .with("clientId", client.map_or(Term::Unknown, Term::Known))
            .with("grant", Term::Unknown)
            .with("made", made.map_or(Term::Unknown, Term::Known)),
    )
}

/// Puts a session or grant that a list shows into the state.
pub fn adopt(kind: Kind, entity: Entity, state: &mut State) {
    let key = handle(kind, state);
    state.insert(key, entity);
}

/// After a list of everything that an owner has: what had no name is among what has one now.
pub fn forget_anonymous(kind: Kind, owner: &Key, state: &mut State) {
    forget_some(kind, owner, state, |entity| is_anonymous(kind, entity));
}

fn forget_some(kind: Kind, owner: &Key, state: &mut State, which: impl Fn(&Entity) -> bool) {
    if naming(kind).is_none() {
        return;
    }
    let gone: Vec<Key> = state
        .all(kind)
        .filter(|(_, entity)| entity.text("owner") == Some(Some(&owner.id)) && which(entity))
        .map(|(id, _)| Key::new(kind, id))
        .collect();
    let link = if kind == Kind::Session { "session" } else { "grant" };
    for key in gone {
        state.remove(&key);
        for holder in [Kind::Token, Kind::Session] {
            let linked = |entity: &Entity| entity.text(link) == Some(Some(&key.id));
            state.update_all(holder, linked, |entity| entity.set(link, Term::Unknown));
        }
    }
}

/// After a list of some of what an owner has: ids that were never shown may have been now.
pub fn may_have_been_shown(kind: Kind, owner: &Key, state: &mut State) {
    let Some(name) = naming(kind) else { return };
    let own = |entity: &Entity| entity.text("owner") == Some(Some(&owner.id)) && is_anonymous(kind, entity);
    state.update_all(kind, own, |entity| entity.set(name, Term::Unknown));
}

/// Ends what the last parameter of a path names: a session, or a grant.
pub fn end(effect: Named, call: &Call<'_>, state: &mut State) {
    let (kind, parameter) = if effect == Named::EndSession { (Kind::Session, "sessionId") } else { (Kind::Grant, "grantId") };
    let asked = call.query.get("revokeGrantsTarget");
    let named =
        |entity: &Entity| naming(kind).is_some_and(|name| entity.text(name).flatten() == call.path.get(parameter).map(String::as_str));
    let found = state.all(kind).find(|(_, entity)| entity.exists() && named(entity)).map(|(id, _)| Key::new(kind, id));
    match found {
        Some(key) if kind == Kind::Grant => revoke_grant(&key, state),
        Some(key) => {
            if let Some(target) = asked {
                revoke_grants_of(&key, target == "firstParty", state);
            }
            end_session(&key, state);
        }
        // It is one whose id was never seen.
        None => {
            if let Some(owner) = call.subject().or_else(|| call.caller(state)) {
                state.doubt_tokens(&owner.id);
                for kind in [Kind::Session, Kind::Grant] {
                    forget(kind, &owner.id, state);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in(name: &str, state: &mut State) -> (Key, Key) {
        let (owner, client) = ("u".into(), "c".into());
        let grant = begin_grant(&owner, &client, 1000, state);
        let session = begin_session(&owner, &client, &grant, Some(name), 1000, state);
        let key = |kind, handle: &Term| Key::new(kind, handle.known().and_then(Value::as_str).unwrap());
        (key(Kind::Session, &session), key(Kind::Grant, &grant))
    }

    fn shown(name: &str, authorizations: &Value) -> Value {
        json!({
            "payload": {
                "uid": format!("uid-{name}"), "exp": 2, "iat": 1, "jti": name, "kind": "Session", "loginTs": 1, "accountId": "u",
                "authorizations": authorizations,
            },
            "lastSubmission": null, "clientId": "c", "accountId": "u", "expiresAt": 2000,
        })
    }

    #[test]
    fn a_session_is_known_by_its_cookie() {
        let mut state = State::closed();
        let (first, _) = signed_in("one", &mut state);
        let pattern = session(&first, state.get(&first).unwrap(), &state, None);
        let with = json!({"c": {"grantId": "g", "sid": "s"}});
        assert!(pattern.matches(Some(&shown("one", &with))).is_ok());
        assert_eq!(pattern.matches(Some(&shown("two", &with))).unwrap_err().pointer, "/payload/jti");
    }

    #[test]
    fn a_session_does_not_take_over_a_later_grant() {
        let mut state = State::closed();
        let (first, grant) = signed_in("one", &mut state);
        revoke_grant(&grant, &mut state);
        assert_eq!(signed_in("two", &mut state).1, grant, "the handle is free again");
        let pattern = session(&first, state.get(&first).unwrap(), &state, None);
        assert!(pattern.matches(Some(&shown("renamed", &json!({})))).is_ok());
        assert!(pattern.matches(Some(&shown("renamed", &json!({"c": {"grantId": "g", "sid": "s"}})))).is_err());
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod session_tests;
