//! What the harness costs: planning, checking, starting, and how many checked requests it sends beside a bare client.
//!
//! `cargo bench --bench overhead` measures all but growth; `-- growth` measures that, `-- NAME` only what is so named.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::Criterion;
use logto_conformance::check::judge;
use logto_conformance::contract::{Contract, Version};
use logto_conformance::engine::{Event, RunOptions, run};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::model::{State, States, observe};
use logto_conformance::plan::{Action, Call, Epoch, Facts, PLAN_VERSION, Persona, Plan, Profile, Purpose, Sequence, Settings, Step, build};
use logto_conformance::reference::{Reference, ReferenceOptions};
use logto_conformance::target::{AdminCredentials, ClientOptions, Mode};
use mimalloc::MiMalloc;
use serde_json::{Value, json};

/// The program's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The mix of reads: operation and path; `{}` stands for the user's id. Those of `/api/my-account` are the user's own.
const READS: [(&str, &str); 8] = [
    ("GetProfile", "/api/my-account"),
    ("GetUser", "/api/users/{}"),
    ("GetMfaVerifications", "/api/my-account/mfa-verifications"),
    ("GetAccountCenterSettings", "/api/account-center"),
    ("ListUserRoles", "/api/users/{}/roles"),
    ("GetLogtoConfig", "/api/my-account/logto-configs"),
    ("ListUserCustomData", "/api/users/{}/custom-data"),
    ("GetSignInExp", "/api/sign-in-exp"),
];

/// Reads of one round of the comparison.
const ROUND: usize = 8_000;

/// Rounds of the comparison.
const ROUNDS: usize = 7;

/// Requests side by side in the comparison.
const JOBS: usize = 4;

/// Scopes of the users' tokens.
const SCOPES: &str = "openid profile email phone address custom_data identities";

const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
                        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

fn main() {
    let wanted = |name: &str| {
        let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        names.peek().is_none() && name != "growth" || names.any(|wanted| wanted == name)
    };
    rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
    // First, while nothing has been read yet.
    if wanted("start") {
        start();
    }
    if wanted("ratio") {
        ratio();
    }
    if wanted("growth") {
        growth();
    }
    if wanted("pieces") {
        pieces(&mut Criterion::default().sample_size(20));
    }
}

/// The pure parts, one by one.
fn pieces(criterion: &mut Criterion) {
    let contract = Contract::embedded(Version::NEWEST).expect("the contract is right");
    let facts = Facts { can_sign_in: true, may_change_settings: true, ..Facts::default() };
    for profile in [Profile::Quick, Profile::Standard] {
        criterion.bench_function(&format!("plan {profile}"), |bench| bench.iter(|| build(&contract, &facts, 1, profile, &[])));
    }
    let request = Request::new("GET", "/api/my-account");
    let states = States::certain(State::closed());
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let body = json!({"code": "auth.authorization_header_missing", "message": "Authorization header is missing."});
    let answer = Answer { status: 401, headers, body: body.to_string().into_bytes().into() };
    criterion.bench_function("observe one exchange", |bench| bench.iter(|| observe(&contract, &states, black_box(&request), &answer, 0)));
    let observation = observe(&contract, &states, &request, &answer, 0);
    criterion.bench_function("judge one exchange", |bench| bench.iter(|| judge(&contract, &request, black_box(&answer), &observation)));
}

