//! What KMS offers.
//!
//! The main function is [`service`].

use super::state::target;
use super::{aliases, ciphertexts, grants, keys};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "TrentService")
        .write("CreateKey", keys::create_key)
        .read("DescribeKey", keys::describe_key)
        .on_found(target)
        .read("ListKeys", keys::list_keys)
        .write("EnableKey", keys::enable_key)
        .on_found(target)
        .write("DisableKey", keys::disable_key)
        .on_found(target)
        .write("CreateAlias", aliases::create_alias)
        .on_found(target)
        .write("DeleteAlias", aliases::delete_alias)
        .on_found(target)
        .read("ListAliases", aliases::list_aliases)
        .read("Encrypt", ciphertexts::encrypt)
        .on_found(target)
        .read("Decrypt", ciphertexts::decrypt)
        .on_found(target)
        .read("GenerateDataKey", ciphertexts::generate_data_key)
        .on_found(target)
        .read("GetKeyPolicy", grants::get_key_policy)
        .on_found(target)
        .write("PutKeyPolicy", grants::put_key_policy)
        .on_found(target)
        .write("CreateGrant", grants::create_grant)
        .on_found(target)
        .read("ListGrants", grants::list_grants)
        .on_found(target)
}
