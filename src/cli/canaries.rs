//! Canaries: every secret that goes over the wire in a run, looked for in everything that the program says and keeps.
//!
//! The program is started as its users start it, command after command, at a reference that notes each exchange. What is a
//! secret in these is found without the register that the program masks by, so that what the register forgets shows.

mod search;
mod sight;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::session;
use super::settings::Settings;
use crate::contract::{Contract, Version};
use crate::model::wire::{Answer, Request};
use crate::plan::Profile;
use crate::reference::{Fault, Reference, ReferenceOptions, Running};
use crate::report::plan_text;

pub use search::Hit;

/// The administrator's secret, with characters that every encoding writes in its own way.
const SECRET: &str = "canary \"s3cret\"/+&ü%=\\end";

/// A header for a gateway in front.
const HEADER: &str = "canary-gateway-9f8e7d6c";

/// The password of a proxy.
const PROXY: &str = "canary-proxy-5e4d3c";

/// Faults that make findings which speak of secrets.
const FAULTS: [&str; 4] = ["password-leaks", "digest-leaks", "any-password-proves", "user-created-201"];

/// Longest time for one command.
const LIMIT: Duration = Duration::from_secs(600);

/// What the search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunt {
    /// Commands that were run.
    pub commands: usize,
    /// Secrets that were looked for.
    pub secrets: usize,
    /// Files that were searched, with what the commands said.
    pub files: usize,
    /// What should not stand there.
    pub hits: Vec<Hit>,
}

/// Why the search says nothing.
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    /// A file or a process cannot be used.
    #[error("cannot search the outputs for secrets: {0}")]
    Io(#[from] io::Error),
    /// What the search needs does not start.
    #[error("cannot search the outputs for secrets: {0}")]
    SetUp(String),
    /// A command ended otherwise than it has to.
    #[error("cannot search the outputs for secrets: `{command}` ended with {ended}")]
    Ended {
        /// Its arguments.
        command: String,
        /// How it ended.
        ended: String,
    },
    /// The faults that were planted made no finding.
    #[error("cannot search the outputs for secrets: the run found nothing to tell")]
    NothingFound,
}

/// Runs the program in an empty folder, command after command, and looks for secrets in what it says and keeps there.
///
/// # Errors
///
/// When a command does not end as it has to, and when the folder or the program cannot be used.
pub async fn hunt(program: &Path, folder: &Path) -> Result<Hunt, HuntError> {
    let exchanges: Arc<Mutex<Vec<(Request, Answer)>>> = Arc::default();
    let noted = Arc::clone(&exchanges);
    let set_up = |error: &dyn std::fmt::Display| HuntError::SetUp(error.to_string());
    let contract = Contract::embedded(Version::NEWEST).map_err(|error| set_up(&error))?;
    let faults = FAULTS.iter().map(|name| Fault::named(name)).collect::<Result<Vec<Fault>, _>>().map_err(|error| set_up(&error))?;
    let reference = Reference::start(ReferenceOptions {
        faults,
        client_secret: Some(SECRET.to_owned()),
        witness: Some(Arc::new(move |request: &Request, answer: &Answer| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push((request.clone(), answer.clone()));
        })),
        ..ReferenceOptions::new(contract)
    })
    .await?;
    let (work, beside) = (folder.join("work"), folder.join("beside"));
    fs::create_dir_all(&work)?;
    fs::create_dir_all(&beside)?;
    let mut field = Field { program, work: &work, reference: &reference, commands: 0 };
    field.all(&beside, &exchanges).await?;
    let commands = field.commands;
    let exchanges = std::mem::take(&mut *exchanges.lock().unwrap_or_else(PoisonError::into_inner));
    let mut secrets = BTreeMap::from([SECRET, HEADER, PROXY].map(|secret| (secret.to_owned(), "setting".to_owned())));
    for (request, answer) in &exchanges {
        sight::secrets(request, answer, &mut secrets);
    }
    // Made-up values stand in every plan: whoever has the program has them. What is too short is not told from a word.
    let known = session::planned(&Settings::default(), Profile::Quick, 1).await.map_err(|error| set_up(&error))?;
    let known = plan_text(&known.plan);
    let public = |secret: &str| search::stands(secret, &known) || secret.contains("lc-") || secret.starts_with("never-");
    secrets.retain(|secret, _| secret.len() >= 6 && secret.bytes().any(|byte| byte.is_ascii_digit()) && !public(secret));
    let paths = below(&work)?;
    let hits = search::search(&work, &paths, &secrets)?;
    reference.shutdown().await?;
    Ok(Hunt { commands, secrets: secrets.len(), files: paths.len(), hits })
}

