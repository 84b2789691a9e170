//! What a run shows while it goes on, on standard error: a bar on a terminal, elsewhere a line now and then.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::{Event, Listener};
use crate::report::terminal::Verbosity;
use crate::target::SecretRegister;

/// Time between two lines where there is no terminal.
const RHYTHM: Duration = Duration::from_secs(10);

/// How much is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct Volume {
    /// Say the verdict and the findings only
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say everything: a line per sequence, and the whole report; given twice, a line per request too
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Volume {
    /// How much the result says.
    pub fn verbosity(self) -> Verbosity {
        match self {
            Self { quiet: true, .. } => Verbosity::Quiet,
            Self { verbose: 0, .. } => Verbosity::Normal,
            _ => Verbosity::Verbose,
        }
    }
}

/// Shows what happens. All that comes from the target loses its secrets.
pub fn shown(volume: Volume, secrets: &SecretRegister) -> Listener {
    if volume.quiet {
        return Arc::new(|_| {});
    }
    let bar = std::io::stderr().is_terminal().then(bar);
    let (progress, secrets, begun) = (Mutex::new(Progress::default()), secrets.clone(), Instant::now());
    Arc::new(move |event| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.hear(event);
        let mut lines = said(event, volume.verbose);
        match &bar {
            Some(bar) => draw(bar, event, &progress, begun.elapsed()),
            None if progress.is_due(event, begun.elapsed()) => lines.push(progress.line(begun.elapsed())),
            None => {}
        }
        let text: String = lines.iter().map(|line| printable(&secrets.redact(line)) + "\n").collect();
        if !text.is_empty() {
            // There is nowhere to tell when that fails.
            let write = || drop(std::io::stderr().lock().write_all(text.as_bytes()));
            bar.as_ref().map_or_else(write, |bar| bar.suspend(write));
        }
    })
}

