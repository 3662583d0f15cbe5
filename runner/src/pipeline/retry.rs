//! When a failed stage is tried again.
//!
//! The main type is [`Retry`]. Its delays are computed from a seed, so that a resumed run waits as long as the first.

use std::time::Duration;

use kiln_span::millis;

use super::file::Jitter;

/// How often a stage is tried, and how long it rests between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all: 1 means no second try.
    pub attempts: u32,
    /// The rest after the first attempt; it doubles after each further one.
    pub backoff: Duration,
    /// The longest rest.
    pub max_backoff: Duration,
    /// How much of a rest is left to chance.
    pub jitter: Jitter,
}

impl Retry {
    /// How long to rest after attempt number `attempt` (counted from 1) failed. The same arguments give the same answer.
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(63);
        let ceiling = millis(self.backoff).saturating_mul(1_u64 << doublings).min(millis(self.max_backoff));
        let chance = mix(seed ^ mix(u64::from(attempt)));
        let rest = match self.jitter {
            Jitter::None => ceiling,
            Jitter::Equal => ceiling / 2 + share(ceiling - ceiling / 2, chance),
            Jitter::Full => share(ceiling, chance),
        };
        Duration::from_millis(rest)
    }
}

/// A share of `whole` between nothing and all of it, even where `chance` is evenly spread.
fn share(whole: u64, chance: u64) -> u64 {
    let product = (u128::from(whole) + 1) * u128::from(chance);
    // INVARIANT: chance < 2^64, so the shifted product is at most `whole`.
    u64::try_from(product >> 64).unwrap_or(whole)
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn retry(jitter: Jitter) -> Retry {
        Retry { attempts: 9, backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(30), jitter }
    }

    #[test]
    fn without_jitter_rests_double_up_to_the_longest() {
        let rests: Vec<u64> = (1..=7).map(|n| retry(Jitter::None).delay(n, 7).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(retry(Jitter::None).delay(u32::MAX, 7).as_secs(), 30);
    }

    #[test]
    fn seeds_spread_the_rests() {
        let rests: std::collections::BTreeSet<_> = (0..100).map(|seed| retry(Jitter::Full).delay(6, seed)).collect();
        assert!(rests.len() > 95, "{} different rests of 100", rests.len());
    }

    proptest! {
        #[test]
        fn rests_keep_to_their_bounds(attempt in any::<u32>(), seed in any::<u64>()) {
            let ceiling = retry(Jitter::None).delay(attempt, seed);
            let full = retry(Jitter::Full).delay(attempt, seed);
            let equal = retry(Jitter::Equal).delay(attempt, seed);
            prop_assert!(full <= ceiling && equal <= ceiling && equal * 2 >= ceiling - Duration::from_millis(1));
            prop_assert_eq!(full, retry(Jitter::Full).delay(attempt, seed));
        }
    }
}
