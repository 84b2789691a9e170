//! How one check may end, and how a whole run may end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is claimed about one requirement, or about one requirement on one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Tested, and it holds.
    Pass,
    /// A deviation, confirmed on fresh data.
    Fail,
    /// A deviation that a waiver expects.
    Waived,
    /// A waiver expects a deviation that is gone: the waiver must go.
    StaleWaiver,
    /// A deviation was seen once and did not reproduce; nothing is claimed.
    Flaky,
    /// Promised, but it could not be tested; the reason and the remedy are listed.
    Untestable,
    /// Trouble of our own; nothing is claimed.
    Error,
    /// Never promised under this mode, profile and settings; the remedy is listed.
    OutOfScope,
}

impl Verdict {
    /// Every verdict, in the order in which they are documented.
    pub const ALL: [Self; 8] =
        [Self::Pass, Self::Fail, Self::Waived, Self::StaleWaiver, Self::Flaky, Self::Untestable, Self::Error, Self::OutOfScope];

    /// The word used in every format, for example `stale-waiver`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived => "waived",
            Self::StaleWaiver => "stale-waiver",
            Self::Flaky => "flaky",
            Self::Untestable => "untestable",
            Self::Error => "error",
            Self::OutOfScope => "out-of-scope",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a run may end. Each variant is one exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// Exit code 0: all MUST requirements that were promised were tested and hold, or are waived.
    Conformant,
    /// Exit code 1: at least one finding, or a stale waiver.
    Deviating,
    /// Exit code 2: command line, configuration, contract or waiver file is wrong.
    Usage,
    /// Exit code 3: the target does not answer or refuses the credentials.
    Unreachable,
    /// Exit code 4: nothing ran, or less than promised was tested and nobody allowed that.
    Incomplete,
    /// Exit code 5: our own fault; nothing is claimed about the target.
    Internal,
    /// Exit code 6: something created or changed on the target could not be put back.
    Residue,
}

impl RunVerdict {
    /// Every way to end, by exit code.
    pub const ALL: [Self; 7] =
        [Self::Conformant, Self::Deviating, Self::Usage, Self::Unreachable, Self::Incomplete, Self::Internal, Self::Residue];

    /// When several ends apply, the first of these that applies is the run's.
    ///
    /// What makes every other claim doubtful comes first (our own fault, wrong input, no target), then what the user must
    /// act on (something left behind, a finding, a gap).
    pub const PRECEDENCE: [Self; 7] =
        [Self::Internal, Self::Usage, Self::Unreachable, Self::Residue, Self::Deviating, Self::Incomplete, Self::Conformant];

    /// The exit code of the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Conformant => 0,
            Self::Deviating => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Incomplete => 4,
            Self::Internal => 5,
            Self::Residue => 6,
        }
    }

    /// The verdict word used in every format.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::Deviating => "deviating",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Incomplete => "incomplete",
            Self::Internal => "internal",
            Self::Residue => "residue",
        }
    }

    /// What the word means, as one sentence without its full stop.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Conformant => "every MUST requirement that was promised was tested and holds, or is waived",
            Self::Deviating => "the target breaks the contract, or a waiver is stale",
            Self::Usage => "the command line, configuration, contract or a waiver file is wrong",
            Self::Unreachable => "the target does not answer or refuses the credentials",
            Self::Incomplete => "nothing ran, or less was tested than promised",
            Self::Internal => "the harness itself failed; nothing is claimed about the target",
            Self::Residue => "something created or changed on the target could not be put back",
        }
    }

    /// The end that counts when several apply: 5 > 2 > 3 > 6 > 1 > 4 > 0.
    ///
    /// Without any verdict the result is [`RunVerdict::Conformant`], the neutral element; a caller that ran nothing says
    /// [`RunVerdict::Incomplete`] itself.
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().min_by_key(|verdict| verdict.rank()).unwrap_or(Self::Conformant)
    }

    /// Position in [`RunVerdict::PRECEDENCE`].
    fn rank(self) -> usize {
        Self::PRECEDENCE.iter().position(|other| *other == self).unwrap_or(Self::PRECEDENCE.len())
    }
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_position_in_all() {
        let codes: Vec<u8> = RunVerdict::ALL.iter().map(|verdict| verdict.exit_code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn precedence_is_the_documented_one() {
        let codes: Vec<u8> = RunVerdict::PRECEDENCE.iter().map(|verdict| verdict.exit_code()).collect();
        assert_eq!(codes, [5, 2, 3, 6, 1, 4, 0]);
    }

    #[test]
    fn the_worst_of_a_tail_of_the_precedence_is_its_first() {
        for (index, expected) in RunVerdict::PRECEDENCE.into_iter().enumerate() {
            let tail = &RunVerdict::PRECEDENCE[index..];
            assert_eq!(RunVerdict::worst(tail.iter().copied()), expected);
            assert_eq!(RunVerdict::worst(tail.iter().rev().copied()), expected, "order of arrival must not matter");
        }
        assert_eq!(RunVerdict::worst([]), RunVerdict::Conformant);
    }

    #[test]
    fn words_are_the_serialised_form() {
        for verdict in RunVerdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
            assert_eq!(format!("{verdict:>13}").trim_start(), verdict.word());
        }
    }
}
