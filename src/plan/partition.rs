//! A plan shared out among several runs, on several machines if need be.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::sequence::Plan;

/// One of the parts that a plan is shared out into. Which part a sequence belongs to depends on its name and the number of
/// parts only, so that a sequence stays where it is when others come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    index: u32,
    of: u32,
}

impl Partition {
    /// Its number, counted from 1.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether a sequence of that name belongs to it.
    pub fn holds(self, sequence: &str) -> bool {
        let digest = Sha256::digest(sequence);
        let number = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.index - 1)
    }

    /// Takes out of a plan what belongs to other parts. Nothing may be left.
    pub fn keep(self, plan: &mut Plan) {
        for epoch in &mut plan.epochs {
            epoch.sequences.retain(|sequence| self.holds(&sequence.id));
        }
        plan.epochs.retain(|epoch| !epoch.sequences.is_empty());
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self { index, of }),
            _ => Err("write M/N, the M-th of N parts, for example 1/8".to_owned()),
        }
    }
}

impl Plan {
    /// Tells plans of other sequences or settings apart; what the target said of itself is left out.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        serde_json::to_writer(&mut hasher, &self.epochs).expect("a plan has only string keys, so it serialises");
        hasher.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::{Contract, Version};
    use crate::plan::{Facts, Profile, build};

    #[test]
    fn a_partition_is_written_as_a_fraction() {
        assert_eq!("2/8".parse::<Partition>().unwrap().to_string(), "2/8");
        for wrong in ["", "2", "0/8", "9/8", "1/0", "-1/8", "1/8/2", "a/b"] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_sequence_belongs_to_one_part_and_keeps_its_settings() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let facts = Facts { may_change_settings: true, can_sign_in: true, ..Facts::default() };
        let whole = build(&contract, &facts, 1, Profile::Quick, &[]).plan;
        let place = |plan: &Plan| -> BTreeSet<String> {
            let all = plan.epochs.iter().flat_map(|epoch| epoch.sequences.iter().map(move |sequence| (epoch, sequence)));
            all.map(|(epoch, sequence)| format!("{:?} {} {sequence:?}", epoch.settings, epoch.alone)).collect()
        };
        let mut seen = BTreeSet::new();
        for index in 1..=8 {
            let mut share = whole.clone();
            format!("{index}/8").parse::<Partition>().unwrap().keep(&mut share);
            assert!(share.sequences().count() > 0 && share.epochs.iter().all(|epoch| !epoch.sequences.is_empty()));
            let part = place(&share);
            assert!(seen.is_disjoint(&part), "{index}");
            seen.extend(part);
        }
        assert_eq!(seen, place(&whole));
    }

    #[test]
    fn other_sequences_make_another_digest() {
        let contract = Contract::embedded(Version::NEWEST).unwrap();
        let facts = Facts { may_change_settings: true, can_sign_in: true, ..Facts::default() };
        let plan = |only: &str| build(&contract, &facts, 1, Profile::Quick, &[only.to_owned()]).plan;
        assert_eq!(plan("routes").digest(), plan("routes").digest());
        assert_ne!(plan("routes").digest(), plan("UpdateProfile").digest());
    }

    #[test]
    fn a_sequence_stays_in_its_part_for_good() {
        let holder = |id: &str| (1..=8).find(|index| format!("{index}/8").parse::<Partition>().unwrap().holds(id));
        assert_eq!([holder("routes"), holder("lives/suspension"), holder("races/username/1")], [Some(8), Some(2), Some(8)]);
    }
}
