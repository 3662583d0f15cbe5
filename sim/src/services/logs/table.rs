//! What CloudWatch Logs offers.
//!
//! The main function is [`service`].

use super::{events, filter, groups, streams};
use crate::service::Service;

pub(crate) fn service() -> Service {
    Service::new("logs", "Logs_20140328")
        .invalid_input("InvalidParameterException")
        .write("CreateLogGroup", groups::create_log_group)
        .read("DescribeLogGroups", groups::describe_log_groups)
        .write("DeleteLogGroup", groups::delete_log_group)
        .write("PutRetentionPolicy", groups::put_retention_policy)
        .write("DeleteRetentionPolicy", groups::delete_retention_policy)
        .write("CreateLogStream", streams::create_log_stream)
        .read("DescribeLogStreams", streams::describe_log_streams)
        .write("DeleteLogStream", streams::delete_log_stream)
        .write("PutLogEvents", events::put_log_events)
        .read("GetLogEvents", events::get_log_events)
        .read("FilterLogEvents", filter::filter_log_events)
}
