//! Values of secrets: creating, reading and replacing them.
//!
//! The main functions are [`create_secret`], [`get_secret_value`], [`put_secret_value`] and [`update_secret`].

use serde::{Deserialize, Serialize};

use super::catalogue::SecretTags;
use super::state::{CURRENT, Payload, Secret, Version, find_living, find_readable};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::tags::{Tag, Tagged};
use crate::wire::value::Blob;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecret {
    name: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<Blob>,
    secret_string: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WrittenSecret {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: Option<String>,
    version_stages: Option<Vec<String>>,
}

pub(super) fn create_secret(ctx: &mut Ctx<'_>, input: CreateSecret) -> Result<WrittenSecret, AwsError> {
    let CreateSecret { name, client_request_token: token, .. } = input;
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if name.is_empty() || name.len() > 512 || !name.chars().all(fits) {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: \
            -/_+=.@!";
        return Err(AwsError::new("ValidationException", message));
    }
    let value = Payload::of(input.secret_string, input.secret_binary)?;
    let token = checked(token)?;
    if let Some(secret) = ctx.place().secretsmanager.secrets.get(&name) {
        let made = token.as_ref().and_then(|token| secret.versions.get(token));
        if made.is_some_and(|made| Some(&made.value) == value.as_ref()) {
            let written =
                WrittenSecret { arn: secret.arn.clone(), name, version_id: token.clone(), version_stages: None };
            ctx.token = token;
            ctx.unchanged();
            return Ok(written);
        }
        if secret.deletion.is_some() {
            let message =
                "You can't create this secret because a secret with this name is already scheduled for deletion.";
            return Err(AwsError::new("InvalidRequestException", message));
        }
        let message = format!("The operation failed because the secret {name} already exists.");
        return Err(AwsError::new("ResourceExistsException", message));
    }

    let mut secret = Secret::new(ctx, &name);
    secret.description = input.description;
    secret.kms_key_id = input.kms_key_id;
    secret.tags = SecretTags::checked(input.tags)?;
    let arn = secret.arn.clone();
    let version_id = match value {
        Some(value) => {
            let id = version_id(ctx, token, &arn);
            secret.put(&id, value, &[CURRENT.to_owned()], ctx.now());
            Some(id)
        }
        None => None,
    };
    ctx.token.clone_from(&version_id);
    ctx.place().secretsmanager.secrets.insert(name.clone(), secret);
    ctx.touch(arn.clone());
    Ok(WrittenSecret { arn, name, version_id, version_stages: None })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretValue {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    secret_string: Option<String>,
    secret_binary: Option<Blob>,
    version_stages: Vec<String>,
    created_date: Timestamp,
}

pub(super) fn get_secret_value(ctx: &mut Ctx<'_>, input: GetSecretValue) -> Result<SecretValue, AwsError> {
    let now = ctx.now();
    let secret = find_readable(ctx, &input.secret_id)?;
    let (id, version) = choose(secret, input.version_id.as_deref(), input.version_stage.as_deref())?;
    let (secret_string, secret_binary) = match version.value.clone() {
        Payload::Text(text) => (Some(text), None),
        Payload::Binary(binary) => (None, Some(binary)),
    };
    let output = SecretValue {
        arn: secret.arn.clone(),
        name: secret.name.clone(),
        version_id: id.clone(),
        secret_string,
        secret_binary,
        version_stages: version.stages.iter().cloned().collect(),
        created_date: version.created,
    };
    secret.accessed = Some(now);
    Ok(output)
}

/// The version that an id or a stage means; the current one where neither is said.
fn choose<'s>(
    secret: &'s Secret,
    version_id: Option<&str>,
    stage: Option<&str>,
) -> Result<(&'s String, &'s Version), AwsError> {
    let missing = |what: String| {
        let message = format!("Secrets Manager can't find the specified secret value for {what}");
        AwsError::new("ResourceNotFoundException", message)
    };
    let Some(id) = version_id else {
        let stage = stage.unwrap_or(CURRENT);
        return secret.version_with(stage).ok_or_else(|| missing(format!("staging label: {stage}")));
    };
    let found = secret.versions.get_key_value(id).ok_or_else(|| missing(format!("VersionId: {id}")))?;
    if stage.is_some_and(|stage| !found.1.stages.contains(stage)) {
        let message = "You provided a VersionStage that is not associated to the provided VersionId.";
        return Err(AwsError::new("InvalidRequestException", message));
    }
    Ok(found)
}

/// The text of a secret, as a service fetches it that was given a reference.
pub(crate) fn fetch(
    scope: &mut Scope<'_>,
    secret_id: &str,
    version_id: Option<&str>,
    stage: Option<&str>,
) -> Result<String, AwsError> {
    let now = scope.now();
    let secret = find_readable(scope, secret_id)?;
    let value = choose(secret, version_id, stage)?.1.value.clone();
    secret.accessed = Some(now);
    match value {
        Payload::Text(text) => Ok(text),
        Payload::Binary(_) => {
            let message = "The secret value is binary, and a string is needed.";
            Err(AwsError::new("InvalidRequestException", message))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_binary: Option<Blob>,
    secret_string: Option<String>,
    version_stages: Option<Vec<String>>,
}

pub(super) fn put_secret_value(ctx: &mut Ctx<'_>, input: PutSecretValue) -> Result<WrittenSecret, AwsError> {
    let token = checked(input.client_request_token)?;
    let value = Payload::of(input.secret_string, input.secret_binary)?.ok_or_else(|| {
        AwsError::new("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    })?;
    let stages = input.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
    let arn = find_living(ctx, &input.secret_id)?.arn.clone();
    let id = version_id(ctx, token, &arn);
    write_version(ctx, &arn, &id, value, &stages)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<Blob>,
    secret_string: Option<String>,
}

pub(super) fn update_secret(ctx: &mut Ctx<'_>, input: UpdateSecret) -> Result<WrittenSecret, AwsError> {
    let token = checked(input.client_request_token)?;
    let value = Payload::of(input.secret_string, input.secret_binary)?;
    let now = ctx.now();
    let secret = find_living(ctx, &input.secret_id)?;
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    let written = match value {
        Some(value) => {
            let id = version_id(ctx, token, &arn);
            let WrittenSecret { version_id, .. } = write_version(ctx, &arn, &id, value, &[CURRENT.to_owned()])?;
            WrittenSecret { arn: arn.clone(), name, version_id, version_stages: None }
        }
        None => {
            ctx.touch(arn.clone());
            WrittenSecret { arn: arn.clone(), name, version_id: None, version_stages: None }
        }
    };
    let described = input.description.is_some() || input.kms_key_id.is_some();
    let secret = find_living(ctx, &arn)?;
    secret.description = input.description.or_else(|| secret.description.take());
    secret.kms_key_id = input.kms_key_id.or_else(|| secret.kms_key_id.take());
    if described {
        secret.changed = now;
    }
    Ok(written)
}

/// Add a version, unless the same one is there: its id is the client token.
fn write_version(
    ctx: &mut Ctx<'_>,
    arn: &str,
    id: &str,
    value: Payload,
    stages: &[String],
) -> Result<WrittenSecret, AwsError> {
    ctx.token = Some(id.to_owned());
    let now = ctx.now();
    let secret = find_living(ctx, arn)?;
    let name = secret.name.clone();
    let known = secret.versions.get(id).map(|known| (known.value == value, known.stages.iter().cloned().collect()));
    let version_stages = match known {
        Some((true, stages)) => {
            ctx.unchanged();
            stages
        }
        Some((false, _)) => {
            let message = format!("A resource with the ID you requested already exists: version {id}.");
            return Err(AwsError::new("ResourceExistsException", message));
        }
        None => {
            secret.put(id, value, stages, now);
            stages.to_vec()
        }
    };
    ctx.touch(arn);
    let version_stages = Some(version_stages);
    Ok(WrittenSecret { arn: arn.to_owned(), name, version_id: Some(id.to_owned()), version_stages })
}

/// The client token, if it has the length of a version id.
pub(super) fn checked(token: Option<String>) -> Result<Option<String>, AwsError> {
    match token {
        Some(token) if !(32..=64).contains(&token.len()) => {
            Err(AwsError::new("InvalidParameterException", "ClientRequestToken must be 32-64 characters long."))
        }
        other => Ok(other),
    }
}

/// The client token, or else a fresh id.
pub(super) fn version_id(ctx: &mut Ctx<'_>, token: Option<String>, arn: &str) -> String {
    token.unwrap_or_else(|| ctx.world.ids.uuid(&format!("secretsmanager/version/{arn}")))
}

/// The value of a secret as a dynamic reference names it: `SECRET:SecretString:KEY:STAGE:VERSION`, in which the secret may be an ARN.
pub(crate) fn value_of(scope: &mut Scope<'_>, reference: &str) -> Option<String> {
    let parts: Vec<&str> = reference.split(':').collect();
    // An ARN has six colons of its own.
    let at = if reference.starts_with("arn:") { 7 } else { 1 };
    let id = parts.get(..at.min(parts.len()))?.join(":");
    let part = |index: usize| parts.get(at + index).copied().filter(|part| !part.is_empty());
    let secret = find_readable(scope, &id).ok()?;
    let (_, version) = choose(secret, part(3), part(2)).ok()?;
    let Payload::Text(text) = &version.value else { return None };
    let Some(key) = part(1) else { return Some(text.clone()) };
    let members: serde_json::Value = serde_json::from_str(text).ok()?;
    match members.get(key)? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
