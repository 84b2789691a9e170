//! `init`: the files a project starts with.

use std::path::{Path, PathBuf};

use super::{Failure, print};
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance init --ci github";

/// Arguments of `init`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder to write to
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Also write what this CI server needs
    #[arg(long, value_name = "SERVER")]
    ci: Option<Server>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// A CI server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Server {
    /// A workflow in .github/workflows
    Github,
    /// A file to include from .gitlab-ci.yml
    Gitlab,
    /// A Jenkinsfile
    Jenkins,
}

/// What is always written: path and text.
const FILES: [(&str, &str); 2] =
    [(super::settings::FILE, include_str!("conformance.toml")), ("waivers.toml", include_str!("waivers.toml"))];

/// What is written where no Cargo package is: one for `cargo insta review`.
const PACKAGE: [(&str, &str); 2] =
    [("snapshots/Cargo.toml", include_str!("snapshots.Cargo.toml")), ("snapshots/lib.rs", include_str!("snapshots.lib.rs"))];

/// Whether a folder lies in a Cargo package.
fn is_in_package(dir: &Path) -> bool {
    // A folder that is not there yet lies where its parent does.
    let known = dir.ancestors().find_map(|dir| if dir == Path::new("") { Path::new(".") } else { dir }.canonicalize().ok());
    known.is_some_and(|known| known.ancestors().any(|dir| dir.join("Cargo.toml").is_file()))
}

const fn ci(server: Server) -> (&'static str, &'static str) {
    match server {
        Server::Github => (".github/workflows/conformance.yml", include_str!("github.yml")),
        Server::Gitlab => ("conformance.gitlab-ci.yml", include_str!("gitlab.yml")),
        Server::Jenkins => ("Jenkinsfile", include_str!("Jenkinsfile")),
    }
}

pub(super) fn run(args: &Args) -> Result<RunVerdict, Failure> {
    let package = PACKAGE.into_iter().filter(|_| !is_in_package(&args.dir));
    let files: Vec<(PathBuf, &str)> =
        FILES.into_iter().chain(package).chain(args.ci.map(ci)).map(|(path, text)| (args.dir.join(path), text)).collect();
    // All or nothing: what is there is told before anything is written.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()).filter(|_| !args.force) {
        return Err(Failure::Usage(format!("{} is there already\n  help: give another folder, or --force to replace it", path.display())));
    }
    for (path, text) in &files {
        write(path, text)?;
        print(&format!("wrote {}\n", path.display()))?;
    }
    print("\nnext: logto-conformance check, or set `target` in conformance.toml first\n")?;
    Ok(RunVerdict::Conformant)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(path, text));
    written.map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))
}
