//! What stands on a deployment outside of users, read before and after a run: whatever differs is a residue, whoever's duty it
//! was. It trusts neither the ledger nor the clean-up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::form::percent;
use super::gate::{Clearance, Gate, LEASE_ROLE, Mode};
use crate::model::json::same;
use crate::model::wire::Request;

/// Lists that are read whole, with the member that names an object. Users are too many: only those of the run are read.
const LISTS: [(&str, &str); 13] = [
    ("applications", "id"),
    ("roles", "id"),
    ("organizations", "id"),
    ("organization-roles", "id"),
    ("organization-scopes", "id"),
    ("resources", "id"),
    ("connectors", "id"),
    ("sso-connectors", "id"),
    ("hooks", "id"),
    ("domains", "id"),
    ("email-templates", "id"),
    ("custom-phrases", "languageTag"),
    ("custom-profile-fields", "name"),
];

/// Documents that the whole tenant shares.
const SETTINGS: [&str; 2] = ["account-center", "sign-in-exp"];

/// Members that change without anybody's doing.
const COUNTED: [&str; 6] = ["usage", "usersCount", "applicationsCount", "featuredUsers", "featuredApplications", "updatedAt"];

/// Largest page that the Management API gives.
const PAGE: usize = 100;

/// Pages of one list that are read; a longer list is not compared.
const MAX_PAGES: usize = 50;

/// What begins the names of every run's objects.
const RUNS: [&str; 2] = ["lc_", "lc-"];

/// What stands on a deployment.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Objects by id, by list; without a list that is not there, cannot be read, or is too long.
    lists: BTreeMap<&'static str, BTreeMap<String, Value>>,
    settings: BTreeMap<&'static str, Value>,
    /// Users of the run.
    users: BTreeSet<String>,
}

impl Inventory {
    /// Reads what stands there now. What cannot be read is left out.
    pub async fn take(gate: &Gate, admin_token: &str) -> Self {
        let reader = Reader { gate, token: admin_token };
        let mut inventory = Self::default();
        for (list, identity) in LISTS {
            if let Some(items) = reader.list(&format!("/api/{list}"), "").await {
                let named = items.into_iter().filter_map(|item| Some((item.get(identity)?.as_str()?.to_owned(), item)));
                inventory.lists.insert(list, named.collect());
            }
        }
        for name in SETTINGS {
            if let Some(document) = reader.read(&format!("/api/{name}")).await {
                inventory.settings.insert(name, document);
            }
        }
        let space = percent(gate.namespace());
        for member in ["username", "name"] {
            let query = format!("&search.{member}={space}%25&mode.{member}=like");
            let users = reader.list("/api/users", &query).await.unwrap_or_default();
            let ours = users.iter().filter(|user| starts_with(user.get(member), gate.namespace()));
            inventory.users.extend(ours.filter_map(|user| Some(user.get("id")?.as_str()?.to_owned())));
        }
        inventory
    }

    /// Whether anything of the run of the gate stands there.
    pub fn holds_any_of(&self, gate: &Gate) -> bool {
        !self.users.is_empty() || self.lists.values().flat_map(BTreeMap::values).any(|item| is_ours(item, gate.namespace()))
    }

    /// What is different now, one line each. Objects of other runs, which may go on at the same time, do not count; nor does,
    /// unless the run had the tenant for itself, what is new and bears nobody's mark.
    pub fn residue(&self, now: &Self, gate: &Gate) -> Vec<String> {
        let mut residue: Vec<String> = now.users.iter().map(|id| format!("user {id} of this run is still there")).collect();
        for (list, before) in &self.lists {
            let Some(after) = now.lists.get(list) else {
                residue.push(format!("the {list} could be read before the run and cannot now"));
                continue;
            };
            for (id, item) in after {
                match before.get(id) {
                    _ if is_ours(item, gate.namespace()) => residue.push(format!("{list} {id} of this run is still there")),
                    _ if is_a_runs(item) => {}
                    Some(before) => residue.extend(differing(before, item).map(|what| changed(&format!("{list} {id}"), &what))),
                    None if gate.mode() == Mode::Exclusive => residue.push(format!("{list} {id} was not there before the run")),
                    None => {}
                }
            }
            let gone = before.iter().filter(|(id, item)| !after.contains_key(*id) && !is_a_runs(item));
            residue.extend(gone.map(|(id, _)| format!("{list} {id} is gone since the run began")));
        }
        for (name, before) in &self.settings {
            match now.settings.get(name) {
                Some(after) => residue.extend(differing(before, after).map(|what| changed(name, &what))),
                None => residue.push(format!("the {name} could be read before the run and cannot now")),
            }
        }
        residue
    }
}

fn changed(what: &str, members: &str) -> String {
    format!("{what} is not as before the run: {members}")
}

/// The names of the members that differ; values may be secrets.
fn differing(before: &Value, after: &Value) -> Option<String> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (!same(before, after)).then(|| "its kind".to_owned());
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).filter(|name| !COUNTED.contains(&name.as_str())).collect();
    let unlike = names.into_iter().filter(|name| match (old.get(*name), new.get(*name)) {
        (Some(old), Some(new)) => !same(old, new),
        _ => true,
    });
    let unlike: Vec<&str> = unlike.map(String::as_str).collect();
    (!unlike.is_empty()).then(|| unlike.join(", "))
}

/// Whether a text anywhere in the object carries the name space, also in the form that ids of connectors have.
fn is_ours(item: &Value, space: &str) -> bool {
    let hyphens = space.replace('_', "-");
    any_text(item, &|text| text.starts_with(space) || text.starts_with(&hyphens))
}

fn is_a_runs(item: &Value) -> bool {
    let named = |member: &str| item.get(member).and_then(Value::as_str);
    named("name") == Some(LEASE_ROLE) || any_text(item, &|text| RUNS.iter().any(|start| text.starts_with(start)))
}

fn any_text(value: &Value, fits: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => fits(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, fits)),
        Value::Object(members) => members.values().any(|member| any_text(member, fits)),
        _ => false,
    }
}

fn starts_with(value: Option<&Value>, start: &str) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| text.starts_with(start))
}

struct Reader<'a> {
    gate: &'a Gate,
    token: &'a str,
}

impl Reader<'_> {
    async fn list(&self, path: &str, query: &str) -> Option<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        for page in 1..=MAX_PAGES {
            let Value::Array(items) = self.read(&format!("{path}?page={page}&page_size={PAGE}{query}")).await? else { return None };
            // Some lists know no pages and are whole each time.
            let again = !all.is_empty() && all.first() == items.first();
            let whole = again || items.len() != PAGE;
            if !again {
                all.extend(items);
            }
            if whole {
                return Some(all);
            }
        }
        None
    }

    async fn read(&self, target: &str) -> Option<Value> {
        let request = Request::new("GET", target).with_header("authorization", format!("Bearer {}", self.token));
        let answer = self.gate.send(&request, &Clearance::read()).await.ok()?;
        if answer.status == 200 { answer.into_json() } else { None }
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
