//! The reference on a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request as HttpRequest, Response};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::courier::Courier;
use super::deployment::Deployment;
use super::fault::Fault;
use super::mint::Mint;
use super::published::publish;
use super::tamper::Faults;
use crate::clock::{Clock, SystemClock};
use crate::contract::Contract;
use crate::model::wire::{Answer, Request};
use crate::model::{Entity, Key, Kind, State};

/// Indicator of the Management API's resource.
const RESOURCE: &str = "https://default.logto.app/api";

/// How long a fault that decides early lets others go first.
const HESITATION: Duration = Duration::from_millis(100);

/// Bytes of a body that are kept: more than the largest body any operation accepts, so that the model can refuse it.
const MOST_KEPT: usize = (1 << 20) + (64 << 10);

/// Bytes of a body that are read before the connection is given up.
const MOST_READ: usize = 16 << 20;

/// Is shown each request and its answer, before that is sent.
pub type Witness = Arc<dyn Fn(&Request, &Answer) + Send + Sync>;

/// How to start the reference.
pub struct ReferenceOptions {
    /// The contract it keeps.
    pub contract: Contract,
    /// Deliberate deviations.
    pub faults: Vec<Fault>,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Whether an address that other machines can reach is allowed. It holds no real user, but keeps passwords in clear.
    pub allow_remote: bool,
    /// The address clients use, when it is another than the socket's.
    pub public_url: Option<String>,
    /// Whether there is a place for files that users upload.
    pub storage: bool,
    /// Seed of every id and token.
    pub seed: u64,
    /// The administrator's secret; made up when not given.
    pub client_secret: Option<String>,
    /// Who is shown what goes over the wire.
    pub witness: Option<Witness>,
}

impl ReferenceOptions {
    /// The defaults: the machine's clock, a free port on the loopback interface, seed 1.
    pub fn new(contract: Contract) -> Self {
        Self {
            contract,
            faults: Vec::new(),
            clock: Arc::new(SystemClock),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            public_url: None,
            storage: true,
            seed: 1,
            client_secret: None,
            witness: None,
        }
    }
}

/// The reference deployment.
pub struct Reference;

