//! What those who take targets away left of the healthy ones: by it a test sees whether a traffic guard was kept at every step.
//!
//! The main type is [`TrafficRecord`].

use serde::Serialize;

use crate::clock::Timestamp;

/// Why a target is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Somebody chose to: a refresh, scaling in, a caller.
    Step,
    /// It failed, and nobody chose it.
    Failed,
    /// AWS wanted its spot instance back.
    Interrupted,
}

/// What happened to the healthy targets of a group.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TrafficRecord {
    /// The fewest that a step which took a healthy one left, those added that were interrupted and have no replacement yet.
    pub(super) least_healthy_after_steps: Option<usize>,
    /// When that was.
    pub(super) least_at: Option<Timestamp>,
    /// How many healthy ones steps took.
    pub(super) steps: usize,
    /// How many healthy ones were interrupted.
    pub(super) interrupted: usize,
    /// How many of these have no replacement yet.
    pub(super) missing: usize,
}

impl TrafficRecord {
    /// A healthy target was taken, which left `healthy` others.
    pub(super) fn took(&mut self, now: Timestamp, why: Taken, healthy: usize) {
        match why {
            Taken::Step => {
                self.steps += 1;
                let left = healthy + self.missing;
                if self.least_healthy_after_steps.is_none_or(|least| left < least) {
                    (self.least_healthy_after_steps, self.least_at) = (Some(left), Some(now));
                }
            }
            Taken::Interrupted => {
                self.interrupted += 1;
                self.missing += 1;
            }
            Taken::Failed => {}
        }
    }

    /// A target came to be healthy.
    pub(super) fn came(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_interrupted_counts_apart_until_it_is_replaced() {
        let mut record = TrafficRecord::default();
        record.took(Timestamp(1), Taken::Step, 3);
        record.took(Timestamp(2), Taken::Interrupted, 2);
        record.took(Timestamp(3), Taken::Step, 2);
        assert_eq!((record.least_healthy_after_steps, record.least_at), (Some(3), Some(Timestamp(1))));
        record.came();
        record.took(Timestamp(4), Taken::Failed, 1);
        assert_eq!(record.least_healthy_after_steps, Some(3), "nobody chose it");
        record.took(Timestamp(5), Taken::Step, 2);
        assert_eq!((record.least_healthy_after_steps, record.steps, record.interrupted), (Some(2), 3, 1));
    }
}
