//! Targets that misbehave: an HTTP/1.1 server on a raw socket, so that it can also do what no HTTP library would.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logto_conformance::contract::{Contract, Version};
use logto_conformance::model::wire::{Answer, Request};
use logto_conformance::reference::{Reference, ReferenceOptions, Running};
use logto_conformance::target::{Client, ClientOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a target does with a request.
pub enum Act {
    /// Sends these bytes and keeps the connection.
    Send(Vec<u8>),
    /// Sends these bytes and closes the connection.
    SendAndClose(Vec<u8>),
    /// Sends the first bytes once and the second, at least one, for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends these bytes and nothing more, and keeps the connection open.
    Stall(Vec<u8>),
    /// Closes the connection with a reset.
    Reset,
    /// Resets the connection and refuses all others from now on.
    Die,
}

/// An answer in plain HTTP.
pub fn plain(status: &str, kind: &str, body: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// A misbehaving target; ends with the value.
pub struct Target {
    pub endpoint: String,
    task: JoinHandle<()>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves every request with what `behave` says of it; requests are numbered from 1.
pub async fn serve<F, R>(behave: F) -> Target
where
    F: Fn(u64, Request) -> R + Send + Sync + 'static,
    R: Future<Output = Act> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (behave, count) = (Arc::new(behave), Arc::new(Mutex::new(0)));
    let (dead, mut died) = tokio::sync::mpsc::channel::<()>(1);
    let task = tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                _ = died.recv() => return,
            };
            let (behave, count, dead) = (Arc::clone(&behave), Arc::clone(&count), dead.clone());
            tokio::spawn(async move { drop(converse(stream, &*behave, &count, dead).await) });
        }
    });
    Target { endpoint: format!("http://{address}"), task }
}

async fn converse<F, R>(mut stream: TcpStream, behave: &F, count: &Mutex<u64>, dead: tokio::sync::mpsc::Sender<()>) -> std::io::Result<()>
where
    F: Fn(u64, Request) -> R,
    R: Future<Output = Act>,
{
    stream.set_nodelay(true)?;
    while let Some(request) = read(&mut stream).await? {
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count
        };
        match behave(number, request).await {
            Act::Send(bytes) => stream.write_all(&bytes).await?,
            Act::SendAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Act::Endless(first, more) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&more).await?;
                }
            }
            Act::Stall(bytes) => {
                stream.write_all(&bytes).await?;
                std::future::pending::<()>().await;
            }
            Act::Reset => return stream.set_zero_linger(),
            Act::Die => {
                // A second death changes nothing.
                let _ = dead.try_send(());
                return stream.set_zero_linger();
            }
        }
    }
    Ok(())
}

/// The next request of a connection; `None` at its end. Bodies have a length, as those of the client under test do.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut request = Request::new(words.next().unwrap_or_default(), words.next().unwrap_or_default());
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.with_header(name.to_ascii_lowercase(), value.trim());
    }
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = bytes.split_off(end + 4);
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request))
}

/// OAuth encodes all but these characters of a secret before it goes into a header.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A reference behind a proxy that does to each request what it is told. The administrator's secret is another in front of
/// the proxy than behind it.
pub struct Proxied {
    pub target: Target,
    pub reference: Running,
    pub log: Arc<Mutex<Log>>,
}

/// What went through a proxy.
#[derive(Default)]
pub struct Log {
    /// `GET /api/users`, in order.
    pub lines: Vec<String>,
    /// The body of each.
    pub bodies: Vec<Vec<u8>>,
    /// Tokens that the reference gave out.
    pub tokens: Vec<String>,
}

/// `disturb` gets a request's number and may answer in the reference's stead; every request waits `delay`.
pub async fn proxied(secret: &'static str, delay: Duration, disturb: impl Fn(u64) -> Option<Act> + Send + Sync + 'static) -> Proxied {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let reference = Reference::start(ReferenceOptions::new(contract)).await.unwrap();
    let upstream = Client::new(ClientOptions::new(reference.endpoint.parse().unwrap())).unwrap();
    let log = Arc::new(Mutex::new(Log::default()));
    let encoded = utf8_percent_encode(secret, ENCODED);
    let credentials = (format!("{}:{encoded}", reference.client_id), format!("{}:{}", reference.client_id, reference.client_secret));
    let (seen, disturb) = (Arc::clone(&log), Arc::new(disturb));
    let target = serve(move |number, mut request| {
        let (upstream, log, disturb) = (upstream.clone(), Arc::clone(&seen), Arc::clone(&disturb));
        {
            let mut log = log.lock().unwrap();
            log.lines.push(format!("{} {}", request.method, request.path()));
            log.bodies.push(request.body.clone());
        }
        let given = format!("Basic {}", STANDARD.encode(&credentials.0));
        for (name, value) in &mut request.headers {
            if name == "authorization" && *value == given {
                *value = format!("Basic {}", STANDARD.encode(&credentials.1));
            }
        }
        async move {
            tokio::time::sleep(delay).await;
            if let Some(act) = disturb(number) {
                return act;
            }
            let head = request.method == "HEAD";
            let Ok(answer) = upstream.send(&request).await else { return Act::Reset };
            if let Some(token) = answer.json().as_ref().and_then(|body| body.get("access_token").and_then(Value::as_str)) {
                log.lock().unwrap().tokens.push(token.to_owned());
            }
            Act::Send(wire(&answer, head))
        }
    })
    .await;
    Proxied { target, reference, log }
}

/// An answer as it goes over the wire.
fn wire(answer: &Answer, head: bool) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} -\r\n", answer.status);
    for (name, value) in &answer.headers {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    if answer.status != 204 && answer.status != 304 {
        let _ = write!(text, "content-length: {}\r\n", answer.body.len());
    }
    let mut bytes = (text + "\r\n").into_bytes();
    if !head {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

impl Proxied {
    /// Asks the reference itself, as its administrator: the names of what the list at `path` holds.
    pub async fn names(&self, path: &str) -> Vec<String> {
        let client = Client::new(ClientOptions::new(self.reference.endpoint.parse().unwrap())).unwrap();
        let basic = STANDARD.encode(format!("{}:{}", self.reference.client_id, self.reference.client_secret));
        let fields = [("grant_type", "client_credentials"), ("resource", self.reference.resource.as_str()), ("scope", "all")];
        let mut request = Request::new("POST", "/oidc/token")
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("authorization", format!("Basic {basic}"));
        request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        let token = client.send(&request).await.unwrap().json().unwrap()["access_token"].as_str().unwrap().to_owned();
        let request = Request::new("GET", format!("{path}?page=1&page_size=100")).with_header("authorization", format!("Bearer {token}"));
        let list = client.send(&request).await.unwrap().into_json().unwrap();
        let name =
            |item: &Value| format!("{} {}", item["username"].as_str().unwrap_or_default(), item["name"].as_str().unwrap_or_default());
        list.as_array().unwrap().iter().map(name).collect()
    }
}
