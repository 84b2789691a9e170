//! `serve`: the reference deployment.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use url::Url;

use super::{Failure, Settings, print, session};
use crate::contract::Contract;
use crate::reference::{Fault, Reference, ReferenceOptions};
use crate::report::RunVerdict;

pub(super) const EXAMPLE: &str = "Example:\n  $ logto-conformance serve --port 3001 --json";

/// Arguments of `serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Port on the loopback interface; a free one when not given
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// Address under which clients reach it, when something stands in front
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,
    /// Deviate from the contract in this way, a name of fixtures/faults.yaml (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Print endpoint and credentials as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// The named faults of the catalogue.
pub(super) fn faults(names: &[String]) -> Result<Vec<Fault>, Failure> {
    names.iter().map(|name| Fault::named(name).map_err(|error| Failure::Usage(error.to_string()))).collect()
}

/// Serves until it is stopped.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<RunVerdict, Failure> {
    let contract = Contract::embedded(settings.contract.or_newest())?;
    let options = ReferenceOptions {
        faults: faults(&args.fault)?,
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        public_url: args.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()),
        ..ReferenceOptions::new(contract)
    };
    session::block_on(async {
        let running = Reference::start(options)
            .await
            .map_err(|error| Failure::Usage(format!("the reference does not start: {error}\n  help: choose another --port")))?;
        let text = if args.json {
            let line = json!({
                "endpoint": running.endpoint, "client_id": running.client_id,
                "client_secret": running.client_secret, "resource": running.resource,
            });
            format!("{line}\n")
        } else {
            format!(
                "The reference deployment: for tests only, in memory, passwords in clear.\n\n  \
                 export LOGTO_CONFORMANCE_TARGET={}\n  export LOGTO_CONFORMANCE_CLIENT_ID={}\n  export LOGTO_CONFORMANCE_CLIENT_SECRET={}\n  \
                 export LOGTO_CONFORMANCE_RESOURCE={}\n\nCtrl-C stops it.\n",
                running.endpoint, running.client_id, running.client_secret, running.resource
            )
        };
        print(&text)?;
        session::signal().await;
        running.shutdown().await.map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(RunVerdict::Conformant)
    })
}
