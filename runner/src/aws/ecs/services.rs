//! Services: what they run and how to change it.
//!
//! Every request record about services is an [`Operation`]; [`UpdateServiceRequest`] is the one that deploys.

use aws_sdk_ecs::types as sdk;
use serde_json::{Map, Value, json};

use super::cluster::{self, SERVICE, check, check_cluster, failures};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk, invalid};
use crate::aws::limits::{batch, gather};
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::raw_json::RawJson;
use crate::aws::values::{count, incomplete, is_since, list, millis, optional_word, unreadable};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    Deployment, DescribeServiceRevisionsRequest, DescribeServicesRequest, DescribeServicesResponse,
    ListServiceDeploymentsRequest, ListServicesRequest, ListServicesResponse, Service, ServiceDeploymentBrief,
    ServiceEvent, UpdateServiceRequest, UpdateServiceResponse,
};
use crate::json;

heads! {
    DescribeServicesRequest => DescribeServicesResponse:
        "ecs:DescribeServices" on |it, at| it.services.iter().map(|given| cluster::arn(at, &SERVICE, &it.cluster, given));
    ListServicesRequest => ListServicesResponse: "ecs:ListServices" on |_, _| [];
    UpdateServiceRequest => UpdateServiceResponse:
        "ecs:UpdateService" on |it, at| [cluster::arn(at, &SERVICE, &it.cluster, &it.service)];
}

impl Read for DescribeServicesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("services", &self.services, 10)?;
        self.services.iter().try_for_each(|given| check(&SERVICE, &self.cluster, given))?;
        let json = RawJson::received();
        let output = aws
            .ecs()
            .describe_services()
            .cluster(&self.cluster)
            .set_services(Some(self.services.clone()))
            .include(sdk::ServiceField::Tags)
            .customize()
            .interceptor(json.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        let mut raw = answer(&json, "services")?;
        let mut described = raw.as_array_mut().into_iter().flatten();
        let services = list(output.services, |one| service(one, described.next().map(Value::take)));
        Ok(DescribeServicesResponse { services, failures: failures(output.failures) })
    }
}

/// A member of AWS's own answer.
fn answer(json: &RawJson, member: &str) -> Result<Value, AwsError> {
    let answer = json.answer().transpose().map_err(|why| unreadable("the services", &why))?;
    Ok(answer.and_then(|mut answer| answer.get_mut(member).map(Value::take)).unwrap_or_default())
}

/// A service, with what AWS's own JSON says of how it is deployed.
fn service(service: sdk::Service, raw: Option<Value>) -> Service {
    let configured = raw.and_then(|mut raw| raw.get_mut("deploymentConfiguration").map(Value::take));
    let mut configured = configured.unwrap_or_else(|| json!({}));
    configured.sort_all_objects();
    // Both are left out of answers where they are the default.
    let controller = service.deployment_controller.as_ref().map_or("ECS", |controller| controller.r#type.as_str());
    let configuration = service.deployment_configuration.as_ref();
    let strategy = configuration.and_then(|configuration| configuration.strategy.as_ref());
    let event = |event: sdk::ServiceEvent| ServiceEvent {
        timestamp: millis(event.created_at).unwrap_or(0),
        message: event.message.unwrap_or_default(),
    };
    Service {
        deployment_controller: controller.to_owned(),
        strategy: strategy.map_or("ROLLING", |strategy| strategy.as_str()).to_owned(),
        name: service.service_name.unwrap_or_default(),
        arn: service.service_arn.unwrap_or_default(),
        status: service.status.unwrap_or_default(),
        task_definition: service.task_definition.unwrap_or_default(),
        desired: count(service.desired_count),
        running: count(service.running_count),
        pending: count(service.pending_count),
        deployments: deployments(service.deployments.unwrap_or_default()),
        events: list(service.events, event),
        current_service_deployment: service.current_service_deployment,
        deployment_configuration: configured.to_string(),
        tags: list(service.tags, tag),
    }
}

fn tag(tag: sdk::Tag) -> Pair {
    Pair { name: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() }
}

/// The primary deployment first; the others in AWS's order.
fn deployments(deployments: Vec<sdk::Deployment>) -> Vec<Deployment> {
    let mut deployments: Vec<Deployment> = deployments.into_iter().map(deployment).collect();
    deployments.sort_by_key(|deployment| deployment.status != "PRIMARY");
    deployments
}

fn deployment(deployment: sdk::Deployment) -> Deployment {
    Deployment {
        id: deployment.id.unwrap_or_default(),
        status: deployment.status.unwrap_or_default(),
        task_definition: deployment.task_definition.unwrap_or_default(),
        desired: count(deployment.desired_count),
        pending: count(deployment.pending_count),
        running: count(deployment.running_count),
        failed: count(deployment.failed_tasks),
        rollout_state: optional_word(deployment.rollout_state),
        rollout_reason: deployment.rollout_state_reason,
        created: millis(deployment.created_at),
    }
}

impl Read for ListServicesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_cluster(&self.cluster)?;
        let pages = aws.ecs().list_services().cluster(&self.cluster).max_results(100).into_paginator().send();
        let arns = gather("services", pages, |page| page.service_arns.unwrap_or_default()).await?;
        Ok(ListServicesResponse { arns })
    }
}

