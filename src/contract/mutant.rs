//! Small, deliberate errors in the guards of a contract.
//!
//! A mutant that recorded traffic cannot tell from the contract names a rule that the traffic does not prove.

use std::sync::Arc;

use super::exclusive::{implied_by_breaking, never_together};
use super::guard::Guard;
use super::{Collection, Contract, Operation};

/// What a mutant does to a list of guards. Entries are named by themselves: in one list no two are equal.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The entry is gone.
    Drop(Box<Guard>),
    /// The entry applies always: its `when` is gone.
    Always(Box<Guard>),
    /// The entry and its successor change places.
    Swap(Box<Guard>, Box<Guard>),
}

/// A contract with one change in its guards.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutant {
    /// Operation (or collection), change and entry, for example `UpdateProfile/drop/scope(profile)`.
    pub id: String,
    /// The operation whose own list is changed; `None` for the list that a whole collection shares.
    pub operation: Option<String>,
    /// The collection.
    pub collection: Collection,
    /// The change.
    pub change: Change,
}

impl Mutant {
    /// Every mutant of a contract: the shared lists of the collections first, then each operation's own list, in order.
    ///
    /// Two neighbours that refuse with the same answer and the same effect are not exchanged: nobody could tell. Nor is
    /// the last shared entry exchanged with the first own one.
    pub fn all(contract: &Contract) -> Vec<Self> {
        let mut mutants = Vec::new();
        for collection in [Collection::Account, Collection::Management] {
            let members = contract.operations.iter().filter(|operation| operation.collection == collection);
            // An operation has only those shared entries that find something to look at; the longest list has them all.
            let lists = members.map(|operation| operation.guards.iter().filter(|guard| guard.shared).collect::<Vec<_>>());
            let longest = lists.max_by_key(Vec::len).unwrap_or_default();
            of_list(&longest, &collection.to_string(), None, collection, &mut mutants);
        }
        for operation in &contract.operations {
            let own: Vec<&Guard> = operation.own_guards().collect();
            of_list(&own, &operation.id, Some(&operation.id), operation.collection, &mut mutants);
        }
        mutants
    }

    /// The contract with the change made.
    #[must_use]
    pub fn apply(&self, contract: &Contract) -> Contract {
        let mut changed = contract.clone();
        for operation in changed.operations.iter_mut().filter(|operation| self.concerns(operation)) {
            change(&mut Arc::make_mut(operation).guards, &self.change);
        }
        changed
    }

    /// Whether the mutant changes the guards of an operation.
    pub fn concerns(&self, operation: &Operation) -> bool {
        let here = match &self.operation {
            Some(id) => *id == operation.id,
            None => self.collection == operation.collection,
        };
        let has = |guard: &Guard| operation.guards.contains(guard);
        here && match &self.change {
            Change::Drop(guard) | Change::Always(guard) => has(guard),
            Change::Swap(first, second) => has(first) && has(second),
        }
    }

    /// Whether no request whatever can tell the mutant from the contract, as far as that follows from the shape of the
    /// request body alone. `false` means nothing.
    pub fn is_equivalent(&self) -> bool {
        match &self.change {
            Change::Drop(_) => false,
            Change::Always(guard) => guard.when.as_ref().is_some_and(|when| implied_by_breaking(&guard.kind, when)),
            Change::Swap(first, second) => never_together(first, second),
        }
    }
}

fn of_list(list: &[&Guard], owner: &str, operation: Option<&str>, collection: Collection, mutants: &mut Vec<Mutant>) {
    let mut add = |name: &str, entry: String, change: Change| {
        let id = format!("{owner}/{name}/{entry}");
        mutants.push(Mutant { id, operation: operation.map(str::to_owned), collection, change });
    };
    let names = names(list);
    for (guard, name) in list.iter().zip(&names) {
        add("drop", name.clone(), Change::Drop(Box::new((*guard).clone())));
    }
    for (guard, name) in list.iter().zip(&names).filter(|(guard, _)| guard.when.is_some()) {
        add("always", name.clone(), Change::Always(Box::new((*guard).clone())));
    }
    for (pair, names) in list.windows(2).zip(names.windows(2)) {
        let [first, second] = pair else { continue };
        if (&first.refusal, &first.on_refusal) != (&second.refusal, &second.on_refusal) {
            add("swap", names.join("+"), Change::Swap(Box::new((*first).clone()), Box::new((*second).clone())));
        }
    }
}

