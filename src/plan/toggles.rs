//! Toggles: every pair of fields at every pair of levels, reads and writes.

use std::collections::BTreeMap;

use rand::Rng as _;
use serde_json::json;

use super::build::Draft;
use super::epoch::{Need, covering_rows, fields};
use super::script::{ALL_SCOPES, Client, Script, Traits, call_with};
use super::sequence::{Persona, Purpose};
use crate::contract::Contract;

/// One sequence per row of a covering array of field levels, one with no levels at all, and one with the center off.
pub fn toggles<'a>(contract: &'a Contract, rng: &mut rand::rngs::StdRng) -> Vec<Draft<'a>> {
    let names = fields(contract);
    let mut needs: Vec<(String, Need)> = covering_rows(&names, rng)
        .into_iter()
        .enumerate()
        .map(|(index, levels)| (format!("toggles/{}", index + 1), Need { enabled: Some(true), levels, ..Need::default() }))
        .collect();
    let absent: BTreeMap<String, Option<String>> = names.iter().map(|name| (name.clone(), None)).collect();
    needs.push(("toggles/absent".into(), Need { enabled: Some(true), levels: absent.clone(), ..Need::default() }));
    needs.push(("toggles/disabled".into(), Need { enabled: Some(false), levels: absent, ..Need::default() }));
    needs
        .into_iter()
        .map(|(id, need)| {
            let some: Vec<&str> = ALL_SCOPES.split(' ').filter(|scope| *scope == "openid" || rng.next_u32().is_multiple_of(2)).collect();
            let some = some.join(" ");
            Draft { id, need, alone: false, write: Box::new(move |script| row(script, &some)) }
        })
        .collect()
}

fn row(script: &mut Script<'_>, some: &str) {
    let user = script.user(Traits { password: false, email: true });
    for scopes in [ALL_SCOPES, some] {
        let token = script.token(user, scopes, Client::First);
        let mut calls = vec![("read", "GetProfile", None), ("read", "GetMfaSettings", None)];
        for body in [json!({"name": script.text()}), json!({"avatar": "https://example.com/a.png"}), json!({"customData": {"row": 1}})] {
            calls.push(("write", "UpdateProfile", Some(body)));
        }
        calls.push(("write several", "UpdateProfile", Some(json!({"name": script.text(), "avatar": null, "customData": {}}))));
        calls.push(("write", "UpdateOtherProfile", Some(json!({"nickname": script.text(), "address": {"country": "IT"}}))));
        for (label, operation, body) in calls {
            let Some(known) = script.contract().operation(operation) else { continue };
            let call = call_with(operation, known.method.clone(), known.path.clone(), &format!("Bearer {token}"), body.as_ref());
            script.call(Persona::User, Purpose::Probe(label.into()), call, &[]);
            let of = script.last();
            if body.is_some() {
                script.look(user, of);
            }
        }
    }
}