/// Where the commands are run.
struct Field<'a> {
    program: &'a Path,
    work: &'a Path,
    reference: &'a Running,
    commands: usize,
}

impl Field<'_> {
    /// Runs all commands.
    async fn all(&mut self, beside: &Path, exchanges: &Mutex<Vec<(Request, Answer)>>) -> Result<(), HuntError> {
        let check = "check --mode exclusive --profile quick --only lap/* --channel webhook --out out --log events.log \
                     --report json:r.json --report junit:r.xml --report markdown:r.md --report html:r.html --report plan:p.json --report har:r.har -vv";
        self.at_target(check, &[0, 1, 6]).await?;
        let finding = below(&self.work.join("out/findings"))?.into_iter().find(|path| path.extension().is_some_and(|it| it == "json"));
        let finding = finding.ok_or(HuntError::NothingFound)?;
        let finding = finding.strip_prefix(self.work).unwrap_or(&finding).display().to_string();
        self.at_target(&format!("replay {finding}"), &[0, 1, 4]).await?;
        for command in ["doctor", "doctor --json", "check --mode read-only --profile quick --out read", "restore out/ledger.jsonl", "drift"]
        {
            self.at_target(command, &[0, 1, 4, 6]).await?;
        }
        // What is refused, and a proxy whose password is wrong, are told without secrets too.
        self.at_target("check --out wrong --resource https://wrong.example.com", &[3]).await?;
        self.at_target(&format!("check --out far --proxy http://user:{PROXY}@127.0.0.1:9"), &[3]).await?;
        self.run("compare r.json r.json".split(' ').map(str::to_owned).collect(), &[0, 1]).await?;
        // A recording of it all, judged offline; it holds every secret, so it lies elsewhere.
        let recording = beside.join("recording.har");
        let text = sight::recording(&exchanges.lock().unwrap_or_else(PoisonError::into_inner)).to_string();
        fs::write(&recording, text)?;
        self.run(vec!["inspect".into(), recording.display().to_string()], &[0, 1, 4]).await
    }

    async fn at_target(&mut self, command: &str, expected: &[i32]) -> Result<(), HuntError> {
        let mut arguments: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let header = format!("CF-Access-Client-Secret:{HEADER}");
        arguments.extend(["--target", &self.reference.endpoint, "--header", &header].map(str::to_owned));
        self.run(arguments, expected).await
    }

    /// Runs one command to its end; what it says goes to files, like all else.
    async fn run(&mut self, arguments: Vec<String>, expected: &[i32]) -> Result<(), HuntError> {
        self.commands += 1;
        let stream = |name: &str| File::create(self.work.join(format!("{}-{name}.txt", self.commands)));
        let mut command = tokio::process::Command::new(self.program);
        command.args(&arguments).current_dir(self.work).env_clear().kill_on_drop(true).stdin(Stdio::null());
        command.env("LOGTO_CONFORMANCE_CLIENT_ID", &self.reference.client_id).env("LOGTO_CONFORMANCE_CLIENT_SECRET", SECRET);
        let mut child = command.stdout(stream("stdout")?).stderr(stream("stderr")?).spawn()?;
        let ended = |ended: String| HuntError::Ended { command: arguments[0].clone(), ended };
        let status = tokio::time::timeout(LIMIT, child.wait()).await.map_err(|_| ended("nothing in time".into()))??;
        if status.code().is_some_and(|code| expected.contains(&code)) { Ok(()) } else { Err(ended(status.to_string())) }
    }
}

/// Every file in a folder, at any depth.
fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