/// A name for each entry of a list: its label, with a number from the second one on that has the same.
fn names(list: &[&Guard]) -> Vec<String> {
    let labels: Vec<String> = list.iter().map(|guard| guard.label()).collect();
    let number = |index: usize| labels[..index].iter().filter(|label| **label == labels[index]).count();
    let name = |(index, label): (usize, &String)| if number(index) == 0 { label.clone() } else { format!("{label}#{}", number(index) + 1) };
    labels.iter().enumerate().map(name).collect()
}

fn change(guards: &mut Vec<Guard>, change: &Change) {
    let position = |wanted: &Guard| guards.iter().position(|guard| guard == wanted);
    match change {
        Change::Drop(guard) => guards.retain(|other| *other != **guard),
        Change::Always(guard) => {
            if let Some(index) = position(guard) {
                guards[index].when = None;
            }
        }
        Change::Swap(first, second) => {
            if let (Some(first), Some(second)) = (position(first), position(second)) {
                guards.swap(first, second);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::Version;

    fn labels(contract: &Contract, operation: &str) -> Vec<String> {
        contract.operation(operation).unwrap().guards.iter().map(Guard::label).collect()
    }

    #[test]
    fn every_mutant_has_its_own_name_and_changes_just_the_lists_it_concerns() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let mutants = Mutant::all(&contract);
        let ids: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.id.as_str()).collect();
        assert_eq!(ids.len(), mutants.len());
        for mutant in &mutants {
            let changed = mutant.apply(&contract);
            let mut touched = 0;
            for (before, after) in contract.operations.iter().zip(&changed.operations) {
                assert_eq!(before.guards != after.guards, mutant.concerns(before), "{} {}", mutant.id, before.id);
                touched += usize::from(mutant.concerns(before));
            }
            assert!(touched == 1 || touched > 1 && mutant.operation.is_none(), "{} touches {touched} operations", mutant.id);
        }
    }

    #[test]
    fn changes_do_what_they_say() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let mutant = |id: &str| Mutant::all(&contract).into_iter().find(|mutant| mutant.id == id).unwrap_or_else(|| panic!("no {id}"));
        let before = labels(&contract, "UpdateOtherProfile");
        let own = &before[before.len() - 4..];
        assert_eq!(own, ["field(profile)", "scope(profile)", "scope(address)", "first-party"]);

        let dropped = labels(&mutant("UpdateOtherProfile/drop/scope(profile)").apply(&contract), "UpdateOtherProfile");
        assert_eq!(dropped[dropped.len() - 3..], ["field(profile)", "scope(address)", "first-party"]);
        let swapped = labels(&mutant("UpdateOtherProfile/swap/scope(address)+first-party").apply(&contract), "UpdateOtherProfile");
        assert_eq!(swapped[swapped.len() - 2..], ["first-party", "scope(address)"]);
        let always = mutant("UpdateOtherProfile/always/scope(address)").apply(&contract);
        let guard = always.operation("UpdateOtherProfile").unwrap().guards.iter().find(|guard| guard.label() == "scope(address)");
        assert_eq!(guard.unwrap().when, None);

        let shared = mutant("account/drop/scope(openid)").apply(&contract);
        assert!(!labels(&shared, "GetProfile").contains(&"scope(openid)".to_owned()));
        assert_eq!(labels(&shared, "GetUser"), labels(&contract, "GetUser"));
    }

    #[test]
    fn neighbours_that_answer_alike_are_not_exchanged() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let ids: Vec<String> = Mutant::all(&contract).into_iter().map(|mutant| mutant.id).collect();
        assert!(!ids.contains(&"UpdateOtherProfile/swap/scope(profile)+scope(address)".to_owned()));
        assert!(ids.contains(&"UpdateOtherProfile/swap/field(profile)+scope(profile)".to_owned()));
    }
}
