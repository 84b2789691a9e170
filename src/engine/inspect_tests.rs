//! The contract and the model against recorded traffic of a real deployment, and what that traffic proves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::super::har::{self, Recorded, Recording};
use super::super::{Fate, fates, table};
use super::inspect;
use crate::check::Waivers;
use crate::contract::{Contract, Version};
use crate::model::wire::{Answer, Request};

/// Exchanges of specified operations that the recordings hold at least, and operations they show.
const LEAST: (usize, usize) = (12_000, 120);

struct Evidence {
    contract: Contract,
    recordings: Vec<Recording>,
    waivers: Waivers,
}

/// The recordings of `fixtures/`, read once.
fn evidence() -> &'static Evidence {
    static EVIDENCE: OnceLock<Evidence> = OnceLock::new();
    EVIDENCE.get_or_init(|| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let contract = Contract::embedded(Version::NEWEST).expect("the embedded contract is sound");
        let files = fs::read_dir(fixtures.join("recordings")).expect("fixtures/recordings is there");
        let mut files: Vec<_> =
            files.map(|file| file.expect("a readable folder").path()).filter(|path| path.to_string_lossy().ends_with(".har.gz")).collect();
        files.sort();
        let recordings = files.iter().map(|file| har::read(file).expect("a sound recording")).collect();
        let waivers = Waivers::read(&fixtures.join("waivers/logto-1.43.toml"), &contract, "2026-11-22").expect("sound waivers");
        Evidence { contract, recordings, waivers }
    })
}

#[test]
fn the_contract_explains_what_a_real_deployment_answered() {
    let Evidence { contract, recordings, waivers } = evidence();
    let inspection = inspect(contract, recordings, &mut waivers.clone());
    let wrong: Vec<String> =
        inspection.departures.iter().filter(|departure| !departure.waived).map(|departure| format!("{departure:?}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let total = inspection.total();
    assert_eq!(total.wrong, 0);
    assert!(
        total.abstained * 100 <= total.total() * 3,
        "{} of {} abstained: {:#?}",
        total.abstained,
        total.total(),
        inspection.abstentions
    );
    let shown = inspection.operations.values().filter(|tally| tally.total() > 0).count();
    assert!(total.total() >= LEAST.0 && shown >= LEAST.1, "{} exchanges of {shown} operations", total.total());
}

/// Mutants that the recordings cannot tell from the contract are rules that they do not prove. Each is listed with what is
/// missing, so that a new unproven rule, and one that has been proved since, are both seen.
#[test]
fn rules_that_the_recordings_do_not_prove_are_listed() {
    let Evidence { contract, recordings, waivers } = evidence();
    let scores = fates(contract, recordings, waivers);
    let list =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/survivors.txt")).expect("the list is there");
    let mut listed = BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [fate, id, reason] = parts.as_slice() else { panic!("not `FATE | MUTANT | REASON`: {line}") };
        assert!(!reason.trim().is_empty(), "{id} has no reason");
        assert!(listed.insert(*id, *fate).is_none(), "{id} is listed twice");
    }
    let mut problems = Vec::new();
    for score in scores.iter().filter(|score| matches!(score.fate, Fate::Survived | Fate::Weakened)) {
        match listed.remove(score.id.as_str()) {
            Some(fate) if fate == score.fate.to_string() => {}
            Some(fate) => problems.push(format!("{} is listed as {fate} but {}", score.id, score.fate)),
            None => problems.push(format!("{} {} and is not listed", score.id, score.fate)),
        }
    }
    problems.extend(listed.keys().map(|id| format!("{id} is listed, but it is caught, equivalent or no mutant any more")));
    assert!(problems.is_empty(), "{}\n\n{}", problems.join("\n"), table(&scores));
}

/// The same calls twice: the list that shows what was deleted comes after the deletion, or beside it. Only of the first can
/// be said that it is there again.
#[test]
fn what_a_read_shows_is_not_newer_than_the_write_beside_it() {
    let Evidence { contract, .. } = evidence();
    let scope = serde_json::json!({"tenantId": "default", "id": "scope1", "name": "read", "description": null});
    let one = "/api/organization-scopes/scope1";
    let entry = |(index, (method, path, status, body, began, took)): (usize, (&str, &str, u16, &str, i64, i64))| {
        let request = Request { headers: vec![("authorization".into(), "Bearer t".into())], ..Request::new(method, path) };
        let headers = vec![("content-type".into(), "application/json".into())];
        let answer = Answer { status, headers, body: body.as_bytes().to_vec().into() };
        Recorded { index, started_ms: Some(began), took_ms: Some(took), origin: "http://host".into(), request, answer, comment: None }
    };
    let wrong = |listed_at| {
        let (created, list, gone) = (scope.to_string(), format!("[{scope}]"), r#"{"message": "Not found.", "code": "entity.not_found"}"#);
        let calls = [
            ("POST", "/api/organization-scopes", 201, created.as_str(), 0, 5),
            ("DELETE", one, 204, "", 10, 20),
            ("GET", "/api/organization-scopes", 200, list.as_str(), listed_at, 5),
            ("DELETE", one, 404, gone, 50, 5),
        ];
        let entries = calls.into_iter().enumerate().map(entry).collect();
        let inspection = inspect(contract, &[Recording { path: "x.har".into(), entries }], &mut Waivers::default());
        inspection.departures.iter().map(|departure| departure.place.clone()).collect::<Vec<_>>()
    };
    assert_eq!(wrong(40), ["x.har#4"]);
    assert_eq!(wrong(12), Vec::<String>::new());
}
