//! What an accepted operation does to state: a few general verbs with their arguments, and named ones for the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::entity::{Kind, Owner, Selector, Target};
use super::guard::{ValueRef, When};

/// Values a deployment makes up; the shape is known, the value only after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fresh {
    /// 12 lower-case letters and digits.
    UserId,
    /// 21 characters.
    #[serde(rename = "id")]
    RecordId,
    /// `sub_` and more.
    SubjectToken,
    /// `pat_` and more.
    #[serde(rename = "pat")]
    PersonalAccessToken,
    /// An opaque access token.
    OpaqueToken,
    /// A signed token.
    Jwt,
    /// A digest of a password.
    Digest,
    /// Any other text that nobody can guess.
    Secret,
    /// Milliseconds since 1970, about now.
    Now,
    /// ISO text, about now.
    IsoNow,
    /// ISO text, this many seconds after now.
    IsoAfter(u32),
    /// Milliseconds since 1970, this many seconds after now.
    MsAfter(u64),
    /// A whole number that the deployment counts.
    Number,
    /// A shared secret of an authenticator app: 20 bytes in base32.
    TotpSecret,
    /// Ten codes of ten hexadecimal digits.
    BackupCodes,
    /// A picture as a data URL.
    QrCode,
}

impl Fresh {
    /// Whether the value tells one thing from all others of its kind.
    pub const fn identifies(self) -> bool {
        !matches!(
            self,
            Self::Now
                | Self::IsoNow
                | Self::IsoAfter(_)
                | Self::MsAfter(_)
                | Self::Number
                | Self::TotpSecret
                | Self::BackupCodes
                | Self::QrCode
        )
    }
}

/// What an operation does to the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// One of the effects that are Rust.
    Named(Named),
    /// Sets members of a value on a target, or the value as one property.
    Set {
        /// What is changed.
        target: Target,
        /// The value; the whole body when absent.
        from: Option<ValueRef>,
        /// The property it becomes; its members become properties when absent.
        property: Option<String>,
        /// Properties set to these values instead of anything of the request.
        with: BTreeMap<String, Value>,
    },
    /// Merges a value into a property that is an object, one level deep.
    Merge {
        /// What is changed.
        target: Target,
        /// The property.
        property: String,
        /// The value; the whole body when absent.
        from: Option<ValueRef>,
    },
    /// Sets one member of a property that is an object.
    SetMember {
        /// What is changed.
        target: Target,
        /// The property.
        property: String,
        /// Where the member's name is.
        name: ValueRef,
        /// The value; the whole body when absent.
        from: Option<ValueRef>,
    },
    /// Removes one member of a property that is an object.
    RemoveMember {
        /// What is changed.
        target: Target,
        /// The property.
        property: String,
        /// Where the member's name is.
        name: ValueRef,
    },
    /// Sets what a value holds, part by part: its inner members become properties `outer.inner` of their own.
    Parts {
        /// What is changed.
        target: Target,
        /// The property whose parts they are.
        property: String,
        /// The value; the whole body when absent.
        from: Option<ValueRef>,
        /// A value of the contract instead.
        value: Option<Value>,
    },
    /// Counts as a change, though nothing that is shown differs.
    Touch(Target),
    /// Happens only then.
    Only {
        /// When.
        when: Box<When>,
        /// What.
        effect: Box<Effect>,
    },
    /// Makes an entity.
    Create(Box<Create>),
    /// Removes entities with everything that belongs to them.
    Delete(Selector),
}

impl Effect {
    /// Whether it adds something to what an owner has, or removes something.
    pub fn changes_belongings_of(&self, owner: &Owner) -> bool {
        match self {
            Self::Only { effect, .. } => effect.changes_belongings_of(owner),
            Self::Create(create) => create.of.as_ref() == Some(owner),
            Self::Delete(selector) => selector.of.as_ref() == Some(owner),
            Self::Named(_)
            | Self::Set { .. }
            | Self::Merge { .. }
            | Self::SetMember { .. }
            | Self::RemoveMember { .. }
            | Self::Parts { .. }
            | Self::Touch(_) => false,
        }
    }
}

