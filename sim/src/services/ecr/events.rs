//! What happens in ECR with time.
//!
//! The main type is [`Event`].

use super::scans;
use crate::clock::Timestamp;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The scan that was started then ends.
    Scanned { repository: String, digest: String, started: Timestamp },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Scanned { repository, digest, started } => scans::end(scope, &repository, &digest, started),
    }
}
