//! What happens to targets with time.
//!
//! The main type is [`Event`].

use super::health::{checked, drained};
use super::state::TargetPhase;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// As many checks as it takes say so of a target.
    Checked { group: String, target: String, registration: u64, found: TargetPhase },
    /// The deregistration delay is over.
    Drained { group: String, target: String, registration: u64 },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Checked { group, target, registration, found } => checked(scope, &group, &target, registration, found),
        Event::Drained { group, target, registration } => drained(scope, &group, &target, registration),
    }
}
