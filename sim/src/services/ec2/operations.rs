//! What EC2 offers.
//!
//! The main function is [`service`]. It speaks its own dialect of Query.

use super::images;
use crate::service::Service;
use crate::services::ServiceId;
use crate::wire::query::Dialect;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("http://ec2.amazonaws.com/doc/2016-11-15/")
        .in_dialect(Dialect::Ec2)
        .invalid_input("InvalidParameterValue")
        .read("DescribeImages", images::describe_images)
}
