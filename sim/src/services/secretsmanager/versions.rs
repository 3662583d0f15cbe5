//! The versions of a secret, without their values.
//!
//! The main function is [`list_secret_version_ids`].

use serde::{Deserialize, Serialize};

use super::state::{Version, find};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

/// The key of secrets that name none.
const DEFAULT_KEY: &str = "DefaultEncryptionKey";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecretVersionIds {
    secret_id: String,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    include_deprecated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretVersions {
    versions: Vec<ListedVersion>,
    next_token: Option<String>,
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVersion {
    version_id: String,
    version_stages: Option<Vec<String>>,
    created_date: Timestamp,
    kms_key_ids: Vec<String>,
}

pub(super) fn list_secret_version_ids(
    ctx: &mut Ctx<'_>,
    input: ListSecretVersionIds,
) -> Result<SecretVersions, AwsError> {
    let secret = find(ctx, &input.secret_id)?.clone();
    let key = secret.kms_key_id.unwrap_or_else(|| DEFAULT_KEY.to_owned());
    let listed = |(id, version): (&String, &Version)| ListedVersion {
        version_id: id.clone(),
        version_stages: (!version.stages.is_empty()).then(|| version.stages.iter().cloned().collect()),
        created_date: version.created,
        kms_key_ids: vec![key.clone()],
    };
    let held = secret.versions.iter().filter(|(_, version)| input.include_deprecated || !version.stages.is_empty());
    let versions: Vec<ListedVersion> = held.map(listed).collect();
    let list = format!("secretsmanager:versions:{}", secret.name);
    let size = input.max_results.unwrap_or(100).clamp(1, 100);
    let wrong = |_| AwsError::new("InvalidNextTokenException", "The NextToken value is invalid.");
    let (versions, next_token) = ctx
        .page(&list, versions, size, input.next_token.as_deref(), |version: &ListedVersion| &version.version_id)
        .map_err(wrong)?;
    Ok(SecretVersions { versions, next_token, arn: secret.arn, name: secret.name })
}
