use super::super::predict::predict;
use super::super::wire::Request;
use super::*;
use crate::model::sample::{NOW, contract, state};

fn user() -> Key {
    Key::new(Kind::User, "u")
}

fn token<'a>(state: &'a State, id: &str) -> &'a Entity {
    state.find(Kind::Token, id).unwrap()
}

fn ids(state: &State, kind: Kind) -> Vec<&str> {
    state.all(kind).map(|(id, _)| id).collect()
}

/// The state after an administrator has ended something.
fn ended(state: &State, target: &str) -> State {
    let request = Request::new("DELETE", target).with_header("authorization", "Bearer admin");
    let mut prediction = predict(contract(), state, &request, NOW);
    let last = prediction.alternatives.pop().unwrap();
    assert_eq!(last.outcome.to_string(), "204", "{target}");
    last.next
}

/// An administrator, and a user who signed in to an application of the tenant (`1`) and to one of somebody else (`2`).
fn signed_in_twice() -> State {
    let own = json!({"use": "account", "user": "u", "alive": true, "scope": "openid offline_access"});
    let mut state = state(&[
        (Kind::Application, "m", json!({"id": "m", "type": "MachineToMachine", "isThirdParty": false})),
        (Kind::Token, "admin", json!({"use": "management", "scope": "all", "user": null, "client": "m", "alive": true, "expiresAt": null})),
        (Kind::User, "u", json!({"id": "u"})),
        (Kind::Application, "tenant's", json!({"isThirdParty": false})),
        (Kind::Application, "else's", json!({"isThirdParty": true})),
        (Kind::Grant, "#1", json!({"id": "g1", "owner": "u", "clientId": "tenant's"})),
        (Kind::Grant, "#2", json!({"id": "g2", "owner": "u", "clientId": "else's"})),
        (Kind::Session, "#1", json!({"uid": "s1", "owner": "u", "clientId": "tenant's", "grant": "#1"})),
        (Kind::Session, "#2", json!({"uid": "s2", "owner": "u", "clientId": "else's", "grant": "#2"})),
    ]);
    for (id, link, client) in [("1", "#1", "tenant's"), ("2", "#2", "else's")] {
        let links = Entity::from_json(&own).with("session", link).with("grant", link).with("client", client);
        state.insert(Key::new(Kind::Token, id), links);
    }
    state
}

#[test]
fn grants_outlive_their_session_unless_it_is_asked_otherwise() {
    for (target, sessions, grants) in [
        ("sessions/s1", ["#2"].as_slice(), ["#1", "#2"].as_slice()),
        ("sessions/s1?revokeGrantsTarget=all", &["#2"], &["#2"]),
        ("sessions/s2?revokeGrantsTarget=all", &["#1"], &["#1"]),
        ("sessions/s1?revokeGrantsTarget=firstParty", &["#2"], &["#2"]),
        ("sessions/s2?revokeGrantsTarget=firstParty", &["#1"], &["#1", "#2"]),
        ("grants/g1", &["#1", "#2"], &["#2"]),
        ("grants/g2", &["#1", "#2"], &["#1"]),
    ] {
        let after = ended(&signed_in_twice(), &format!("/api/users/u/{target}"));
        assert_eq!((ids(&after, Kind::Session).as_slice(), ids(&after, Kind::Grant).as_slice()), (sessions, grants), "{target}");
        // Their tokens go where the grants go.
        for (id, grant) in [("1", "#1"), ("2", "#2")] {
            assert_eq!(token(&after, id).flag("alive"), Some(grants.contains(&grant)), "{target}: token {id}");
        }
    }
}

