//! One run: read the target, plan, execute epoch by epoch, confirm, put everything back.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{FutureExt as _, StreamExt as _};

use super::board::{Board, Exemplar, First, Found, Ran};
use super::confirm::confirm_all;
use super::counts::Counts;
use super::event::{Event, Listener};
use super::execute::{Context, Sighted, Trace};
use super::facts::{detect_version, read_facts};
use super::going::Going;
use super::hold::Hold;
use super::limits::CutOff;
use super::stage::Stage;
use super::telling::Telling;
use super::time::Time;
use super::times::Times;
use crate::check::{Docket, WaiverError, Waivers};
use crate::contract::{Contract, Files, SpecError, Version};
use crate::plan::{
    Built, Coverage, Epoch, Facts, OVERLONG_ID, Partition, Plan, Portion, Profile, Sequence, UNUSED_ID, build, build_harmless, harmless,
};
use crate::target::{
    AdminCredentials, Channel, Client, ClientOptions, ConnectError, Gate, Header, Inventory, Ledger, MintError, Mode, Provider, Record,
    SecretRegister, Wants, cleanup, connect, namespace, provision,
};

/// Sequences after which an impatient run looks at what deviated.
const PIECE: usize = 8;

/// Brings the waivers for a contract.
pub type WaiversFor = Arc<dyn Fn(&Contract) -> Result<Waivers, WaiverError> + Send + Sync>;

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
    /// Runs no more than this part of what is planned.
    pub partition: Option<Partition>,
    /// Confirms what deviates after every few sequences, so that a run that is ended at the first finding ends early.
    pub impatient: bool,
    /// Keeps an exchange of each outcome of each operation.
    pub exemplars: bool,
    /// The deviations that a target of a version may have: they are neither reduced nor replayed.
    pub waivers: WaiversFor,
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

impl RunOptions {
    /// A run of the whole standard plan with seed 1, which nobody hears of and nobody ends. `run` names it on the target, `secret`
    /// makes the passwords of its users.
    pub fn new(client: ClientOptions, credentials: AdminCredentials, mode: Mode, run: String, secret: String) -> Self {
        Self {
            client,
            credentials,
            mode,
            channel: None,
            provider: None,
            profile: Profile::Standard,
            seed: 1,
            jobs: 1,
            version: None,
            specs: Files::embedded(),
            only: Vec::new(),
            plan: None,
            portion: None,
            partition: None,
            impatient: false,
            exemplars: false,
            waivers: Arc::new(|_| Ok(Waivers::default())),
            run,
            secret,
            ledger: None,
            secrets: SecretRegister::new(),
            time: Time::default(),
            stop: Arc::default(),
            listener: Arc::new(|_| {}),
        }
    }
}

