use serde_json::json;

use super::*;
use crate::model::call::Call;
use crate::model::predict::successes;
use crate::model::sample::{NOW, contract, with as state};
use crate::model::state::{KNOWS_ALL, Term};
use crate::model::wire::Request;

/// What a list, written as in `specs/`, shows: one of the organisation `o1`, or of the user `u1`.
fn pattern(state: &State, source: &str, query: &str) -> Pattern {
    let mut operation = contract().operation("ListOrganizationUsers").unwrap().clone();
    operation.answers = vec![serde_saphyr::from_str(&format!("{{status: 200, body: {source}}}")).unwrap()];
    let path = [("id", "o1"), ("userId", "u1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = Request::new("GET", format!("/{query}"));
    let call = Call::read(&operation, path.into(), &request);
    successes(&call, state, NOW).remove(0).body
}

/// The same where something is predicted.
fn listed(state: &State, source: &str, query: &str) -> ListPattern {
    let Pattern::List(list) = pattern(state, source, query) else { panic!("a list") };
    list
}

/// The ids on a list; `None` when nothing is predicted.
fn ids(state: &State, source: &str, query: &str) -> Option<Vec<String>> {
    let Pattern::List(list) = pattern(state, source, query) else { return None };
    let items = list.items.iter().filter_map(|item| item.sample(&mut |_| Value::Null));
    Some(items.filter_map(|item| item.get("id").and_then(Value::as_str).map(str::to_owned)).collect())
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn users() -> [(Kind, &'static str, Value); 2] {
    [
        (Kind::User, "u1", json!({"id": "u1", "username": "ann", "name": "Ann", "createdAt": NOW, KNOWS_ALL: true})),
        (Kind::User, "u2", json!({"id": "u2", "username": "bob", "name": null, "createdAt": NOW + 1, KNOWS_ALL: true})),
    ]
}

#[test]
fn a_search_shows_what_it_finds() {
    let state = state(State::closed(), &users());
    let source = "{list: user, search: [id, username, name], newest-first: true}";
    for (query, expected) in [
        ("", Some(texts(&["u2", "u1"]))),
        ("?search.id=u1", Some(texts(&["u1"]))),
        ("?search.username=B%25", Some(texts(&["u2"]))),
        ("?search.id=u3", Some(texts(&[]))),
        // Refused.
        ("?search=", None),
        ("?search.id=u1&mode=none", None),
    ] {
        assert_eq!(ids(&state, source, query), expected, "{query}");
    }
}

#[test]
fn a_search_for_known_ids_leaves_nothing_open() {
    let source = "{list: user, search: [id, username, name]}";
    for (state, query, complete) in [
        (state(State::default(), &users()), "?search.id=u1&mode=exact", true),
        (state(State::default(), &users()), "?search.id=u3&mode=exact", false),
        (state(State::default(), &users()), "", false),
        (state(State::whole(), &users()), "", true),
    ] {
        assert_eq!(listed(&state, source, query).complete, complete, "{query}");
    }
}

#[test]
fn only_a_deployment_itself_knows_what_an_unclear_search_finds() {
    let source = "{list: user, search: [id, username, name]}";
    let unclear = "?search.username=%C3%89&mode=exact";
    assert_eq!(ids(&state(State::closed(), &users()), source, unclear), None);
    let list = listed(&state(State::whole(), &users()), source, unclear);
    assert_eq!((list.items, list.barred), (Vec::new(), vec!["u1".to_owned(), "u2".to_owned()]));
}

#[test]
fn a_list_may_hold_what_is_not_known_to_be_anybodys() {
    let session = json!({"uid": "s1", "owner": "u1", "made": NOW});
    let owner = json!({"id": "u1", "since": NOW, KNOWS_ALL: true});
    let mut state = state(State::default(), &[(Kind::User, "u1", owner), (Kind::Session, "#1", session)]);
    assert!(listed(&state, "{list: session, of: user}", "").complete);
    state.insert(Key::new(Kind::Session, "#2"), Entity::from_json(&json!({"uid": "s2", "made": NOW + 1})));
    assert!(!listed(&state, "{list: session, of: user}", "").complete);
    // What was there before the user is somebody else's.
    state.update(&Key::new(Kind::Session, "#2"), |stray| stray.set("made", json!(NOW - 1)));
    assert!(listed(&state, "{list: session, of: user}", "").complete);
}

#[test]
fn others_may_push_what_is_known_off_a_page() {
    let source = "{list: user, paged: required}";
    let open = state(State::default(), &users());
    for (query, full) in [("", Some(20)), ("?page=1&page_size=5", Some(5)), ("?page=2&page_size=5", Some(0)), ("?page=2", Some(0))] {
        assert_eq!(listed(&open, source, query).full, full, "{query}");
        assert_eq!(listed(&state(State::whole(), &users()), source, query).full, None, "{query}");
    }
}

#[test]
fn parameters_ask_for_properties_and_parts_of_them() {
    let state = state(State::closed(), &users());
    let names = "{list: user, q: [name, username], newest-first: true}";
    let only = "{list: user, where: {username: query.username}, newest-first: true}";
    for (source, query, expected) in [
        (names, "", Some(texts(&["u2", "u1"]))),
        (names, "?q=", Some(texts(&["u2", "u1"]))),
        (names, "?q=AN", Some(texts(&["u1"]))),
        (names, "?q=b", Some(texts(&["u2"]))),
        (names, "?q=x", Some(texts(&[]))),
        (only, "?username=bob", Some(texts(&["u2"]))),
        (only, "?username=bo", Some(texts(&[]))),
        (only, "?username=", Some(texts(&["u2", "u1"]))),
        // Not a parameter of this list.
        (only, "?q=x", Some(texts(&["u2", "u1"]))),
    ] {
        assert_eq!(ids(&state, source, query), expected, "{source} {query}");
    }
    assert!(listed(&state, only, "?username=bob").partial);
    assert!(!listed(&state, only, "?username=").partial && !listed(&state, only, "").partial);
}

#[test]
fn of_what_was_never_seen_it_is_not_known_whether_it_is_asked_for() {
    let state = state(State::closed(), &[(Kind::OrganizationMember, "m1", json!({"owner": "o1", "userId": "u9"}))]);
    let plain = "list: organization-member, of: path.id, as: {user: userId}";
    assert_eq!(ids(&state, &format!("{{{plain}}}"), ""), Some(texts(&["u9"])));
    let (named, only) = (format!("{{{plain}, q: [name]}}"), format!("{{{plain}, where: {{name: query.name}}}}"));
    for (source, query, expected) in
        [(&named, "?q=a", None), (&named, "", Some(texts(&["u9"]))), (&only, "?name=a", None), (&only, "?name=", Some(texts(&["u9"])))]
    {
        assert_eq!(ids(&state, source, query), expected, "{source} {query}");
    }
}

#[test]
fn who_has_what_is_excluded_is_left_out() {
    let source = "{list: user, newest-first: true, without: [{user-role: query.excludeRoleId, by: roleId}]}";
    let roles = [
        (Kind::UserRole, "u1/r1", json!({"owner": "u1", "roleId": "r1"})),
        (Kind::UserRole, "u2/r2", json!({"owner": "u2", "roleId": "r2"})),
    ];
    let known = state(state(State::default(), &users()), &roles);
    for (query, expected) in [
        ("", Some(texts(&["u2", "u1"]))),
        ("?excludeRoleId=", Some(texts(&["u2", "u1"]))),
        ("?excludeRoleId=r1", Some(texts(&["u2"]))),
        ("?excludeRoleId=r2", Some(texts(&["u1"]))),
        ("?excludeRoleId=r3", Some(texts(&["u2", "u1"]))),
    ] {
        assert_eq!(ids(&known, source, query), expected, "{query}");
    }
}

#[test]
fn who_has_what_can_be_told_from_either_end() {
    let source = "{list: user, without: [{user-role: query.excludeRoleId, by: roleId}]}";
    let user = |told: bool| (Kind::User, "u1", json!({"id": "u1", KNOWS_ALL: told}));
    let role = |told: bool| (Kind::Role, "r1", json!({"id": "r1", KNOWS_ALL: told}));
    for (known, expected) in [
        (vec![user(true), role(false)], Some(texts(&["u1"]))),
        (vec![user(false), role(true)], Some(texts(&["u1"]))),
        (vec![user(true)], Some(texts(&["u1"]))),
        (vec![user(false), role(false)], None),
        (vec![user(false)], None),
    ] {
        assert_eq!(ids(&state(State::default(), &known), source, "?excludeRoleId=r1"), expected, "{known:?}");
    }
}

#[test]
fn a_tie_adds_to_what_it_ties_and_teaches_nothing_of_it() {
    let member = json!({"owner": "o1", "userId": "u1", "username": "of the tie", "organizationRoles": []});
    let state = state(State::closed(), &[users()[0].clone(), (Kind::OrganizationMember, "m1", member)]);
    let list = listed(&state, "{list: organization-member, of: path.id, as: {user: userId}}", "");
    let [Pattern::Object(members)] = list.items.as_slice() else { panic!("one object") };
    let told = |value: Value, teaches| Some(Member::Present(Pattern::Leaf { term: Term::Known(value), teaches }));
    let username = (Key::new(Kind::User, "u1"), crate::model::Teaching::Property("username".into()));
    assert_eq!(members.get("username").cloned(), told(json!("ann"), Some(username)));
    assert_eq!(members.get("organizationRoles").cloned(), told(json!([]), None));
}

/// What is left on a page of items that were made at these times, and how many of them are on it where that is not the same.
fn page(made: &[i64], (offset, size): (usize, usize), ordered: bool, whole: bool) -> (Vec<usize>, Option<usize>) {
    let entities: Vec<Entity> = made.iter().map(|made| Entity::from_json(&json!({"createdAt": made}))).collect();
    let items = entities.iter().enumerate();
    let mut shown: Vec<Item<'_>> =
        items.map(|(index, entity)| Item { key: Key::new(Kind::User, index.to_string()), entity: Some(entity), tie: None }).collect();
    let mut pattern = ListPattern::of((Kind::User, None), true);
    Page { offset, size }.turn_to(&mut shown, &mut pattern, ordered, whole);
    (shown.iter().map(|item| item.key.id.parse().unwrap()).collect(), pattern.part)
}

#[test]
fn a_page_shows_what_its_order_tells_apart() {
    // The second and the third were made at once: either may come first.
    let made = [5, 4, 4, 1];
    let all = vec![0, 1, 2, 3];
    for (bounds, expected) in [
        ((0, 1), (vec![0], None)),
        ((1, 2), (vec![1, 2], None)),
        ((3, 1), (vec![3], None)),
        ((3, 20), (vec![3], None)),
        ((0, 4), (all.clone(), None)),
        ((4, 2), (vec![], None)),
        ((0, 2), (all.clone(), Some(2))),
        ((2, 2), (all.clone(), Some(2))),
        ((2, 1), (all.clone(), Some(1))),
        ((1, 1), (all.clone(), Some(1))),
    ] {
        assert_eq!(page(&made, bounds, true, false), expected, "{bounds:?}");
    }
    assert_eq!(page(&[5, 5], (0, 1), true, false), (vec![0, 1], Some(1)));
}

#[test]
fn without_an_order_only_the_number_on_a_page_is_known() {
    let made = [5, 4, 4, 1];
    let all = vec![0, 1, 2, 3];
    for (bounds, expected) in [
        ((0, 4), (all.clone(), None)),
        ((0, 20), (all.clone(), None)),
        ((4, 2), (vec![], None)),
        ((0, 1), (all.clone(), Some(1))),
        ((1, 2), (all.clone(), Some(2))),
        ((3, 20), (all.clone(), Some(1))),
    ] {
        assert_eq!(page(&made, bounds, false, false), expected, "{bounds:?}");
    }
    // The deployment itself has one.
    assert_eq!(page(&made, (1, 2), false, true), (vec![1, 2], None));
    assert_eq!(page(&made, (2, 1), true, true), (vec![2], None));
}
