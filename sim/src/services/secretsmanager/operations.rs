//! What Secrets Manager offers.
//!
//! The main function is [`service`].

use super::{catalogue, rotation, state, values, versions};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "secretsmanager")
        .text("Message")
        .write("CreateSecret", values::create_secret)
        .on("secret:{Name}-??????")
        .read("GetSecretValue", values::get_secret_value)
        .on_found(state::target)
        .write("PutSecretValue", values::put_secret_value)
        .on_found(state::target)
        .write("UpdateSecret", values::update_secret)
        .on_found(state::target)
        .read("DescribeSecret", catalogue::describe_secret)
        .on_found(state::target)
        .read("ListSecrets", catalogue::list_secrets)
        .read("ListSecretVersionIds", versions::list_secret_version_ids)
        .on_found(state::target)
        .write("TagResource", catalogue::tag_resource)
        .on_found(state::target)
        .write("UntagResource", catalogue::untag_resource)
        .on_found(state::target)
        .write("DeleteSecret", catalogue::delete_secret)
        .on_found(state::target)
        .write("RestoreSecret", catalogue::restore_secret)
        .on_found(state::target)
        .write("RotateSecret", rotation::rotate_secret)
        .on_found(state::target)
}
