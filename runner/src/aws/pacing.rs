//! How fast a run asks each service once it was throttled: a pure policy on the run's clock.
//!
//! The main type is [`Pacer`], shared by all stages of a run: hundreds of them that poll one service must not throttle each
//! other. Until a service says that it is asked too often nobody waits. Then calls are spaced by a rate that grows by a
//! constant a second and is cut by a factor at each new refusal: additive increase and multiplicative decrease, under which
//! those who share a limit come to fair shares of it (Chiu and Jain, 1989). The factor 0.7 is that of the AWS SDKs'
//! adaptive mode.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::types::{AccountId, Region};

/// What a rate is cut by.
const CUT: f64 = 0.7;
/// What a rate grows by, in calls a second each second.
const GROWTH: f64 = 0.5;
/// No rate is lower, in calls a second: whoever waits for ever learns nothing.
const LOWEST: f64 = 0.5;
/// Refusals within this time of a cut, in milliseconds, are answers to what was sent before it.
const SETTLE: u64 = 1_000;
/// After so many milliseconds without a refusal nobody waits any more.
const FORGET: u64 = 300_000;
/// The rate before the first refusal is measured over so many milliseconds.
const WINDOW: u64 = 2_000;

/// What has a limit of its own: a service in a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PaceKey {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    /// IAM's prefix: `ecs`.
    pub(crate) service: &'static str,
}

/// Spaces the calls of a run.
#[derive(Debug, Default)]
pub(crate) struct Pacer(Mutex<BTreeMap<PaceKey, Pace>>);

impl Pacer {
    /// When a call that could be sent `now` is to be sent: now, unless the service was asked too often.
    pub(crate) fn admit(&self, key: &PaceKey, now: u64) -> u64 {
        self.with(key, |pace| pace.admit(now))
    }

    /// The service refused a call because it is asked too often.
    pub(crate) fn throttled(&self, key: &PaceKey, now: u64) {
        self.with(key, |pace| pace.throttled(now));
    }

    fn with<T>(&self, key: &PaceKey, change: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(paces.entry(key.clone()).or_default())
    }
}

/// The pace of one service in one place. Instants are milliseconds.
#[derive(Debug, Clone, Default)]
struct Pace {
    /// Calls a second, once there was a refusal.
    rate: Option<Rate>,
    /// When the window began over which calls are counted, and how many there were in it and in the one before.
    window: u64,
    calls: u32,
    calls_before: u32,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Calls a second.
    value: f64,
    /// When it was last raised.
    raised: u64,
    /// When it was last cut.
    cut: u64,
    /// When the next call may be sent.
    next: u64,
}

impl Pace {
    fn admit(&mut self, now: u64) -> u64 {
        self.count(now);
        let Some(rate) = &mut self.rate else { return now };
        if now.saturating_sub(rate.cut) >= FORGET {
            self.rate = None;
            return now;
        }
        rate.value += GROWTH * now.saturating_sub(rate.raised) as f64 / 1_000.0;
        rate.raised = rate.raised.max(now);
        let slot = rate.next.max(now);
        rate.next = slot.saturating_add((1_000.0 / rate.value) as u64);
        slot
    }

    fn throttled(&mut self, now: u64) {
        let measured = self.measured();
        let rate = self.rate.get_or_insert(Rate { value: measured, raised: now, cut: 0, next: now });
        if now.saturating_sub(rate.cut) < SETTLE {
            return;
        }
        rate.value = (rate.value * CUT).max(LOWEST);
        rate.cut = now;
        // Those who wait already keep their places; whoever comes next goes behind them.
        rate.next = rate.next.max(now);
    }

    fn count(&mut self, now: u64) {
        if now.saturating_sub(self.window) >= WINDOW {
            self.calls_before = if now.saturating_sub(self.window) < 2 * WINDOW { self.calls } else { 0 };
            self.calls = 0;
            self.window = now;
        }
        self.calls = self.calls.saturating_add(1);
    }

    /// Calls a second of late.
    fn measured(&self) -> f64 {
        (f64::from(self.calls.max(self.calls_before)) * 1_000.0 / WINDOW as f64).max(LOWEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_waits_until_a_service_refuses() {
        let mut pace = Pace::default();
        assert!((0..1_000).all(|now| pace.admit(now) == now));
    }

    /// Ask a service that takes `limit` calls a second, from `callers` pollers who ask again a second after each answer, for
    /// a minute. Answers how many calls were refused, and how many were not.
    fn poll(callers: u64, limit: f64, paced: bool) -> (u32, u32) {
        let (mut pace, mut tokens, mut last) = (Pace::default(), limit, 0);
        let (mut refused, mut answered) = (0, 0);
        // When each poller sends its next call.
        let mut queue: std::collections::BTreeSet<(u64, u64)> =
            (0..callers).map(|caller| (caller % 7, caller)).collect();
        while let Some((now, caller)) = queue.pop_first().filter(|(now, _)| *now < 60_000) {
            tokens = (tokens + (now - last) as f64 * limit / 1_000.0).min(limit);
            last = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                answered += 1;
            } else {
                refused += 1;
                pace.throttled(now);
            }
            let next = now + 1_000;
            queue.insert((if paced { pace.admit(next).max(next) } else { next }, caller));
        }
        (refused, answered)
    }

    #[test]
    fn hundreds_of_pollers_do_not_throttle_each_other() {
        let (refused, answered) = poll(200, 20.0, true);
        let (unpaced, _) = poll(200, 20.0, false);
        assert!(refused * 10 < unpaced, "{refused} refusals with pacing, {unpaced} without");
        assert!(answered > 20 * 60 / 2, "at least half of what the service can do is asked of it: {answered}");
    }

    proptest! {
        #[test]
        fn slots_never_go_back_and_come_to_an_end(steps in prop::collection::vec((0..5_000u64, any::<bool>()), 1..200)) {
            let (mut pace, mut now, mut last) = (Pace::default(), 0, 0);
            for (pause, refused) in steps {
                now += pause;
                let slot = pace.admit(now);
                prop_assert!(slot >= now);
                prop_assert!(slot >= last || slot == now, "{slot} comes before {last}");
                prop_assert!(slot - now <= 200 * 2_000 + 1, "nobody waits longer than for all before at the lowest rate");
                last = slot;
                if refused {
                    pace.throttled(now);
                }
            }
        }
    }
}
