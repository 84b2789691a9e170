//! Stories of what ends with what: sessions, grants, one-time tokens.

use serde_json::{Value, json};

use super::script::{ALL_SCOPES, Client, Script, Traits, User, call_with};
use super::sequence::{Call, Persona, Purpose};

const WITH_PASSWORD: Traits = Traits { password: true, email: true };

/// One call of a story.
struct Act<'a> {
    label: &'a str,
    operation: &'a str,
    /// Values of the path's parameters in order.
    path: &'a [&'a str],
    query: &'a str,
    body: Option<Value>,
}

impl<'a> Act<'a> {
    const fn new(label: &'a str, operation: &'a str, path: &'a [&'a str]) -> Self {
        Self { label, operation, path, query: "", body: None }
    }

    fn asking(self, query: &'a str) -> Self {
        Self { query, ..self }
    }

    fn saying(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The call with a credential; `None` when the contract has no such operation.
    fn call(&self, script: &Script<'_>, authorization: &str) -> Option<Call> {
        let operation = script.contract().operation(self.operation)?;
        let mut values = self.path.iter();
        let segments =
            operation.path.split('/').map(|part| if part.starts_with('{') { values.next().copied().unwrap_or(part) } else { part });
        let mut target = segments.collect::<Vec<_>>().join("/");
        if !self.query.is_empty() {
            target = format!("{target}?{}", self.query);
        }
        Some(call_with(self.operation, operation.method.clone(), target, authorization, self.body.as_ref()))
    }
}

/// A user with a token and a proof of identity.
#[derive(Clone)]
struct Caller {
    persona: Persona,
    token: String,
    record: String,
}

impl Caller {
    fn new(persona: Persona, token: String, record: &str) -> Self {
        Self { persona, token, record: record.to_owned() }
    }

    fn does(&self, script: &mut Script<'_>, act: &Act<'_>, capture: &[(&str, &str)]) {
        let Some(mut call) = act.call(script, &format!("Bearer {}", self.token)) else { return };
        call.headers.push(("logto-verification-id".into(), self.record.clone()));
        script.call(self.persona, Purpose::Probe(act.label.into()), call, capture);
    }

    /// Whether the token still opens the account.
    fn looks(&self, script: &mut Script<'_>, label: &str) {
        self.does(script, &Act::new(label, "GetProfile", &[]), &[]);
    }

    /// The same with a token that should be dead.
    fn is_dead(&self, script: &mut Script<'_>, label: &str) {
        Self { persona: Persona::DeadToken, ..self.clone() }.looks(script, label);
    }
}

fn admin(script: &mut Script<'_>, act: &Act<'_>, capture: &[(&str, &str)]) {
    if let Some(call) = act.call(script, "Bearer {{admin.token}}") {
        script.call(Persona::Admin, Purpose::Probe(act.label.into()), call, capture);
    }
}

fn suspend(script: &mut Script<'_>, user: User, suspended: bool) {
    let id = user.id();
    let path = [id.as_str()];
    let act = Act::new(if suspended { "suspend" } else { "restore" }, "UpdateUserIsSuspended", &path);
    admin(script, &act.saying(json!({"isSuspended": suspended})), &[]);
}

fn symbol(script: &mut Script<'_>, kind: &str) -> (String, String) {
    let name = script.symbol(kind);
    let spoken = format!("{{{{{name}}}}}");
    (name, spoken)
}

const FIRST_SESSION: &str = "/sessions/0/payload/uid";
const FIRST_GRANT: &str = "/grants/0/id";

