//! Stories of identity providers: social accounts that are linked and unlinked, the tokens they bring, enterprise sign-in.

use serde_json::{Value, json};

use super::build::{Draft, Write};
use super::lives::{as_admin, as_user, open};
use super::script::{ALL_SCOPES, Client, Script, Traits, User, call_with};
use super::sequence::{Facts, Persona, Purpose, Through};
use crate::contract::{Contract, Source};

const WITH_PASSWORD: Traits = Traits { password: true, email: true };

/// Factory of the connector that takes what it is told; a tenant has at most one of it.
const MOCK: &str = "mock-social-connector";

/// All stories that the target has the means for.
pub fn providers<'a>(contract: &'a Contract, facts: &'a Facts) -> Vec<Draft<'a>> {
    let draft = |id: &str, alone: bool, write: Write<'a>| Draft { id: format!("providers/{id}"), need: open(), alone, write };
    let known = |ids: &[&str]| ids.iter().all(|id| contract.operation(id).is_some());
    let mut drafts = Vec::new();
    let social = known(&["CreateConnector", "CreateVerificationBySocial", "VerifyVerificationBySocial", "AddUserIdentities"]);
    if facts.has_provider && social {
        drafts.push(draft("accounts", false, Box::new(move |script| accounts(script, facts))));
        if facts.keeps_tokens {
            drafts.push(draft("tokens", false, Box::new(tokens)));
        }
    }
    if facts.has_provider && known(&["CreateSsoConnector", "GetUserSsoIdentity", "GetEnterpriseSsoIdentityAccessToken"]) {
        drafts.push(draft("enterprise", true, Box::new(move |script| enterprise(script, facts))));
    }
    let has_mock = facts.factories.iter().any(|factory| factory.get("id").is_some_and(|id| id == MOCK));
    if facts.may_change_settings && has_mock && known(&["CreateConnector", "CreateUserIdentity"]) {
        drafts.push(draft("told", true, Box::new(told)));
    }
    drafts
}

/// A connector to the harness's own provider: its id, and the name of the provider.
struct Connector {
    id: String,
    target: String,
}

fn by_admin(
    script: &mut Script<'_>,
    label: &str,
    operation: &str,
    target: String,
    body: Option<&Value>,
    capture: &[(&str, &str)],
) -> usize {
    let call = script.admin_call(operation, target, body);
    script.call(Persona::Admin, Purpose::Probe(label.to_owned()), call, capture);
    script.last()
}

/// Makes the connector that a case of the contract describes.
fn connector(script: &mut Script<'_>, case: &str) -> Option<Connector> {
    let mut body = script.contract().operation("CreateConnector")?.cases.get(case)?.body.clone()?;
    let target = script.username();
    body["metadata"] = json!({"target": target, "name": {"en": script.text()}});
    let symbol = script.symbol("connector");
    by_admin(script, "a connector", "CreateConnector", "/api/connectors".into(), Some(&body), &[(&symbol, "/id")]);
    Some(Connector { id: format!("{{{{{symbol}}}}}"), target })
}

/// Somebody with a token and a proof of identity.
struct Caller {
    user: User,
    token: String,
    record: String,
}

impl Caller {
    fn new(script: &mut Script<'_>) -> Self {
        let user = script.user(WITH_PASSWORD);
        Self { user, token: script.token(user, ALL_SCOPES, Client::First), record: script.record(user) }
    }

    /// A verified record of an account at the provider.
    fn proves(&self, script: &mut Script<'_>, connector: &Connector, account: &str, spent: bool) -> String {
        let (record, page) = (script.symbol("verification"), script.symbol("page"));
        let body = json!({"connectorId": connector.id, "state": "lc", "redirectUri": "https://example.com/back"});
        let call = self.call("CreateVerificationBySocial", "POST", "/api/verifications/social", Some(&body));
        let capture = [(record.as_str(), "/verificationRecordId"), (page.as_str(), "/authorizationUri")];
        script.call(Persona::User, Purpose::Probe("a proof of a social account begins".into()), call, &capture);
        let record = format!("{{{{{record}}}}}");
        let source = Source::Consent { page: format!("{{{{{page}}}}}"), record: record.clone(), account: account.to_owned(), spent };
        let data = script.obtain(Persona::User, source);
        let mut call = self.call("VerifyVerificationBySocial", "POST", "/api/verifications/social/verify", Some(&json!({})));
        // What the provider gave is JSON and stands in the body as it is.
        call.body = Some(format!("{{\"verificationRecordId\":\"{record}\",\"connectorData\":{data}}}"));
        script.call(Persona::User, Purpose::Probe("the provider's answer".into()), call, &[]);
        record
    }