/// Effects that are Rust: each is a function of `model::effect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// Sets the caller's password.
    SetCallerPassword,
    /// Sets the password of the user in the path.
    SetUserPassword,
    /// Stores the password of the user in the path, which was just confirmed, by the algorithm of new ones.
    SettleUserPassword,
    /// Links the social identity that a connector reads from its provider's answer to the user in the path.
    LinkUserIdentity,
    /// Makes a verified password record owned by the caller.
    CreatePasswordRecord,
    /// Makes a user.
    CreateUser,
    /// Suspends or restores the user in the path; suspending kills its tokens.
    SuspendUser,
    /// Makes an unverified record for the registration of a passkey of the caller.
    CreatePasskeyRecord,
    /// Makes a single-use subject token for the user in the body.
    CreateSubjectToken,
    /// Issues a token at the token endpoint.
    IssueToken,
    /// Ends the session in the path, and those of its grants that `revokeGrantsTarget` speaks of with their tokens.
    EndSession,
    /// Ends the grant in the path, with its tokens.
    RevokeGrant,
    /// Makes a one-time token for the address in the body.
    CreateOneTimeToken,
    /// Puts a new code for the recipient in the body in the place of an older one.
    MakeCode,
    /// Counts a message to the recipient in the body.
    CountMessage,
    /// Uses the code of the recipient in the body up.
    UseCode,
    /// Forgets what is counted against the targets in the body.
    ForgetFailures,
    /// Makes an unverified record of a code for the recipient in the body, and counts the message.
    CreateCodeRecord,
    /// Verifies the record of a code; the code is used up.
    VerifyCodeRecord,
    /// Makes an unverified social record.
    CreateSocialRecord,
    /// Verifies a social record by what the provider sent back.
    VerifySocialRecord,
    /// Links the social account that a record proves to the caller, with the token that came along.
    LinkSocial,
    /// Stores the token that came with a social record.
    StoreTokenSet,
    /// Puts a renewed token in the place of one that has run out.
    RenewTokenSet,
    /// Makes an enterprise connector.
    CreateSsoConnector,
    /// Deletes the enterprise connector in the path with the identities that came through it.
    DeleteSsoConnector,
    /// Makes an application, with a first secret where it can have secrets.
    CreateApplication,
    /// Makes a connector as its factory has it; one for messages takes the place of those of its kind.
    CreateConnector,
    /// Changes the connector in the path; its look falls back to its factory's.
    UpdateConnector,
    /// Switches second factors by risk off when the last factor goes.
    SettleAdaptiveMfa,
    /// Removes the profile field in the path from the settings that name it.
    DropProfileField,
}

/// How an entity is made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Kind.
    pub kind: Kind,
    /// Whom it belongs to.
    #[serde(default)]
    pub of: Option<Owner>,
    /// Its id with `{path.x}`, `{body.y}`, `{caller}`, `{each}`; made up by the deployment when absent.
    #[serde(default)]
    pub id: Option<String>,
    /// Properties it has from the start.
    #[serde(default)]
    pub with: BTreeMap<String, Value>,
    /// The object whose members become properties; the whole body when absent.
    #[serde(default)]
    pub from: Option<ValueRef>,
    /// Properties taken from other places of the request.
    #[serde(default)]
    pub take: BTreeMap<String, ValueRef>,
    /// Properties that the deployment makes up.
    #[serde(default)]
    pub fresh: BTreeMap<String, Fresh>,
    /// A list in the request: one entity for each element, unless there is one with that id already.
    #[serde(default)]
    pub each: Option<ValueRef>,
    /// The property that the element becomes.
    #[serde(default, rename = "as")]
    pub element: Option<String>,
}

