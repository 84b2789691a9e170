//! Lists: what is shown on a page, in which order, and what may be there besides.

use serde_json::Value;

use super::pattern::{ListPattern, Member, Pattern};
use super::predict::View;
use super::rules::Search;
use super::select::{age, belongs, owner_of};
use super::session;
use super::state::{Entity, Key, Kind, State, Truth};
use crate::contract::answer::ListSource;
use crate::contract::entity::Selector;
use crate::contract::guard::Paging;

/// Items of a page when no size is asked for.
const DEFAULT_PAGE: usize = 20;

/// The property that says when something was made.
const MADE: &str = "createdAt";

/// What a list shows. Nothing is predicted where what is known does not tell what belongs on it.
pub fn list(view: &View<'_>, list: &ListSource, schema: &Value) -> Pattern {
    let owner = list.of.as_ref().map(|owner| owner_of(view.call, view.state, list.kind, owner));
    let (Ok(page), Some(search)) = (Page::read(view, list), search(view, list)) else { return Pattern::Any };
    let Some(owner) = owner.map_or(Some(None), |owner| owner.map(Some)) else { return Pattern::Any };
    let (mut shown, mut barred): (Vec<Item<'_>>, Vec<String>) = (Vec::new(), Vec::new());
    let complete = match &owner {
        Some(owner) => view.state.knows_all(list.kind, Some(owner)) && !session::has_strays(list.kind, owner, view.state),
        None => view.state.is_whole() || search.only("id", |id| view.state.find(list.kind, id).is_some()),
    };
    let is_theirs = |entity: &Entity| owner.as_ref().is_none_or(|owner| belongs(entity, owner) == Truth::Yes);
    for (id, entity) in view.state.all(list.kind).filter(|(_, entity)| entity.exists() && is_theirs(entity)) {
        // Among others that are not known yet, one that was never shown cannot be told apart.
        if !complete && session::is_anonymous(list.kind, entity) {
            continue;
        }
        let Some(item) = Item::read(view.state, list, id, entity) else { return Pattern::Any };
        let admitted = search.admits(|name| item.entity?.text(name)).and(session::is_listed(list.kind, entity, view.state));
        let asked_for = wanted(view, list, item.entity);
        match admitted.and(asked_for).and(is_left_out(view, &list.without, &item.key).not()) {
            Truth::Yes => shown.push(item),
            Truth::No => barred.push(session::naming(list.kind).and_then(|name| entity.text(name)?).unwrap_or(&item.key.id).to_owned()),
            // A deployment itself must say something; expressions that are not followed find nothing there.
            _ if view.state.is_whole() => barred.push(item.key.id),
            Truth::Unknown | Truth::Near => return Pattern::Any,
        }
    }
    shown.sort_by_key(|item| item.entity.map(|entity| session::rank(list.kind, &item.key, entity)));
    if list.newest_first {
        shown.sort_by(|one, other| other.made().total_cmp(&one.made()));
    } else {
        // Items that are alike are told apart by their age.
        shown.sort_by(|one, other| one.entity.map(age).cmp(&other.entity.map(age)));
    }
    // A list of everything tells what else the tenant has, unless others share it.
    let everything = owner.is_none() && page.is_none() && !view.state.is_closed() && view.call.query.is_empty();
    // What is shown in place of something else does not say to whom that belongs.
    let told = owner.filter(|_| list.shown.is_none()).or_else(|| everything.then(Key::tenant));
    let mut pattern = ListPattern::of((list.kind, told), complete);
    pattern.falling = list.newest_first.then(|| MADE.to_owned());
    pattern.total = page.map(|_| if list.counts_all { view.state.all(list.kind).count() } else { shown.len() });
    pattern.by = session::naming(list.kind).map(|_| session::ORDER);
    pattern.partial = list.only.values().any(|value| view.call.text(value).is_some_and(|text| !text.is_empty()));
    match page {
        // Others may push what is known off the page.
        Some(page) if !complete => pattern.full = Some(if page.offset == 0 { page.size } else { 0 }),
        Some(page) => page.turn_to(&mut shown, &mut pattern, list.newest_first, view.state.is_whole()),
        None => {}
    }
    pattern.barred = barred;
    pattern.items = shown.iter().map(|item| item.pattern(view, list, schema)).collect();
    Pattern::List(pattern)
}

/// The search that a call makes; `None` when it is refused.
fn search(view: &View<'_>, list: &ListSource) -> Option<Search> {
    if list.search.is_empty() { Some(Search::default()) } else { Search::read(view.call.request.query(), &list.search) }
}

/// Whether something, which may not have been seen, has the properties that parameters ask for.
fn wanted(view: &View<'_>, list: &ListSource, entity: Option<&Entity>) -> Truth {
    let only = list.only.iter().fold(Truth::Yes, |all, (name, value)| {
        let Some(text) = view.call.text(value).filter(|text| !text.is_empty()) else { return all };
        let is = |known: &Value| known.as_str().map_or_else(|| known.to_string(), str::to_owned) == text;
        all.and(Truth::maybe(entity.and_then(|entity| view.stored(list.kind, entity, name).known().map(is))))
    });
    let Some(part) = view.call.query.get("q").filter(|part| !part.is_empty() && !list.holding.is_empty()) else { return only };
    let part = part.to_lowercase();
    let holds = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase().contains(&part));
    let holding = list.holding.iter().map(|name| Truth::maybe(entity.and_then(|entity| entity.text(name)).map(holds)));
    only.and(holding.fold(Truth::No, Truth::or))
}

