//! The whole of the simulated world.
//!
//! The main type is [`World`]. Time passes in it only by [`World::advance_to`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::access::AccessKeys;
use crate::clock::Timestamp;
use crate::consistency::Consistency;
use crate::ctx::Scope;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::services::sts;
use crate::throttle::Throttle;
use crate::world::{Effect, Place, PlaceKey, Queue, Tokens};

/// Everything that there is.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct World {
    /// How far time has come.
    pub(crate) now: Timestamp,
    /// The world's own account and region: where strangers and everything unsaid belong.
    pub(crate) home: PlaceKey,
    pub(crate) places: BTreeMap<PlaceKey, Place>,
    /// Roles and sessions, which belong to no region.
    pub(crate) sts: sts::State,
    pub(crate) effects: Vec<Effect>,
    /// Operations that were asked for and are not offered.
    pub(crate) unknown_operations: BTreeSet<String>,
    #[serde(skip)]
    pub(crate) ids: Ids,
    #[serde(skip)]
    pub(crate) queue: Queue,
    #[serde(skip)]
    pub(crate) tokens: Tokens,
    #[serde(skip)]
    pub(crate) faults: Faults,
    #[serde(skip)]
    pub(crate) access: AccessKeys,
    #[serde(skip)]
    pub(crate) throttle: Throttle,
    #[serde(skip)]
    pub(crate) consistency: Consistency,
    /// The most items that a page of a list holds.
    #[serde(skip)]
    pub(crate) page_size: usize,
}

impl World {
    /// An empty world.
    pub(crate) fn new(home: PlaceKey, seed: u64, now: Timestamp) -> Self {
        Self {
            now,
            home,
            places: BTreeMap::new(),
            sts: sts::State::default(),
            effects: Vec::new(),
            unknown_operations: BTreeSet::new(),
            ids: Ids::new(seed),
            queue: Queue::default(),
            tokens: Tokens::default(),
            faults: Faults::default(),
            access: AccessKeys::default(),
            throttle: Throttle::default(),
            consistency: Consistency::default(),
            page_size: usize::MAX,
        }
    }

    /// What an account's region holds.
    pub(crate) fn place(&mut self, key: &PlaceKey) -> &mut Place {
        self.places.entry(key.clone()).or_default()
    }

    /// Where a seed belongs: in the account and the region that it names, or else in the world's own.
    pub(crate) fn scope(&mut self, account: Option<&String>, region: Option<&String>) -> Scope<'_> {
        let at = PlaceKey {
            account: account.unwrap_or(&self.home.account).clone(),
            region: region.unwrap_or(&self.home.region).clone(),
        };
        Scope { world: self, at }
    }

    /// Let everything happen that is due by `now`, each at its own instant, and tell when the next thing is due. Time
    /// never goes back.
    pub(crate) fn advance_to(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((due, at, event)) = self.queue.pop(now) {
            self.now = self.now.max(due);
            event.happen(&mut Scope { world: self, at });
        }
        self.now = self.now.max(now);
        self.queue.next_due()
    }
}
