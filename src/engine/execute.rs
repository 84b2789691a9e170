//! Executes one sequence against a target and judges every exchange.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use serde_json::Value;

use super::board::{Shown, Subject};
use super::counts::Counts;
use super::time::Time;
use super::times::Times;
use crate::check::{self, About, Deviation, Docket, Waivers, outcome, requirement_for};
use crate::contract::{Collection, Contract, Kind, Level, Operation, Origin};
use crate::model::wire::{Answer, Request};
use crate::model::{ACCOUNT_CENTER, Observation, Relation, SIGN_IN_EXPERIENCE, States, observe, observe_nothing, predict};
use crate::plan::{Action, Binding, Call, Facts, Persona, Purpose, Sequence, Settings, Step, captured, start};
use crate::target::{Authenticator, Channel, Clearance, Gate, GateError, Intent, Mode, OidcClient, Provider, Turn};

/// Failed sends in a row after which a target counts as gone.
const MOST_SILENCE: u32 = 20;

/// Length of the longest value that is kept for documents, in bytes: longer than any token.
const LONGEST_SYMBOL: usize = 4096;

/// Length of the longest request body that is kept for documents, in bytes: of more, its length.
const LONGEST_BODY: usize = 1 << 16;

/// What all sequences of a run share.
pub struct Context {
    /// The contract.
    pub contract: Contract,
    /// What answers are judged by.
    pub docket: Docket,
    /// Deviations that are expected.
    pub waivers: Waivers,
    /// The one place that sends.
    pub gate: Gate,
    /// What the target said of itself.
    pub facts: Facts,
    /// The run's name.
    pub run: String,
    /// Makes the passwords of the run's users.
    pub secret: String,
    /// Symbols that stand for the run's own objects.
    pub globals: Vec<(String, String)>,
    /// The run's first-party application.
    pub first: Option<OidcClient>,
    /// The run's third-party application.
    pub third: Option<OidcClient>,
    /// Where messages of the target arrive.
    pub channel: Option<Arc<Channel>>,
    /// The harness's own identity provider.
    pub provider: Option<Arc<Provider>>,
    /// What time it is.
    pub time: Time,
    /// Numbers executions, so that each has names of its own.
    pub executions: AtomicU32,
    /// Phone numbers that executions were given.
    pub phones: AtomicU32,
    /// Requests sent.
    pub requests: AtomicU64,
    /// Sends without an answer, one after the other.
    pub silence: AtomicU32,
    /// How long answers take.
    pub times: Times,
    /// Set when the run must end.
    pub stop: Arc<AtomicBool>,
    /// Whether exchanges are kept as they went over the wire.
    pub keeps: bool,
}

impl Context {
    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A deviation as it showed in one execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighted {
    /// Index of the step.
    pub step: usize,
    /// Operation that deviates.
    pub operation: String,
    /// Check.
    pub check: &'static str,
    /// Requirement.
    pub requirement: String,
    /// How binding it is.
    pub level: Level,
    /// What differs.
    pub deviation: Deviation,
    /// The difference with its values, for people.
    pub detail: String,
    /// Requests that the run had sent by then.
    pub after: u64,
}

impl Sighted {
    /// Whether another sighting is of the same deviation.
    pub fn same(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.check == other.check
            && self.requirement == other.requirement
            && self.deviation == other.deviation
    }

    /// Whether another sighting, of an execution of its own, has the same cause: what a page is said to lack depends on how many
    /// things there are by then.
    pub fn shows(&self, other: &Self) -> bool {
        let page = self.check == "pagination" && self.check == other.check;
        self.same(other) || page && self.operation == other.operation && self.requirement == other.requirement
    }
}

/// What one execution brought.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Answers.
    pub answers: usize,
    /// What they showed, counted.
    pub counts: Counts,
    /// The first exchange of each outcome, if exchanges are kept.
    pub shown: Vec<Shown>,
    /// Deviations in order.
    pub deviations: Vec<Sighted>,
    /// Our own trouble: what could not be sent or was not answered.
    pub troubles: Vec<String>,
    /// What the symbols stood for, if exchanges are kept.
    pub symbols: Arc<BTreeMap<String, String>>,
}

impl Trace {
    /// Keeps an exchange, if it is the first of its outcome.
    pub(super) fn show(&mut self, shown: Shown) {
        if !self.shown.iter().any(|known| (&known.subject, &known.outcome) == (&shown.subject, &shown.outcome)) {
            self.shown.push(shown);
        }
    }
}

/// A request without what nobody reads.
fn readable(request: &Request) -> Request {
    let Request { method, target, headers, body } = request;
    let body = if body.len() > LONGEST_BODY { format!("<{} bytes>", body.len()).into_bytes() } else { body.clone() };
    Request { method: method.clone(), target: target.clone(), headers: headers.clone(), body }
}

