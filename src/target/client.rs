//! The HTTP client: sends exactly what it is given, follows nothing, remembers nothing, and says how sending failed.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Certificate, Method, Proxy, redirect};
use url::Url;

use super::manners::{MAX_RETRIES, Manners, asked_to_wait};
use super::measure::{Measure, values};
use crate::model::wire::{Answer, Request};

/// Idle connections are dropped long before the five seconds after which a Node server closes them, so that a write is
/// not lost to a connection that is just being closed, even where one side is busy.
const IDLE: Duration = Duration::from_secs(2);

/// Headers that frame the message; they follow from the request and cannot be given by a caller.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// How to reach a deployment.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Base URL of the deployment; a path prefix (`https://host/logto`) is kept.
    pub endpoint: Url,
    /// Longest time to open a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest time for a whole request, from connecting to the last byte of the body.
    pub timeout: Duration,
    /// Longest accepted body in bytes; of a document that the deployment publishes of itself, four times as much.
    pub max_body: usize,
    /// Accept any certificate.
    pub insecure: bool,
    /// PEM file with further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Proxy for all requests (`http://…`, credentials in the URL); without one, none is used.
    pub proxy: Option<Url>,
    /// Sent with every request that does not carry a header of that name itself.
    pub extra_headers: Vec<(String, String)>,
    /// Requests per second across all tasks; no limit when absent.
    pub rate: Option<f64>,
}

impl ClientOptions {
    /// The defaults: 10 s to connect, 30 s per request, 1 MiB of body, no proxy, no rate.
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_body: 1 << 20,
            insecure: false,
            ca_file: None,
            proxy: None,
            extra_headers: Vec::new(),
            rate: None,
        }
    }
}

/// Why no client could be made from the options.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint is no `http` or `https` URL.
    #[error("the endpoint {0} is not an http:// or https:// URL with a host")]
    Endpoint(Url),
    /// The file of certificate authorities cannot be read.
    #[error("cannot read the CA file {path}: {cause}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file holds no usable PEM certificate.
    #[error("the CA file {0} holds no usable PEM certificate")]
    CaContent(PathBuf),
    /// A header to be sent with every request is malformed.
    #[error("the extra header `{0}` has an invalid name or value")]
    ExtraHeader(String),
    /// The rate is no positive number.
    #[error("the rate {0} is not a positive number of requests per second")]
    Rate(f64),
    /// The proxy or the TLS set-up is not usable.
    #[error("cannot set up the HTTP client: {0}")]
    SetUp(String),
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody listens there, or the name does not resolve.
    #[error("cannot connect: {0}")]
    Refused(String),
    /// No trusted encrypted connection came about.
    #[error("no trusted TLS connection: {0}")]
    Tls(String),
    /// No (complete) answer in time.
    #[error("{}", if *.connecting { "no connection in time" } else { "no complete answer in time" })]
    TimedOut {
        /// The time was already over before the connection stood, so nothing was sent.
        connecting: bool,
    },
    /// The body is longer than accepted.
    #[error("the body is longer than {limit} bytes, more than any operation has to answer: look at what stands before the deployment")]
    TooLarge {
        /// Accepted length in bytes.
        limit: usize,
    },
    /// The body holds more than can be looked at.
    #[error(
        "the body holds more than {limit} JSON values, more than any operation has to answer: look at what stands before the deployment"
    )]
    TooMany {
        /// Accepted number of values.
        limit: usize,
    },
    /// The connection ended in the middle.
    #[error("the connection was cut off: {0}")]
    CutOff(String),
    /// The request itself is malformed and was not sent.
    #[error("not a valid request: {0}")]
    BadRequest(String),
    /// What came back is not HTTP.
    #[error("not a valid HTTP answer: {0}")]
    Protocol(String),
}

impl SendError {
    /// Whether the deployment may have received the request, and so may have acted on it.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Tls(_) | Self::BadRequest(_) => false,
            Self::TimedOut { connecting } => !connecting,
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::CutOff(_) | Self::Protocol(_) => true,
        }
    }
}

/// Sends requests to one deployment; clones share connections and rate.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Base>,
    manners: Manners,
    max_body: usize,
}

#[derive(Debug)]
struct Base {
    /// Endpoint without trailing slash, query and fragment.
    text: String,
    origin: url::Origin,
    endpoint: Url,
}

