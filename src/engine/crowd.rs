//! What a recording of calls side by side does not tell: which of them arrived first.

use std::collections::BTreeSet;

use super::har::Recorded;

/// Whether the order of the calls that an exchange depends on is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It is, as far as times were noted.
    Known,
    /// Two writes of the same things were under way together before: what they left is open until it is read.
    Open,
    /// Another call that may write was under way meanwhile: what a read shows may be older than that.
    Beside,
}

/// What is known of the order at each exchange.
pub(super) fn orders(entries: &[Recorded]) -> Vec<Order> {
    let writes = Writes::of(entries);
    // Where two writes of one object, or two that make objects, were under way together.
    let (mut objects, mut lists) = (BTreeSet::new(), BTreeSet::new());
    let mut orders = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let (area, thing) = place(entry);
        let beside = writes.beside(index);
        let before = objects.contains(&(&entry.origin, area)) || thing.is_none() && lists.contains(&(&entry.origin, area));
        orders.push(match before {
            _ if !beside.is_empty() => Order::Beside,
            true => Order::Open,
            false => Order::Known,
        });
        if writes_something(entry) && beside.into_iter().any(|other| place(&entries[other]) == (area, thing)) {
            let which = if thing.is_some() { &mut objects } else { &mut lists };
            which.insert((&entry.origin, area));
        }
    }
    orders
}

/// The calls that may write, with the time they took.
struct Writes<'a> {
    entries: &'a [Recorded],
    /// Begin, end and index, by begin.
    spans: Vec<(i64, i64, usize)>,
    longest: i64,
}

impl<'a> Writes<'a> {
    fn of(entries: &'a [Recorded]) -> Self {
        let writing = entries.iter().enumerate().filter(|(_, entry)| writes_something(entry));
        let mut spans: Vec<(i64, i64, usize)> =
            writing.filter_map(|(index, entry)| span(entry).map(|(begin, end)| (begin, end, index))).collect();
        spans.sort_unstable();
        let longest = spans.iter().map(|(begin, end, _)| end - begin).max().unwrap_or_default();
        Self { entries, spans, longest }
    }

    /// Those that were under way while another exchange was, on the same deployment.
    fn beside(&self, index: usize) -> Vec<usize> {
        let Some((begin, end)) = span(&self.entries[index]) else { return Vec::new() };
        let first = self.spans.partition_point(|write| write.0 < begin - self.longest);
        let near = self.spans[first..].iter().take_while(|write| write.0 < end).filter(|write| write.1 > begin);
        let other = |other: &usize| *other != index && self.entries[*other].origin == self.entries[index].origin;
        near.map(|write| write.2).filter(other).collect()
    }
}

/// When it began and ended, in milliseconds.
fn span(entry: &Recorded) -> Option<(i64, i64)> {
    let begin = entry.started_ms?;
    Some((begin, begin + entry.took_ms?))
}

/// Whether it may change what is stored.
pub(super) fn writes_something(entry: &Recorded) -> bool {
    !["GET", "HEAD", "OPTIONS"].contains(&entry.request.method.as_str())
}

/// What it is about: `users` of `/api/users/u1`, and `u1`, or whose own account it is.
fn place(entry: &Recorded) -> (&str, Option<&str>) {
    let mut parts = entry.request.path().trim_matches('/').split('/').skip(1);
    match parts.next().unwrap_or_default() {
        "my-account" | "verifications" => ("users", Some(entry.request.header("authorization").unwrap_or_default())),
        area => (area, parts.next()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::wire::{Answer, Request};

    fn entry(method: &str, path: &str, begin: i64, took: Option<i64>) -> Recorded {
        let request = Request::new(method, path);
        let origin = "http://host".to_owned();
        Recorded { index: 0, started_ms: Some(begin), took_ms: took, origin, request, answer: Answer::default(), comment: None }
    }

    #[test]
    fn what_a_write_ran_beside_may_have_come_before_or_after_it() {
        let after = [entry("POST", "/api/a", 0, Some(5)), entry("GET", "/api/a", 5, Some(5)), entry("PATCH", "/api/a/1", 10, Some(1))];
        assert_eq!(orders(&after), [Order::Known; 3]);
        let beside = [entry("POST", "/api/a", 0, Some(9)), entry("GET", "/api/b", 5, Some(5)), entry("GET", "/api/b", 6, Some(1))];
        assert_eq!(orders(&beside), [Order::Known, Order::Beside, Order::Beside]);
        let elsewhere = [beside[0].clone(), Recorded { origin: "http://other".into(), ..beside[1].clone() }];
        assert_eq!(orders(&elsewhere), [Order::Known; 2]);
        assert_eq!(orders(&[entry("POST", "/api/a", 0, None), entry("GET", "/api/a", 0, Some(5))]), [Order::Known; 2]);
    }

    #[test]
    fn two_writes_of_the_same_leave_its_order_unknown() {
        let later = |first: &str, second: &str, read: &str| {
            let writes = [entry("PATCH", first, 0, Some(9)), entry("PATCH", second, 5, Some(9)), entry("GET", read, 50, Some(1))];
            orders(&writes)[2] == Order::Open
        };
        assert!(later("/api/a/1", "/api/a/1", "/api/a/1") && later("/api/a", "/api/a", "/api/a"));
        assert!(later("/api/my-account", "/api/my-account/profile", "/api/users/1"));
        assert!(
            !later("/api/a/1", "/api/a/2", "/api/a/1") && !later("/api/a", "/api/a", "/api/a/1") && !later("/api/a", "/api/a", "/api/b")
        );
    }
}
