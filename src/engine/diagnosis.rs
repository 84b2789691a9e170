//! What stands in the way of a run, found out by reading only.

use serde_json::Value;

use super::facts::{detect_version, read_facts};
use super::run::{RunOptions, gate_of};
use super::stage::get;
use crate::contract::{Contract, MessageKind, Need};
use crate::model::wire::Request;
use crate::plan::{Facts, Plan, Profile, build, build_harmless};
use crate::target::{Clearance, Gate, Lease, LeaseError, Mode, SendError};

/// How far the target's clock may be off before expiry is judged wrongly, in milliseconds.
const SKEW: i64 = 30_000;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Good,
    /// A run is possible and tests less, or less reliably.
    Limited,
    /// No run is possible.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Symptom {
    /// What was looked at.
    pub about: &'static str,
    /// How well it is.
    pub health: Health,
    /// What was seen.
    pub seen: String,
    /// What can be done, unless it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What can be tested in a mode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reach {
    /// The mode.
    pub mode: Mode,
    /// Operations that its plan calls, of those specified.
    pub operations: usize,
    /// Operations specified.
    pub specified: usize,
    /// Requests of the plan of the profile `quick`.
    pub requests: usize,
}

/// Why a run would bring no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The target does not answer, or refuses the credentials.
    Unreachable,
    /// Another run is in the way.
    Occupied,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default)]
pub struct Diagnosis {
    /// In the order in which it was looked at; ends at the first that makes the rest impossible.
    pub symptoms: Vec<Symptom>,
    /// What can be tested in each mode.
    pub reach: Vec<Reach>,
    /// Why a run in the mode asked for would bring no verdict.
    pub obstacle: Option<Obstacle>,
}

impl Diagnosis {
    fn good(&mut self, about: &'static str, seen: impl Into<String>) {
        self.symptoms.push(Symptom { about, health: Health::Good, seen: seen.into(), remedy: None });
    }

    fn limited(&mut self, about: &'static str, seen: impl Into<String>, remedy: impl Into<String>) {
        self.symptoms.push(Symptom { about, health: Health::Limited, seen: seen.into(), remedy: Some(remedy.into()) });
    }

    fn bad(mut self, about: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.symptoms.push(Symptom { about, health: Health::Bad, seen: seen.into(), remedy: Some(remedy.into()) });
        self.obstacle = Some(Obstacle::Unreachable);
        self
    }
}

/// Looks at a target. Whatever the mode of the options, nothing is written.
pub async fn diagnose(options: &RunOptions) -> Diagnosis {
    let wanted = options.mode;
    let options = RunOptions { mode: Mode::ReadOnly, provider: None, ledger: None, ..options.clone() };
    let mut diagnosis = Diagnosis::default();
    let gate = match gate_of(&options) {
        Ok(gate) => gate,
        Err(error) => return diagnosis.bad("settings", error.to_string(), "correct the settings of the target"),
    };
    if let Err((about, seen, remedy)) = reach(&gate, &options, &mut diagnosis).await {
        return diagnosis.bad(about, seen, remedy);
    }
    let admin = match options.credentials.mint_admin(&gate, Some("all")).await {
        Ok(token) => token.access_token,
        Err(error) => {
            let text = error.to_string();
            let (seen, remedy) = text.split_once("; ").unwrap_or((&text, "compare the credentials with the deployment's Console"));
            return diagnosis.bad("admin token", seen, remedy);
        }
    };
    diagnosis.good("admin token", "client credentials bring a token of scope `all`");
    let version = match (options.version, detect_version(&gate, &admin).await) {
        (None, Err(error)) => return diagnosis.bad("version", error.to_string(), "try again"),
        (Some(version), _) | (None, Ok(version)) => version,
    };
    let told = if options.version.is_some() { "as asked for" } else { "by its marks" };
    diagnosis.good("version", format!("contract {version}, {told}"));
    let mut contract = match Contract::from_files(&options.specs, version) {
        Ok(contract) => contract,
        Err(error) => return diagnosis.bad("contract", error.to_string(), "use the contract that comes with the program"),
    };
    let facts = match read_facts(&gate, &admin, &options).await {
        Ok(facts) => facts,
        Err(error) => return diagnosis.bad("settings of the tenant", error.to_string(), "give the application the Management API role"),
    };
    if let Some(published) = &facts.published {
        contract.adopt(published);
    }
    tenant(&gate, &admin, &facts, &options, &mut diagnosis).await;
    others(&gate, &admin, options.time.now(), wanted, &mut diagnosis).await;
    diagnosis.reach = [Mode::ReadOnly, Mode::Isolated, Mode::Exclusive].map(|mode| reach_of(&contract, &facts, mode)).into();
    diagnosis
}

