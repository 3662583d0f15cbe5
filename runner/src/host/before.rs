//! Records as `kiln:aws@0.1.0` had them, where a service's own package has others now: what a component of then is handed is made of
//! what there is now, and what it asks is asked in today's words.
//!
//! The main function is [`link`].

use serde_json::{Map, json};
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use super::state::StageHost;
use crate::aws::error::AwsError;
use crate::contract::bindings::kiln::aws_cloudwatch::cloudwatch::{self, Host as _};
use crate::contract::bindings::kiln::aws_ecs::ecs::{self, Host as _};

/// Offer what changed since under its old name, in the place of what is there now.
pub(super) fn link(linker: &mut Linker<StageHost>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut instance = linker.instance("kiln:aws/ecs@0.1.0")?;
    instance.func_wrap_async(
        "describe-services",
        |mut store: wasmtime::StoreContextMut<'_, StageHost>, (request,): (ecs::DescribeServicesRequest,)| {
            Box::new(async move {
                let answer = store.data_mut().describe_services(request).await?;
                Ok((answer.map(DescribeServicesResponseBefore::from),))
            })
        },
    )?;
    instance.func_wrap_async(
        "update-service",
        |mut store: wasmtime::StoreContextMut<'_, StageHost>, (request,): (UpdateServiceRequestBefore,)| {
            Box::new(async move {
                let answer = store.data_mut().update_service(request.into()).await?;
                let answer = answer.map(|answer| UpdateServiceResponseBefore { service: answer.service.into() });
                Ok::<(Result<UpdateServiceResponseBefore, AwsError>,), wasmtime::Error>((answer,))
            })
        },
    )?;
    let mut instance = linker.instance("kiln:aws/cloudwatch@0.1.0")?;
    instance.func_wrap_async(
        "describe-alarms",
        |mut store: wasmtime::StoreContextMut<'_, StageHost>, (request,): (cloudwatch::DescribeAlarmsRequest,)| {
            Box::new(async move {
                let answer = store.data_mut().describe_alarms(request).await?;
                Ok((answer.map(DescribeAlarmsResponseBefore::from),))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// An alarm, without its evaluation, which it knew nothing of.
#[derive(ComponentType, Lower)]
#[component(record)]
struct AlarmBefore {
    name: String,
    arn: String,
    state: String,
    reason: String,
    since: Option<u64>,
    composite: bool,
    description: String,
}

impl From<cloudwatch::Alarm> for AlarmBefore {
    fn from(now: cloudwatch::Alarm) -> Self {
        // A component of then takes OK for a verdict, and there is none where CloudWatch could not evaluate.
        let judged = now.evaluation.is_none() || now.state == "ALARM";
        Self {
            name: now.name,
            arn: now.arn,
            state: if judged { now.state } else { "INSUFFICIENT_DATA".to_owned() },
            reason: now.reason,
            since: now.since,
            composite: now.kind == "CompositeAlarm",
            description: now.description,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct DescribeAlarmsResponseBefore {
    alarms: Vec<AlarmBefore>,
}

impl From<cloudwatch::DescribeAlarmsResponse> for DescribeAlarmsResponseBefore {
    fn from(now: cloudwatch::DescribeAlarmsResponse) -> Self {
        Self { alarms: now.alarms.into_iter().map(AlarmBefore::from).collect() }
    }
}

/// A service, without its deployment configuration and its tags.
#[derive(ComponentType, Lower)]
#[component(record)]
struct ServiceBefore {
    name: String,
    arn: String,
    status: String,
    #[component(name = "task-definition")]
    task_definition: String,
    desired: u32,
    running: u32,
    pending: u32,
    deployments: Vec<ecs::Deployment>,
    events: Vec<ecs::ServiceEvent>,
    #[component(name = "current-service-deployment")]
    current_service_deployment: Option<String>,
    #[component(name = "deployment-controller")]
    deployment_controller: String,
    strategy: String,
}

impl From<ecs::Service> for ServiceBefore {
    fn from(now: ecs::Service) -> Self {
        Self {
            name: now.name,
            arn: now.arn,
            status: now.status,
            task_definition: now.task_definition,
            desired: now.desired,
            running: now.running,
            pending: now.pending,
            deployments: now.deployments,
            events: now.events,
            current_service_deployment: now.current_service_deployment,
            deployment_controller: now.deployment_controller,
            strategy: now.strategy,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct DescribeServicesResponseBefore {
    services: Vec<ServiceBefore>,
    failures: Vec<ecs::Failure>,
}

impl From<ecs::DescribeServicesResponse> for DescribeServicesResponseBefore {
    fn from(now: ecs::DescribeServicesResponse) -> Self {
        Self { services: now.services.into_iter().map(ServiceBefore::from).collect(), failures: now.failures }
    }
}

/// How a rolling deployment goes, in the members that there were.
#[derive(ComponentType, Lift)]
#[component(record)]
struct RollingConfiguration {
    #[component(name = "minimum-healthy-percent")]
    minimum_healthy_percent: Option<u32>,
    #[component(name = "maximum-percent")]
    maximum_percent: Option<u32>,
    #[component(name = "circuit-breaker")]
    circuit_breaker: bool,
    rollback: bool,
    alarms: Vec<String>,
}

impl RollingConfiguration {
    /// The API's own JSON: whoever gave one of these meant all of it, but for the two percentages.
    fn document(self) -> String {
        let alarmed = !self.alarms.is_empty();
        let mut document = Map::new();
        let mut put = |name: &str, value| document.insert(name.to_owned(), value);
        put("strategy", json!("ROLLING"));
        let breaker = json!({ "enable": self.circuit_breaker, "rollback": self.circuit_breaker && self.rollback });
        put("deploymentCircuitBreaker", breaker);
        let rollback = alarmed && self.rollback;
        put("alarms", json!({ "alarmNames": self.alarms, "enable": alarmed, "rollback": rollback }));
        if let Some(percent) = self.minimum_healthy_percent {
            put("minimumHealthyPercent", json!(percent));
        }
        if let Some(percent) = self.maximum_percent {
            put("maximumPercent", json!(percent));
        }
        serde_json::Value::Object(document).to_string()
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct UpdateServiceRequestBefore {
    cluster: String,
    service: String,
    #[component(name = "task-definition")]
    task_definition: String,
    #[component(name = "desired-count")]
    desired_count: Option<u32>,
    rolling: Option<RollingConfiguration>,
    #[component(name = "force-new-deployment")]
    force_new_deployment: bool,
}

impl From<UpdateServiceRequestBefore> for ecs::UpdateServiceRequest {
    fn from(before: UpdateServiceRequestBefore) -> Self {
        Self {
            cluster: before.cluster,
            service: before.service,
            task_definition: before.task_definition,
            desired_count: before.desired_count,
            deployment_configuration: before.rolling.map(RollingConfiguration::document),
            force_new_deployment: before.force_new_deployment,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct UpdateServiceResponseBefore {
    service: ServiceBefore,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(circuit_breaker: bool, alarms: &[&str]) -> Option<serde_json::Value> {
        let alarms = alarms.iter().map(ToString::to_string).collect();
        let minimum_healthy_percent = Some(100);
        let rolling = RollingConfiguration {
            minimum_healthy_percent,
            maximum_percent: None,
            circuit_breaker,
            rollback: true,
            alarms,
        };
        serde_json::from_str(&rolling.document()).ok()
    }

    #[test]
    fn a_component_of_then_sees_no_verdict_where_cloudwatch_could_not_evaluate() {
        let state = |state: &str, evaluation: Option<&str>| {
            let alarm = cloudwatch::Alarm {
                name: "a".to_owned(),
                arn: String::new(),
                state: state.to_owned(),
                reason: String::new(),
                since: None,
                kind: "LogAlarm".to_owned(),
                description: String::new(),
                evaluation: evaluation.map(str::to_owned),
            };
            AlarmBefore::from(alarm).state
        };
        assert_eq!(state("OK", None), "OK");
        assert_eq!(state("OK", Some("EVALUATION_ERROR")), "INSUFFICIENT_DATA");
        assert_eq!(state("ALARM", Some("PARTIAL_DATA")), "ALARM");
    }

    #[test]
    fn what_a_component_of_then_asks_means_what_it_meant() {
        let flags = |on: bool| json!({ "enable": on, "rollback": on });
        let of = |alarms: serde_json::Value, on: bool| {
            let alarms = json!({ "alarmNames": alarms, "enable": on, "rollback": on });
            json!({ "alarms": alarms, "deploymentCircuitBreaker": flags(on), "minimumHealthyPercent": 100, "strategy": "ROLLING" })
        };
        assert_eq!(
            document(false, &[]),
            Some(of(json!([]), false)),
            "no rollback without something that fails a deployment"
        );
        assert_eq!(document(true, &["web-5xx"]), Some(of(json!(["web-5xx"]), true)));
    }
}