/// Why a run brought no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The contract is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The waivers are wrong, or do not fit the target's version.
    #[error(transparent)]
    Waiver(#[from] WaiverError),
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

/// Everything a run found out.
#[derive(Debug)]
pub struct RunResult {
    /// The contract that was checked.
    pub contract: Contract,
    /// The plan; of a run of a partition, its share.
    pub plan: Plan,
    /// The partition, and the digest of the whole plan.
    pub partition: Option<(Partition, String)>,
    /// Sequences left out because settings may not be changed.
    pub left_out: Vec<String>,
    /// What the plan reaches of the coverage goal; of a whole plan only.
    pub coverage: Option<Coverage>,
    /// Requests sent.
    pub requests: u64,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// What the answers showed, counted.
    pub counts: Counts,
    /// The first exchange of each outcome of each operation, in the order of the plan; none unless asked for.
    pub exemplars: Vec<Exemplar>,
    /// The sequences in the order of the plan.
    pub sequences: Vec<Ran>,
    /// Deviations that nobody expected.
    pub found: Vec<Found>,
    /// Deviations that the waivers expect, each once.
    pub waived: Vec<Sighted>,
    /// The waivers.
    pub waivers: Waivers,
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
    waivers: Waivers,
}

/// The gate to the target. Nothing is sent.
pub(super) fn gate_of(options: &RunOptions) -> Result<Gate, RunError> {
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
    let telling = Telling { listener: Arc::clone(&options.listener), time: options.time.clone() };
    let gate = Gate::new(client, options.mode, ledger, options.secrets.clone(), namespace(&options.run)).witnessed_by(Arc::new(telling));
    gate.declare_unused(UNUSED_ID);
    gate.declare_unused(OVERLONG_ID);
    Ok(gate)
}

async fn open(options: &RunOptions) -> Result<Opened, RunError> {
    let gate = gate_of(options)?;
    let admin = options.credentials.mint_admin(&gate, Some("all")).await.map_err(|error| unreachable(&error))?.access_token;
    let machine = options.credentials.mint_admin(&gate, None).await.map_err(|error| unreachable(&error))?.access_token;
    let version = match options.version {
        Some(version) => version,
        None => detect_version(&gate, &admin).await?,
    };
    let contract = Contract::from_files(&options.specs, version)?;
    let waivers = (options.waivers)(&contract)?;
    Ok(Opened { gate, admin, machine, contract, waivers })
}

/// Sets the connectors of the channel up.
async fn set_up(options: &RunOptions, opened: &Opened) -> Result<(), RunError> {
    let connectors = options.channel.as_ref().map(|channel| channel.connectors()).unwrap_or_default();
    connect(&opened.gate, &opened.admin, &connectors).await.map_err(unconnected)
}

/// Puts everything back and compares with what stood there before; what could not be, and what differs.
async fn put_back(options: &RunOptions, opened: &Opened, before: Option<&Inventory>) -> Vec<String> {
    let cleaning = async {
        // A listener that fails must not keep us from it.
        drop(std::panic::catch_unwind(AssertUnwindSafe(|| (options.listener)(&Event::CleaningUp))));
        // The token may have aged; whatever was revoked or suspended, the administrator can always be minted anew.
        let token = options.credentials.mint_admin(&opened.gate, Some("all")).await;
        let token = token.map_or_else(|_| opened.admin.clone(), |token| token.access_token);
        let residue = cleanup(&opened.gate, &token, &opened.gate.ledger().records()).await.residue;
        let Some(before) = before.filter(|_| residue.is_empty()) else { return residue };
        let mut now = Inventory::take(&opened.gate, &token).await;
        if now.holds_any_of(&opened.gate) {
            // What was still under way when the run was ended came after it was looked for.
            let again: Vec<Record> = opened.gate.ledger().records().into_iter().filter(Record::makes).collect();
            drop(cleanup(&opened.gate, &token, &again).await);
            now = Inventory::take(&opened.gate, &token).await;
        }
        before.residue(&now, &opened.gate)
    };
    match options.time.limits().patiently(AssertUnwindSafe(cleaning).catch_unwind()).await {
        Ok(Ok(residue)) => residue,
        Ok(Err(_)) => vec!["the clean-up was ended by a fault of ours".into()],
        Err(CutOff) if opened.gate.ledger().is_settled_up() => Vec::new(),
        Err(CutOff) => vec![format!("the clean-up was cut off: {} objects or settings are left", opened.gate.ledger().open())],
    }
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
    let prepared = async {
        let _hold = Hold::take(options, &opened.gate, &opened.admin).await?;
        set_up(options, &opened).await?;
        prepare(options, &opened).await
    };
    let prepared = prepared.await;
    let residue = put_back(options, &opened, None).await;
    settled(prepared, &residue).map(|prepared| prepared.built)
}

/// Runs against a target.
pub async fn run(options: RunOptions) -> Result<RunResult, RunError> {
    let begun = Instant::now();
    let limits = options.time.limits().clone();
    let opened = limits.within(&options.stop, open(&options)).await.unwrap_or_else(|CutOff| Err(ended_early()))?;
    // Held until everything is put back.
    let mut hold = None;
    let mut before = None;
    let testing = async {
        let holding = limits.within(&options.stop, Hold::take(&options, &opened.gate, &opened.admin)).await;
        let hold = hold.insert(holding.unwrap_or_else(|CutOff| Err(ended_early()))?);
        let prepared = async {
            if options.mode != Mode::ReadOnly {
                before = Some(Inventory::take(&opened.gate, &opened.admin).await);
            }
            set_up(&options, &opened).await?;
            prepare(&options, &opened).await
        };
        let prepared = limits.within(&options.stop, prepared).await.unwrap_or_else(|CutOff| Err(ended_early()))?;
        let tested = tokio::select! {
            tested = test(&options, &opened, prepared) => tested,
            never = limits.watch(&opened.gate, &options.stop) => match never {},
        };
        hold.lost().map_or(Ok(tested), |lost| Err(RunError::Incomplete(lost)))
    };
    // A fault of ours must not keep us from putting everything back.
    let result = AssertUnwindSafe(Box::pin(testing)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(RunError::Internal("the run was ended by a fault of ours".into())));
    let stopped = options.stop.load(Ordering::Relaxed);
    let residue = put_back(&options, &opened, before.as_ref()).await;
    drop(hold);
    let Tested { contract, built, partition, requests, board } = settled(result, &residue)?;
    Ok(RunResult {
        contract,
        plan: built.plan,
        partition,
        left_out: built.left_out,
        coverage: built.coverage,
        requests,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        counts: board.counts,
        exemplars: board.exemplars,
        sequences: board.sequences,
        found: board.found,
        waived: board.waived,
        waivers: opened.waivers,
        troubles: board.troubles,
        residue,
        stopped,
    })
}

/// What a run starts from.
struct Prepared {
    gate: Gate,
    contract: Contract,
    facts: Facts,
    built: Built,
    partition: Option<(Partition, String)>,
}

/// Asks the target what it says of itself, and plans.
async fn prepare(options: &RunOptions, opened: &Opened) -> Result<Prepared, RunError> {
    let facts = read_facts(&opened.gate, &opened.admin, options).await?;
    let gate = opened.gate.clone().with_channel(&facts.channels);
    let mut contract = opened.contract.clone();
    if let Some(published) = &facts.published {
        contract.adopt(published);
    }
    // Off the tasks' threads, so that a run can be ended meanwhile.
    let (planned_for, known, asked) = (contract.clone(), facts.clone(), options.clone());
    let built = tokio::task::spawn_blocking(move || plan_for(&planned_for, &known, &asked)).await;
    let mut built = built.map_err(|_| RunError::Internal("planning was ended by a fault of ours".into()))?;
    if built.plan.epochs.is_empty() {
        return Err(RunError::Incomplete("nothing to run: no planned sequence fits the target's settings, the mode and `--only`".into()));
    }
    // A part of it may well be empty.
    let partition = options.partition.map(|partition| {
        let digest = built.plan.digest();
        partition.keep(&mut built.plan);
        (partition, digest)
    });
    if options.impatient {
        built.plan.epochs = built.plan.epochs.iter().flat_map(in_pieces).collect();
    }
    Ok(Prepared { gate, contract, facts, built, partition })
}

/// The same sequences under the same settings, a few at a time.
fn in_pieces(epoch: &Epoch) -> impl Iterator<Item = Epoch> {
    epoch.sequences.chunks(PIECE).map(|sequences| Epoch {
        settings: epoch.settings.clone(),
        alone: epoch.alone,
        sequences: sequences.to_vec(),
    })
}

/// The plan of a run, or the one that it was given, as far as the mode allows.
fn plan_for(contract: &Contract, facts: &Facts, options: &RunOptions) -> Built {
    let given = |plan| Built { plan, left_out: Vec::new(), coverage: None };
    let reads_only = options.mode == Mode::ReadOnly;
    match (&options.plan, &options.portion) {
        (Some(plan), _) if reads_only => given(harmless(contract, facts, plan)),
        (Some(plan), _) => given(Plan { facts: facts.clone(), ..plan.clone() }),
        (None, Some(portion)) if reads_only => given(harmless(contract, facts, &portion.plan(contract, facts, options.seed))),
        (None, Some(portion)) => given(portion.plan(contract, facts, options.seed)),
        (None, None) if reads_only => build_harmless(contract, facts, options.seed, options.profile, &options.only),
        (None, None) => build(contract, facts, options.seed, options.profile, &options.only),
    }
}

/// What was planned and came of it.
struct Tested {
    contract: Contract,
    built: Built,
    partition: Option<(Partition, String)>,
    requests: u64,
    board: Board,
}

/// Executes what is planned. Whatever this ends with, what it made is in the ledger.
async fn test(options: &RunOptions, opened: &Opened, prepared: Prepared) -> Tested {
    let Prepared { gate, contract, facts, built, partition } = prepared;
    announce_plan(&options.listener, &built, partition.is_some());
    let mut board = Board::default();
    let mut requests = 0;
    let writes = options.mode != Mode::ReadOnly;
    let wants = Wants { first_party: writes, third_party: writes && facts.can_sign_in };
    match provision(&gate, &opened.admin, &options.run, wants).await {
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
                docket: Docket::new(contract.clone()),
                waivers: opened.waivers.clone(),
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
                phones: AtomicU32::new(0),
                requests: AtomicU64::new(0),
                times: Times::default(),
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
            board.counts.add_times(context.times.take());
        }
    }
    Tested { contract, built, partition, requests, board }
}

