//! Guards as data: one entry is one kind with its argument, and optionally when it applies and what it answers.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::entity::{Owner, Selector};
use super::schema::Schema;
use super::version::Version;

/// Where a guard finds the value it looks at: `body.username`, `path.userId`, `query.page`, `header.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueRef {
    /// Part of the request.
    pub place: Place,
    /// Name of the key within that part.
    pub name: String,
}

/// Part of a request that carries named values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Top-level key of the JSON (or form) body.
    Body,
    /// Path parameter.
    Path,
    /// Query parameter.
    Query,
    /// Request header.
    Header,
}

impl fmt::Display for ValueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Body => "body",
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        write!(f, "{place}.{}", self.name)
    }
}

impl<'de> Deserialize<'de> for ValueRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl ValueRef {
    /// Reads `body.NAME` (`body.OUTER.INNER` for a member of a member), `path.NAME`, `query.NAME` or `header.NAME`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let place = text.split_once('.').and_then(|(place, name)| {
            let place = match place {
                "body" => Place::Body,
                "path" => Place::Path,
                "query" => Place::Query,
                "header" => Place::Header,
                _ => return None,
            };
            Some(Self { place, name: name.to_owned() })
        });
        place.ok_or_else(|| format!("`{text}` is no value reference; write body.NAME, path.NAME, query.NAME or header.NAME"))
    }
}

/// Which fields of the account center a guard asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FieldRule {
    /// One field.
    One(String),
    /// Each field whose key is present in the body, in this order.
    Each {
        /// Field names, equal to the body's keys.
        each: Vec<String>,
    },
    /// The first of these that has a level in the settings (`passkey`, else `mfa`).
    FirstSet {
        /// Field names in order of preference.
        #[serde(rename = "first-set")]
        first_set: Vec<String>,
    },
}

/// What an `authorization` guard demands of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorizationRule {
    /// The header is there.
    Present,
    /// Its scheme is exactly `Bearer`.
    Bearer,
    /// The token is an opaque access token of a user, alive.
    UserToken,
    /// The token is a signed token for the Management API's resource, unexpired.
    ManagementToken,
}

/// What a `client` guard demands of the caller of the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientRule {
    /// Some client authentication is sent.
    Presented,
    /// The id names an application.
    Known,
    /// Known id with the right secret.
    Authenticated,
    /// May use the grant type it asks for.
    GrantAllowed,
}

