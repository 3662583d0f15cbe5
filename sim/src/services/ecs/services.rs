//! Operations that show and delete services.
//!
//! The main function is [`describe_services`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definitions::{bad_token, size};
use super::deployment::DeploymentStatus;
use super::reconcile::reconcile;
use super::service::ServiceStatus;
use super::state::{ResourceFailure, cluster, find, invalid, last_part};
use super::updates::{OneService, shown};
use super::views;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
pub(super) struct DescribeServices {
    cluster: Option<String>,
    services: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Services {
    services: Vec<Value>,
    failures: Vec<ResourceFailure>,
}

pub(super) fn describe_services(ctx: &mut Ctx<'_>, input: DescribeServices) -> Result<Services, AwsError> {
    let given = input.cluster.as_deref();
    let cluster = cluster(ctx, given)?.name.clone();
    match input.services.len() {
        0 => return Err(invalid("Services cannot be empty.")),
        1..=10 => {}
        _ => return Err(invalid("Services can have at most 10 items.")),
    }
    let with_tags = input.include.iter().any(|field| field == "TAGS");
    let mut found = Services { services: Vec::new(), failures: Vec::new() };
    for name in &input.services {
        let service = find(ctx, given, name).ok().and_then(|key| views::service(&ctx.place().ecs, &key, with_tags));
        match service {
            Some(service) => found.services.push(service),
            None => found.failures.push(ResourceFailure::missing(ctx, &format!("service/{cluster}"), name)),
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListServices {
    cluster: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
    launch_type: Option<String>,
    scheduling_strategy: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceArns {
    service_arns: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_services(ctx: &mut Ctx<'_>, input: ListServices) -> Result<ServiceArns, AwsError> {
    // A page of services holds 10 where nothing else is asked for.
    let size = size(input.max_results.or(Some(10)))?;
    let services = cluster(ctx, input.cluster.as_deref())?.services.values();
    let replicas = input.scheduling_strategy.as_deref().is_none_or(|strategy| strategy == "REPLICA");
    let arns: Vec<String> = services
        .filter(|service| replicas && service.status != ServiceStatus::Inactive)
        .filter(|service| input.launch_type.as_ref().is_none_or(|kind| Some(kind) == service.launch_type().as_ref()))
        .map(|service| service.arn.clone())
        .collect();
    let (service_arns, next_token) =
        ctx.page("services", arns, size, input.next_token.as_deref(), |arn| last_part(arn)).map_err(bad_token)?;
    Ok(ServiceArns { service_arns, next_token })
}

#[derive(Deserialize)]
pub(super) struct DeleteService {
    cluster: Option<String>,
    service: String,
    #[serde(default)]
    force: bool,
}

pub(super) fn delete_service(ctx: &mut Ctx<'_>, input: DeleteService) -> Result<OneService, AwsError> {
    let key = find(ctx, input.cluster.as_deref(), &input.service)?;
    let now = ctx.now();
    let Some(service) = ctx.scope.place().ecs.service_mut(&key) else { return Err(super::state::no_service()) };
    if !service.is_active() {
        return Err(super::state::no_service());
    }
    if service.desired > 0 && !input.force {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    service.status = ServiceStatus::Draining;
    if let Some(current) = service.current_mut() {
        current.status = DeploymentStatus::Stopped;
        current.reason = Some("Service deployment stopped because the service was deleted.".to_owned());
        current.finished = Some(now);
        current.stopped = Some(now);
    }
    let arn = service.arn.clone();
    ctx.touch(arn);
    reconcile(ctx, &key);
    Ok(shown(ctx, &key))
}
