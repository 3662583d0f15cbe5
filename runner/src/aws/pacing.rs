//! How fast a run asks each service once it was throttled: a pure policy on the run's clock.
//!
//! The main type is [`Pacer`], shared by all stages of a run: hundreds of them that poll one service must not throttle each
//! other. Until a service says that it is asked too often nobody waits. Then calls are spaced by a rate that grows by a
//! constant a second and is cut by a factor at each new refusal: additive increase and multiplicative decrease, under which
//! those who share a limit come to fair shares of it (Chiu and Jain, 1989). A cut begins, as in the adaptive mode of the AWS
//! SDKs (`ClientRateLimiter`, which has the factor 0.7 too), at the measured rate where that is the lower one; measured is
//! what was answered, because of a burst most is refused.

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
pub(crate) struct Pacer {
    paces: Mutex<BTreeMap<PaceKey, Pace>>,
    off: bool,
}

impl Pacer {
    /// One that lets every call be sent at once: to see what pacing is good for.
    pub(crate) fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// When a call that could be sent `now` is to be sent: now, unless the service was asked too often.
    pub(crate) fn admit(&self, key: &PaceKey, now: u64) -> SendSlot {
        match self.off {
            true => SendSlot { at: now, cuts: 0 },
            false => self.with(key, |pace| pace.admit(now)),
        }
    }

    /// The same for a call that waits for its slot: another one, where the rate was cut meanwhile, or was forgotten.
    pub(crate) fn confirm(&self, key: &PaceKey, slot: SendSlot, now: u64) -> SendSlot {
        self.with(key, |pace| pace.confirm(slot, now))
    }

    /// The service took a call, whatever it answered.
    pub(crate) fn answered(&self, key: &PaceKey, now: u64) {
        self.with(key, |pace| pace.answered(now));
    }

    /// The service refused a call because it is asked too often.
    pub(crate) fn throttled(&self, key: &PaceKey, now: u64) {
        self.with(key, |pace| pace.throttled(now));
    }

    fn with<T>(&self, key: &PaceKey, change: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        change(paces.entry(key.clone()).or_default())
    }
}

/// When a call is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SendSlot {
    /// The instant, in milliseconds.
    pub(crate) at: u64,
    /// How often the rate had been cut when the slot was given.
    cuts: u64,
}

/// The pace of one service in one place. Instants are milliseconds.
#[derive(Debug, Clone, Default)]
struct Pace {
    /// Calls a second, once there was a refusal.
    rate: Option<Rate>,
    /// How often it was cut.
    cuts: u64,
    /// When the window began over which answers are counted, and how many there were in it and in the one before.
    window: u64,
    answers: u32,
    answers_before: u32,
    /// Calls that nobody spaced, in the window.
    asked: u32,
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
    fn admit(&mut self, now: u64) -> SendSlot {
        self.begin_window(now);
        let cuts = self.cuts;
        let Some(rate) = &mut self.rate else {
            self.asked = self.asked.saturating_add(1);
            return SendSlot { at: now, cuts };
        };
        if now.saturating_sub(rate.cut) >= FORGET {
            self.rate = None;
            return SendSlot { at: now, cuts };
        }
        rate.value += GROWTH * now.saturating_sub(rate.raised) as f64 / 1_000.0;
        rate.raised = rate.raised.max(now);
        let at = rate.next.max(now);
        rate.next = at.saturating_add(rate.spacing());
        SendSlot { at, cuts }
    }

    fn confirm(&mut self, slot: SendSlot, now: u64) -> SendSlot {
        let forgotten = self.rate.is_none_or(|rate| now.saturating_sub(rate.cut) >= FORGET);
        if slot.cuts == self.cuts && !forgotten { slot } else { self.admit(now) }
    }

    fn answered(&mut self, now: u64) {
        self.begin_window(now);
        self.answers = self.answers.saturating_add(1);
    }

    fn throttled(&mut self, now: u64) {
        self.begin_window(now);
        // Where nothing was answered of late there is nothing to measure: a refusal may be the first to come back.
        let asked = f64::from(self.asked) * 1_000.0 / WINDOW as f64;
        let measured = self.measured();
        let first = Rate { value: measured.unwrap_or(asked).max(LOWEST), raised: now, cut: 0, next: now };
        let rate = self.rate.get_or_insert(first);
        let measured = measured.unwrap_or(rate.value);
        if now.saturating_sub(rate.cut) < SETTLE {
            return;
        }
        rate.value = (rate.value.min(measured) * CUT).max(LOWEST);
        (rate.raised, rate.cut) = (now, now);
        // Whoever waits has a slot of the old rate. They wake in their order, and each is given one of the new.
        rate.next = now.saturating_add(rate.spacing());
        self.cuts += 1;
    }

    /// Begin another window where this one is over.
    fn begin_window(&mut self, now: u64) {
        let age = now.saturating_sub(self.window);
        if age >= WINDOW {
            self.answers_before = if age < 2 * WINDOW { self.answers } else { 0 };
            (self.answers, self.asked) = (0, 0);
            self.window = now;
        }
    }