fn ended_early() -> RunError {
    RunError::Incomplete("the run was ended before anything was tested".into())
}

/// An end without verdict that leaves something behind as well.
fn with_residue(error: RunError, residue: &[String]) -> RunError {
    let both = |text: &str| format!("{text}\nnot put back: {}", residue.join("; "));
    match error {
        RunError::Incomplete(text) | RunError::Residue(text) => RunError::Residue(both(&text)),
        RunError::Unreachable(text) => RunError::Unreachable(both(&text)),
        RunError::Internal(text) => RunError::Internal(both(&text)),
        RunError::Spec(_) | RunError::Waiver(_) => RunError::Residue(both(&error.to_string())),
    }
}

fn unconnected(error: ConnectError) -> RunError {
    match error {
        ConnectError::Gate(error) => RunError::Unreachable(error.to_string()),
        ConnectError::Vault(_) => RunError::Internal(error.to_string()),
        _ => RunError::Incomplete(format!("the channel cannot be used: {error}")),
    }
}

async fn run_epoch(context: &Arc<Context>, options: &RunOptions, admin: &str, index: usize, epoch: &Epoch, board: &mut Board) {
    let stage = Stage { context, settings: epoch.settings.as_ref(), admin, alone: epoch.alone };
    let limits = options.time.limits();
    if epoch.settings.is_some() {
        match limits.within(&options.stop, stage.apply()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return board.troubles.push(format!("settings of epoch {}: {error}", index + 1)),
            Err(CutOff) => return,
        }
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
            Going::on(async move {
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
    let mut first = First::new();
    // What is still going on is cut off when this is dropped.
    while let Ok(Some(finished)) = limits.within(&options.stop, running.next()).await {
        match finished {
            Ok((place, sequence, Some(mut trace))) => {
                board.count(place, &mut trace, &mut first);
                let deviations = trace.deviations.len();
                (options.listener)(&Event::SequenceFinished { id: sequence.id.clone(), requests: trace.answers, deviations });
                traces.push((place, sequence, trace));
            }
            Ok(_) => {}
            Err(error) => board.troubles.push(format!("a sequence ended abnormally: {error}")),
        }
    }
    drop(running);
    traces.sort_by_key(|(place, _, _)| *place);
    for (_, sequence, trace) in &traces {
        board.add(trace);
        let deviates = trace.deviations.iter().map(|sighted| (sighted.requirement.clone(), sighted.operation.clone()));
        board.sequences.push(Ran { id: sequence.id.clone(), requests: trace.answers, deviates: deviates.collect() });
    }
    let deviations = traces.iter().flat_map(|(_, sequence, trace)| trace.deviations.iter().map(|sighted| (&**sequence, sighted)));
    confirm_all(&stage, deviations, &options.listener, board).await;
    if let Ok(Err(error)) = limits.within(&options.stop, stage.leave()).await {
        board.troubles.push(format!("the settings after epoch {}: {error}", index + 1));
    }
}

fn unreachable(error: &MintError) -> RunError {
    RunError::Unreachable(error.to_string())
}

fn announce_plan(listener: &Listener, built: &Built, shared_out: bool) {
    let plan = &built.plan;
    listener(&Event::Planned {
        sequences: plan.sequences().count(),
        requests: plan.sequences().map(Sequence::requests).sum(),
        passwords: built.coverage.as_ref().filter(|_| !shared_out).map(|coverage| coverage.passwords),
        epochs: plan.epochs.len(),
    });
}
