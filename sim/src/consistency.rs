//! Eventual consistency: what was written may be missed by those who look for a while.
//!
//! The main types are [`Consistency`], what was written lately, and [`ConsistencySeed`]. Each write draws, by the world's
//! seed, when it will be seen: at once, or at the latest after the window. Until then operations that describe and list
//! see the service as it was before, and with it before all writes that followed: the past is whole, only late. Writes
//! themselves always work on the present.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::services::ServiceId;
use crate::world::{Place, PlaceKey};
use crate::worldfile::Span;

/// `[consistency]` in a world file.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConsistencySeed {
    /// How long something new may be missed.
    describe_after_create: Option<Span>,
    /// How long a change of what is there may be missed.
    read_after_update: Option<Span>,
}

/// What was written and is not seen yet.
#[derive(Debug, Default)]
pub(crate) struct Consistency {
    seed: ConsistencySeed,
    /// By place and service, in the order in which it was written.
    unseen: BTreeMap<(PlaceKey, ServiceId), VecDeque<Unseen>>,
}

#[derive(Debug)]
struct Unseen {
    seen_at: Timestamp,
    /// The service's part of the place, as it was before.
    before: Place,
}

impl Consistency {
    pub(crate) fn new(seed: ConsistencySeed) -> Self {
        Self { seed, unseen: BTreeMap::new() }
    }

    /// Whether this write may be missed for a while: then the service is to be copied before it.
    pub(crate) fn window(&self, operation: &str) -> Option<Span> {
        let creates =
            ["Create", "Register", "Run", "Start", "Retry", "Put"].iter().any(|verb| operation.starts_with(verb));
        if creates { self.seed.describe_after_create } else { self.seed.read_after_update }
    }

    /// A write happened; it is seen within its window.
    pub(crate) fn written(
        &mut self,
        at: &PlaceKey,
        service: ServiceId,
        action: &str,
        (window, before): (Span, Place),
        now: Timestamp,
        ids: &mut Ids,
    ) {
        let share = ids.share(&format!("consistency/{at}/{action}"));
        let seen_at = now + window.duration().mul_f64(share);
        if seen_at > now {
            self.unseen.entry((at.clone(), service)).or_default().push_back(Unseen { seen_at, before });
        }
    }

    /// The past that an operation sees which only looks, if it is not the present. It is given back by [`put_back`](Self::put_back).
    pub(crate) fn take(&mut self, at: &PlaceKey, service: ServiceId, operation: &str, now: Timestamp) -> Option<Place> {
        let looks = ["Describe", "List", "BatchGet"].iter().any(|verb| operation.starts_with(verb));
        let unseen = self.unseen.get_mut(&(at.clone(), service))?;
        unseen.retain(|write| write.seen_at > now);
        if !looks {
            return None;
        }
        unseen.front_mut().map(|write| std::mem::take(&mut write.before))
    }

    /// Give back what [`take`](Self::take) gave.
    pub(crate) fn put_back(&mut self, at: &PlaceKey, service: ServiceId, before: Place) {
        if let Some(write) = self.unseen.get_mut(&(at.clone(), service)).and_then(VecDeque::front_mut) {
            write.before = before;
        }
    }
}
