//! What Secrets Manager offers.
//!
//! The main function is [`service`].

use super::{catalogue, rotation, values};
use crate::service::Service;

pub(crate) fn service() -> Service {
    Service::new("secretsmanager", "secretsmanager")
        .write("CreateSecret", values::create_secret)
        .read("GetSecretValue", values::get_secret_value)
        .write("PutSecretValue", values::put_secret_value)
        .write("UpdateSecret", values::update_secret)
        .read("DescribeSecret", catalogue::describe_secret)
        .read("ListSecrets", catalogue::list_secrets)
        .write("TagResource", catalogue::tag_resource)
        .write("UntagResource", catalogue::untag_resource)
        .write("DeleteSecret", catalogue::delete_secret)
        .write("RestoreSecret", catalogue::restore_secret)
        .write("RotateSecret", rotation::rotate_secret)
}