/// Sessions of several sign-ins end one after the other, with their grants or without.
pub fn sessions(script: &mut Script<'_>) {
    let (user, other) = (script.user(WITH_PASSWORD), script.user(WITH_PASSWORD));
    let (id, other_id) = (user.id(), other.id());
    let record = script.record(user);
    let lasting = format!("{ALL_SCOPES} offline_access");
    let exchanged = Caller::new(Persona::User, script.token(user, ALL_SCOPES, Client::First), &record);
    let stranger = Caller::new(Persona::OtherUser, script.token(other, ALL_SCOPES, Client::First), &script.record(other));
    let sign_in = |script: &mut Script<'_>, scopes: &str| {
        Caller::new(Persona::User, script.fresh_token(user, scopes, Client::FirstBySignIn), &record)
    };

    let first = sign_in(script, ALL_SCOPES);
    let (name, session) = symbol(script, "session");
    first.does(script, &Act::new("the only session is the current one", "GetSessions", &[]), &[(&name, FIRST_SESSION)]);
    let second = sign_in(script, &lasting);
    second.does(script, &Act::new("one of two sessions is the current one", "GetSessions", &[]), &[]);
    exchanged.does(script, &Act::new("an exchanged token came from none", "GetSessions", &[]), &[]);
    admin(script, &Act::new("the administrator sees both", "ListUserSessions", &[&id]), &[]);
    admin(script, &Act::new("one of them", "GetUserSession", &[&id, &session]), &[]);
    stranger.does(script, &Act::new("another user's session stays", "DeleteSessionById", &[&session]), &[]);
    admin(script, &Act::new("it is not another user's", "GetUserSession", &[&other_id, &session]), &[]);
    admin(script, &Act::new("nor ended as another user's", "DeleteUserSession", &[&other_id, &session]), &[]);
    second.does(script, &Act::new("the older session ends", "DeleteSessionById", &[&session]), &[]);
    first.is_dead(script, "token without offline_access of an ended session");
    second.does(script, &Act::new("it has ended", "DeleteSessionById", &[&session]), &[]);

    let (name, session) = symbol(script, "session");
    admin(script, &Act::new("the newer one is left", "ListUserSessions", &[&id]), &[(&name, FIRST_SESSION)]);
    admin(script, &Act::new("the administrator ends it", "DeleteUserSession", &[&id, &session]), &[]);
    second.looks(script, "a token with offline_access outlives its session");
    second.does(script, &Act::new("no session is the current one", "GetSessions", &[]), &[]);
    let third = sign_in(script, &lasting);
    let (name, session) = symbol(script, "session");
    second.does(script, &Act::new("the session of another token", "GetSessions", &[]), &[(&name, FIRST_SESSION)]);
    let whole = [session.as_str()];
    let act = Act::new("a session ends with its grants", "DeleteSessionById", &whole).asking("revokeGrantsTarget=all");
    exchanged.does(script, &act, &[]);
    third.is_dead(script, "token of an ended grant");
    second.looks(script, "other grants live on");
    foreign_session(script, user, &record, &lasting);

    let last = sign_in(script, &lasting);
    suspend(script, user, true);
    admin(script, &Act::new("a suspended user has no session", "ListUserSessions", &[&id]), &[]);
    admin(script, &Act::new("but still grants", "ListUserGrants", &[&id]), &[]);
    suspend(script, user, false);
    admin(script, &Act::new("restoring brings no session back", "ListUserSessions", &[&id]), &[]);
    last.is_dead(script, "token of a user who was suspended");
}

/// The session of a sign-in at a third-party application.
fn foreign_session(script: &mut Script<'_>, user: User, record: &str, scopes: &str) {
    let id = user.id();
    let third = Caller::new(Persona::ThirdPartyUser, script.fresh_token(user, scopes, Client::Third), record);
    let (name, session) = symbol(script, "session");
    third.does(script, &Act::new("a third-party application sees its session", "GetSessions", &[]), &[(&name, FIRST_SESSION)]);
    third.does(script, &Act::new("and cannot end it", "DeleteSessionById", &[&session]), &[]);
    third.does(script, &Act::new("it sees its grant", "GetGrants", &[]).asking("appType=thirdParty"), &[]);
    let path = [id.as_str(), session.as_str()];
    let keeping = Act::new("a session ends with first-party grants", "DeleteUserSession", &path);
    admin(script, &keeping.asking("revokeGrantsTarget=firstParty"), &[]);
    third.looks(script, "a third-party grant lives on");
}

