//! Whether a page of a list is what its totals, its links and the request say.

use url::form_urlencoded;

use crate::contract::Operation;
use crate::contract::answer::{AnswerSpec, Source};
use crate::contract::guard::{GuardKind, Paging};
use crate::model::wire::{Answer, Request};

/// Entries of a page when the request does not say.
const PAGE_SIZE: u64 = 20;

/// The page that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    number: u64,
    size: u64,
}

impl Page {
    /// `None` when the request asks for no whole page.
    fn read(query: &str) -> Option<Self> {
        let number = |name: &str, default: u64| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (None, _) => Some(default),
                (Some(text), None) if text.is_empty() => Some(default),
                (Some(text), None) => text.parse().ok().filter(|number| *number > 0),
                _ => None,
            }
        };
        Some(Self { number: number("page", 1)?, size: number("page_size", PAGE_SIZE)? })
    }

    fn last(self, total: u64) -> u64 {
        total.div_ceil(self.size).max(1)
    }

    /// Entries on this page.
    fn entries(self, total: u64) -> u64 {
        total.saturating_sub((self.number - 1).saturating_mul(self.size)).min(self.size)
    }

    /// Where the links must lead.
    fn links(self, total: u64) -> Vec<(&'static str, u64)> {
        let last = self.last(total);
        let mut links = vec![("first", 1), ("last", last)];
        if self.number > 1 {
            links.push(("prev", self.number - 1));
        }
        if self.number < last {
            links.push(("next", self.number + 1));
        }
        links.sort_unstable();
        links
    }
}

/// What a page should say and what it says instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misnumbered {
    /// What the totals and the request ask for.
    pub expected: String,
    /// What the answer has.
    pub actual: String,
}

fn misnumbered(expected: &str, actual: &str) -> Misnumbered {
    Misnumbered { expected: expected.to_owned(), actual: actual.to_owned() }
}

/// Judges an accepted answer of an operation that answers in pages. `None` when there is nothing to judge.
pub fn judge(operation: &Operation, request: &Request, answer: &Answer) -> Option<Result<(), Misnumbered>> {
    let optional = operation.guards.iter().find_map(|guard| match guard.kind {
        GuardKind::Pagination(rule) => Some(rule == Paging::Optional),
        _ => None,
    })?;
    if answer.status != 200 || request.method == "HEAD" {
        return None;
    }
    let asked = form_urlencoded::parse(request.query().as_bytes())
        .any(|(key, value)| ["page", "page_size"].contains(&key.as_ref()) && !value.is_empty());
    if optional && !asked {
        return Some(match answer.header("total-number") {
            None => Ok(()),
            Some(_) => Err(misnumbered("no Total-Number without a page", "one")),
        });
    }
    // Totals that count everything say nothing of a part of it.
    let parted = form_urlencoded::parse(request.query().as_bytes()).any(|(key, _)| !["page", "page_size"].contains(&key.as_ref()));
    let counts_all = |answer: &AnswerSpec| matches!(&answer.body, Some(Source::List(list)) if list.counts_all);
    if parted && operation.answers.iter().any(counts_all) {
        return None;
    }
    let under = operation.answers.iter().find_map(|answer| match &answer.body {
        Some(Source::List(list)) => list.under.as_deref(),
        _ => None,
    });
    let entries = answer.json().and_then(|json| under.map_or(Some(json), |name| json.get(name)))?.as_array()?.len();
    Page::read(request.query()).map(|page| page_of(page, entries as u64, answer))
}

fn page_of(page: Page, entries: u64, answer: &Answer) -> Result<(), Misnumbered> {
    let Some(total) = answer.header("total-number").and_then(|text| text.parse::<u64>().ok()) else {
        return Err(misnumbered("Total-Number with a number", answer.header("total-number").map_or("none", |_| "something else")));
    };
    if entries != page.entries(total) {
        let actual = if entries < page.entries(total) { "fewer" } else { "more" };
        return Err(misnumbered("as many entries as Total-Number and the page say", actual));
    }
    let mut links: Vec<(String, u64)> = Vec::new();
    for link in answer.headers.iter().filter(|(name, _)| name == "link").flat_map(|(_, value)| split(value)) {
        match relation(link) {
            Some(link) => links.push(link),
            None => return Err(misnumbered("Link with pages and their relations", "something else")),
        }
    }
    links.sort_unstable();
    let expected = page.links(total);
    if links.iter().map(|(name, page)| (name.as_str(), *page)).eq(expected.iter().copied()) {
        return Ok(());
    }
    let names = |names: &[&str]| names.join(", ");
    let seen: Vec<&str> = links.iter().map(|(name, _)| name.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    if seen == wanted {
        return Err(misnumbered(&format!("Link to {}", names(&wanted)), "to other pages"));
    }
    Err(misnumbered(&format!("Link to {}", names(&wanted)), &if seen.is_empty() { "none".into() } else { names(&seen) }))
}

/// The links of one header: a comma between two of them stands before `<`.
fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(", <").map(|link| link.trim().trim_start_matches('<'))
}

