//! One run: read the target, plan, execute epoch by epoch, confirm, put everything back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;

use super::confirm::{Confirmation, confirm};
use super::event::{Event, Listener};
use super::execute::{Context, Judged, Sighted, Trace};
use super::facts::{detect_version, read_facts};
use super::reduce::Slice;
use super::stage::Stage;
use super::time::Time;
use crate::contract::{Contract, Files, Outcome, SpecError, Version};
use crate::model::wire::{Answer, Request};
use crate::plan::{Built, Coverage, Epoch, Facts, OVERLONG_ID, Plan, Portion, Profile, Sequence, Settings, UNUSED_ID, build};
use crate::target::{
    AdminCredentials, Channel, Client, ClientOptions, ConnectError, Gate, Header, Ledger, MintError, Mode, Provider, SecretRegister, Wants,
    cleanup, connect, namespace, provision,
};

/// What a run is to do.
#[derive(Clone)]
pub struct RunOptions {
    /// How to reach the target.
    pub client: ClientOptions,
    /// The machine application with the Management API role.
    pub credentials: AdminCredentials,
    /// What may be done to the target.
    pub mode: Mode,
    /// Where the messages that the target sends reach us; its connectors are set up for the run.
    pub channel: Option<Arc<Channel>>,
    /// An identity provider that the target can reach.
    pub provider: Option<Arc<Provider>>,
    /// How much to plan.
    pub profile: Profile,
    /// Seed of the plan.
    pub seed: u64,
    /// Sequences side by side.
    pub jobs: usize,
    /// Version of the contract; detected when not given.
    pub version: Option<Version>,
    /// Specification texts.
    pub specs: Files,
    /// Only sequences or operations that fit one of these patterns; all when empty.
    pub only: Vec<String>,
    /// Runs this plan instead of building one.
    pub plan: Option<Plan>,
    /// Plans no more than this part.
    pub portion: Option<Portion>,
    /// Keeps an exchange of each outcome of each operation.
    pub exemplars: bool,
    /// Name of the run: lower-case letters and digits.
    pub run: String,
    /// Makes the passwords of the run's users; never written anywhere.
    pub secret: String,
    /// Where the ledger lies; in memory when absent.
    pub ledger: Option<PathBuf>,
    /// Every secret of the run.
    pub secrets: SecretRegister,
    /// What time it is, and whether sequences may wait.
    pub time: Time,
    /// Set from outside to end the run early.
    pub stop: Arc<AtomicBool>,
    /// Told what happens.
    pub listener: Listener,
}

/// Why a run brought no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The contract is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The target does not answer, or refuses the credentials.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing can be tested as things are.
    #[error("{0}")]
    Incomplete(String),
    /// Nothing was tested, and something that was changed could not be put back.
    #[error("{0}")]
    Residue(String),
    /// Our own fault.
    #[error("{0}")]
    Internal(String),
}

/// Counts of one operation.
#[derive(Debug, Clone, Default)]
pub struct OperationTally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Admitted outcomes seen.
    pub outcomes: BTreeMap<String, u64>,
}

/// An exchange that shows an outcome of an operation.
#[derive(Debug, Clone)]
pub struct Exemplar {
    /// The operation.
    pub operation: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether a guard that the whole collection shares refused it.
    pub shared: bool,
    /// What was sent.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
    /// What the symbols of its sequence stood for.
    pub symbols: BTreeMap<String, String>,
}

/// A confirmed or flaky deviation.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it showed first.
    pub sighted: Sighted,
    /// Its replays.
    pub confirmation: Confirmation,
    /// Steps of the sequence it showed in.
    pub reduced_from: usize,
    /// How often it showed in the run.
    pub seen: u64,
    /// The settings it showed under.
    pub settings: Option<Settings>,
}

