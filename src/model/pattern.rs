//! Bodies as far as they can be predicted, and what an answer teaches.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::json;
use super::state::{Fresh, Key, Kind, Term};

/// Moves with every other change, unless that is made within the same millisecond: told only where nothing else departs.
const TOUCHED: &str = "updatedAt";

/// What the body of an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// No prediction; the schema alone judges.
    Any,
    /// No body at all.
    Empty,
    /// A value described by a term; what is seen becomes this property.
    Leaf {
        /// What is known of it.
        term: Term,
        /// The entity and property it teaches.
        teaches: Option<(Key, Teaching)>,
    },
    /// An object with these members; others are left to the schema.
    Object(BTreeMap<String, Member>),
    /// A list with these items in any order.
    List(ListPattern),
}

/// What a list must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPattern {
    /// Each of these is there once.
    pub items: Vec<Pattern>,
    /// Nothing else is there.
    pub complete: bool,
    /// Kind of what is listed, and whom it belongs to: what else is there becomes known.
    pub of: (Kind, Option<Key>),
    /// Only so many of the items are there.
    pub part: Option<usize>,
    /// A list that is this long may lack items: others are there in their place.
    pub full: Option<usize>,
    /// Ids of what is not there.
    pub barred: Vec<String>,
    /// This number does not grow from one item to the next.
    pub falling: Option<String>,
    /// How many items there are on all pages; `None` where the list comes as a whole.
    pub total: Option<usize>,
    /// The numeric member by which items that are alike are told apart, the first item having the least one.
    pub by: Option<&'static str>,
    /// Only some of what belongs to the owner is listed.
    pub partial: bool,
}

/// What a value seen in an answer says about an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Teaching {
    /// The value of a property.
    Property(String),
    /// The id of an entity that had none yet, shown as this property.
    Identity(String),
    /// An entity of this kind that belongs to the key, as a whole.
    Member(Kind),
    /// All entities of this kind that belong to the key have been seen.
    All(Kind),
    /// Some entities of this kind that belong to the key have been seen.
    Some(Kind),
}

/// A member of an object pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    /// Must be there and match.
    Present(Pattern),
    /// Must match if it is there.
    Optional(Pattern),
    /// Must not be there, and why.
    Withheld(Why),
}

/// Why a property is shown or withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The token lacks the scope for it.
    Scope,
    /// The field's level, the query, or that there is nothing to show.
    Level,
}

/// What an answer taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// About which entity.
    pub key: Key,
    /// What about it.
    pub teaching: Teaching,
    /// The value seen.
    pub value: Value,
}

/// Where a body departs from a prediction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mismatch {
    /// JSON pointer.
    pub pointer: String,
    /// What was predicted.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// Set when a property was shown that should be withheld, or the reverse.
    pub visibility: Option<Why>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "body" } else { &self.pointer };
        write!(f, "{pointer}: expected {}, got {}", self.expected, self.actual)
    }
}

impl Pattern {
    /// Exactly this value.
    pub fn exactly(value: Value) -> Self {
        Self::Leaf { term: Term::Known(value), teaches: None }
    }

    /// The list that the body is, or holds under its only name.
    pub fn list(&self) -> Option<&ListPattern> {
        match self {
            Self::List(list) => Some(list),
            Self::Object(members) if members.len() == 1 => match members.values().next() {
                Some(Member::Present(Self::List(list))) => Some(list),
                _ => None,
            },
            _ => None,
        }
    }

    /// Compares a body; lessons on a match, the first mismatch otherwise.
    pub fn matches(&self, value: Option<&Value>) -> Result<Vec<Lesson>, Mismatch> {
        let mut lessons = Vec::new();
        match (self, value) {
            (Self::Any, _) | (Self::Empty, None) => Ok(lessons),
            (Self::Empty, Some(value)) => Err(mismatch("", "no body", &brief(value))),
            (_, None) => Err(mismatch("", "a JSON body", "none")),
            (_, Some(value)) => self.compare(value, "", &mut lessons).map(|()| lessons),
        }
    }

