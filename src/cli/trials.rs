//! The contract under `cargo test` and `cargo nextest`: the process's edge of [`crate::trials`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::session::{self, Wish};
use super::settings::Secret;
use super::{Failure, Settings};
use crate::check::{Waiver, Waivers};
use crate::contract::Contract;
use crate::plan::{Portion, Profile};
use crate::report::{Report, TargetKind};
use crate::snapshots::reviewed;
use crate::target::Mode;
use crate::trials::{Case, Ended, Flow, cases, ended, flows, idle, is_about, is_waived, unheard, unreviewed};

/// Fails trials that could not be tested, instead of passing over them.
const DENY: &str = "--deny-untestable";

/// The trial that tells what belongs to no other.
const WHOLE: &str = "run::ends-well";

/// The trial that tells of snapshots what belongs to no other.
const REVIEWED: &str = "run::snapshots";

/// Set where each trial is a process of its own, for the list of trials too.
const PROCESS_EACH: &str = "NEXTEST";

/// A conformance test: which deployment, and how.
///
/// What is not said here comes from `LOGTO_CONFORMANCE_*` and `conformance.toml`; without a target it is the embedded
/// reference.
#[derive(Debug, Clone, Default)]
pub struct Conformance {
    flags: Settings,
    faults: Vec<String>,
    snapshots: Option<PathBuf>,
    wrong: Option<String>,
}

impl Conformance {
    /// A test of whatever target the environment and the configuration file name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tests the deployment at a base URL, by a machine-to-machine application with the Management API role.
    #[must_use]
    pub fn target(mut self, endpoint: &str, client_id: &str, client_secret: &str) -> Self {
        match endpoint.parse() {
            Ok(url) => self.flags.target.target = Some(url),
            Err(error) => self.wrong = Some(format!("`{endpoint}` is no base URL: {error}")),
        }
        self.flags.target.client_id = Some(client_id.to_owned());
        self.flags.target.client_secret = Some(Secret(client_secret.to_owned()));
        self
    }

    /// Tests a server of your own, which answers on a free port of the loopback interface until the process ends. `app` is told
    /// its base URL, and tells the id and the secret of the machine-to-machine application with the Management API role.
    #[must_use]
    pub fn server<A>(self, app: impl FnOnce(String) -> A + Send + 'static) -> Self
    where
        A: Future<Output = (axum::Router, String, String)>,
    {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let failed = tell.clone();
            let served = session::block_on(async move {
                let wrong = |error: std::io::Error| Failure::Usage(format!("the server cannot listen: {error}"));
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(wrong)?;
                let endpoint = format!("http://{}", listener.local_addr().map_err(wrong)?);
                let (router, client_id, client_secret) = app(endpoint.clone()).await;
                // Nobody listens when the test was ended meanwhile.
                drop(tell.send(Ok((endpoint, client_id, client_secret))));
                axum::serve(listener, router).await.map_err(wrong)
            });
            if let Err(failure) = served {
                drop(failed.send(Err(failure.to_string())));
            }
        });
        match told.recv() {
            Ok(Ok((endpoint, client_id, client_secret))) => self.target(&endpoint, &client_id, &client_secret),
            Ok(Err(wrong)) => Self { wrong: Some(wrong), ..self },
            Err(_) => Self { wrong: Some("the server ended before it could be asked".into()), ..self },
        }
    }

    /// What the test may do to the deployment; `isolated` for a target when not said.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.flags.run.mode = Some(mode);
        self
    }

    /// Expects the deviations that a file lists.
    #[must_use]
    pub fn waivers(mut self, file: impl Into<PathBuf>) -> Self {
        self.flags.waivers.waivers.push(file.into());
        self
    }

    /// Compares with the reviewed snapshots of a folder; what differs waits there for `cargo insta review`.
    #[must_use]
    pub fn snapshots(mut self, folder: impl Into<PathBuf>) -> Self {
        self.snapshots = Some(folder.into());
        self
    }

    /// Lets the embedded reference deviate, by a name of its catalogue of faults: to see a test fail.
    #[must_use]
    pub fn fault(mut self, name: &str) -> Self {
        self.faults.push(name.to_owned());
        self
    }

    /// Runs the trials that the command line of the process asks for, as `libtest` would.
    ///
    /// Exit codes are those of `libtest`: 0 when no trial failed, 101 otherwise; 2 when the settings are wrong.
    pub fn main(self) -> ExitCode {
        self.run(std::env::args_os())
    }

    /// The same with a command line of its own (the program's name first).
    pub fn run(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let before = arguments.len();
        arguments.retain(|argument| argument != DENY);
        let denies = arguments.len() < before;
        let arguments = Arguments::from_iter(arguments);
        match Suite::new(self, denies) {
            Ok(suite) => {
                let trials = Arc::new(suite).trials(&arguments);
                libtest_mimic::run(&arguments, trials).exit_code()
            }
            Err(failure) => failure.end().exit_code().into(),
        }
    }
}

