//! The program against targets that are wrong, broken or hostile: it always ends, in time, with the documented exit code, in
//! words that say what happened, and never with a secret in them.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

mod server;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use server::{Act, Proxied, Target, plain, proxied, serve};

/// The administrator's secret in front of every target.
const SECRET: &str = "canary-secret-0123456789";

/// Longest time for one run of the program.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder of its own for one run; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logto-conformance-hostile-{}-{name}", std::process::id()));
        fs::create_dir_all(dir.join("work")).unwrap();
        Self(dir)
    }

    fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        fs::write(self.work().join(name), text).unwrap();
        self
    }

    /// Starts the program with the secret in its environment. Its output goes to files: no pipe can fill up.
    fn start(&self, client_id: &str, arguments: &[&str]) -> Child {
        let stream = |name: &str| File::create(self.0.join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-conformance"));
        command.args(arguments).current_dir(self.work()).env_clear();
        command.env("LOGTO_CONFORMANCE_CLIENT_ID", client_id).env("LOGTO_CONFORMANCE_CLIENT_SECRET", SECRET);
        command.stdout(stream("out")).stderr(stream("err")).spawn().unwrap()
    }

    fn end(&self, mut child: Child) -> Ended {
        let started = Instant::now();
        let mut peak = None;
        let status = loop {
            peak = peak.max(most_memory(child.id()));
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if started.elapsed() > LIMIT => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!("still running after {} s:\n{}", LIMIT.as_secs(), self.said());
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let ended = Ended { code: status.code().unwrap_or(-1), text: self.said(), peak };
        assert!(!ended.text.contains("panicked") && !ended.text.contains("internal error"), "{}", ended.text);
        self.keeps_secret(SECRET);
        ended
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.start("canary", arguments))
    }

    fn check(&self, target: &str, arguments: &[&str]) -> Ended {
        self.run(&[&["check", "--target", target], arguments].concat())
    }

    fn said(&self) -> String {
        ["out", "err"].map(|name| String::from_utf8(fs::read(self.0.join(name)).unwrap()).unwrap()).join("")
    }

    /// Neither the output nor a kept file holds the text.
    fn keeps_secret(&self, secret: &str) {
        for path in files(&self.0) {
            let bytes = fs::read(&path).unwrap();
            let leaks = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!leaks, "{} holds a secret", path.display());
        }
    }

    fn report(&self) -> Value {
        let path = files(&self.work()).into_iter().find(|path| path.ends_with("report.json")).unwrap();
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[derive(Debug)]
struct Ended {
    code: i32,
    text: String,
    /// The most memory it had, in kB; `None` where the system does not say.
    peak: Option<u64>,
}

/// The most memory that a process has had so far, in kB.
fn most_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

impl Ended {
    /// Ended with one of these codes, and said this.
    #[track_caller]
    fn with(&self, codes: &[i32], said: &[&str]) {
        assert!(codes.contains(&self.code), "exit {} instead of {codes:?}:\n{}", self.code, self.text);
        for part in said {
            assert!(self.text.contains(part), "no `{part}` in:\n{}", self.text);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Checks a target that does the same to every request.
fn against(name: &str, arguments: &[&str], act: impl Fn() -> Act + Send + Sync + 'static) -> Ended {
    let runtime = runtime();
    let act = Arc::new(act);
    let target: Target = runtime.block_on(serve(move |_, _| {
        let act = Arc::clone(&act);
        async move { act() }
    }));
    Folder::new(name).check(&target.endpoint, arguments)
}

/// Checks the reference behind a proxy.
fn behind(
    name: &str,
    delay: u64,
    arguments: &[&str],
    disturb: impl Fn(u64) -> Option<Act> + Send + Sync + 'static,
) -> (Folder, Ended, Proxied, tokio::runtime::Runtime) {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::from_millis(delay), disturb));
    let folder = Folder::new(name);
    let child = folder.start(&proxied.reference.client_id, &[&["check", "--target", &proxied.target.endpoint], arguments].concat());
    let ended = folder.end(child);
    guards_secrets(&folder, &proxied);
    (folder, ended, proxied, runtime)
}

/// Nothing of what the reference gave out or guards is kept in clear.
fn guards_secrets(folder: &Folder, proxied: &Proxied) {
    folder.keeps_secret(&proxied.reference.client_secret);
    for token in &proxied.log.lock().unwrap().tokens {
        folder.keeps_secret(token);
    }
}

#[test]
fn what_is_no_url_is_usage() {
    for url in ["localhost:3001", "ftp://127.0.0.1", "http://", "http://[::1", "http://a b", ""] {
        let ended = Folder::new("url").check(url, &[]);
        ended.with(&[2], &["--target", "for example https://logto.example.com"]);
    }
}

#[test]
fn where_nobody_listens_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ended = Folder::new("nobody").check(&format!("http://127.0.0.1:{port}"), &[]);
    ended.with(&[3], &["cannot connect", "refused"]);
    let ended = Folder::new("wait").check(&format!("http://127.0.0.1:{port}"), &["--wait", "400ms"]);
    ended.with(&[3], &["cannot connect"]);
    let ended = Folder::new("dns").check("http://nothing.invalid", &["--time-out", "20s"]);
    ended.with(&[3], &["error: "]);
}

#[test]
fn a_wrong_secret_is_told_from_a_wrong_place() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied("another secret", Duration::ZERO, |_| None));
    let ended = Folder::new("secret").check(&proxied.target.endpoint, &[]);
    ended.with(&[3], &["refuses the client id or secret", "Console"]);
}

