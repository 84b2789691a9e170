//! One run from settings to report: the target or the embedded reference, signals, budget, the run's folder.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng as _;
use url::Url;

use super::Failure;
use super::progress::{self, Volume};
use super::settings::{Budget, Format, ProviderAddress, Settings};
use super::watchers::{Recorders, both, counted, logged};
use crate::check::{WaiverError, Waivers};
use crate::clock::{Clock as _, SkippingClock, SystemClock};
use crate::contract::{Contract, Files, Version};
use crate::engine::{self, Limits, Listener, RunError, RunOptions, Time, Waits};
use crate::model::wire::Request;
use crate::plan::{Built, Plan, Portion, Profile};
use crate::reference::{Fault, Reference, ReferenceOptions, Running};
use crate::report::html::Material;
use crate::report::{self, Circumstances, Report, Reproduction, RunVerdict, TargetKind, assemble, plan_text};
use crate::snapshots;
use crate::target::{AdminCredentials, Channel, ChannelKind, ChannelOptions, Client, ClientOptions, Mode, Provider, SecretRegister};

/// What a command wants of a run besides the settings.
#[derive(Default)]
pub struct Wish {
    /// Patterns of sequences or operations.
    pub only: Vec<String>,
    /// Runs this plan.
    pub plan: Option<Plan>,
    /// Plans no more than this part.
    pub portion: Option<Portion>,
    /// Compares the outcomes seen with the reviewed ones of this folder.
    pub snapshots: Option<PathBuf>,
    /// Faults of the embedded reference.
    pub faults: Vec<Fault>,
    /// Looks at what deviates after every few sequences.
    pub impatient: bool,
    /// Ends the run when it is set.
    pub stop: Arc<AtomicBool>,
    /// Told what happens, besides the terminal.
    pub listener: Option<Listener>,
    /// Shows no progress and keeps nothing on disk.
    pub quiet: bool,
    /// How much is said.
    pub volume: Volume,
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    SystemClock.now_ms()
}

/// Today as waivers count it.
pub fn today() -> String {
    crate::model::time::iso(now()).chars().take(10).collect()
}

fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(LETTERS[(rng.next_u32() as usize) % LETTERS.len()])).collect()
}

