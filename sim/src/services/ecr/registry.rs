//! What belongs to the registry as a whole: how it scans, and its authorization tokens.
//!
//! The main functions are [`put_registry_scanning_configuration`] and [`get_authorization_token`].

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::scans;
use super::state::{RegistryScanning, ScanFrequency, ScanType, ScanningFilter, invalid};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configured {
    registry_scanning_configuration: RegistryScanning,
}

pub(super) fn put_registry_scanning_configuration(
    ctx: &mut Ctx<'_>,
    input: RegistryScanning,
) -> Result<Configured, AwsError> {
    let fits = |frequency| match (input.scan_type, frequency) {
        (ScanType::Basic, ScanFrequency::ContinuousScan) | (ScanType::Enhanced, ScanFrequency::Manual) => false,
        (ScanType::Basic, ScanFrequency::Manual | ScanFrequency::ScanOnPush)
        | (ScanType::Enhanced, ScanFrequency::ScanOnPush | ScanFrequency::ContinuousScan) => true,
    };
    if input.rules.len() > 2 || !input.rules.iter().all(|rule| fits(rule.scan_frequency)) {
        let message = "Invalid scanning rules: at most two, each with a scan frequency that the scan type supports";
        return Err(invalid(message));
    }
    let arn = ctx.arn("ecr", "registry");
    ctx.touch(arn);
    let scanning = &mut ctx.place().ecr.scanning;
    if *scanning == input {
        ctx.unchanged();
    } else {
        scanning.clone_from(&input);
        scans::reconsider(ctx);
    }
    Ok(Configured { registry_scanning_configuration: input })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scanning {
    registry_id: String,
    scanning_configuration: RegistryScanning,
}

pub(super) fn get_registry_scanning_configuration(ctx: &mut Ctx<'_>, _: NoInput) -> Result<Scanning, AwsError> {
    let scanning_configuration = ctx.place().ecr.scanning.clone();
    Ok(Scanning { registry_id: ctx.at.account.clone(), scanning_configuration })
}

/// An input without members.
#[derive(Deserialize)]
pub(super) struct NoInput {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichRepositories {
    repository_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RepositoryConfigurations {
    scanning_configurations: Vec<RepositoryConfiguration>,
    failures: Vec<ScanningFailure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryConfiguration {
    repository_arn: String,
    repository_name: String,
    scan_on_push: bool,
    scan_frequency: ScanFrequency,
    applied_scan_filters: Vec<ScanningFilter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanningFailure {
    repository_name: String,
    failure_code: &'static str,
    failure_reason: &'static str,
}

pub(super) fn batch_get_repository_scanning_configuration(
    ctx: &mut Ctx<'_>,
    input: WhichRepositories,
) -> Result<RepositoryConfigurations, AwsError> {
    if !(1..=25).contains(&input.repository_names.len()) {
        let message = "1 validation error detected: Value at 'repositoryNames' failed to satisfy constraint: Member \
            must have length between 1 and 25";
        return Err(AwsError::new("ValidationException", message));
    }
    let state = &ctx.place().ecr;
    let mut output = RepositoryConfigurations { scanning_configurations: Vec::new(), failures: Vec::new() };
    for name in input.repository_names {
        let Some(repository) = state.repositories.get(&name) else {
            output.failures.push(ScanningFailure {
                repository_name: name,
                failure_code: "REPOSITORY_NOT_FOUND",
                failure_reason: "Repository not found",
            });
            continue;
        };
        let (scan_frequency, applied_scan_filters) = state.frequency(repository);
        output.scanning_configurations.push(RepositoryConfiguration {
            repository_arn: repository.arn.clone(),
            repository_name: name,
            scan_on_push: scan_frequency != ScanFrequency::Manual,
            scan_frequency,
            applied_scan_filters,
        });
    }
    Ok(output)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetAuthorizationToken {
    registry_ids: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorization {
    authorization_data: Vec<AuthorizationData>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationData {
    authorization_token: String,
    expires_at: Timestamp,
    proxy_endpoint: String,
}

pub(super) fn get_authorization_token(
    ctx: &mut Ctx<'_>,
    input: GetAuthorizationToken,
) -> Result<Authorization, AwsError> {
    let registries = input.registry_ids.unwrap_or_else(|| vec![ctx.at.account.clone()]);
    let expires_at = ctx.now() + Duration::from_hours(12);
    let at = ctx.at.clone();
    let token = |registry: String| {
        let password = ctx.world.ids.hex(&format!("ecr/token/{registry}"), 64);
        AuthorizationData {
            authorization_token: STANDARD.encode(format!("AWS:{password}")),
            expires_at,
            proxy_endpoint: format!("https://{}", at.registry_of(&registry)),
        }
    };
    Ok(Authorization { authorization_data: registries.into_iter().map(token).collect() })
}
