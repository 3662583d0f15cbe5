//! What happens in EC2 with time.
//!
//! The main type is [`Event`].

use super::instance::{InstanceStep, step};
use super::interruptions::{Interruption, interrupt};
use super::{image, usage};
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An image has been made.
    Image { id: String },
    /// An instance goes on.
    Instance { id: String, step: InstanceStep },
    /// A report of an image's use is there.
    Report { id: String },
    /// Spot instances are taken away.
    Interrupt(Interruption),
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Image { id } => image::is_made(scope, &id),
        Event::Instance { id, step: due } => step(scope, &id, due),
        Event::Report { id } => usage::is_made(scope, &id),
        Event::Interrupt(interruption) => interrupt(scope, &interruption),
    }
}
