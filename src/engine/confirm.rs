//! Confirms deviations: reduces the sequence of each and replays that on fresh data.

use std::sync::atomic::Ordering;

use super::board::{Board, Found};
use super::event::{Event, Listener};
use super::execute::Sighted;
use super::reduce::{Slice, reduce};
use super::stage::Stage;
use crate::plan::Sequence;

/// Replays that a finding needs.
pub const REPLAYS: usize = 3;

/// Replays of a race, which may be lost now and then only.
const RACES: usize = 4;

/// A deviation after its replays.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// How many of the tries showed it.
    pub shown: usize,
    /// Replays; of a race also the execution it was seen in.
    pub tries: usize,
    /// It is a race: one observation is enough.
    pub race: bool,
    /// The reduced sequence.
    pub sequence: Sequence,
    /// Requests that the reduction took, before the replays.
    pub requests: u64,
}

impl Confirmation {
    /// Whether the deviation is a finding.
    pub const fn holds(&self) -> bool {
        self.race || self.shown == self.tries
    }

    /// Whether others did it: a list that is counted and read one after the other disagrees with itself when somebody adds to
    /// it meanwhile. Replays have nothing beside them.
    pub fn was_others(&self, sighted: &Sighted) -> bool {
        self.shown == 0 && sighted.check == "pagination"
    }
}

/// Reduces the sequence of a deviation, with less effort if the cause is `known` from elsewhere, and replays it. A race
/// that was lost once is only counted: its sequence holds nothing else, so there is nothing to reduce.
async fn confirm(stage: &Stage<'_>, sequence: &Sequence, sighted: &Sighted, known: bool) -> Confirmation {
    let race = sequence.is_race(sighted.step) && ["race", "robustness"].contains(&sighted.check);
    let before = stage.context.gate.sent();
    let sequence = if race { sequence.clone() } else { reduce(stage, sequence, sighted, known).await };
    let requests = stage.context.gate.sent() - before;
    let (mut shown, replays) = if race { (1, RACES) } else { (0, REPLAYS) };
    let tries = shown + replays;
    for _ in 0..replays {
        let trace = stage.execute(&sequence).await;
        shown += usize::from(trace.deviations.iter().any(|other| other.shows(sighted)));
    }
    Confirmation { shown, tries, race, sequence, requests }
}

/// A deviation that was not seen before this epoch.
struct Fresh<'a> {
    /// How often it shows in the epoch.
    seen: u64,
    /// Requests that the run had sent when it showed first.
    after: u64,
    /// Where it is cheapest to show.
    sequence: &'a Sequence,
    /// As it showed there.
    sighted: &'a Sighted,
}

/// Confirms what deviated in an epoch, each deviation once: where it is cheapest to show. What is expected needs no proof.
pub async fn confirm_all<'a>(
    stage: &Stage<'_>,
    deviations: impl Iterator<Item = (&'a Sequence, &'a Sighted)>,
    listener: &Listener,
    board: &mut Board,
) {
    let mut fresh: Vec<Fresh<'_>> = Vec::new();
    for (sequence, sighted) in deviations {
        if stage.context.waivers.expect(&sighted.requirement, &sighted.operation, &sighted.deviation) {
            if !board.waived.iter().any(|known| known.same(sighted)) {
                board.waived.push(sighted.clone());
            }
            continue;
        }
        if let Some(known) = board.found.iter_mut().find(|known| known.sighted.same(sighted)) {
            known.seen += 1;
            continue;
        }
        let cost = |sequence: &Sequence, sighted: &Sighted| Slice::new(sequence, sighted.step).cost();
        match fresh.iter_mut().find(|known| known.sighted.same(sighted)) {
            Some(known) => {
                known.seen += 1;
                known.after = known.after.min(sighted.after);
                if cost(sequence, sighted) < cost(known.sequence, known.sighted) {
                    (known.sequence, known.sighted) = (sequence, sighted);
                }
            }
            None => fresh.push(Fresh { seen: 1, after: sighted.after, sequence, sighted }),
        }
    }
    let (stop, limits) = (&*stage.context.stop, stage.context.time.limits());
    for Fresh { seen, after, sequence, sighted } in fresh {
        let alike = |found: &Found| found.sighted.check == sighted.check && found.sighted.deviation == sighted.deviation;
        let known = board.found.iter().any(|found| alike(found) && found.confirmation.holds());
        if stop.load(Ordering::Relaxed) {
            board.troubles.push(format!("not confirmed, for the run was ended: {}", sighted.detail));
            continue;
        }
        let confirming = limits.within(stop, confirm(stage, sequence, sighted, known)).await;
        // What the end of the run kept from showing again is neither a finding nor flaky.
        let cut_off = stop.load(Ordering::Relaxed);
        let Some(confirmation) = confirming.ok().filter(|confirmation| confirmation.holds() || !cut_off) else {
            board.troubles.push(format!("not confirmed, for the run was ended: {}", sighted.detail));
            continue;
        };
        if confirmation.was_others(sighted) {
            continue;
        }
        let holds = confirmation.holds();
        listener(&Event::Confirmed {
            cause: sighted.detail.clone(),
            shown: confirmation.shown,
            tries: confirmation.tries,
            first: holds && !known,
            holds,
            after,
        });
        board.found.push(Found {
            sighted: sighted.clone(),
            reduced_from: sequence.group(sighted.step).end,
            seen,
            after,
            settings: stage.settings.cloned(),
            confirmation,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Deviation;
    use crate::contract::Level;

    #[test]
    fn a_page_that_never_shows_it_again_was_changed_by_others() {
        let deviation = Deviation { expected: "as many entries as Total-Number and the page say".into(), actual: "fewer".into() };
        let sighted = |check| Sighted {
            step: 0,
            operation: "ListUsers".into(),
            check,
            requirement: "MGT-PAGE-01".into(),
            level: Level::Must,
            deviation: deviation.clone(),
            detail: String::new(),
            after: 0,
        };
        let sequence = Sequence { id: "lap/ListUsers".into(), steps: Vec::new() };
        let shown = |shown| Confirmation { shown, tries: REPLAYS, race: false, sequence: sequence.clone(), requests: 0 };
        assert!(shown(0).was_others(&sighted("pagination")));
        assert!(!shown(1).was_others(&sighted("pagination")), "it is flaky");
        assert!(!shown(0).was_others(&sighted("status")), "of everything else that is flaky");
        let other =
            Sighted { deviation: Deviation { expected: "Link to first, last".into(), actual: "none".into() }, ..sighted("pagination") };
        assert!(!other.same(&sighted("pagination")) && other.shows(&sighted("pagination")), "there were fewer of them");
        assert!(!Sighted { operation: "ListRoles".into(), ..other.clone() }.shows(&sighted("pagination")));
        assert!(!Sighted { check: "schema", ..other }.shows(&sighted("schema")));
        assert!(shown(REPLAYS).holds() && !shown(REPLAYS).was_others(&sighted("pagination")));
    }
}
