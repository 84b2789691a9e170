//! What a deployment remembers: entities with properties that may be known, unknown or only bounded.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde_json::Value;

pub use crate::contract::entity::{ACCOUNT_CENTER, SIGN_IN_EXPERIENCE};
pub use crate::contract::{Fresh, Kind};

/// Names one entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Kind.
    pub kind: Kind,
    /// Id, or the text of a token.
    pub id: String,
}

impl Key {
    /// Names an entity.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// An entity whose real id only the answer tells; no other one of the state has this key.
    pub fn unborn(kind: Kind, state: &State) -> Self {
        (1..=u32::MAX).map(|number| Self::new(kind, format!("?{number}"))).find(|key| state.get(key).is_none()).expect("numbers do not end")
    }

    /// Whether the real id is not known yet.
    pub fn is_unborn(&self) -> bool {
        self.id.starts_with('?')
    }

    /// The account-center settings.
    pub fn account_center() -> Self {
        Self::new(Kind::Settings, ACCOUNT_CENTER)
    }

    /// Who signed in with a password since the last authorization code was redeemed (`users`).
    pub fn pending_sign_ins() -> Self {
        Self::new(Kind::Settings, "pending-sign-ins")
    }

    /// The tenant, as the owner of what nobody else owns.
    pub fn tenant() -> Self {
        Self::new(Kind::Settings, "tenant")
    }

    /// The sign-in experience.
    pub fn sign_in_experience() -> Self {
        Self::new(Kind::Settings, SIGN_IN_EXPERIENCE)
    }
}

/// What is known of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// Exactly this value.
    Known(Value),
    /// Nothing.
    Unknown,
    /// A number that is at least this.
    AtLeast(f64),
    /// Made up by the deployment.
    Fresh(Fresh),
}

impl Term {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&Value> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

impl From<Value> for Term {
    fn from(value: Value) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Term {
    fn from(text: &str) -> Self {
        Self::Known(text.into())
    }
}

impl From<bool> for Term {
    fn from(flag: bool) -> Self {
        Self::Known(flag.into())
    }
}

/// Three-valued truth, and the case that time alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Holds.
    Yes,
    /// Does not hold.
    No,
    /// Cannot be told from what was seen.
    Unknown,
    /// A limit in time is so near that both answers are right.
    Near,
}

impl Truth {
    /// From a definite answer.
    pub const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// From an answer that may be missing.
    pub const fn maybe(holds: Option<bool>) -> Self {
        match holds {
            Some(holds) => Self::of(holds),
            None => Self::Unknown,
        }
    }

    /// Both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Near, _) | (_, Self::Near) => Self::Near,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// At least one holds.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    /// The opposite.
    #[must_use]
    pub const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            open => open,
        }
    }
}

/// One thing a deployment remembers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entity {
    properties: BTreeMap<String, Term>,
}

/// Property that says that everything belonging to the entity is known; with `:kind`, everything of that kind.
pub const KNOWS_ALL: &str = "all";

/// Property of what is in doubt.
const DOUBTED: &str = "doubted";

static UNKNOWN: Term = Term::Unknown;

impl Entity {
    /// An entity whose properties are exactly these.
    pub fn from_json(value: &Value) -> Self {
        let properties = value.as_object().into_iter().flatten();
        Self { properties: properties.map(|(name, value)| (name.clone(), Term::Known(value.clone()))).collect() }
    }

    /// What is known of a property.
    pub fn get(&self, name: &str) -> &Term {
        self.properties.get(name).unwrap_or(&UNKNOWN)
    }

    /// The value of a property, if known.
    pub fn known(&self, name: &str) -> Option<&Value> {
        self.get(name).known()
    }

    /// The text of a property: `Some(None)` when it is known to be null.
    pub fn text(&self, name: &str) -> Option<Option<&str>> {
        self.known(name).map(Value::as_str)
    }

