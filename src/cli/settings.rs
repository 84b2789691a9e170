//! Settings: `conformance.toml` (found upwards from the working directory), overridden by the environment, overridden by
//! flags.
//!
//! A setting is defined once, as a flag. Its key in the file is the flag's name without dashes in front (`client-id`), its
//! variable the same in capitals (`LOGTO_CONFORMANCE_CLIENT_ID`); all three go through the same parser. This is the one
//! place that reads the environment.

mod file;
mod proxy;
mod values;

use crate::plan::{Partition, Profile};
use std::env;
use std::path::{Path, PathBuf};

use clap::{Args as _, FromArgMatches as _};
use url::Url;

pub use file::SettingsError;
pub(super) use values::profile;
pub use values::{Budget, ExtraHeader, Format, ProviderAddress, Rate, ReportTarget, Secret};

use crate::contract::Version;
use crate::target::{AdminCredentials, ChannelKind, ClientOptions, Mode};

/// Name of the configuration file.
pub const FILE: &str = "conformance.toml";

/// What the names of all variables begin with.
pub const PREFIX: &str = "LOGTO_CONFORMANCE_";

/// Resource indicator of the Management API of a self-hosted deployment.
const DEFAULT_RESOURCE: &str = "https://default.logto.app/api";

/// All settings; those nobody gave are `None` or empty.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
    /// The contract.
    #[command(flatten)]
    pub contract: ContractSettings,
    /// What is expected to deviate.
    #[command(flatten)]
    pub waivers: WaiverSettings,
    /// The deployment under test.
    #[command(flatten)]
    pub target: TargetSettings,
    /// How much is run, and what is left of it.
    #[command(flatten)]
    pub run: RunSettings,
}

/// Which contract counts.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ContractSettings {
    /// Version of the contract; told from the target, or the newest, when not given
    #[arg(long, value_name = "VERSION", value_parser = values::version)]
    pub contract: Option<Version>,
}

impl ContractSettings {
    /// The version, or the newest where nothing can be asked for it.
    pub fn or_newest(&self) -> Version {
        self.contract.unwrap_or(Version::NEWEST)
    }
}

/// What is expected to deviate.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WaiverSettings {
    /// File of expected deviations (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub waivers: Vec<PathBuf>,
}

/// The deployment under test and how to reach it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetSettings {
    /// Base URL of the deployment; the embedded reference when not given
    #[arg(long, value_name = "URL", value_parser = values::endpoint)]
    pub target: Option<Url>,
    /// Id of a machine-to-machine application with the Management API role
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Its secret; better given in a variable, where other users of the machine cannot see it
    #[arg(long, value_name = "SECRET")]
    pub client_secret: Option<Secret>,
    /// Resource indicator of the Management API; that of a self-hosted deployment when not given
    #[arg(long, value_name = "URI")]
    pub resource: Option<String>,
    /// Accept any certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub insecure: Option<bool>,
    /// PEM file with further certificate authorities
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Send everything through this proxy, http://HOST:PORT; its password counts as a secret [default: what the
    /// environment names, as for other programs]
    #[arg(long, value_name = "URL", value_parser = values::proxy)]
    pub proxy: Option<Url>,
    /// Send this header with every request (may be repeated)
    #[arg(long, value_name = "NAME:VALUE")]
    pub header: Vec<ExtraHeader>,
    /// Longest time for one request, for example 30s
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub time_out: Option<std::time::Duration>,
    /// Send at most this many requests per second, for example 50/s
    #[arg(long, value_name = "N/s")]
    pub rate: Option<Rate>,
    /// How codes sent by the target reach this program: webhook, smtp, mailpit:URL, file or command:PROGRAM [default: none; webhook
    /// for the embedded reference]
    #[arg(long, value_name = "KIND[:DETAIL]")]
    pub channel: Option<ChannelKind>,
    /// Run an identity provider that the target reaches: ADDRESS:PORT to listen on, and its address if that is another one
    /// [default: none; 127.0.0.1:0 for the embedded reference]
    #[arg(long, value_name = "BIND[=URL]")]
    pub provider: Option<ProviderAddress>,
}

