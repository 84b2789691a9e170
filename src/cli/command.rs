//! The commands, and the way from arguments to the end of the process.

use std::ffi::OsString;
use std::panic::{self, UnwindSafe};

use clap::{CommandFactory as _, Parser, Subcommand};

use super::settings::{ContractSettings, RunSettings, TargetSettings, WaiverSettings};
use super::{
    Failure, Settings, check, compare, doctor, drift, explain, init, inspect, list, merge, output, replay, restore, selftest, serve, spec,
};
use crate::report::RunVerdict;

/// Contract-testing conformance harness for Logto's Account API and Management API.
#[derive(Debug, Parser)]
#[command(name = "logto-conformance", version, arg_required_else_help = true, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 conformant, 1 deviating, 2 usage, 3 unreachable, 4 incomplete,
5 internal, 6 residue (`logto-conformance explain 4` says what one means).

Settings come from `conformance.toml` (found upwards from the working directory),
overridden by LOGTO_CONFORMANCE_* variables, overridden by flags.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Test a deployment against the contract; without a target, the embedded reference
    #[command(after_help = check::EXAMPLE)]
    Check {
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        args: check::Args,
    },
    /// Say what stands in the way of testing a deployment, with the remedy; writes nothing there
    #[command(after_help = doctor::EXAMPLE)]
    Doctor {
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        args: doctor::Args,
    },
    /// Run the reference deployment until it is stopped
    #[command(after_help = serve::EXAMPLE)]
    Serve {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        args: serve::Args,
    },
    /// Run a stored request sequence again
    #[command(after_help = replay::EXAMPLE)]
    Replay {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        target: Box<TargetSettings>,
        #[command(flatten)]
        args: replay::Args,
    },
    /// Finish the clean-up of a run that was killed, from its ledger
    #[command(after_help = restore::EXAMPLE)]
    Restore {
        #[command(flatten)]
        target: Box<TargetSettings>,
        #[command(flatten)]
        args: restore::Args,
    },
    /// Show that every fault of the catalogue is caught, and by which checks
    #[command(after_help = selftest::EXAMPLE)]
    Selftest {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        args: selftest::Args,
    },
    /// Judge recorded traffic offline, in order, with state
    #[command(after_help = inspect::EXAMPLE)]
    Inspect {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        waivers: WaiverSettings,
        #[command(flatten)]
        args: inspect::Args,
    },
    /// List the operations, requirements or guard kinds of the contract
    #[command(after_help = list::EXAMPLE)]
    List {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        args: list::Args,
    },
    /// Say what an id, error code, check, guard kind, fault, verdict or exit code means
    #[command(after_help = explain::EXAMPLE)]
    Explain {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        args: explain::Args,
    },
    /// Say what changed between two runs
    #[command(after_help = compare::EXAMPLE)]
    Compare {
        #[command(flatten)]
        args: compare::Args,
    },
    /// Work on reports that `check` wrote
    #[command(subcommand_required = true, arg_required_else_help = true, after_help = merge::EXAMPLE)]
    Report {
        #[command(subcommand)]
        act: Act,
    },
    /// Compare the documents that a deployment publishes of its own API with the contract
    #[command(after_help = drift::EXAMPLE)]
    Drift {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        target: Box<TargetSettings>,
        #[command(flatten)]
        args: drift::Args,
    },
    /// Write the files that a project starts with
    #[command(after_help = init::EXAMPLE)]
    Init {
        #[command(flatten)]
        args: init::Args,
    },
    /// Print what makes a shell complete this program's arguments
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the contract in forms that other tools read
    #[command(subcommand_required = true, arg_required_else_help = true, after_help = spec::EXAMPLE)]
    Spec {
        #[command(subcommand)]
        form: Form,
    },
}

const COMPLETIONS_EXAMPLE: &str =
    "Example:\n  $ logto-conformance completions bash > ~/.local/share/bash-completion/completions/logto-conformance";

#[derive(Debug, Subcommand)]
enum Act {
    /// Make one report of those of all partitions of a plan, with the verdict and exit code of one whole run
    #[command(after_help = merge::EXAMPLE)]
    Merge {
        #[command(flatten)]
        args: merge::Args,
    },
}

#[derive(Debug, Subcommand)]
enum Form {
    /// Print one self-contained OpenAPI 3.1 document of a collection
    #[command(after_help = spec::EXAMPLE)]
    Bundle {
        #[command(flatten)]
        contract: ContractSettings,
        #[command(flatten)]
        args: spec::Args,
    },
    /// Print the JSON Schema of what this program writes
    #[command(after_help = spec::SCHEMA_EXAMPLE)]
    Schema {
        #[command(flatten)]
        args: spec::SchemaArgs,
    },
}