/// Whether one of these, as far as the call names them, belongs to what is listed.
fn is_left_out(view: &View<'_>, without: &[Selector], listed: &Key) -> Truth {
    without.iter().fold(Truth::No, |out, selector| {
        let named = selector.value.as_ref().and_then(|value| view.call.text(value)).filter(|text| !text.is_empty());
        let (Some(named), Some(by)) = (named, &selector.by) else { return out };
        let tie = |entity: &Entity| entity.text(by) == Some(Some(&named)) && belongs(entity, listed) == Truth::Yes;
        let other = Kind::ALL.iter().find(|kind| kind.reference() == *by).map(|kind| Key::new(*kind, named.clone()));
        let knows = |end: Option<&Key>| end.is_some() && view.state.knows_all(selector.kind, end);
        out.or(if view.state.all(selector.kind).any(|(_, entity)| tie(entity)) {
            Truth::Yes
        } else if knows(Some(listed)) || knows(other.as_ref()) {
            Truth::No
        } else {
            Truth::Unknown
        })
    })
}

/// A page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    offset: usize,
    size: usize,
}

impl Page {
    /// `Ok(None)` when the list comes as a whole, `Err` when no whole page is asked for.
    fn read(view: &View<'_>, list: &ListSource) -> Result<Option<Self>, std::num::ParseIntError> {
        let asked = |name: &str| view.call.query.get(name).filter(|text| !text.is_empty());
        let paged = match list.paged {
            None => false,
            Some(Paging::Required) => true,
            Some(Paging::Optional) => asked("page").or(asked("page_size")).is_some(),
        };
        if !paged {
            return Ok(None);
        }
        let number = |name: &str, default: usize| asked(name).map_or(Ok(default), |text| text.parse());
        let size: usize = number("page_size", DEFAULT_PAGE)?;
        Ok(Some(Self { offset: number("page", 1)?.saturating_sub(1).saturating_mul(size), size }))
    }

    /// Leaves of all items those of the page, or as many as will be on it where the order is not known.
    fn turn_to(self, shown: &mut Vec<Item<'_>>, pattern: &mut ListPattern, ordered: bool, whole: bool) {
        let (start, end) = (self.offset.min(shown.len()), self.offset.saturating_add(self.size).min(shown.len()));
        let parted = |edge: usize| edge == 0 || edge == shown.len() || shown[edge - 1].made() > shown[edge].made();
        if whole || (start, end) == (0, shown.len()) || start == end || ordered && parted(start) && parted(end) {
            shown.truncate(end);
            shown.drain(..start);
        } else {
            pattern.part = Some(end - start);
        }
    }
}

/// What stands for one entity in a list.
struct Item<'a> {
    key: Key,
    /// What is known of it.
    entity: Option<&'a Entity>,
    /// What is known of its tie to the owner, where another entity is that.
    tie: Option<&'a Entity>,
}

impl<'a> Item<'a> {
    /// The entity itself, or the one that is shown in its place; `None` when it is not known which.
    fn read(state: &'a State, list: &ListSource, id: &str, entity: &'a Entity) -> Option<Self> {
        Some(match &list.shown {
            None => Self { key: Key::new(list.kind, id), entity: Some(entity), tie: None },
            Some((kind, property)) => {
                let key = Key::new(*kind, entity.text(property)??);
                Self { entity: state.get(&key), key, tie: Some(entity) }
            }
        })
    }

    /// When it was made, as far as is known.
    fn made(&self) -> f64 {
        self.entity.and_then(|entity| entity.known(MADE)).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    fn pattern(&self, view: &View<'_>, list: &ListSource, schema: &Value) -> Pattern {
        match (self.entity, self.tie) {
            (Some(entity), None) => view.listed(&self.key, entity, list.current.as_deref(), schema),
            (Some(entity), Some(tie)) => {
                let has = |name: &str| entity.iter().any(|(known, _)| known == name);
                let whole =
                    tie.iter().filter(|(name, _)| !has(name)).fold(entity.clone(), |all, (name, term)| all.with(name, term.clone()));
                let mut pattern = view.object(&self.key, &whole, schema);
                if let Pattern::Object(members) = &mut pattern {
                    members.iter_mut().filter(|(name, _)| !has(name)).for_each(|(_, member)| unteach(member));
                }
                pattern
            }
            (None, _) => Pattern::Object([("id".to_owned(), Member::Present(Pattern::exactly(self.key.id.as_str().into())))].into()),
        }
    }
}

/// What a list says of the tie between both ends is not the entity's own.
fn unteach(member: &mut Member) {
    if let Member::Present(Pattern::Leaf { teaches, .. }) | Member::Optional(Pattern::Leaf { teaches, .. }) = member {
        *teaches = None;
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