/// Executes a sequence on fresh data.
pub async fn execute(context: &Context, sequence: &Sequence, settings: Option<&Settings>) -> Trace {
    let number = context.executions.fetch_add(1, Ordering::Relaxed) + 1;
    let taken = context.phones.fetch_add(sequence.phones(), Ordering::Relaxed);
    let mut binding = Binding::new(&context.run, number, &context.secret).with_phones_after(taken);
    for (name, value) in &context.globals {
        binding.set(name, value);
    }
    let state = start(&context.facts, settings, &binding, context.time.now());
    let mut execution = Execution {
        context,
        sequence,
        binding,
        states: States::certain(state),
        refused_kinds: vec![None; sequence.steps.len()],
        deviated: vec![false; sequence.steps.len()],
        trace: Trace::default(),
        turn: None,
        authenticator: Authenticator::new(),
    };
    execution.announce().await;
    let mut next = 0;
    while next < sequence.steps.len() && !context.stop.load(Ordering::Relaxed) {
        let (group, step) = (sequence.group(next), &sequence.steps[next]);
        next = group.end;
        match &step.action {
            _ if group.len() > 1 => execution.together(group).await,
            Action::Call(call) => execution.call(group.start, step, call).await,
            Action::SignIn(sign_in) => execution.sign_in(group.start, sign_in).await,
            Action::Obtain(obtain) => execution.obtain(group.start, obtain).await,
            Action::Wait(seconds) => context.time.wait(*seconds).await,
        }
    }
    if context.keeps {
        // No document speaks of a whole list.
        let known = execution.binding.known().into_iter().filter(|(_, value)| value.len() <= LONGEST_SYMBOL);
        execution.trace.symbols = Arc::new(known.collect());
    }
    execution.trace
}

pub(super) struct Execution<'a> {
    pub(super) context: &'a Context,
    pub(super) sequence: &'a Sequence,
    pub(super) binding: Binding,
    pub(super) states: States,
    /// Kind of the guard that refused each step.
    refused_kinds: Vec<Option<String>>,
    pub(super) deviated: Vec<bool>,
    pub(super) trace: Trace,
    /// Keeps others from sending until the code is read, where only the newest message can be.
    pub(super) turn: Option<Turn>,
    /// The device with the passkeys of the sequence.
    pub(super) authenticator: Authenticator,
}

/// A step as it is about to be sent.
pub(super) struct Ready {
    pub(super) index: usize,
    pub(super) request: Request,
    pub(super) clearance: Clearance,
}

