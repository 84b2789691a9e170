//! Looks at what a call may have changed.

use super::probe::Probe;
use super::script::{Script, User};
use super::sequence::{Persona, Purpose};
use crate::contract::Contract;
use crate::contract::entity::Owner;
use crate::model::{Route, route};

/// Reads by the administrator what a path names, if there is an operation for it.
pub fn read_back(script: &mut Script<'_>, target: &str, of: usize) {
    if let Some(operation) = reader(script.contract(), target) {
        let call = script.admin_call(operation, target.to_owned(), None);
        script.call(Persona::Admin, Purpose::Look(of), call, &[]);
    }
}

/// The operation that reads a path.
fn reader<'a>(contract: &'a Contract, target: &str) -> Option<&'a str> {
    match route(contract, "GET", target) {
        Route::Operation(operation, _) => Some(&operation.id),
        _ => None,
    }
}

/// Looks at what a call may have changed: the user, and the nearest thing above the path that can be read.
pub fn look(script: &mut Script<'_>, probe: &Probe<'_>, target: &str, user: Option<User>, of: usize, both: bool) {
    let touches = probe.by_user() || probe.has_subject();
    if let Some(user) = user.filter(|_| touches) {
        script.look(user, of);
        if both && probe.by_user() {
            script.look_as_user(user, of);
        }
    }
    if let Some(user) = user.filter(|_| probe.by_user()) {
        look_at_belongings(script, probe, target, user, of);
    }
    let mut path = target.split('?').next().unwrap_or_default();
    while !probe.by_user() && path.matches('/').count() > 1 {
        if let Some(operation) = reader(script.contract(), path) {
            // A user was looked at already.
            if operation != "GetUser" || !touches {
                let call = script.admin_call(operation, path.to_owned(), None);
                script.call(Persona::Admin, Purpose::Look(of), call, &[]);
            }
            return;
        }
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

/// Looks at what belongs to a user, where an operation of the Account API changes it: the nearest list above the path.
fn look_at_belongings(script: &mut Script<'_>, probe: &Probe<'_>, target: &str, user: User, of: usize) {
    if !probe.operation.changes_belongings_of(&Owner::Caller) {
        return;
    }
    let mut path = target.split('?').next().unwrap_or_default();
    while path.matches('/').count() > 2 {
        if let Some(operation) = reader(script.contract(), path) {
            script.look_as_user_at(user, operation, path, of);
            return;
        }
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
}