type Wrong = (&'static str, String, &'static str);

/// Whether it answers, by TLS, at about the same time.
async fn reach(gate: &Gate, options: &RunOptions, diagnosis: &mut Diagnosis) -> Result<(), Wrong> {
    let answer = match gate.send(&Request::new("GET", "/api/status"), &Clearance::read()).await {
        Ok(answer) => answer,
        Err(error) => {
            let about = match &error {
                crate::target::GateError::Send(SendError::Tls(_)) => "TLS",
                _ => "reachability",
            };
            return Err((
                about,
                error.to_string(),
                "check the endpoint, the network between, `--proxy` and `--ca`; `--wait 60s` for one that starts",
            ));
        }
    };
    if answer.status >= 500 {
        return Err((
            "reachability",
            format!("GET /api/status answers {}", answer.status),
            "wait until the deployment is up: `--wait 60s`",
        ));
    }
    diagnosis.good("reachability", format!("{} answers {} in {} ms", gate.endpoint(), answer.status, gate.pace().as_millis()));
    match (gate.endpoint().scheme(), options.client.insecure) {
        ("https", false) => diagnosis.good("TLS", "the certificate is trusted"),
        ("https", true) => {
            diagnosis.limited("TLS", "any certificate is accepted", "give the authority with `--ca FILE` in place of `--insecure`");
        }
        _ if is_local(gate.endpoint()) => diagnosis.good("TLS", "not used, on this machine"),
        _ => diagnosis.limited("TLS", "tokens and passwords go over the network in clear", "use the https:// address"),
    }
    match answer.header("date").and_then(http_date) {
        Some(theirs) => {
            let apart = theirs - options.time.now();
            let seen = format!("{} s apart", apart / 1000);
            // The header has no fractions of a second.
            if apart.abs() <= SKEW + 1000 {
                diagnosis.good("clock", seen);
            } else {
                diagnosis.limited("clock", seen, "set both clocks by NTP: what expires is judged by this machine's");
            }
        }
        None => diagnosis.limited("clock", "the answer has no Date", "let what stands in front of the deployment keep the header"),
    }
    Ok(())
}

