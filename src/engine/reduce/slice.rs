//! A part of a sequence: the steps that a deviation shows at, what they depend on, and what else is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::contract::{Contract, Operation};
use crate::plan::{Action, Purpose, Sequence, Step, symbols, undigested};

/// Requests of a sign-in by authorization code, at most.
const SIGN_IN: u64 = 10;

/// A part of a sequence that ends with the step where the deviation shows. Steps keep their index of the whole sequence.
#[derive(Debug, Clone)]
pub struct Slice {
    id: String,
    /// The steps of the whole sequence, as they would be sent.
    pub steps: Vec<Arc<Step>>,
    point: usize,
    /// Steps that are kept although nothing that is kept needs what they bring.
    pub extra: Vec<usize>,
}

impl Slice {
    /// Only the step where the deviation shows, the one it looks at, and what they depend on.
    pub fn new(sequence: &Sequence, point: usize) -> Self {
        Self { id: sequence.id.clone(), steps: sequence.steps[..=point].to_vec(), point, extra: Vec::new() }
    }

    /// The same with other steps besides.
    pub fn with(&self, extra: &[usize]) -> Self {
        Self { extra: extra.to_vec(), ..self.clone() }
    }

    /// The step where the deviation shows, and the one it looks at.
    pub fn point(&self) -> Vec<usize> {
        match self.steps[self.point].purpose {
            Purpose::Look(of) => vec![of, self.point],
            _ => vec![self.point],
        }
    }

    /// The kept steps in order.
    pub fn kept(&self) -> Vec<usize> {
        close(&self.steps, self.extra.iter().copied().chain(self.point()).collect()).into_iter().collect()
    }

    /// The kept steps, renumbered.
    pub fn sequence(&self) -> Sequence {
        let kept = self.kept();
        let steps = kept.iter().map(|index| {
            let mut step = Arc::clone(&self.steps[*index]);
            if let Purpose::Look(of) = step.purpose {
                Arc::make_mut(&mut step).purpose =
                    kept.iter().position(|known| *known == of).map_or(Purpose::Probe("look".into()), Purpose::Look);
            }
            step
        });
        Sequence { id: self.id.clone(), steps: steps.collect() }
    }

    /// Requests that the kept steps take, at most.
    pub fn cost(&self) -> u64 {
        let requests = |index: &usize| if matches!(self.steps[*index].action, Action::SignIn(_)) { SIGN_IN } else { 1 };
        self.kept().iter().map(requests).sum()
    }

    /// The slice that ends with a step of [`Slice::sequence`].
    pub fn until(&self, place: usize) -> Self {
        let point = self.kept()[place];
        let extra = self.extra.iter().copied().filter(|index| *index < point).collect();
        Self { id: self.id.clone(), steps: self.steps[..=point].to_vec(), point, extra }
    }

    /// Ever wider guesses at the steps that matter although no symbol says so: those that use the same names, then the last
    /// writes about the same users and the last that are accepted, whomever they are about, in the end everything.
    pub fn guesses(&self, contract: &Contract) -> Vec<Vec<usize>> {
        let kept = self.kept();
        let before: Vec<usize> = (0..self.point).filter(|index| !kept.contains(index)).collect();
        let namesakes = |of: &[usize]| {
            let wanted: BTreeSet<String> = of.iter().flat_map(|index| names(&self.steps[*index])).collect();
            before.iter().copied().filter(|index| !names(&self.steps[*index]).is_disjoint(&wanted)).collect()
        };
        let users: BTreeSet<&str> = kept.iter().flat_map(|index| self.steps[*index].gives()).filter(|symbol| is_user(symbol)).collect();
        let writes = |index: &usize| {
            let operation = self.steps[*index].operation().and_then(|id| contract.operation(id));
            operation.is_some_and(Operation::writes) && !matches!(self.steps[*index].purpose, Purpose::Look(_))
        };
        let speaks = |index: &usize| {
            let giver = |step: usize| self.steps[step].gives().iter().any(|symbol| users.contains(symbol));
            close(&self.steps, BTreeSet::from([*index])).into_iter().any(giver)
        };
        let related: Vec<usize> = before.iter().copied().filter(|index| writes(index) && speaks(index)).collect();
        let written: Vec<usize> = before.iter().copied().filter(writes).collect();
        let accepted = |index: &usize| self.steps[*index].expect.as_ref().is_none_or(|expected| expected.starts_with('2'));
        let accepted: Vec<usize> = written.iter().copied().filter(accepted).collect();
        let last = |of: &[usize], last: usize| of[of.len().saturating_sub(last)..].to_vec();
        let mut guesses = vec![namesakes(&self.point()), namesakes(&kept)];
        guesses.extend([1, 2, 4, 8].iter().flat_map(|number| [last(&related, *number), last(&accepted, *number)]));
        guesses.extend([related, accepted, written, before]);
        guesses
    }
}

/// The steps and everything they depend on by symbols.
fn close(steps: &[Arc<Step>], mut wanted: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut open: Vec<usize> = wanted.iter().copied().collect();
    while let Some(index) = open.pop() {
        for symbol in steps[index].needs() {
            let giver = (0..index).rev().find(|earlier| steps[*earlier].gives().contains(&symbol));
            if let Some(giver) = giver.filter(|giver| wanted.insert(*giver)) {
                open.push(giver);
            }
        }
    }
    wanted
}

fn is_user(symbol: &str) -> bool {
    symbol.starts_with("user#")
}

/// Names that a step uses and no step gives: numbered values that are derived, such as `password#1`, and texts made unique by
/// `{{tag}}`, such as usernames.
fn names(step: &Step) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in texts(step) {
        let derived = symbols(text).filter(|symbol| symbol.starts_with("password#") || symbol.starts_with("phone#"));
        names.extend(derived.map(|symbol| undigested(symbol).to_owned()));
        for (_, rest) in text.match_indices("{{tag}}").map(|(at, tag)| text.split_at(at + tag.len())) {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            names.insert(rest[..end].trim_start_matches(['_', 'x']).to_owned());
        }
    }
    names
}

fn texts(step: &Step) -> Vec<&str> {
    let Action::Call(call) = &step.action else { return Vec::new() };
    std::iter::once(call.target.as_str()).chain(call.body.as_deref()).collect()
}