/// What all trials of the process share.
struct Suite {
    settings: Settings,
    faults: Vec<String>,
    snapshots: Option<PathBuf>,
    contract: Contract,
    waivers: Waivers,
    cases: Vec<Case>,
    denies: bool,
    report: OnceLock<Result<Report, String>>,
}

impl Suite {
    fn new(wish: Conformance, denies: bool) -> Result<Self, Failure> {
        if let Some(wrong) = wish.wrong {
            return Err(Failure::Usage(wrong));
        }
        let settings = Settings::effective(wish.flags)?;
        super::serve::faults(&wish.faults)?;
        let contract = Contract::embedded(settings.contract.or_newest())?;
        let kind = if settings.target.target.is_some() { TargetKind::Remote } else { TargetKind::Embedded };
        let waivers = session::waivers(&session::waiver_files(&settings)?, &contract, kind)?;
        let cases = cases(&contract);
        Ok(Self { settings, faults: wish.faults, snapshots: wish.snapshots, contract, waivers, cases, denies, report: OnceLock::new() })
    }

    /// One trial for each case, flow and snapshot, and one for what belongs to none.
    fn trials(self: Arc<Self>, arguments: &Arguments) -> Vec<Trial> {
        // A process for one trial runs no more than that one needs.
        let alone = arguments.exact && !arguments.list && arguments.filter.is_some();
        let trial = |case: &Case| {
            let (suite, case) = (Arc::clone(&self), case.clone());
            let name = case.to_string();
            Trial::ignorable_test(name, move || {
                let ended = if alone { suite.alone(&case)? } else { suite.looked_up(&case)? };
                suite.completion(ended)
            })
        };
        let flow = |flow: Flow| {
            let suite = Arc::clone(&self);
            Trial::ignorable_test(flow.to_string(), move || {
                let ended = if alone { suite.flow_alone(&flow)? } else { flow.ended(suite.report()?) };
                suite.completion(ended)
            })
        };
        let mut trials: Vec<Trial> = self.cases.iter().map(trial).collect();
        trials.extend(flows(&self.contract).into_iter().map(flow));
        // A process that runs its own part only tells nothing of a whole run, unless it is asked to.
        let whole = |trial: Trial| trial.with_ignored_flag(std::env::var_os(PROCESS_EACH).is_some());
        let suite = Arc::clone(&self);
        trials.push(whole(Trial::test(WHOLE, move || {
            let report = suite.report()?;
            let mut told = unheard(&suite.contract, report, &suite.cases);
            if suite.judges_everything() {
                told.extend(idle(report).into_iter().map(|check| format!("the check `{check}` judged nothing")));
            }
            if told.is_empty() { Ok(()) } else { Err(told.join("\n").into()) }
        })));
        if self.snapshots.is_some() {
            let told = |told: Vec<&str>| if told.is_empty() { Ok(()) } else { Err(Failed::from(told.join("\n"))) };
            for name in self.snapshots_each() {
                let suite = Arc::clone(&self);
                trials.push(Trial::test(format!("snapshot::{}", name.replace('/', "::")), move || {
                    told(unreviewed(suite.report()?).into_iter().filter(|line| is_about(line, &name)).collect())
                }));
            }
            trials.push(whole(Trial::test(REVIEWED, move || {
                let known = self.snapshots_each();
                let others = |line: &&str| !known.iter().any(|name| is_about(line, name));
                told(unreviewed(self.report()?).into_iter().filter(others).collect())
            })));
        }
        trials
    }

    /// The snapshots that have a trial of their own: each, if all of them are sure to be looked at, and by a run that is not
    /// repeated for each.
    fn snapshots_each(&self) -> Vec<String> {
        let folder = self.snapshots.as_deref().filter(|_| self.is_whole() && std::env::var_os(PROCESS_EACH).is_none());
        // What cannot be read is told when it is compared with.
        folder.and_then(|folder| reviewed(folder).ok()).unwrap_or_default()
    }