/// Runs, reports into the run's folder, and gives the report back.
pub async fn run(settings: &Settings, wish: Wish) -> Result<Report, Failure> {
    let run = random_text(8);
    let secrets = SecretRegister::new();
    let remote = settings.target.client_options();
    let mode = settings.run.mode.unwrap_or(if remote.is_some() { Mode::Isolated } else { Mode::Exclusive });
    let profile = settings.run.profile.unwrap_or_default();
    let clock = Arc::new(SkippingClock::default());
    let (client, credentials, reference) = if let Some(options) = remote {
        (options, settings.target.credentials()?, None)
    } else {
        let (options, credentials, running) = embedded(settings, wish.faults, Arc::clone(&clock)).await?;
        (options, credentials, Some(running))
    };
    let waits = match &reference {
        Some(_) => Waits::Skipping,
        None if settings.run.allow_waits.unwrap_or_default() => Waits::Really,
        None => Waits::Never,
    };
    guard(&client, &secrets);
    if client.insecure {
        let warning = "warning: --insecure accepts any certificate; whoever stands between can read the administrator's secret";
        drop(writeln!(std::io::stderr().lock(), "{warning}"));
    }
    // What is wrong with the files is told before the target is touched.
    let waiver_files = waiver_files(settings)?;
    check_waivers(settings, &waiver_files)?;
    for path in settings.run.report.iter().filter_map(|target| target.path.as_deref()) {
        create_parent(path)?;
    }
    if let Some(wait) = settings.run.wait {
        wait_for(&client, wait).await?;
    }
    let out = settings.run.out.clone().unwrap_or_else(|| PathBuf::from("conformance-out").join(&run));
    let out = (!wish.quiet).then_some(out);
    if let Some(out) = &out {
        without_ledger(out)?;
        create_dir(&out.join("findings"))?;
    }
    let provider = provider(settings.target.provider.as_ref(), mode, reference.is_some()).await?;
    let channel = channel(settings.target.channel.as_ref(), mode, reference.is_some(), &secrets).await?;
    let stop = Arc::clone(&wish.stop);
    let hurry = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch(Arc::clone(&stop), Arc::clone(&hurry)));
    let longest = match settings.run.budget {
        Some(Budget::Time(time)) => Some(time),
        _ => None,
    };
    let volume = Volume { quiet: wish.quiet || wish.volume.quiet, ..wish.volume };
    let listener = counted(both(progress::shown(volume, &secrets), wish.listener), settings.run.budget, &stop);
    let listener = logged(listener, settings.run.log.as_deref(), &secrets)?;
    let recorders = Recorders::begin(recordings(settings, out.as_deref()), &secrets)?;
    let kind = if reference.is_some() { TargetKind::Embedded } else { TargetKind::Remote };
    let options = RunOptions {
        client: client.clone(),
        credentials,
        mode,
        channel,
        provider,
        profile,
        seed: settings.run.seed.unwrap_or(1),
        jobs: settings.run.jobs.unwrap_or(8),
        version: settings.contract.contract.or_else(|| reference.is_some().then_some(Version::NEWEST)),
        specs: Files::embedded(),
        only: wish.only.clone(),
        plan: wish.plan.clone(),
        portion: wish.portion.clone(),
        // What is chosen by hand is not shared out.
        partition: settings.run.partition.filter(|_| wish.plan.is_none() && wish.portion.is_none()),
        impatient: wish.impatient,
        exemplars: wish.snapshots.is_some(),
        waivers: Arc::new(move |contract| waivers(&waiver_files, contract, kind)),
        run,
        secret: random_text(24),
        ledger: out.as_ref().map(|out| out.join("ledger.jsonl")),
        secrets: secrets.clone(),
        time: Time::new(clock, waits).within(Limits::new(longest, hurry).queueing(settings.run.wait.unwrap_or_default())),
        stop: Arc::clone(&stop),
        listener: recorders.hear(listener),
    };
    let result = Box::pin(engine::run(options)).await;
    watch.abort();
    let recorded = recorders.finish();
    let result = result.map_err(|error| failure(error, &secrets, out.as_deref()))?;
    recorded?;
    let circumstances = Circumstances {
        endpoint: client.endpoint.to_string(),
        kind,
        profile: profile.to_string(),
        mode: match mode {
            Mode::ReadOnly => report::Mode::ReadOnly,
            Mode::Isolated => report::Mode::Isolated,
            Mode::Exclusive => report::Mode::Exclusive,
        },
        strict: settings.run.strict.unwrap_or_default(),
        whole: profile != Profile::Quick && wish.only.is_empty() && wish.plan.is_none() && wish.portion.is_none(),
        allow_untestable: settings.run.allow_untestable.clone(),
        out: out.as_ref().map(|out| out.display().to_string()),
    };
    let (report, reproductions) = assemble(&result, &circumstances);
    let mut report = report.masked(|text| secrets.redact(text));
    if let Some(folder) = &wish.snapshots {
        let whole = circumstances.whole && result.partition.is_none() && !result.stopped;
        compare(folder, &result, whole, &secrets, &mut report)?;
    }
    if let Some(out) = &out {
        keep(out, &report, &reproductions)?;
        for target in &settings.run.report {
            let Some((name, text)) = render(target.format, &report, &result, &reproductions) else { continue };
            write(&target.path.clone().unwrap_or_else(|| out.join(name)), &text)?;
        }
    }
    if let Some(reference) = reference {
        reference.shutdown().await.map_err(|error| Failure::Internal(error.to_string()))?;
    }
    Ok(report)
}

/// Registers the secrets in the way to a target.
fn guard(client: &ClientOptions, secrets: &SecretRegister) {
    for header in &client.extra_headers {
        secrets.register(&header.1);
    }
    if let Some(password) = client.proxy.as_ref().and_then(Url::password) {
        secrets.register(password);
        secrets.register(percent_encoding::percent_decode_str(password).decode_utf8_lossy());
    }
}

