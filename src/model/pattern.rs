//! Bodies as far as they can be predicted, and what an answer teaches.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::json;
use super::state::{Fresh, Key, Term};

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
}

/// What a value seen in an answer says about an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Teaching {
    /// The value of a property.
    Property(String),
    /// The id of an entity that had none yet, shown as this property.
    Identity(String),
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
                for (name, member) in members {
                    let inner = format!("{pointer}/{name}");
                    match (member, object.get(name)) {
                        (Member::Present(pattern) | Member::Optional(pattern), Some(value)) => pattern.compare(value, &inner, lessons)?,
                        (Member::Withheld(_) | Member::Optional(_), None) => {}
                        (Member::Present(_), None) => {
                            return Err(Mismatch { visibility: Some(Why::Level), ..mismatch(&inner, "to be shown", "absent") });
                        }
                        (Member::Withheld(why), Some(_)) => {
                            return Err(Mismatch { visibility: Some(*why), ..mismatch(&inner, "to be withheld", "shown") });
                        }
                    }
                }
                Ok(())
            }
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
        }
    }
}

fn term_admits(term: &Term, value: &Value) -> Result<(), String> {
    let fits = match term {
        Term::Unknown => true,
        Term::Known(expected) => json::same(expected, value),
        Term::AtLeast(least) => value.as_f64().is_some_and(|number| number >= *least),
        Term::Fresh(Fresh::Now) => value.is_number(),
        Term::Fresh(_) => value.as_str().is_some_and(|text| !text.is_empty()),
    };
    if fits {
        return Ok(());
    }
    Err(match term {
        Term::Known(expected) => brief(expected),
        Term::AtLeast(least) => format!("a number of at least {least}"),
        Term::Fresh(Fresh::Now) => "a time in milliseconds".into(),
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