impl TargetSettings {
    /// How to reach the target, if there is one; `None` means the embedded reference.
    pub fn client_options(&self) -> Option<ClientOptions> {
        let mut options = ClientOptions::new(self.target.clone()?);
        options.timeout = self.time_out.unwrap_or(options.timeout);
        options.insecure = self.insecure.unwrap_or_default();
        options.ca_file.clone_from(&self.ca);
        options.extra_headers = self.header.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
        options.rate = self.rate.map(|rate| rate.0);
        options.proxy = self.proxy.clone().or_else(|| proxy::from_environment(&options.endpoint, &|name| env::var(name).ok()));
        Some(options)
    }

    /// The administrator's credentials on the target.
    ///
    /// Fails when the id or the secret is missing, with the ways to give it.
    pub fn credentials(&self) -> Result<AdminCredentials, SettingsError> {
        let missing = |flag: &str| {
            let variable = variable(flag);
            SettingsError {
                place: None,
                what: format!("a target needs `{flag}`"),
                remedy: format!(
                    "set {variable}, or `{flag}` in {FILE}, or give --{flag}: a machine-to-machine application with the Management API role"
                ),
            }
        };
        Ok(AdminCredentials {
            client_id: self.client_id.clone().ok_or_else(|| missing("client-id"))?,
            client_secret: self.client_secret.clone().ok_or_else(|| missing("client-secret"))?.0,
            resource: self.resource.clone().unwrap_or_else(|| DEFAULT_RESOURCE.to_owned()),
        })
    }
}

/// How much is run, and what is left of it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Run")]
pub struct RunSettings {
    /// How much is tested: quick, standard or deep [default: standard]
    #[arg(long, value_name = "PROFILE", value_parser = values::profile)]
    pub profile: Option<Profile>,
    /// Seed of the plan [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run the M-th of N parts of the plan only; `report merge` puts their reports together
    #[arg(long, value_name = "M/N")]
    pub partition: Option<Partition>,
    /// What may be touched: read-only, isolated or exclusive [default: isolated; exclusive for the embedded reference]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Sequences that run at the same time
    #[arg(long, value_name = "N", value_parser = values::jobs)]
    pub jobs: Option<usize>,
    /// End the run, clean-up included, after this much, for example 60s or 5000req
    #[arg(long, value_name = "BUDGET")]
    pub budget: Option<Budget>,
    /// Write a report: json, junit, markdown, html, plan or har (what went over the wire, without secrets), with :PATH (may be repeated)
    #[arg(long, value_name = "FORMAT[:PATH]")]
    pub report: Vec<ReportTarget>,
    /// Accept that matching requirements cannot be tested; `*` stands for any text (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub allow_untestable: Vec<String>,
    /// Let deviations from SHOULD requirements decide the verdict too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub strict: Option<bool>,
    /// Wait eleven minutes for what expires; the embedded reference needs no waiting
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub allow_waits: Option<bool>,
    /// Wait this long for the target to answer, and for another exclusive run to leave it, for example 60s
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub wait: Option<std::time::Duration>,
    /// Write what happens to this file while it happens, one line per event
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Folder for what the run keeps [default: a new one in conformance-out]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Takes each listed option from the upper layer, else from the lower; a list that is given replaces the lower one.
macro_rules! overlay {
    ($upper:expr, $lower:expr; $($option:ident).+ $(, $($more:ident).+)*; $($($list:ident).+),*) => {{
        let (mut upper, lower) = ($upper, $lower);
        upper.$($option).+ = upper.$($option).+.or(lower.$($option).+);
        $(upper.$($more).+ = upper.$($more).+.or(lower.$($more).+);)*
        $(if upper.$($list).+.is_empty() { upper.$($list).+ = lower.$($list).+; })*
        upper
    }};
}

impl Settings {
    /// The settings that count, from all sources.
    ///
    /// Fails when the file or a variable is wrong.
    pub fn effective(flags: Self) -> Result<Self, SettingsError> {
        let environment = |name: &str| env::var(name).ok();
        let dir = env::current_dir().map_err(|error| SettingsError {
            place: None,
            what: format!("the working directory cannot be read: {error}"),
            remedy: "change to a folder that exists".into(),
        })?;
        Self::load(flags, &dir, &environment)
    }

