//! Service deployments, and the service revisions that they bring.
//!
//! Every request record about them is an [`Operation`]; [`DescribeServiceDeploymentsRequest`] is the one that is polled.

use aws_sdk_ecs::types as sdk;

use super::cluster::{self, SERVICE, check, failures};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk, invalid};
use crate::aws::limits::batch;
use crate::aws::look::Look;
use crate::aws::names::{self, ResourceKind};
use crate::aws::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::{count, incomplete, list, millis, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    DescribeServiceDeploymentsRequest, DescribeServiceDeploymentsResponse, DescribeServiceRevisionsRequest,
    DescribeServiceRevisionsResponse, ListServiceDeploymentsRequest, ListServiceDeploymentsResponse, ServiceDeployment,
    ServiceDeploymentBrief, ServiceRevision, StopServiceDeploymentRequest, StopServiceDeploymentResponse,
};
use crate::types::{Arn, Place};

/// The most deployments or revisions that one request may name.
const MOST: usize = 20;

// Deployments and revisions have no names, only ARNs. What is none is checked as if it were a name.
const DEPLOYMENT: ResourceKind = ResourceKind::new("ecs", "a service-deployment", "service-deployment/", "");
const REVISION: ResourceKind = ResourceKind::new("ecs", "a service-revision", "service-revision/", "");

/// What IAM checks a call on deployments or revisions against: each of them, and the service that it is of. AWS's service
/// authorization reference marks both types as required.
fn with_services(at: &Place, kind: &ResourceKind, given: &[String]) -> Vec<Arn> {
    let mut arns = kind.arns(at, given);
    let mut services: Vec<Arn> = arns.iter().filter_map(|arn| service_of(kind, arn)).collect();
    services.sort();
    services.dedup();
    arns.append(&mut services);
    arns
}

/// The service of a deployment or revision: `service/CLUSTER/SERVICE` of `service-deployment/CLUSTER/SERVICE/ID`. What has another
/// shape is of none that a permission could be meant for.
fn service_of(kind: &ResourceKind, arn: &Arn) -> Option<Arn> {
    let (path, _) = kind.name_in(arn).ok()?.rsplit_once('/')?;
    Some(names::beside(arn, &format!("{}{path}", SERVICE.before)))
}

heads! {
    ListServiceDeploymentsRequest => ListServiceDeploymentsResponse:
        "ecs:ListServiceDeployments" on |it, at| [cluster::arn(at, &SERVICE, &it.cluster, &it.service)];
    DescribeServiceDeploymentsRequest => DescribeServiceDeploymentsResponse:
        "ecs:DescribeServiceDeployments" on |it, at| with_services(at, &DEPLOYMENT, &it.arns);
    DescribeServiceRevisionsRequest => DescribeServiceRevisionsResponse:
        "ecs:DescribeServiceRevisions" on |it, at| with_services(at, &REVISION, &it.arns);
    StopServiceDeploymentRequest => StopServiceDeploymentResponse:
        "ecs:StopServiceDeployment" on |it, at| with_services(at, &DEPLOYMENT, std::slice::from_ref(&it.arn));
}

impl Read for ListServiceDeploymentsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&SERVICE, &self.cluster, &self.service)?;
        // One page holds as many as may be asked for.
        let limit = i32::try_from(self.limit).ok().filter(|limit| (1..=100).contains(limit));
        let Some(limit) = limit else {
            return Err(invalid(format_args!("1 to 100 service deployments can be listed, not {}", self.limit)));
        };
        let request = aws.ecs().list_service_deployments().cluster(&self.cluster).service(&self.service);
        let output = request.max_results(limit).send().await.map_err(from_sdk)?;
        let mut deployments: Vec<_> = list(output.service_deployments, brief);
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.created));
        Ok(ListServiceDeploymentsResponse { deployments })
    }
}

fn brief(deployment: sdk::ServiceDeploymentBrief) -> ServiceDeploymentBrief {
    ServiceDeploymentBrief {
        arn: deployment.service_deployment_arn.unwrap_or_default(),
        status: word(deployment.status),
        created: millis(deployment.created_at),
        target_revision: deployment.target_service_revision_arn,
    }
}

impl Read for DescribeServiceDeploymentsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("service deployments", &self.arns, MOST)?;
        self.arns.iter().try_for_each(|given| DEPLOYMENT.check_arn(given))?;
        let request = aws.ecs().describe_service_deployments().set_service_deployment_arns(Some(self.arns.clone()));
        let output = request.send().await.map_err(from_sdk)?;
        Ok(DescribeServiceDeploymentsResponse {
            deployments: list(output.service_deployments, deployment),
            failures: failures(output.failures),
        })
    }
}