/// A target as a run would find it, for a look at it; the reference, if it is the embedded one.
pub async fn examined(settings: &Settings) -> Result<(RunOptions, Option<Running>), Failure> {
    let secrets = SecretRegister::new();
    let remote = settings.target.client_options();
    let mode = settings.run.mode.unwrap_or(if remote.is_some() { Mode::Isolated } else { Mode::Exclusive });
    let clock = Arc::new(SkippingClock::default());
    let (client, credentials, reference) = if let Some(options) = remote {
        (options, settings.target.credentials()?, None)
    } else {
        let (options, credentials, running) = embedded(settings, Vec::new(), Arc::clone(&clock)).await?;
        (options, credentials, Some(running))
    };
    guard(&client, &secrets);
    if let Some(wait) = settings.run.wait {
        wait_for(&client, wait).await?;
    }
    let channel = channel(settings.target.channel.as_ref(), mode, reference.is_some(), &secrets).await?;
    let options = RunOptions {
        channel,
        profile: Profile::Quick,
        version: settings.contract.contract.or_else(|| reference.is_some().then_some(Version::NEWEST)),
        secrets,
        time: Time::new(clock, Waits::Never),
        ..RunOptions::new(client, credentials, mode, random_text(8), random_text(24))
    };
    Ok((options, reference))
}

/// Compares what was seen with reviewed snapshots; differences count as deviations.
fn compare(folder: &Path, result: &engine::RunResult, whole: bool, secrets: &SecretRegister, report: &mut Report) -> Result<(), Failure> {
    let documents = snapshots::documents(&result.contract, &result.exemplars, &|text| secrets.redact(text));
    let comparison = snapshots::compare(folder, &documents, whole)
        .map_err(|error| Failure::Usage(format!("failed to compare with the snapshots of {}: {error}", folder.display())))?;
    report.errors.extend(comparison.lines());
    if !comparison.agrees() {
        report.set_verdict(RunVerdict::worst([report.verdict, RunVerdict::Deviating]));
    }
    Ok(())
}

/// What a run of the embedded reference would send.
pub async fn planned(settings: &Settings, profile: Profile, seed: u64) -> Result<Built, Failure> {
    let clock = Arc::new(SkippingClock::default());
    let (client, credentials, reference) = embedded(settings, Vec::new(), Arc::clone(&clock)).await?;
    let secrets = SecretRegister::new();
    let options = RunOptions {
        channel: channel(None, Mode::Exclusive, true, &secrets).await?,
        provider: provider(None, Mode::Exclusive, true).await?,
        profile,
        seed,
        version: Some(settings.contract.or_newest()),
        secrets: secrets.clone(),
        time: Time::new(clock, Waits::Skipping),
        ..RunOptions::new(client, credentials, Mode::Exclusive, random_text(8), random_text(24))
    };
    let built = engine::plan(&options).await.map_err(|error| failure(error, &secrets, None));
    reference.shutdown().await.map_err(|error| Failure::Internal(error.to_string()))?;
    built
}

fn failure(error: RunError, secrets: &SecretRegister, out: Option<&Path>) -> Failure {
    match error {
        RunError::Spec(error) => Failure::from(error),
        RunError::Waiver(error) => Failure::from(error),
        RunError::Unreachable(text) => Failure::Unreachable(secrets.redact(&text)),
        RunError::Incomplete(text) => Failure::Incomplete(secrets.redact(&text)),
        RunError::Residue(text) => {
            let ledger = out.map_or_else(String::new, |out| out.join("ledger.jsonl").display().to_string());
            Failure::Residue(format!("{}\n  help: logto-conformance restore {ledger}", secrets.redact(&text)))
        }
        RunError::Internal(text) => Failure::Internal(secrets.redact(&text)),
    }
}

async fn embedded(
    settings: &Settings,
    faults: Vec<Fault>,
    clock: Arc<SkippingClock>,
) -> Result<(ClientOptions, AdminCredentials, Running), Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let options = ReferenceOptions { faults, clock, ..ReferenceOptions::new(contract) };
    let running = Reference::start(options).await.map_err(|error| Failure::Internal(format!("the reference does not start: {error}")))?;
    let endpoint = Url::parse(&running.endpoint).map_err(|error| Failure::Internal(error.to_string()))?;
    let credentials = AdminCredentials {
        client_id: running.client_id.clone(),
        client_secret: running.client_secret.clone(),
        resource: running.resource.clone(),
    };
    Ok((ClientOptions::new(endpoint), credentials, running))
}

