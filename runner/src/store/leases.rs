//! The leases that a run holds: acquired before its first stage, confirmed before each write, ended with it.
//!
//! The main type is [`Leases`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::address::Store;
use super::error::LeaseError;
use super::heartbeat::{self, Heartbeat};
use super::lease::{Decision, Holding, Lease, LeaseKey, Life, Refusal, Terms, Watch};
use super::local::{self, LeaseFile, OpenedLease};
use super::owner::this_process;
use super::shared;
use super::table::{Condition, Key, Table};
use crate::journal::Fence;
use crate::types::RunId;

/// What a run wants to hold.
#[derive(Debug, Clone)]
pub struct LeaseClaim {
    /// The run.
    pub run: RunId,
    /// The leases, each with the fence under which the run held it before, if its journal tells one.
    pub leases: BTreeMap<LeaseKey, Past>,
    /// Whether it goes on although another run held one of them since.
    pub despite_newer: bool,
    /// How long they last.
    pub terms: Terms,
}

/// How a run has held a lease before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// The newest fence that its journal tells.
    pub fence: Option<u64>,
}

/// What whoever waits for leases should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A lease is held by a process that may be dead.
    Waiting {
        /// What.
        key: LeaseKey,
        /// By whom.
        lease: Box<Lease>,
        /// For how long at most.
        left: Duration,
    },
    /// A lease was taken from a run that died holding it.
    TakenOver {
        /// What.
        key: LeaseKey,
        /// From whom.
        lease: Box<Lease>,
    },
}

impl Notice {
    /// In a sentence, and what to do.
    pub fn words(&self) -> (String, Option<String>) {
        match self {
            Self::Waiting { key, lease, left } => (
                format!(
                    "{key} is held by run {}, {}; if that is dead, the lease is taken over in {} seconds",
                    lease.run,
                    lease.owner,
                    left.as_secs().max(1)
                ),
                None,
            ),
            Self::TakenOver { key, lease } => (
                format!("{key} was held by run {}, whose runner ({}) died in the middle", lease.run, lease.owner),
                Some(format!("`kiln show {}` says what it did there; it has not come to its end", lease.run)),
            ),
        }
    }
}

/// What becomes of the leases of a run that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnding {
    /// Others may have them.
    Released,
    /// The run keeps them until it goes on.
    Parked,
}

/// The leases that a run holds. Clones are the same. When the last of them is dropped without [`end`](Self::end), they are
/// left as by a crash.
#[derive(Debug, Clone)]
pub struct Leases(Arc<RunLeases>);

#[derive(Debug)]
pub(super) struct RunLeases {
    store: Store,
    run: RunId,
    terms: Terms,
    state: Mutex<LeasesState>,
}

#[derive(Debug, Default)]
struct LeasesState {
    held: BTreeMap<LeaseKey, HeldLease>,
    heartbeat: Option<Heartbeat>,
    ended: bool,
}

#[derive(Debug)]
struct HeldLease {
    lease: Lease,
    place: LeasePlace,
    /// When the newest renewal that succeeded was sent.
    renewed: Moment,
    /// Why the newest renewal failed.
    trouble: Option<String>,
    /// Who has it now, where it is lost.
    lost: Option<String>,
}

#[derive(Debug)]
enum LeasePlace {
    Local(LeaseFile),
    Shared,
}

