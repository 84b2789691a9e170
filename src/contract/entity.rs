//! Things a deployment remembers, and how the contract names one of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::guard::ValueRef;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:literal $variant:ident,)*) => {
        /// Kinds of things a deployment remembers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[doc = $doc])+ $variant,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kind's name as written in `specs/`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

kinds! {
    /// A user, by id.
    "user" User,
    /// A credential that was issued, by its text.
    "token" Token,
    /// A verification record, by id.
    "record" Record,
    /// A subject token, by its text.
    "subject-token" SubjectToken,
    /// An authorization code that was used, by its text.
    "authorization-code" Code,
    /// An application, by id.
    "application" Application,
    /// A settings object.
    "settings" Settings,
    /// A role, by id.
    "role" Role,
    /// A role that a user has; owned by the user.
    "user-role" UserRole,
    /// An organisation, by id.
    "organization" Organization,
    /// A user that belongs to an organisation; owned by the organisation.
    "organization-member" OrganizationMember,
    /// A role within organisations, by id.
    "organization-role" OrganizationRole,
    /// A scope of organisations, by id.
    "organization-scope" OrganizationScope,
    /// A personal access token, by its text; owned by a user.
    "personal-access-token" PersonalAccessToken,
    /// An enterprise connector, by id.
    "sso-connector" SsoConnector,
    /// A consent at an identity provider of ours, by its authorization code.
    "consent" Consent,
    /// A factor of a user.
    "factor" Factor,
    /// An identity at a social provider; owned by a user.
    "identity" Identity,
    /// An identity at an enterprise provider; owned by a user.
    "sso-identity" SsoIdentity,
    /// Tokens of an identity provider that are kept for a user, with an id of their own; owned by the user.
    "token-set" TokenSet,
    /// Whoever messages go to, by the address or number.
    "recipient" Recipient,
    /// A session; owned by a user.
    "session" Session,
    /// A grant; owned by a user.
    "grant" Grant,
    /// A connector, by id.
    "connector" Connector,
    /// A secret of an application; owned by the application.
    "application-secret" ApplicationSecret,
    /// A field of the profile that the tenant added, by name.
    "custom-profile-field" CustomProfileField,
    /// A one-time token, by id.
    "one-time-token" OneTimeToken,
    /// A code that was sent, by its recipient or record.
    "message-code" MessageCode,
    /// A scope that a third-party application may ask users for; owned by the application.
    "consent-scope" ConsentScope,
    /// An organisation that a user opened to an application; owned by the application.
    "consent-organization" ConsentOrganization,
    /// An API resource, by id.
    "resource" Resource,
    /// A scope of an API resource; owned by the resource.
    "scope" Scope,
    /// What makes connectors, by id.
    "connector-factory" ConnectorFactory,
    /// A rule of who may sign in to an application; owned by the application.
    "access-rule" AccessRule,
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The property by which other entities refer to one of this kind: `roleId` for a role.
    pub fn reference(self) -> String {
        let mut property = String::new();
        for (index, word) in self.name().split('-').enumerate() {
            let mut letters = word.chars();
            match letters.next() {
                Some(first) if index > 0 => property.extend(first.to_uppercase().chain(letters)),
                Some(first) => property.extend(std::iter::once(first).chain(letters)),
                None => {}
            }
        }
        property.push_str("Id");
        property
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| de::Error::custom(unknown_kind(&name)))
    }
}

fn unknown_kind(name: &str) -> String {
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    format!("unknown kind of entity `{name}`, expected one of {}", known.join(", "))
}

/// Who an entity belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The user whose token it is.
    Caller,
    /// The user in the path.
    User,
    /// The entity with this id.
    Value(ValueRef),
    /// What several values name together: `{path.id}/{path.userId}`, the owner proper first.
    Composed(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller => f.write_str("caller"),
            Self::User => f.write_str("user"),
            Self::Value(value) => value.fmt(f),
            Self::Composed(template) => f.write_str(template),
        }
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "caller" => Self::Caller,
            "user" => Self::User,
            composed if composed.starts_with('{') => Self::Composed(text),
            _ => Self::Value(ValueRef::parse(&text).map_err(de::Error::custom)?),
        })
    }
}

