//! What CloudWatch offers.
//!
//! The main function is [`service`]. Today's SDKs speak CBOR with it, older ones JSON or Query.

use super::{alarms, history, listing, metrics, mutes};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "GraniteServiceVersion20100801")
        .signed_as("monitoring")
        .xml("http://monitoring.amazonaws.com/doc/2010-08-01/")
        .invalid_input("ValidationError")
        .write("PutMetricAlarm", alarms::put_metric_alarm)
        .on("alarm:{AlarmName}")
        .write("PutCompositeAlarm", alarms::put_composite_alarm)
        .on("alarm:{AlarmName}")
        .read("DescribeAlarms", alarms::describe_alarms)
        .on("alarm:{AlarmNames[]}")
        .write("DeleteAlarms", alarms::delete_alarms)
        .on("alarm:{AlarmNames[]}")
        .write("SetAlarmState", alarms::set_alarm_state)
        .on("alarm:{AlarmName}")
        .write("EnableAlarmActions", alarms::enable_alarm_actions)
        .on("alarm:{AlarmNames[]}")
        .write("DisableAlarmActions", alarms::disable_alarm_actions)
        .on("alarm:{AlarmNames[]}")
        .read("DescribeAlarmHistory", history::describe_alarm_history)
        .on("alarm:{AlarmName}")
        .write("PutAlarmMuteRule", mutes::put_alarm_mute_rule)
        .on("alarm-mute-rule:{Name}")
        .read("GetAlarmMuteRule", mutes::get_alarm_mute_rule)
        .on("alarm-mute-rule:{AlarmMuteRuleName}")
        .read("ListAlarmMuteRules", mutes::list_alarm_mute_rules)
        .write("DeleteAlarmMuteRule", mutes::delete_alarm_mute_rule)
        .on("alarm-mute-rule:{AlarmMuteRuleName}")
        .write("PutMetricData", metrics::put_metric_data)
        .read("GetMetricData", metrics::get_metric_data)
        .read("ListMetrics", listing::list_metrics)
        .read("DescribeAlarmsForMetric", listing::describe_alarms_for_metric)
}