    /// The settings of one file alone, so that several targets can be told apart; variables count where the file names them.
    ///
    /// Fails when the file is wrong.
    pub fn of_file(path: &Path) -> Result<Self, SettingsError> {
        file::read(path, &|name| env::var(name).ok())
    }

    fn load(flags: Self, dir: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let found = dir.ancestors().map(|dir| dir.join(FILE)).find(|path| path.is_file());
        let file = found.map_or_else(|| Ok(Self::default()), |path| file::read(&path, environment))?;
        Ok(flags.over(Self::from_environment(environment)?).over(file))
    }

    fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut words = Vec::new();
        for key in keys() {
            let name = variable(&key);
            // CI systems set variables without value for secrets that do not exist.
            let Some(value) = environment(&name).filter(|value| !value.is_empty()) else { continue };
            let word = format!("--{key}={value}");
            parse(std::slice::from_ref(&word)).map_err(|what| SettingsError { place: Some(name), what, remedy: String::new() })?;
            words.push(word);
        }
        parse(&words).map_err(|what| SettingsError { place: None, what, remedy: String::new() })
    }

    fn over(self, lower: Self) -> Self {
        overlay!(
            self, lower;
            contract.contract, target.target, target.client_id, target.client_secret, target.resource, target.insecure, target.ca, target.proxy,
            target.time_out, target.rate, target.channel, target.provider, run.profile, run.seed, run.partition, run.mode, run.jobs, run.budget, run.strict, run.allow_waits,
            run.wait, run.log, run.out;
            waivers.waivers, target.header, run.report, run.allow_untestable
        )
    }
}

/// The flags that name a target.
///
/// Fails when the text is no address of one.
pub fn at(target: &str) -> Result<Settings, SettingsError> {
    let wrong = |what| SettingsError { place: None, what, remedy: String::new() };
    parse(&[format!("--target={target}")]).map_err(wrong)
}

/// The names of all settings, as in the file.
fn keys() -> Vec<String> {
    let command = Settings::augment_args(clap::Command::new(FILE).disable_help_flag(true));
    command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('-', "_").to_ascii_uppercase())
}

