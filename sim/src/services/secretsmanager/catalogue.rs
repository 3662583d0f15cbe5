//! Secrets without their values: descriptions, lists, tags and deletion.
//!
//! The main functions are [`describe_secret`], [`list_secrets`] and [`delete_secret`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::state::{Secret, find, find_living};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::{Access, Empty};
use crate::tags::{self, Tag, Tagged, Tags, listed};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhichSecret {
    secret_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretDescription {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    description: Option<String>,
    kms_key_id: Option<String>,
    rotation_enabled: bool,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<RotationRules>,
    last_rotated_date: Option<Timestamp>,
    last_changed_date: Timestamp,
    last_accessed_date: Option<Timestamp>,
    deleted_date: Option<Timestamp>,
    next_rotation_date: Option<Timestamp>,
    created_date: Timestamp,
    tags: Vec<Tag>,
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
    secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RotationRules {
    automatically_after_days: u64,
}

impl SecretDescription {
    fn of(secret: &Secret) -> Self {
        let days = secret.rotation.as_ref().and_then(|rotation| rotation.after_days);
        let since = secret.rotated.unwrap_or(secret.created);
        let day_of = |instant: Timestamp| Timestamp(instant.0 - instant.0 % 86_400_000);
        Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            description: secret.description.clone(),
            kms_key_id: secret.kms_key_id.clone(),
            rotation_enabled: secret.rotation.is_some(),
            rotation_lambda_arn: secret.rotation.as_ref().and_then(|rotation| rotation.lambda.clone()),
            rotation_rules: days.map(|automatically_after_days| RotationRules { automatically_after_days }),
            last_rotated_date: secret.rotated,
            last_changed_date: secret.changed,
            last_accessed_date: secret.accessed.map(day_of),
            deleted_date: secret.deleted,
            next_rotation_date: days.map(|days| since + Duration::from_secs(days * DAY.as_secs())),
            created_date: secret.created,
            tags: listed(&secret.tags),
            version_ids_to_stages: None,
            secret_versions_to_stages: None,
        }
    }
}

fn stages(secret: &Secret) -> Option<BTreeMap<String, Vec<String>>> {
    let versions = secret.versions.iter().filter(|(_, version)| !version.stages.is_empty());
    let stages: BTreeMap<_, _> =
        versions.map(|(id, version)| (id.clone(), version.stages.iter().cloned().collect())).collect();
    (!stages.is_empty()).then_some(stages)
}

pub(super) fn describe_secret(ctx: &mut Ctx<'_>, input: WhichSecret) -> Result<SecretDescription, AwsError> {
    let secret = find(ctx, &input.secret_id)?;
    Ok(SecretDescription { version_ids_to_stages: stages(secret), ..SecretDescription::of(secret) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecrets {
    #[serde(default)]
    include_planned_deletion: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<SecretFilter>,
    sort_order: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretFilter {
    key: String,
    values: Vec<String>,
}

impl SecretFilter {
    /// Values match the beginning of what they are compared with, upper and lower case alike for `all` and descriptions;
    /// a leading `!` turns one around.
    fn matches(&self, secret: &Secret) -> bool {
        let texts: Vec<&String> = match self.key.as_str() {
            "name" => vec![&secret.name],
            "description" => secret.description.iter().collect(),
            "tag-key" => secret.tags.keys().collect(),
            "tag-value" => secret.tags.values().collect(),
            _ => {
                let tags = secret.tags.iter().flat_map(|(key, value)| [key, value]);
                [&secret.name].into_iter().chain(&secret.description).chain(tags).collect()
            }
        };
        let folded = matches!(self.key.as_str(), "description" | "all");
        let begins = |text: &str, value: &str| match folded {
            true => text.to_lowercase().starts_with(&value.to_lowercase()),
            false => text.starts_with(value),
        };
        self.values.iter().any(|value| match value.strip_prefix('!') {
            Some(unwanted) => !texts.iter().any(|text| begins(text, unwanted)),
            None => texts.iter().any(|text| begins(text, value)),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecretsOutput {
    secret_list: Vec<SecretDescription>,
    next_token: Option<String>,
}

pub(super) fn list_secrets(ctx: &mut Ctx<'_>, input: ListSecrets) -> Result<ListSecretsOutput, AwsError> {
    let size = input.max_results.unwrap_or(100);
    if !(1..=100).contains(&size) {
        let message = "Invalid MaxResults. Must be between 1 and 100.";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    if let Some(filter) = input
        .filters
        .iter()
        .find(|filter| !matches!(filter.key.as_str(), "name" | "description" | "tag-key" | "tag-value" | "all"))
    {
        let message = format!("the simulator does not filter secrets by {:?}", filter.key);
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let secrets = ctx.place().secretsmanager.secrets.values();
    let mut secrets: Vec<&Secret> = secrets
        .filter(|secret| input.include_planned_deletion || secret.deletion.is_none())
        .filter(|secret| input.filters.iter().all(|filter| filter.matches(secret)))
        .collect();
    // Newest first, unless asked otherwise.
    secrets.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    if input.sort_order.as_deref() == Some("asc") {
        secrets.reverse();
    }
    let entry = |secret: &Secret| SecretDescription {
        secret_versions_to_stages: stages(secret),
        ..SecretDescription::of(secret)
    };
    let entries = secrets.into_iter().map(entry).collect();
    let token = input.next_token.as_deref();
    let (secret_list, next_token) = ctx
        .page("secretsmanager:secrets", entries, size, token, |secret: &SecretDescription| &secret.arn)
        .map_err(|_| AwsError::new("InvalidNextTokenException", "The NextToken value is invalid."))?;
    Ok(ListSecretsOutput { secret_list, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagSecret {
    secret_id: String,
    tags: Vec<Tag>,
}

/// The tags of secrets.
pub(super) struct SecretTags;

impl Tagged for SecretTags {
    type Tag = Tag;

    fn find<'s>(scope: &'s mut Scope<'_>, given: &str, _: Access) -> Result<(String, &'s mut Tags), AwsError> {
        let secret = find_living(scope, given)?;
        Ok((secret.arn.clone(), &mut secret.tags))
    }
}

pub(super) fn tag_resource(ctx: &mut Ctx<'_>, input: TagSecret) -> Result<Empty, AwsError> {
    tags::add::<SecretTags>(ctx, &input.secret_id, input.tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagSecret {
    secret_id: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_resource(ctx: &mut Ctx<'_>, input: UntagSecret) -> Result<Empty, AwsError> {
    tags::remove::<SecretTags>(ctx, &input.secret_id, &input.tag_keys)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecret {
    secret_id: String,
    recovery_window_in_days: Option<u32>,
    #[serde(default)]
    force_delete_without_recovery: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deleted {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    deletion_date: Option<Timestamp>,
}

pub(super) fn delete_secret(ctx: &mut Ctx<'_>, input: DeleteSecret) -> Result<Deleted, AwsError> {
    let invalid = |message: &str| Err(AwsError::new("InvalidParameterException", message));
    let window = match (input.recovery_window_in_days, input.force_delete_without_recovery) {
        (Some(_), true) => {
            return invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
        }
        (Some(days), false) if !(7..=30).contains(&days) => {
            return invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
        }
        (Some(days), false) => DAY * days,
        (None, false) => DAY * 30,
        (None, true) => Duration::ZERO,
    };
    let now = ctx.now();
    let secret = if input.force_delete_without_recovery {
        find(ctx, &input.secret_id)?
    } else {
        find_living(ctx, &input.secret_id)?
    };
    let (arn, name, deletion) = (secret.arn.clone(), secret.name.clone(), now + window);
    secret.deleted = Some(now);
    secret.deletion = Some(deletion);
    if input.force_delete_without_recovery {
        ctx.place().secretsmanager.secrets.remove(&name);
    } else {
        ctx.schedule(window, Event::Purge { name: name.clone(), due: deletion });
    }
    ctx.touch(arn.clone());
    Ok(Deleted { arn, name, deletion_date: Some(deletion) })
}

pub(super) fn restore_secret(ctx: &mut Ctx<'_>, input: WhichSecret) -> Result<Deleted, AwsError> {
    let secret = find(ctx, &input.secret_id)?;
    let restored = secret.deletion.take().is_some();
    secret.deleted = None;
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    if !restored {
        ctx.unchanged();
    }
    ctx.touch(arn.clone());
    Ok(Deleted { arn, name, deletion_date: None })
}