impl Write for UpdateServiceRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] =
        &["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:DescribeServiceRevisions"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check(&SERVICE, &self.cluster, &self.service)?;
        super::task_definitions::check_revision(&self.task_definition)?;
        let json = RawJson::sending(self.body()?);
        let output = aws
            .ecs()
            .update_service()
            .service(&self.service)
            .customize()
            .interceptor(json.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        let updated = output.service.ok_or_else(|| incomplete("the service"))?;
        let service = service(updated, Some(answer(&json, "service")?));
        Ok(UpdateServiceResponse { service })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let service = self.now(look).await?;
        let deployments: Vec<String> = service.deployments.into_iter().map(|deployment| deployment.id).collect();
        Ok(Some(json!({
            "task-definition": service.task_definition,
            "deployments": deployments,
            "service-deployment": service.current_service_deployment,
        })))
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let service = self.now(look).await?;
        let before = |name: &str| unanswered.before.and_then(|before| before.get(name));
        let known = before("deployments").and_then(Value::as_array);
        let is_known = |id: &str| known.is_some_and(|known| known.iter().any(|one| one.as_str() == Some(id)));
        let serves = revision(&service.task_definition);
        let evidence = format!("the service names {serves}");
        let new = service.deployments.iter().any(|one| one.status == "PRIMARY" && !is_known(&one.id));
        let asked_for = serves == revision(&self.task_definition)
            && self.desired_count.is_none_or(|desired| desired == service.desired);
        if known.is_none() {
            let check = format!("see in the events of service {} whether a deployment began then", self.service);
            let likely = Some(UpdateServiceResponse { service });
            return Ok(Fate::Unknown {
                evidence: format!("{evidence}; what it was before is not known"),
                check,
                likely,
            });
        }
        if asked_for && new {
            let evidence = format!("{evidence}, in a deployment that was not there before");
            return Ok(Fate::Happened { output: UpdateServiceResponse { service }, evidence });
        }
        let earlier = before("service-deployment").and_then(Value::as_str);
        if let Some(deployment) = self.deployed_since(look, unanswered.sent, earlier).await? {
            // It may have been rolled back since: that it happened is one thing, how it ended another.
            let evidence = format!("{deployment} brought {}", self.task_definition);
            return Ok(Fate::Happened { output: UpdateServiceResponse { service }, evidence });
        }
        let unchanged = before("task-definition").and_then(Value::as_str).map(revision) == Some(serves);
        Ok(match (unchanged, new, self.force_new_deployment || !asked_for) {
            // As it was before, and the request begins a deployment: there would be one.
            (true, false, true) => Fate::NotHappened { evidence: format!("{evidence}, as before") },
            // The request begins no deployment.
            (true, false, false) => Fate::SendAgain,
            (true | false, true, _) | (false, false, _) => Fate::Unknown {
                evidence: match new {
                    true => format!("{evidence}, in a deployment that is neither from before nor what was asked for"),
                    false => format!("{evidence}, which is neither what it was nor what was asked for"),
                },
                check: format!("see who else changed service {}", self.service),
                likely: Some(UpdateServiceResponse { service }),
            },
        })
    }
}