#[test]
fn what_is_no_logto_is_unreachable() {
    let page = || plain("200 OK", "text/html", "<!doctype html><p>hello</p>");
    against("page", &[], page).with(&[3], &["is not Logto", "200 with text/html"]);
    let absent = || plain("404 Not Found", "application/json", r#"{"message": "no"}"#);
    against("absent", &[], absent).with(&[3], &["is not Logto", "404 with application/json"]);
    // A token endpoint of somebody else.
    let token = || plain("200 OK", "application/json", r#"{"access_token": "T0-token", "expires_in": 60, "scope": "all"}"#);
    against("token", &[], token).with(&[3, 4], &["error: "]);
}

#[test]
fn a_certificate_nobody_vouches_for_is_named_with_the_remedy() {
    let endpoint = self_signed();
    Folder::new("tls").check(&endpoint, &[]).with(&[3], &["certificate", "--ca", "--insecure"]);
    Folder::new("insecure").check(&endpoint, &["--insecure"]).with(&[3], &["is not Logto"]);
    // The other way round: TLS is spoken to a server that does not.
    let runtime = runtime();
    let target = runtime.block_on(serve(|_, _| async { Act::Reset }));
    Folder::new("plain").check(&target.endpoint.replace("http:", "https:"), &["--time-out", "2s"]).with(&[3], &["error: "]);
    Folder::new("no-ca").check(&endpoint, &["--ca", "absent.pem"]).with(&[2, 3], &["absent.pem"]);
}

/// A TLS server with a self-signed certificate, which answers everything with a page. Its threads end with the process.
fn self_signed() -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let pem = include_bytes!("hostile/self-signed.pem");
    let certificate = CertificateDer::from_pem_slice(pem).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok() {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"));
            }
        }
    });
    endpoint
}

#[test]
fn a_target_that_never_answers_is_given_up() {
    let ended = against("stall", &["--time-out", "300ms"], || Act::Stall(Vec::new()));
    ended.with(&[3], &["no complete answer in time"]);
    let ended = against("stall-body", &["--time-out", "300ms"], || Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()));
    ended.with(&[3], &["no complete answer in time"]);
}