macro_rules! guard_kinds {
    ($($(#[doc = $doc:literal])+ $key:literal $variant:ident($argument:ty),)*) => {
        /// One kind of condition with its argument. The semantics of each kind are Rust (`model::guard`), its use is data.
        #[derive(Debug, Clone, PartialEq)]
        pub enum GuardKind { $($(#[doc = $doc])+ $variant($argument),)* }

        impl GuardKind {
            /// Every kind's name as written in `x-guards`.
            pub const NAMES: &'static [&'static str] = &[$($key),*];

            /// What each kind demands, by its name as written in `x-guards`; one sentence for people.
            pub const MEANINGS: &'static [(&'static str, &'static str)] = &[$(($key, concat!($($doc),+))),*];

            /// The kind's name as written in `x-guards`.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $key),* }
            }

            fn read<'de, A: MapAccess<'de>>(key: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                Ok(match key { $($key => Some(Self::$variant(map.next_value()?)),)* _ => None })
            }
        }
    };
}

guard_kinds! {
    /// The `Authorization` header.
    "authorization" Authorization(AuthorizationRule),
    /// The token carries this scope.
    "scope" Scope(String),
    /// The account center is switched on.
    "center-enabled" CenterEnabled(bool),
    /// The body is shorter than this many bytes.
    "max-body" MaxBody(usize),
    /// The body can be parsed as its content type says.
    "parsable" Parsable(bool),
    /// Body, path and query fit the operation's schemas.
    "valid-input" ValidInput(bool),
    /// No text anywhere in the request contains U+0000.
    "no-nul" NoNul(bool),
    /// These account-center fields are at level Edit.
    "field" Field(FieldRule),
    /// These account-center fields are at level `ReadOnly` or Edit.
    "field-readable" FieldReadable(FieldRule),
    /// The token's client is first-party.
    "first-party" FirstParty(bool),
    /// The request proves the caller's identity by a verification record.
    "identity-verified" IdentityVerified(bool),
    /// An identifier remains when this property is emptied.
    "last-identifier" LastIdentifier(LastIdentifier),
    /// The username fits the tenant's username policy; the argument names the value.
    "username-policy" UsernamePolicy(ValueRef),
    /// The password fits the tenant's password policy.
    "password-policy" PasswordPolicy(ValueRef),
    /// The password differs from the current one.
    "new-password" NewPassword(ValueRef),
    /// The password is the caller's.
    "password-matches" PasswordMatches(ValueRef),
    /// The password is that of the user in the path.
    "user-password" UserPassword(ValueRef),
    /// Nobody else has this value of the property (`username`, `primaryEmail`, `primaryPhone`).
    "unique" Unique(UniqueRule),
    /// The number can be parsed as a phone number.
    "phone-valid" PhoneValid(ValueRef),
    /// No text is longer than its column, counted in characters.
    "max-chars" MaxChars(BTreeMap<String, usize>),
    /// At least one of these keys is in the body.
    "any-key" AnyKey(Vec<String>),
    /// At most one of these keys is in the body, or (`query.NAME`) given and not empty.
    "not-together" NotTogether(Vec<String>),
    /// The body has this key.
    "has-key" HasKey(String),
    /// The value is a legacy password digest: a JSON array `[algorithm, arguments, digest]`.
    "legacy-digest" LegacyDigest(ValueRef),
    /// The names in this list of `{name}` objects are distinct.
    "distinct-names" DistinctNames(ValueRef),
    /// The value, if any, is not empty.
    "not-empty" NotEmpty(ValueRef),
    /// The entities that the value names exist.
    "exists" Exists(Box<Selector>),
    /// None of the entities that the value names exists.
    "absent" Absent(Box<Selector>),
    /// The entities that the value names, where they exist, have the given properties.
    "is" Is(Box<Selector>),
    /// `page` and `page_size`, if given, name a page.
    "pagination" Pagination(Paging),
    /// The value, or the settings as they would become, fit a schema.
    "fits" Fits(Box<FitsRule>),
    /// Where all of these numbers are given, none is above the next.
    "ordered" Ordered(Vec<ValueRef>),
    /// A password policy that looks at the user's data is told whose password it is.
    "policy-informed" PolicyInformed(ValueRef),
    /// The search parameters can be understood and name these properties only.
    "search" Search(Vec<String>),
    /// No element of the list is there twice.
    "distinct" Distinct(ValueRef),
    /// The time, if any, is not over.
    "in-future" InFuture(ValueRef),
    /// The verification record is verified, unexpired, and of the right kind and value.
    "record" Record(Box<RecordRule>),
    /// The user in the path has a social identity of this provider.
    "has-identity" HasIdentity(ValueRef),
    /// The user in the path has an enterprise identity of this connector.
    "has-sso-identity" HasSsoIdentity(ValueRef),
    /// No other user than the one in the path has this social identity.
    "identity-free" IdentityFree(IdentityRule),
    /// The social connector can read what is said to be its provider's answer.
    "connector-accepts" ConnectorAccepts(ConnectorAnswer),
    /// The caller does not aim at itself.
    "not-self" NotSelf(ValueRef),
    /// The user is not suspended.
    "not-suspended" NotSuspended(Who),
    /// The caller, or the recipient that the value names, has not failed too often.
    "not-locked" NotLocked(Owner),
    /// The token endpoint knows and accepts the client.
    "client" Client(ClientRule),
    /// The value, if any, is one of these.
    "one-of" OneOf(OneOf),
    /// The authorization code was issued and not used.
    "code-usable" CodeUsable(ValueRef),
    /// The actor token, if any, is a live access token with scope `openid`.
    "actor-token" ActorToken(ValueRef),
    /// The refresh token is alive.
    "refresh-token" RefreshToken(ValueRef),
    /// The requested resource is known.
    "resource-known" ResourceKnown(ValueRef),
    /// The subject token can still be exchanged.
    "subject-token" SubjectToken(ValueRef),
    /// The entities that the value names, where they exist, belong to that owner.
    "belongs" Belongs(Box<Selector>),
    /// The entities that the value names, where they exist, are not past their end.
    "unexpired" Unexpired(Box<Selector>),
    /// A message can be sent to the recipient in the body.
    "message" Message(MessageRule),
    /// The code of the recipient in the body can be used.
    "sent-code" SentCode(SentCodeRule),
    /// The tenant lets passwords expire.
    "password-expiry-on" PasswordExpiryOn(bool),
    /// The tenant has switched this kind of factor on.
    "factor-on" FactorOn(FactorName),
    /// The text is a shared secret: 16 to 32 characters of base32.
    "totp-secret" TotpSecret(ValueRef),
    /// The code is what an authenticator app shows for the secret now.
    "totp-code" TotpCode(TotpRule),
    /// The list, if any, holds ten texts of ten hexadecimal digits.
    "backup-codes" BackupCodes(ValueRef),
    /// The authenticator's answer fits the registration that the record stands for.
    "passkey-proof" PasskeyProof(PasskeyRule),
    /// The e-mail address has a domain.
    "email-domain" EmailDomain(ValueRef),
    /// The e-mail address has no plus sign before its at sign where the tenant refuses one.
    "no-subaddress" NoSubaddress(ValueRef),
    /// The tenant's lists admit the e-mail address.
    "email-listed" EmailListed(ValueRef),
    /// Fewer messages than the limit went to the recipient within the last ten minutes.
    "send-allowed" SendAllowed(ValueRef),
    /// The tenant can send messages to addresses of this type, `email` or `phone`.
    "channel" Channel(ValueRef),
    /// The code that was sent for the record was not used yet.
    "code-pending" CodePending(ValueRef),
    /// The code that was sent for the record is not too old.
    "code-fresh" CodeFresh(ValueRef),
    /// Fewer wrong codes than the tenant allows were given for the record.
    "tries-left" TriesLeft(ValueRef),
    /// The code is the one that was sent for the record.
    "code-matches" CodeMatches(CodeRule),
    /// Nobody else is linked to the social account that the record proves.
    "social-unbound" SocialUnbound(ValueRef),
    /// The caller has no linked account of the provider that the record is of.
    "social-new" SocialNew(ValueRef),
    /// The social account that the record proves is linked to the caller.
    "social-bound" SocialBound(ValueRef),
    /// The proof of the social account brought a token to store.
    "social-token" SocialToken(ValueRef),
    /// The record is of this provider.
    "social-target" SocialTarget(SocialTarget),
    /// The provider stands by what it is said to have sent back.
    "social-proof" SocialProof(SocialProof),
    /// The stored token has not run out, or there are means to renew it.
    "token-set-usable" TokenSetUsable(Box<Selector>),
    /// The stored token has not run out, or its provider renews it.
    "token-set-renewed" TokenSetRenewed(Box<Selector>),
    /// The file has at most this many bytes.
    "max-file" MaxFile(FileRule),
    /// The file is a whole picture of an accepted kind.
    "picture" Picture(ValueRef),
    /// The deployment has a place for files.
    "storage" Storage(bool),
}

/// Argument of `unique`: a property, which the body has under the same name unless another place is named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum UniqueRule {
    /// The body's member of that name.
    Member(String),
    /// A value under another name.
    Value {
        /// The property.
        property: String,
        /// Where the value is.
        value: ValueRef,
    },
}

impl UniqueRule {
    /// The property.
    pub fn property(&self) -> &str {
        match self {
            Self::Member(property) | Self::Value { property, .. } => property,
        }
    }

    /// Where the value is.
    pub fn value(&self) -> ValueRef {
        match self {
            Self::Member(name) => ValueRef { place: Place::Body, name: name.clone() },
            Self::Value { value, .. } => value.clone(),
        }
    }
}

/// Argument of `code-matches`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRule {
    /// Where the record's id is.
    pub record: ValueRef,
    /// Where the code is.
    pub code: ValueRef,
}

/// Argument of `social-target`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocialTarget {
    /// Where the record's id is.
    pub record: ValueRef,
    /// Where the provider's name is.
    pub is: ValueRef,
}

