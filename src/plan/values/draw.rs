//! Draws from strategies, the same ones for the same seed and name.

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// Tries before a strategy counts as one that gives nothing.
const TRIES: u32 = 2_000;

/// A source of draws for one name.
pub struct Draw {
    runner: TestRunner,
    dice: StdRng,
}

impl Draw {
    /// The draws of a seed for a name; those of other names do not depend on them.
    pub fn new(seed: u64, name: &str) -> Self {
        let digest = Sha256::digest(format!("{seed}/{name}"));
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &digest);
        let config = Config { failure_persistence: None, max_local_rejects: TRIES, max_global_rejects: TRIES, ..Config::default() };
        Self { runner: TestRunner::new_with_rng(config, rng), dice: StdRng::from_seed(digest.into()) }
    }

    /// One value; none if the strategy finds none.
    pub fn one<S: Strategy>(&mut self, strategy: &S) -> Option<S::Value> {
        // The budget of rejections is each draw's own.
        let mut runner = TestRunner::new_with_rng(self.runner.config().clone(), self.runner.new_rng());
        strategy.new_tree(&mut runner).ok().map(|tree| tree.current())
    }

    /// Whole numbers below a bound, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.dice.next_u32() as usize % bound
    }

    /// Puts items in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
