//! What CloudWatch Logs offers.
//!
//! The main function is [`service`].

use super::{filter, groups, log_events, streams};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "Logs_20140328")
        .invalid_input("InvalidParameterException")
        .write("CreateLogGroup", groups::create_log_group)
        .on("log-group:{logGroupName}:*")
        .read("DescribeLogGroups", groups::describe_log_groups)
        .on("log-group:*")
        .write("DeleteLogGroup", groups::delete_log_group)
        .on("log-group:{logGroupName}:*")
        .write("PutRetentionPolicy", groups::put_retention_policy)
        .on("log-group:{logGroupName}:*")
        .write("DeleteRetentionPolicy", groups::delete_retention_policy)
        .on("log-group:{logGroupName}:*")
        .write("CreateLogStream", streams::create_log_stream)
        .on("log-group:{logGroupName}:*")
        .read("DescribeLogStreams", streams::describe_log_streams)
        .on("log-group:{logGroupName}:*")
        .write("DeleteLogStream", streams::delete_log_stream)
        .on("log-group:{logGroupName}:log-stream:{logStreamName}")
        .write("PutLogEvents", log_events::put_log_events)
        .on("log-group:{logGroupName}:log-stream:{logStreamName}")
        .read("GetLogEvents", log_events::get_log_events)
        .on_found(log_events::target)
        .read("FilterLogEvents", filter::filter_log_events)
        .on_found(log_events::target)
}