impl Execution<'_> {
    /// Writes what the sequence will make to the ledger at once.
    async fn announce(&mut self) {
        let mut intents = Vec::new();
        for step in &self.sequence.steps {
            let Action::Call(call) = &step.action else { continue };
            let operation = call.operation.as_deref().and_then(|id| self.context.contract.operation(id));
            let Some(operation) = operation.filter(|operation| operation.harm.undo.is_some()) else { continue };
            if let Ok(request) = call.request(&self.binding)
                && !self.is_inert(step.persona, operation, &request)
            {
                intents.extend(self.created(operation, &request));
            }
        }
        if !intents.is_empty()
            && let Err(error) = self.context.gate.announce(&intents).await
        {
            self.trace.troubles.push(error.to_string());
        }
    }

    /// Whether the call only asks to be turned away: from the Management API, by somebody who is no administrator, in a
    /// way that nothing could come of it.
    fn is_inert(&self, persona: Persona, operation: &Operation, request: &Request) -> bool {
        persona != Persona::Admin && operation.collection == Collection::Management && self.context.gate.is_inert(request)
    }

    /// What a call will make on the deployment, if it makes anything that stays.
    fn created(&self, operation: &Operation, request: &Request) -> Option<Intent> {
        let undo = operation.harm.undo.clone()?;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let own = |text: &Value| text.as_str().filter(|text| text.starts_with(self.context.gate.namespace())).map(str::to_owned);
        let unnamed = || format!("{}unnamed", self.context.gate.namespace());
        if operation.harm.creates == Some(Kind::User) {
            let named = ["username", "name"].iter().find_map(|name| body.get(name).and_then(own));
            return Some(Intent::User { marker: named.unwrap_or_else(unnamed) });
        }
        let named = body.as_object().into_iter().flatten().find_map(|(_, value)| own(value));
        Some(Intent::Object { undo, marker: named.unwrap_or_else(unnamed) })
    }

    /// The settings that a call changes, as they were found.
    fn changed(&self, operation: &Operation) -> impl Iterator<Item = Intent> {
        let facts = &self.context.facts;
        operation.settings().filter_map(move |name| match name {
            ACCOUNT_CENTER => Some(Intent::AccountCenter { before: facts.account_center.clone() }),
            SIGN_IN_EXPERIENCE => Some(Intent::SignInExperience { before: facts.sign_in_experience.clone() }),
            _ => None,
        })
    }

    fn clearance(&self, persona: Persona, call: &Call, request: &Request) -> Clearance {
        let Some(operation) = call.operation.as_deref().and_then(|id| self.context.contract.operation(id)) else {
            return if request.method == "GET" || request.method == "TRACE" { Clearance::read() } else { Clearance::write() };
        };
        if !operation.writes() || operation.id == "IssueToken" {
            return Clearance::read();
        }
        if self.is_inert(persona, operation, request) {
            return Clearance::inert();
        }
        let mut clearance = Clearance::write();
        clearance.intents.extend(self.created(operation, request));
        clearance.intents.extend(self.changed(operation));
        clearance.tenant_wide = operation.harm.tenant_wide;
        // What is refused sends nothing; whether it will be is what the model says.
        clearance.sends_messages = operation.harm.sends && self.may_succeed(request);
        clearance
    }

    fn may_succeed(&self, request: &Request) -> bool {
        let now = self.context.time.now();
        self.states.iter().any(|state| {
            predict(&self.context.contract, state, request, now).alternatives.iter().any(|alternative| alternative.guard.is_none())
        })
    }

    /// The request of a step; `None` when something that it needs is missing.
    pub(super) fn prepare(&mut self, index: usize, step: &Step, call: &Call) -> Option<Ready> {
        match call.request(&self.binding) {
            Ok(request) => Some(Ready { index, clearance: self.clearance(step.persona, call, &request), request }),
            Err(error) => {
                // After a deviation, or a lost answer, it is no wonder that something is missing.
                if self.trace.deviations.is_empty() && self.trace.troubles.is_empty() {
                    self.trace.troubles.push(format!("{error} (step {} of {})", index + 1, self.sequence.id));
                }
                None
            }
        }
    }

    pub(super) fn send(&self, ready: &Ready) -> impl Future<Output = Result<Answer, GateError>> {
        self.context.requests.fetch_add(1, Ordering::Relaxed);
        let operation = self.sequence.steps[ready.index].operation();
        self.context.times.of(operation, self.context.gate.send(&ready.request, &ready.clearance))
    }

    /// Lets the symbols that a step captures stand for what the answer shows.
    pub(super) fn capture(&mut self, index: usize, answer: &Answer) {
        self.context.silence.store(0, Ordering::Relaxed);
        let step = &self.sequence.steps[index];
        let refused = answer.status >= 400 && step.expect.as_deref().is_none_or(|expected| !expected.starts_with('2'));
        for (symbol, pointer) in &step.capture {
            if let Some(text) = answer.json().as_ref().and_then(|json| json.pointer(pointer)).and_then(captured) {
                self.binding.set(symbol.clone(), text);
            } else if refused {
                // As foreseen.
                self.binding.set_nothing(symbol);
            }
        }
    }

    async fn call(&mut self, index: usize, step: &Step, call: &Call) {
        let Some(ready) = self.prepare(index, step, call) else { return };
        if let (true, Some(channel)) = (ready.clearance.sends_messages, &self.context.channel) {
            self.turn = None;
            self.turn = Some(channel.turn().await);
        }
        let before = self.context.time.now();
        let answer = match self.send(&ready).await {
            Ok(answer) => answer,
            Err(error) => {
                if may_have_acted(&error) {
                    self.states = observe_nothing(&self.context.contract, &self.states, &ready.request, before);
                }
                return self.unanswered(&ready, &error);
            }
        };
        let observation = observe(&self.context.contract, &self.states, &ready.request, &answer, before);
        let told = step.operation().and_then(|id| self.context.contract.operation(id)?.harm.tells.as_ref());
        if let Some(id) = told.and_then(|pointer| answer.json()?.pointer(pointer)?.as_str().map(str::to_owned)) {
            self.context.gate.own_part(ready.request.path(), id);
        }
        self.capture(index, &answer);
        self.judge(index, step, &ready.request, &answer, &observation);
        self.states = observation.states;
    }

    pub(super) fn unanswered(&mut self, ready: &Ready, error: &GateError) {
        // What the mode forbids is out of scope; it did not leave the process.
        if matches!(error, GateError::Forbidden { .. }) && self.context.gate.mode() != Mode::Exclusive {
            return;
        }
        if matches!(error, GateError::Send(_)) && self.context.silence.fetch_add(1, Ordering::Relaxed) + 1 == MOST_SILENCE {
            self.trace.troubles.push(format!("the target no longer answers: {MOST_SILENCE} requests in a row failed; the run was ended"));
            self.context.stop.store(true, Ordering::Relaxed);
        }
        let request = &ready.request;
        self.trace.troubles.push(format!(
            "{error}: {} {} (step {} of {})",
            request.method,
            request.path(),
            ready.index + 1,
            self.sequence.id
        ));
    }

    pub(super) fn judge(&mut self, index: usize, step: &Step, request: &Request, answer: &Answer, observation: &Observation) {
        let contract = &self.context.contract;
        let judgements = self.context.docket.judge(request, answer, observation);
        let mut deviates = false;
        if let (Some((_, Some(guard))), Some(operation)) =
            (&observation.matched, observation.operation.as_deref().and_then(|id| contract.operation(id)))
        {
            self.refused_kinds[index] = Some(operation.guards[*guard].kind.name().to_owned());
        }
        for judgement in &judgements {
            let check::Result::Fail(deviation) = &judgement.result else { continue };
            deviates = true;
            self.deviated[index] = true;
            let mut sighted = Sighted {
                step: index,
                operation: observation.operation.clone().unwrap_or_else(|| format!("{} {}", request.method, request.path())),
                check: judgement.check,
                requirement: judgement.requirement.id.clone(),
                level: judgement.requirement.level,
                deviation: deviation.clone(),
                detail: match &observation.relation {
                    Some(Relation::Different(difference)) => difference.to_string(),
                    _ => format!("expected {}, got {}", deviation.expected, deviation.actual),
                },
                after: self.context.sent(),
            };
            if judgement.check == "robustness" && self.sequence.is_race(index) {
                sighted.deviation.expected.push_str(", when sent together");
            }
            if let Purpose::Look(of) = step.purpose
                && ["state", "status", "toggle"].contains(&judgement.check)
            {
                // A look speaks of the step it looks at; after a deviation there it tells nothing new.
                if self.sequence.group(of).any(|member| self.deviated[member]) {
                    continue;
                }
                if self.sequence.is_race(of) {
                    self.lost_race(index, of, sighted);
                    continue;
                }
                let kind = self.refused_kinds[of].clone();
                if let Some(operation) = self.sequence.steps[of].operation() {
                    let known = contract.operation(operation);
                    operation.clone_into(&mut sighted.operation);
                    sighted.check = "state";
                    if let Some(requirement) =
                        requirement_for(contract, known, "state", kind.as_deref().map_or(About::Answer, About::Guard))
                    {
                        sighted.requirement.clone_from(&requirement.id);
                        sighted.level = requirement.level;
                    }
                    let look = self.sequence.steps[index].operation().unwrap_or("a look");
                    let place = deviation.expected.split(' ').next().unwrap_or_default();
                    sighted.deviation = if kind.is_some() {
                        Deviation { expected: "a refused call changes nothing".into(), actual: format!("{look} shows {place} changed") }
                    } else {
                        Deviation { expected: deviation.expected.clone(), actual: format!("{} in {look}", deviation.actual) }
                    };
                }
            }
            self.trace.deviations.push(sighted);
        }
        let matched = observation.matched.as_ref().map(|(outcome, _)| outcome);
        self.trace.answers += 1;
        self.trace.counts.add(observation.operation.as_deref(), answer.status, matched, &judgements);
        // Of what is sent together, chance says which gets which answer.
        if self.context.keeps && !self.sequence.is_race(index) {
            self.show(request, answer, observation, deviates);
        }
    }

    /// Keeps an exchange as the example of its outcome.
    fn show(&mut self, request: &Request, answer: &Answer, observation: &Observation, deviates: bool) {
        let Some(operation) = &observation.operation else { return };
        let matched = observation.matched.as_ref();
        let Some(outcome) = matched.map(|(outcome, _)| outcome.clone()).or_else(|| deviates.then(|| outcome(answer))) else { return };
        let known = self.context.contract.operation(operation).filter(|known| known.origin == Origin::Contract);
        let guard = known.zip(matched.and_then(|(_, guard)| *guard)).map(|(known, guard)| (known, &known.guards[guard]));
        let shared = guard.filter(|(_, guard)| guard.shared).map(|(known, _)| Subject::Collection(known.collection));
        let subject = shared.unwrap_or_else(|| Subject::Operation(operation.clone()));
        self.trace.show(Shown { subject, operation: operation.clone(), outcome, request: readable(request), answer: answer.clone() });
    }
}

/// Whether a request without an answer may have had its effect.
pub(super) fn may_have_acted(error: &GateError) -> bool {
    matches!(error, GateError::Send(send) if send.may_have_acted())
}