/// Parses settings written as flags; an error is told without clap's hints about usage.
fn parse(words: &[String]) -> Result<Settings, String> {
    let command = Settings::augment_args(clap::Command::new(FILE).disable_help_flag(true).no_binary_name(true));
    let matches = command.try_get_matches_from(words).and_then(|matches| Settings::from_arg_matches(&matches));
    matches.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    /// A folder of its own with a configuration file; gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, text: &str) -> Self {
            let dir = env::temp_dir().join(format!("logto-conformance-{}-{name}", std::process::id()));
            std::fs::create_dir_all(dir.join("inner")).unwrap();
            std::fs::write(dir.join(FILE), text).unwrap();
            Self(dir)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn flags_beat_the_environment_and_that_beats_the_file() {
        let dir = Folder::new(
            "order",
            "client-id = \"file\"\nresource = \"file\"\nseed = 1\nreport = [\"json:a\", \"junit:b\"]\nstrict = true\n",
        );
        let environment = |name: &str| match name {
            "LOGTO_CONFORMANCE_CLIENT_ID" | "LOGTO_CONFORMANCE_SEED" => Some("2".to_owned()),
            "LOGTO_CONFORMANCE_RESOURCE" => Some(String::new()),
            _ => None,
        };
        let flags = parse(&["--seed=3".into(), "--strict=false".into()]).unwrap();
        let settings = Settings::load(flags, &dir.0.join("inner"), &environment).unwrap();
        assert_eq!(settings.run.seed, Some(3));
        assert_eq!(settings.target.client_id.as_deref(), Some("2"));
        assert_eq!(settings.target.resource.as_deref(), Some("file"), "an empty variable is none");
        assert_eq!(settings.run.report.len(), 2);
        assert_eq!(settings.run.strict, Some(false));
    }

    /// Each setting given in one layer only arrives, so none is forgotten in `over`.
    #[test]
    fn every_setting_passes_through_every_layer() {
        let sample = |key: &str| match key {
            "contract" => "1.42",
            "target" => "https://example.com/",
            "proxy" => "http://proxy:8080",
            "header" => "A:b",
            "time-out" | "wait" | "budget" => "5s",
            "rate" => "5/s",
            "channel" => "webhook",
            "provider" => "127.0.0.1:0",
            "profile" => "quick",
            "mode" => "read-only",
            "partition" => "2/8",
            "seed" | "jobs" => "7",
            "report" => "json:x",
            "insecure" | "strict" | "allow-waits" => "true",
            _ => "text",
        };
        let empty = format!("{:?}", Settings::default());
        for key in keys() {
            let given = parse(&[format!("--{key}={}", sample(&key))]).unwrap_or_else(|error| panic!("{key}: {error}"));
            let shown = format!("{given:?}");
            assert_ne!(shown, empty, "{key}");
            assert_eq!(format!("{:?}", given.clone().over(Settings::default())), shown, "{key}");
            assert_eq!(format!("{:?}", Settings::default().over(given)), shown, "{key}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let environment = |name: &str| (name == "LOGTO_CONFORMANCE_MODE").then(|| "wild".to_owned());
        let error = Settings::from_environment(&environment).unwrap_err();
        assert_eq!(
            error.to_string(),
            "LOGTO_CONFORMANCE_MODE: invalid value 'wild' for '--mode <MODE>': unknown mode `wild`: use read-only, isolated or exclusive"
        );
    }

    #[test]
    fn secrets_come_from_elsewhere_and_are_not_shown() {
        let dir = Folder::new("secret", "client-id = {env = \"ID\"}\nclient-secret = {file = \"secret.txt\"}\nwaivers = [\"w.toml\"]\n");
        std::fs::write(dir.0.join("secret.txt"), "hush-hush\n").unwrap();
        let settings = Settings::load(Settings::default(), &dir.0, &|name| (name == "ID").then(|| "me".into())).unwrap();
        let credentials = settings.target.credentials().unwrap();
        assert_eq!((credentials.client_id.as_str(), credentials.client_secret.as_str()), ("me", "hush-hush"));
        assert_eq!(credentials.resource, DEFAULT_RESOURCE);
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.waivers.waivers, [dir.0.join("w.toml")]);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_shown_with_place_and_remedy() {
        let shown = |name: &str, text: &str| {
            let dir = Folder::new(name, text);
            let error = Settings::load(Settings::default(), &dir.0, &none).unwrap_err().to_string();
            error.replace(&dir.0.join(FILE).display().to_string(), FILE)
        };
        assert_eq!(
            shown("key", "seed = 1\nclientid = \"x\"\n"),
            "conformance.toml:2: `clientid` is no setting\n  | clientid = \"x\"\n  | ^^^^^^^^\n  help: did you mean `client-id`?"
        );
        assert_eq!(
            shown("value", "mode = \"wild\"\n"),
            "conformance.toml:1: invalid value 'wild' for '--mode <MODE>': unknown mode `wild`: use read-only, isolated or exclusive\n  | mode = \"wild\"\n  |        ^^^^^^"
        );
        assert_eq!(
            shown("unset", "client-secret = {env = \"NOWHERE\"}\n"),
            "conformance.toml:1: the environment variable NOWHERE is not set\n  | client-secret = {env = \"NOWHERE\"}\n  |                 ^^^^^^^^^^^^^^^^^\n  help: set it, or take the line out"
        );
        assert_eq!(
            shown("table", "[target]\nurl = 1\n"),
            "conformance.toml:1: `target` is a table\n  | [target]\n  | ^^^^^^^^\n  help: write a value, a list of values, { env = \"NAME\" } or { file = \"PATH\" }"
        );
        assert!(shown("syntax", "seed = \n").starts_with("conformance.toml:1: "), "{}", shown("syntax", "seed = \n"));
    }
}
