//! What happens in ECR with time.
//!
//! The main type is [`Event`].

use super::{policies, replication, scans, storage};
use crate::clock::Timestamp;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The scan that was started then ends.
    Scanned { repository: String, digest: String, started: Timestamp },
    /// An image is back from the archive.
    Activated { repository: String, digest: String },
    /// The lifecycle policy that was put then is applied.
    Evaluated { repository: String, put: Timestamp },
    /// An image comes to the destination of its replica of this number, or does not.
    Replicated { repository: String, digest: String, replica: usize },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Scanned { repository, digest, started } => scans::end(scope, &repository, &digest, started),
        Event::Activated { repository, digest } => storage::activated(scope, &repository, &digest),
        Event::Evaluated { repository, put } => policies::evaluate(scope, &repository, put),
        Event::Replicated { repository, digest, replica } => {
            replication::arrive(scope, &repository, &digest, replica);
        }
    }
}