#[test]
fn a_grant_that_ends_takes_its_tokens_along_and_leaves_its_session() {
    let mut state = state(&[
        (Kind::Grant, "#1", json!({"owner": "u", "clientId": "c"})),
        (Kind::Session, "#1", json!({"owner": "u", "grant": "#1", "jti": "one"})),
        (Kind::Session, "#2", json!({"owner": "u", "grant": "#2", "jti": "two"})),
        (Kind::Token, "opaque", json!({"use": "account", "grant": "#1", "alive": true, "refresh_token": null})),
        (Kind::Token, "signed", json!({"use": "management", "grant": "#1", "alive": true, "refresh_token": "r"})),
        (Kind::Token, "of another", json!({"use": "account", "grant": "#2", "alive": true, "refresh_token": "s"})),
    ]);
    let others = [(Kind::Session, "#2"), (Kind::Token, "of another")].map(|(kind, id)| Key::new(kind, id));
    let before = others.each_ref().map(|key| state.get(key).cloned());
    revoke_grant(&Key::new(Kind::Grant, "#1"), &mut state);
    assert_eq!(ids(&state, Kind::Grant), [""; 0]);
    let left = state.find(Kind::Session, "#1").unwrap();
    assert_eq!((left.text("grant"), left.get("jti")), (Some(Some(REVOKED)), &Term::Unknown));
    assert_eq!(token(&state, "opaque").flag("alive"), Some(false));
    // A signed token is good until it ends, but there will be no more.
    let signed = token(&state, "signed");
    assert_eq!((signed.flag("alive"), signed.known("refresh_token")), (Some(true), Some(&Value::Null)));
    assert_eq!(others.each_ref().map(|key| state.get(key).cloned()), before);
}

#[test]
fn a_token_of_which_the_grant_is_not_known_may_end_with_any_that_fits() {
    let fits = json!({"use": "account", "user": "u", "client": "c", "alive": true});
    let with = |name: &str, value: Value| Entity::from_json(&fits).with(name, value);
    let without = |name: &str| Entity::from_json(&fits).with(name, Term::Unknown);
    for (token, alive) in [
        (Entity::from_json(&fits), None),
        (without("user"), None),
        (without("client"), None),
        (with("user", json!("v")), Some(true)),
        (with("client", json!("d")), Some(true)),
        (with("grant", Value::Null), Some(true)),
        (with("grant", json!("#2")), Some(true)),
        (with("use", json!("management")), Some(true)),
        (with("alive", json!(false)), Some(false)),
    ] {
        let mut state = state(&[(Kind::Grant, "#1", json!({"owner": "u", "clientId": "c"}))]);
        let key = Key::new(Kind::Token, "t");
        state.insert(key.clone(), token.clone());
        revoke_grant(&Key::new(Kind::Grant, "#1"), &mut state);
        assert_eq!(state.get(&key).unwrap().flag("alive"), alive, "{token:?}");
    }
}

#[test]
fn tokens_without_offline_access_end_with_their_session() {
    for (usage, scope, alive, after) in [
        ("account", json!("openid email"), true, Some(false)),
        ("account", json!(""), true, Some(false)),
        ("account", json!("openid offline_access"), true, Some(true)),
        ("account", json!("offline_access"), false, Some(false)),
        ("management", json!("all"), true, Some(true)),
    ] {
        let held = json!({"use": usage, "scope": scope, "alive": alive, "session": "#1"});
        let mut state = state(&[
            (Kind::Session, "#1", json!({"owner": "u"})),
            (Kind::Token, "t", held.clone()),
            (Kind::Token, "of another", json!({"use": "account", "scope": "openid", "alive": true, "session": "#2"})),
        ]);
        end_session(&Key::new(Kind::Session, "#1"), &mut state);
        assert_eq!(ids(&state, Kind::Session), [""; 0]);
        let token = |id: &str| (token(&state, id).flag("alive"), token(&state, id).known("session").cloned());
        assert_eq!(token("t"), (after, Some(Value::Null)), "{held}");
        assert_eq!(token("of another"), (Some(true), Some(json!("#2"))));
    }
    let mut state = state(&[(Kind::Token, "t", json!({"use": "account", "alive": true, "session": "#1"}))]);
    end_session(&Key::new(Kind::Session, "#1"), &mut state);
    assert_eq!(token(&state, "t").get("alive"), &Term::Unknown, "what it may do is not known");
}

