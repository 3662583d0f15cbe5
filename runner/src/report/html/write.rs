//! The report that becomes a page when the run is over.
//!
//! The main type is [`Html`].

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::page;
use super::recording::ShownRun;
use crate::event::Event;
use crate::files::{Destination, WriteError};
use crate::report::sink::Report;

/// The account before and after the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Before the run.
    pub before: Value,
    /// After the run.
    pub after: Value,
}

/// Where the calls of the run went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// To AWS.
    #[default]
    Aws,
    /// To another address than AWS's.
    Endpoint {
        /// The address.
        url: String,
    },
    /// To a simulated account, in simulated time.
    Simulated {
        /// What the simulation draws its chances from.
        seed: u64,
    },
}

/// Gathers the events of a run and writes one self-contained page at its end.
pub struct Html {
    destination: Destination,
    origin: Origin,
    recording: ShownRun,
    delivery: Delivery,
    finished: bool,
}

/// What the maker of a report and the report share: the account, for the page, and whether the page was written.
#[derive(Debug, Clone, Default)]
pub struct Delivery(Arc<Mutex<DeliveryState>>);

#[derive(Debug, Default)]
struct DeliveryState {
    comparison: Option<Comparison>,
    failure: Option<WriteError>,
}

impl Html {
    /// To `destination`, which is written when the run is over.
    pub fn new(destination: Destination, comparison: Option<Comparison>) -> Self {
        let delivery = Delivery::default();
        if let Some(comparison) = comparison {
            delivery.compare(comparison);
        }
        Self { destination, origin: Origin::default(), recording: ShownRun::default(), delivery, finished: false }
    }

    /// Say where the calls went.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// What stays with the maker of the report.
    pub fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    fn write(&self) -> Result<(), WriteError> {
        let comparison = self.delivery.lock().comparison.take();
        self.destination.write(page::page(&self.recording, &self.origin, comparison.as_ref()).as_bytes())
    }
}

impl Report for Html {
    fn event(&mut self, event: &Event) {
        self.recording.absorb(event);
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Err(error) = self.write() {
            tracing::error!(%error, path = %self.destination.path().display(), "the report was not written");
            self.delivery.lock().failure = Some(error);
        }
    }
}

impl Delivery {
    /// Give the account before and after; it must come before the report is finished.
    pub fn compare(&self, comparison: Comparison) {
        self.lock().comparison = Some(comparison);
    }

    /// Whether the page was written. To be asked once the report is finished.
    pub fn written(&self) -> Result<(), WriteError> {
        match self.lock().failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DeliveryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
