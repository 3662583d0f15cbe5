//! How many instances there is room for.
//!
//! The main type is [`CapacityLimit`]: of a zone, a type and a market, for a time.

use super::instance::{InstanceState, Market};
use super::state::State;
use crate::clock::Timestamp;
use crate::error::AwsError;

/// The most instances of a kind.
#[derive(Debug, Clone)]
pub(super) struct CapacityLimit {
    /// Of every zone, where there is none.
    pub(super) zone: Option<String>,
    /// Of every type, where there is none.
    pub(super) instance_type: Option<String>,
    /// Of both markets, where there is none.
    pub(super) market: Option<Market>,
    pub(super) instances: usize,
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
}

impl CapacityLimit {
    fn covers(&self, zone: &str, instance_type: &str, market: Market) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.zone, zone)
            && is(&self.instance_type, instance_type)
            && self.market.is_none_or(|wanted| wanted == market)
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Refuse one more instance where there is no room for it.
pub(super) fn check(
    state: &State,
    now: Timestamp,
    zone: &str,
    instance_type: &str,
    market: Market,
) -> Result<(), AwsError> {
    for limit in state.limits.iter().filter(|limit| limit.holds(now) && limit.covers(zone, instance_type, market)) {
        let there = state.instances.values().filter(|instance| {
            let gone = matches!(
                instance.state,
                InstanceState::Terminated | InstanceState::ShuttingDown | InstanceState::Stopped
            );
            !gone && limit.covers(&instance.zone, &instance.instance_type, instance.market)
        });
        if there.count() >= limit.instances {
            return Err(short(zone, instance_type, market));
        }
    }
    Ok(())
}

fn short(zone: &str, instance_type: &str, market: Market) -> AwsError {
    let message = match market {
        Market::OnDemand => format!(
            "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone}). \
             Our system will be working on provisioning additional capacity. You can currently get {instance_type} capacity \
             by not specifying an Availability Zone in your request or choosing another one."
        ),
        Market::Spot => "There is no Spot capacity available that matches your request.".to_owned(),
    };
    AwsError::new("InsufficientInstanceCapacity", message).status(500)
}