#[test]
fn broken_answers_end_the_run_with_what_is_broken() {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n").into_bytes();
    against("reset", &[], || Act::Reset).with(&[3], &["cut off"]);
    against("closed", &[], || Act::SendAndClose(Vec::new())).with(&[3], &["cut off"]);
    against("cut", &[], move || Act::SendAndClose([&head("content-length: 500\r\n")[..], b"{\"access"].concat())).with(&[3], &["cut off"]);
    against("chunk", &[], move || Act::SendAndClose([&head("transfer-encoding: chunked\r\n")[..], b"5\r\n{\"acc"].concat()))
        .with(&[3], &["error: "]);
    against("no-json", &[], || plain("200 OK", "application/json", "<oops>")).with(&[3], &["is not Logto"]);
    against("no-utf8", &[], move || Act::Send([&head("content-length: 12\r\n")[..], b"{\"access\xff\xfe\":"].concat()))
        .with(&[3], &["is not Logto"]);
    against("no-http", &[], || Act::SendAndClose(b"220 mail.example.com ESMTP\r\n".to_vec())).with(&[3], &["not a valid HTTP answer"]);
    for (depth, said) in [(49_000, "is not Logto"), (200_000, "more than 50000 JSON values")] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        against("deep", &[], move || plain("200 OK", "application/json", &deep)).with(&[3], &[said]);
    }
}

#[test]
fn answers_without_measure_are_cut_short() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
    against("endless", &[], move || Act::Endless(head.clone(), vec![b' '; 65_536])).with(&[3], &["longer than 1048576 bytes"]);
    let line = format!("x-long: {}\r\n", "a".repeat(60_000)).into_bytes();
    against("headers", &[], move || Act::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line.clone())).with(&[3], &["error: "]);
    let away = || Act::Send(b"HTTP/1.1 302 Found\r\nlocation: /oidc/token\r\ncontent-length: 0\r\n\r\n".to_vec());
    against("redirect", &[], away).with(&[3], &["is not Logto", "302"]);
    let wait = || Act::Send(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n".to_vec());
    against("429", &[], wait).with(&[3], &["429"]);
}

#[test]
fn a_slow_but_right_target_conforms() {
    let (folder, ended, proxied, runtime) = behind("slow", 5, &["--profile", "quick", "--mode", "exclusive"], |_| None);
    ended.with(&[0], &["CONFORMANT (exit 0)", "residue: none"]);
    assert_eq!(folder.report()["errors"], Value::Array(Vec::new()));
    assert_eq!(runtime.block_on(proxied.names("/api/users")), Vec::<String>::new());
}

#[test]
fn a_target_that_fails_now_and_then_is_never_called_conformant() {
    // One of these requests makes an application, without which there is no run.
    let broken = |number: u64| (30..50).contains(&number).then(|| plain("500 Internal Server Error", "application/json", "{}"));
    let (folder, ended, ..) = behind("tenth", 0, &["--profile", "quick", "--mode", "exclusive"], broken);
    ended.with(&[1, 3, 4, 6], &["(exit "]);
    assert_eq!(folder.report()["exit_code"], ended.code);
    assert!(folder.report()["errors"].to_string().contains("500"), "{}{}", ended.text, folder.report()["errors"]);
    let broken =
        |number: u64| (number > 20 && number.is_multiple_of(10)).then(|| plain("500 Internal Server Error", "application/json", "{}"));
    // Each failure is looked into, so a part of the plan has to do.
    let part = ["--profile", "quick", "--mode", "exclusive", "--only", "lap/*User*"];
    let (folder, ended, ..) = behind("later-tenth", 0, &part, broken);
    ended.with(&[1, 3, 4, 6], &["(exit ", "500"]);
    assert_eq!(folder.report()["exit_code"], ended.code);
    let cut = |number: u64| number.is_multiple_of(50).then_some(Act::Reset);
    let (folder, ended, ..) = behind("fiftieth", 0, &part, cut);
    ended.with(&[1, 3, 4, 6], &["(exit ", "cut off"]);
    assert_eq!(folder.report()["exit_code"], ended.code);
}

