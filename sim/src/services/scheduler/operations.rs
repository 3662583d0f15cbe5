//! What EventBridge Scheduler offers.
//!
//! The main function is [`service`].

use super::schedules;
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .text("Message")
        .write("CreateSchedule", schedules::create_schedule)
        .at("POST", "/schedules/{Name}")
        .on("schedule/{GroupName=default}/{Name}")
        .read("GetSchedule", schedules::get_schedule)
        .at("GET", "/schedules/{Name}")
        .named_in_query(&[("groupName", "GroupName")])
        .on("schedule/{GroupName=default}/{Name}")
        .read("ListSchedules", schedules::list_schedules)
        .at("GET", "/schedules")
        .named_in_query(&[("ScheduleGroup", "GroupName")])
}
