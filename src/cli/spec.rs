//! `spec bundle`: the contract for other tools.

use super::settings::Settings;
use super::{Failure, print};
use crate::contract::{Collection, Files, bundle};
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance spec bundle account > account.openapi.json";

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