    fn compare(&self, value: &Value, pointer: &str, lessons: &mut Vec<Lesson>) -> Result<(), Mismatch> {
        match self {
            Self::Any | Self::Empty => Ok(()),
            Self::Leaf { term, teaches } => {
                term_admits(term, value).map_err(|expected| mismatch(pointer, &expected, &brief(value)))?;
                if let Some((key, teaching)) = teaches {
                    lessons.push(Lesson { key: key.clone(), teaching: teaching.clone(), value: value.clone() });
                }
                Ok(())
            }
            Self::Object(members) => {
                let Some(object) = value.as_object() else {
                    return Err(mismatch(pointer, "an object", &brief(value)));
                };
                let mut touched = Ok(());
                for (name, member) in members {
                    let inner = format!("{pointer}/{name}");
                    let compared = match (member, object.get(name)) {
                        (Member::Present(pattern) | Member::Optional(pattern), Some(value)) => pattern.compare(value, &inner, lessons),
                        (Member::Withheld(_) | Member::Optional(_), None) => Ok(()),
                        (Member::Present(_), None) => {
                            Err(Mismatch { visibility: Some(Why::Level), ..mismatch(&inner, "to be shown", "absent") })
                        }
                        (Member::Withheld(why), Some(_)) => {
                            Err(Mismatch { visibility: Some(*why), ..mismatch(&inner, "to be withheld", "shown") })
                        }
                    };
                    if name == TOUCHED { touched = compared } else { compared? }
                }
                touched
            }
            Self::List(list) => list.compare(value, pointer, lessons),
        }
    }

    /// A body that fits, with made-up values from `make`. `None` for no body.
    pub fn sample(&self, make: &mut dyn FnMut(Fresh) -> Value) -> Option<Value> {
        match self {
            Self::Any => Some(Value::Object(Map::new())),
            Self::Empty => None,
            Self::Leaf { term, .. } => Some(match term {
                Term::Known(value) => value.clone(),
                Term::Fresh(fresh) => make(*fresh),
                Term::AtLeast(_) => make(Fresh::Now),
                Term::Unknown => Value::Null,
            }),
            Self::Object(members) => {
                let mut object = Map::new();
                for (name, member) in members {
                    if let Member::Present(pattern) = member
                        && let Some(value) = pattern.sample(make)
                    {
                        object.insert(name.clone(), value);
                    }
                }
                Some(Value::Object(object))
            }
            Self::List(list) => Some(Value::Array(list.items.iter().filter_map(|item| item.sample(make)).collect())),
        }
    }
}

impl ListPattern {
    /// A list without items so far.
    pub const fn of(of: (Kind, Option<Key>), complete: bool) -> Self {
        Self {
            items: Vec::new(),
            complete,
            of,
            part: None,
            full: None,
            barred: Vec::new(),
            falling: None,
            total: None,
            by: None,
            partial: false,
        }
    }

    /// Exactly these items, in any order.
    pub fn exactly(items: Vec<Pattern>) -> Self {
        Self { items, ..Self::of((Kind::Settings, None), true) }
    }