/// Grants of token exchanges end one after the other.
pub fn grants(script: &mut Script<'_>) {
    let (user, other) = (script.user(WITH_PASSWORD), script.user(WITH_PASSWORD));
    let (id, other_id) = (user.id(), other.id());
    let record = script.record(user);
    let first = Caller::new(Persona::User, script.token(user, ALL_SCOPES, Client::First), &record);
    let stranger = Caller::new(Persona::OtherUser, script.token(other, ALL_SCOPES, Client::First), &script.record(other));

    let (name, grant) = symbol(script, "grant");
    first.does(script, &Act::new("the only grant", "GetGrants", &[]), &[(&name, FIRST_GRANT)]);
    first.does(script, &Act::new("no third-party grant", "GetGrants", &[]).asking("appType=thirdParty"), &[]);
    stranger.does(script, &Act::new("another user's grant stays", "DeleteGrantById", &[&grant]), &[]);
    admin(script, &Act::new("it is not ended as another user's", "DeleteUserGrant", &[&other_id, &grant]), &[]);
    let second = Caller::new(Persona::User, script.fresh_token(user, ALL_SCOPES, Client::First), &record);
    second.does(script, &Act::new("a second grant", "GetGrants", &[]).asking("appType=firstParty"), &[]);
    second.does(script, &Act::new("the older grant ends", "DeleteGrantById", &[&grant]), &[]);
    first.is_dead(script, "token of an ended grant");
    second.looks(script, "the other grant lives on");
    second.does(script, &Act::new("it has ended", "DeleteGrantById", &[&grant]), &[]);

    let (name, grant) = symbol(script, "grant");
    admin(script, &Act::new("the newer one is left", "ListUserGrants", &[&id]), &[(&name, FIRST_GRANT)]);
    admin(script, &Act::new("the administrator ends it", "DeleteUserGrant", &[&id, &grant]), &[]);
    second.is_dead(script, "token of a grant that the administrator ended");
    admin(script, &Act::new("no grant is left", "ListUserGrants", &[&id]), &[]);
    admin(script, &Act::new("it has ended", "DeleteUserGrant", &[&id, &grant]), &[]);
    let third = Caller::new(Persona::User, script.fresh_token(user, ALL_SCOPES, Client::First), &record);
    third.looks(script, "a new grant is good");
}

/// One-time tokens are used up, revoked and deleted.
pub fn one_time_tokens(script: &mut Script<'_>) {
    let email = script.email();
    let make = |script: &mut Script<'_>| {
        let ((id_name, id), (secret_name, secret)) = (symbol(script, "one-time-token"), symbol(script, "secret"));
        let act = Act::new("a token for an address", "AddOneTimeTokens", &[]).saying(json!({"email": email}));
        admin(script, &act, &[(&id_name, "/id"), (&secret_name, "/token")]);
        (id, secret)
    };
    let check = |label: &str, script: &mut Script<'_>, secret: &str, email: &str| {
        let act = Act::new(label, "VerifyOneTimeToken", &[]).saying(json!({"token": secret, "email": email}));
        admin(script, &act, &[]);
    };
    let ((one, one_secret), (two, two_secret)) = (make(script), make(script));
    let query = format!("email={email}");
    let list = |label: &str, script: &mut Script<'_>, more: &str| {
        admin(script, &Act::new(label, "ListOneTimeTokens", &[]).asking(&format!("{query}{more}")), &[]);
    };
    list("both tokens of the address", script, "");
    check("letters of another case are another address", script, &one_secret, &email.replace("@example.com", "@EXAMPLE.COM"));
    check("the right address", script, &one_secret, &email);
    check("a token is good once", script, &one_secret, &email);
    for status in ["active", "consumed", "revoked", "expired"] {
        list(&format!("those that are {status}"), script, &format!("&status={status}"));
    }
    let status = |label: &str, script: &mut Script<'_>, id: &str, status: &str| {
        admin(script, &Act::new(label, "ReplaceOneTimeTokenStatus", &[id]).saying(json!({"status": status})), &[]);
    };
    status("a used token cannot be brought back", script, &one, "active");
    status("but be revoked", script, &one, "revoked");
    check("a revoked token", script, &one_secret, &email);
    status("and be called expired", script, &one, "expired");
    check("an expired token", script, &one_secret, &email);
    check("the other token is untouched", script, &two_secret, &email.replace("lc_", "LC_"));
    admin(script, &Act::new("the other token goes", "DeleteOneTimeToken", &[&two]), &[]);
    check("a deleted token", script, &two_secret, &email);
    list("one is left", script, "");
    list("on a page of one", script, "&page=1&page_size=1");
}