    /// A flag, if known.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.known(name).and_then(Value::as_bool)
    }

    /// Sets a property.
    pub fn set(&mut self, name: impl Into<String>, term: impl Into<Term>) {
        self.properties.insert(name.into(), term.into());
    }

    /// Sets a property, in a chain.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, term: impl Into<Term>) -> Self {
        self.set(name, term);
        self
    }

    /// All properties.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Term)> {
        self.properties.iter().map(|(name, term)| (name.as_str(), term))
    }

    /// Whether it is still there; what the model remembers of a removed entity does not count.
    pub fn exists(&self) -> bool {
        self.flag("removed") != Some(true)
    }

    /// Forgets every property.
    pub fn forget_all(&mut self) {
        for term in self.properties.values_mut() {
            *term = Term::Unknown;
        }
    }

    /// Forgets every property after an answer that nothing explains: each may be anything now.
    pub fn doubt(&mut self) {
        self.forget_all();
        self.set(DOUBTED, true);
    }

    /// Whether a property fits. What was never heard of does not, what is in doubt may.
    pub fn may(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Truth {
        match self.known(name) {
            Some(value) => Truth::of(fits(value)),
            None if self.flag(DOUBTED) == Some(true) => Truth::Unknown,
            None => Truth::No,
        }
    }
}

/// The entities of one kind by their ids.
type Shelf = RedBlackTreeMapSync<String, Arc<Entity>>;

/// Everything that is known of a deployment. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Shared between states as far as they are alike: states are copied for every alternative of every call.
    shelves: RedBlackTreeMapSync<Kind, Arc<Shelf>>,
    closed: bool,
    whole: bool,
}

impl State {
    /// Nothing yet, but whatever is not known of does not exist. Otherwise applications may have been there before.
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// Nothing yet, and all there ever is will be known: the state of a deployment itself.
    pub fn whole() -> Self {
        Self { closed: true, whole: true, ..Self::default() }
    }

    /// Whether everything the deployment has is known, nobody else's things left out.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether what is not known of does not exist.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The entity, if it exists as far as is known.
    pub fn get(&self, key: &Key) -> Option<&Entity> {
        self.find(key.kind, &key.id)
    }

    /// Looks an entity up by kind and id.
    pub fn find(&self, kind: Kind, id: &str) -> Option<&Entity> {
        self.shelves.get(&kind)?.get(id).map(Arc::as_ref)
    }

    /// The entities of a kind, to be changed.
    fn shelf(&mut self, kind: Kind) -> &mut Shelf {
        if !self.shelves.contains_key(&kind) {
            self.shelves.insert_mut(kind, Arc::default());
        }
        Arc::make_mut(self.shelves.get_mut(&kind).expect("just put there"))
    }

    /// All entities, in the order of their keys.
    fn entities(&self) -> impl Iterator<Item = (Kind, &str, &Entity)> {
        self.shelves.iter().flat_map(|(kind, shelf)| shelf.iter().map(|(id, entity)| (*kind, id.as_str(), entity.as_ref())))
    }

    /// Adds or replaces an entity.
    pub fn insert(&mut self, key: Key, entity: Entity) {
        self.shelf(key.kind).insert_mut(key.id, Arc::new(entity));
    }

    /// Removes an entity.
    pub fn remove(&mut self, key: &Key) -> Option<Entity> {
        let removed = self.get(key)?.clone();
        self.shelf(key.kind).remove_mut(&key.id);
        // States that know the same are equal.
        if self.all(key.kind).next().is_none() {
            self.shelves.remove_mut(&key.kind);
        }
        Some(removed)
    }

    /// Gives an entity, and what belongs to it, the id by which it is known from now on.
    pub fn rename(&mut self, old: &Key, id: &str) -> Key {
        let new = Key::new(old.kind, id);
        if let Some(entity) = self.remove(old) {
            self.insert(new.clone(), entity);
        }
        let (part, reference) = (format!("{}/", old.id), old.kind.reference());
        let owned = |entity: &Entity| entity.text("owner") == Some(Some(&old.id));
        let named = |shelf: &Shelf| {
            let range = shelf.range::<str, _>((Bound::Included(part.as_str()), Bound::Unbounded));
            let parts = range.take_while(|(id, _)| id.starts_with(&part)).filter(|(_, entity)| owned(entity));
            parts.map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        let parts: Vec<Key> =
            self.shelves.iter().flat_map(|(kind, shelf)| named(shelf).into_iter().map(|id| Key::new(*kind, id))).collect();
        for key in parts {
            if let Some(entity) = self.remove(&key) {
                let id = format!("{id}/{}", &key.id[part.len()..]);
                let known = entity.known(&reference).is_some();
                let entity = entity.with("owner", new.id.as_str());
                self.insert(Key::new(key.kind, id), if known { entity.with(reference.clone(), new.id.as_str()) } else { entity });
            }
        }
        new
    }

    /// Changes an entity, if it exists.
    pub fn update(&mut self, key: &Key, change: impl FnOnce(&mut Entity)) {
        if self.get(key).is_none() {
            return;
        }
        if let Some(entity) = self.shelf(key.kind).get_mut(&key.id) {
            change(Arc::make_mut(entity));
        }
    }

    /// All entities of a kind with their ids.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&str, &Entity)> {
        self.shelves.get(&kind).into_iter().flat_map(|shelf| shelf.iter().map(|(id, entity)| (id.as_str(), entity.as_ref())))
    }

