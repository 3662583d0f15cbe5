//! Operations on service deployments and service revisions.
//!
//! The main function is [`describe_service_deployments`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definitions::{bad_token, size};
use super::deployment::{DeploymentStatus, ServiceDeployment};
use super::events::{Event, Turn};
use super::service::EcsService;
use super::state::{ResourceFailure, ServiceKey, find, invalid, is_foreign};
use super::views;
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::page;

/// The most things that one call may describe.
const MOST: usize = 20;
/// How long ECS takes to stop a deployment.
const STOPPING: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListServiceDeployments {
    service: String,
    cluster: Option<String>,
    #[serde(default)]
    status: Vec<String>,
    created_at: Option<CreatedAt>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Deserialize)]
struct CreatedAt {
    before: Option<Timestamp>,
    after: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Briefs {
    service_deployments: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_service_deployments(ctx: &mut Ctx<'_>, input: ListServiceDeployments) -> Result<Briefs, AwsError> {
    let most = ctx.world.page_size;
    let size = size(input.max_results.or(Some(20)))?;
    let key = find(ctx, input.cluster.as_deref(), &input.service)?;
    let wanted = |deployment: &&ServiceDeployment| {
        let CreatedAt { before, after } = input.created_at.as_ref().unwrap_or(&CreatedAt { before: None, after: None });
        (input.status.is_empty() || input.status.iter().any(|status| status == deployment.status.name()))
            && before.is_none_or(|before| deployment.created <= before)
            && after.is_none_or(|after| deployment.created >= after)
    };
    let Some(service) = ctx.scope.place().ecs.service(&key) else { return Err(super::state::no_service()) };
    let newest: Vec<&ServiceDeployment> = service.service_deployments.iter().rev().filter(wanted).collect();
    let list = format!("service-deployments/{}/{}", key.cluster, key.service);
    let (found, next_token) =
        page::cut(&list, newest, size.min(most), input.next_token.as_deref(), |deployment| &deployment.id)
            .map_err(bad_token)?;
    let service_deployments = found.into_iter().map(|deployment| views::brief(service, deployment)).collect();
    Ok(Briefs { service_deployments, next_token })
}

/// The service in an ARN `arn:…:KIND/CLUSTER/SERVICE/ID`.
fn service_of<'s>(scope: &'s mut Scope<'_>, kind: &str, arn: &str) -> Option<&'s EcsService> {
    if is_foreign(scope, arn) {
        return None;
    }
    let (_, resource) = arn.split_once(&format!(":{kind}/"))?;
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        [cluster, service, _] => {
            let key = ServiceKey { cluster: (*cluster).to_owned(), service: (*service).to_owned() };
            scope.place().ecs.service(&key)
        }
        _ => None,
    }
}

fn check(what: &str, arns: &[String]) -> Result<(), AwsError> {
    if arns.is_empty() || arns.len() > MOST {
        return Err(invalid(format!("{what} must have 1 to {MOST} items.")));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeServiceDeployments {
    service_deployment_arns: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceDeployments {
    service_deployments: Vec<Value>,
    failures: Vec<ResourceFailure>,
}

pub(super) fn describe_service_deployments(
    ctx: &mut Ctx<'_>,
    input: DescribeServiceDeployments,
) -> Result<ServiceDeployments, AwsError> {
    check("serviceDeploymentArns", &input.service_deployment_arns)?;
    let mut found = ServiceDeployments { service_deployments: Vec::new(), failures: Vec::new() };
    for arn in input.service_deployment_arns {
        let deployment = service_of(ctx, "service-deployment", &arn).and_then(|service| {
            let deployment = service.service_deployments.iter().find(|deployment| deployment.arn == arn)?;
            Some(views::service_deployment(service, deployment))
        });
        match deployment {
            Some(deployment) => found.service_deployments.push(deployment),
            None => found.failures.push(ResourceFailure::missing(ctx, "service-deployment", &arn)),
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeServiceRevisions {
    service_revision_arns: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRevisions {
    service_revisions: Vec<Value>,
    failures: Vec<ResourceFailure>,
}

pub(super) fn describe_service_revisions(
    ctx: &mut Ctx<'_>,
    input: DescribeServiceRevisions,
) -> Result<ServiceRevisions, AwsError> {
    check("serviceRevisionArns", &input.service_revision_arns)?;
    let mut found = ServiceRevisions { service_revisions: Vec::new(), failures: Vec::new() };
    for arn in input.service_revision_arns {
        match service_of(ctx, "service-revision", &arn).and_then(|service| views::revision(service, &arn)) {
            Some(revision) => found.service_revisions.push(revision),
            None => found.failures.push(ResourceFailure::missing(ctx, "service-revision", &arn)),
        }
    }
    Ok(found)
}

/// The ARN of the service that a deployment or revision is of, by the ARN of that.
pub(super) fn service_arn(arn: &str) -> Option<String> {
    let (place, resource) = (arn.rsplit_once(':')?.0, arn.rsplit_once(':')?.1);
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["service-deployment" | "service-revision", cluster, service, _] => {
            Some(format!("{place}:service/{cluster}/{service}"))
        }
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopServiceDeployment {
    service_deployment_arn: String,
    stop_type: Option<StopType>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StopType {
    Abort,
    Rollback,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stopping {
    service_deployment_arn: String,
}

pub(super) fn stop_service_deployment(ctx: &mut Ctx<'_>, input: StopServiceDeployment) -> Result<Stopping, AwsError> {
    let arn = input.service_deployment_arn;
    let go_back = input.stop_type != Some(StopType::Abort);
    let unknown = || AwsError::new("ServiceDeploymentNotFoundException", "Service deployment not found.");
    let service = service_of(ctx, "service-deployment", &arn).ok_or_else(unknown)?;
    let deployment = service.service_deployments.iter().find(|deployment| deployment.arn == arn).ok_or_else(unknown)?;
    let (key, id, status) = (service.key.clone(), deployment.id.clone(), deployment.status);
    if !matches!(status, DeploymentStatus::Pending | DeploymentStatus::InProgress) {
        let message = format!("The service deployment cannot be stopped in the status {}.", status.name());
        return Err(AwsError::new("ConflictException", message));
    }
    if go_back && service.completed.is_none() {
        let message = "The service has no service revision that was deployed successfully to roll back to.";
        return Err(AwsError::new("ConflictException", message));
    }
    if let Some(current) = ctx.place().ecs.service_mut(&key).and_then(|service| service.current_mut()) {
        current.status = if go_back { DeploymentStatus::RollbackRequested } else { DeploymentStatus::StopRequested };
    }
    let event = Event::Rollout { cluster: key.cluster, service: key.service, id, turn: Turn::Stop };
    ctx.schedule(STOPPING, event);
    ctx.touch(arn.clone());
    Ok(Stopping { service_deployment_arn: arn })
}