/// From nothing to the first planned request against the embedded reference.
fn start() {
    let begun = Instant::now();
    let contract = Contract::embedded(Version::NEWEST).expect("the contract is right");
    let marks: Arc<Mutex<(Option<Instant>, Option<Instant>)>> = Arc::default();
    let heard = Arc::clone(&marks);
    runtime().block_on(async {
        let reference = Reference::start(ReferenceOptions::new(contract)).await.expect("a free port");
        let credentials = AdminCredentials {
            client_id: reference.client_id.clone(),
            client_secret: reference.client_secret.clone(),
            resource: reference.resource.clone(),
        };
        let client = ClientOptions::new(reference.endpoint.parse().expect("a URL"));
        let mut options = RunOptions::new(client, credentials, Mode::Exclusive, "bench".into(), "bench".into());
        let stop = Arc::clone(&options.stop);
        options.listener = Arc::new(move |event| {
            let mut marks = heard.lock().expect("no panic before");
            match event {
                Event::Planned { .. } => marks.0 = Some(Instant::now()),
                Event::EpochStarted { .. } if marks.1.is_none() => {
                    marks.1 = Some(Instant::now());
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                _ => {}
            }
        });
        run(options).await.expect("the reference lets us in");
    });
    let (planned, first) = *marks.lock().expect("no panic before");
    let between = |from: Option<Instant>, to: Option<Instant>| from.zip(to).map_or(Duration::ZERO, |(from, to)| to.duration_since(from));
    say(&format!(
        "start: contract, reference, inventory and plan {} ms, first planned request {} ms later",
        between(Some(begun), planned).as_millis(),
        between(planned, first).as_millis()
    ));
}

/// Checked requests per second beside those of a bare client, in turns, against a reference in another process.
fn ratio() {
    let served = Served::new();
    let runtime = runtime();
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = runtime.block_on(bare(&served.access, ROUND, JOBS));
        let checked = runtime.block_on(checked(&served.access, ROUND, JOBS));
        ratios.push(checked / bare);
        say(&format!("ratio: round {round}: bare {bare:.0}/s, checked {checked:.0}/s, {:.2}", checked / bare));
    }
    ratios.sort_by(f64::total_cmp);
    say(&format!("ratio: median {:.2} of {ROUNDS} rounds of {ROUND} reads each, {JOBS} at once", ratios[ROUNDS / 2]));
}

/// How speed and memory change with the length of a run and with the requests side by side.
fn growth() {
    for reads in [1_000, 10_000, 100_000] {
        for jobs in [1, 4, 16, 64] {
            let served = Served::new();
            let file = std::env::temp_dir().join(format!("lc-overhead-{}.json", std::process::id()));
            std::fs::write(&file, serde_json::to_vec(&plan(reads, jobs)).expect("a plan is JSON")).expect("room for a plan");
            let out = file.with_extension("out");
            let begun = Instant::now();
            let mut child = Command::new(env!("CARGO_BIN_EXE_logto-conformance"))
                .args(["replay", "--quiet"])
                .arg(&file)
                .env("LOGTO_CONFORMANCE_TARGET", &served.access.endpoint)
                .env("LOGTO_CONFORMANCE_CLIENT_ID", &served.access.client_id)
                .env("LOGTO_CONFORMANCE_CLIENT_SECRET", &served.access.client_secret)
                .env("LOGTO_CONFORMANCE_RESOURCE", &served.access.resource)
                .env("LOGTO_CONFORMANCE_JOBS", jobs.to_string())
                .env("LOGTO_CONFORMANCE_OUT", &out)
                .stdout(Stdio::null())
                .spawn()
                .expect("the program starts");
            let peak = peak(&mut child);
            let took = begun.elapsed().as_secs_f64();
            let status = child.wait().expect("the program ends");
            #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
            let speed = reads as f64 / took;
            say(&format!("growth: {reads} reads, {jobs} at once: {speed:.0}/s, {} MB at most, {status}", peak / 1024));
            std::fs::remove_file(&file).expect("it was just written");
            std::fs::remove_dir_all(&out).expect("the run's own folder");
        }
    }
}