fn is_local(endpoint: &url::Url) -> bool {
    match endpoint.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Milliseconds since 1970 of a header like `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<i64> {
    let moment = time::OffsetDateTime::parse(&text.replace("GMT", "+0000"), &time::format_description::well_known::Rfc2822).ok()?;
    Some(moment.unix_timestamp() * 1000)
}

/// What the tenant allows.
async fn tenant(gate: &Gate, admin: &str, facts: &Facts, options: &RunOptions, diagnosis: &mut Diagnosis) {
    let discovery = get(gate, admin, "/oidc/.well-known/openid-configuration").await.unwrap_or_default();
    let grants = discovery.get("grant_types_supported").and_then(Value::as_array).cloned().unwrap_or_default();
    if grants.iter().any(|grant| grant == "urn:ietf:params:oauth:grant-type:token-exchange") {
        diagnosis.good("token exchange", "offered: users get tokens fast");
    } else {
        diagnosis.limited("token exchange", "not offered: most users of a run get no token", "use a version of Logto that offers it");
    }
    if facts.account_center.get("enabled") == Some(&Value::Bool(true)) {
        diagnosis.good("account center", "on");
    } else {
        diagnosis.limited(
            "account center",
            "off: the Account API turns everybody away",
            "switch it on, or use `--mode exclusive`, which does so for the run",
        );
    }
    if facts.can_sign_in {
        diagnosis.good("sign-in", "with username and password");
    } else {
        diagnosis.limited(
            "sign-in",
            "not with username and password: no sessions and third-party tokens",
            "allow it in the sign-in experience",
        );
    }
    for kind in MessageKind::ALL {
        let (about, word) = if kind == MessageKind::Email { ("mail", "Email") } else { ("text messages", "Sms") };
        let stands = facts.connectors.iter().any(|connector| connector.get("type").and_then(Value::as_str) == Some(word));
        let connector = if stands { "the tenant has a connector" } else { "the tenant has no connector" };
        if facts.channels.contains(&kind) || options.channel.as_ref().is_some_and(|channel| channel.reaches(kind)) {
            diagnosis.good(about, format!("{connector}, and a channel is given"));
        } else {
            diagnosis.limited(
                about,
                format!("{connector}, and what it sends is read by nobody"),
                "give a `--channel`; `webhook` with `--mode exclusive` brings its own connectors",
            );
        }
    }
    if facts.has_storage {
        diagnosis.good("files", "there is a place for uploads");
    } else {
        diagnosis.limited("files", "there is no place for uploads", Need::Storage.fix());
    }
    match &facts.unpublished {
        None => diagnosis.good("published operations", "the deployment publishes its Management API"),
        Some(why) => diagnosis.limited("published operations", why, format!("let the deployment serve {}", crate::contract::PUBLISHED_AT)),
    }
}

/// What other runs do here, or left behind.
async fn others(gate: &Gate, admin: &str, now: i64, wanted: Mode, diagnosis: &mut Diagnosis) {
    let list = async |target: &str| match get(gate, admin, target).await {
        Ok(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    if let Err(error) = Lease::look(gate, admin, now).await {
        let text = error.to_string();
        let (seen, remedy) = text.split_once("; ").unwrap_or((&text, "try again"));
        diagnosis.limited("lease", seen, remedy);
        if wanted == Mode::Exclusive {
            diagnosis.obstacle = Some(match error {
                LeaseError::Refused { .. } | LeaseError::Gate(_) => Obstacle::Unreachable,
                LeaseError::Held { .. } | LeaseError::Unreadable | LeaseError::Lost => Obstacle::Occupied,
            });
        }
    } else {
        diagnosis.good("lease", "free: no exclusive run goes on");
    }
    let mut left = Vec::new();
    for (kind, target) in [
        ("users", "/api/users?page=1&page_size=100&search.username=lc%5C_%25&mode.username=like"),
        ("applications", "/api/applications?page=1&page_size=100"),
    ] {
        let is_a_runs = |item: &Value| {
            ["username", "name"].iter().any(|member| item.get(member).and_then(Value::as_str).is_some_and(|name| name.starts_with("lc_")))
        };
        let count = list(target).await.iter().filter(|item| is_a_runs(item)).count();
        if count > 0 {
            left.push(format!("{count} {kind}"));
        }
    }
    if left.is_empty() {
        diagnosis.good("leftovers", "none of earlier runs");
    } else {
        diagnosis.limited(
            "leftovers",
            format!("{} named `lc_…`", left.join(" and ")),
            "if no run goes on, `restore` the ledgers of those that were killed",
        );
    }
}

fn reach_of(contract: &Contract, facts: &Facts, mode: Mode) -> Reach {
    let facts = Facts { may_change_settings: mode == Mode::Exclusive, ..facts.clone() };
    let plan: Plan = match mode {
        Mode::ReadOnly => build_harmless(contract, &facts, 1, Profile::Quick, &[]).plan,
        Mode::Isolated | Mode::Exclusive => build(contract, &facts, 1, Profile::Quick, &[]).plan,
    };
    let is_called = |id: &str| plan.sequences().flat_map(|sequence| &sequence.steps).any(|step| step.operation() == Some(id));
    Reach {
        mode,
        operations: contract.specified().filter(|operation| is_called(&operation.id)).count(),
        specified: contract.specified().count(),
        requests: plan.sequences().map(crate::plan::Sequence::requests).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_of_headers_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(http_date("soon"), None);
    }
}
