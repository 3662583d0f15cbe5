//! Decides what to do about a lease: what is seen of it, and what time has passed, become wait, take or refuse.
//!
//! The main type is [`Watch`]. Pure: time is given, never read. Whoever holds a lease by [`is_certain`] can write to AWS;
//! whoever waits takes it over only when the holder has long stopped being certain:
//!
//! ```text
//! holder   renewed                         certain until ttl - margin
//! watcher     seen (never before it was renewed)                        takes it at ttl + margin or later
//! ```
//!
//! Between the two lie two margins: what was sent in the last certain moment has arrived or was given up by then.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::types::{AccountId, EnvironmentName, RunId};

/// What a lease is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseKey {
    /// A run itself: one process is at it. In the state directory the lock of its journal is this.
    Run(RunId),
    /// An environment: one run deploys to it.
    Environment {
        /// Its account.
        account: AccountId,
        /// Its name.
        environment: EnvironmentName,
    },
}

impl LeaseKey {
    /// The environment, if it is one's.
    pub fn environment(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Run(_) => None,
            Self::Environment { environment, .. } => Some(environment),
        }
    }
}

impl fmt::Display for LeaseKey {
    /// As the subject of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run {run}"),
            Self::Environment { account, environment } => write!(f, "environment `{environment}` (account {account})"),
        }
    }
}

/// Who holds a lease, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine, or the build.
    pub host: String,
    /// The process's id there.
    pub process: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process, self.host)
    }
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holding {
    /// A process holds it, or died doing so.
    Held,
    /// A run keeps it that stopped in order and will go on.
    Parked,
    /// Nobody holds it.
    Free,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Parked => "parked",
            Self::Free => "free",
        })
    }
}

/// A lease, as it is kept. Never deleted: that would reset the fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The run that holds it, or held it last.
    pub run: RunId,
    /// The process that holds it, or held it last.
    pub owner: Owner,
    /// What only the holder knows; none where nobody holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Grows with each change of hands.
    pub fence: u64,
    /// Grows while the holder lives.
    pub heartbeat: u64,
    /// How it stands.
    pub state: Holding,
    /// Since when, in milliseconds since the Unix epoch, by the clock of whoever wrote it. For people.
    pub since: u64,
    /// How long the holder is given between two heartbeats, in milliseconds.
    pub ttl: u64,
    /// Why a person released it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How long a lease lasts without a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    ttl: Duration,
}

impl Default for Terms {
    /// A minute: renewed every 15 seconds, certain for 45 after a renewal, taken over after 75 without one.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60) }
    }
}

impl Terms {
    /// Terms of another length.
    pub fn of(ttl: Duration) -> Self {
        Self { ttl }
    }

    /// How long a lease lasts without a heartbeat.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How often it is renewed.
    pub fn renewal(&self) -> Duration {
        self.ttl / 4
    }

    /// How much earlier its holder, and how much later everybody else, take it for over. With the default terms two of them
    /// are as long as one attempt of an AWS call may take.
    pub fn margin(&self) -> Duration {
        self.ttl / 4
    }

    /// Whether a lease that was renewed so long ago is certainly still its holder's.
    pub fn is_certain(&self, since_renewal: Duration) -> bool {
        since_renewal < self.ttl - self.margin()
    }
}

/// What is known of the process that holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It lives: it has the lock.
    Alive,
    /// It is dead: nobody has the lock.
    Dead,
    /// Only its heartbeat can tell.
    Unknown,
}

/// What to do about a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Take it, with this fence.
    Take {
        /// The fence.
        fence: u64,
        /// The run that died holding it, where it was another.
        crashed: Option<Box<Lease>>,
    },
    /// Look again after so long.
    Wait {
        /// Until the next look.
        pause: Duration,
        /// Until it is taken over, if its holder is dead.
        left: Duration,
    },
    /// It is another's.
    Refuse(Refusal, Box<Lease>),
}

/// Why a lease cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A process holds it.
    Held,
    /// Another run keeps it until it goes on.
    Parked,
    /// Another run held it since this one did.
    Newer,
}

/// Who looks at a lease.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// The run that wants it.
    run: RunId,
    /// The fence under which the run has held it before, as its journal says.
    fence: Option<u64>,
    /// Whether the run goes on although another held it since.
    despite_newer: bool,
    /// What was seen last, and when its heart beat last, as far as this watch knows.
    seen: Option<(Lease, Duration)>,
}

impl Watch {
    pub(crate) fn new(run: RunId, fence: Option<u64>, despite_newer: bool) -> Self {
        Self { run, fence, despite_newer, seen: None }
    }

