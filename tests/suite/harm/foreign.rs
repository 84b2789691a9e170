//! An isolated run among a thousand users of others, under settings of others.

use logto_conformance::contract::{Contract, Version};
use logto_conformance::reference::{Reference, ReferenceOptions};
use serde_json::json;

use super::program::Folder;
use super::tenant::Tenant;

const USERS: usize = 1_000;

#[test]
fn an_isolated_run_leaves_everything_foreign_as_it_is() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let reference = runtime.block_on(Reference::start(ReferenceOptions::new(contract))).unwrap();
    let (tenant, before) = runtime.block_on(async {
        let tenant = Tenant::open(&reference.endpoint, &reference.client_id, &reference.client_secret, &reference.resource).await;
        for number in 0..USERS {
            let user = json!({
                "username": format!("alice_{number}"), "primaryEmail": format!("alice{number}@example.com"), "name": format!("Alice {number}"),
                "customData": {"number": number},
            });
            assert_eq!(tenant.send("POST", "/api/users", Some(user)).await.status, 200);
        }
        for number in 0..30 {
            let role = json!({"name": format!("editor {number}"), "description": "edits"});
            assert_eq!(tenant.send("POST", "/api/roles", Some(role)).await.status, 200);
            let organization = json!({"name": format!("Shop {number}")});
            assert_eq!(tenant.send("POST", "/api/organizations", Some(organization)).await.status, 201);
            let application = json!({"name": format!("shop {number}"), "type": "SPA"});
            assert_eq!(tenant.send("POST", "/api/applications", Some(application)).await.status, 200);
        }
        let center = json!({
            "enabled": true, "fields": {"name": "ReadOnly", "email": "Edit", "username": "Edit", "password": "Edit", "profile": "ReadOnly"},
            "webauthnRelatedOrigins": ["https://shop.example.com"],
        });
        assert_eq!(tenant.send("PATCH", "/api/account-center", Some(center)).await.status, 200);
        let experience = json!({"mfa": {"factors": ["Totp"], "policy": "NoPrompt"}});
        assert_eq!(tenant.send("PATCH", "/api/sign-in-exp", Some(experience)).await.status, 200);
        let before = tenant.foreign().await;
        (tenant, before)
    });
    assert_eq!(before["users"].as_array().unwrap().len(), USERS);
    let folder = Folder::new("foreign");
    let arguments = ["check", "--target", &reference.endpoint, "--mode", "isolated", "--profile", "quick"];
    let code = folder.end(folder.start((&reference.client_id, &reference.client_secret), &arguments));
    assert!([0, 4].contains(&code), "exit {code}:\n{}", folder.said());
    assert!(folder.said().contains("residue: none"), "{}", folder.said());
    let (after, residue) = runtime.block_on(async { (tenant.foreign().await, tenant.residue().await) });
    for (name, before) in before.as_object().unwrap() {
        assert!(after[name] == *before, "{name} is not as before");
    }
    assert_eq!(residue, Vec::<String>::new());
}
