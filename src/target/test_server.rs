//! In-process servers and scratch files for the tests of this folder.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request as Incoming;
use axum::response::{IntoResponse, Response};
use url::Url;

use super::client::{Client, ClientOptions};

/// What arrived: `METHOD target` and the body.
pub type Log = Arc<Mutex<Vec<(String, String)>>>;

/// Serves `answer` on a free loopback port; it gets `METHOD target` and the body.
pub async fn serve<F>(answer: F) -> (Url, Log)
where
    F: Fn(&str, &str) -> Response + Clone + Send + Sync + 'static,
{
    let log = Log::default();
    let seen = log.clone();
    let app = Router::new().fallback(move |request: Incoming| {
        let (answer, seen) = (answer.clone(), seen.clone());
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body: Bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let body = String::from_utf8_lossy(&body).into_owned();
            seen.lock().unwrap().push((line.clone(), body.clone()));
            answer(&line, &body).into_response()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url(address), log)
}

/// Answers every connection with the same raw bytes, then closes it; `None` keeps it open without a word.
pub fn serve_raw(answer: Option<Vec<u8>>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            match &answer {
                Some(answer) => drop(stream.write_all(answer)),
                None => silent.push(stream),
            }
        }
    });
    url(address)
}

/// Answers one connection with raw bytes as soon as anything arrives, and keeps it open.
pub async fn serve_open(answer: &'static [u8]) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        while stream.try_read(&mut head).is_err() {
            stream.readable().await.unwrap();
        }
        stream.try_write(answer).unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    });
    url(address)
}

/// A client with the defaults.
pub fn client(endpoint: Url) -> Client {
    Client::new(ClientOptions::new(endpoint)).unwrap()
}

fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).unwrap()
}

/// A temporary file that nothing else uses, removed at the end.
pub struct Scratch(pub std::path::PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("logto-conformance-{}-{name}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