    /// Whether the run sends everything of its profile, and that is enough to see each outcome.
    fn is_whole(&self) -> bool {
        let run = &self.settings.run;
        run.profile.unwrap_or_default() != Profile::Quick && run.budget.is_none() && run.partition.is_none()
    }

    /// Whether the run is one in which every check has something to judge.
    fn judges_everything(&self) -> bool {
        self.settings.target.target.is_none() && self.is_whole() && self.settings.run.mode.is_none_or(|mode| mode == Mode::Exclusive)
    }

    fn completion(&self, ended: Ended) -> Result<Completion, Failed> {
        match ended {
            Ended::Passed => Ok(Completion::Completed),
            Ended::Failed(why) => Err(why.into()),
            Ended::Untested(why) if self.denies => Err(format!("untestable: {why}").into()),
            Ended::Warned(why) | Ended::Untested(why) => Ok(Completion::ignored_with(why)),
        }
    }

    /// The verdict of the run that all trials share.
    fn looked_up(&self, case: &Case) -> Result<Ended, Failed> {
        let report = self.report()?;
        let stale = self.waivers.about(&case.requirement, &case.operation).find(|waiver| {
            let told = format!("stale waiver: {}: ", waiver.place);
            report.errors.iter().any(|error| error.starts_with(&told))
        });
        Ok(match stale {
            Some(waiver) => stale_waiver(waiver),
            None => ended(&self.contract, report, case),
        })
    }

    fn report(&self) -> Result<&Report, Failed> {
        self.report.get_or_init(|| self.run(None)).as_ref().map_err(Into::into)
    }

    fn run(&self, portion: Option<Portion>) -> Result<Report, String> {
        let faults = super::serve::faults(&self.faults).map_err(|failure| failure.to_string())?;
        let snapshots = self.snapshots.clone().filter(|_| portion.is_none());
        let wish = Wish { faults, portion, snapshots, quiet: self.settings.run.out.is_none(), ..Wish::default() };
        session::block_on(session::run(&self.settings, wish)).map_err(|failure| failure.to_string())
    }

    /// The verdict of the smallest part of the plan that judges the case.
    fn alone(&self, case: &Case) -> Result<Ended, Failed> {
        let named = |pattern: &str| !pattern.contains('*');
        let awaited = self
            .waivers
            .about(&case.requirement, &case.operation)
            .find(|waiver| !waiver.sometimes && named(waiver.requirement.get_ref()) && named(waiver.operation.get_ref()));
        let mut last = Ended::Untested("nothing that can be sent to this target judges it -> use `--mode exclusive`".into());
        for portion in case.portions(&self.contract) {
            let Some(report) = self.part(portion)? else { continue };
            match ended(&self.contract, &report, case) {
                Ended::Passed if awaited.is_none() || is_waived(&self.contract, &report, case) => return Ok(Ended::Passed),
                Ended::Failed(why) => return Ok(Ended::Failed(why)),
                Ended::Warned(why) => return Ok(Ended::Warned(why)),
                seen => last = seen,
            }
        }
        Ok(match (awaited, last) {
            (Some(waiver), Ended::Passed) => stale_waiver(waiver),
            (_, last) => last,
        })
    }

    /// The verdict of the sequences of a flow.
    fn flow_alone(&self, flow: &Flow) -> Result<Ended, Failed> {
        Ok(match self.part(flow.portion())? {
            Some(report) => flow.ended(&report),
            None => Ended::Untested("nothing of it can be sent to this target -> use `--mode exclusive`".into()),
        })
    }

    /// What a part of the plan shows; nothing if nothing of it can be run there.
    fn part(&self, portion: Portion) -> Result<Option<Report>, Failed> {
        let report = match self.run(Some(portion)) {
            Ok(report) => report,
            Err(why) if why.starts_with("nothing to run") => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let told = unheard(&self.contract, &report, &self.cases);
        if told.is_empty() { Ok(Some(report)) } else { Err(told.join("\n").into()) }
    }
}

fn stale_waiver(waiver: &Waiver) -> Ended {
    Ended::Failed(format!("stale waiver: {}", waiver.outlived()))
}
