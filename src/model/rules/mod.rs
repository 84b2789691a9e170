//! Rules on single values: which password, username or phone number a conforming deployment takes.
//!
//! Each rule is a pure function of the value and of the settings that the deployment shows.
mod breach;
mod email_policy;
mod mock_social;
mod oidc;
mod password_policy;
mod phone;
mod picture;
pub mod provider;
mod search;
mod username_policy;

pub use breach::breached;
pub use email_policy::{EmailPolicy, email_domain};
pub use mock_social::{Account, MOCK_SOCIAL, mock_account};
pub use oidc::{OAUTH2, OIDC, enterprise_detail, identity as oidc_identity, is_readable, is_standard, page as oidc_page};
pub use password_policy::{Breached, CharacterTypes, Issue, LengthBounds, PasswordPolicy, Rejects, UserInfo, Verdict};
pub use phone::{Phone, parse as parse_phone};
pub use picture::is_picture;
pub use search::{Search, is_truthy};
pub use username_policy::{AllowedChars, UsernamePolicy};