/// Argument of `social-proof`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocialProof {
    /// Where the record's id is.
    pub record: ValueRef,
    /// Where the provider's answer is.
    pub data: ValueRef,
}

/// Argument of `max-file`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Where the file is.
    pub file: ValueRef,
    /// Most bytes.
    pub bytes: usize,
}

/// What a `message` guard demands. The recipient is the e-mail address in the body, or else the phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageRule {
    /// Not too many messages went to the recipient lately.
    Allowed,
    /// The recipient can be stored.
    Storable,
    /// There is a connector for such messages.
    Connected,
}

/// What a `sent-code` guard demands. The recipient is the e-mail address in the body, or else the phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentCodeRule {
    /// A code was sent and not used.
    Pending,
    /// It is not too old.
    Fresh,
    /// Not too many wrong codes were tried.
    TriesLeft,
    /// The code in the body is the one.
    Right,
}

impl FitsRule {
    /// Whether a value fits. The loader has compiled the schema.
    pub fn admits(&self, value: &Value) -> bool {
        self.schema.as_ref().is_none_or(|schema| schema.admits(value))
    }
}

impl GuardKind {
    /// Whether it looks at the body, or at the input as a whole.
    pub const fn reads_input(&self) -> bool {
        matches!(self, Self::MaxBody(_) | Self::Parsable(_) | Self::ValidInput(_) | Self::NoNul(_))
    }
}