/// A bar that does not show yet.
fn bar() -> ProgressBar {
    let bar = ProgressBar::hidden();
    if let Ok(style) = ProgressStyle::with_template("{bar:16} {pos}/{len} sequences, {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn draw(bar: &ProgressBar, event: &Event, progress: &Progress, elapsed: Duration) {
    match event {
        Event::Planned { sequences, .. } => {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.set_length(*sequences as u64);
        }
        Event::SequenceFinished { .. } => bar.inc(1),
        Event::CleaningUp => return bar.finish_and_clear(),
        _ => {}
    }
    if progress.sequences > 0 && !bar.is_finished() {
        bar.set_message(progress.message(elapsed));
    }
}

/// The lines that an event is worth.
fn said(event: &Event, verbose: u8) -> Vec<String> {
    let line = match event {
        Event::Planned { sequences, requests, passwords, epochs } => {
            let passwords = passwords.map_or_else(String::new, |passwords| format!(", {passwords} password computations"));
            format!("planned {sequences} sequences in {epochs} settings: {requests} requests{passwords}")
        }
        Event::Queued { behind, until } => {
            format!("waiting for the exclusive run `{behind}`, which holds the settings of this tenant until {until}")
        }
        Event::Exchanged(exchange) if verbose > 1 => exchange.to_string(),
        Event::EpochStarted { index, sequences } if verbose > 0 => format!("epoch {}: {sequences} sequences", index + 1),
        Event::SequenceFinished { id, requests, deviations } if verbose > 0 => {
            let deviations = if *deviations > 0 { format!(", {deviations} deviations") } else { String::new() };
            format!("{id}: {requests} requests{deviations}")
        }
        Event::Confirmed { cause, shown, tries, .. } if verbose > 0 => format!("confirmed {shown}/{tries}: {cause}"),
        Event::CleaningUp if verbose > 0 => "putting everything back".to_owned(),
        _ => return Vec::new(),
    };
    vec![line]
}

/// What came from a target must not steer the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// How far a run is.
#[derive(Debug, Default)]
struct Progress {
    epochs: usize,
    epoch: usize,
    sequences: usize,
    finished: usize,
    requests: u64,
    deviations: usize,
    /// When the last line was written.
    told: Duration,
}

impl Progress {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Planned { sequences, epochs, .. } => (self.sequences, self.epochs) = (*sequences, *epochs),
            Event::EpochStarted { index, .. } => self.epoch = index + 1,
            Event::SequenceFinished { .. } => self.finished += 1,
            Event::Exchanged(_) => self.requests += 1,
            Event::Confirmed { first, .. } => self.deviations += usize::from(*first),
            Event::CleaningUp | Event::Queued { .. } => {}
        }
    }

    /// Whether it is time for a line.
    fn is_due(&mut self, event: &Event, elapsed: Duration) -> bool {
        let due = matches!(event, Event::SequenceFinished { .. } | Event::Confirmed { .. }) && elapsed >= self.told + RHYTHM;
        if due {
            self.told = elapsed;
        }
        due
    }

    /// `120/303 sequences, epoch 3/21, 1357 req/s, 2 deviations, 12 s`
    fn line(&self, elapsed: Duration) -> String {
        format!("{}/{} sequences, {}", self.finished, self.sequences, self.message(elapsed))
    }

    fn message(&self, elapsed: Duration) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.requests as f64 / elapsed.as_secs_f64().max(0.001);
        let mut text = format!("epoch {}/{}, {rate:.0} req/s", self.epoch, self.epochs);
        if self.deviations > 0 {
            let _ = write!(text, ", {} {}", self.deviations, if self.deviations == 1 { "deviation" } else { "deviations" });
        }
        let _ = write!(text, ", {} s", elapsed.as_secs());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::wire::{Answer, Request};
    use crate::target::Exchange;

    fn exchange() -> Event {
        let answer = Answer { status: 200, ..Answer::default() };
        let request = Request::new("GET", "/api/users/a?x=1");
        let (url, took) = ("http://host/api/users/a?x=1".to_owned(), Duration::from_millis(12));
        Event::Exchanged(Exchange { number: 0, started_ms: 0, took, url, request, answer })
    }

    fn events() -> Vec<Event> {
        vec![
            Event::Planned { sequences: 4, requests: 9, passwords: Some(1), epochs: 2 },
            Event::EpochStarted { index: 0, sequences: 4 },
            exchange(),
            Event::SequenceFinished { id: "lap/GetUser/1".into(), requests: 1, deviations: 0 },
            Event::SequenceFinished { id: "lap/GetUser/2".into(), requests: 1, deviations: 2 },
            Event::Confirmed { cause: "expected 200, got 500".into(), shown: 3, tries: 3, first: true, holds: true, after: 9 },
            Event::Confirmed { cause: "the same elsewhere".into(), shown: 3, tries: 3, first: false, holds: true, after: 9 },
            Event::CleaningUp,
        ]
    }

    /// What is written where there is no terminal, an event every three seconds.
    fn log(verbose: u8) -> String {
        let mut progress = Progress::default();
        let mut text = String::new();
        for (event, second) in events().iter().zip((0..).step_by(3)) {
            progress.hear(event);
            let now = Duration::from_secs(second);
            let mut lines = said(event, verbose);
            lines.extend(progress.is_due(event, now).then(|| progress.line(now)));
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    #[test]
    fn a_line_now_and_then_says_how_far_the_run_is() {
        insta::assert_snapshot!(log(0), @r"
        planned 4 sequences in 2 settings: 9 requests, 1 password computations
        2/4 sequences, epoch 1/2, 0 req/s, 12 s
        ");
    }

    #[test]
    fn verbose_is_a_line_per_sequence_and_twice_one_per_request() {
        insta::assert_snapshot!(log(1), @r"
        planned 4 sequences in 2 settings: 9 requests, 1 password computations
        epoch 1: 4 sequences
        lap/GetUser/1: 1 requests
        lap/GetUser/2: 1 requests, 2 deviations
        2/4 sequences, epoch 1/2, 0 req/s, 12 s
        confirmed 3/3: expected 200, got 500
        confirmed 3/3: the same elsewhere
        putting everything back
        ");
        assert_eq!(log(2).lines().count(), log(1).lines().count() + 1);
        assert!(log(2).contains("\nGET /api/users/a?x=1 200 12 ms\n"));
    }

    #[test]
    fn the_message_counts_each_cause_once() {
        let mut progress = Progress::default();
        for event in events() {
            progress.hear(&event);
        }
        assert_eq!(progress.message(Duration::from_millis(500)), "epoch 1/2, 2 req/s, 1 deviation, 0 s");
    }

    #[test]
    fn a_target_does_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
    }
}