    /// Answers a second of late, if there were any.
    fn measured(&self) -> Option<f64> {
        let answers = self.answers.max(self.answers_before);
        (answers > 0).then(|| f64::from(answers) * 1_000.0 / WINDOW as f64)
    }
}

impl Rate {
    /// Milliseconds from one call to the next.
    fn spacing(&self) -> u64 {
        (1_000.0 / self.value) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_waits_until_a_service_refuses() {
        let mut pace = Pace::default();
        for now in 0..1_000 {
            assert_eq!(pace.admit(now).at, now);
            pace.answered(now);
        }
    }

    #[test]
    fn a_refusal_that_comes_back_first_is_no_reason_to_all_but_stop() {
        let mut pace = Pace::default();
        for _ in 0..300 {
            pace.admit(0);
        }
        pace.throttled(10);
        let last = (0..200).map(|_| pace.admit(600).at).max();
        assert!(last.is_some_and(|last| last < 5_000), "the last of 200 may call at {last:?} ms");
    }

    #[test]
    fn whoever_waits_when_a_service_has_recovered_waits_no_longer() {
        let mut pace = Pace::default();
        pace.throttled(0);
        let slots: Vec<SendSlot> = (0..400).map(|_| pace.admit(1)).collect();
        let last = slots.last().copied().unwrap_or(SendSlot { at: 0, cuts: 0 });
        assert!(last.at > FORGET, "{last:?}");
        assert_eq!(pace.confirm(last, FORGET - 1), last);
        assert_eq!(pace.confirm(last, FORGET).at, FORGET);
    }

    /// What came of calls.
    #[derive(Debug, Default, Clone, Copy)]
    struct Polled {
        answered: u32,
        refused: u32,
    }

    impl Polled {
        fn refused_share(self) -> f64 {
            f64::from(self.refused) / f64::from((self.answered + self.refused).max(1))
        }
    }

    /// Ask a service that takes `limit` calls a second, from `callers` pollers who ask again so many milliseconds after each
    /// answer, for five minutes.
    fn poll(callers: u64, every: u64, limit: f64, paced: bool) -> Polled {
        let (mut pace, mut tokens, mut last, mut polled) = (Pace::default(), limit, 0, Polled::default());
        // When each poller is up next, and with which slot.
        let mut queue: BTreeSet<(u64, u64, Option<u64>)> =
            (0..callers).map(|caller| (caller % 7, caller, None)).collect();
        while let Some((now, caller, cuts)) = queue.pop_first().filter(|(now, _, _)| *now < 300_000) {
            let slot = match cuts {
                Some(cuts) => pace.confirm(SendSlot { at: now, cuts }, now),
                None => pace.admit(now),
            };
            if paced && slot.at > now {
                queue.insert((slot.at, caller, Some(slot.cuts)));
                continue;
            }
            tokens = (tokens + (now - last) as f64 * limit / 1_000.0).min(limit);
            last = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                polled.answered += 1;
                pace.answered(now);
            } else {
                polled.refused += 1;
                pace.throttled(now);
            }
            queue.insert((now + every, caller, None));
        }
        polled
    }

    #[test]
    fn hundreds_of_pollers_do_not_throttle_each_other() {
        let (paced, unpaced) = (poll(200, 1_000, 20.0, true), poll(200, 1_000, 20.0, false));
        assert!(paced.refused * 20 < unpaced.refused, "{paced:?} with pacing, {unpaced:?} without");
        assert!(paced.answered > 20 * 300 * 6 / 10, "most of what the service can do is asked of it: {paced:?}");
    }

    proptest! {
        #[test]
        fn few_are_refused_and_the_service_is_used(
            callers in 2..400u64, every in 500..20_000u64, limit in 2.0..60.0f64,
        ) {
            let (paced, unpaced) = (poll(callers, every, limit, true), poll(callers, every, limit, false));
            // The higher shares are those of a handful of pollers in step, which a service of two calls a second refuses.
            prop_assert!(paced.refused_share() < 0.25, "{paced:?}");
            prop_assert!(paced.refused <= unpaced.refused + 5, "{paced:?} with pacing, {unpaced:?} without");
            let wanted = (callers as f64 * 1_000.0 / every as f64).min(limit) * 300.0;
            prop_assert!(f64::from(paced.answered) > wanted / 3.0, "{paced:?} of {wanted}");
        }

        #[test]
        fn slots_are_never_past_and_keep_their_distance_until_a_cut(
            steps in prop::collection::vec((0..5_000u64, 0..10u32), 1..300),
        ) {
            let (mut pace, mut now, mut last) = (Pace::default(), 0, None);
            for (pause, refused) in steps {
                now += pause;
                if refused == 0 {
                    pace.throttled(now);
                    last = None;
                }
                let slot = pace.admit(now);
                prop_assert!(slot.at >= now);
                prop_assert_eq!(pace.confirm(slot, slot.at), slot, "nothing was cut meanwhile");
                if let Some(last) = last {
                    prop_assert!(slot.at >= last, "{} comes before {last}", slot.at);
                }
                last = Some(slot.at);
                prop_assert!(slot.at - now <= 300 * 2_000, "nobody waits longer than for all before at the lowest rate");
            }
        }
    }
}