    /// Changes every entity of a kind for which `which` holds.
    pub fn update_all(&mut self, kind: Kind, which: impl Fn(&Entity) -> bool, change: impl Fn(&mut Entity)) {
        let chosen = self.all(kind).filter(|(_, entity)| which(entity)).map(|(id, _)| Key::new(kind, id));
        for key in chosen.collect::<Vec<_>>() {
            self.update(&key, &change);
        }
    }

    /// Whether all entities of a kind are known, or all that belong to an owner.
    pub fn knows_all(&self, kind: Kind, owner: Option<&Key>) -> bool {
        let told = |entity: &Entity| entity.flag(&format!("{KNOWS_ALL}:{kind}")).or(entity.flag(KNOWS_ALL)) == Some(true);
        // Of what several things own together, the first one knows.
        let proper = |owner: &Key| owner.id.split_once('/').map(|(first, _)| Key::new(owner.kind, first));
        let tenant = Key::tenant();
        self.closed
            || self.whole
            || Some(owner.unwrap_or(&tenant)).and_then(|owner| self.get(owner).or_else(|| self.get(&proper(owner)?))).is_some_and(told)
    }

    /// Remembers that all entities of a kind that belong to an owner are known.
    pub fn told_all(&mut self, kind: Kind, owner: &Key) {
        if owner.kind == Kind::Settings && self.get(owner).is_none() {
            self.insert(owner.clone(), Entity::default());
        }
        self.update(owner, |entity| entity.set(format!("{KNOWS_ALL}:{kind}"), true));
    }

    /// Removes an entity with everything that belongs to it or refers to it. Grants outlive their user. An application
    /// leaves a trace: tokens that were issued to it go on, as those of a third party.
    pub fn delete(&mut self, key: &Key) {
        let removed = self.remove(key);
        if let (Kind::ApplicationSecret, Some(secret)) = (key.kind, &removed) {
            self.forget_secret(secret);
        }
        let reference = if key.kind == Kind::OrganizationScope { Kind::Scope.reference() } else { key.kind.reference() };
        let tied = |entity: &Entity| {
            [entity.text("owner"), entity.text(&reference)].contains(&Some(Some(&key.id)))
                || key.kind == Kind::OrganizationMember && removed.as_ref().is_some_and(|member| rests_on(entity, member))
        };
        let stays = |kind: &Kind| matches!(kind, Kind::User | Kind::Token | Kind::Record | Kind::Grant);
        let goes = self.shelves.keys().filter(|kind| !stays(kind)).flat_map(|kind| self.all(*kind).map(|(id, entity)| (*kind, id, entity)));
        let doomed: Vec<Key> = goes.filter(|(.., entity)| tied(entity)).map(|(kind, id, _)| Key::new(kind, id)).collect();
        for other in doomed {
            self.delete(&other);
        }
        if key.kind == Kind::User {
            self.orphan_grants(&key.id);
            self.kill_tokens(&key.id);
        }
        if key.kind == Kind::Application {
            self.insert(key.clone(), Entity::default().with("isThirdParty", true).with("removed", true));
        }
    }

    /// Nothing is promised about the grants of a user who is gone.
    fn orphan_grants(&mut self, user: &str) {
        if !self.whole {
            let own = |grant: &Entity| grant.text("owner") == Some(Some(user));
            self.update_all(Kind::Grant, own, |grant| {
                grant.forget_all();
                grant.set("owner", user);
            });
        }
    }

    /// An application whose removed secret was the one seen in use has others, if any.
    fn forget_secret(&mut self, secret: &Entity) {
        let (Some(Some(owner)), Some(value)) = (secret.text("owner"), secret.known("value")) else { return };
        self.update(&Key::new(Kind::Application, owner), |application| {
            if application.known("clientSecret") == Some(value) {
                application.set("clientSecret", Term::Unknown);
            }
        });
    }