/// Argument of `last-identifier`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastIdentifier {
    /// The property that would be emptied.
    pub without: String,
    /// The only member of the property that would go; the whole property when absent.
    #[serde(default)]
    pub key: Option<ValueRef>,
}

/// Argument of `identity-free`: an account at a social provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRule {
    /// Where the provider's name is; that of the connector when absent.
    #[serde(default)]
    pub target: Option<ValueRef>,
    /// Where the id of the provider's connector is.
    #[serde(default)]
    pub connector: Option<ValueRef>,
    /// Where the user's id at the provider is.
    pub id: ValueRef,
}

/// What a social provider is said to have answered, and the connector that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorAnswer {
    /// Where the connector's id is.
    pub connector: ValueRef,
    /// Where the answer is.
    pub data: ValueRef,
}

/// Argument of `factor-on`: a kind of factor, or where its name is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FactorName {
    /// The request names it.
    Value(ValueRef),
    /// This one.
    Fixed(String),
}

impl fmt::Display for FactorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Fixed(name) => f.write_str(name),
        }
    }
}

/// Argument of `totp-code`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpRule {
    /// Where the code is.
    pub code: ValueRef,
    /// Where the secret is.
    pub secret: ValueRef,
}

/// Argument of `passkey-proof`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyRule {
    /// Where the authenticator's answer is.
    pub proof: ValueRef,
    /// Where the id of the record is.
    pub record: ValueRef,
}

/// Argument of `one-of`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// Where the value is.
    pub value: ValueRef,
    /// What it may be.
    pub of: Vec<String>,
}

/// Argument of `fits`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitsRule {
    /// What is looked at: a value of the request; nothing is asked of one that is absent.
    #[serde(default)]
    pub value: Option<ValueRef>,
    /// Or the settings of this name, with the members of the body in place of the stored ones.
    #[serde(default)]
    pub settings: Option<String>,
    /// What it must fit, as written.
    #[serde(rename = "schema")]
    pub raw: Value,
    /// The same, compiled (set by the loader).
    #[serde(skip)]
    pub schema: Option<Schema>,
    /// Values that do not fit, to be tried.
    #[serde(default)]
    pub unfit: Vec<Value>,
    /// Of texts that this expression finds something in, nothing is said.
    #[serde(default, deserialize_with = "expression")]
    pub unless: Option<Expression>,
}

/// A regular expression; equal when written alike.
#[derive(Debug, Clone)]
pub struct Expression(pub regex::Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

fn expression<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Expression>, D::Error> {
    let text = String::deserialize(deserializer)?;
    regex::Regex::new(&text).map(|expression| Some(Expression(expression))).map_err(de::Error::custom)
}

/// Whether a list comes in pages always, or only when a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paging {
    /// Always.
    Required,
    /// Only when asked for.
    Optional,
}