#[test]
fn a_target_that_dies_leaves_a_residue_that_is_named() {
    for mode in ["isolated", "exclusive"] {
        let (folder, ended, ..) = behind(&format!("dies-{mode}"), 0, &["--mode", mode], |number| (number > 200).then_some(Act::Die));
        ended.with(&[6], &["RESIDUE (exit 6)", "ledger.jsonl"]);
        let report = folder.report();
        assert!(report["summary"]["residue"].as_u64().unwrap() > 0);
        assert!(report["errors"].to_string().contains("cannot connect"), "{}", report["errors"]);
    }
}

#[test]
fn a_target_that_falls_silent_is_given_up_in_time() {
    let silent = |number: u64| (number > 200).then(|| Act::Stall(Vec::new()));
    let (_, ended, ..) = behind("silent", 0, &["--time-out", "300ms", "--profile", "quick", "--mode", "exclusive"], silent);
    ended.with(&[6], &["RESIDUE (exit 6)", "no complete answer in time"]);
}

#[test]
fn files_that_are_wrong_are_named() {
    let runtime = runtime();
    let target = runtime.block_on(serve(|_, _| async { plain("200 OK", "text/html", "never asked") }));
    let folder = Folder::new("files");
    folder.file("w.toml", "[[waiver]\nrequirement = 1\n");
    folder.check(&target.endpoint, &["--waivers", "w.toml"]).with(&[2], &["w.toml:1: unclosed"]);
    // What can be read once only is not taken for empty. It lies elsewhere, as all files of the folder are searched for secrets.
    let elsewhere = Folder::new("pipe");
    let pipe = elsewhere.work().join("pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (to, text) = (pipe.clone(), "[[waiver]\n");
    let writer = std::thread::spawn(move || fs::write(to, text));
    folder.check(&target.endpoint, &["--waivers", pipe.to_str().unwrap()]).with(&[2], &["pipe.toml:1: unclosed"]);
    writer.join().unwrap().unwrap();
    folder.check(&target.endpoint, &["--waivers", "absent.toml"]).with(&[2], &["absent.toml"]);
    folder.file("bad.bin", "").file("out.txt", "a file");
    fs::write(folder.work().join("bad.bin"), b"\xff\xfe\x00").unwrap();
    folder.check(&target.endpoint, &["--waivers", "bad.bin"]).with(&[2], &["bad.bin"]);
    folder.check(&target.endpoint, &["--out", "out.txt/inner"]).with(&[2], &["failed to create out.txt/inner", "--out"]);
    folder.file("conformance.toml", "target = \"http://127.0.0.1:1\"\nmode = \"wild\"\n");
    folder.check(&target.endpoint, &[]).with(&[2], &["conformance.toml:2", "wild"]);
    folder.file("conformance.toml", "seed = \n");
    folder.check(&target.endpoint, &[]).with(&[2], &["conformance.toml:1"]);
    fs::write(folder.work().join("conformance.toml"), b"\xff\xfe\x00").unwrap();
    folder.check(&target.endpoint, &[]).with(&[2], &["conformance.toml"]);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_target_is_touched() {
    let (_, ended, proxied, _) = behind("report", 0, &["--profile", "quick", "--report", "json:/dev/null/report.json"], |_| None);
    ended.with(&[2], &["/dev/null"]);
    assert_eq!(proxied.log.lock().unwrap().lines, Vec::<String>::new());
}

#[test]
fn plans_that_are_wrong_are_named() {
    let folder = Folder::new("plans");
    folder.run(&["replay", "absent.json"]).with(&[2], &["failed to read absent.json"]);
    folder.file("text.json", "no plan").run(&["replay", "text.json"]).with(&[2], &["text.json:1: is no plan"]);
    let plan = |steps: &str, more: &str| {
        format!(
            r#"{{"plan_version": 1, "contract": "1.43", "seed": 1, {more}
            "facts": {{"account_center": {{}}, "sign_in_experience": {{}}, "resource": "r", "may_change_settings": false, "can_sign_in": false}},
            "epochs": [{steps}]}}"#
        )
    };
    let epoch = |target: &str| {
        format!(
            r#"{{"settings": null, "sequences": [{{"id": "s", "steps": [{{"persona": "anonymous", "purpose": {{"probe": "p"}},
            "action": {{"call": {{"method": "GET", "target": "{target}"}}}}}}]}}]}}"#
        )
    };
    folder.file("version.json", &plan("", "").replace("\"plan_version\": 1", "\"plan_version\": 99"));
    folder.run(&["replay", "version.json"]).with(&[2], &["format 99", "reads 1"]);
    folder.file("key.json", &plan("", "\"sneed\": 1,")).run(&["replay", "key.json"]).with(&[2], &["key.json:1", "sneed"]);
    folder.file("old.json", &plan("", "").replace("1.43", "0.9")).run(&["replay", "old.json"]).with(&[2], &["0.9"]);
    folder.file("empty.json", &plan("", "")).run(&["replay", "empty.json"]).with(&[4], &["nothing to run"]);
    folder.file("good.json", &plan(&epoch("/api/my-account"), "")).run(&["replay", "good.json"]).with(&[0], &["(exit 0)"]);
    folder.file("unbound.json", &plan(&epoch("/api/users/{{user#7}}"), ""));
    folder.run(&["replay", "unbound.json"]).with(&[2], &["unbound.json: step 1 of `s`", "{{user#7}}", "help: "]);
    folder.file("look.json", &plan(&epoch("/api/my-account").replace(r#"{"probe": "p"}"#, r#"{"look": 3}"#), ""));
    folder.run(&["replay", "look.json"]).with(&[2], &["look.json: step 1 of `s`", "looks at step 4"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_cleans_up() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::from_millis(20), |_| None));
    let folder = Folder::new("interrupt");
    let child = folder.start(&proxied.reference.client_id, &["check", "--target", &proxied.target.endpoint, "--mode", "exclusive"]);
    let made = || proxied.log.lock().unwrap().lines.iter().filter(|line| *line == "POST /api/users").count();
    let started = Instant::now();
    while made() < 4 {
        assert!(started.elapsed() < LIMIT, "no user was made");
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let asked = Instant::now();
    let ended = folder.end(child);
    ended.with(&[4, 6], &["(exit ", "ended before the plan was done"]);
    assert!(asked.elapsed() < Duration::from_secs(20));
    guards_secrets(&folder, &proxied);
    assert_eq!(runtime.block_on(proxied.names("/api/users")), Vec::<String>::new());
    assert_eq!(runtime.block_on(proxied.names("/api/applications")).len(), 1, "only the administrator");
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
}

/// Waits until a request of this kind has come.
fn seen(proxied: &Proxied, line: &str) {
    let started = Instant::now();
    while !proxied.log.lock().unwrap().lines.iter().any(|seen| seen == line) {
        assert!(started.elapsed() < LIMIT, "no {line}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_leaves_the_clean_up_to_restore() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::from_millis(20), |_| None));
    let folder = Folder::new("impatient");
    let client = proxied.reference.client_id.clone();
    let child = folder.start(&client, &["check", "--target", &proxied.target.endpoint, "--mode", "exclusive", "--profile", "quick"]);
    seen(&proxied, "POST /api/users");
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(150));
    interrupt(&child);
    let asked = Instant::now();
    let ended = folder.end(child);
    ended.with(&[6], &["RESIDUE (exit 6)", "a second signal leaves that to `restore`", "the clean-up was cut off"]);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_ne!(runtime.block_on(proxied.names("/api/roles")), Vec::<String>::new(), "the lease is still held");
    let ledger = files(&folder.work()).into_iter().find(|path| path.ends_with("ledger.jsonl")).unwrap();
    let restored = folder.end(folder.start(&client, &["restore", ledger.to_str().unwrap()]));
    restored.with(&[0], &["undone: role lc_", " 0 left"]);
    for (path, left) in [("/api/users", 0), ("/api/applications", 1), ("/api/roles", 0)] {
        assert_eq!(runtime.block_on(proxied.names(path)).len(), left, "{path}");
    }
}

#[test]
fn two_exclusive_runs_at_one_target_do_not_meet() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::ZERO, |_| None));
    let (first, second) = (Folder::new("first"), Folder::new("second"));
    let client = proxied.reference.client_id.clone();
    let arguments = ["check", "--target", &proxied.target.endpoint, "--mode", "exclusive", "--only", "lap/*Role*"];
    let running = first.start(&client, &arguments);
    seen(&proxied, "POST /api/roles");
    let refused = second.end(second.start(&client, &arguments));
    refused.with(&[4], &["another exclusive run, `", "holds the settings of this tenant until ", "restore"]);
    first.end(running).with(&[0], &["CONFORMANT (exit 0)", "residue: none"]);
    second.end(second.start(&client, &arguments)).with(&[0], &["CONFORMANT (exit 0)", "residue: none"]);
    assert_eq!(runtime.block_on(proxied.names("/api/roles")), Vec::<String>::new());
}

#[test]
fn exclusive_runs_that_begin_together_end_with_the_right_verdict_or_say_who_is_in_the_way() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::ZERO, |_| None));
    let together = |name: &str, more: &[&str]| {
        let arguments = [&["check", "--target", &proxied.target.endpoint, "--mode", "exclusive", "--only", "lap/*Role*"], more].concat();
        let folders = [1, 2].map(|number| Folder::new(&format!("{name}-{number}")));
        let running = folders.each_ref().map(|folder| folder.start(&proxied.reference.client_id, &arguments));
        let ended: Vec<Ended> = folders.iter().zip(running).map(|(folder, child)| folder.end(child)).collect();
        assert_eq!(runtime.block_on(proxied.names("/api/roles")), Vec::<String>::new());
        ended
    };
    let hasty = together("hasty", &[]);
    for ended in &hasty {
        match ended.code {
            0 => ended.with(&[0], &["CONFORMANT (exit 0)", "residue: none"]),
            _ => ended.with(&[4], &["another exclusive run, `", "holds the settings of this tenant until ", "--wait"]),
        }
    }
    assert!(hasty.iter().any(|ended| ended.code == 0), "{hasty:?}");
    let patient = together("patient", &["--wait", "100s"]);
    for ended in &patient {
        ended.with(&[0], &["CONFORMANT (exit 0)", "residue: none"]);
    }
    let waited = patient.iter().filter(|ended| ended.text.contains("waiting for the exclusive run `")).count();
    assert_eq!(waited, 1, "{patient:?}");
}

