//! Taking back what a run created or changed, from its ledger; works during a run, after it, and after `kill -9`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::connectors::disconnect;
use super::form::percent;
use super::gate::{Clearance, Gate};
use super::ledger::{Intent, Record, collection, identity};
use crate::model::json::same;
use crate::model::wire::{Answer, Request};

/// Deletions that run at once.
const AT_ONCE: usize = 8;

/// Largest page that the Management API gives.
const PAGE: usize = 100;

/// More pages than any run of ours can fill; bounds the reading of a list that never ends.
const MAX_PAGES: usize = 200;

/// How often settings are read until a cached answer shows the restored ones.
const READ_BACKS: usize = 10;

/// Pause between two such readings.
const READ_BACK_PAUSE: Duration = Duration::from_millis(200);

/// The keys of the account-center settings that can be written.
const ACCOUNT_CENTER_KEYS: [&str; 6] = ["enabled", "fields", "webauthnRelatedOrigins", "deleteAccountUrl", "customCss", "profileFields"];

/// What a clean-up did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CleanupReport {
    /// What was deleted or restored by this clean-up.
    pub undone: Vec<String>,
    /// What is still there, or could not be looked at, with the reason.
    pub residue: Vec<String>,
}

impl CleanupReport {
    /// Whether the deployment is as it was before the run.
    pub fn is_clean(&self) -> bool {
        self.residue.is_empty()
    }
}

/// Undoes the records of a ledger in reverse order. Never stops half way: what cannot be undone is reported as
/// residue, and a second clean-up tries it again. Users, applications and roles are found by id *and* by name, and
/// deleted only when the run's name space or the ledger says that they are the run's.
pub async fn cleanup(gate: &Gate, admin_token: &str, records: &[Record]) -> CleanupReport {
    let mut sweep = Sweep { gate, admin_token, gone: HashSet::new(), report: CleanupReport::default() };
    let mut open: Vec<&Intent> = Vec::new();
    let mut ids: HashMap<&str, Vec<&str>> = HashMap::new();
    for record in records {
        match record {
            Record::Intend(intent) => open.push(intent),
            Record::Settle { label, id } => ids.entry(label).or_default().push(id),
            Record::Undone { label } => open.retain(|intent| intent.label() != *label),
        }
    }
    let ids_of = |intent: &Intent| ids.get(intent.label().as_str()).cloned().unwrap_or_default();
    while let Some(last) = open.last() {
        // Objects of one kind that were made in a row are deleted together.
        let kind = batch(last);
        let start = open.iter().rposition(|intent| batch(intent) != kind).map_or(0, |at| at + 1);
        let together: Vec<(&Intent, Vec<&str>)> = open.split_off(start).into_iter().rev().map(|intent| (intent, ids_of(intent))).collect();
        match together[0].0 {
            Intent::AccountCenter { before } => {
                sweep.restore(together[0].0, "/api/account-center", before, |key| ACCOUNT_CENTER_KEYS.contains(&key)).await;
            }
            Intent::SignInExperience { before } => {
                sweep.restore(together[0].0, EXPERIENCE, before, in_experience).await;
            }
            Intent::Connector { .. } => {
                for (intent, _) in &together {
                    sweep.reconnect(intent).await;
                }
            }
            Intent::User { .. } | Intent::Application { .. } | Intent::Role { .. } | Intent::Object { .. } => sweep.delete(&together).await,
        }
    }
    sweep.report
}

/// Brings the sign-in experience back to what it was before, in the middle of a run: the ledger's intent stays open.
pub async fn put_back_experience(gate: &Gate, admin_token: &str, before: &Value) -> Result<(), String> {
    let sweep = Sweep { gate, admin_token, gone: HashSet::new(), report: CleanupReport::default() };
    sweep.try_restore(EXPERIENCE, before, in_experience).await.map(drop)
}

/// Where the sign-in experience is read and changed.
const EXPERIENCE: &str = "/api/sign-in-exp";

/// Whether a key of the sign-in experience can be written.
fn in_experience(key: &str) -> bool {
    !["tenantId", "id"].contains(&key)
}

/// What is deleted together: objects of one kind.
fn batch(intent: &Intent) -> (std::mem::Discriminant<Intent>, Option<&str>) {
    let undo = if let Intent::Object { undo, .. } = intent { Some(undo.as_str()) } else { None };
    (std::mem::discriminant(intent), undo)
}

struct Sweep<'a> {
    gate: &'a Gate,
    admin_token: &'a str,
    /// Where what this clean-up has deleted was: found by name with the first of their kind, they stand in later records too.
    gone: HashSet<String>,
    report: CleanupReport,
}