/// Argument of `record`: a verification record as a proof.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRule {
    /// Where its id is.
    pub id: ValueRef,
    /// Kinds that will do.
    pub kind: RecordKind,
    /// The value it must prove.
    #[serde(default)]
    pub value: Option<ValueRef>,
    /// Whether it must be verified.
    #[serde(default)]
    pub verified: bool,
    /// Whom it must belong to; anybody when absent.
    #[serde(default)]
    pub owner: Option<Owner>,
}

/// Kinds of verification records.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum RecordKind {
    /// One of these, as the property `type` of a record says.
    OneOf(Vec<String>),
    /// The one that a value of the request asks for: `email` or `phone`.
    By {
        /// Where it says so.
        by: ValueRef,
    },
}

/// Whom a guard about a user looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The owner of the access token.
    Caller,
    /// The owner of the subject token.
    Subject,
}

/// When an entry applies. All given parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct When {
    /// A key is in the body, or keys have these shapes.
    #[serde(default)]
    pub body: Option<BodyShape>,
    /// A key is in the query, or keys have these values.
    #[serde(default)]
    pub query: Option<BodyShape>,
    /// The entity that the operation's last `exists` found has these properties: a value, or a list of which it is one.
    #[serde(default)]
    pub found: Option<BTreeMap<String, Value>>,
    /// A fact about the caller.
    #[serde(default)]
    pub caller: Option<CallerFact>,
    /// A value that is what the caller has already.
    #[serde(default)]
    pub own: Option<OwnValue>,
    /// A fact about the user in the path.
    #[serde(default)]
    pub user: Option<UserFact>,
    /// A fact about the tenant's settings.
    #[serde(default)]
    pub tenant: Option<TenantFact>,
    /// The opposite of another condition.
    #[serde(default)]
    pub not: Option<Box<When>>,
}

/// A value of the request and a property of the caller that may be the same, letter by letter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnValue {
    /// The property.
    pub property: String,
    /// Where the value is.
    pub value: ValueRef,
}

/// Condition on the body.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum BodyShape {
    /// This key is present.
    Has(String),
    /// Each key has this shape: `null` is null, `"string"` any text, anything else that value.
    Keys(BTreeMap<String, Value>),
}

/// Facts about a caller that decide whether a guard applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerFact {
    /// It has a password, a primary e-mail or a primary phone.
    HasSecurityMethod,
    /// Its password is stored as Argon2i.
    PasswordIsArgon2i,
}

/// Facts about the user in the path that decide which answer it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum UserFact {
    /// It has a social identity of this provider.
    HasIdentity(ValueRef),
}

/// Facts about the tenant that decide whether a guard applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantFact {
    /// Never true in a production deployment; keeps the type open for growth.
    Development,
    /// Passkeys are among the second factors.
    PasskeyFactorOn,
}

/// What a refusal does to hidden state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalEffect {
    /// Counts towards the lock-out that the operation's `not-locked` speaks of.
    CountFailure,
    /// Counts a wrong code for the recipient in the body.
    CountWrongCode,
    /// Puts a new code for the recipient in the body in the place of an older one.
    MakeCode,
    /// Counts as a wrong code for the record.
    CountTry,
    /// May have looked at the code all the same, and used it up or counted it.
    MaybeUseCode,
    /// Forgets the stored token of the provider.
    ForgetTokenSet,
    /// Spends the code that a social provider gave.
    SpendCode,
    /// May have done what the operation deletes all the same.
    MaybeDelete,
}

/// Status of a predicted answer: one number, or any of a class where the contract promises no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Exactly this status.
    Exact(u16),
    /// Any client error (written `4xx`).
    AnyRefusal,
}

impl Status {
    /// Whether an observed status is what this says.
    pub const fn admits(self, status: u16) -> bool {
        match self {
            Self::Exact(expected) => expected == status,
            Self::AnyRefusal => status >= 400 && status < 500,
        }
    }

    /// Whether this is the status of a success.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exact(status) if status >= 200 && status < 300)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(status) => write!(f, "{status}"),
            Self::AnyRefusal => f.write_str("4xx"),
        }
    }
}

