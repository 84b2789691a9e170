//! The deployment under test, seen from outside: one HTTP client, one gate that everything sent passes, a ledger of
//! what the run changed, and the clean-up that takes it back.
//!
//! ```text
//! engine ─► gate ─► client ─► deployment          gate: may this be sent at all? (mode, name space, own objects)
//!            │ │                                  ledger: what it will create or change, on disk before it is sent
//!            │ └─► secrets ─► every writer        secrets: every value that must never be printed
//!            └─► ledger ─► cleanup
//! ```
//!
//! Only the gate owns a client; everything else here ([`AdminCredentials`], [`sign_in()`], [`provision()`],
//! [`cleanup()`]) sends through it, so no rule about harm can be forgotten by a caller.

mod authenticator;
mod channel;
mod cleanup;
mod client;
mod connectors;
mod cookies;
mod credentials;
mod enterprise;
mod exchange;
mod form;
mod gate;
mod harvest;
mod inventory;
mod lease;
mod ledger;
mod manners;
mod measure;
mod provider;
mod provider_desk;
mod provider_http;
mod provision;
mod rules;
mod secret;
mod sign_in;
#[cfg(test)]
mod test_server;
mod vault;

pub use authenticator::{Authenticator, AuthenticatorError, totp};
pub use channel::{Channel, ChannelError, ChannelKind, ChannelOptions, Turn};
pub use cleanup::{CleanupReport, cleanup, put_back_experience};
pub use client::{Client, ClientError, ClientOptions, SendError};
pub use connectors::{ConnectError, connect};
pub use credentials::{AdminCredentials, MintError, Token};
pub use enterprise::sign_in_through;
pub use exchange::{Exchange, Witness};
pub use gate::{Clearance, Gate, GateError, LEASE_ROLE, Mode, ModeError};
pub use inventory::Inventory;
pub use lease::{LEASE_TIME, Lease, LeaseError};
pub use ledger::{Header, Intent, Ledger, LedgerError, Record};
pub use manners::Manners;
pub use provider::{Account, Consent, Provider, ProviderError};
pub use provision::{ProvisionError, Provisioned, REDIRECT_URI, Wants, keeps_tokens, namespace, provision};
pub use secret::{MASK, Redacted, SecretRegister, has_symbol, left_out};
pub use sign_in::{Login, OidcClient, Shown, SignInError, SignedIn, sign_in};
pub use vault::Vault;