impl UpdateServiceRequest {
    /// The call's input. The deployment configuration goes as it was given, with members that this version of the SDK does not know.
    fn body(&self) -> Result<String, AwsError> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("cluster", json!(self.cluster));
        put("service", json!(self.service));
        put("taskDefinition", json!(self.task_definition));
        put("forceNewDeployment", json!(self.force_new_deployment));
        if let Some(desired) = self.desired_count {
            let desired = i32::try_from(desired).map_err(|_| invalid(format_args!("{desired} tasks are too many")))?;
            put("desiredCount", json!(desired));
        }
        if let Some(given) = &self.deployment_configuration {
            let what = "the deployment configuration of the service";
            let value = json::read(given.as_bytes()).map_err(|why| invalid(format_args!("{what} is {why}")))?;
            if !value.is_object() {
                return Err(invalid(format_args!("{what} is not a JSON object")));
            }
            put("deploymentConfiguration", value);
        }
        let mut body = Value::Object(body);
        body.sort_all_objects();
        Ok(body.to_string())
    }

    /// The service as it is.
    async fn now(&self, look: &Look) -> Result<Service, AwsError> {
        let request = DescribeServicesRequest { cluster: self.cluster.clone(), services: vec![self.service.clone()] };
        let found = look.read(&request).await?.services.into_iter().next();
        found.ok_or_else(|| incomplete("the service"))
    }

    /// The deployment of what was asked for that began at `sent` or later, if there is one. `earlier` is one that was
    /// there before.
    async fn deployed_since(&self, look: &Look, sent: u64, earlier: Option<&str>) -> Result<Option<String>, AwsError> {
        let (cluster, service) = (self.cluster.clone(), self.service.clone());
        let list = ListServiceDeploymentsRequest { cluster, service, limit: 20 };
        let mut recent = look.read(&list).await?.deployments;
        recent.retain(|deployment| is_since(deployment.created, sent));
        recent.retain(|deployment| earlier != Some(deployment.arn.as_str()));
        let targets: Vec<String> = recent.iter().filter_map(|deployment| deployment.target_revision.clone()).collect();
        if targets.is_empty() {
            return Ok(None);
        }
        let revisions = look.read(&DescribeServiceRevisionsRequest { arns: targets }).await?.revisions;
        let wanted = revision(&self.task_definition);
        let brings = |deployment: &&ServiceDeploymentBrief| {
            let target = revisions.iter().find(|one| deployment.target_revision.as_ref() == Some(&one.arn));
            target.is_some_and(|target| revision(&target.task_definition) == wanted)
        };
        Ok(recent.iter().find(brings).map(|deployment| deployment.arn.clone()))
    }
}

/// `FAMILY:REVISION`, of an ARN too.
fn revision(given: &str) -> &str {
    given.rsplit_once('/').map_or(given, |(_, revision)| revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_with_next_to_nothing_is_still_one() {
        let service = service(sdk::Service::builder().running_count(-1).build(), None);
        assert_eq!((service.name.as_str(), service.running), ("", 0));
        assert_eq!((service.deployment_controller.as_str(), service.strategy.as_str()), ("ECS", "ROLLING"));
    }

    #[test]
    fn states_that_aws_adds_travel_as_they_are() {
        let strategy = sdk::DeploymentStrategy::from("SIDEWAYS");
        let service = service(
            sdk::Service::builder()
                .deployment_configuration(sdk::DeploymentConfiguration::builder().strategy(strategy).build())
                .deployments(sdk::Deployment::builder().status("ACTIVE").rollout_state("PONDERING".into()).build())
                .deployments(sdk::Deployment::builder().status("PRIMARY").build())
                .build(),
            Some(json!({ "deploymentConfiguration": { "strategy": "SIDEWAYS", "pauses": [1] } })),
        );
        assert_eq!(service.deployment_configuration, r#"{"pauses":[1],"strategy":"SIDEWAYS"}"#);
        assert_eq!(service.strategy, "SIDEWAYS");
        let states: Vec<_> =
            service.deployments.iter().map(|d| (d.status.as_str(), d.rollout_state.as_deref())).collect();
        assert_eq!(states, [("PRIMARY", None), ("ACTIVE", Some("PONDERING"))]);
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let mut request = UpdateServiceRequest {
            cluster: "web".to_owned(),
            service: "web".to_owned(),
            task_definition: "web:2".to_owned(),
            desired_count: None,
            deployment_configuration: None,
            force_new_deployment: false,
        };
        let bare = r#"{"cluster":"web","forceNewDeployment":false,"service":"web","taskDefinition":"web:2"}"#;
        assert_eq!(request.body().as_deref(), Ok(bare));
        request.deployment_configuration = Some(r#"{"pauses":[1]}"#.to_owned());
        assert!(request.body().is_ok_and(|body| body.contains(r#""deploymentConfiguration":{"pauses":[1]}"#)));
        for wrong in ["[]", "nonsense", ""] {
            request.deployment_configuration = Some(wrong.to_owned());
            assert!(request.body().is_err(), "{wrong}");
        }
    }
}