/// Answer of a broken guard: status and error code. The code may end in `*` (any code with that beginning);
/// none means a body without `code`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Status of the answer.
    pub status: Status,
    /// Error code, a pattern ending in `*`, or none.
    pub code: Option<String>,
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum RawStatus {
            Number(u16),
            Text(String),
        }
        let (status, code) = <(RawStatus, Option<String>)>::deserialize(deserializer)?;
        let status = match status {
            RawStatus::Number(number) if (400..600).contains(&number) => Status::Exact(number),
            RawStatus::Text(text) if text == "4xx" => Status::AnyRefusal,
            RawStatus::Number(number) => return Err(de::Error::custom(format!("{number} is no error status; write 400 to 599"))),
            RawStatus::Text(text) => return Err(de::Error::custom(format!("`{text}` is no status; write a number or 4xx"))),
        };
        Ok(Self { status, code })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

/// One entry of `x-guards`.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// The condition.
    pub kind: GuardKind,
    /// Applies only then; always when absent.
    pub when: Option<When>,
    /// The answer when it is broken; the kind's default when absent (filled in by the loader).
    pub refusal: Option<Refusal>,
    /// First version that has it.
    pub since: Option<Version>,
    /// First version that no longer has it.
    pub until: Option<Version>,
    /// What a refusal does to hidden state.
    pub on_refusal: Vec<RefusalEffect>,
    /// Whether the guard is shared by the whole collection (set by the loader).
    pub shared: bool,
}

impl Guard {
    /// The answer when this guard is broken. The loader has filled in the defaults, so there always is one.
    pub fn refusal(&self) -> &Refusal {
        self.refusal.as_ref().expect("the loader fills in the default refusal")
    }

