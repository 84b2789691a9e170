//! `spec bundle`: the contract for other tools. `spec schema`: the formats of what this program writes.

use super::settings::Settings;
use super::{Failure, print};
use crate::contract::{Collection, Files, bundle};
use crate::plan::PLAN_SCHEMA;
use crate::report::{RunVerdict, json};

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance spec bundle account > account.openapi.json";

pub(super) const SCHEMA_EXAMPLE: &str = "Example:\n  $ logto-conformance spec schema plan > plan.schema.json";

/// A format that this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Written {
    /// `--report json:PATH`
    Report,
    /// `--report plan:PATH` and `findings/ID.json`
    Plan,
}

/// Arguments of `spec schema`.
#[derive(Debug, Clone, clap::Args)]
pub struct SchemaArgs {
    /// The format
    #[arg(value_name = "FORMAT")]
    format: Written,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<RunVerdict, Failure> {
    print(match args.format {
        Written::Report => json::SCHEMA,
        Written::Plan => PLAN_SCHEMA,
    })?;
    Ok(RunVerdict::Conformant)
}

/// Arguments of `spec bundle`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The collection: account or management
    #[arg(value_name = "COLLECTION", value_parser = collection)]
    collection: Collection,
}

fn collection(text: &str) -> Result<Collection, String> {
    let known = [Collection::Account, Collection::Management];
    known.into_iter().find(|collection| collection.to_string() == text).ok_or_else(|| "write account or management".to_owned())
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let document = bundle(&Files::embedded(), args.collection, settings.contract.or_newest())?;
    print(&format!("{document:#}\n"))?;
    Ok(RunVerdict::Conformant)
}