/// Relation and page of `ADDRESS>; rel="NAME"`.
fn relation(link: &str) -> Option<(String, u64)> {
    let (address, parameters) = link.split_once('>')?;
    let name = parameters.trim().strip_prefix(';')?.trim().strip_prefix("rel=")?.trim_matches('"');
    let (_, query) = address.split_once('?')?;
    let page = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "page").last()?.1.parse().ok()?;
    Some((name.to_owned(), page))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(total: &str, links: &[&str]) -> Answer {
        let mut answer = Answer { status: 200, ..Answer::default() };
        answer.headers.push(("total-number".into(), total.into()));
        answer.headers.extend(links.iter().map(|link| ("link".into(), (*link).into())));
        answer
    }

    fn page(query: &str) -> Page {
        Page::read(query).expect("a whole page")
    }

    const FIRST: &str = "<http://localhost/users?page=1&page_size=2&page=1>; rel=\"first\"";
    const PREVIOUS: &str = "<http://localhost/users?page_size=2&page=1>; rel=\"prev\"";
    const LAST: &str = "<http://localhost/users?page_size=2&page=3>; rel=\"last\"";
    const NEXT: &str = "<http://localhost/users?page_size=2&page=3>; rel=\"next\"";

    #[test]
    fn pages_are_read_as_a_deployment_does() {
        assert_eq!(page(""), Page { number: 1, size: 20 });
        assert_eq!(page("page=&page_size="), Page { number: 1, size: 20 });
        assert_eq!(page("page=3&page_size=100"), Page { number: 3, size: 100 });
        for query in ["page=0", "page=1.5", "page=x", "page=1&page=2", "page_size=-1"] {
            assert_eq!(Page::read(query), None, "{query}");
        }
    }

    #[test]
    fn a_page_has_the_entries_and_links_that_its_total_asks_for() {
        let middle = page("page=2&page_size=2");
        assert_eq!(page_of(middle, 2, &answer("5", &[FIRST, PREVIOUS, LAST, NEXT])), Ok(()));
        let joined = [FIRST, PREVIOUS, LAST, NEXT].join(", ");
        assert_eq!(page_of(middle, 2, &answer("5", &[&joined])), Ok(()));
        let nothing = [
            "<http://localhost/users?page=1>; rel=\"first\"",
            "<http://localhost/users?page=1>; rel=\"last\"",
            "<http://localhost/users?page=8>; rel=\"prev\"",
        ];
        assert_eq!(page_of(page("page=9"), 0, &answer("3", &nothing)), Ok(()));
        assert_eq!(page_of(page(""), 0, &answer("0", &nothing[..2])), Ok(()));
    }

    #[test]
    fn what_is_wrong_with_a_page_is_named() {
        let middle = page("page=2&page_size=2");
        let all = [FIRST, PREVIOUS, LAST, NEXT];
        let swapped = [FIRST, PREVIOUS, "<http://localhost/users?page=2>; rel=\"last\"", NEXT];
        let cases = [
            (2, answer("many", &all), "Total-Number with a number"),
            (1, answer("5", &all), "as many entries as Total-Number and the page say"),
            (2, answer("7", &all), "Link to first, last, next, prev"),
            (2, answer("5", &swapped), "Link to first, last, next, prev"),
            (2, answer("5", &all[..3]), "Link to first, last, next, prev"),
            (2, answer("5", &["garbage"]), "Link with pages and their relations"),
            (2, Answer { status: 200, ..Answer::default() }, "Total-Number with a number"),
        ];
        for (entries, answer, expected) in cases {
            assert_eq!(page_of(middle, entries, &answer).expect_err("wrong").expected, expected);
        }
    }
}
