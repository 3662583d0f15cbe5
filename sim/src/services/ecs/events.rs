//! What happens in ECS with time.
//!
//! The main type is [`Event`].

use super::lifecycle::{TaskStep, step};
use super::reconcile::reconcile;
use super::rollout;
use super::state::ServiceKey;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A task goes on.
    Task { cluster: String, task: String, step: TaskStep },
    /// Something of a service's deployment; `id` is the service deployment's.
    Rollout { cluster: String, service: String, id: String, turn: Turn },
    /// A service that was held back looks again.
    Reconcile { cluster: String, service: String },
}

/// What falls due for a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A pending one begins.
    Begin,
    /// One that was asked to stop does so.
    Stop,
    /// The bake time is over.
    Baked,
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Task { cluster, task, step: due } => step(scope, &cluster, &task, due),
        Event::Rollout { cluster, service, id, turn } => {
            rollout::turn(scope, &ServiceKey { cluster, service }, &id, turn)
        }
        Event::Reconcile { cluster, service } => reconcile(scope, &ServiceKey { cluster, service }),
    }
}
