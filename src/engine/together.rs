//! Steps that are sent together: each answer is judged by itself, and all of them by whether some order explains them.

use std::ops::Range;

use futures_util::future::join_all;

use super::execute::{Execution, Ready, Sighted, may_have_acted};
use crate::check::{About, Deviation, Result, judge_race, requirement_for};
use crate::model::wire::Answer;
use crate::model::{Exchange, observe_together};
use crate::plan::Action;

impl Execution<'_> {
    /// Sends the steps of a group side by side.
    pub(super) async fn together(&mut self, group: Range<usize>) {
        let (contract, sequence) = (&self.context.contract, self.sequence);
        let mut ready: Vec<Ready> = Vec::new();
        for index in group {
            if let Action::Call(call) = &sequence.steps[index].action {
                ready.extend(self.prepare(index, &sequence.steps[index], call));
            }
        }
        let before = self.context.time.now();
        let sent = join_all(ready.iter().map(|ready| self.send(ready))).await;
        let mut went: Vec<(&Ready, Option<Answer>)> = Vec::new();
        for (ready, result) in ready.iter().zip(sent) {
            match result {
                Ok(answer) => went.push((ready, Some(answer))),
                Err(error) => {
                    if may_have_acted(&error) {
                        went.push((ready, None));
                    }
                    self.unanswered(ready, &error);
                }
            }
        }
        let exchanges: Vec<Exchange<'_>> = went.iter().map(|(ready, answer)| (&ready.request, answer.as_ref())).collect();
        let race = observe_together(contract, &self.states, &exchanges, before);
        for ((ready, answer), observation) in went.iter().zip(&race.members) {
            if let (Some(answer), Some(observation)) = (answer, observation) {
                self.capture(ready.index, answer);
                self.judge(ready.index, &sequence.steps[ready.index], &ready.request, answer, observation);
            }
        }
        for (member, judgement, seen) in judge_race(contract, &exchanges, &race) {
            let index = went[member].0.index;
            if let Result::Fail(deviation) = &judgement.result {
                self.deviated[index] = true;
                self.trace.deviations.push(Sighted {
                    step: index,
                    operation: sequence.steps[index].operation().unwrap_or_default().to_owned(),
                    check: judgement.check,
                    requirement: judgement.requirement.id.clone(),
                    level: judgement.requirement.level,
                    detail: format!("expected {}, got {seen}", deviation.expected),
                    deviation: deviation.clone(),
                    after: self.context.sent(),
                });
            }
            let operation = race.members[member].as_ref().and_then(|observation| observation.operation.as_deref());
            self.trace.counts.add_word(operation, &judgement);
        }
        self.states = race.states;
    }

    /// A look after a race shows what no order of its requests leads to.
    pub(super) fn lost_race(&mut self, index: usize, of: usize, sighted: Sighted) {
        let operation = self.sequence.steps[of].operation().unwrap_or_default();
        let contract = &self.context.contract;
        let Some(requirement) = requirement_for(contract, contract.operation(operation), "race", About::Answer) else { return };
        let look = self.sequence.steps[index].operation().unwrap_or("a look");
        let place = sighted.deviation.expected.split(' ').next().unwrap_or_default();
        self.trace.deviations.push(Sighted {
            operation: operation.to_owned(),
            check: "race",
            requirement: requirement.id.clone(),
            level: requirement.level,
            deviation: Deviation {
                expected: "what the requests leave behind in some order".into(),
                actual: format!("another {place} in {look}"),
            },
            ..sighted
        });
    }
}
