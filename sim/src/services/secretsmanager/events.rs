//! What happens to secrets with time: rotation, and the end of those that were deleted.
//!
//! The main type is [`Event`].

use super::state::{CURRENT, PENDING};
use crate::clock::Timestamp;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A deleted secret goes for good, unless it was restored.
    Purge { name: String, due: Timestamp },
    /// The pending version becomes the current one.
    Rotated { name: String, version: String },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    let now = scope.now();
    let secrets = &mut scope.place().secretsmanager.secrets;
    match event {
        Event::Purge { name, due } => {
            if secrets.get(&name).is_some_and(|secret| secret.deletion == Some(due)) {
                secrets.remove(&name);
            }
        }
        Event::Rotated { name, version } => {
            if let Some(secret) = secrets.get_mut(&name)
                && secret.versions.contains_key(&version)
            {
                secret.move_stage(CURRENT, &version);
                if let Some(version) = secret.versions.get_mut(&version) {
                    version.stages.remove(PENDING);
                }
                secret.rotated = Some(now);
                secret.changed = now;
            }
        }
    }
}