/// What distinguishes the kinds of objects.
struct Kind<'a> {
    word: &'a str,
    collection: &'a str,
    /// The key that names an object in its path.
    identity: &'a str,
    /// Keys that can carry the run's name space; any key when there are none.
    names: &'static [&'static str],
    /// Queries that list the candidates; `{}` stands for the encoded name space.
    queries: &'static [&'static str],
}

impl Kind<'_> {
    /// The path of an object.
    fn place(&self, id: &str) -> String {
        format!("{}/{}", self.collection, percent(id))
    }
}

const USERS: Kind<'static> = Kind {
    word: "user",
    collection: "/api/users",
    identity: "id",
    names: &["username", "name"],
    queries: &["search.username={}%25&mode.username=like", "search.name={}%25&mode.name=like"],
};
const APPLICATIONS: Kind<'static> =
    Kind { word: "application", collection: "/api/applications", identity: "id", names: &["name"], queries: &[""] };
/// The lease has a fixed name; the run that holds it stands in its description.
const ROLES: Kind<'static> = Kind {
    word: "role",
    collection: "/api/roles",
    identity: "id",
    names: &["name", "description"],
    queries: &["search=%25{}%25", "search=%25lc_lease%25"],
};

impl Sweep<'_> {
    async fn delete(&mut self, together: &[(&Intent, Vec<&str>)]) {
        let kind = match together[0].0 {
            Intent::User { .. } => USERS,
            Intent::Application { .. } => APPLICATIONS,
            Intent::Object { undo, .. } => {
                let collection = collection(undo);
                let word = collection.rsplit('/').next().unwrap_or(collection).trim_end_matches('s');
                Kind { word, collection, identity: identity(undo), names: &[], queries: &[""] }
            }
            _ => ROLES,
        };
        let before = self.report.residue.len();
        // Id → how people call it. Settled ids come first: their objects may have been renamed since.
        let mut doomed: BTreeMap<String, String> = BTreeMap::new();
        for (intent, ids) in together {
            for id in ids.iter().filter(|id| !self.gone.contains(&kind.place(id))) {
                doomed.insert((*id).to_owned(), intent.label());
            }
        }
        doomed.extend(self.find(&kind).await);
        self.delete_all(&kind, doomed).await;
        // What was created while the list was read, or came late after a lost answer.
        let late = self.find(&kind).await;
        self.delete_all(&kind, late).await;
        if self.report.residue.len() == before {
            for (intent, _) in together {
                self.note_undone(intent);
            }
        }
    }

    /// The objects of the name space that the deployment knows.
    async fn find(&mut self, kind: &Kind<'_>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let space = self.gate.namespace().to_owned();
        for query in kind.queries {
            let query = query.replace("{}", &percent(&space));
            for page in 1..=MAX_PAGES {
                let target = format!("{}?page={page}&page_size={PAGE}&{query}", kind.collection);
                let list = match self.call(Request::new("GET", target), &Clearance::read()).await {
                    Ok(answer) if answer.status == 200 => answer.into_json(),
                    Ok(answer) => {
                        return self.failed(format!("{}s cannot be listed: {}", kind.word, told(&answer)), found);
                    }
                    Err(why) => return self.failed(format!("{}s cannot be listed: {why}", kind.word), found),
                };
                let Some(Value::Array(items)) = list else {
                    return self.failed(format!("{}s cannot be listed: the answer is no list", kind.word), found);
                };
                found.extend(items.iter().filter_map(|item| {
                    let any = item.as_object().into_iter().flatten().filter(|_| kind.names.is_empty()).map(|(_, value)| value);
                    let texts = kind.names.iter().filter_map(|key| item.get(key)).chain(any).filter_map(Value::as_str);
                    let ours = texts.into_iter().find(|text| text.starts_with(&space))?;
                    Some((item.get(kind.identity)?.as_str()?.to_owned(), format!("{} {ours}", kind.word)))
                }));
                if items.len() < PAGE {
                    break;
                }
            }
        }
        found
    }

    async fn delete_all(&mut self, kind: &Kind<'_>, doomed: BTreeMap<String, String>) {
        let sweep = &*self;
        let results: Vec<_> = stream::iter(doomed)
            .map(|(id, label)| async move {
                // Listed under our name space, or noted in our ledger when it was created.
                sweep.gate.own(&id);
                let place = kind.place(&id);
                let outcome = sweep.call(Request::new("DELETE", place.clone()), &Clearance::destroying(&id)).await;
                (format!("{label} ({id})"), place, outcome)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (what, place, outcome) in results {
            match outcome {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.report.undone.push(what);
                    self.gone.insert(place);
                }
                // Gone already.
                Ok(answer) if answer.status == 404 => drop(self.gone.insert(place)),
                Ok(answer) => self.report.residue.push(format!("{what}: {}", told(&answer))),
                Err(why) => self.report.residue.push(format!("{what}: {why}")),
            }
        }
    }

    /// Puts settings back: only the keys that can be written and differ are sent.
    async fn restore(&mut self, intent: &Intent, target: &str, before: &Value, writable: impl Fn(&str) -> bool) {
        match self.try_restore(target, before, writable).await {
            Ok(changed) => {
                if changed {
                    self.report.undone.push(intent.label());
                }
                self.note_undone(intent);
            }
            Err(why) => self.report.residue.push(format!("{}: {why}", intent.label())),
        }
    }

    /// Puts the connector back that stood there before ours.
    async fn reconnect(&mut self, intent: &Intent) {
        match disconnect(self.gate, self.admin_token, intent).await {
            Ok(changed) => {
                if changed {
                    self.report.undone.push(intent.label());
                }
                self.note_undone(intent);
                if let Err(error) = self.gate.ledger().vault().forget(&intent.label()) {
                    self.report.residue.push(format!("{}: its copy beside the ledger cannot be deleted: {error}", intent.label()));
                }
            }
            Err(error) => self.report.residue.push(format!("{}: {error}", intent.label())),
        }
    }

    /// One setting put back may move another, and a deployment may show old values for a moment: so it is done again until
    /// all is as before.
    async fn try_restore(&self, target: &str, before: &Value, writable: impl Fn(&str) -> bool) -> Result<bool, String> {
        let mut left = String::new();
        let mut sent: Option<Map<String, Value>> = None;
        for round in 0..READ_BACKS {
            let now = self.read(target).await?;
            if same(&now, before) {
                return Ok(round > 0);
            }
            left = differing(&now, before).map(|(key, _)| key).collect::<Vec<_>>().join(", ");
            let patch: Map<String, Value> = differing(&now, before).filter(|(key, _)| writable(key)).collect();
            // What was sent already may only take its time to show.
            if patch.is_empty() || sent.as_ref() == Some(&patch) {
                tokio::time::sleep(READ_BACK_PAUSE).await;
            }
            if !patch.is_empty() {
                let clearance = Clearance { tenant_wide: true, ..Clearance::write() };
                let request = Request::new("PATCH", target).with_json(&Value::Object(patch.clone()));
                let answer = self.call(request, &clearance).await?;
                if answer.status != 200 {
                    return Err(format!("not restored: {}", told(&answer)));
                }
            }
            sent = Some(patch);
        }
        Err(format!("differs from before the run in: {}", if left.is_empty() { "new keys" } else { &left }))
    }

    async fn read(&self, target: &str) -> Result<Value, String> {
        let answer = self.call(Request::new("GET", target), &Clearance::read()).await?;
        let said = format!("cannot be read: {}", told(&answer));
        if answer.status == 200 { answer.into_json().ok_or(said) } else { Err(said) }
    }

    async fn call(&self, request: Request, clearance: &Clearance) -> Result<Answer, String> {
        let request = request.with_header("authorization", format!("Bearer {}", self.admin_token));
        self.gate.send(&request, clearance).await.map_err(|error| error.to_string())
    }

    fn failed<T>(&mut self, residue: String, found: T) -> T {
        self.report.residue.push(residue);
        found
    }

    fn note_undone(&mut self, intent: &Intent) {
        if let Err(error) = self.gate.ledger().undone(intent) {
            // Harmless: the next clean-up finds nothing to do.
            self.report.undone.push(format!("{} (not noted in the ledger: {error})", intent.label()));
        }
    }
}

/// The members of `before` that are different now.
fn differing<'a>(now: &'a Value, before: &'a Value) -> impl Iterator<Item = (String, Value)> + 'a {
    let members = before.as_object().into_iter().flatten();
    members
        .filter(|(key, value)| !now.get(key.as_str()).is_some_and(|now| same(now, value)))
        .map(|(key, value)| (key.clone(), value.clone()))
}

/// An answer in a few words.
fn told(answer: &Answer) -> String {
    let code = answer.json().as_ref().and_then(|body| Some(body.get("code")?.as_str()?.to_owned()));
    format!("the deployment answers {} {}", answer.status, code.unwrap_or_default()).trim_end().to_owned()
}

#[cfg(test)]
#[path = "cleanup_tests.rs"]
mod tests;