impl<'de> Deserialize<'de> for Effect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EffectVisitor;
        impl<'de> Visitor<'de> for EffectVisitor {
            type Value = Effect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of an effect, or one of set, merge, set-member, remove-member, parts, touch, create, delete with its arguments",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Effect, E> {
                Named::deserialize(StrDeserializer::new(name)).map(Effect::Named)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Effect, A::Error> {
                let (mut effect, mut from, mut property, mut value, mut when) = (None, None, None, None, None);
                let (mut with, mut member, mut name) = (BTreeMap::new(), None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "set" => effect = Some(set(map.next_value()?)),
                        "merge" => {
                            let (target, property) = property_of(&map.next_value::<String>()?).map_err(de::Error::custom)?;
                            effect = Some(Effect::Merge { target, property, from: None });
                        }
                        verb @ ("set-member" | "remove-member") => {
                            let removes = verb == "remove-member";
                            member = Some((property_of(&map.next_value::<String>()?).map_err(de::Error::custom)?, removes));
                        }
                        "name" => name = Some(map.next_value()?),
                        "parts" => {
                            let (target, property) = property_of(&map.next_value::<String>()?).map_err(de::Error::custom)?;
                            effect = Some(Effect::Parts { target, property, from: None, value: None });
                        }
                        "touch" => effect = Some(Effect::Touch(map.next_value()?)),
                        "create" => effect = Some(Effect::Create(Box::new(map.next_value()?))),
                        "delete" => effect = Some(Effect::Delete(map.next_value()?)),
                        "from" => from = Some(map.next_value()?),
                        "as" => property = Some(map.next_value()?),
                        "with" => with = map.next_value()?,
                        "value" => value = Some(map.next_value()?),
                        "when" => when = Some(Box::new(map.next_value()?)),
                        other => {
                            let known = &[
                                "set",
                                "merge",
                                "set-member",
                                "remove-member",
                                "parts",
                                "touch",
                                "create",
                                "delete",
                                "from",
                                "as",
                                "name",
                                "with",
                                "value",
                                "when",
                            ];
                            return Err(de::Error::unknown_field(other, known));
                        }
                    }
                }
                if let (None, Some(((target, property), removes)), None) = (&effect, member, &property) {
                    let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
                    return match (removes, &from) {
                        (false, _) => Ok(Effect::SetMember { target, property, name, from }),
                        (true, None) => Ok(Effect::RemoveMember { target, property, name }),
                        (true, Some(_)) => Err(de::Error::custom("what is removed comes from nowhere: no `from`")),
                    };
                }
                let effect = match effect {
                    Some(Effect::Set { target, .. }) if value.is_none() => Effect::Set { target, from, property, with },
                    Some(_) if !with.is_empty() => return Err(de::Error::custom("`with` belongs to `set`")),
                    Some(Effect::Merge { target, property: name, .. }) if property.is_none() && value.is_none() => {
                        Effect::Merge { target, property: name, from }
                    }
                    Some(Effect::Parts { target, property: name, .. }) if property.is_none() && !(from.is_some() && value.is_some()) => {
                        Effect::Parts { target, property: name, from, value }
                    }
                    Some(effect) if from.is_none() && property.is_none() && value.is_none() => effect,
                    Some(_) => {
                        let message = "`from` and `as` belong to `set`, `from` to `merge`, `from` or `value` to `parts`";
                        return Err(de::Error::custom(message));
                    }
                    None => return Err(de::Error::custom("name what is done: set, merge, parts, touch, create or delete")),
                };
                Ok(match when {
                    Some(when) => Effect::Only { when, effect: Box::new(effect) },
                    None => effect,
                })
            }
        }
        deserializer.deserialize_any(EffectVisitor)
    }
}

/// Sets the members of the body on a target.
const fn set(target: Target) -> Effect {
    Effect::Set { target, from: None, property: None, with: BTreeMap::new() }
}

/// Reads `user.customData`: a target and one of its properties.
pub(super) fn property_of(text: &str) -> Result<(Target, String), String> {
    let split = text.split_once('.').and_then(|(target, name)| Some((Target::named(target)?, name.to_owned())));
    split.ok_or_else(|| format!("`{text}` is no property; write for example user.customData"))
}

/// Reads one value or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one entry or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(StrDeserializer::new(text)).map(|one| vec![one])
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder(#[serde(deserialize_with = "one_or_many")] Vec<Effect>);

    fn read(text: &str) -> Result<Vec<Effect>, String> {
        serde_saphyr::from_str::<Holder>(text).map(|holder| holder.0).map_err(|error| error.to_string())
    }

    #[test]
    fn effects_are_words_or_verbs_with_arguments() {
        assert_eq!(read("create-user").unwrap(), [Effect::Named(Named::CreateUser)]);
        let effects =
            read("[{set: caller}, {set: user, from: body.profile, as: profile}, {merge: user.customData, from: body.customData}]");
        let effects = effects.unwrap();
        assert_eq!(effects[0], set(Target::Caller));
        assert!(matches!(&effects[1], Effect::Set { from: Some(_), property: Some(property), .. } if property == "profile"));
        assert!(matches!(&effects[2], Effect::Merge { target: Target::User, property, .. } if property == "customData"));
        let member =
            read("[{set-member: user.identities, name: path.target}, {remove-member: user.identities, name: path.target}]").unwrap();
        assert!(matches!(&member[0], Effect::SetMember { property, from: None, .. } if property == "identities"));
        assert!(matches!(&member[1], Effect::RemoveMember { .. }));
        assert!(matches!(&read("{delete: {role: path.id}}").unwrap()[0], Effect::Delete(selector) if selector.kind == Kind::Role));
        let only = read("{parts: user.logtoConfig.mfa, value: {enabled: true}, when: {body: type}}").unwrap();
        assert!(
            matches!(&only[0], Effect::Only { effect, .. } if matches!(&**effect, Effect::Parts { property, .. } if property == "logtoConfig.mfa"))
        );
        let create = read("{create: {kind: role, with: {tenantId: default}, fresh: {id: id}}}").unwrap();
        assert!(matches!(&create[0], Effect::Create(create) if create.fresh["id"] == Fresh::RecordId));
    }

    #[test]
    fn what_is_no_effect_is_refused_by_name() {
        assert!(read("create-users").unwrap_err().contains("create-users"));
        assert!(read("{put: user}").unwrap_err().contains("put"));
        assert!(read("{delete: {role: path.id}, as: x}").unwrap_err().contains("`from` and `as` belong to `set`"));
        assert!(read("{merge: customData}").unwrap_err().contains("is no property"));
    }
}
