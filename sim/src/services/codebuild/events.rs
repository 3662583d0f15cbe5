//! What happens to builds with time.
//!
//! The main type is [`Event`].

use super::shapes::PhaseName;
use super::walk;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A build has been in a phase for as long as the phase takes.
    PhaseEnds { build: String, phase: PhaseName },
    /// A build has waited for as long as it may.
    QueueTimesOut { build: String },
    /// A build has run for as long as it may.
    TimesOut { build: String },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::PhaseEnds { build, phase } => walk::phase_ends(scope, &build, phase),
        Event::QueueTimesOut { build } => walk::queue_times_out(scope, &build),
        Event::TimesOut { build } => walk::times_out(scope, &build),
    }
}