fn deployment(deployment: sdk::ServiceDeployment) -> ServiceDeployment {
    let target = deployment.target_service_revision.as_ref();
    let breaker = deployment.deployment_circuit_breaker;
    // The breaker counts failures for rolling deployments, whether or not it is enabled.
    let failed_tasks = breaker.as_ref().map_or(0, |breaker| count(breaker.failure_count));
    let sources = deployment.source_service_revisions.unwrap_or_default();
    let (rollback_revision, rollback_reason) =
        deployment.rollback.map_or((None, None), |rollback| (rollback.service_revision_arn, rollback.reason));
    ServiceDeployment {
        target_revision: target.and_then(|revision| revision.arn.clone()),
        arn: deployment.service_deployment_arn.unwrap_or_default(),
        status: word(deployment.status),
        status_reason: deployment.status_reason,
        source_revisions: sources.into_iter().filter_map(|revision| revision.arn).collect(),
        rollback_revision,
        rollback_reason,
        circuit_breaker: breaker.and_then(|breaker| breaker.status).map(|status| status.as_str().to_owned()),
        failed_tasks,
        triggered_alarms: deployment.alarms.and_then(|alarms| alarms.triggered_alarm_names).unwrap_or_default(),
        started: millis(deployment.started_at),
        finished: millis(deployment.finished_at).or(millis(deployment.stopped_at)),
    }
}

impl Read for DescribeServiceRevisionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("service revisions", &self.arns, MOST)?;
        self.arns.iter().try_for_each(|given| REVISION.check_arn(given))?;
        let request = aws.ecs().describe_service_revisions().set_service_revision_arns(Some(self.arns.clone()));
        let output = request.send().await.map_err(from_sdk)?;
        Ok(DescribeServiceRevisionsResponse {
            revisions: list(output.service_revisions, revision),
            failures: failures(output.failures),
        })
    }
}

fn revision(revision: sdk::ServiceRevision) -> ServiceRevision {
    let images = revision.container_images.unwrap_or_default();
    let digest = |image: sdk::ContainerImage| Some(Pair { name: image.container_name?, value: image.image_digest? });
    ServiceRevision {
        arn: revision.service_revision_arn.unwrap_or_default(),
        task_definition: revision.task_definition.unwrap_or_default(),
        digests: images.into_iter().filter_map(digest).collect(),
    }
}

impl Write for StopServiceDeploymentRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &["ecs:DescribeServiceDeployments"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        DEPLOYMENT.check_arn(&self.arn)?;
        let output = aws
            .ecs()
            .stop_service_deployment()
            .service_deployment_arn(&self.arn)
            .stop_type(sdk::StopServiceDeploymentStopType::from(self.stop_type.as_str()))
            .send()
            .await
            .map_err(from_sdk)?;
        let arn = output.service_deployment_arn.ok_or_else(|| incomplete("the service deployment"))?;
        Ok(StopServiceDeploymentResponse { arn })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let request = DescribeServiceDeploymentsRequest { arns: vec![self.arn.clone()] };
        let found = look.read(&request).await?.deployments.into_iter().next();
        let Some(ServiceDeployment { arn, status, .. }) = found else { return Ok(Fate::SendAgain) };
        let evidence = format!("the deployment is {status}");
        let goes_back = self.stop_type != "ABORT";
        Ok(match status.as_str() {
            "PENDING" | "IN_PROGRESS" => Fate::NotHappened { evidence },
            "STOP_REQUESTED" => Fate::Happened { output: StopServiceDeploymentResponse { arn }, evidence },
            "STOPPED" if !goes_back => Fate::Happened { output: StopServiceDeploymentResponse { arn }, evidence },
            "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED" if goes_back => {
                Fate::Happened { output: StopServiceDeploymentResponse { arn }, evidence }
            }
            // It came too late, or the deployment ended in another way: AWS says so in its own words.
            "SUCCESSFUL"
            | "STOPPED"
            | "ROLLBACK_REQUESTED"
            | "ROLLBACK_IN_PROGRESS"
            | "ROLLBACK_SUCCESSFUL"
            | "ROLLBACK_FAILED" => Fate::SendAgain,
            _ => Fate::Unknown {
                check: format!("look whether {arn} is being stopped"),
                likely: Some(StopServiceDeploymentResponse { arn }),
                evidence,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_with_next_to_nothing_is_still_one() {
        let deployment = deployment(sdk::ServiceDeployment::builder().status("MUSING".into()).build());
        assert_eq!((deployment.status.as_str(), deployment.failed_tasks), ("MUSING", 0));
        assert_eq!((deployment.target_revision, deployment.circuit_breaker), (None, None));
    }

    #[test]
    fn a_container_whose_digest_is_not_resolved_is_left_out() {
        let image = |name: &str| sdk::ContainerImage::builder().container_name(name);
        let revision = revision(
            sdk::ServiceRevision::builder()
                .container_images(image("app").image_digest("sha256:0a").build())
                .container_images(image("proxy").build())
                .build(),
        );
        assert_eq!(revision.digests, [Pair { name: "app".to_owned(), value: "sha256:0a".to_owned() }]);
    }
}