/// Opens the channel that is asked for; without a word, one to the embedded reference, where it can be used.
async fn channel(
    asked: Option<&ChannelKind>,
    mode: Mode,
    embedded: bool,
    secrets: &SecretRegister,
) -> Result<Option<Arc<Channel>>, Failure> {
    let own = || (embedded && mode == Mode::Exclusive).then(ChannelKind::local_webhook);
    // What only reads makes nobody send anything.
    let Some(kind) = asked.cloned().or_else(own).filter(|_| mode != Mode::ReadOnly) else { return Ok(None) };
    if kind.needs_connectors() && mode != Mode::Exclusive {
        return Err(Failure::Usage(format!(
            "`--channel {kind}` takes the place of the tenant's own connectors, and the mode is {mode}\n  help: use `--mode exclusive`, or \
             a channel behind the target's own connectors: mailpit, file or command"
        )));
    }
    if embedded && matches!(kind, ChannelKind::Smtp { .. }) {
        return Err(Failure::Usage(format!(
            "the embedded reference sends no mail over `--channel {kind}`\n  help: use `--channel webhook`, which is its default"
        )));
    }
    let options = ChannelOptions { kind, secrets: secrets.clone() };
    let channel = Channel::open(&options).await.map_err(|error| Failure::Usage(secrets.redact(&error.to_string())))?;
    Ok(Some(Arc::new(channel)))
}

/// Starts the identity provider that is asked for; without a word, one for the embedded reference.
async fn provider(asked: Option<&ProviderAddress>, mode: Mode, embedded: bool) -> Result<Option<Arc<Provider>>, Failure> {
    let own = || embedded.then(ProviderAddress::local);
    // Connectors to it are settings of the whole tenant.
    let Some(address) = asked.cloned().or_else(own).filter(|_| mode == Mode::Exclusive) else { return Ok(None) };
    let provider = Provider::start(address.bind, address.public).await.map_err(|error| {
        Failure::Usage(format!(
            "the identity provider cannot listen on {}: {error}\n  help: give another address with --provider",
            address.bind
        ))
    })?;
    Ok(Some(Arc::new(provider)))
}

/// The given waiver files: names and texts.
pub fn waiver_files(settings: &Settings) -> Result<Vec<(String, String)>, Failure> {
    settings.waivers.waivers.iter().map(|path| Ok((path.display().to_string(), Waivers::text(path)?))).collect()
}

/// The given waivers; without any, for a remote target, those that come with the program.
pub fn waivers(files: &[(String, String)], contract: &Contract, kind: TargetKind) -> Result<Waivers, WaiverError> {
    if files.is_empty() {
        return if kind == TargetKind::Embedded {
            Ok(Waivers::default())
        } else {
            super::inspect::shipped_waivers(contract, &today()).map(Waivers::as_a_precaution)
        };
    }
    let mut all = Waivers::default();
    for (name, text) in files {
        all.extend(Waivers::parse(name, text, contract, &today())?);
    }
    Ok(all)
}

/// Fails when a given waiver file fits no version of the contract that the target may turn out to have.
fn check_waivers(settings: &Settings, files: &[(String, String)]) -> Result<(), Failure> {
    let versions = settings.contract.contract.map_or_else(|| Version::KNOWN.to_vec(), |version| vec![version]);
    for (name, text) in files {
        let mut last = Ok(());
        for version in &versions {
            let contract = Contract::embedded(*version)?;
            last = Waivers::parse(name, text, &contract, &today()).map(drop);
            if last.is_ok() {
                break;
            }
        }
        last?;
    }
    Ok(())
}

