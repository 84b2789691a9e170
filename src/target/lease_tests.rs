use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::cleanup::cleanup;
use super::super::gate::Mode;
use super::super::ledger::{Ledger, Record};
use super::super::secret::SecretRegister;
use super::super::test_server::{client, serve};
use super::*;

const NOW: i64 = 1_800_000_000_000;

/// The roles of a tenant; names are unique unless it is `lax`.
#[derive(Default)]
struct Roles {
    all: Vec<Value>,
    made: usize,
    lax: bool,
}

impl Roles {
    fn answer(&mut self, line: &str, body: &str) -> Response {
        let (method, target) = line.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        let id = path.strip_prefix("/api/roles/");
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let named = |roles: &[Value]| roles.iter().any(|role| role["name"] == body["name"]);
        match (method, id) {
            ("GET", None) => Value::Array(self.all.clone()).to_string().into_response(),
            ("POST", None) if !self.lax && named(&self.all) => {
                (StatusCode::UNPROCESSABLE_ENTITY, json!({"code": "role.name_in_use"}).to_string()).into_response()
            }
            ("POST", None) => {
                self.made += 1;
                let mut role = body;
                role["id"] = format!("r{}", self.made).into();
                self.all.push(role.clone());
                role.to_string().into_response()
            }
            (_, Some(id)) => match self.all.iter().position(|role| role["id"] == id) {
                None => StatusCode::NOT_FOUND.into_response(),
                Some(at) if method == "DELETE" => {
                    self.all.remove(at);
                    StatusCode::NO_CONTENT.into_response()
                }
                Some(at) => {
                    self.all[at]["description"] = body["description"].clone();
                    self.all[at].to_string().into_response()
                }
            },
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }
}

struct Tenant {
    endpoint: url::Url,
    roles: Arc<Mutex<Roles>>,
}

impl Tenant {
    async fn new(lax: bool) -> Self {
        let roles = Arc::new(Mutex::new(Roles { lax, ..Roles::default() }));
        let served = Arc::clone(&roles);
        let (endpoint, _) = serve(move |line, body| served.lock().unwrap().answer(line, body)).await;
        Self { endpoint, roles }
    }

    fn gate(&self, run: &str) -> Gate {
        let space = format!("lc_{run}_");
        Gate::new(client(self.endpoint.clone()), Mode::Exclusive, Ledger::in_memory(), SecretRegister::new(), space)
    }

