//! What S3 offers.
//!
//! The main function is [`service`].

use serde_json::Value;

use super::objects;
use crate::ctx::Scope;
use crate::service::Service;
use crate::services::ServiceId;

/// The ARN of the object that a call names.
fn object_arn(scope: &mut Scope<'_>, input: &Value) -> String {
    let text = |member: &str| input.get(member).and_then(Value::as_str).unwrap_or_default();
    format!("arn:{}:s3:::{}/{}", scope.at.partition(), text("Bucket"), text("Key"))
}

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .of_objects()
        .invalid_input("InvalidRequest")
        .write("PutObject", objects::put_object)
        .on_found(object_arn)
        .read("GetObject", objects::get_object)
        .on_found(object_arn)
        .read("HeadObject", objects::head_object)
        .on_found(object_arn)
}