    fn call(&self, operation: &str, method: &str, target: &str, body: Option<&Value>) -> super::sequence::Call {
        let mut call = call_with(operation, method.into(), target.to_owned(), &format!("Bearer {}", self.token), body);
        call.headers.push(("logto-verification-id".into(), self.record.clone()));
        call
    }

    fn does(&self, script: &mut Script<'_>, label: &str, call: super::sequence::Call) {
        script.call(Persona::User, Purpose::Probe(label.to_owned()), call, &[]);
        let of = script.last();
        script.look(self.user, of);
    }

    fn links(&self, script: &mut Script<'_>, label: &str, method: &str, record: &str) {
        let operation = if method == "POST" { "AddUserIdentities" } else { "ReplaceMyAccountIdentity" };
        let body = json!({"newIdentifierVerificationRecordId": record});
        let call = self.call(operation, method, "/api/my-account/identities", Some(&body));
        self.does(script, label, call);
    }

    fn unlinks(&self, script: &mut Script<'_>, label: &str, connector: &Connector) {
        let call = self.call("DeleteIdentity", "DELETE", &format!("/api/my-account/identities/{}", connector.target), None);
        self.does(script, label, call);
    }

    fn reads_token(&self, script: &mut Script<'_>, label: &str, connector: &Connector) {
        let target = format!("/api/my-account/identities/{}/access-token", connector.target);
        let call = self.call("GetSocialIdentityAccessToken", "GET", &target, None);
        script.call(Persona::User, Purpose::Probe(label.to_owned()), call, &[]);
    }
}

/// One account belongs to one user, one user has one account of a provider.
fn accounts(script: &mut Script<'_>, facts: &Facts) {
    let Some(connector) = connector(script, "provider") else { return };
    let (first, second) = (Caller::new(script), Caller::new(script));
    let (one, other) = (script.alphanumeric(), script.alphanumeric());
    let record = first.proves(script, &connector, &one, false);
    first.links(script, "a social account", "POST", &record);
    first.links(script, "the same once more", "POST", &record);
    let foreign = second.proves(script, &connector, &one, false);
    second.links(script, "an account that somebody else has", "POST", &foreign);
    second.links(script, "nor in place of another", "PUT", &foreign);
    let newer = first.proves(script, &connector, &other, false);
    first.links(script, "a second account of the provider", "POST", &newer);
    first.links(script, "another one in its place", "PUT", &newer);
    second.links(script, "the account is free now", "POST", &foreign);
    first.unlinks(script, "the account is given up", &connector);
    first.unlinks(script, "once only", &connector);
    let body = json!({"newIdentifierVerificationRecordId": record});
    let mut call = second.call("AddUserIdentities", "POST", "/api/my-account/identities", Some(&body));
    call.headers.retain(|(name, _)| name != "logto-verification-id");
    second.does(script, "without a proof of identity", call);
    as_admin(script, "all that are linked", "ListUserAllIdentities", second.user, None);
    let said = json!({"connectorId": connector.id, "connectorData": {"code": "lc", "userId": one}});
    as_admin(script, "a connector that needs a session", "CreateUserIdentity", second.user, Some(&said));
    if let Some(mail) = facts.connectors.iter().find(|known| known.get("type").is_some_and(|kind| kind == "Email")) {
        let said = json!({"connectorId": mail["id"], "connectorData": {"code": "lc", "userId": one}});
        as_admin(script, "a connector for mails", "CreateUserIdentity", second.user, Some(&said));
        let body = json!({"connectorId": mail["id"], "state": "lc", "redirectUri": "https://example.com/back"});
        let call = first.call("CreateVerificationBySocial", "POST", "/api/verifications/social", Some(&body));
        script.call(Persona::User, Purpose::Probe("a connector for mails".into()), call, &[]);
    }
}

/// What a provider's token is good for, and how long.
fn tokens(script: &mut Script<'_>) {
    let Some(connector) = connector(script, "keeping") else { return };
    let caller = Caller::new(script);
    let account = script.alphanumeric();
    let record = caller.proves(script, &connector, &account, false);
    caller.reads_token(script, "no token before the account is linked", &connector);
    caller.links(script, "an account with a token", "POST", &record);
    caller.reads_token(script, "the token", &connector);
    let target = format!("/api/users/{}/identities/{}?includeTokenSecret=true", caller.user.id(), connector.target);
    forgets_secret(script, "GetUserIdentity", &target);
    caller.reads_token(script, "no token once it was deleted", &connector);
    let spent = caller.proves(script, &connector, &account, true);
    let target = format!("/api/my-account/identities/{}/access-token", connector.target);
    let body = json!({"verificationRecordId": spent});
    let call = caller.call("UpdateSocialIdentityAccessTokenByVerificationId", "PUT", &target, Some(&body));
    script.call(Persona::User, Purpose::Probe("a token that has run out".into()), call, &[]);
    caller.reads_token(script, "it has run out and cannot be renewed", &connector);
    caller.reads_token(script, "and is forgotten", &connector);
    caller.unlinks(script, "the account is given up", &connector);
    caller.reads_token(script, "no token without the account", &connector);
}