    fn descriptions(&self) -> Vec<String> {
        self.roles.lock().unwrap().all.iter().map(|role| role["description"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn the_second_run_is_refused_and_told_who_holds_it_and_until_when() {
    let tenant = Tenant::new(false).await;
    let (first, second) = (tenant.gate("aaa"), tenant.gate("bbb"));
    Lease::acquire(&first, "t", NOW).await.unwrap();
    assert_eq!(tenant.descriptions(), ["lc_aaa_ holds the settings of this tenant until 2027-01-15T08:02:00.000Z"]);
    let error = Lease::acquire(&second, "t", NOW + 1).await.unwrap_err();
    assert!(matches!(&error, LeaseError::Held { run, until } if run == "aaa" && until == "2027-01-15T08:02:00.000Z"), "{error}");
    // The refused run has nothing to clean up, and does not take the other's lease away.
    assert!(cleanup(&second, "t", &second.ledger().records()).await.is_clean());
    assert_eq!(tenant.descriptions().len(), 1);
    assert!(cleanup(&first, "t", &first.ledger().records()).await.is_clean());
    assert!(tenant.descriptions().is_empty() && first.ledger().is_settled_up());
    Lease::acquire(&second, "t", NOW + 2).await.unwrap();
}

#[tokio::test]
async fn a_look_tells_what_would_come_of_asking_and_writes_nothing() {
    let tenant = Tenant::new(false).await;
    let (first, second) = (tenant.gate("aaa"), tenant.gate("bbb"));
    Lease::look(&second, "t", NOW).await.unwrap();
    assert!(tenant.descriptions().is_empty());
    Lease::acquire(&first, "t", NOW).await.unwrap();
    Lease::look(&first, "t", NOW).await.unwrap();
    let later = NOW + LEASE_TIME + SKEW;
    let error = Lease::look(&second, "t", later - 1).await.unwrap_err();
    assert!(matches!(&error, LeaseError::Held { run, .. } if run == "aaa"), "{error}");
    // An abandoned lease stands in nobody's way.
    Lease::look(&second, "t", later).await.unwrap();
    assert_eq!(tenant.descriptions().len(), 1);
    tenant.roles.lock().unwrap().all[0]["description"] = "ours".into();
    assert!(matches!(Lease::look(&second, "t", later).await, Err(LeaseError::Unreadable)));
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_it_is_renewed() {
    let tenant = Tenant::new(false).await;
    let (first, second) = (tenant.gate("aaa"), tenant.gate("bbb"));
    let lease = Lease::acquire(&first, "t", NOW).await.unwrap();
    lease.renew(&first, "t", NOW + LEASE_TIME).await.unwrap();
    let later = NOW + LEASE_TIME + SKEW;
    assert!(matches!(Lease::acquire(&second, "t", later).await, Err(LeaseError::Held { .. })));
    // Clocks may differ: it is not taken away the moment it ends.
    assert!(matches!(Lease::acquire(&second, "t", later + LEASE_TIME - 1).await, Err(LeaseError::Held { .. })));
    Lease::acquire(&second, "t", later + LEASE_TIME).await.unwrap();
    assert!(matches!(lease.renew(&first, "t", later).await, Err(LeaseError::Lost)));
    // What comes too late takes nothing away from the new holder.
    assert!(cleanup(&first, "t", &first.ledger().records()).await.is_clean());
    assert!(tenant.descriptions()[0].starts_with("lc_bbb_ "));
}

#[tokio::test]
async fn of_many_that_find_an_abandoned_lease_at_once_one_gets_it() {
    for round in 0..20 {
        let tenant = Tenant::new(false).await;
        Lease::acquire(&tenant.gate("old"), "t", NOW).await.unwrap();
        let later = NOW + LEASE_TIME + SKEW;
        let runs: Vec<Gate> = (0..6).map(|number| tenant.gate(&format!("r{round}x{number}"))).collect();
        let asked = runs.iter().map(|gate| Lease::acquire(gate, "t", later));
        let results = futures_util::future::join_all(asked).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert!(matches!(error, LeaseError::Held { .. }), "{error}");
        }
        assert_eq!(tenant.descriptions().len(), 1);
    }
}

#[tokio::test]
async fn where_names_are_not_unique_nobody_holds_it_together_with_another() {
    for _ in 0..20 {
        let tenant = Tenant::new(true).await;
        let (first, second) = (tenant.gate("aaa"), tenant.gate("bbb"));
        let (one, other) = tokio::join!(Lease::acquire(&first, "t", NOW), Lease::acquire(&second, "t", NOW));
        assert!(one.is_err() || other.is_err(), "{one:?} {other:?}");
        let holders = usize::from(one.is_ok()) + usize::from(other.is_ok());
        assert_eq!(tenant.descriptions().len(), holders);
    }
}

#[tokio::test]
async fn the_run_itself_takes_its_lease_again_to_restore() {
    let tenant = Tenant::new(false).await;
    Lease::acquire(&tenant.gate("aaa"), "t", NOW).await.unwrap();
    let again = tenant.gate("aaa");
    Lease::acquire(&again, "t", NOW + 1000).await.unwrap();
    assert_eq!(tenant.descriptions(), ["lc_aaa_ holds the settings of this tenant until 2027-01-15T08:02:01.000Z"]);
}

#[tokio::test]
async fn a_role_of_the_name_that_somebody_else_made_is_left_alone() {
    let tenant = Tenant::new(false).await;
    tenant.roles.lock().unwrap().all.push(json!({"id": "x", "name": LEASE_ROLE, "description": "ours"}));
    let gate = tenant.gate("aaa");
    assert!(matches!(Lease::acquire(&gate, "t", NOW).await, Err(LeaseError::Unreadable)));
    assert_eq!(tenant.descriptions(), ["ours"]);
    assert!(!gate.ledger().records().iter().any(|record| matches!(record, Record::Settle { .. })));
}