/// Parses the arguments (the program's name first), runs the command, and says how the run ended. Never panics: a fault of
/// ours ends as [`RunVerdict::Internal`], and what the fault says stays unprinted because it may hold a secret.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> RunVerdict {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        let remedy = "this is a fault of ours: please report it";
        output::print_error(&format!("internal error{place}; nothing is claimed about the target\n  help: {remedy}"));
    }));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    guarded(|| match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command),
        Err(error) => output::clap(&error),
    })
}

fn completions(shell: clap_complete::Shell) -> Result<RunVerdict, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "logto-conformance", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(RunVerdict::Conformant)
}

fn guarded(run: impl FnOnce() -> RunVerdict + UnwindSafe) -> RunVerdict {
    panic::catch_unwind(run).unwrap_or(RunVerdict::Internal)
}

fn dispatch(command: Command) -> RunVerdict {
    let with = |flags: Settings, run: &mut dyn FnMut(&Settings) -> Result<RunVerdict, Failure>| {
        Settings::effective(flags).map_err(Failure::from).and_then(|settings| run(&settings)).unwrap_or_else(|failure| failure.end())
    };
    let contract_only = |contract| Settings { contract, ..Settings::default() };
    match command {
        Command::Check { settings, args } => with(*settings, &mut |settings| check::run(&args, settings)),
        Command::Doctor { settings, args } => with(*settings, &mut |settings| doctor::run(&args, settings)),
        Command::Serve { contract, args } => with(contract_only(contract), &mut |settings| serve::run(&args, settings)),
        Command::Replay { contract, target, args } => {
            let flags = Settings { contract, target: (*target).clone(), ..Settings::default() };
            with(flags, &mut |settings| replay::run(&args, settings))
        }
        Command::Restore { target, args } => {
            let flags = Settings { target: (*target).clone(), ..Settings::default() };
            with(flags, &mut |settings| restore::run(&args, settings))
        }
        Command::Selftest { contract, args } => with(contract_only(contract), &mut |settings| selftest::run(&args, settings)),
        Command::Inspect { contract, waivers, args } => {
            let flags = Settings { contract, waivers, ..Settings::default() };
            with(flags, &mut |settings| inspect::run(&args, settings))
        }
        Command::List { contract, args } => with(contract_only(contract), &mut |settings| list::run(&args, settings)),
        Command::Explain { contract, args } => with(contract_only(contract), &mut |settings| explain::run(&args, settings)),
        Command::Compare { args } => compare::run(&args).unwrap_or_else(|failure| failure.end()),
        Command::Report { act: Act::Merge { args } } => {
            let run = RunSettings { allow_untestable: args.allow_untestable.clone(), ..RunSettings::default() };
            with(Settings { run, ..Settings::default() }, &mut |settings| merge::run(&args, settings))
        }
        Command::Drift { contract, target, args } => {
            let flags = Settings { contract, target: (*target).clone(), ..Settings::default() };
            with(flags, &mut |settings| drift::run(&args, settings))
        }
        Command::Init { args } => init::run(&args).unwrap_or_else(|failure| failure.end()),
        Command::Completions { shell } => completions(shell).unwrap_or_else(|failure| failure.end()),
        Command::Spec { form: Form::Bundle { contract, args } } => {
            with(contract_only(contract), &mut |settings| spec::run(&args, settings))
        }
        Command::Spec { form: Form::Schema { args } } => with(Settings::default(), &mut |_| spec::schema(&args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, found: &mut Vec<clap::Command>) {
        let mut subcommands = command.get_subcommands().peekable();
        if subcommands.peek().is_none() {
            found.push(command.clone());
        }
        subcommands.for_each(|inner| leaves(inner, found));
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example_that_parses() {
        Cli::command().debug_assert();
        let mut found = Vec::new();
        leaves(&Cli::command(), &mut found);
        assert!(found.len() >= 8);
        for command in found {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let example = command.get_after_help().unwrap().to_string();
            let line = example.lines().find_map(|line| line.trim().strip_prefix("$ ")).unwrap();
            let line = line.split(" > ").next().unwrap();
            let words = line.split_whitespace().skip_while(|word| *word != "logto-conformance");
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn a_fault_of_ours_is_internal() {
        assert_eq!(guarded(|| panic!("planted")), RunVerdict::Internal);
        assert_eq!(guarded(|| RunVerdict::Residue), RunVerdict::Residue);
    }

    #[test]
    fn every_option_has_a_sentence() {
        let mut found = Vec::new();
        leaves(&Cli::command(), &mut found);
        for command in found {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn the_exit_codes_in_the_help_are_all_there_are() {
        for verdict in RunVerdict::ALL {
            assert!(EXIT_CODES.contains(&format!("{} {}", verdict.exit_code(), verdict.word())));
        }
    }
}