impl std::fmt::Debug for Client {
    /// Without the headers sent with every request: they may carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.base.text).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the deployment that `options` describe. Nothing is sent.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let base = Base::new(&options.endpoint)?;
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .pool_idle_timeout(IDLE)
            .default_headers(default_headers(&options.extra_headers)?)
            .tls_danger_accept_invalid_certs(options.insecure);
        builder = match &options.proxy {
            Some(url) => builder.proxy(Proxy::all(url.clone()).map_err(|error| ClientError::SetUp(chain(&error)))?),
            None => builder.no_proxy(),
        };
        if let Some(path) = options.ca_file {
            builder = builder.tls_certs_merge(authorities(path)?);
        } else if options.endpoint.scheme() == "http" && options.proxy.is_none() {
            // Plain HTTP must work on machines without any certificate store.
            builder = builder.tls_certs_only(Vec::<Certificate>::new());
        }
        let http = builder.build().map_err(|error| ClientError::SetUp(chain(&error)))?;
        let manners = Manners::new(options.rate).map_err(ClientError::Rate)?;
        Ok(Self { http, base: Arc::new(base), manners, max_body: options.max_body })
    }

    /// The deployment's base URL as given.
    pub fn endpoint(&self) -> &Url {
        &self.base.endpoint
    }

    /// The path prefix of the endpoint without trailing slash; empty for most deployments.
    pub fn prefix(&self) -> &str {
        self.base.endpoint.path().trim_end_matches('/')
    }

    /// The URL a request goes to, as it will stand on the wire.
    ///
    /// Percent-encoding is kept; characters that HTTP does not allow are encoded; `.` and `..` segments are resolved.
    pub fn url_of(&self, request: &Request) -> Result<Url, SendError> {
        if !request.target.starts_with('/') {
            return Err(SendError::BadRequest(format!("the target `{}` does not start with `/`", request.target)));
        }
        let target = keep_verbatim(&request.target);
        let url = Url::parse(&format!("{}{target}", self.base.text))
            .map_err(|error| SendError::BadRequest(format!("the target `{}`: {error}", request.target)))?;
        if url.origin() != self.base.origin {
            return Err(SendError::BadRequest(format!("the target `{}` leaves the endpoint", request.target)));
        }
        Ok(url)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// Redirects are returned, not followed. A `GET` answered with 429 and `Retry-After` is sent again, at most three
    /// times; nothing else is ever repeated.
    pub async fn send(&self, request: &Request) -> Result<Answer, SendError> {
        self.send_to(&self.url_of(request)?, request).await
    }

    /// The same where it is known already [where it goes](Self::url_of).
    pub(super) async fn send_to(&self, url: &Url, request: &Request) -> Result<Answer, SendError> {
        for _ in 0..MAX_RETRIES {
            let answer = self.send_once(url, request).await?;
            match asked_to_wait(&answer) {
                Some(pause) if request.method == "GET" => tokio::time::sleep(pause).await,
                _ => return Ok(answer),
            }
        }
        self.send_once(url, request).await
    }

    async fn send_once(&self, url: &Url, request: &Request) -> Result<Answer, SendError> {
        let outgoing = outgoing(url.clone(), request)?;
        self.manners.wait_turn().await;
        let mut response = self.http.execute(outgoing).await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let most = Measure::of(request.path(), self.max_body);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
            if chunk.len() > most.bytes - body.len() {
                return Err(SendError::TooLarge { limit: most.bytes });
            }
            body.extend_from_slice(&chunk);
        }
        if values(&body) > most.values {
            return Err(SendError::TooMany { limit: most.values });
        }
        Ok(Answer { status, headers, body: body.into() })
    }
}

impl Base {
    fn new(endpoint: &Url) -> Result<Self, ClientError> {
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(ClientError::Endpoint(endpoint.clone()));
        }
        let mut bare = endpoint.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        let text = bare.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, origin: endpoint.origin(), endpoint: endpoint.clone() })
    }
}

fn outgoing(url: Url, request: &Request) -> Result<reqwest::Request, SendError> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| SendError::BadRequest(format!("`{}` is not a method", request.method)))?;
    let mut outgoing = reqwest::Request::new(method, url);
    for (name, value) in &request.headers {
        if FRAMING.contains(&name.as_str()) {
            continue;
        }
        let (name, value) = header(name, value).ok_or_else(|| SendError::BadRequest(format!("the header `{name}`")))?;
        outgoing.headers_mut().append(name, value);
    }
    if !request.body.is_empty() {
        *outgoing.body_mut() = Some(request.body.clone().into());
    }
    Ok(outgoing)
}

/// Encodes what a URL parser would drop, cut off or turn into something else.
fn keep_verbatim(target: &str) -> String {
    const LOST: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'\\');
    utf8_percent_encode(target, LOST).to_string()
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

fn default_headers(extra: &[(String, String)]) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("logto-conformance/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in extra {
        let (key, value) = header(name, value).ok_or_else(|| ClientError::ExtraHeader(name.clone()))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

fn authorities(path: PathBuf) -> Result<Vec<Certificate>, ClientError> {
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(cause) => return Err(ClientError::CaFile { path, cause }),
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(ClientError::CaContent(path)),
    }
}

/// Sorts an error of the HTTP library by what it means for the run.
fn classify(error: &reqwest::Error) -> SendError {
    if error.is_timeout() {
        return SendError::TimedOut { connecting: error.is_connect() };
    }
    if let Some(cause) = find::<rustls::Error>(error).next() {
        return SendError::Tls(match cause {
            rustls::Error::InvalidCertificate(_) => {
                format!("{cause}; pass the authority with `--ca FILE`, or `--insecure`")
            }
            _ => format!("{cause}; does the endpoint speak TLS, or is it http:// ?"),
        });
    }
    let text = chain(error);
    if error.is_connect() {
        return SendError::Refused(text);
    }
    if error.is_builder() {
        return SendError::BadRequest(text);
    }
    let ended = find::<io::Error>(error).any(|cause| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(cause.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
    });
    // The HTTP library has no public type for an end of the connection before the head of the answer.
    if ended || text.contains("connection closed before message completed") {
        return SendError::CutOff(text);
    }
    SendError::Protocol(text)
}

/// The causes of an error, outermost first; I/O errors that wrap another are unwrapped.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => (*error).source(),
        }
    })
}

fn find<T: StdError + 'static>(error: &reqwest::Error) -> impl Iterator<Item = &T> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

/// The chain of causes as one line, without the outermost: it names the URL, which may carry secrets.
fn chain(error: &reqwest::Error) -> String {
    let mut inner: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    inner.dedup();
    if inner.is_empty() { "invalid request or set-up".to_owned() } else { inner.join(": ") }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