    /// What to do about a lease that is `seen` at the instant `now` of a clock that never goes back. `now` must be read after
    /// the answer has come.
    pub(crate) fn decide(&mut self, seen: Option<&Lease>, life: Life, now: Duration) -> Decision {
        // A fence never goes back, also where the lease was removed.
        let Some(lease) = seen else {
            return Decision::Take { fence: self.fence.unwrap_or_default() + 1, crashed: None };
        };
        let own = lease.run == self.run;
        // Whoever has it after this run had it is newer. Its fence is higher, unless the lease was removed meanwhile.
        let newer = self.fence.is_some() && !own;
        if newer && !self.despite_newer {
            return Decision::Refuse(Refusal::Newer, Box::new(lease.clone()));
        }
        match (lease.state, life) {
            (Holding::Free, Life::Dead | Life::Unknown) => self.take(lease, false),
            (Holding::Parked, Life::Dead | Life::Unknown) if own => self.take(lease, false),
            (Holding::Parked, Life::Dead | Life::Unknown) => Decision::Refuse(Refusal::Parked, Box::new(lease.clone())),
            // Whoever has the lock has not written yet what it is about to do.
            (Holding::Free | Holding::Parked | Holding::Held, Life::Alive) => {
                Decision::Refuse(Refusal::Held, Box::new(lease.clone()))
            }
            (Holding::Held, Life::Dead) => self.take(lease, !own),
            (Holding::Held, Life::Unknown) => self.watch(lease, now, own),
        }
    }

    fn take(&self, lease: &Lease, crashed: bool) -> Decision {
        let newest = lease.fence.max(self.fence.unwrap_or_default());
        Decision::Take { fence: newest + 1, crashed: crashed.then(|| Box::new(lease.clone())) }
    }