#[test]
fn the_doctor_tells_who_holds_the_lease_and_ends_as_a_check_would() {
    let runtime = runtime();
    let proxied = runtime.block_on(proxied(SECRET, Duration::ZERO, |_| None));
    let client = proxied.reference.client_id.clone();
    let target = proxied.target.endpoint.as_str();
    let (killed, folder) = (Folder::new("lease-killed"), Folder::new("lease-doctor"));
    let examined = |mode: &str| folder.end(folder.start(&client, &["doctor", "--target", target, "--mode", mode]));
    let arguments = ["check", "--target", target, "--mode", "exclusive", "--only", "lap/*Role*", "--out", "out"];
    let mut child = killed.start(&client, &arguments);
    seen(&proxied, "POST /api/roles");
    child.kill().unwrap();
    child.wait().unwrap();
    let held = "limited  lease: another exclusive run, `";
    examined("exclusive").with(&[4], &[held, "-> let the next run `--wait`", "a run would end with exit 4 (incomplete)"]);
    examined("isolated").with(&[0], &[held, "a run is possible"]);
    folder.end(folder.start(&client, &arguments)).with(&[4], &["another exclusive run, `"]);
    killed.end(killed.start(&client, &["restore", "out/ledger.jsonl"])).with(&[0], &[" 0 left"]);
    examined("exclusive").with(&[0], &["ok       lease: free", "a run is possible"]);
}

