//! What was not tested, grouped by the remedy.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::document::NotTested;

/// Requirements that were not tested for the same reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// Why they were not tested.
    pub(super) reason: &'a str,
    /// What the user can do about it.
    pub(super) fix: &'a str,
    /// Their ids, sorted, each once.
    pub(super) requirements: BTreeSet<&'a str>,
}

/// Groups the rows; the reason that holds most requirements back comes first, then by text.
pub(super) fn groups(rows: &[NotTested]) -> Vec<Group<'_>> {
    let mut by_text: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        by_text.entry((&row.reason, &row.fix)).or_default().insert(&row.requirement);
    }
    let mut groups: Vec<Group<'_>> = by_text.into_iter().map(|((reason, fix), requirements)| Group { reason, fix, requirements }).collect();
    groups.sort_by_key(|group| Reverse(group.requirements.len()));
    groups
}

/// Number of requirements, each counted once.
pub(super) fn count(rows: &[NotTested]) -> usize {
    rows.iter().map(|row| row.requirement.as_str()).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(requirement: &str, reason: &str) -> NotTested {
        NotTested { requirement: requirement.to_owned(), reason: reason.to_owned(), fix: "fix".to_owned() }
    }

    #[test]
    fn the_commonest_reason_comes_first_then_the_text_decides() {
        let rows = [row("C", "b"), row("A", "z"), row("B", "z"), row("A", "z"), row("D", "a")];
        let groups: Vec<(&str, usize)> = groups(&rows).iter().map(|group| (group.reason, group.requirements.len())).collect();
        assert_eq!(groups, [("z", 2), ("a", 1), ("b", 1)]);
        assert_eq!(count(&rows), 4);
    }
}