/// An instant by two clocks: one that never goes back but may stand still while the machine sleeps, and the wall's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago it was by the clock that says more.
    fn elapsed(&self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

impl Leases {
    /// Acquire all leases of a claim, in their order. Where one cannot be had, those that were are given back.
    ///
    /// # Errors
    /// One is another's, or the store cannot be used.
    pub async fn acquire(
        store: &Store,
        claim: LeaseClaim,
        tell: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<Self, LeaseError> {
        let leases = Self(Arc::new(RunLeases {
            store: store.clone(),
            run: claim.run.clone(),
            terms: claim.terms,
            state: Mutex::default(),
        }));
        leases.extend(claim.leases, claim.despite_newer, tell).await?;
        Ok(leases)
    }

    /// Acquire more leases for the same run.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn extend(
        &self,
        wanted: BTreeMap<LeaseKey, Past>,
        despite_newer: bool,
        tell: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<(), LeaseError> {
        let mut taken = Vec::new();
        for (key, past) in wanted {
            if self.0.state().held.contains_key(&key) {
                continue;
            }
            let watch = Watch::new(self.0.run.clone(), past.fence, despite_newer);
            match self.acquire_one(&key, watch, tell).await {
                Ok(Some(held)) => {
                    self.0.state().held.insert(key.clone(), held);
                    taken.push((key, past));
                    self.start_heartbeat();
                }
                Ok(None) => {}
                Err(error) => {
                    self.give_back(taken).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// That all leases are certainly still the run's: called before every write is sent.
    ///
    /// # Errors
    /// One is lost, or could not be renewed for too long. Nothing may be sent.
    pub fn guard(&self) -> Result<(), LeaseError> {
        let state = self.0.state();
        for (key, held) in &state.held {
            if let Some(by) = &held.lost {
                return Err(LeaseError::Lost { key: key.clone(), by: by.clone() });
            }
            let passed = held.renewed.elapsed();
            match held.place {
                // The kernel keeps the lock for as long as this process lives, but of the file, not of its name.
                LeasePlace::Local(ref file) => file.still_there(key)?,
                LeasePlace::Shared if self.0.terms.is_certain(passed) => {}
                LeasePlace::Shared => {
                    let reason = held.trouble.clone();
                    return Err(LeaseError::Uncertain { key: key.clone(), seconds: passed.as_secs(), reason });
                }
            }
        }
        match state.ended {
            false => Ok(()),
            true => Err(LeaseError::Lost { key: LeaseKey::Run(self.0.run.clone()), by: "it was ended".to_owned() }),
        }
    }

    /// Give the leases back, or keep them for the run. What was lost meanwhile is left as it is.
    ///
    /// # Errors
    /// The store cannot be used: the lease is left as by a crash, and is taken over when its time is over.
    pub async fn end(&self, ending: LeaseEnding) -> Result<(), LeaseError> {
        let held = {
            let mut state = self.0.state();
            state.heartbeat = None;
            state.ended = true;
            std::mem::take(&mut state.held)
        };
        let mut first = Ok(());
        for (key, held) in held {
            let ended = self.end_one(&key, held, ending).await;
            first = first.and(ended);
        }
        first
    }

    /// What the run's journal says of its leases: the fence of each environment, and in a shared store the run's own.
    pub fn fences(&self, at: u64) -> Vec<Fence> {
        let state = self.0.state();
        let fence = |(key, held): (&LeaseKey, &HeldLease)| Fence {
            fence: held.lease.fence,
            owner: held.lease.owner.to_string(),
            nonce: held.lease.nonce.clone().unwrap_or_default(),
            environment: key.environment().cloned(),
            at,
        };
        state.held.iter().map(fence).collect()
    }

    /// The store that they lie in.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What must hold in the shared store for the run's next step to be its own.
    pub(super) fn conditions(&self) -> Vec<(LeaseKey, Key, Condition)> {
        let state = self.0.state();
        let shared = state.held.iter().filter(|(_, held)| matches!(held.place, LeasePlace::Shared));
        let condition = |(key, held): (&LeaseKey, &HeldLease)| {
            let nonce = held.lease.nonce.clone().unwrap_or_default();
            (key.clone(), shared::place(key), shared::still(&nonce))
        };
        shared.map(condition).collect()
    }

    async fn acquire_one(
        &self,
        key: &LeaseKey,
        mut watch: Watch,
        tell: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<Option<HeldLease>, LeaseError> {
        match &self.0.store {
            Store::Local(state) => match local::path(state, key) {
                Some(path) => self.acquire_local(key, &path, watch, tell).map(Some),
                None => Ok(None),
            },
            Store::Shared(table) => {
                let began = Instant::now();
                let mut announced = false;
                loop {
                    let seen = shared::read(table, key).await?;
                    let life = self.life_of(seen.as_ref());
                    match watch.decide(seen.as_ref(), life, began.elapsed()) {
                        Decision::Take { fence, crashed } => {
                            let lease = self.lease(fence);
                            let renewed = Moment::now();
                            if shared::take(table, key, seen.as_ref(), &lease).await? {
                                let taken = |lease| Notice::TakenOver { key: key.clone(), lease };
                                crashed.map(taken).into_iter().for_each(&mut *tell);
                                let place = LeasePlace::Shared;
                                return Ok(Some(HeldLease { lease, place, renewed, trouble: None, lost: None }));
                            }
                            // Somebody was faster: look at what is there now.
                        }
                        Decision::Wait { pause, left } => {
                            if let (false, Some(lease)) = (std::mem::replace(&mut announced, true), seen) {
                                tell(Notice::Waiting { key: key.clone(), lease: Box::new(lease), left });
                            }
                            tokio::time::sleep(pause).await;
                        }
                        Decision::Refuse(refusal, lease) => return Err(self.refused(key, refusal, lease)),
                    }
                }
            }
        }
    }

    /// Whether the holder of a lease lives. Of an earlier process of the same run it is known: this one has the run's own lease,
    /// and without that the other sends nothing.
    fn life_of(&self, seen: Option<&Lease>) -> Life {
        let run = &self.0.run;
        let own = seen.is_some_and(|lease| lease.run == *run);
        match own && self.0.state().held.contains_key(&LeaseKey::Run(run.clone())) {
            true => Life::Dead,
            false => Life::Unknown,
        }
    }

    fn acquire_local(
        &self,
        key: &LeaseKey,
        path: &std::path::Path,
        mut watch: Watch,
        tell: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<HeldLease, LeaseError> {
        let (file, seen, life) = match local::open(path)? {
            OpenedLease::Locked(file, seen) => (Some(file), seen, Life::Dead),
            // Whoever has just got the lock writes who it is a moment later.
            OpenedLease::Busy(seen) => (None, Some(seen.unwrap_or_else(|| self.lease(0))), Life::Alive),
        };
        match (watch.decide(seen.as_ref(), life, Duration::ZERO), file) {
            (Decision::Take { fence, crashed }, Some(mut file)) => {
                let lease = self.lease(fence);
                file.write(&lease)?;
                crashed.map(|lease| Notice::TakenOver { key: key.clone(), lease }).into_iter().for_each(&mut *tell);
                let place = LeasePlace::Local(file);
                Ok(HeldLease { lease, place, renewed: Moment::now(), trouble: None, lost: None })
            }
            (Decision::Refuse(refusal, lease), _) => Err(self.refused(key, refusal, lease)),
            // INVARIANT: the lock tells whether the holder lives: nobody waits, and nobody takes what is locked.
            (Decision::Wait { .. }, _) | (Decision::Take { .. }, None) => {
                Err(self.refused(key, Refusal::Held, Box::new(seen.unwrap_or_else(|| self.lease(0)))))
            }
        }
    }

    fn lease(&self, fence: u64) -> Lease {
        Lease {
            run: self.0.run.clone(),
            owner: this_process(),
            nonce: Some(uuid::Uuid::new_v4().simple().to_string()),
            fence,
            heartbeat: 0,
            state: Holding::Held,
            since: wall_millis(),
            ttl: kiln_span::millis(self.0.terms.ttl()),
            reason: None,
        }
    }

    fn refused(&self, key: &LeaseKey, refusal: Refusal, lease: Box<Lease>) -> LeaseError {
        let key = key.clone();
        match refusal {
            Refusal::Held if lease.run == self.0.run => LeaseError::AtWork { lease },
            Refusal::Held => LeaseError::Held { key, lease },
            Refusal::Newer => LeaseError::Newer { key, lease },
            Refusal::Parked => {
                let resume = self.0.store.resume_command(&lease.run);
                let environment = key.environment().map_or_else(String::new, ToString::to_string);
                let release = self.0.store.release_command(&environment);
                LeaseError::Parked { key, lease, resume, release }
            }
        }
    }

    /// Give back what a claim took that is not carried out. What the run held before it keeps.
    async fn give_back(&self, taken: Vec<(LeaseKey, Past)>) {
        for (key, past) in taken {
            let held = self.0.state().held.remove(&key);
            let ending = if past.fence.is_some() { LeaseEnding::Parked } else { LeaseEnding::Released };
            if let Some(held) = held {
                // The error that led here is the one to tell; this lease is taken over when its time is over.
                let _ = self.end_one(&key, held, ending).await;
            }
        }
    }

    async fn end_one(&self, key: &LeaseKey, held: HeldLease, ending: LeaseEnding) -> Result<(), LeaseError> {
        let HeldLease { mut lease, place, lost, .. } = held;
        let nonce = lease.nonce.take().unwrap_or_default();
        // A run has no environments to keep others from; that nobody is at it is all that its own lease says.
        lease.state = match (ending, key) {
            (LeaseEnding::Parked, LeaseKey::Environment { .. }) => Holding::Parked,
            (LeaseEnding::Parked, LeaseKey::Run(_)) | (LeaseEnding::Released, _) => Holding::Free,
        };
        lease.since = wall_millis();
        match (place, &self.0.store) {
            (LeasePlace::Local(mut file), _) => file.write(&lease),
            (LeasePlace::Shared, Store::Shared(table)) if lost.is_none() => {
                match shared::replace(table, key, &nonce, &lease).await? {
                    true => Ok(()),
                    false => Err(LeaseError::Lost { key: key.clone(), by: shared::who_has(table, key).await }),
                }
            }
            (LeasePlace::Shared, Store::Shared(_) | Store::Local(_)) => Ok(()),
        }
    }

    fn start_heartbeat(&self) {
        let mut state = self.0.state();
        let shared = matches!(self.0.store, Store::Shared(_));
        if shared && state.heartbeat.is_none() && !state.ended {
            state.heartbeat = Some(heartbeat::start(&self.0, self.0.terms));
        }
    }
}

impl RunLeases {
    fn state(&self) -> MutexGuard<'_, LeasesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell the store once that the holder lives. Answers whether all leases are renewed.
    pub(super) async fn renew(&self) -> bool {
        let Store::Shared(table) = &self.store else { return true };
        let held: Vec<(LeaseKey, Lease)> = {
            let state = self.state();
            let ours = state.held.iter().filter(|(_, held)| held.lost.is_none());
            ours.map(|(key, held)| (key.clone(), held.lease.clone())).collect()
        };
        let mut all = true;
        for (key, lease) in held {
            all &= self.renew_one(table, &key, lease).await;
        }
        all
    }

    async fn renew_one(&self, table: &Table, key: &LeaseKey, mut lease: Lease) -> bool {
        let nonce = lease.nonce.clone().unwrap_or_default();
        lease.heartbeat += 1;
        let sent = Moment::now();
        let renewal = tokio::time::timeout(self.terms.renewal(), shared::renew(table, key, &nonce, &lease)).await;
        let by = match &renewal {
            Ok(Ok(false)) => Some(shared::who_has(table, key).await),
            Ok(Ok(true) | Err(_)) | Err(_) => None,
        };
        let mut state = self.state();
        // It may have been ended meanwhile.
        let Some(held) = state.held.get_mut(key) else { return true };
        // Also a renewal whose answer did not come may have been counted.
        held.lease.heartbeat = lease.heartbeat;
        match renewal {
            Ok(Ok(true)) => {
                held.renewed = sent;
                held.trouble = None;
            }
            Ok(Ok(false)) => held.lost = by,
            Ok(Err(error)) => held.trouble = Some(error.to_string()),
            Err(_) => held.trouble = Some("the store does not answer".to_owned()),
        }
        held.trouble.is_none()
    }
}

pub(super) fn wall_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, kiln_span::millis)
}