    fn compare(&self, value: &Value, pointer: &str, lessons: &mut Vec<Lesson>) -> Result<(), Mismatch> {
        let Some(seen) = value.as_array() else { return Err(mismatch(pointer, "a list", &brief(value))) };
        if let Some(number) = &self.falling {
            let numbers = seen.iter().map(|item| item.get(number).and_then(Value::as_f64));
            let grows = numbers.clone().zip(numbers.skip(1)).position(|(one, next)| next > one);
            if let Some(place) = grows {
                return Err(mismatch(&format!("{pointer}/{}", place + 1), "items in falling order", &format!("{number} grows")));
            }
        }
        if let Some(part) = self.part.filter(|part| *part != seen.len()) {
            return Err(mismatch(pointer, &format!("{part} items"), &format!("{} items", seen.len())));
        }
        let may_lack = self.part.is_some() || self.full.is_some_and(|full| seen.len() >= full);
        let order = self.order(seen);
        let fits = |item: usize, place: usize| self.items[item].compare(&seen[order[place]], pointer, &mut Vec::new()).is_ok();
        let mut pairs = vec![None; seen.len()];
        for (place, item) in assign(self.items.len(), seen.len(), &fits).into_iter().enumerate() {
            pairs[order[place]] = item;
        }
        let lacking = (0..self.items.len()).find(|item| !pairs.contains(&Some(*item)));
        if let Some(item) = lacking.filter(|_| !may_lack) {
            // With one item left on either side, what differs between the two says most.
            let left: Vec<usize> = (0..seen.len()).filter(|place| pairs[*place].is_none()).collect();
            if let ([place], true) = (left.as_slice(), self.items.len() == seen.len()) {
                return self.items[item].compare(&seen[*place], &format!("{pointer}/{place}"), lessons);
            }
            let expected = self.items[item].sample(&mut |_| Value::Null).unwrap_or_default();
            return Err(mismatch(pointer, &format!("an item like {}", brief(&expected)), &format!("{} items without it", seen.len())));
        }
        for (place, pair) in pairs.iter().enumerate() {
            let inner = format!("{pointer}/{place}");
            let id = seen[place].get("id").and_then(Value::as_str);
            if pair.is_none() && self.barred.iter().any(|barred| id == Some(barred)) {
                return Err(mismatch(&inner, "what belongs on the list", &brief(&seen[place])));
            }
            match (pair, &self.of.1) {
                (Some(item), _) => self.items[*item].compare(&seen[place], &inner, lessons)?,
                (None, _) if self.complete => return Err(mismatch(&inner, "no further item", &brief(&seen[place]))),
                (None, Some(owner)) if !self.partial => {
                    let teaching = Teaching::Member(self.of.0);
                    lessons.push(Lesson { key: owner.clone(), teaching, value: seen[place].clone() });
                }
                (None, _) => {}
            }
        }
        if let (false, Some(owner)) = (self.complete, &self.of.1) {
            let teaching = if self.partial { Teaching::Some(self.of.0) } else { Teaching::All(self.of.0) };
            lessons.push(Lesson { key: owner.clone(), teaching, value: Value::Null });
        }
        Ok(())
    }

    /// The places of a list in the order in which items are to be looked for.
    fn order(&self, seen: &[Value]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        if let Some(member) = self.by {
            let number = |place: &usize| seen[*place].get(member).and_then(Value::as_f64).unwrap_or(f64::MAX);
            order.sort_by(|one, other| number(one).total_cmp(&number(other)));
        }
        order
    }
}

/// Pairs items with places so that as many items as possible have one (augmenting paths); the item of each place.
fn assign(items: usize, places: usize, fits: &dyn Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    fn place_for(item: usize, fits: &dyn Fn(usize, usize) -> bool, taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        // Items that are alike keep their order: nobody is moved on while there is room.
        if let Some(place) = (0..taken.len()).find(|place| taken[*place].is_none() && !tried[*place] && fits(item, *place)) {
            taken[place] = Some(item);
            return true;
        }
        for place in 0..taken.len() {
            if tried[place] || !fits(item, place) {
                continue;
            }
            tried[place] = true;
            if taken[place].is_none_or(|other| place_for(other, fits, taken, tried)) {
                taken[place] = Some(item);
                return true;
            }
        }
        false
    }
    let mut taken = vec![None; places];
    for item in 0..items {
        place_for(item, fits, &mut taken, &mut vec![false; places]);
    }
    taken
}

fn term_admits(term: &Term, value: &Value) -> Result<(), String> {
    let fits = match term {
        Term::Unknown => true,
        Term::Known(expected) => json::same(expected, value),
        Term::AtLeast(least) => value.as_f64().is_some_and(|number| number >= *least),
        Term::Fresh(Fresh::Now | Fresh::MsAfter(_) | Fresh::Number) => value.is_number(),
        Term::Fresh(Fresh::BackupCodes) => value.is_array(),
        Term::Fresh(Fresh::PersonalAccessToken) => value.as_str().is_some_and(|text| text.starts_with("pat_")),
        Term::Fresh(_) => value.as_str().is_some_and(|text| !text.is_empty()),
    };
    if fits {
        return Ok(());
    }
    Err(match term {
        Term::Known(expected) => brief(expected),
        Term::AtLeast(least) => format!("a number of at least {least}"),
        Term::Fresh(Fresh::Now | Fresh::MsAfter(_)) => "a time in milliseconds".into(),
        Term::Fresh(Fresh::Number) => "a number".into(),
        Term::Fresh(Fresh::BackupCodes) => "a list".into(),
        _ => "a text".into(),
    })
}

fn mismatch(pointer: &str, expected: &str, actual: &str) -> Mismatch {
    Mismatch { pointer: pointer.to_owned(), expected: expected.to_owned(), actual: actual.to_owned(), visibility: None }
}

