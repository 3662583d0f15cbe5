//! Rotation.
//!
//! The main function is [`rotate_secret`].

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::events::Event;
use super::state::{CURRENT, PENDING, Payload, Rotation, find_living};
use super::values::{checked, version_id};
use crate::ctx::Ctx;
use crate::error::AwsError;

/// How long the function that rotates a secret takes.
const ROTATION: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RotateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<GivenRotationRules>,
    rotate_immediately: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GivenRotationRules {
    automatically_after_days: Option<u64>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rotating {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: Option<String>,
}

pub(super) fn rotate_secret(ctx: &mut Ctx<'_>, input: RotateSecret) -> Result<Rotating, AwsError> {
    let token = checked(input.client_request_token)?;
    let now = ctx.now();
    let secret = find_living(ctx, &input.secret_id)?;
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    let before = secret.rotation.clone();
    let lambda = input.rotation_lambda_arn.or_else(|| before.as_ref().and_then(|rotation| rotation.lambda.clone()));
    let Some(lambda) = lambda else {
        let message = "No Lambda rotation function ARN is associated with this secret.";
        return Err(AwsError::new("InvalidRequestException", message));
    };
    let current = secret.version_with(CURRENT).map(|(_, version)| version.value.clone());
    if let Some(token) = &token
        && secret.versions.contains_key(token)
    {
        ctx.unchanged();
        ctx.token = Some(token.clone());
        return Ok(Rotating { arn, name, version_id: Some(token.clone()) });
    }
    if secret.version_with(PENDING).is_some() {
        let message = "A previous rotation isn't complete. That rotation will be reattempted.";
        return Err(AwsError::new("InvalidRequestException", message));
    }
    let after_days = input.rotation_rules.and_then(|rules| rules.automatically_after_days);
    let after_days = after_days.or_else(|| before.and_then(|rotation| rotation.after_days));
    secret.rotation = Some(Rotation { lambda: Some(lambda), after_days });
    ctx.touch(arn.clone());
    if input.rotate_immediately == Some(false) {
        return Ok(Rotating { arn, name, version_id: None });
    }
    let version = version_id(ctx, token, &arn);
    ctx.token = Some(version.clone());
    let fresh = ctx.world.ids.hex(&format!("secretsmanager/rotated/{arn}"), 32);
    let value = rotated(current, fresh);
    find_living(ctx, &arn)?.put(&version, value, &[PENDING.to_owned()], now);
    let event = Event::Rotated { name: name.clone(), version: version.clone() };
    ctx.schedule(ROTATION, event);
    Ok(Rotating { arn, name, version_id: Some(version) })
}

/// The value with its password replaced, where it is a JSON object that has one; else the password alone.
fn rotated(current: Option<Payload>, fresh: String) -> Payload {
    if let Some(Payload::Text(text)) = current
        && let Ok(Value::Object(mut members)) = serde_json::from_str(&text)
    {
        members.insert("password".to_owned(), Value::from(fresh));
        return Payload::Text(Value::Object(members).to_string());
    }
    Payload::Text(fresh)
}
