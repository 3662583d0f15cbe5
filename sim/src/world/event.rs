//! What falls due.
//!
//! The main types are [`Event`], what can happen by itself, and [`Queue`], which holds events in the order of time.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::services::{self, each_service};
use crate::world::PlaceKey;

macro_rules! event {
    ($([$Service:ident $module:ident $state:tt ($($Event:ident)?) $seeds:tt])*) => {
        /// What can happen by itself: one variant a service.
        #[derive(Debug, Clone)]
        pub(crate) enum Event {
            $($($Service(services::$module::$Event),)?)*
        }

        impl Event {
            /// Let it happen.
            pub(crate) fn happen(self, scope: &mut Scope<'_>) {
                match self {
                    $($(Event::$Service(event) => {
                        let event: services::$module::$Event = event;
                        services::$module::happen(scope, event);
                    })?)*
                }
            }
        }

        $($(
            impl From<services::$module::$Event> for Event {
                fn from(event: services::$module::$Event) -> Self {
                    Event::$Service(event)
                }
            }
        )?)*
    };
}

each_service!(event);

/// Events to come. Those of one instant happen in the order in which they were scheduled.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: BTreeMap<(Timestamp, u64), (PlaceKey, Event)>,
    scheduled: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, due: Timestamp, place: PlaceKey, event: Event) {
        self.scheduled += 1;
        self.events.insert((due, self.scheduled), (place, event));
    }

    /// When the next event is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.events.keys().next().map(|(due, _)| *due)
    }

    /// The next event that is due by `now`.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, PlaceKey, Event)> {
        if self.next_due()? > now {
            return None;
        }
        let ((due, _), (place, event)) = self.events.pop_first()?;
        Some((due, place, event))
    }
}
