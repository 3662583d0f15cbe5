//! What Inspector offers.
//!
//! The main function is [`service`].

use super::{coverage, findings, scans};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .read("ListFindings", findings::list_findings)
        .at("POST", "/findings/list")
        .read("ListCoverage", coverage::list_coverage)
        .at("POST", "/coverage/list")
        .read("BatchGetAccountStatus", coverage::batch_get_account_status)
        .at("POST", "/status/batch/get")
        .write("StartOnDemandScan", scans::start_on_demand_scan)
        .at("POST", "/ondemand/scan")
        .answers(202)
        .read("GetOnDemandScanStatus", scans::get_on_demand_scan_status)
        .at("POST", "/ondemand/scan/status")
        .read("ListOnDemandScans", scans::list_on_demand_scans)
        .at("POST", "/ondemand/scans")
}