/// Everything a run found out.
#[derive(Debug)]
pub struct RunResult {
    /// The contract that was checked.
    pub contract: Contract,
    /// The plan.
    pub plan: Plan,
    /// Sequences left out because settings may not be changed.
    pub left_out: Vec<String>,
    /// What the plan reaches of the coverage goal; of a whole plan only.
    pub coverage: Option<Coverage>,
    /// Requests sent.
    pub requests: u64,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// Counts by operation.
    pub operations: BTreeMap<String, OperationTally>,
    /// Passes, failures and abstentions by check.
    pub checks: BTreeMap<String, (u64, u64, u64)>,
    /// Evidence by requirement and operation.
    pub evidence: BTreeMap<(String, String), u64>,
    /// Reasons for abstaining, by check.
    pub abstentions: BTreeMap<(String, String), u64>,
    /// The first exchange of each outcome of each operation, in the order of the plan; none unless asked for.
    pub exemplars: Vec<Exemplar>,
    /// Deviations.
    pub found: Vec<Found>,
    /// Our own trouble.
    pub troubles: Vec<String>,
    /// What could not be put back.
    pub residue: Vec<String>,
    /// The run was ended early.
    pub stopped: bool,
}

/// A target that lets the administrator in.
struct Opened {
    gate: Gate,
    admin: String,
    machine: String,
    contract: Contract,
}

async fn open(options: &RunOptions) -> Result<Opened, RunError> {
    let client = Client::new(options.client.clone()).map_err(|error| RunError::Unreachable(error.to_string()))?;
    let endpoint = options.client.endpoint.to_string();
    let header = Header { run: options.run.clone(), endpoint, started: crate::model::time::iso(options.time.now()) };
    let ledger = match &options.ledger {
        Some(path) => Ledger::create(path, &header).map_err(|error| RunError::Internal(error.to_string()))?,
        None => Ledger::in_memory(),
    };
    options.secrets.register(&options.credentials.client_secret);
    if let Some(provider) = &options.provider {
        options.secrets.register(provider.secret());
    }
    let gate = Gate::new(client, options.mode, ledger, options.secrets.clone(), namespace(&options.run));
    gate.declare_unused(UNUSED_ID);
    gate.declare_unused(OVERLONG_ID);
    let admin = options.credentials.mint_admin(&gate, Some("all")).await.map_err(|error| unreachable(&error))?.access_token;
    let machine = options.credentials.mint_admin(&gate, None).await.map_err(|error| unreachable(&error))?.access_token;
    let version = match options.version {
        Some(version) => version,
        None => detect_version(&gate, &admin).await?,
    };
    let contract = Contract::from_files(&options.specs, version)?;
    if options.mode == Mode::ReadOnly {
        return Err(RunError::Incomplete(
            "every planned sequence makes a user of its own, which `--mode read-only` forbids; use `--mode isolated`".into(),
        ));
    }
    Ok(Opened { gate, admin, machine, contract })
}

/// Sets the connectors of the channel up.
async fn set_up(options: &RunOptions, opened: &Opened) -> Result<(), RunError> {
    let connectors = options.channel.as_ref().map(|channel| channel.connectors()).unwrap_or_default();
    connect(&opened.gate, &opened.admin, &connectors).await.map_err(unconnected)
}

/// Puts everything back; what could not be.
async fn put_back(options: &RunOptions, opened: &Opened) -> Vec<String> {
    (options.listener)(&Event::CleaningUp);
    // The token may have aged; whatever was revoked or suspended, the administrator can always be minted anew.
    let token = options.credentials.mint_admin(&opened.gate, Some("all")).await;
    let token = token.map_or_else(|_| opened.admin.clone(), |token| token.access_token);
    cleanup(&opened.gate, &token, &opened.gate.ledger().records()).await.residue
}

/// What came of something, unless it left something behind and brought nothing.
fn settled<T>(result: Result<T, RunError>, residue: &[String]) -> Result<T, RunError> {
    result.map_err(|error| if residue.is_empty() { error } else { with_residue(error, residue) })
}

/// Plans a run without running it.
///
/// # Errors
///
/// When the target does not answer or refuses the credentials, when the contract is wrong, and when nothing fits.
pub async fn plan(options: &RunOptions) -> Result<Built, RunError> {
    let opened = open(options).await?;
    let prepared = match set_up(options, &opened).await {
        Ok(()) => prepare(options, &opened).await,
        Err(error) => Err(error),
    };
    let residue = put_back(options, &opened).await;
    settled(prepared, &residue).map(|prepared| prepared.built)
}

