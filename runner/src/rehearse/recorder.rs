//! Keeps the events of a run, and passes them on.
//!
//! The main type is [`Recorder`].

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Event;
use crate::report::Report;

/// A report that keeps what it is told.
pub(super) struct Recorder {
    kept: Arc<Mutex<Vec<Event>>>,
    next: Box<dyn Report>,
}

impl Recorder {
    /// A recorder before another report, and where it keeps the events.
    pub(super) fn before(next: Box<dyn Report>) -> (Self, KeptEvents) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        (Self { kept: Arc::clone(&kept), next }, KeptEvents(kept))
    }
}

/// What a recorder kept.
pub(super) struct KeptEvents(Arc<Mutex<Vec<Event>>>);

impl KeptEvents {
    /// The events so far.
    pub(super) fn take(self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Report for Recorder {
    fn event(&mut self, event: &Event) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        self.next.event(event);
    }

    fn finish(&mut self) {
        self.next.finish();
    }
}