#[test]
fn a_session_of_which_the_grants_are_not_known_may_take_any_along() {
    let start = |session: Value| {
        let mut state = state(&[
            (Kind::User, "u", json!({})),
            (Kind::Session, "#1", session),
            (Kind::Grant, "#1", json!({"owner": "u", "clientId": "c"})),
            (Kind::Grant, "#2", json!({"owner": "v", "clientId": "c"})),
            (Kind::Token, "t", json!({"use": "account", "user": "u", "grant": "#1", "alive": true})),
            (Kind::Token, "of another", json!({"use": "account", "user": "v", "grant": "#2", "alive": true})),
        ]);
        state.told_all(Kind::Grant, &user());
        state
    };
    let mut open = start(json!({"owner": "u"}));
    revoke_grants_of(&Key::new(Kind::Session, "#1"), false, &mut open);
    assert_eq!(ids(&open, Kind::Grant), ["#2"]);
    assert!(!open.knows_all(Kind::Grant, Some(&user())));
    assert_eq!((token(&open, "t").get("alive"), token(&open, "t").get("grant")), (&Term::Unknown, &Term::Unknown));
    assert_eq!(token(&open, "of another").flag("alive"), Some(true));
    // It is known to have none.
    for none in [Value::Null, json!(REVOKED)] {
        let before = start(json!({"owner": "u", "grant": none}));
        let mut after = before.clone();
        revoke_grants_of(&Key::new(Kind::Session, "#1"), false, &mut after);
        assert_eq!(after, before, "{none}");
    }
}

#[test]
fn whose_a_token_is_tells_whose_its_session_and_grant_are() {
    let mut state = state(&[
        (Kind::User, "u", json!({})),
        (Kind::Session, "#1", json!({"made": 1})),
        (Kind::Grant, "#1", json!({"made": 1})),
        (Kind::Session, "#2", json!({"owner": "v"})),
        (Kind::Token, "t", json!({"session": "#1", "grant": "#1"})),
        (Kind::Token, "of another", json!({"session": "#2", "grant": null})),
    ]);
    for id in ["t", "of another"] {
        learn_owner(&Key::new(Kind::Token, id), "u", &mut state);
    }
    for (kind, id, owner) in [(Kind::Session, "#1", "u"), (Kind::Grant, "#1", "u"), (Kind::Session, "#2", "v")] {
        assert_eq!(state.find(kind, id).unwrap().text("owner"), Some(Some(owner)), "{kind} {id}");
    }
}

#[test]
fn a_session_that_a_list_has_shown_before_its_owner_was_known_is_not_there_twice() {
    let mut state = state(&[
        (Kind::User, "u", json!({})),
        (Kind::Session, "#1", json!({"made": 1})),
        (Kind::Session, "#2", json!({"owner": "u", "uid": "seen"})),
        (Kind::Session, "#3", json!({"owner": "v", "uid": "other"})),
        (Kind::Grant, "#1", json!({"made": 1})),
        (Kind::Token, "t", json!({"session": "#1", "grant": "#1"})),
    ]);
    state.told_all(Kind::Session, &user());
    learn_owner(&Key::new(Kind::Token, "t"), "u", &mut state);
    assert_eq!((ids(&state, Kind::Session), ids(&state, Kind::Grant)), (vec!["#3"], vec!["#1"]));
    assert_eq!((token(&state, "t").get("session"), token(&state, "t").text("grant")), (&Term::Unknown, Some(Some("#1"))));
    assert!(!state.knows_all(Kind::Session, Some(&user())));
}

#[test]
fn what_has_no_known_owner_may_belong_to_whoever_was_there_when_it_was_made() {
    let since = json!({SINCE: 1000});
    for (kind, stray, owner, may) in [
        (Kind::Session, json!({"made": 999}), &since, false),
        (Kind::Session, json!({"made": 1000}), &since, true),
        (Kind::Grant, json!({"made": 1001}), &since, true),
        (Kind::Session, json!({"made": 999}), &json!({}), true),
        (Kind::Session, json!({"made": 1001, "owner": "u"}), &since, false),
        (Kind::Session, json!({"made": 1001, "removed": true}), &since, false),
        (Kind::Factor, json!({"made": 1001}), &since, false),
    ] {
        let state = state(&[(Kind::User, "u", owner.clone()), (kind, "#1", stray.clone())]);
        assert_eq!(has_strays(kind, &user(), &state), may, "{kind} {stray}, {owner}");
    }
}

#[test]
fn a_grant_belongs_to_the_party_of_its_application() {
    let state = signed_in_twice();
    let party_of = |grant: Value| party(&Entity::from_json(&grant), &state);
    assert_eq!(party_of(json!({"clientId": "tenant's"})), "firstParty".into());
    assert_eq!(party_of(json!({"clientId": "else's"})), "thirdParty".into());
    assert_eq!([party_of(json!({"clientId": "unheard"})), party_of(json!({}))], [Term::Unknown, Term::Unknown]);
}