    /// What a schema is put to, what it is for, and when: several schemas may look at one value.
    fn fits_label(&self, rule: &FitsRule) -> String {
        let subject = rule.value.as_ref().map_or_else(|| rule.settings.clone().unwrap_or_default(), ToString::to_string);
        let code = self.refusal.as_ref().and_then(|refusal| refusal.code.as_deref()?.rsplit('.').next());
        let keys: Vec<String> = match self.when.as_ref().and_then(|when| when.body.as_ref()) {
            Some(BodyShape::Has(key)) => vec![key.clone()],
            Some(BodyShape::Keys(keys)) => keys.iter().map(|(key, shape)| format!("{key} {shape}")).collect(),
            None => Vec::new(),
        };
        let words = [Some(subject), code.map(str::to_owned), (!keys.is_empty()).then(|| format!("with {}", keys.join(" and ")))];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// A short name for people: the kind and its argument.
    pub fn label(&self) -> String {
        let argument = match &self.kind {
            GuardKind::Scope(name) | GuardKind::HasKey(name) => name.clone(),
            GuardKind::Unique(rule) => rule.property().to_owned(),
            GuardKind::Field(rule) | GuardKind::FieldReadable(rule) => match rule {
                FieldRule::One(name) => name.clone(),
                FieldRule::Each { each } => each.join(","),
                FieldRule::FirstSet { first_set } => first_set.join("??"),
            },
            GuardKind::Authorization(rule) => match rule {
                AuthorizationRule::Present => "present".into(),
                AuthorizationRule::Bearer => "bearer".into(),
                AuthorizationRule::UserToken => "user-token".into(),
                AuthorizationRule::ManagementToken => "management-token".into(),
            },
            GuardKind::LastIdentifier(rule) => rule.without.clone(),
            GuardKind::UsernamePolicy(value)
            | GuardKind::PasswordPolicy(value)
            | GuardKind::NewPassword(value)
            | GuardKind::PasswordMatches(value)
            | GuardKind::UserPassword(value)
            | GuardKind::HasIdentity(value)
            | GuardKind::HasSsoIdentity(value)
            | GuardKind::PhoneValid(value)
            | GuardKind::LegacyDigest(value)
            | GuardKind::DistinctNames(value)
            | GuardKind::NotEmpty(value)
            | GuardKind::NotSelf(value)
            | GuardKind::ResourceKnown(value)
            | GuardKind::CodeUsable(value)
            | GuardKind::ActorToken(value)
            | GuardKind::RefreshToken(value)
            | GuardKind::Distinct(value)
            | GuardKind::InFuture(value)
            | GuardKind::EmailDomain(value)
            | GuardKind::NoSubaddress(value)
            | GuardKind::EmailListed(value)
            | GuardKind::SendAllowed(value)
            | GuardKind::Channel(value)
            | GuardKind::CodePending(value)
            | GuardKind::CodeFresh(value)
            | GuardKind::TriesLeft(value)
            | GuardKind::SocialUnbound(value)
            | GuardKind::SocialNew(value)
            | GuardKind::SocialBound(value)
            | GuardKind::SocialToken(value)
            | GuardKind::Picture(value)
            | GuardKind::NotLocked(Owner::Value(value))
            | GuardKind::TotpSecret(value)
            | GuardKind::BackupCodes(value)
            | GuardKind::PolicyInformed(value)
            | GuardKind::SubjectToken(value) => value.to_string(),
            GuardKind::FactorOn(name) => name.to_string(),
            GuardKind::TotpCode(rule) => rule.code.to_string(),
            GuardKind::PasskeyProof(rule) => rule.proof.to_string(),
            GuardKind::CodeMatches(rule) => rule.code.to_string(),
            GuardKind::SocialTarget(rule) => rule.is.to_string(),
            GuardKind::SocialProof(rule) => rule.data.to_string(),
            GuardKind::MaxFile(rule) => rule.file.to_string(),
            GuardKind::OneOf(rule) => rule.value.to_string(),
            GuardKind::Client(rule) => match rule {
                ClientRule::Presented => "presented".into(),
                ClientRule::Known => "known".into(),
                ClientRule::Authenticated => "authenticated".into(),
                ClientRule::GrantAllowed => "grant-allowed".into(),
            },
            GuardKind::Exists(selector)
            | GuardKind::Absent(selector)
            | GuardKind::Is(selector)
            | GuardKind::TokenSetUsable(selector)
            | GuardKind::TokenSetRenewed(selector)
            | GuardKind::Belongs(selector)
            | GuardKind::Unexpired(selector) => selector.to_string(),
            GuardKind::Message(MessageRule::Allowed) => "allowed".into(),
            GuardKind::Message(MessageRule::Storable) => "storable".into(),
            GuardKind::Message(MessageRule::Connected) => "connected".into(),
            GuardKind::SentCode(rule) => match rule {
                SentCodeRule::Pending => "pending".into(),
                SentCodeRule::Fresh => "fresh".into(),
                SentCodeRule::TriesLeft => "tries-left".into(),
                SentCodeRule::Right => "right".into(),
            },
            GuardKind::Record(rule) => rule.id.to_string(),
            GuardKind::Fits(rule) => self.fits_label(rule),
            GuardKind::Ordered(values) => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            GuardKind::IdentityFree(rule) => rule.id.to_string(),
            GuardKind::ConnectorAccepts(answer) => answer.data.to_string(),
            _ => String::new(),
        };
        if argument.is_empty() { self.kind.name().to_owned() } else { format!("{}({argument})", self.kind.name()) }
    }
}

impl<'de> Deserialize<'de> for Guard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Guard;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a guard entry: one kind with its argument, optionally when, else, since, until, on-refusal")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Guard, A::Error> {
                let mut kind: Option<GuardKind> = None;
                let (mut when, mut refusal, mut since, mut until, mut on_refusal) = (None, None, None, None, Vec::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "when" => when = Some(map.next_value()?),
                        "else" => refusal = Some(map.next_value()?),
                        "since" => since = Some(map.next_value()?),
                        "until" => until = Some(map.next_value()?),
                        "on-refusal" => on_refusal = map.next_value()?,
                        other => match GuardKind::read(other, &mut map)? {
                            Some(_) if kind.is_some() => {
                                return Err(de::Error::custom(format!(
                                    "`{other}` is a second kind in one entry; write one entry per kind"
                                )));
                            }
                            Some(found) => kind = Some(found),
                            None => {
                                let known = GuardKind::NAMES.join(", ");
                                return Err(de::Error::custom(format!("unknown guard kind `{other}`, expected one of {known}")));
                            }
                        },
                    }
                }
                let kind = kind.ok_or_else(|| de::Error::custom("an entry needs a guard kind, for example `scope: profile`"))?;
                Ok(Guard { kind, when, refusal, since, until, on_refusal, shared: false })
            }
        }
        deserializer.deserialize_map(EntryVisitor)
    }
}
