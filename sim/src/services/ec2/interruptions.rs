//! Spot instances that are taken away.
//!
//! The main type is [`Interruption`].

use std::time::Duration;

use super::instance::{InstanceState, InstanceTurn, Market, interrupted, tell};
use crate::ctx::Scope;

/// Some spot instances are wanted back.
#[derive(Debug, Clone)]
pub(crate) struct Interruption {
    pub(super) zone: Option<String>,
    pub(super) instance_type: Option<String>,
    /// How many, at the most: those that were launched first.
    pub(super) count: usize,
    /// How long they know it before.
    pub(super) notice: Duration,
}

/// Tell those instances that they are going to end, and end them when their notice is over.
pub(super) fn interrupt(scope: &mut Scope<'_>, interruption: &Interruption) {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let instances = scope.place().ec2.instances.values();
    let mut struck: Vec<(crate::clock::Timestamp, String)> = instances
        .filter(|instance| instance.market == Market::Spot && instance.interruption.is_none())
        .filter(|instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running))
        .filter(|instance| {
            is(&interruption.zone, &instance.zone) && is(&interruption.instance_type, &instance.instance_type)
        })
        .map(|instance| (instance.launched, instance.id.clone()))
        .collect();
    struck.sort();
    struck.truncate(interruption.count);
    for (_, id) in struck {
        interrupted(scope, &id, interruption.notice);
        tell(scope, &id, InstanceTurn::Interrupted);
    }
}