/// A reference that is running. It stops when this is dropped; [`Running::shutdown`] also waits for the end.
#[derive(Debug)]
pub struct Running {
    /// Base URL without trailing slash.
    pub endpoint: String,
    /// Id of the machine-to-machine application that administrates.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Indicator of the Management API's resource.
    pub resource: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// The reference as a part of somebody's server.
#[derive(Debug)]
pub struct App {
    /// Answers whatever is asked, what is unknown included.
    pub router: Router,
    /// Id of the machine-to-machine application that administrates.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl Reference {
    /// The reference without a socket, for a server that stands before it or takes over operation after operation. `endpoint` is
    /// the base URL of that server; `bind`, `allow_remote` and `public_url` of the options mean nothing.
    ///
    /// Fails when a fault does not fit the contract, and when the embedded specification is wrong.
    pub fn app(mut options: ReferenceOptions, endpoint: &str) -> io::Result<App> {
        let document = publish(&mut options.contract).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        for fault in &options.faults {
            fault.apply(&mut options.contract).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let mut mint = Mint::new(options.seed);
        let (client_id, made_up) = (mint.id(21), mint.id(32));
        let client_secret = options.client_secret.unwrap_or(made_up);
        let witness = options.witness;
        let state = first_state(&client_id, &client_secret, options.clock.now_ms());
        let deployment = Deployment::new(options.contract, document, endpoint, options.clock, Faults(options.faults), state, mint);
        let deployment = Arc::new(deployment.storing(options.storage));
        let courier = Arc::new(Courier::new());
        let router = Router::new().fallback(move |request: HttpRequest<Body>| {
            let (deployment, courier, witness) = (Arc::clone(&deployment), Arc::clone(&courier), witness.clone());
            async move { respond(&deployment, &courier, witness.as_ref(), request).await }
        });
        Ok(App { router, client_id, client_secret })
    }

    /// Starts a reference on the current runtime.
    ///
    /// Fails when the address cannot be bound or is no loopback address without `allow_remote`, and when a fault does not
    /// fit the contract (kind `InvalidInput`, with a [`FaultError`](super::FaultError) inside).
    pub async fn start(options: ReferenceOptions) -> io::Result<Running> {
        if !options.bind.ip().is_loopback() && !options.allow_remote {
            let what = format!(
                "{} can be reached from other machines; the reference keeps passwords in clear (allow it explicitly)",
                options.bind
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let listener = TcpListener::bind(options.bind).await?;
        let own = format!("http://{}", listener.local_addr()?);
        let endpoint = options.public_url.as_ref().map_or(own, |url| url.trim_end_matches('/').to_owned());
        let App { router, client_id, client_secret } = Self::app(options, &endpoint)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // Dropping the sender stops the server too.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { serve.await });
        Ok(Running { endpoint, client_id, client_secret, resource: RESOURCE.to_owned(), stop, task })
    }
}

impl Running {
    /// Stops the server and waits until open requests are answered.
    pub async fn shutdown(self) -> io::Result<()> {
        // An error says that the server has ended already.
        let _ = self.stop.send(());
        self.task.await.map_err(io::Error::other)?
    }
}

async fn respond(deployment: &Deployment, courier: &Courier, witness: Option<&Witness>, request: HttpRequest<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let target = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut request = Request { method: head.method.as_str().to_owned(), target, headers: headers.collect(), body: Vec::new() };
    let mut chunks = body.into_data_stream();
    let mut read = 0;
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { break };
        read += chunk.len();
        if read > MOST_READ {
            break;
        }
        let room = MOST_KEPT - request.body.len();
        request.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    let early = deployment.early(&request);
    if early.is_some() {
        tokio::time::sleep(HESITATION).await;
    }
    let advice = deployment.consult(&request).await;
    let (answer, delivery) = deployment.answer(&request, early, advice);
    let answer = match delivery {
        None => answer,
        Some(delivery) => match courier.deliver(&delivery).await {
            Ok(()) => answer,
            Err(why) => deployment.undelivered(&request, &delivery, &why),
        },
    };
    if let Some(witness) = witness {
        witness(&request, &answer);
    }
    response(answer)
}

fn response(answer: Answer) -> Response<Body> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(Vec::from(answer.body))).unwrap_or_else(|_| {
        // A header value that HTTP does not allow, for instance echoed from a request.
        let mut failed = Response::new(Body::from("Internal Server Error"));
        *failed.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

/// What a fresh deployment holds: its administrator and the default settings.
pub(super) fn first_state(client_id: &str, client_secret: &str, now: i64) -> State {
    let mut state = State::whole();
    let administrator = json!({
        "tenantId": "default", "id": client_id, "name": "Conformance administrator", "description": null, "type": "MachineToMachine",
        "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": {},
        "protectedAppMetadata": null, "customData": {}, "isThirdParty": false, "appLevelAccessControlEnabled": false,
        "createdAt": now, "isAdmin": true, "clientSecret": client_secret,
    });
    state.insert(Key::new(Kind::Application, client_id), Entity::from_json(&administrator));
    let settings: Value = serde_json::from_str(include_str!("defaults.json")).expect("the embedded defaults are JSON");
    state.insert(Key::account_center(), Entity::from_json(&settings["accountCenter"]));
    state.insert(Key::sign_in_experience(), Entity::from_json(&settings["signInExperience"]));
    for (kind, name) in [(Kind::ConnectorFactory, "connectorFactories"), (Kind::Resource, "resources"), (Kind::Scope, "scopes")] {
        for known in settings[name].as_array().into_iter().flatten() {
            state.insert(Key::new(kind, known["id"].as_str().unwrap_or_default()), Entity::from_json(known));
        }
    }
    state
}
