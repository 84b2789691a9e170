//! Steps that sign a user in, below the contract.

use serde_json::Value;

use super::execute::Execution;
use crate::model::signed_in_through;
use crate::plan::{SignIn, Through, signed_in};
use crate::target::{Account, OidcClient, ProviderError, SignInError, SignedIn, sign_in, sign_in_through};

impl Execution<'_> {
    /// Signs a user in, by password or through an enterprise connector.
    pub(super) async fn sign_in(&mut self, plan: &SignIn) {
        let client = if plan.client == "third" { &self.context.third } else { &self.context.first };
        let (Some(client), Ok(username), Ok(password)) =
            (client, self.binding.resolve(&plan.username), self.binding.resolve(&plan.password))
        else {
            return;
        };
        let scopes: Vec<&str> = plan.scopes.split(' ').collect();
        let (entered, tokens) = match &plan.through {
            None => (sign_in(&self.context.gate, client, &username, &password, &scopes, None).await, None),
            Some(through) => self.enter_through(client, through, &scopes).await,
        };
        match entered {
            Ok(signed) => {
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
            Err(error) => self.trace.troubles.push(format!("{error} (sign-in of {})", self.sequence.id)),
        }
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
