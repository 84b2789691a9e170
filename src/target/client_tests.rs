use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::response::IntoResponse;

use super::super::test_server::{client, serve, serve_open, serve_raw};
use super::*;

fn with(endpoint: Url, change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions::new(endpoint);
    change(&mut options);
    Client::new(options).unwrap()
}

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

#[tokio::test]
async fn a_body_past_the_cap_is_refused_and_one_at_the_cap_is_not() {
    let (endpoint, _) = serve(|_, _| "x".repeat(1000).into_response()).await;
    let exact = with(endpoint.clone(), |options| options.max_body = 1000);
    assert_eq!(exact.send(&get("/")).await.unwrap().body.len(), 1000);
    let short = with(endpoint, |options| options.max_body = 999);
    assert_eq!(short.send(&get("/")).await, Err(SendError::TooLarge { limit: 999 }));
}

#[tokio::test]
async fn a_body_of_too_many_values_is_refused_and_may_have_acted() {
    let (endpoint, _) = serve(|_, _| format!("[{}0]", "0,".repeat(60_000)).into_response()).await;
    let error = client(endpoint.clone()).send(&get("/api/users")).await.unwrap_err();
    assert_eq!(error, SendError::TooMany { limit: 50_000 });
    assert!(error.may_have_acted());
    client(endpoint).send(&get("/api/.well-known/management.openapi.json")).await.unwrap();
}

#[tokio::test]
async fn silence_ends_in_a_time_out_that_may_have_acted() {
    let silent = with(serve_raw(None), |options| options.timeout = Duration::from_millis(100));
    let error = silent.send(&get("/")).await.unwrap_err();
    assert_eq!(error, SendError::TimedOut { connecting: false });
    assert!(error.may_have_acted());
}

#[tokio::test]
async fn a_stalled_body_ends_in_a_time_out() {
    let endpoint = serve_open(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let stalled = with(endpoint, |options| options.timeout = Duration::from_millis(100));
    assert_eq!(stalled.send(&get("/")).await, Err(SendError::TimedOut { connecting: false }));
}

#[tokio::test]
async fn a_truncated_answer_is_cut_off() {
    let answers: [&[u8]; 3] =
        [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal", b""];
    for answer in answers {
        let error = client(serve_raw(Some(answer.to_vec()))).send(&get("/")).await.unwrap_err();
        assert!(matches!(error, SendError::CutOff(_)), "{answer:?}: {error:?}");
        assert!(error.may_have_acted());
    }
}

#[tokio::test]
async fn something_else_than_http_is_a_protocol_error() {
    let error = client(serve_raw(Some(b"220 mail ready\r\n\r\n".to_vec()))).send(&get("/")).await.unwrap_err();
    assert!(matches!(error, SendError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_refused_and_cannot_have_acted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client(endpoint).send(&get("/")).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(_)), "{error:?}");
    assert!(!error.may_have_acted());
}

#[tokio::test]
async fn tls_towards_a_plain_server_says_so() {
    let mut endpoint = serve_open(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    endpoint.set_scheme("https").unwrap();
    let error = with(endpoint, |options| options.insecure = true).send(&get("/")).await.unwrap_err();
    assert!(matches!(error, SendError::Tls(_)), "{error:?}");
    assert!(!error.may_have_acted());
}

#[tokio::test]
async fn redirects_are_returned() {
    let (endpoint, log) = serve(|_, _| (axum::http::StatusCode::SEE_OTHER, [(LOCATION, "/there")]).into_response()).await;
    let answer = client(endpoint).send(&get("/here")).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/there")));
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn invalid_utf8_survives_in_the_body_and_is_replaced_in_a_header() {
    let raw = b"HTTP/1.1 200 OK\r\nX-Odd: a\xffb\r\ncontent-length: 2\r\n\r\n\xff\xfe".to_vec();
    let answer = client(serve_raw(Some(raw))).send(&get("/")).await.unwrap();
    assert_eq!(answer.header("x-odd"), Some("a\u{fffd}b"));
    assert_eq!(*answer.body, *b"\xff\xfe");
}

#[tokio::test]
async fn the_target_is_sent_as_it_stands_below_the_prefix() {
    let (mut endpoint, log) = serve(|_, _| "".into_response()).await;
    endpoint.set_path("/logto/");
    let prefixed = client(endpoint);
    for target in ["/api/a%2Fb?x=%20+%25&y", "/api/%00?q=a#b", "//elsewhere.example/x", "/a\\b"] {
        prefixed.send(&get(target)).await.unwrap();
    }
    let seen: Vec<String> = log.lock().unwrap().iter().map(|(line, _)| line.clone()).collect();
    assert_eq!(
        seen,
        ["GET /logto/api/a%2Fb?x=%20+%25&y", "GET /logto/api/%00?q=a%23b", "GET /logto//elsewhere.example/x", "GET /logto/a%5Cb"]
    );
    assert!(matches!(prefixed.send(&get("elsewhere")).await, Err(SendError::BadRequest(_))));
}

#[tokio::test]
async fn methods_bodies_and_repeated_headers_go_out_unchanged() {
    let (endpoint, log) = serve(|line, _| line.to_owned().into_response()).await;
    let sender = client(endpoint);
    let mut request = Request::new("TRACE", "/t").with_header("x-a", "1").with_header("content-length", "99");
    request.body = b"raw".to_vec();
    sender.send(&request).await.unwrap();
    assert_eq!(log.lock().unwrap()[0], ("TRACE /t".to_owned(), "raw".to_owned()));
    assert!(matches!(sender.send(&Request::new("BAD METHOD", "/")).await, Err(SendError::BadRequest(_))));
    let odd = get("/").with_header("x-a", "a\r\nb");
    assert!(matches!(sender.send(&odd).await, Err(SendError::BadRequest(_))));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_for_reads_only() {
    let busy = |_: &str, _: &str| (axum::http::StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "0")]).into_response();
    let (endpoint, log) = serve(busy).await;
    let sender = client(endpoint);
    assert_eq!(sender.send(&get("/")).await.unwrap().status, 429);
    assert_eq!(log.lock().unwrap().len(), 1 + MAX_RETRIES);
    assert_eq!(sender.send(&Request::new("POST", "/")).await.unwrap().status, 429);
    assert_eq!(log.lock().unwrap().len(), 2 + MAX_RETRIES);
}

#[test]
fn options_that_cannot_work_are_refused_with_a_reason() {
    let endpoint = Url::parse("http://127.0.0.1").unwrap();
    let reason = |change: &dyn Fn(&mut ClientOptions)| {
        let mut options = ClientOptions::new(endpoint.clone());
        change(&mut options);
        Client::new(options).unwrap_err()
    };
    assert!(matches!(reason(&|options| options.rate = Some(0.0)), ClientError::Rate(_)));
    assert!(matches!(reason(&|options| options.endpoint = Url::parse("ftp://a").unwrap()), ClientError::Endpoint(_)));
    assert!(matches!(reason(&|options| options.ca_file = Some("missing.pem".into())), ClientError::CaFile { .. }));
    assert!(matches!(reason(&|options| options.extra_headers = vec![("a b".into(), "c".into())]), ClientError::ExtraHeader(_)));
}
