//! What happens to stacks by itself.
//!
//! The main type is [`Event`].

use super::state::ResourceStep;
use super::{deleting, drift, engine, finishing, lifecycle, signals, watch};
use crate::ctx::Scope;

/// What happens to a stack.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// Half of the time of a resource is over: it is made or changed.
    Provided { stack: String, turn: u64, logical: String, step: ResourceStep },
    /// Somebody signals a resource.
    Signal { stack: String, turn: u64, logical: String, step: ResourceStep, sender: String, status: &'static str },
    /// A resource is looked at: whether it is done.
    Settled { stack: String, turn: u64, logical: String, step: ResourceStep },
    /// Half of the time of a deletion is over.
    Removed { stack: String, turn: u64, key: String },
    /// A deletion is looked at.
    Gone { stack: String, turn: u64, key: String },
    /// A change set's plan is made.
    Planned { stack: String, set: String },
    /// The alarms of a stack are looked at.
    Watch { stack: String, turn: u64 },
    /// The time of watching is over.
    Monitored { stack: String, turn: u64 },
    /// The time that a creation may take is over.
    Late { stack: String, turn: u64 },
    /// The search for drift is over.
    Detected { detection: String },
    /// An operation that was asked for begins.
    Begin { stack: String, turn: u64 },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Provided { stack, turn, logical, step } => engine::made(scope, &stack, turn, &logical, step),
        Event::Signal { stack, turn, logical, step, sender, status } => {
            if signals::came(scope, &stack, turn, &logical, (&sender, status)) {
                engine::settled(scope, &stack, turn, &logical, step);
            }
        }
        Event::Settled { stack, turn, logical, step } => engine::settled(scope, &stack, turn, &logical, step),
        Event::Removed { stack, turn, key } => deleting::removed(scope, &stack, turn, &key),
        Event::Gone { stack, turn, key } => deleting::gone(scope, &stack, turn, &key),
        Event::Planned { stack, set } => super::changesets::planned(scope, &stack, &set),
        Event::Watch { stack, turn } => watch::look(scope, &stack, turn),
        Event::Monitored { stack, turn } => finishing::monitored(scope, &stack, turn),
        Event::Late { stack, turn } => engine::late(scope, &stack, turn),
        Event::Detected { detection } => drift::detected(scope, &detection),
        Event::Begin { stack, turn } => lifecycle::begin(scope, &stack, turn),
    }
}
