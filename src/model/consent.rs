//! What a third-party application may ask users for, as one answer shows it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pattern::{ListPattern, Member, Pattern};
use super::state::{Entity, Key, Kind, State};

/// How an entity looks under a schema.
type Look<'a> = &'a dyn Fn(&Key, &Entity, &Value) -> Pattern;

/// The members of the answer, and the kind of scopes that each shows.
const MEMBERS: [(&str, &str); 4] = [
    ("organizationScopes", "organization-scopes"),
    ("resourceScopes", "resource-scopes"),
    ("organizationResourceScopes", "organization-resource-scopes"),
    ("userScopes", "user-scopes"),
];

/// The consent scopes of an application: permissions of organisations, those of resources by resource, and parts of the account.
pub fn consent_scopes(state: &State, application: &str, schema: &Value, look: Look<'_>) -> Pattern {
    let members = MEMBERS.iter().map(|(member, kind)| {
        let owner = Key::new(Kind::Application, format!("{application}/{kind}"));
        let complete = state.knows_all(Kind::ConsentScope, Some(&owner));
        let granted = state.all(Kind::ConsentScope).filter(|(_, scope)| scope.text("owner") == Some(Some(&owner.id)));
        let ids: Vec<&str> = granted.filter_map(|(_, scope)| scope.text("scopeId").flatten()).collect();
        let inner = schema.pointer(&format!("/properties/{member}/items")).unwrap_or(&Value::Null);
        let items = match *kind {
            "user-scopes" => Some(ids.iter().map(|id| Pattern::exactly(Value::from(*id))).collect()),
            "organization-scopes" => entities(state, Kind::OrganizationScope, &ids, inner, look),
            _ => by_resource(state, &ids, inner, look),
        };
        let list = items
            .map_or(Pattern::Any, |items| Pattern::List(ListPattern { items, ..ListPattern::of((Kind::ConsentScope, None), complete) }));
        ((*member).to_owned(), Member::Present(list))
    });
    Pattern::Object(members.collect())
}

/// What the entities of these ids look like; `None` when one of them was never seen.
fn entities(state: &State, kind: Kind, ids: &[&str], schema: &Value, look: Look<'_>) -> Option<Vec<Pattern>> {
    ids.iter()
        .map(|id| {
            let key = Key::new(kind, *id);
            Some(look(&key, state.get(&key)?, schema))
        })
        .collect()
}

fn by_resource(state: &State, ids: &[&str], schema: &Value, look: Look<'_>) -> Option<Vec<Pattern>> {
    let mut resources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids {
        resources.entry(state.find(Kind::Scope, id)?.text("owner")??).or_default().push(id);
    }
    let part = |name: &str| schema.pointer(&format!("/properties/{name}")).unwrap_or(&Value::Null);
    let scope = part("scopes").get("items").unwrap_or(&Value::Null);
    resources
        .into_iter()
        .map(|(resource, ids)| {
            let shown = entities(state, Kind::Resource, &[resource], part("resource"), look)?.pop()?;
            let items = entities(state, Kind::Scope, &ids, scope, look)?;
            let scopes = Pattern::List(ListPattern { items, ..ListPattern::of((Kind::Scope, None), true) });
            Some(Pattern::Object(BTreeMap::from([
                ("resource".to_owned(), Member::Present(shown)),
                ("scopes".to_owned(), Member::Present(scopes)),
            ])))
        })
        .collect()
}

#[cfg(test)]
#[path = "consent_tests.rs"]
mod tests;