/// The administrator finds stored tokens by the identity they belong to, and deletes them.
fn forgets_secret(script: &mut Script<'_>, reads: &str, target: &str) {
    let secret = script.symbol("secret");
    by_admin(script, "the tokens are there", reads, target.to_owned(), None, &[(&secret, "/tokenSecret/id")]);
    let path = format!("/api/secrets/{{{{{secret}}}}}");
    by_admin(script, "they are deleted", "DeleteSecret", path.clone(), None, &[]);
    by_admin(script, "once only", "DeleteSecret", path, None, &[]);
    by_admin(script, "none are told of any more", reads, target.to_owned(), None, &[]);
}

/// A user signs in at an enterprise provider and is known by that from then on.
fn enterprise(script: &mut Script<'_>, facts: &Facts) {
    let user = script.user(WITH_PASSWORD);
    let email = script.own_email(user);
    let allow = |script: &mut Script<'_>, label: &str, on: bool| {
        by_admin(script, label, "UpdateSignInExp", "/api/sign-in-exp".into(), Some(&json!({"singleSignOnEnabled": on})), &[]);
    };
    let was = facts.sign_in_experience.get("singleSignOnEnabled") == Some(&Value::Bool(true));
    allow(script, "enterprise sign-in", true);
    let symbol = script.symbol("connector");
    let config = json!({"clientId": "lc-enterprise", "clientSecret": "{{provider.secret}}", "issuer": "{{provider.url}}", "scope": "openid profile email offline_access"});
    let name = script.username();
    let body = json!({"providerName": "OIDC", "connectorName": name, "config": config, "enableTokenStorage": facts.keeps_tokens});
    by_admin(script, "an enterprise connector", "CreateSsoConnector", "/api/sso-connectors".into(), Some(&body), &[(&symbol, "/id")]);
    let connector = format!("{{{{{symbol}}}}}");
    let identity = format!("/api/users/{}/sso-identities/{connector}", user.id());
    by_admin(script, "nobody has signed in yet", "GetUserSsoIdentity", identity.clone(), None, &[]);
    let account = script.alphanumeric();
    let token = script.sign_in_through(user, Through { connector: connector.clone(), account, email });
    by_admin(script, "the identity of the sign-in", "GetUserSsoIdentity", identity.clone(), None, &[]);
    let shown = format!("/api/users/{}?includeSsoIdentities=true", user.id());
    by_admin(script, "among those of the user", "GetUser", shown, None, &[]);
    as_user(script, Persona::User, "the account by the token of the sign-in", "GetProfile", &token, None, None);
    let target = format!("/api/my-account/sso-identities/{connector}/access-token");
    let call = call_with("GetEnterpriseSsoIdentityAccessToken", "GET".into(), target, &format!("Bearer {token}"), None);
    script.call(Persona::User, Purpose::Probe("the provider's token".into()), call, &[]);
    if facts.keeps_tokens {
        forgets_secret(script, "GetUserSsoIdentity", &format!("{identity}?includeTokenSecret=true"));
    }
    by_admin(script, "the connector goes", "DeleteSsoConnector", format!("/api/sso-connectors/{connector}"), None, &[]);
    by_admin(script, "and with it the identity", "GetUserSsoIdentity", identity, None, &[]);
    allow(script, "enterprise sign-in as it was", was);
}

/// The administrator links what a connector is told, without a session.
fn told(script: &mut Script<'_>) {
    let (first, second) = (script.user(Traits::default()), script.user(Traits::default()));
    let symbol = script.symbol("connector");
    let body = json!({"connectorId": MOCK});
    by_admin(
        script,
        "a connector that takes what it is told",
        "CreateConnector",
        "/api/connectors".into(),
        Some(&body),
        &[(&symbol, "/id")],
    );
    by_admin(script, "a second one", "CreateConnector", "/api/connectors".into(), Some(&body), &[]);
    let account = script.alphanumeric();
    let said = json!({"connectorId": format!("{{{{{symbol}}}}}"), "connectorData": {"code": "lc", "userId": account}});
    let of = as_admin(script, "a social account", "CreateUserIdentity", first, Some(&said));
    script.look(first, of);
    let of = as_admin(script, "an account that somebody else has", "CreateUserIdentity", second, Some(&said));
    script.look(second, of);
    let nothing = json!({"connectorId": format!("{{{{{symbol}}}}}"), "connectorData": {}});
    let of = as_admin(script, "nothing said", "CreateUserIdentity", second, Some(&nothing));
    script.look(second, of);
    by_admin(script, "the connector goes", "DeleteConnector", format!("/api/connectors/{{{{{symbol}}}}}"), None, &[]);
}
