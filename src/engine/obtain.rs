//! Steps that get something outside the two collections.

use std::time::Duration;

use super::execute::{Execution, Sighted};
use crate::check::{About, Deviation, requirement_for};
use crate::contract::Source;
use crate::model::{Got, obtained};
use crate::plan::Obtain;
use crate::target::{Account, totp};

/// How long a message may be on its way.
const PATIENCE: Duration = Duration::from_secs(10);

impl Execution<'_> {
    /// Gets what a source gives, and lets the model know.
    pub(super) async fn obtain(&mut self, index: usize, obtain: &Obtain) {
        let hollow = self.sequence.steps[index].needs().into_iter().any(|symbol| self.binding.is_nothing(symbol));
        let source = match obtain.from.try_map(|text| self.binding.resolve(text)) {
            Ok(source) if !hollow => source,
            // What it depends on was refused, as foreseen or not.
            _ => return self.binding.set_nothing(&obtain.symbol),
        };
        let got = self.get(&source).await;
        self.turn = None;
        match got {
            Ok(got) => {
                self.states.each(|state| obtained(state, &source, &got));
                self.binding.set(obtain.symbol.clone(), got.text);
            }
            Err(why) => self.missed(index, &source, &why),
        }
    }

    async fn get(&mut self, source: &Source) -> Result<Got, String> {
        let text = match source {
            Source::Totp { secret } => {
                totp(secret, self.context.time.now()).ok_or_else(|| "the secret of the authenticator app is no base32".to_owned())?
            }
            Source::Message { to, .. } => {
                let channel = self.context.channel.as_ref().ok_or("there is no channel for messages: give a `--channel`")?;
                channel.code(to, PATIENCE).await.map_err(|error| error.to_string())?
            }
            Source::Passkey { options, flaw, .. } => {
                let options = serde_json::from_str(options).map_err(|error| format!("the options of the passkey are no JSON: {error}"))?;
                let origin = self.binding.get("origin").unwrap_or_default();
                self.authenticator.register(&options, &origin, *flaw).await.map_err(|error| error.to_string())?.to_string()
            }
            Source::Consent { page, account, spent, .. } => {
                let provider = self.context.provider.as_ref().ok_or("there is no identity provider")?;
                let expires_in = if *spent { -3600 } else { 3600 };
                let account =
                    Account { email: Some(format!("{account}@example.com")), expires_in, renews: !spent, ..Account::new(account) };
                let consent = provider.consent(page, &account).map_err(|error| error.to_string())?;
                return Ok(Got { text: consent.data.to_string(), vouched: Some((consent.identity, consent.tokens)) });
            }
        };
        Ok(text.into())
    }

    /// A message that never came is a promise not kept by the call that should have sent it; all else is our own trouble.
    fn missed(&mut self, index: usize, source: &Source, why: &str) {
        let contract = &self.context.contract;
        let sender = self.sequence.steps[..index].iter().enumerate().rev().find_map(|(step, sent)| {
            let operation = contract.operation(sent.operation()?).filter(|operation| operation.harm.sends)?;
            Some((step, operation))
        });
        let promised = sender
            .and_then(|(step, operation)| Some((step, operation, requirement_for(contract, Some(operation), "state", About::Answer)?)));
        match (source, promised) {
            (Source::Message { .. }, Some((step, operation, requirement))) => {
                self.deviated[step] = true;
                self.trace.deviations.push(Sighted {
                    step,
                    operation: operation.id.clone(),
                    check: "state",
                    requirement: requirement.id.clone(),
                    level: requirement.level,
                    deviation: Deviation { expected: "a message with a code".into(), actual: "no message".into() },
                    detail: why.to_owned(),
                    after: self.context.sent(),
                });
            }
            _ if self.trace.deviations.is_empty() && self.trace.troubles.is_empty() => {
                self.trace.troubles.push(format!("{why} (step {} of {})", index + 1, self.sequence.id));
            }
            _ => {}
        }
    }
}
