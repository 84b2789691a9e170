//! Reduces a sequence to what a deviation needs.
//!
//! The model proposes, the target disposes: candidates for which the model predicts something else at the deviating step are
//! not sent at all, and the cheapest candidate goes first, since most often it shows the deviation at once.

mod ddmin;
mod edit;
mod slice;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use slice::Slice;

use self::ddmin::minimise;
use self::edit::{Edit, omissions, simpler, substitutions, with_nobodys_password};
use super::execute::Sighted;
use super::stage::Stage;
use crate::plan::{Sequence, Step, foresee};

/// Most requests that the reduction of one deviation may take. About what three replays of a sequence of 30 steps take,
/// which a reduction saves.
pub const BUDGET: u64 = 90;

/// Requests that bring the settings about before a sequence that changes them itself.
const SETTLING: u64 = 8;

/// Reduces a sequence that deviated: to the needed steps, then to the needed members of their bodies, then to simple values.
/// Without success within the budget it is left as it is, up to the step that deviated.
///
/// What differs elsewhere in the same way is most often one cause: where that is `known`, the first slice that shows the
/// deviation is good enough.
pub async fn reduce(stage: &Stage<'_>, sequence: &Sequence, sighted: &Sighted, known: bool) -> Sequence {
    let slice = Slice::new(sequence, sighted.step);
    let whole = slice.with(&(0..sighted.step).collect::<Vec<_>>());
    let end = stage.context.gate.sent() + BUDGET;
    let mut search = Search { stage, sighted, end, tried: Vec::new(), best: whole.clone() };
    if search.find(&slice, &whole).await && !known {
        search.drop_steps().await;
        search.drop_members().await;
        search.shorten_values().await;
    }
    search.foreseen(&search.best)
}

/// What the model predicts for each step of a slice.
type Expected = BTreeMap<usize, Option<String>>;

struct Search<'a> {
    stage: &'a Stage<'a>,
    sighted: &'a Sighted,
    /// Number of the request that would exceed the budget.
    end: u64,
    /// Candidates that were executed, and the slice that showed the deviation.
    tried: Vec<(Vec<Arc<Step>>, Option<Slice>)>,
    /// The smallest slice that has shown the deviation.
    best: Slice,
}

impl Search<'_> {
    /// Finds a first slice that shows the deviation.
    async fn find(&mut self, slice: &Slice, whole: &Slice) -> bool {
        let expected = self.expected(whole);
        let same = |search: &Self, candidate: &Slice| {
            let foreseen = search.expected(candidate);
            candidate.point().iter().all(|index| foreseen.get(index) == expected.get(index))
        };
        let contract = &self.stage.context.contract;
        let mut candidates: Vec<Slice> = with_nobodys_password(slice).iter().map(|slice| self.bare(slice)).collect();
        candidates.extend([self.bare(slice), slice.clone()]);
        if !same(self, slice) {
            // The model knows which other steps matter to it: these alone are the best guess.
            let before = (0..self.sighted.step).collect();
            let matter = minimise(before, async |kept: &[usize]| same(self, &slice.with(kept))).await;
            let thin = slice.with(&matter);
            candidates.extend([self.bare(&thin), thin]);
        }
        candidates.extend(slice.guesses(contract).iter().map(|extra| slice.with(extra)));
        for candidate in candidates {
            if same(self, &candidate) && self.shows(&candidate).await {
                return true;
            }
        }
        false
    }

    /// Leaves out steps that nothing depends on by a symbol.
    async fn drop_steps(&mut self) {
        let base = self.best.clone();
        minimise(base.extra.clone(), async |kept: &[usize]| self.shows(&base.with(kept)).await).await;
    }

    /// Leaves out headers, parameters and members of bodies: first around the deviating step, then there.
    async fn drop_members(&mut self) {
        for around in [true, false] {
            let base = self.best.clone();
            let edits = self.neutral(&base, self.edits(&base, around));
            minimise(edits.clone(), async |kept: &[Edit]| {
                let mut candidate = base.clone();
                for edit in edits.iter().filter(|edit| !kept.contains(edit)) {
                    edit.apply(&mut candidate.steps);
                }
                self.shows(&candidate).await
            })
            .await;
        }
    }

    /// Puts shorter values in place of long ones: first around the deviating step, then there.
    async fn shorten_values(&mut self) {
        for step in self.best.kept() {
            let mut shorter = true;
            while std::mem::take(&mut shorter) {
                let base = self.best.clone();
                for edit in simpler(&base, step) {
                    let mut candidate = base.clone();
                    if edit.apply(&mut candidate.steps) && self.expected(&candidate) == self.expected(&base) && self.shows(&candidate).await
                    {
                        shorter = true;
                        break;
                    }
                }
            }
        }
    }

    /// The slice without anything in the requests around the deviating step that the model says makes no difference.
    fn bare(&self, slice: &Slice) -> Slice {
        let mut bare = slice.clone();
        for edit in self.neutral(slice, self.edits(slice, true)) {
            edit.apply(&mut bare.steps);
        }
        bare
    }

    /// What can be spared around the deviating step, where headers count as around it, or in its own body.
    fn edits(&self, slice: &Slice, around: bool) -> Vec<Edit> {
        let point = slice.point();
        let kept: Vec<usize> = slice.kept();
        let mut edits = substitutions(slice, &kept);
        edits.extend(omissions(slice, &kept, &self.stage.context.contract));
        edits.into_iter().filter(|edit| edit.is_within(&point) != around).collect()
    }

    /// Those of the edits that together make no difference to what the model predicts.
    fn neutral(&self, slice: &Slice, edits: Vec<Edit>) -> Vec<Edit> {
        let mut edited = slice.clone();
        let expected = self.expected(slice);
        let unchanged = |candidate: &Slice| self.expected(candidate).iter().all(|(index, outcome)| expected.get(index) == Some(outcome));
        edits
            .into_iter()
            .filter(|edit| {
                let mut candidate = edited.clone();
                let neutral = edit.apply(&mut candidate.steps) && unchanged(&candidate);
                if neutral {
                    edited = candidate;
                }
                neutral
            })
            .collect()
    }

    fn expected(&self, slice: &Slice) -> Expected {
        let foreseen = self.foreseen(slice);
        slice.kept().into_iter().zip(foreseen.steps.iter().map(|step| step.expect.clone())).collect()
    }

    fn foreseen(&self, slice: &Slice) -> Sequence {
        foresee(&self.stage.context.contract, &self.stage.context.facts, self.stage.settings, &slice.sequence())
    }

    /// Executes a candidate, unless that would exceed the budget; what shows the deviation is the best so far.
    async fn shows(&mut self, candidate: &Slice) -> bool {
        let sequence = candidate.sequence();
        let known = self.tried.iter().find(|(steps, _)| *steps == sequence.steps).map(|(_, slice)| slice.clone());
        let slice = match known {
            Some(slice) => slice,
            None if self.stage.context.gate.sent() + self.cost(candidate) > self.end => None,
            None => {
                let trace = self.stage.execute(&sequence).await;
                let place = trace.deviations.iter().find(|other| other.shows(self.sighted)).map(|other| other.step);
                let slice = place.map(|place| candidate.until(place));
                self.tried.push((sequence.steps, slice.clone()));
                slice
            }
        };
        let shows = slice.is_some();
        if let Some(slice) = slice {
            self.best = slice;
        }
        shows
    }

    /// Requests that an execution takes, at most.
    fn cost(&self, candidate: &Slice) -> u64 {
        candidate.cost() + if self.stage.alone { SETTLING } else { 0 }
    }
}
