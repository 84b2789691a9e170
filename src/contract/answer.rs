//! Where the body of a successful answer comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::effect::{Fresh, property_of};
use super::entity::{Kind, Owner, Selector, Target};
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
    /// What the application of this id may ask users for.
    ConsentScopes(ValueRef),
    /// The social and enterprise identities of the user in the path.
    UserIdentities,
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
    /// The member that says whether the caller's token came from the entity.
    pub current: Option<String>,
    /// What is shown in place of the listed: the entity of this kind that this property names.
    pub shown: Option<(Kind, String)>,
    /// Properties of what is shown that can be searched.
    pub search: Vec<String>,
    /// Whether what was made last comes first.
    pub newest_first: bool,
    /// What any of these belongs to or refers to is left out.
    pub without: Vec<Selector>,
    /// Totals count everything of the kind, whatever is shown.
    pub counts_all: bool,
    /// Properties that must have the text a parameter asks for, where it is given.
    pub only: BTreeMap<String, ValueRef>,
    /// Properties of which one must contain the parameter `q`, letter case aside.
    pub holding: Vec<String>,
}

impl ListSource {
    /// All entities of a kind, as they are.
    fn plain(kind: Kind) -> Self {
        Self {
            kind,
            of: None,
            paged: None,
            under: None,
            shown: None,
            search: Vec::new(),
            newest_first: false,
            without: Vec::new(),
            current: None,
            counts_all: false,
            only: BTreeMap::new(),
            holding: Vec::new(),
        }
    }
}

/// Source of one member.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberSource {
    /// Not predicted.
    Any,
    /// A value of the request.
    Value(ValueRef),
    /// The elements of a list in the request, each once.
    Distinct(ValueRef),
    /// This property of each entity that the operation made.
    Made(String),
    /// The enterprise identity that the user in the path has of this connector.
    SsoIdentity(ValueRef),
    /// An entity as a whole, absent where there is none or nobody asked for it (`x-shown` of the member's schema).
    Entity(Box<Selector>),
    /// One member of a property that is an object.
    Member {
        /// Whose property.
        target: Target,
        /// The property.
        property: String,
        /// Where the member's name is.
        name: ValueRef,
    },
    /// A value that the deployment makes up.
    Fresh(Fresh),
}

impl<'de> Deserialize<'de> for MemberSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        enum Derived {
            Distinct(ValueRef),
            Made(String),
            SsoIdentity(ValueRef),
            Entity(Box<Selector>),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Member {
            member: String,
            name: ValueRef,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Derived(Derived),
            Member(Member),
        }
        Ok(match Raw::deserialize(deserializer)? {
            Raw::Word(word) if word == "any" => Self::Any,
            Raw::Word(text) if text.contains('.') => Self::Value(ValueRef::parse(&text).map_err(de::Error::custom)?),
            Raw::Word(word) => Self::Fresh(Fresh::deserialize(StrDeserializer::new(&word))?),
            Raw::Derived(Derived::Distinct(value)) => Self::Distinct(value),
            Raw::Derived(Derived::Made(property)) => Self::Made(property),
            Raw::Derived(Derived::SsoIdentity(connector)) => Self::SsoIdentity(connector),
            Raw::Derived(Derived::Entity(selector)) => Self::Entity(selector),
            Raw::Member(Member { member, name }) => {
                let (target, property) = property_of(&member).map_err(de::Error::custom)?;
                Self::Member { target, property, name }
            }
        })
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
                match text {
                    "created" => return Ok(Source::Created),
                    "user-identities" => return Ok(Source::UserIdentities),
                    _ => {}
                }
                let (name, property) = text.split_once('.').map_or((text, None), |(name, property)| (name, Some(property.to_owned())));
                let target = Target::named(name).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Source::Target(target, property))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Source, A::Error> {
                let (mut source, mut list) = (None, ListSource::plain(Kind::User));
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "entity" => source = Some(Source::Target(Target::Selected(map.next_value()?), None)),
                        "list" => {
                            list.kind = map.next_value()?;
                            source = Some(Source::List(ListSource::plain(list.kind)));
                        }
                        "object" => source = Some(Source::Object(map.next_value()?)),
                        "consent-scopes" => source = Some(Source::ConsentScopes(map.next_value()?)),
                        "of" => list.of = Some(map.next_value()?),
                        "paged" => list.paged = Some(map.next_value()?),
                        "under" => list.under = Some(map.next_value()?),
                        "as" => list.shown = Some(one_entry(map.next_value()?).map_err(de::Error::custom)?),
                        "search" => list.search = map.next_value()?,
                        "newest-first" => list.newest_first = map.next_value()?,
                        "without" => list.without = map.next_value()?,
                        "current" => list.current = Some(map.next_value()?),
                        "counts-all" => list.counts_all = map.next_value()?,
                        "where" => list.only = map.next_value()?,
                        "q" => list.holding = map.next_value()?,
                        other => {
                            let known = &[
                                "entity",
                                "list",
                                "object",
                                "of",
                                "paged",
                                "under",
                                "as",
                                "search",
                                "newest-first",
                                "without",
                                "where",
                                "current",
                                "counts-all",
                                "q",
                            ];
                            return Err(de::Error::unknown_field(other, known));
                        }
                    }
                }
                match source {
                    Some(Source::List(_)) => Ok(Source::List(list)),
                    Some(source) if list == ListSource::plain(Kind::User) => Ok(source),
                    Some(_) => Err(de::Error::custom("`of`, `paged`, `under` and how a list is made belong to `list`")),
                    None => Err(de::Error::custom("name the source: entity, list or object")),
                }
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

fn one_entry(entries: BTreeMap<Kind, String>) -> Result<(Kind, String), String> {
    let mut entries = entries.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err("write one kind with the property that names it, for example `role: roleId`".into()),
    }
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
        let roles = read("{list: user-role, of: user, as: {role: roleId}, search: [id], paged: required}").unwrap();
        assert!(matches!(roles, Source::List(ListSource { shown: Some((Kind::Role, _)), .. })));
        let object = "{object: {a: body.x, b: any, c: {made: roleId}, d: {distinct: body.x}, e: {member: user.identities, name: path.t}}}";
        assert!(matches!(read(object).unwrap(), Source::Object(members) if members.len() == 5));
        assert!(matches!(read("{object: {roleIds: body.roleIds, addedRoleIds: any}}").unwrap(), Source::Object(_)));
        let made_up = Source::Object(BTreeMap::from([("secret".to_owned(), MemberSource::Fresh(Fresh::TotpSecret))]));
        assert_eq!(read("{object: {secret: totp-secret}}").unwrap(), made_up);
    }

    #[test]
    fn what_is_no_source_is_refused() {
        assert!(read("users").unwrap_err().contains("users"));
        assert!(read("{object: {}, paged: required}").unwrap_err().contains("belong to `list`"));
        assert!(read("{entity: {role: path.id}, current: isCurrent}").unwrap_err().contains("belong to `list`"));
        assert!(read("{of: user}").unwrap_err().contains("name the source"));
    }
}