/// Waits until something answers at the endpoint.
async fn wait_for(options: &ClientOptions, longest: Duration) -> Result<(), Failure> {
    let client = Client::new(options.clone()).map_err(|error| Failure::Usage(error.to_string()))?;
    let end = tokio::time::Instant::now() + longest;
    loop {
        match client.send(&Request::new("GET", "/api/status")).await {
            Ok(answer) if answer.status < 500 => return Ok(()),
            Ok(answer) if tokio::time::Instant::now() >= end => {
                return Err(Failure::Unreachable(format!("after {} s the target still answers {}", longest.as_secs(), answer.status)));
            }
            Err(error) if tokio::time::Instant::now() >= end => {
                return Err(Failure::Unreachable(format!("after {} s: {error}", longest.as_secs())));
            }
            _ => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

/// Ends the run on the first signal, and its clean-up on the second.
async fn watch(stop: Arc<AtomicBool>, hurry: Arc<AtomicBool>) {
    let mut signals = Signals::new();
    signals.next().await;
    stop.store(true, Ordering::Relaxed);
    drop(writeln!(std::io::stderr().lock(), "ending the run and putting everything back; a second signal leaves that to `restore`"));
    signals.next().await;
    hurry.store(true, Ordering::Relaxed);
}

/// The next signal that asks the program to end.
pub async fn signal() {
    Signals::new().next().await;
}

/// The signals that ask the program to end, in order.
struct Signals {
    #[cfg(unix)]
    kinds: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { kinds: signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()) }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        let Some((interrupt, terminate)) = &mut self.kinds else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}

/// Where the exchanges go, if they are asked for and the run keeps anything.
fn recordings(settings: &Settings, out: Option<&Path>) -> Vec<PathBuf> {
    let Some(out) = out else { return Vec::new() };
    let asked = settings.run.report.iter().filter(|target| target.format == Format::Har);
    asked.map(|target| target.path.clone().unwrap_or_else(|| out.join("exchanges.har"))).collect()
}

/// A report as text, with the name of its file; exchanges are written while the run goes on.
fn render(
    format: Format,
    report: &Report,
    result: &engine::RunResult,
    reproductions: &BTreeMap<String, Reproduction>,
) -> Option<(&'static str, String)> {
    let file = match format {
        Format::Json => ("report.json", report::json::render(report)),
        Format::Junit => ("junit.xml", report::junit::render(report)),
        Format::Markdown => ("summary.md", report::markdown::render(report)),
        Format::Html => {
            let scripts = reproductions.iter().filter_map(|(id, shown)| Some((id.clone(), shown.script.clone()?))).collect();
            ("report.html", report::html::render(report, &Material { scripts, ..Material::of(&result.contract) }))
        }
        Format::Plan => ("plan.json", plan_text(&result.plan)),
        Format::Har => return None,
    };
    Some(file)
}

fn keep(out: &Path, report: &Report, reproductions: &BTreeMap<String, Reproduction>) -> Result<(), Failure> {
    write(&out.join("report.json"), &report::json::render(report))?;
    for (id, reproduction) in reproductions {
        let file = out.join("findings").join(id);
        write(&file.with_extension("json"), &plan_text(&reproduction.plan))?;
        if let Some(script) = &reproduction.script {
            write(&file.with_extension("sh"), script)?;
        }
    }
    Ok(())
}

/// A ledger may be all that is known of what another run left behind: nothing is written over it.
fn without_ledger(out: &Path) -> Result<(), Failure> {
    let ledger = out.join("ledger.jsonl");
    if !ledger.exists() {
        return Ok(());
    }
    let remedy = format!("choose another folder with --out, or remove this one after `logto-conformance restore {}`", ledger.display());
    Err(Failure::Usage(format!("{} holds the ledger of another run\n  help: {remedy}", out.display())))
}

fn create_dir(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path)
        .map_err(|error| Failure::Usage(format!("failed to create {}: {error}\n  help: choose another folder with --out", path.display())))
}

pub fn create_parent(path: &Path) -> Result<(), Failure> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), create_dir)
}

pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    create_parent(path)?;
    std::fs::write(path, text).map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))
}

/// A runtime for one command.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| Failure::Internal(error.to_string()))?;
    let result = runtime.block_on(future);
    // What still computes, such as a plan that nobody waits for any more, does not hold the program up.
    runtime.shutdown_background();
    result
}

/// How the terminal wants its text.
pub fn style(volume: Volume) -> report::terminal::Style {
    let stdout = std::io::stdout();
    // A value that is empty counts as none: https://no-color.org
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let width = terminal_size::terminal_size_of(&stdout).map_or(0, |(terminal_size::Width(width), _)| usize::from(width));
    report::terminal::Style { colour: stdout.is_terminal() && wanted, width, verbosity: volume.verbosity() }
}

/// Prints the result of a run and says how it ended.
pub fn show(report: &Report, volume: Volume) -> Result<RunVerdict, Failure> {
    super::print(&report::terminal::render(report, &style(volume)))?;
    super::github::tell(report)?;
    Ok(report.verdict)
}