/// The most memory that a run may take, in kB.
const MOST_MEMORY: u64 = 150_000;

#[cfg(target_os = "linux")]
#[test]
fn no_answer_makes_a_run_take_much_memory() {
    let json = |body: &str| plain("200 OK", "application/json", body);
    let full =
        |open: &str, item: &str, close: &str| format!("{open}{}{item}{close}", format!("{item},").repeat((4 << 20) / (item.len() + 1) - 9));
    let lists = [full("[", "{}", "]"), full("[", "\"a\"", "]"), full("{\"a\": [", "[0]", "]}")];
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n").into_bytes();
    let line = format!("x-long: {}\r\n", "a".repeat(60_000)).into_bytes();
    let part = ["--mode", "exclusive", "--profile", "quick", "--only", "lap/*User*", "--budget", "30s"];
    let (stream, heads) = (head(""), b"HTTP/1.1 200 OK\r\n".to_vec());
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\n{{}}", "x-many: some\r\n".repeat(90)).into_bytes();
    // From the first answer that matters on, and in the middle, when many are under way at once.
    for after in [2, 40] {
        let (lists, stream, heads, line, many) = (lists.clone(), stream.clone(), heads.clone(), line.clone(), many.clone());
        let disturb = move |number: u64| {
            (number > after).then(|| match number % 6 {
                3 => Act::Endless(stream.clone(), vec![b' '; 65_536]),
                4 => Act::Endless(heads.clone(), line.clone()),
                5 => Act::Send(many.clone()),
                list => json(&lists[usize::try_from(list).unwrap()]),
            })
        };
        let (_, ended, ..) = behind(&format!("memory-{after}"), 0, &part, disturb);
        ended.with(&[1, 3, 4, 6], &[]);
        let peak = ended.peak.unwrap();
        assert!(peak < MOST_MEMORY, "{peak} kB after {after} requests:\n{}", ended.text);
    }
}

