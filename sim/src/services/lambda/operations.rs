//! What Lambda offers.
//!
//! The main function is [`service`].

use super::functions;
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .invalid_input("InvalidParameterValueException")
        .text("message")
        .write("CreateFunction", functions::create_function)
        .at("POST", "/2015-03-31/functions")
        .answers(201)
        .on("function:{FunctionName}")
        .read("GetFunction", functions::get_function)
        .at("GET", "/2015-03-31/functions/{FunctionName}")
        .on("function:{FunctionName}")
        .read("ListFunctions", functions::list_functions)
        .at("GET", "/2015-03-31/functions")
}