/// Runs against a target.
pub async fn run(options: RunOptions) -> Result<RunResult, RunError> {
    let begun = Instant::now();
    let opened = open(&options).await?;
    let result = match set_up(&options, &opened).await {
        Ok(()) => test(&options, &opened).await,
        Err(error) => Err(error),
    };
    let residue = put_back(&options, &opened).await;
    let Tested { contract, built, requests, board } = settled(result, &residue)?;
    Ok(RunResult {
        contract,
        plan: built.plan,
        left_out: built.left_out,
        coverage: built.coverage,
        requests,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        operations: board.operations,
        checks: board.checks,
        evidence: board.evidence,
        abstentions: board.abstentions,
        exemplars: board.exemplars,
        found: board.found,
        troubles: board.troubles,
        residue,
        stopped: options.stop.load(Ordering::Relaxed),
    })
}

/// What a run starts from.
struct Prepared {
    gate: Gate,
    contract: Contract,
    facts: Facts,
    built: Built,
}

/// Asks the target what it says of itself, and plans.
async fn prepare(options: &RunOptions, opened: &Opened) -> Result<Prepared, RunError> {
    let facts = read_facts(&opened.gate, &opened.admin, options).await?;
    let gate = opened.gate.clone().with_channel(&facts.channels);
    let mut contract = opened.contract.clone();
    if let Some(published) = &facts.published {
        contract.adopt(published);
    }
    let built = match &options.plan {
        Some(plan) => Built { plan: Plan { facts: facts.clone(), ..plan.clone() }, left_out: Vec::new(), coverage: None },
        None if let Some(portion) = &options.portion => {
            Built { plan: portion.plan(&contract, &facts, options.seed), left_out: Vec::new(), coverage: None }
        }
        None => build(&contract, &facts, options.seed, options.profile, &options.only),
    };
    if built.plan.epochs.is_empty() {
        return Err(RunError::Incomplete("nothing to run: no planned sequence fits the target's settings, the mode and `--only`".into()));
    }
    Ok(Prepared { gate, contract, facts, built })
}

/// What was planned and came of it.
struct Tested {
    contract: Contract,
    built: Built,
    requests: u64,
    board: Board,
}

/// Reads the target, plans, and executes. Whatever this ends with, what it made is in the ledger.
async fn test(options: &RunOptions, opened: &Opened) -> Result<Tested, RunError> {
    let Prepared { gate, contract, facts, built } = prepare(options, opened).await?;
    announce_plan(&options.listener, &built);
    let mut board = Board::default();
    let mut requests = 0;
    match provision(&gate, &opened.admin, &options.run, Wants { first_party: true, third_party: facts.can_sign_in }).await {
        Err(error) => board.troubles.push(format!("provisioning: {error}")),
        Ok(provisioned) => {
            let mut globals = vec![
                ("admin.token".to_owned(), opened.admin.clone()),
                ("machine.token".to_owned(), opened.machine.clone()),
                ("resource".to_owned(), options.credentials.resource.clone()),
                ("origin".to_owned(), options.client.endpoint.origin().ascii_serialization()),
            ];
            let client = |name: &str, id: &str, secret: &str| {
                vec![
                    (format!("{name}.id"), id.to_owned()),
                    (format!("{name}.secret"), secret.to_owned()),
                    (format!("{name}.basic"), STANDARD.encode(format!("{id}:{secret}"))),
                    (format!("{name}.wrong"), STANDARD.encode(format!("{id}:lc-wrong-secret"))),
                ]
            };
            if let Some(provider) = &options.provider {
                globals.push(("provider.url".to_owned(), provider.issuer().to_owned()));
                globals.push(("provider.secret".to_owned(), provider.secret().to_owned()));
            }
            globals.extend(client("admin", &options.credentials.client_id, &options.credentials.client_secret));
            for (name, oidc) in [("first", &provisioned.first_party), ("third", &provisioned.third_party)] {
                if let Some(oidc) = oidc {
                    globals.extend(client(name, &oidc.client_id, oidc.client_secret.as_deref().unwrap_or_default()));
                }
            }
            let context = Arc::new(Context {
                contract: contract.clone(),
                gate: gate.clone(),
                facts: facts.clone(),
                run: options.run.clone(),
                secret: options.secret.clone(),
                globals,
                first: provisioned.first_party,
                third: provisioned.third_party,
                time: options.time.clone(),
                channel: options.channel.clone(),
                provider: options.provider.clone(),
                executions: AtomicU32::new(0),
                requests: AtomicU64::new(0),
                silence: AtomicU32::new(0),
                stop: Arc::clone(&options.stop),
                keeps: options.exemplars,
            });
            for (index, epoch) in built.plan.epochs.iter().enumerate() {
                if options.stop.load(Ordering::Relaxed) {
                    break;
                }
                run_epoch(&context, options, &opened.admin, index, epoch, &mut board).await;
            }
            requests = context.requests.load(Ordering::Relaxed);
        }
    }
    Ok(Tested { contract, built, requests, board })
}