#[test]
fn those_never_shown_come_last_and_the_oldest_of_them_first() {
    let (unseen, seen) = (Term::Fresh(Fresh::Secret), Term::from("seen"));
    for (kind, name) in [(Kind::Session, "uid"), (Kind::Grant, "id")] {
        let mut listed = [("#10", &unseen, 7), ("#9", &unseen, 7), ("#20", &unseen, 5), ("#30", &seen, 9), ("#8", &Term::Unknown, 10)];
        listed.sort_by_cached_key(|(id, shown, made)| {
            rank(kind, &Key::new(kind, *id), &Entity::default().with(name, (*shown).clone()).with("made", json!(made)))
        });
        assert_eq!(listed.map(|(id, ..)| id), ["#30", "#8", "#20", "#9", "#10"], "{kind}");
    }
}

#[test]
fn what_a_list_shows_and_nobody_knew_of_is_remembered_by_its_id() {
    let session = json!({"payload": {"uid": "s", "jti": "j"}, "clientId": "c", "expiresAt": 2000});
    let grant = json!({"id": "g", "payload": {"clientId": "c"}, "expiresAt": 2000});
    for (kind, shown, name, id) in [(Kind::Session, &session, "uid", "s"), (Kind::Grant, &grant, "id", "g")] {
        let entity = adopted(kind, shown).unwrap();
        assert_eq!((entity.text(name), entity.text("clientId")), (Some(Some(id)), Some(Some("c"))), "{kind}");
        assert_eq!((entity.known("made"), entity.get("grant")), (Some(&json!(2000)), &Term::Unknown), "{kind}");
        let mut state = state(&[(kind, "#1", json!({}))]);
        adopt(kind, entity.clone(), &mut state);
        adopt(kind, entity.clone(), &mut state);
        assert_eq!(ids(&state, kind), ["#1", "#2", "#3"], "{kind}");
        assert_eq!([state.find(kind, "#2"), state.find(kind, "#3")], [Some(&entity), Some(&entity)], "{kind}");
    }
    assert_eq!(adopted(Kind::Session, &grant), None);
    assert_eq!(adopted(Kind::Grant, &session), None);
    assert_eq!(adopted(Kind::Factor, &grant), None);
}

/// Three of a kind, each with a token: one of the user that was never shown, one that was, and one of somebody else.
fn three(kind: Kind) -> State {
    let link = if kind == Kind::Session { "session" } else { "grant" };
    let mut state = State::default();
    for (id, owner, shown) in [("#1", "u", Term::Fresh(Fresh::Secret)), ("#2", "u", "seen".into()), ("#3", "v", Term::Fresh(Fresh::Secret))]
    {
        state.insert(Key::new(kind, id), Entity::default().with("owner", owner).with(naming(kind).unwrap(), shown));
        state.insert(Key::new(Kind::Token, id), Entity::default().with("session", "#0").with("grant", "#0").with(link, id));
    }
    state
}

#[test]
fn what_was_never_shown_is_among_all_that_is_shown() {
    for (kind, link) in [(Kind::Session, "session"), (Kind::Grant, "grant")] {
        let mut state = three(kind);
        forget_anonymous(kind, &user(), &mut state);
        assert_eq!(ids(&state, kind), ["#2", "#3"], "{kind}");
        let links = ["#1", "#2", "#3"].map(|id| token(&state, id).text(link).flatten());
        assert_eq!(links, [None, Some("#2"), Some("#3")], "{kind}");
        let other = if kind == Kind::Session { "grant" } else { "session" };
        assert_eq!(token(&state, "#1").text(other), Some(Some("#0")), "{kind}");
    }
    let mut state = three(Kind::Grant);
    state.insert(Key::new(Kind::Session, "#1"), Entity::default().with("grant", "#1"));
    forget_anonymous(Kind::Grant, &user(), &mut state);
    assert_eq!(state.find(Kind::Session, "#1").unwrap().get("grant"), &Term::Unknown);
}

#[test]
fn what_was_never_shown_may_be_among_some_that_are_shown() {
    for kind in [Kind::Session, Kind::Grant] {
        let mut state = three(kind);
        may_have_been_shown(kind, &user(), &mut state);
        let names = ["#1", "#2", "#3"].map(|id| state.find(kind, id).unwrap().get(naming(kind).unwrap()).clone());
        assert_eq!(names, [Term::Unknown, "seen".into(), Term::Fresh(Fresh::Secret)], "{kind}");
    }
}
