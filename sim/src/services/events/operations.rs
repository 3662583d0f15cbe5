//! What EventBridge offers.
//!
//! The main function is [`service`].

use super::rules;
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "AWSEvents")
        .write("CreateEventBus", rules::create_event_bus)
        .on("event-bus/{Name}")
        .read("ListEventBuses", rules::list_event_buses)
        .write("PutRule", rules::put_rule)
        .on_found(rules::rule_arn)
        .read("ListRules", rules::list_rules)
        .write("PutTargets", rules::put_targets)
        .on_found(rules::rule_arn)
        .read("ListTargetsByRule", rules::list_targets_by_rule)
        .on_found(rules::rule_arn)
}
