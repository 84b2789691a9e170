use serde_json::json;

use super::*;
use crate::model::sample::state;

fn ids(state: &State, kind: Kind) -> Vec<&str> {
    state.all(kind).map(|(id, _)| id).collect()
}

#[test]
fn a_whole_state_is_closed_and_a_closed_one_need_not_be_whole() {
    let kinds = [State::default(), State::closed(), State::whole()].map(|state| (state.is_closed(), state.is_whole()));
    assert_eq!(kinds, [(false, false), (true, false), (true, true)]);
}

#[test]
fn what_an_owner_was_said_to_have_is_all_there_is_of_that_kind() {
    let (user, nobody) = (Key::new(Kind::User, "u"), Key::new(Kind::User, "nobody"));
    let mut state = state(&[(Kind::User, "u", json!({}))]);
    for owner in [&user, &nobody, &Key::tenant()] {
        state.told_all(Kind::Factor, owner);
    }
    let all = |kind, owner| state.knows_all(kind, owner);
    assert!(all(Kind::Factor, Some(&user)) && all(Kind::Factor, None), "the tenant's own were told as well");
    assert!(!all(Kind::Session, Some(&user)) && !all(Kind::Session, None));
    assert!(!all(Kind::Factor, Some(&nobody)) && state.get(&nobody).is_none(), "whoever was never seen is not made up");
}

#[test]
fn what_rests_on_a_membership_goes_with_it() {
    let both = |organization: &str, user: &str| json!({"organizationId": organization, "userId": user});
    let mut state = state(&[
        (Kind::OrganizationMember, "o/u", both("o", "u")),
        (Kind::OrganizationMember, "o/w", both("o", "w")),
        (Kind::ConsentOrganization, "own", both("o", "u")),
        (Kind::ConsentOrganization, "another's", both("o", "w")),
        (Kind::ConsentOrganization, "elsewhere", both("p", "u")),
    ]);
    state.delete(&Key::new(Kind::OrganizationMember, "o/u"));
    assert_eq!(ids(&state, Kind::OrganizationMember), ["o/w"]);
    assert_eq!(ids(&state, Kind::ConsentOrganization), ["another's", "elsewhere"]);
}

#[test]
fn nothing_is_promised_of_the_grants_of_a_user_who_is_gone() {
    let grant = |owner: &str| json!({"owner": owner, "clientId": "c"});
    let client = |state: &State, id: &str| state.find(Kind::Grant, id).unwrap().known("clientId").cloned();
    for (whole, own) in [(false, None), (true, Some(json!("c")))] {
        let mut state = if whole { State::whole() } else { State::default() };
        state.insert(Key::new(Kind::User, "u"), Entity::default());
        state.insert(Key::new(Kind::Grant, "own"), Entity::from_json(&grant("u")));
        state.insert(Key::new(Kind::Grant, "another's"), Entity::from_json(&grant("w")));
        state.delete(&Key::new(Kind::User, "u"));
        assert_eq!((client(&state, "own"), client(&state, "another's")), (own, Some(json!("c"))));
        assert_eq!(state.find(Kind::Grant, "own").unwrap().text("owner"), Some(Some("u")), "it outlives its user");
    }
}

#[test]
fn the_secret_in_use_is_forgotten_when_it_is_removed() {
    for (removed, left) in [("s1", None), ("s2", Some(json!("one")))] {
        let mut state = state(&[
            (Kind::Application, "c", json!({"clientSecret": "one"})),
            (Kind::ApplicationSecret, "s1", json!({"owner": "c", "value": "one"})),
            (Kind::ApplicationSecret, "s2", json!({"owner": "c", "value": "two"})),
        ]);
        state.delete(&Key::new(Kind::ApplicationSecret, removed));
        assert_eq!(state.find(Kind::Application, "c").unwrap().known("clientSecret"), left.as_ref(), "{removed}");
    }
}

type Change = fn(&mut State);

#[test]
fn tokens_that_act_for_a_user_die_or_come_into_doubt_and_no_others() {
    let token = |usage: &str, user: &str, alive: bool| json!({"use": usage, "user": user, "alive": alive});
    let tokens = [
        (Kind::Token, "ended", token("account", "u", false)),
        (Kind::Token, "machine", token("management", "u", true)),
        (Kind::Token, "other", token("account", "w", true)),
        (Kind::Token, "own", token("account", "u", true)),
        (Kind::User, "u", json!({})),
    ];
    let alive = |state: &State| state.all(Kind::Token).map(|(_, token)| token.flag("alive")).collect::<Vec<_>>();
    let changes: [(&str, Change, Option<bool>); 3] = [
        ("killed", |state| state.kill_tokens("u"), Some(false)),
        ("doubted", |state| state.doubt_tokens("u"), None),
        ("without the user", |state| state.delete(&Key::new(Kind::User, "u")), Some(false)),
    ];
    for (name, change, own) in changes {
        let mut state = state(&tokens);
        change(&mut state);
        assert_eq!(alive(&state), [Some(false), Some(true), Some(true), own], "{name}");
    }
}

#[test]
fn changes_are_told_and_repeated_elsewhere() {
    let before = state(&[
        (Kind::Role, "gone", json!({})),
        (Kind::Role, "kept", json!({"name": "k"})),
        (Kind::Role, "renamed", json!({"name": "old"})),
    ]);
    let mut after = before.clone();
    assert_eq!(after.changed_since(&before), []);
    after.remove(&Key::new(Kind::Role, "gone"));
    after.update(&Key::new(Kind::Role, "renamed"), |role| role.set("name", "new"));
    after.insert(Key::new(Kind::Role, "new"), Entity::default());
    after.insert(Key::new(Kind::User, "u"), Entity::default());
    let changed = [Key::new(Kind::User, "u"), Key::new(Kind::Role, "new"), Key::new(Kind::Role, "renamed")];
    assert_eq!(after.changed_since(&before), changed);

    let mut elsewhere = before.clone();
    elsewhere.insert(Key::new(Kind::Role, "meanwhile"), Entity::default());
    elsewhere.update(&Key::new(Kind::Role, "renamed"), |role| role.set("lost", true));
    elsewhere.repeat(&before, &after);
    assert_eq!(ids(&elsewhere, Kind::Role), ["kept", "meanwhile", "new", "renamed"]);
    let renamed = Key::new(Kind::Role, "renamed");
    assert_eq!(elsewhere.get(&renamed), after.get(&renamed));
    assert!(elsewhere.find(Kind::User, "u").is_some());
}

#[test]
fn states_that_are_alike_count_once_and_no_more_than_the_most_are_followed() {
    let numbered = |number: usize| state(&[(Kind::User, "u", json!({"number": number}))]);
    assert_eq!(States::any_of(vec![numbered(1), numbered(2), numbered(1)]).iter().count(), 2);
    let many = States::any_of((0..=MOST_STATES).map(numbered).collect());
    assert_eq!(many, States((0..MOST_STATES).map(numbered).collect()), "the ones found last are dropped");
}