/// A value in at most 80 characters.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 80 { text } else { format!("{}…", text.chars().take(79).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_time_of_a_change_is_told_only_where_nothing_else_departs() {
        let object = |time: u64, username: Option<&str>| json!({"updatedAt": time, "username": username});
        let expected = list(&[object(1, Some("lc"))], true);
        let departs = |value: &Value| expected.matches(Some(&json!([value]))).unwrap_err().pointer;
        assert_eq!(departs(&object(2, Some("lc"))), "/0/updatedAt");
        assert_eq!([departs(&object(1, None)), departs(&object(2, None))], ["/0/username", "/0/username"]);
    }

    fn list(items: &[Value], complete: bool) -> Pattern {
        let items = items.iter().map(|item| {
            let members = item.as_object().unwrap().iter();
            let member = |value: &Value| if value == "*" { Pattern::Any } else { Pattern::exactly(value.clone()) };
            Pattern::Object(members.map(|(name, value)| (name.clone(), Member::Present(member(value)))).collect())
        });
        let owner = Key::new(Kind::User, "u");
        Pattern::List(ListPattern { items: items.collect(), ..ListPattern::of((Kind::Factor, Some(owner)), complete) })
    }

    fn with(pattern: Pattern, change: impl FnOnce(&mut ListPattern)) -> Pattern {
        let Pattern::List(mut list) = pattern else { unreachable!("a list was made") };
        change(&mut list);
        Pattern::List(list)
    }

    #[test]
    fn a_page_holds_part_of_the_items_in_their_order() {
        let items = [json!({"id": "a", "n": "*"}), json!({"id": "b", "n": "*"}), json!({"id": "c", "n": "*"})];
        let page = with(list(&items, true), |list| (list.part, list.falling) = (Some(2), Some("n".into())));
        assert!(page.matches(Some(&json!([{"id": "c", "n": 3}, {"id": "a", "n": 3}]))).is_ok());
        assert!(page.matches(Some(&json!([{"id": "c", "n": 3}]))).is_err());
        assert!(page.matches(Some(&json!([{"id": "c", "n": 3}, {"id": "d", "n": 3}]))).is_err());
        let grows = page.matches(Some(&json!([{"id": "c", "n": 3}, {"id": "a", "n": 4}]))).unwrap_err();
        assert_eq!((grows.pointer.as_str(), grows.actual.as_str()), ("/1", "n grows"));
    }

    #[test]
    fn others_may_take_a_place_but_not_what_is_barred() {
        let open = with(list(&[json!({"id": "a"})], false), |list| (list.full, list.barred) = (Some(2), vec!["x".into()]));
        assert!(open.matches(Some(&json!([{"id": "b"}, {"id": "c"}]))).is_ok(), "a full page may lack items");
        assert!(open.matches(Some(&json!([{"id": "b"}]))).is_err(), "one that is not full may not");
        assert!(open.matches(Some(&json!([{"id": "a"}, {"id": "x"}]))).is_err(), "what does not match is barred");
    }

    #[test]
    fn items_are_found_in_any_order_and_each_once() {
        let pattern = list(&[json!({"id": "*", "type": "Totp"}), json!({"id": "a", "type": "Totp"})], true);
        assert!(pattern.matches(Some(&json!([{"id": "a", "type": "Totp"}, {"id": "b", "type": "Totp"}]))).is_ok());
        assert!(pattern.matches(Some(&json!([{"id": "b", "type": "Totp"}, {"id": "a", "type": "Totp"}]))).is_ok());
        let missing = pattern.matches(Some(&json!([{"id": "a", "type": "Totp"}]))).unwrap_err();
        assert!(missing.actual.contains("1 items without it"), "{missing}");
        let differs = pattern.matches(Some(&json!([{"id": "a", "type": "Totp"}, {"id": "b", "type": "Else"}]))).unwrap_err();
        assert!(differs.pointer.starts_with("/1/"), "{differs}");
        assert!(pattern.matches(Some(&json!([{"id": "a", "type": "Totp"}, {"id": "b", "type": "Totp"}, {"id": "c"}]))).is_err());
        assert!(pattern.matches(Some(&json!({}))).is_err());
    }

    #[test]
    fn items_that_are_alike_are_told_apart_by_their_age() {
        let owner = Key::new(Kind::User, "u");
        let item = |number: usize| {
            let teaches = Some((Key::new(Kind::Session, number.to_string()), Teaching::Property("uid".into())));
            let uid = Pattern::Leaf { term: Term::Unknown, teaches };
            let last = (number == 2).then(|| ("last".to_owned(), Member::Present(Pattern::exactly(true.into()))));
            Pattern::Object([("uid".to_owned(), Member::Present(uid))].into_iter().chain(last).collect())
        };
        let of = ListPattern::of((Kind::Session, Some(owner)), true);
        let list = ListPattern { items: (0..3).map(item).collect(), by: Some("expiresAt"), ..of };
        let seen = json!([
            {"uid": "c", "expiresAt": 3, "last": true}, {"uid": "b", "expiresAt": 2, "last": false}, {"uid": "a", "expiresAt": 1, "last": false},
        ]);
        let mut learnt: Vec<(String, Value)> =
            Pattern::List(list).matches(Some(&seen)).unwrap().into_iter().map(|lesson| (lesson.key.id, lesson.value)).collect();
        learnt.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(learnt, [("0".to_owned(), json!("a")), ("1".to_owned(), json!("b")), ("2".to_owned(), json!("c"))]);
    }

    #[test]
    fn an_open_list_teaches_what_else_is_there() {
        let pattern = list(&[json!({"id": "a"})], false);
        let lessons = pattern.matches(Some(&json!([{"id": "b"}, {"id": "a"}]))).unwrap();
        assert_eq!(lessons.iter().filter(|lesson| lesson.teaching == Teaching::Member(Kind::Factor)).count(), 1);
        assert_eq!(lessons.last().unwrap().teaching, Teaching::All(Kind::Factor));
    }

    #[test]
    fn a_departure_tells_whether_a_member_was_shown_or_withheld() {
        let pattern = Pattern::Object(BTreeMap::from([
            ("name".to_owned(), Member::Present(Pattern::exactly("lc".into()))),
            ("phone".to_owned(), Member::Withheld(Why::Scope)),
            ("title".to_owned(), Member::Withheld(Why::Level)),
        ]));
        let departs = |value: Value| {
            let departure = pattern.matches(Some(&value)).unwrap_err();
            (departure.pointer, departure.visibility)
        };
        assert_eq!(departs(json!({})), ("/name".to_owned(), Some(Why::Level)));
        assert_eq!(departs(json!({"name": "lc", "phone": 1})), ("/phone".to_owned(), Some(Why::Scope)));
        assert_eq!(departs(json!({"name": "lc", "title": 1})), ("/title".to_owned(), Some(Why::Level)));
        assert_eq!(departs(json!({"name": "other"})), ("/name".to_owned(), None));
    }

    #[test]
    fn a_list_of_some_things_does_not_teach_what_else_is_there() {
        let some = with(list(&[json!({"id": "a"})], false), |list| list.partial = true);
        let lessons = some.matches(Some(&json!([{"id": "a"}, {"id": "b"}]))).unwrap();
        assert_eq!(lessons.iter().map(|lesson| &lesson.teaching).collect::<Vec<_>>(), [&Teaching::Some(Kind::Factor)]);
    }

    #[test]
    fn a_departure_tells_what_was_expected_of_a_value() {
        let cases = [
            (Term::from("a"), json!("b"), r#""a""#),
            (Term::AtLeast(5.0), json!(4), "a number of at least 5"),
            (Term::Fresh(Fresh::Now), json!("soon"), "a time in milliseconds"),
            (Term::Fresh(Fresh::MsAfter(60)), json!("later"), "a time in milliseconds"),
            (Term::Fresh(Fresh::Number), json!("many"), "a number"),
            (Term::Fresh(Fresh::BackupCodes), json!("0123456789"), "a list"),
            (Term::Fresh(Fresh::Secret), json!(7), "a text"),
        ];
        for (term, seen, expected) in cases {
            let departure = Pattern::Leaf { term, teaches: None }.matches(Some(&seen)).unwrap_err();
            assert_eq!((departure.expected, departure.actual), (expected.to_owned(), seen.to_string()));
        }
    }

    #[test]
    fn a_value_is_told_in_at_most_80_characters() {
        let (fits, long) = ("ä".repeat(78), "ä".repeat(79));
        assert_eq!(brief(&json!(fits)), format!("\"{fits}\""));
        assert_eq!(brief(&json!(long)), format!("\"{fits}…"));
    }
}