    fn watch(&mut self, lease: &Lease, now: Duration, own: bool) -> Decision {
        let terms = Terms::of(Duration::from_millis(lease.ttl));
        let since = match &self.seen {
            Some((before, since)) if before.nonce == lease.nonce && before.fence == lease.fence => {
                if before.heartbeat != lease.heartbeat {
                    return Decision::Refuse(Refusal::Held, Box::new(lease.clone()));
                }
                *since
            }
            // Seen for the first time, or it changed hands.
            Some(_) | None => now,
        };
        self.seen = Some((lease.clone(), since));
        let passed = now.saturating_sub(since);
        let due = terms.ttl() + terms.margin();
        if passed >= due {
            return self.take(lease, !own);
        }
        let left = due - passed;
        Decision::Wait { pause: left.min(terms.renewal() / 3), left }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(number: u64) -> RunId {
        RunId::seeded(1_767_603_600_000, number)
    }

    fn lease(of: u64, state: Holding) -> Lease {
        Lease {
            run: run(of),
            owner: Owner { host: "build-7".to_owned(), process: 41 },
            nonce: (state == Holding::Held).then(|| "n".to_owned()),
            fence: 7,
            heartbeat: 3,
            state,
            since: 0,
            ttl: 60_000,
            reason: None,
        }
    }

    fn decide(watch: &mut Watch, lease: &Lease, life: Life, seconds: u64) -> Decision {
        watch.decide(Some(lease), life, Duration::from_secs(seconds))
    }

    fn new_run() -> Watch {
        Watch::new(run(1), None, false)
    }

    #[test]
    fn what_nobody_holds_is_taken_with_a_fence_that_grows() {
        assert_eq!(new_run().decide(None, Life::Unknown, Duration::ZERO), Decision::Take { fence: 1, crashed: None });
        let free = lease(2, Holding::Free);
        for life in [Life::Dead, Life::Unknown] {
            assert_eq!(decide(&mut new_run(), &free, life, 0), Decision::Take { fence: 8, crashed: None });
        }
    }

    #[test]
    fn what_another_run_keeps_is_refused_and_what_the_run_keeps_itself_is_taken() {
        let parked = lease(2, Holding::Parked);
        assert!(matches!(decide(&mut new_run(), &parked, Life::Dead, 0), Decision::Refuse(Refusal::Parked, _)));
        let own = lease(1, Holding::Parked);
        assert_eq!(decide(&mut new_run(), &own, Life::Unknown, 0), Decision::Take { fence: 8, crashed: None });
    }

    #[test]
    fn a_heartbeat_that_goes_on_is_refused_and_one_that_stopped_is_taken_over() {
        let mut held = lease(2, Holding::Held);
        let mut watch = new_run();
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 10), Decision::Wait { .. }));
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 84), Decision::Wait { .. }), "75 s are not over");
        let Decision::Take { fence: 8, crashed: Some(crashed) } = decide(&mut watch, &held, Life::Unknown, 85) else {
            unreachable!("it was seen unchanged for 75 s");
        };
        assert_eq!(crashed.run, run(2));
        let mut watch = new_run();
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 10), Decision::Wait { .. }));
        held.heartbeat += 1;
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 20), Decision::Refuse(Refusal::Held, _)));
    }

    #[test]
    fn a_lease_that_changed_hands_is_watched_anew() {
        let mut held = lease(2, Holding::Held);
        let mut watch = new_run();
        decide(&mut watch, &held, Life::Unknown, 0);
        held.nonce = Some("m".to_owned());
        held.fence += 1;
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 80), Decision::Wait { .. }));
        assert!(matches!(decide(&mut watch, &held, Life::Unknown, 155), Decision::Take { fence: 9, .. }));
    }

    #[test]
    fn a_lease_that_was_removed_begins_behind_the_fence_that_the_run_knows() {
        let known = || Watch::new(run(1), Some(6), false);
        assert_eq!(known().decide(None, Life::Dead, Duration::ZERO), Decision::Take { fence: 7, crashed: None });
        // Another run found nothing, and began at 1.
        let begun_anew = Lease { fence: 1, ..lease(2, Holding::Free) };
        let refused = decide(&mut known(), &begun_anew, Life::Dead, 0);
        assert!(matches!(refused, Decision::Refuse(Refusal::Newer, _)), "{refused:?}");
        let despite = decide(&mut Watch::new(run(1), Some(6), true), &begun_anew, Life::Dead, 0);
        assert_eq!(despite, Decision::Take { fence: 7, crashed: None });
    }

    #[test]
    fn a_run_does_not_go_on_behind_the_back_of_a_newer_one() {
        for state in [Holding::Free, Holding::Parked, Holding::Held] {
            let newer = lease(2, state);
            let refused = decide(&mut Watch::new(run(1), Some(6), false), &newer, Life::Dead, 0);
            assert!(matches!(refused, Decision::Refuse(Refusal::Newer, _)), "{refused:?}");
        }
        let free = lease(2, Holding::Free);
        let despite = decide(&mut Watch::new(run(1), Some(6), true), &free, Life::Dead, 0);
        assert_eq!(despite, Decision::Take { fence: 8, crashed: None });
        // Released by a person: nobody else has held it.
        let own = lease(1, Holding::Free);
        let again = decide(&mut Watch::new(run(1), Some(6), false), &own, Life::Dead, 0);
        assert_eq!(again, Decision::Take { fence: 8, crashed: None });
    }

    #[test]
    fn a_lock_tells_at_once() {
        let held = lease(2, Holding::Held);
        assert!(matches!(decide(&mut new_run(), &held, Life::Alive, 0), Decision::Refuse(Refusal::Held, _)));
        assert!(matches!(decide(&mut new_run(), &held, Life::Dead, 0), Decision::Take { fence: 8, crashed: Some(_) }));
        let own = lease(1, Holding::Held);
        assert_eq!(decide(&mut new_run(), &own, Life::Dead, 0), Decision::Take { fence: 8, crashed: None });
    }

    proptest! {
        /// A holder renews at instants of its choosing and dies; a watcher looks whenever it likes, each look taking a while.
        /// Whenever it takes the lease over, the holder is certain no more, and two margins have passed since.
        #[test]
        fn nobody_takes_a_lease_whose_holder_is_certain(
            renewals in prop::collection::vec(1_u64..200_000, 0..12),
            looks in prop::collection::vec((0_u64..30_000, 0_u64..30_000), 1..40),
            ttl in 1_000_u64..120_000,
        ) {
            let terms = Terms::of(Duration::from_millis(ttl));
            let mut renewed_at = vec![0];
            for pause in renewals {
                renewed_at.push(renewed_at.last().copied().unwrap_or_default() + pause);
            }
            let mut watch = new_run();
            let mut now = 0;
            for (pause, answer) in looks {
                now += pause;
                let beats = renewed_at.iter().filter(|renewed| **renewed <= now).count() as u64;
                let seen = Lease { ttl, heartbeat: beats, ..lease(2, Holding::Held) };
                now += answer;
                match watch.decide(Some(&seen), Life::Unknown, Duration::from_millis(now)) {
                    Decision::Take { .. } => {
                        let last = renewed_at.iter().filter(|renewed| **renewed <= now - answer).max();
                        let passed = Duration::from_millis(now - last.copied().unwrap_or_default());
                        prop_assert!(passed >= terms.ttl() + terms.margin());
                        prop_assert!(!terms.is_certain(passed - 2 * terms.margin()));
                        return Ok(());
                    }
                    Decision::Wait { pause, left } => prop_assert!(pause <= left && !pause.is_zero()),
                    Decision::Refuse(refusal, _) => {
                        prop_assert_eq!(refusal, Refusal::Held);
                        return Ok(());
                    }
                }
            }
        }

        /// Whatever is seen, a fence that is taken is larger than the one that was seen, and what another run keeps or holds
        /// by a lock is never taken.
        #[test]
        fn a_fence_only_grows(
            of in 1_u64..3,
            state in prop::sample::select(vec![Holding::Held, Holding::Parked, Holding::Free]),
            life in prop::sample::select(vec![Life::Alive, Life::Dead, Life::Unknown]),
            journaled in prop::option::of(0_u64..12),
            despite in any::<bool>(),
        ) {
            let seen = lease(of, state);
            let mut watch = Watch::new(run(1), journaled, despite);
            if let Decision::Take { fence, .. } = watch.decide(Some(&seen), life, Duration::ZERO) {
                prop_assert!(fence == seen.fence.max(journaled.unwrap_or_default()) + 1);
                prop_assert!(life != Life::Alive);
                prop_assert!(of == 1 || state != Holding::Parked);
                prop_assert!(of == 1 || despite || journaled.is_none());
            }
        }
    }
}