#[test]
fn no_run_outlives_its_time() {
    /// Name, delay of each request, budget in seconds, what disturbs, exit codes.
    type Case = (&'static str, u64, u64, fn(u64) -> Option<Act>, &'static [i32]);
    // One stands still in the middle of the run, one before it begins, two while the lease is asked for and the tenant is
    // looked through, one is only slow: it may be cleaned up in time or not.
    let cases: [Case; 5] = [
        ("stuck", 0, 10, |number| (number > 120).then(|| Act::Stall(Vec::new())), &[4, 6]),
        ("mute", 0, 10, |_| Some(Act::Stall(Vec::new())), &[3, 4]),
        ("lease", 0, 4, |number| (number > 3).then(|| Act::Stall(Vec::new())), &[4, 6]),
        ("inventory", 0, 4, |number| (number > 6).then(|| Act::Stall(Vec::new())), &[4, 6]),
        ("tired", 15, 10, |_| None, &[4, 6]),
    ];
    for (name, delay, budget, disturb, codes) in cases {
        let begun = Instant::now();
        let arguments = ["--profile", "quick", "--mode", "exclusive", "--contract", "1.43", "--budget", &format!("{budget}s")];
        let (folder, ended, ..) = behind(&format!("budget-{name}"), delay, &arguments, disturb);
        ended.with(codes, &["ended"]);
        // Before and after the run, the program itself needs a while on a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(budget + 20), "{name}: {:?}\n{}", begun.elapsed(), ended.text);
        if ["stuck", "tired"].contains(&name) {
            let took = folder.report()["summary"]["duration_ms"].as_u64().unwrap();
            assert!(took < (budget + 5) * 1000, "{name}: {took} ms\n{}", ended.text);
        }
    }
}

