//! What Elastic Load Balancing offers.
//!
//! The main function is [`service`].

use super::{describe, targets};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/")
        .invalid_input("ValidationError")
        .read("DescribeLoadBalancers", describe::describe_load_balancers)
        .read("DescribeListeners", describe::describe_listeners)
        .read("DescribeRules", describe::describe_rules)
        .read("DescribeTargetGroups", describe::describe_target_groups)
        .read("DescribeTargetHealth", targets::describe_target_health)
        .read("DescribeTargetGroupAttributes", targets::describe_target_group_attributes)
        .write("RegisterTargets", targets::register_targets)
        .on("{TargetGroupArn}")
        .write("DeregisterTargets", targets::deregister_targets)
        .on("{TargetGroupArn}")
}
