//! Keys.
//!
//! The main functions are [`create_key`] and [`list_keys`].

use serde::{Deserialize, Serialize};

use super::state::{Key, find, make_key};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::page::InvalidToken;
use crate::service::Empty;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateKey {
    #[serde(default)]
    description: String,
    key_usage: Option<String>,
    key_spec: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyOutput {
    key_metadata: KeyMetadata,
}

#[derive(Serialize)]
struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    account: String,
    #[serde(rename = "KeyId")]
    id: String,
    #[serde(rename = "Arn")]
    arn: String,
    #[serde(rename = "CreationDate")]
    created: Timestamp,
    #[serde(rename = "Enabled")]
    enabled: bool,
    #[serde(rename = "Description")]
    description: String,
    #[serde(rename = "KeyUsage")]
    usage: &'static str,
    #[serde(rename = "KeyState")]
    state: &'static str,
    #[serde(rename = "Origin")]
    origin: &'static str,
    #[serde(rename = "KeyManager")]
    manager: &'static str,
    #[serde(rename = "CustomerMasterKeySpec")]
    master_key_spec: &'static str,
    #[serde(rename = "KeySpec")]
    spec: &'static str,
    #[serde(rename = "EncryptionAlgorithms")]
    algorithms: [&'static str; 1],
    #[serde(rename = "MultiRegion")]
    multi_region: bool,
}

impl KeyMetadata {
    fn of(key: Key, account: &str) -> Self {
        Self {
            account: account.to_owned(),
            id: key.id,
            arn: key.arn,
            created: key.created,
            enabled: key.enabled,
            description: key.description,
            usage: "ENCRYPT_DECRYPT",
            state: if key.enabled { "Enabled" } else { "Disabled" },
            origin: "AWS_KMS",
            manager: if key.of_aws { "AWS" } else { "CUSTOMER" },
            master_key_spec: "SYMMETRIC_DEFAULT",
            spec: "SYMMETRIC_DEFAULT",
            algorithms: ["SYMMETRIC_DEFAULT"],
            multi_region: false,
        }
    }
}

pub(super) fn create_key(ctx: &mut Ctx<'_>, input: CreateKey) -> Result<KeyOutput, AwsError> {
    let usage = input.key_usage.as_deref().unwrap_or("ENCRYPT_DECRYPT");
    let spec = input.key_spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT");
    if usage != "ENCRYPT_DECRYPT" || spec != "SYMMETRIC_DEFAULT" {
        let message = format!("the simulator has symmetric encryption keys only, not {usage} with {spec}");
        return Err(AwsError::new("UnsupportedOperationException", message));
    }
    let key = make_key(ctx, input.description, true);
    ctx.touch(key.arn.clone());
    Ok(KeyOutput { key_metadata: KeyMetadata::of(key, &ctx.at.account) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhichKey {
    key_id: String,
}

pub(super) fn describe_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<KeyOutput, AwsError> {
    let key = find(ctx, &input.key_id)?;
    Ok(KeyOutput { key_metadata: KeyMetadata::of(key, &ctx.at.account) })
}

pub(super) fn enable_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<Empty, AwsError> {
    set_enabled(ctx, &input.key_id, true)
}

pub(super) fn disable_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<Empty, AwsError> {
    set_enabled(ctx, &input.key_id, false)
}

fn set_enabled(ctx: &mut Ctx<'_>, which: &str, enabled: bool) -> Result<Empty, AwsError> {
    let key = find(ctx, which)?;
    if key.enabled == enabled {
        ctx.unchanged();
    }
    ctx.touch(key.arn);
    if let Some(key) = ctx.place().kms.keys.get_mut(&key.id) {
        key.enabled = enabled;
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListInput {
    pub(super) limit: Option<usize>,
    pub(super) marker: Option<String>,
    pub(super) key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListKeys {
    limit: Option<usize>,
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListKeysOutput {
    keys: Vec<KeyEntry>,
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyEntry {
    key_id: String,
    key_arn: String,
}

pub(super) fn invalid_marker(_: InvalidToken) -> AwsError {
    AwsError::new("InvalidMarkerException", "Could not deserialize marker")
}

pub(super) fn list_keys(ctx: &mut Ctx<'_>, input: ListKeys) -> Result<ListKeysOutput, AwsError> {
    let keys = ctx.place().kms.keys.values();
    let keys = keys.map(|key| KeyEntry { key_id: key.id.clone(), key_arn: key.arn.clone() }).collect();
    let (keys, next_marker) = ctx
        .page("kms:keys", keys, input.limit.unwrap_or(100), input.marker.as_deref(), |key: &KeyEntry| &key.key_id)
        .map_err(invalid_marker)?;
    Ok(ListKeysOutput { keys, truncated: next_marker.is_some(), next_marker })
}