    /// Kills what acts for a user: access tokens at once, subject tokens by the user's absence or suspension.
    pub fn kill_tokens(&mut self, user: &str) {
        let acts = |token: &Entity| token.text("user") == Some(Some(user)) && token.text("use") == Some(Some("account"));
        self.update_all(Kind::Token, acts, |token| token.set("alive", false));
    }

    /// Whether a user's access tokens are still alive is no longer known.
    pub fn doubt_tokens(&mut self, user: &str) {
        let acts = |token: &Entity| {
            token.text("user") == Some(Some(user)) && token.text("use") == Some(Some("account")) && token.flag("alive") == Some(true)
        };
        self.update_all(Kind::Token, acts, |token| token.set("alive", Term::Unknown));
    }

    /// Keys of entities that are new here or differ from another state.
    pub fn changed_since(&self, before: &Self) -> Vec<Key> {
        let mut changed = Vec::new();
        for (kind, shelf) in &self.shelves {
            let old = before.shelves.get(kind);
            if old.is_some_and(|old| Arc::ptr_eq(old, shelf)) {
                continue;
            }
            let mut old = old.into_iter().flat_map(|old| old.iter()).peekable();
            for (id, entity) in shelf.iter() {
                while old.next_if(|(other, _)| *other < id).is_some() {}
                if !old.next_if(|(other, _)| *other == id).is_some_and(|(_, old)| Arc::ptr_eq(old, entity)) {
                    changed.push(Key::new(*kind, id));
                }
            }
        }
        changed
    }

    /// Repeats here what changed from one state to another, as a whole: what was written here meanwhile is lost.
    pub fn repeat(&mut self, before: &Self, after: &Self) {
        for key in after.changed_since(before) {
            if let Some(entity) = after.get(&key) {
                self.insert(key, entity.clone());
            }
        }
        for (kind, id, _) in before.entities() {
            if after.find(kind, id).is_none() {
                self.remove(&Key::new(kind, id));
            }
        }
    }

    /// The settings object; an empty one (all unknown) when it was never seen.
    pub fn settings(&self, key: &Key) -> &Entity {
        static NOTHING: Entity = Entity { properties: BTreeMap::new() };
        self.get(key).unwrap_or(&NOTHING)
    }

    /// Level of an account-center field: `Off`, `ReadOnly` or `Edit`; `None` when unknown. An absent key is `Off`.
    pub fn level(&self, field: &str) -> Option<&str> {
        let fields = self.settings(&Key::account_center()).known("fields")?;
        Some(fields.get(field).and_then(Value::as_str).unwrap_or("Off"))
    }

    /// Whether an account-center field has a level of its own; `None` when unknown.
    pub fn has_level(&self, field: &str) -> Option<bool> {
        let fields = self.settings(&Key::account_center()).known("fields")?;
        Some(fields.get(field).is_some())
    }
}

/// Whether something holds only while a user belongs to an organisation.
fn rests_on(entity: &Entity, member: &Entity) -> bool {
    ["organizationId", "userId"].iter().all(|name| member.known(name).is_some() && member.known(name) == entity.known(name))
}

/// The states a deployment may be in: more than one after a lost answer or a race.
#[derive(Debug, Clone, PartialEq)]
pub struct States(Vec<State>);

/// More states than this are never followed at once; past it the ones found last are dropped.
const MOST_STATES: usize = 64;

impl States {
    /// One certain state.
    pub fn certain(state: State) -> Self {
        Self(vec![state])
    }

    /// From alternatives; duplicates count once.
    ///
    /// # Panics
    /// When there is no alternative: a deployment always is in some state.
    pub fn any_of(alternatives: Vec<State>) -> Self {
        assert!(!alternatives.is_empty(), "a deployment always is in some state");
        let mut states: Vec<State> = Vec::new();
        for state in alternatives {
            if states.len() < MOST_STATES && !states.contains(&state) {
                states.push(state);
            }
        }
        Self(states)
    }

    /// The alternatives.
    pub fn iter(&self) -> impl Iterator<Item = &State> {
        self.0.iter()
    }

    /// The first alternative; the only one when nothing is open.
    pub fn first(&self) -> &State {
        self.0.first().expect("a deployment always is in some state")
    }

    /// Changes every alternative.
    pub fn each(&mut self, mut change: impl FnMut(&mut State)) {
        for state in &mut self.0 {
            change(state);
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
