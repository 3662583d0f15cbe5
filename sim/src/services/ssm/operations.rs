//! What Systems Manager offers.
//!
//! The main function is [`service`].

use super::{history, listing, state, writing};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "AmazonSSM")
        .write("PutParameter", writing::put_parameter)
        .on_found(state::target)
        .write("LabelParameterVersion", writing::label_parameter_version)
        .on_found(state::target)
        .write("DeleteParameter", writing::delete_parameter)
        .on_found(state::target)
        .read("GetParameter", listing::get_parameter)
        .on_found(state::target)
        .read("GetParametersByPath", listing::get_parameters_by_path)
        .on_found(state::target)
        .read("GetParameterHistory", history::get_parameter_history)
        .on_found(state::target)
        .read("DescribeParameters", listing::describe_parameters)
}