/// Names entities: `{role: path.id}`, `{factor: path.verificationId, of: caller}`,
/// `{personal-access-token: body.name, of: user, by: name}`. A value that is a list names one entity by each element;
/// the value `any` names whatever fits, the oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// Kind.
    pub kind: Kind,
    /// Where the id, or the property `by`, is; `any` of the kind when absent.
    pub value: Option<ValueRef>,
    /// Whom it belongs to; anybody when absent.
    pub of: Option<Owner>,
    /// The property that the value names; the id when absent.
    pub by: Option<String>,
    /// Properties it must have besides: a value, or a list of which it is one.
    pub with: BTreeMap<String, Value>,
    /// Values that properties must not have.
    pub without: BTreeMap<String, Value>,
    /// Names entities, by their id or the property `by`, that do not count.
    pub except: Option<ValueRef>,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} {value}", self.kind)?,
            None => write!(f, "{} any", self.kind)?,
        }
        if let Some(owner) = &self.of {
            write!(f, " of {owner}")?;
        }
        if let Some(property) = &self.by {
            write!(f, " by {property}")?;
        }
        for (property, value) in &self.with {
            write!(f, " with {property} {value}")?;
        }
        for (property, value) in &self.without {
            write!(f, " without {property} {value}")?;
        }
        if let Some(except) = &self.except {
            write!(f, " except {except}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SelectorVisitor;
        impl<'de> Visitor<'de> for SelectorVisitor {
            type Value = Selector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one kind of entity with the value that names it, optionally of, by, with, without, except")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selector, A::Error> {
                let (mut named, mut of, mut by, mut except) = (None, None, None, None);
                let (mut with, mut without) = (BTreeMap::new(), BTreeMap::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "of" => of = Some(map.next_value()?),
                        "by" => by = Some(map.next_value()?),
                        "with" => with = map.next_value()?,
                        "except" => except = Some(map.next_value()?),
                        "without" => without = map.next_value()?,
                        _ if named.is_some() => return Err(de::Error::custom(format!("`{key}` is a second kind; name one"))),
                        name => {
                            let kind = Kind::named(name).ok_or_else(|| de::Error::custom(unknown_kind(name)))?;
                            let text: String = map.next_value()?;
                            let value = (text != "any").then(|| ValueRef::parse(&text).map_err(de::Error::custom)).transpose()?;
                            named = Some((kind, value));
                        }
                    }
                }
                let (kind, value) = named.ok_or_else(|| de::Error::custom("name a kind of entity, for example `role: path.id`"))?;
                Ok(Selector { kind, value, of, by, with, without, except })
            }
        }
        deserializer.deserialize_map(SelectorVisitor)
    }
}

/// What is read or changed: `caller`, `user` (the one in the path), a settings object, or selected entities.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The user whose token it is.
    Caller,
    /// The user in the path.
    User,
    /// The settings of this name.
    Settings(&'static str),
    /// These entities.
    Selected(Selector),
}

/// Id of the account-center settings.
pub const ACCOUNT_CENTER: &str = "account-center";
/// Id of the sign-in experience.
pub const SIGN_IN_EXPERIENCE: &str = "sign-in-experience";

impl Target {
    /// A target written as one word.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "caller" => Self::Caller,
            "user" => Self::User,
            ACCOUNT_CENTER => Self::Settings(ACCOUNT_CENTER),
            SIGN_IN_EXPERIENCE => Self::Settings(SIGN_IN_EXPERIENCE),
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetVisitor;
        impl<'de> Visitor<'de> for TargetVisitor {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("caller, user, account-center, sign-in-experience, or a selector such as `{role: path.id}`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Target, E> {
                Target::named(name).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(name), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                Selector::deserialize(de::value::MapAccessDeserializer::new(map)).map(Target::Selected)
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_and_said_back() {
        let read = |text: &str| serde_saphyr::from_str::<Selector>(text).map(|selector| selector.to_string());
        assert_eq!(read("{role: path.id}").unwrap(), "role path.id");
        let whole = "{personal-access-token: body.name, of: user, by: name, with: {expired: false}}";
        assert_eq!(read(whole).unwrap(), "personal-access-token body.name of user by name with expired false");
        let rest = "{user-role: any, of: user, by: roleId, except: body.roleIds}";
        assert_eq!(read(rest).unwrap(), "user-role any of user by roleId except body.roleIds");
        let any = "{factor: any, of: caller, with: {type: [Totp, WebAuthn]}, without: {remainCodes: 0}}";
        assert_eq!(read(any).unwrap(), r#"factor any of caller with type ["Totp","WebAuthn"] without remainCodes 0"#);
        assert!(read("{rolle: path.id}").unwrap_err().to_string().contains("unknown kind of entity `rolle`"));
        assert!(read("{of: caller}").is_err());
    }

    #[test]
    fn kinds_are_referred_to_by_their_name_in_camel_case() {
        assert_eq!(Kind::Role.reference(), "roleId");
        assert_eq!(Kind::OrganizationRole.reference(), "organizationRoleId");
    }
}
