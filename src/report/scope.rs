//! Why a requirement is not tested, and what to do about it.

use super::document::Mode;
use crate::contract::{Need, PUBLISHED_AT, Requirement};

/// Said of what another partition of the plan may test.
pub(super) const ELSEWHERE: &str = "in another partition";

/// Said of what no partition can test, unless the plan holds something of it by chance.
pub(super) const ELSEWHERE_AT_MOST: &str = "in another partition, if in any";

const MERGE: &str = "put the reports of all partitions together with `logto-conformance report merge`";

/// What a run could test at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// What might be touched.
    pub(super) mode: Mode,
    /// Everything that could be planned was planned (`standard` or more, no `--only`).
    pub(super) whole: bool,
    /// A part of the plan was run.
    pub(super) partition: bool,
    /// Somebody can sign in with username and password.
    pub(super) can_sign_in: bool,
    /// Why the deployment's own document cannot be read.
    pub(super) unpublished: Option<&'a str>,
}

impl Scope<'_> {
    /// Less was planned, or run, than could be.
    pub(super) fn narrowed(&self) -> bool {
        self.partition || self.beyond().is_some()
    }

    /// What keeps a requirement from being tested that was not, and the remedy.
    pub(super) fn reason(&self, requirement: Option<&Requirement>, unmet: Option<Need>) -> (String, String) {
        if let Some(reason) = requirement.and_then(|requirement| requirement.excluded.clone()) {
            (reason, "not planned by this version".into())
        } else if let Some(need) = unmet {
            (need.reason().into(), need.fix().into())
        } else if self.partition {
            let reason = if self.beyond().is_none() { ELSEWHERE } else { ELSEWHERE_AT_MOST };
            (reason.into(), MERGE.into())
        } else if let Some(reason) = self.unpublished.filter(|_| requirement.is_some_and(|requirement| requirement.document)) {
            (reason.into(), format!("let the deployment serve {PUBLISHED_AT}"))
        } else if let Some((reason, fix)) = self.beyond() {
            (reason.into(), fix.into())
        } else if !self.can_sign_in {
            ("nobody can sign in with username and password".into(), "allow it in the sign-in experience".into())
        } else {
            ("no exchange gave evidence".into(), "see the errors of the run".into())
        }
    }

    /// What the mode, or the choice of what to plan, leaves out.
    fn beyond(&self) -> Option<(&'static str, &'static str)> {
        match self.mode {
            Mode::ReadOnly => Some((
                "needs something to be written, which this mode forbids",
                "use `--mode isolated`, or `--mode exclusive` on a deployment that nobody else needs now",
            )),
            Mode::Isolated => Some((
                "needs settings of the account center that may not be changed in this mode",
                "use `--mode exclusive` on a deployment that nobody else needs now",
            )),
            Mode::Exclusive if !self.whole => Some(("the profile or `--only` left it out", "use `--profile standard` without `--only`")),
            Mode::Exclusive => None,
        }
    }
}
