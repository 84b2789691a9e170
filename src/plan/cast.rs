//! The users of a sequence and what was brought about for them, which its requests share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::script::{Script, Traits, User};
use super::sequence::Persona;
use super::symbol::captured;
use crate::contract::{Given, Source};

/// The users of a sequence that probes share.
pub struct Cast {
    callers: BTreeMap<(bool, BTreeSet<Given>), User>,
    /// Somebody else, with username and e-mail.
    other: Option<User>,
    /// Somebody else who proved an identity, which takes a password.
    proved: Option<User>,
    /// The users that management operations act on, by what is given to them.
    subjects: BTreeMap<BTreeSet<Given>, User>,
    /// What was brought about already, with the symbol that its answer goes by.
    pub(super) given: BTreeMap<(Given, Option<User>), String>,
    /// What was got outside the collections already.
    obtained: BTreeMap<Source, String>,
    /// Bodies of the calls that brought things about, by symbol.
    pub(super) asked: BTreeMap<String, Value>,
    /// Something that is given could not be brought about for the request rendered last.
    pub(super) lacking: bool,
    /// There is one user only, who calls and is acted upon, whatever has become of it: whether with a password.
    pub(super) one: Option<bool>,
}

impl Cast {
    /// Nobody yet.
    pub const fn new() -> Self {
        Self {
            callers: BTreeMap::new(),
            other: None,
            proved: None,
            subjects: BTreeMap::new(),
            given: BTreeMap::new(),
            obtained: BTreeMap::new(),
            asked: BTreeMap::new(),
            lacking: false,
            one: None,
        }
    }

    /// One user for everything, so that what one call does shows in what the next one may.
    pub fn of_one(password: bool) -> Self {
        Self { one: Some(password), ..Self::new() }
    }

    /// The next user is a new one.
    pub fn replace(&mut self) {
        *self = Self { one: self.one, ..Self::new() };
    }

    /// The caller of that endowment, made when first asked for. Passwords cost the target much, so only some have one.
    pub(super) fn caller(&mut self, script: &mut Script<'_>, password: bool, endowment: BTreeSet<Given>) -> User {
        let (password, endowment) = self.one.map_or((password, endowment), |password| (password, BTreeSet::new()));
        *self.callers.entry((password, endowment)).or_insert_with(|| script.user(Traits { password, email: true }))
    }

    /// Somebody else.
    pub fn other(&mut self, script: &mut Script<'_>) -> User {
        *self.other.get_or_insert_with(|| script.user(Traits { password: false, email: true }))
    }

    /// Somebody else than a caller who can prove an identity: another caller, where there is one.
    pub(super) fn proved(&mut self, script: &mut Script<'_>, caller: Option<User>) -> User {
        let another = self.callers.iter().find(|((password, _), user)| *password && Some(**user) != caller).map(|(_, user)| *user);
        another.unwrap_or_else(|| *self.proved.get_or_insert_with(|| script.user(Traits { password: true, email: true })))
    }

    /// The user of that endowment that is acted upon.
    pub(super) fn subject(&mut self, script: &mut Script<'_>, endowment: BTreeSet<Given>) -> User {
        if self.one.is_some() {
            return self.caller(script, true, endowment);
        }
        *self.subjects.entry(endowment).or_insert_with(|| script.user(Traits { password: false, email: true }))
    }

    /// The next one to act upon is a new one.
    pub fn forget_subject(&mut self) {
        self.subjects.clear();
        self.given.clear();
        self.obtained.clear();
    }

    /// Whoever was acted upon is no more.
    pub fn lose_subject(&mut self) {
        self.forget_subject();
        if self.one.is_some() {
            self.callers.clear();
        }
    }

    /// The next caller is a new one.
    pub fn forget_caller(&mut self) {
        if self.one.is_none() {
            self.callers.clear();
        }
        self.given.clear();
        self.obtained.clear();
    }

    /// What is given next is brought about anew: an accepted call may have changed it.
    pub fn forget_given(&mut self) {
        self.given.clear();
        self.obtained.clear();
    }

    /// Gets something outside the collections, once.
    pub(super) fn obtain(&mut self, script: &mut Script<'_>, persona: Persona, source: Source) -> String {
        self.obtained.entry(source).or_insert_with_key(|source| script.obtain(persona, source.clone())).clone()
    }

    /// The text with what the calls that brought things about asked for.
    pub(super) fn recall(&self, mut text: String) -> String {
        if !text.contains(".asked.") {
            return text;
        }
        for (symbol, body) in &self.asked {
            while let Some((before, rest)) = text.split_once(&format!("{{{{{symbol}.asked.")) {
                let Some((path, after)) = rest.split_once("}}") else { break };
                let value = body.pointer(&format!("/{}", path.replace('.', "/"))).and_then(captured).unwrap_or_default();
                text = format!("{before}{value}{after}");
            }
        }
        text
    }
}