/// An end without verdict that leaves something behind as well.
fn with_residue(error: RunError, residue: &[String]) -> RunError {
    let both = |text: &str| format!("{text}\nnot put back: {}", residue.join("; "));
    match error {
        RunError::Incomplete(text) | RunError::Residue(text) => RunError::Residue(both(&text)),
        RunError::Unreachable(text) => RunError::Unreachable(both(&text)),
        RunError::Internal(text) => RunError::Internal(both(&text)),
        RunError::Spec(_) => RunError::Residue(both(&error.to_string())),
    }
}

fn unconnected(error: ConnectError) -> RunError {
    match error {
        ConnectError::Gate(error) => RunError::Unreachable(error.to_string()),
        ConnectError::Vault(_) => RunError::Internal(error.to_string()),
        _ => RunError::Incomplete(format!("the channel cannot be used: {error}")),
    }
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct Board {
    operations: BTreeMap<String, OperationTally>,
    checks: BTreeMap<String, (u64, u64, u64)>,
    evidence: BTreeMap<(String, String), u64>,
    abstentions: BTreeMap<(String, String), u64>,
    exemplars: Vec<Exemplar>,
    shown: BTreeSet<(String, String)>,
    found: Vec<Found>,
    troubles: Vec<String>,
}

impl Board {
    fn add(&mut self, trace: &Trace) {
        for exchange in &trace.exchanges {
            let operation = exchange.operation.clone().unwrap_or_default();
            if exchange.operation.is_some() {
                let tally = self.operations.entry(operation.clone()).or_default();
                *tally.statuses.entry(exchange.status).or_default() += 1;
                if let Some(outcome) = &exchange.matched {
                    *tally.outcomes.entry(outcome.to_string()).or_default() += 1;
                }
            }
            self.keep(exchange, trace);
            for judgement in &exchange.judgements {
                let counts = self.checks.entry(judgement.check.to_owned()).or_default();
                match &judgement.result {
                    crate::check::Result::Pass => {
                        counts.0 += 1;
                        *self.evidence.entry((judgement.requirement.clone(), operation.clone())).or_default() += 1;
                    }
                    crate::check::Result::Fail(_) => counts.1 += 1,
                    crate::check::Result::Abstain(reason) => {
                        counts.2 += 1;
                        *self.abstentions.entry((judgement.check.to_owned(), reason.clone())).or_default() += 1;
                    }
                }
            }
        }
        self.troubles.extend(trace.troubles.iter().cloned());
    }

    /// Keeps an exchange, if it is the first of its outcome: the admitted one, or what came instead.
    fn keep(&mut self, exchange: &Judged, trace: &Trace) {
        let (Some(operation), Some((request, answer))) = (&exchange.operation, &exchange.wire) else { return };
        let deviates = exchange.judgements.iter().any(|judgement| matches!(judgement.result, crate::check::Result::Fail(_)));
        let seen = || deviates.then(|| crate::check::outcome(answer));
        let Some(outcome) = exchange.matched.clone().or_else(seen) else { return };
        let place = (operation.clone(), outcome.to_string());
        if self.shown.contains(&place) {
            return;
        }
        self.shown.insert(place);
        self.exemplars.push(Exemplar {
            operation: operation.clone(),
            outcome,
            shared: exchange.shared,
            request: request.clone(),
            answer: answer.clone(),
            symbols: trace.symbols.clone(),
        });
    }
}

async fn run_epoch(context: &Arc<Context>, options: &RunOptions, admin: &str, index: usize, epoch: &Epoch, board: &mut Board) {
    let stage = Stage { context, settings: epoch.settings.as_ref(), admin, alone: epoch.alone };
    if epoch.settings.is_some()
        && let Err(error) = stage.apply().await
    {
        board.troubles.push(format!("settings of epoch {}: {error}", index + 1));
        return;
    }
    (options.listener)(&Event::EpochStarted { index, sequences: epoch.sequences.len() });
    let jobs = if epoch.alone { 1 } else { options.jobs.max(1) };
    let settings = Arc::new(epoch.settings.clone());
    let sequences: Vec<Arc<Sequence>> = epoch.sequences.iter().cloned().map(Arc::new).collect();
    let mut running = futures_util::stream::iter(sequences.iter().cloned().enumerate())
        .map(|(place, sequence)| {
            let (context, settings, stop, admin) =
                (Arc::clone(context), Arc::clone(&settings), Arc::clone(&options.stop), admin.to_owned());
            let alone = epoch.alone;
            tokio::spawn(async move {
                if stop.load(Ordering::Relaxed) {
                    return (place, sequence, None);
                }
                let stage = Stage { context: &context, settings: settings.as_ref().as_ref(), admin: &admin, alone };
                let trace = stage.execute(&sequence).await;
                (place, sequence, Some(trace))
            })
        })
        .buffer_unordered(jobs);
    let mut traces: Vec<(usize, Arc<Sequence>, Trace)> = Vec::new();
    while let Some(finished) = running.next().await {
        match finished {
            Ok((place, sequence, Some(trace))) => {
                let deviations = trace.deviations.len();
                (options.listener)(&Event::SequenceFinished { id: sequence.id.clone(), requests: trace.exchanges.len(), deviations });
                traces.push((place, sequence, trace));
            }
            Ok(_) => {}
            Err(error) => board.troubles.push(format!("a sequence ended abnormally: {error}")),
        }
    }
    traces.sort_by_key(|(place, _, _)| *place);
    for (_, _, trace) in &traces {
        board.add(trace);
    }
    confirm_all(&stage, &traces, options, board).await;
    if let Err(error) = stage.leave().await {
        board.troubles.push(format!("the settings after epoch {}: {error}", index + 1));
    }
}

/// Confirms what deviated in an epoch, each deviation once: where it is cheapest to show.
async fn confirm_all(stage: &Stage<'_>, traces: &[(usize, Arc<Sequence>, Trace)], options: &RunOptions, board: &mut Board) {
    let mut fresh: Vec<(u64, &Sequence, &Sighted)> = Vec::new();
    for (sequence, sighted) in traces.iter().flat_map(|(_, sequence, trace)| trace.deviations.iter().map(|sighted| (&**sequence, sighted)))
    {
        if let Some(known) = board.found.iter_mut().find(|known| known.sighted.same(sighted)) {
            known.seen += 1;
            continue;
        }
        let cost = |sequence: &Sequence, sighted: &Sighted| Slice::new(sequence, sighted.step).cost();
        match fresh.iter_mut().find(|(_, _, known)| known.same(sighted)) {
            Some((seen, place, known)) => {
                *seen += 1;
                if cost(sequence, sighted) < cost(place, known) {
                    (*place, *known) = (sequence, sighted);
                }
            }
            None => fresh.push((1, sequence, sighted)),
        }
    }
    for (seen, sequence, sighted) in fresh {
        let alike = |found: &Found| found.sighted.check == sighted.check && found.sighted.deviation == sighted.deviation;
        let known = board.found.iter().any(|found| alike(found) && found.confirmation.holds());
        let confirmation = confirm(stage, sequence, sighted, known).await;
        (options.listener)(&Event::Confirmed { cause: sighted.detail.clone(), shown: confirmation.shown, tries: confirmation.tries });
        board.found.push(Found {
            sighted: sighted.clone(),
            reduced_from: sighted.step + 1,
            seen,
            settings: stage.settings.cloned(),
            confirmation,
        });
    }
}

fn unreachable(error: &MintError) -> RunError {
    RunError::Unreachable(error.to_string())
}

fn announce_plan(listener: &Listener, built: &Built) {
    let plan = &built.plan;
    listener(&Event::Planned {
        sequences: plan.sequences().count(),
        requests: plan.sequences().map(Sequence::requests).sum(),
        passwords: built.coverage.as_ref().map(|coverage| coverage.passwords),
        epochs: plan.epochs.len(),
    });
}
