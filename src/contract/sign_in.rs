//! What a sign-in is refused for: below the operations, and data all the same (`sign-in.yaml`).

use serde::Deserialize;

use super::guard::Refusal;

/// The refusals of a sign-in, by what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignInRefusals {
    /// The password is not that of the user.
    pub password: Refusal,
    /// The user is suspended.
    pub suspended: Refusal,
    /// A second factor is asked for, and none is shown.
    pub unproved: Refusal,
    /// The code is not that of the user's authenticator app, or of a time that is used up.
    pub totp: Refusal,
    /// The code is none of the user's unused backup codes.
    pub backup_code: Refusal,
    /// What the authenticator answers does not fit what was asked.
    pub passkey: Refusal,
    /// The user has no passkey that could be asked for.
    pub no_passkey: Refusal,
}

impl SignInRefusals {
    /// All of them.
    pub const fn all(&self) -> [&Refusal; 7] {
        [&self.password, &self.suspended, &self.unproved, &self.totp, &self.backup_code, &self.passkey, &self.no_passkey]
    }
}
