//! `compare`: what changed between two runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::session::{self, Wish};
use super::settings::{self, Settings};
use super::{Failure, print};
use crate::plan::Profile;
use crate::report::compare::{self, Comparison};
use crate::report::{Report, RunVerdict, json};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance compare before/report.json after/report.json --report markdown:changes.md\n  \
                                  $ logto-conformance compare known.json staging.toml\n\n\
                                  A configuration file (.toml) is read alone: variables count where it names them. A URL takes\n\
                                  everything else from where `check` takes it. A target is asked with the profile and the seed\n\
                                  of the report that it is compared with.\n\n\
                                  Exit code 1 says that a finding is new or changed; what is gone makes nothing worse.";

/// Arguments of `compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What counts as known: a JSON report, the folder of a run, or a target to run against: a configuration file or a URL
    #[arg(value_name = "BASE")]
    base: String,
    /// What is looked at, in the same forms
    #[arg(value_name = "NEW")]
    new: String,
    /// Of targets: run only sequences whose name, or one of whose operations, matches (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Of targets: how much is tested, quick, standard or deep
    #[arg(long, value_name = "PROFILE", value_parser = settings::profile)]
    profile: Option<Profile>,
    /// Of targets: seed of the plan
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the comparison: json or markdown, with :PATH (may be repeated)
    #[arg(long, value_name = "FORMAT:PATH", value_parser = written)]
    report: Vec<(Form, PathBuf)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A format of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Markdown,
}

fn written(text: &str) -> Result<(Form, PathBuf), String> {
    match text.split_once(':') {
        Some(("json", path)) if !path.is_empty() => Ok((Form::Json, path.into())),
        Some(("markdown", path)) if !path.is_empty() => Ok((Form::Markdown, path.into())),
        _ => Err("write json:PATH or markdown:PATH".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Result<RunVerdict, Failure> {
    let sides = [Side::of(&args.base)?, Side::of(&args.new)?];
    let asked = Asked::of(args, &sides);
    let [base, new] = sides;
    let base = base.report(&args.base, &asked)?;
    let new = new.report(&args.new, &asked)?;
    let comparison = Comparison::of(&base, &new);
    for (form, path) in &args.report {
        let text = match form {
            Form::Json => compare::json(&comparison),
            Form::Markdown => compare::markdown(&comparison),
        };
        std::fs::write(path, text).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))?;
    }
    print(&if args.json { compare::json(&comparison) } else { compare::text(&comparison) })?;
    // What a run left behind, or broke over, counts for more than what it found.
    let grave =
        [&base, &new].map(|report| report.verdict).into_iter().filter(|it| [RunVerdict::Residue, RunVerdict::Internal].contains(it));
    Ok(RunVerdict::worst(grave.chain([comparison.verdict()])))
}

/// One of the two things that are compared.
enum Side {
    /// A run that was kept.
    Known(Box<Report>),
    /// A target that is still to be asked.
    Live(Box<Settings>),
}

impl Side {
    fn of(text: &str) -> Result<Self, Failure> {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        if is_url {
            return Ok(Self::Live(Box::new(Settings::effective(settings::at(text)?)?)));
        }
        let path = Path::new(text);
        if path.extension().is_some_and(|it| it == "toml") {
            return Ok(Self::Live(Box::new(Settings::of_file(path)?)));
        }
        read(path).map(|report| Self::Known(Box::new(report)))
    }

    /// The report, after a run if there is none yet.
    fn report(self, name: &str, asked: &Asked) -> Result<Report, Failure> {
        let mut settings = match self {
            Self::Known(report) => return Ok(*report),
            Self::Live(settings) => settings,
        };
        drop(writeln!(std::io::stderr().lock(), "running against {name}"));
        settings.run.profile = Some(asked.profile);
        settings.run.seed = Some(asked.seed);
        session::block_on(session::run(&settings, Wish { only: asked.only.clone(), ..Wish::default() }))
    }
}

/// What targets are asked: the same of both, so that a difference is one of the targets.
struct Asked {
    profile: Profile,
    seed: u64,
    only: Vec<String>,
}

impl Asked {
    /// What the command line says, else what a known side was asked, else what the first configuration says.
    fn of(args: &Args, sides: &[Side; 2]) -> Self {
        let known = sides.iter().find_map(|side| match side {
            Side::Known(report) => Some((settings::profile(&report.profile).ok(), Some(report.seed))),
            Side::Live(_) => None,
        });
        let first = sides.iter().find_map(|side| match side {
            Side::Live(settings) => Some((settings.run.profile, settings.run.seed)),
            Side::Known(_) => None,
        });
        let (profile, seed) = known.or(first).unwrap_or_default();
        Self { profile: args.profile.or(profile).unwrap_or_default(), seed: args.seed.or(seed).unwrap_or(1), only: args.only.clone() }
    }
}

/// A report, or the one in a run's folder.
pub(super) fn read(path: &Path) -> Result<Report, Failure> {
    let path = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
    let place = path.display();
    let remedy = "give what `check` wrote with `--report json:PATH`, or a folder of conformance-out";
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure::Usage(format!("failed to read {place}: {error}\n  help: {remedy}")))?;
    json::read(&text).map_err(|error| Failure::Usage(format!("{place}: {error}\n  help: {remedy}")))
}
