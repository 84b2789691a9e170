//! Where the body of a successful answer comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::entity::{Kind, Owner, Target};
use super::guard::{Paging, ValueRef, When};

/// One successful answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerSpec {
    /// Applies only then; always when absent. The first one that applies is the answer.
    #[serde(default)]
    pub when: Option<When>,
    /// Status.
    pub status: u16,
    /// Source of the body; nothing but status and schema is predicted when absent.
    #[serde(default)]
    pub body: Option<Source>,
}

/// Source of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The target, or one of its properties.
    Target(Target, Option<String>),
    /// What the operation made.
    Created,
    /// All entities of a kind.
    List(ListSource),
    /// An object with these members.
    Object(BTreeMap<String, MemberSource>),
}

/// All entities of a kind, or those that belong to somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct ListSource {
    /// Kind.
    pub kind: Kind,
    /// Whom they belong to.
    pub of: Option<Owner>,
    /// Whether the list comes in pages.
    pub paged: Option<Paging>,
    /// The member that holds the list; the list itself is the body when absent.
    pub under: Option<String>,
    /// Properties that what is listed has, as far as the request names a value.
    pub filters: BTreeMap<String, ValueRef>,
    /// The member that says whether the caller's token came from the entity.
    pub current: Option<String>,
}

/// Source of one member.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberSource {
    /// Not predicted.
    Any,
    /// A value of the request.
    Value(ValueRef),
}

impl<'de> Deserialize<'de> for MemberSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "any" => Ok(Self::Any),
            text => ValueRef::parse(text).map(Self::Value).map_err(de::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("caller, user, created or a settings object (optionally with .property), or one of entity, list, object")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Source, E> {
                if text == "created" {
                    return Ok(Source::Created);
                }
                let (name, property) = text.split_once('.').map_or((text, None), |(name, property)| (name, Some(property.to_owned())));
                let target = Target::named(name).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Source::Target(target, property))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Source, A::Error> {
                let (mut source, mut of, mut paged, mut under) = (None, None, None, None);
                let (mut filters, mut current) = (BTreeMap::new(), None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "entity" => source = Some(Source::Target(Target::Selected(map.next_value()?), None)),
                        "list" => source = Some(Source::List(list(map.next_value()?))),
                        "object" => source = Some(Source::Object(map.next_value()?)),
                        "of" => of = Some(map.next_value()?),
                        "paged" => paged = Some(map.next_value()?),
                        "under" => under = Some(map.next_value()?),
                        "where" => filters = map.next_value()?,
                        "current" => current = Some(map.next_value()?),
                        other => {
                            let known = &["entity", "list", "object", "of", "paged", "under", "where", "current"];
                            return Err(de::Error::unknown_field(other, known));
                        }
                    }
                }
                match source {
                    Some(Source::List(list)) => Ok(Source::List(ListSource { kind: list.kind, of, paged, under, filters, current })),
                    Some(source) if of.is_none() && paged.is_none() && under.is_none() && filters.is_empty() && current.is_none() => {
                        Ok(source)
                    }
                    Some(_) => Err(de::Error::custom("`of`, `paged`, `under`, `where` and `current` belong to `list`")),
                    None => Err(de::Error::custom("name the source: entity, list or object")),
                }
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// All entities of a kind.
const fn list(kind: Kind) -> ListSource {
    ListSource { kind, of: None, paged: None, under: None, filters: BTreeMap::new(), current: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Source, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn sources_are_read() {
        assert_eq!(read("user.customData").unwrap(), Source::Target(Target::User, Some("customData".into())));
        assert_eq!(read("created").unwrap(), Source::Created);
        assert!(matches!(read("{entity: {role: path.id}}").unwrap(), Source::Target(Target::Selected(_), None)));
        let list = read("{list: session, of: user, under: sessions}").unwrap();
        assert!(matches!(list, Source::List(ListSource { kind: Kind::Session, of: Some(Owner::User), paged: None, under: Some(_), .. })));
        assert!(matches!(read("{object: {roleIds: body.roleIds, addedRoleIds: any}}").unwrap(), Source::Object(_)));
    }

    #[test]
    fn what_is_no_source_is_refused() {
        assert!(read("users").unwrap_err().contains("users"));
        assert!(read("{object: {}, paged: required}").unwrap_err().contains("belong to `list`"));
        assert!(read("{entity: {role: path.id}, current: isCurrent}").unwrap_err().contains("belong to `list`"));
        assert!(read("{of: user}").unwrap_err().contains("name the source"));
    }
}