#[test]
fn the_doctor_only_reads_and_ends_as_a_check_would() {
    let (_, ended, proxied, _runtime) = {
        let runtime = runtime();
        let proxied = runtime.block_on(proxied(SECRET, Duration::ZERO, |_| None));
        let folder = Folder::new("doctor");
        let child =
            folder.start(&proxied.reference.client_id, &["doctor", "--target", &proxied.target.endpoint, "--mode", "exclusive", "--json"]);
        let ended = folder.end(child);
        guards_secrets(&folder, &proxied);
        (folder, ended, proxied, runtime)
    };
    ended.with(&[0], &[]);
    let told: Value = serde_json::from_str(&ended.text).unwrap();
    let symptoms = told["symptoms"].as_array().unwrap();
    for symptom in symptoms {
        assert_eq!(symptom["health"] == "good", symptom.get("remedy").is_none(), "{symptom}");
    }
    for about in ["reachability", "TLS", "clock", "admin token", "version", "token exchange", "account center", "mail", "lease"] {
        assert!(symptoms.iter().any(|symptom| symptom["about"] == about), "{about}");
    }
    let operations: Vec<u64> = told["modes"].as_array().unwrap().iter().map(|mode| mode["operations"].as_u64().unwrap()).collect();
    assert!(operations.len() == 3 && operations.is_sorted(), "{operations:?}");
    for line in &proxied.log.lock().unwrap().lines {
        assert!(line.starts_with("GET ") || line == "POST /oidc/token", "{line}");
    }
    Folder::new("doctor-nobody").run(&["doctor", "--target", "http://127.0.0.1:1"]).with(&[3], &["BAD", "cannot connect", "-> "]);
}

#[test]
fn the_isolated_mode_leaves_an_account_center_that_is_off_as_it_is() {
    let (folder, ended, proxied, _runtime) = behind("isolated", 0, &[], |_| None);
    ended.with(&[0, 4], &["mode isolated", "use `--mode exclusive`"]);
    assert_eq!(folder.report()["findings"], Value::Array(Vec::new()));
    let log = proxied.log.lock().unwrap();
    assert!(log.lines.len() > 10);
    let shared = ["PATCH /api/account-center", "PATCH /api/sign-in-exp"];
    // What only asks to be turned away carries nothing that could be set.
    let calls = log.lines.iter().zip(&log.bodies).filter(|(line, _)| shared.contains(&line.as_str()));
    let bodies: Vec<&[u8]> = calls.map(|(_, body)| body.as_slice()).collect();
    assert!(bodies.len() >= 4 && bodies.iter().all(|body| *body == b"[]"), "{bodies:?}");
}

#[test]
fn a_target_that_publishes_no_document_is_told_so() {
    let arguments = ["--mode", "exclusive", "--only", "routes"];
    let gone = |number| (number == 26).then(|| plain("404 Not Found", "text/plain", "Not Found"));
    let odd = |number| (number == 26).then(|| plain("200 OK", "application/json", "{\"paths\": {}}"));
    let (first, _, proxied, _runtime) = behind("undocumented", 0, &arguments, gone);
    assert_eq!(proxied.log.lock().unwrap().lines[25], "GET /api/.well-known/management.openapi.json");
    let (second, ..) = behind("without-paths", 0, &arguments, odd);
    for (folder, said) in [(first, "answers 404"), (second, "has no `paths`")] {
        let report = folder.report();
        let rows = report["out_of_scope"].as_array().unwrap().iter();
        let about: Vec<&Value> = rows.filter(|row| row["reason"].as_str().unwrap().contains(said)).map(|row| &row["requirement"]).collect();
        assert_eq!(about, ["MGT-ONLY-01", "MGT-DOC-01", "MGT-DOC-02"], "{report:#}");
        assert_eq!(report["summary"]["operations"]["published"], 0);
    }
}

#[test]
fn the_read_only_mode_writes_nothing() {
    let (folder, ended, proxied, _runtime) = behind("read-only", 0, &["--mode", "read-only"], |_| None);
    ended.with(&[0], &["CONFORMANT (exit 0)", "use `--mode isolated`", "residue: none"]);
    let report = folder.report();
    assert!(report["summary"]["requests"].as_u64().unwrap() > 200, "{report:#}");
    assert!(report["summary"]["requirements"]["pass"].as_u64().unwrap() > 30, "{report:#}");
    let reasons = report["out_of_scope"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap());
    assert!(reasons.filter(|reason| reason.contains("this mode forbids")).count() > 100, "{report:#}");
    for line in &proxied.log.lock().unwrap().lines {
        let reads = ["GET ", "HEAD ", "OPTIONS "].iter().any(|method| line.starts_with(method));
        assert!(reads || line == "POST /oidc/token", "{line}");
    }
}
