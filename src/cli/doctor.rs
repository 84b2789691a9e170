//! `doctor`: what stands in the way of a run, with the remedy; sends nothing that writes.

use std::fmt::Write as _;

use serde_json::json;

use super::session;
use super::table::table;
use super::{Failure, Settings, print};
use crate::engine::{Diagnosis, Health, Obstacle, diagnose};
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance doctor --target https://logto.example.com --mode exclusive";

/// Arguments of `doctor` that are no settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks at the target and prints a line for each thing; ends as `check` would end without verdict of its own.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    session::block_on(async {
        let (options, reference) = session::examined(settings).await?;
        let diagnosis = diagnose(&options).await;
        if let Some(reference) = reference {
            reference.shutdown().await.map_err(|error| Failure::Internal(error.to_string()))?;
        }
        let verdict = match diagnosis.obstacle {
            None => RunVerdict::Conformant,
            Some(Obstacle::Unreachable) => RunVerdict::Unreachable,
            Some(Obstacle::Occupied) => RunVerdict::Incomplete,
        };
        let text = if args.json {
            let document = json!({
                "exit_code": verdict.exit_code(), "symptoms": diagnosis.symptoms, "modes": diagnosis.reach,
            });
            format!("{document:#}\n")
        } else {
            told(&diagnosis, verdict)
        };
        print(&options.secrets.redact(&text))?;
        Ok(verdict)
    })
}

fn told(diagnosis: &Diagnosis, verdict: RunVerdict) -> String {
    let mut text = String::new();
    for symptom in &diagnosis.symptoms {
        let mark = match symptom.health {
            Health::Good => "ok     ",
            Health::Limited => "limited",
            Health::Bad => "BAD    ",
        };
        let _ = writeln!(text, "{mark}  {}: {}", symptom.about, symptom.seen);
        if let Some(remedy) = &symptom.remedy {
            let _ = writeln!(text, "         -> {remedy}");
        }
    }
    if !diagnosis.reach.is_empty() {
        let row = |reach: &crate::engine::Reach| {
            vec![format!("--mode {}", reach.mode), format!("{} of {}", reach.operations, reach.specified), reach.requests.to_string()]
        };
        let rows: Vec<Vec<String>> = diagnosis.reach.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["what can be tested", "operations", "requests of `--profile quick`"], &rows));
    }
    let sense = match verdict {
        RunVerdict::Conformant => "a run is possible".to_owned(),
        other => format!("a run would end with exit {} ({})", other.exit_code(), other.word()),
    };
    format!("{text}\n{sense}\n")
}