/// The most memory that a program takes until it ends, in KiB; 0 where the system does not tell.
fn peak(child: &mut Child) -> u64 {
    let place = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child can be waited for").is_none() {
        let status = std::fs::read_to_string(&place).unwrap_or_default();
        let told = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(told.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}

/// Reads per second of a client that checks nothing but that it was answered with 200.
async fn bare(access: &Access, reads: usize, jobs: usize) -> f64 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let call = async |method: &str, path: &str, authorization: &str, body: String, kind: &str| -> Value {
        let method = method.parse().expect("a method");
        let request = client.request(method, format!("{}{path}", access.endpoint)).header("authorization", authorization);
        let request = if body.is_empty() { request } else { request.header("content-type", kind).body(body) };
        let answer = request.send().await.expect("the reference answers");
        let status = answer.status();
        let body = answer.bytes().await.expect("the reference answers");
        assert!(status.is_success(), "{status}");
        serde_json::from_slice(&body).unwrap_or_default()
    };
    let text = |value: &Value, name: &str| value[name].as_str().expect("it is there").to_owned();
    let (json_type, form_type) = ("application/json", "application/x-www-form-urlencoded");
    let form = format!("grant_type=client_credentials&scope=all&resource={}", access.resource);
    let token = call("POST", "/oidc/token", &basic(&access.client_id, &access.client_secret), form, form_type).await;
    let admin = format!("Bearer {}", text(&token, "access_token"));
    let center = json!({"enabled": true, "fields": {"mfa": "Edit"}});
    call("PATCH", "/api/account-center", &admin, center.to_string(), json_type).await;
    let application = json!({"name": "bench", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": true}});
    let application = call("POST", "/api/applications", &admin, application.to_string(), json_type).await;
    let client_id = text(&application, "id");
    let secrets = call("GET", &format!("/api/applications/{client_id}/secrets"), &admin, String::new(), json_type).await;
    let first = basic(&client_id, &text(&secrets[0], "value"));
    let mut users = Vec::new();
    for number in 0..jobs {
        let name = format!("bare_{number}_{client_id}");
        let user = text(&call("POST", "/api/users", &admin, json!({"username": name}).to_string(), json_type).await, "id");
        let subject = call("POST", "/api/subject-tokens", &admin, json!({"userId": user}).to_string(), json_type).await;
        let form = format!("{EXCHANGE}&scope={}&subject_token={}", SCOPES.replace(' ', "+"), text(&subject, "subjectToken"));
        let token = call("POST", "/oidc/token", &first, form, form_type).await;
        users.push((user, format!("Bearer {}", text(&token, "access_token"))));
    }
    let begun = Instant::now();
    let tasks: Vec<_> = users
        .into_iter()
        .map(|(user, own)| {
            let (client, admin, endpoint) = (client.clone(), admin.clone(), access.endpoint.clone());
            tokio::spawn(async move {
                for (_, path) in READS.iter().cycle().take(reads / jobs) {
                    let authorization = if path.starts_with("/api/my-account") { &own } else { &admin };
                    let url = format!("{endpoint}{}", path.replace("{}", &user));
                    let answer = client.get(url).header("authorization", authorization).send().await.expect("the reference answers");
                    assert!(answer.status().is_success());
                    black_box(answer.bytes().await.expect("the reference answers"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    per_second(reads, begun.elapsed())
}

/// Reads per second of a run: predicted, judged, watched for secrets, noted.
async fn checked(access: &Access, reads: usize, jobs: usize) -> f64 {
    let credentials = AdminCredentials {
        client_id: access.client_id.clone(),
        client_secret: access.client_secret.clone(),
        resource: access.resource.clone(),
    };
    let client = ClientOptions::new(access.endpoint.parse().expect("a URL"));
    let mut options = RunOptions::new(client, credentials, Mode::Exclusive, "bench".into(), "bench".into());
    options.jobs = jobs;
    options.plan = Some(plan(reads, jobs));
    let marks: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let heard = Arc::clone(&marks);
    options.listener = Arc::new(move |event| {
        // From the start of the sequences, their setup included, to their end.
        if matches!(event, Event::EpochStarted { .. } | Event::SequenceFinished { .. }) {
            heard.lock().expect("no panic before").push(Instant::now());
        }
    });
    let result = run(options).await.expect("the reference lets us in");
    assert!(result.found.is_empty() && result.residue.is_empty(), "{:?}", result.found);
    let seen: u64 = READS.iter().filter_map(|(operation, _)| result.counts.of(operation)).flat_map(|counts| counts.statuses.values()).sum();
    assert_eq!(usize::try_from(seen).expect("a small number"), reads, "all were recognised");
    let marks = marks.lock().expect("no panic before");
    per_second(reads, marks.last().copied().expect("it ended") - marks[0])
}

/// A plan of reads: each sequence makes a user, gets it a token, and reads.
fn plan(reads: usize, jobs: usize) -> Plan {
    let admin = "Bearer {{admin.token}}";
    let step = |persona, purpose, call, capture: &[(&str, &str)]| Step {
        persona,
        purpose,
        action: Action::Call(call),
        capture: capture.iter().map(|(symbol, pointer)| ((*symbol).to_owned(), (*pointer).to_owned())).collect::<BTreeMap<_, _>>(),
        expect: None,
        together: None,
    };
    let post = |operation: &str, target: &str, authorization: &str, kind: &str, body: String| Call {
        operation: Some(operation.into()),
        method: "POST".into(),
        target: target.into(),
        headers: vec![("authorization".into(), authorization.into()), ("content-type".into(), kind.into())],
        body: Some(body),
        body_base64: None,
    };
    let sequence = |index: usize| {
        let user = post("CreateUser", "/api/users", admin, "application/json", r#"{"username":"lc_{{run}}_{{tag}}_1"}"#.into());
        let subject = post("CreateSubjectToken", "/api/subject-tokens", admin, "application/json", r#"{"userId":"{{user#1.id}}"}"#.into());
        let form = format!("{EXCHANGE}&scope={}&subject_token={{{{subject-token#1}}}}", SCOPES.replace(' ', "+"));
        let token = post("IssueToken", "/oidc/token", "Basic {{first.basic}}", "application/x-www-form-urlencoded", form);
        let mut steps = vec![
            step(Persona::Admin, Purpose::Setup, user, &[("user#1.id", "/id")]),
            step(Persona::Admin, Purpose::Setup, subject, &[("subject-token#1", "/subjectToken")]),
            step(Persona::Admin, Purpose::Setup, token, &[("token#1", "/access_token")]),
        ];
        steps.extend(READS.iter().cycle().take(reads / jobs).map(|(operation, path)| {
            let own = path.starts_with("/api/my-account");
            let (persona, authorization) = if own { (Persona::User, "Bearer {{token#1}}") } else { (Persona::Admin, admin) };
            let call = Call {
                operation: Some((*operation).into()),
                method: "GET".into(),
                target: path.replace("{}", "{{user#1.id}}"),
                headers: vec![("authorization".into(), authorization.into())],
                body: None,
                body_base64: None,
            };
            step(persona, Purpose::Probe("a read".into()), call, &[])
        }));
        Sequence { id: format!("reads/{}", index + 1), steps: steps.into_iter().map(Arc::new).collect() }
    };
    let settings = Settings { enabled: true, fields: [("mfa".to_owned(), Some("Edit".to_owned()))].into(), factors: None };
    let epoch = Epoch { settings: Some(settings), alone: false, sequences: (0..jobs).map(sequence).collect() };
    Plan { plan_version: PLAN_VERSION, contract: Version::NEWEST, seed: 1, facts: Facts::default(), epochs: vec![epoch] }
}

/// How a deployment is reached.
struct Access {
    endpoint: String,
    client_id: String,
    client_secret: String,
    resource: String,
}

/// A reference in a process of its own, until it is dropped.
struct Served {
    child: Child,
    access: Access,
}

impl Served {
    fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        let mut child = command.args(["serve", "--json"]).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let told: Value = serde_json::from_str(&line).expect("one line of JSON");
        let text = |name: &str| told[name].as_str().expect("it is told").trim_end_matches('/').to_owned();
        let access = Access {
            endpoint: text("endpoint"),
            client_id: text("client_id"),
            client_secret: text("client_secret"),
            resource: text("resource"),
        };
        Self { child, access }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

fn per_second(requests: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let requests = requests as f64;
    requests / took.as_secs_f64()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("somebody reads it");
}
