//! Steps that sign a user in: what came of it is judged, as of any exchange, by what the model says.

use serde_json::Value;

use super::execute::{Execution, Sighted};
use crate::check::{About, Deviation, Judgement, Result as Checked, requirement_for};
use crate::contract::Outcome;
use crate::contract::guard::Status;
use crate::model::{Entry, SecondFactor, States, doubt_factors, signed_in_through, totp_code};
use crate::plan::{SIGN_IN_ENDS_WITH, SignIn, Through, signed_in};
use crate::target::{Account, Login, OidcClient, ProviderError, Shown, SignInError, SignedIn, sign_in, sign_in_through};

/// Name of the check.
const CHECK: &str = "sign-in";

/// What a sign-in that is not refused comes to.
const LET_IN: &str = "the user is let in";

impl Execution<'_> {
    /// Signs a user in, by password or through an enterprise connector.
    pub(super) async fn sign_in(&mut self, step: usize, plan: &SignIn) {
        let client = if plan.client == "third" { &self.context.third } else { &self.context.first };
        let (Some(client), Ok(known)) = (client, plan.resolved(&self.binding)) else { return };
        let scopes: Vec<&str> = plan.scopes.split(' ').collect();
        let (entered, tokens) = match &plan.through {
            None => (self.enter(client, &known, &scopes).await, None),
            Some(through) => self.enter_through(client, through, &scopes).await,
        };
        let entries: Vec<Entry> = self.states.iter().map(|state| known.entry(&self.context.contract.sign_in, state)).collect();
        match entered {
            Ok(signed) => {
                self.judge_entry(step, &entries, None);
                self.binding.set(plan.token.clone(), signed.access_token);
                if let Some(id_token) = signed.id_token {
                    self.binding.set(plan.id_token.clone(), id_token);
                }
                let (binding, now) = (&self.binding, self.context.time.now());
                self.states.each(|state| signed_in(state, plan, &signed.scope, signed.session.as_deref(), binding, now));
                if let (Some(through), Some(tokens)) = (&plan.through, tokens) {
                    let resolve = |text: &str| binding.resolve(text).unwrap_or_default();
                    let (user, connector) = (resolve(&plan.user), resolve(&through.connector));
                    self.states.each(|state| signed_in_through(state, &user, &connector, &tokens, now));
                }
            }
            Err(SignInError::Refused { status, code, .. }) if !entries.contains(&Entry::Unsure) => {
                self.judge_entry(step, &entries, Some((status, code)));
                for symbol in [&plan.token, &plan.id_token] {
                    self.binding.set_nothing(symbol);
                }
            }
            // After a deviation it is no wonder that too little is known.
            Err(SignInError::Refused { .. }) if !self.trace.deviations.is_empty() => {}
            Err(error) => self.trace.troubles.push(format!("{error} (sign-in of {})", self.sequence.id)),
        }
        if self.deviated[step] {
            self.states.each(|state| doubt_factors(state, &known.user));
        }
    }

    /// Puts what became of a sign-in beside what each state says of it.
    fn judge_entry(&mut self, step: usize, entries: &[Entry], refusal: Option<(u16, Option<String>)>) {
        let status = refusal.as_ref().map_or(200, |(status, _)| *status);
        let seen = refusal.map_or(Entry::Open, |(status, code)| Entry::Refused(Outcome { status: Status::Exact(status), code }));
        let contract = &self.context.contract;
        let Some(requirement) = requirement_for(contract, contract.operation(SIGN_IN_ENDS_WITH), CHECK, About::Answer) else { return };
        let result = if entries.contains(&seen) {
            let explains = |entry: &Entry| *entry == seen || *entry == Entry::Unsure;
            let left = self.states.iter().zip(entries).filter(|(_, entry)| explains(entry)).map(|(state, _)| state.clone()).collect();
            self.states = States::any_of(left);
            Checked::Pass
        } else if entries.contains(&Entry::Unsure) {
            Checked::Abstain("too little is known of the user, or the tenant asks for more".into())
        } else {
            // One cause, whatever the refusal that is missing.
            let expected = if seen == Entry::Open { "the user is turned away".to_owned() } else { words(&entries[0]) };
            Checked::Fail(Deviation { expected, actual: words(&seen) })
        };
        if let Checked::Fail(deviation) = &result {
            self.deviated[step] = true;
            self.trace.deviations.push(Sighted {
                step,
                operation: SIGN_IN_ENDS_WITH.into(),
                check: CHECK,
                requirement: requirement.id.clone(),
                level: requirement.level,
                deviation: deviation.clone(),
                after: self.context.sent(),
                detail: format!("sign-in: expected {}, got {}", words(&entries[0]), deviation.actual),
            });
        }
        self.trace.answers += 1;
        self.trace.counts.add(Some(SIGN_IN_ENDS_WITH), status, None, &[Judgement { check: CHECK, requirement, result }]);
    }

    async fn enter(&mut self, client: &OidcClient, plan: &SignIn, scopes: &[&str]) -> Result<SignedIn, SignInError> {
        let origin = self.binding.get("origin").unwrap_or_default();
        let second = match &plan.second {
            Some(SecondFactor::Totp(secret)) => totp_code(secret, self.context.time.now()).map(Shown::Totp),
            Some(SecondFactor::BackupCode(code)) => Some(Shown::Backup(code.clone())),
            Some(SecondFactor::Passkey(flaw)) => Some(Shown::Passkey { device: &mut self.authenticator, origin: &origin, flaw: *flaw }),
            None => None,
        };
        let login = Login { username: &plan.username, password: &plan.password, second };
        sign_in(&self.context.gate, client, login, scopes, None).await
    }

    /// The sign-in, and the token answer that the provider gave along with it.
    async fn enter_through(
        &self,
        client: &OidcClient,
        through: &Through,
        scopes: &[&str],
    ) -> (Result<SignedIn, SignInError>, Option<Value>) {
        let resolve = |text: &str| self.binding.resolve(text).unwrap_or_default();
        let (connector, email) = (resolve(&through.connector), resolve(&through.email));
        let account = Account { email: Some(email), email_verified: Some(true), ..Account::new(resolve(&through.account)) };
        let mut tokens = None;
        let agree = |page: &str| {
            let provider = self.context.provider.as_ref().ok_or_else(|| ProviderError::Page(page.to_owned()))?;
            let consent = provider.consent(page, &account)?;
            tokens = Some(consent.tokens);
            Ok(consent.data)
        };
        let entered = sign_in_through(&self.context.gate, client, &connector, agree, scopes, None).await;
        (entered, tokens)
    }
}

fn words(entry: &Entry) -> String {
    match entry {
        Entry::Refused(outcome) => outcome.to_string(),
        Entry::Open | Entry::Unsure => LET_IN.to_owned(),
    }
}
