//! Things that live on in the simulated world: groups of machines, what they are launched of, what balances their load, services.
//!
//! The main functions are those of each [`Provider`](super::Provider).

use serde_json::{Value, json};

use super::calls::{call, small, text, told};
use super::plain::{made, put, with};
use super::{Provided, Provider, ProviderOrder, Settling, named};
use crate::ctx::Scope;
use crate::services::autoscaling::{self, Progress};
use crate::services::cloudformation::stack::StackResource;
use crate::services::{ec2, elasticloadbalancing, imagebuilder};
use crate::tags::Tags;

const AT_ONCE: fn(&mut Scope<'_>, &StackResource) -> Settling = |_, _| Settling::Done;

fn id_of(resource: &StackResource) -> String {
    resource.physical.clone().unwrap_or_default()
}

fn same(old: &StackResource) -> Provided {
    Provided { physical: id_of(old), attributes: old.attributes.clone() }
}

/// The tags by which AWS marks what a stack owns.
fn owner(order: &ProviderOrder<'_>) -> Tags {
    Tags::from([
        ("aws:cloudformation:stack-name".to_owned(), order.name.to_owned()),
        ("aws:cloudformation:stack-id".to_owned(), order.stack.to_owned()),
        ("aws:cloudformation:logical-id".to_owned(), order.logical.to_owned()),
    ])
}

pub(super) const LAUNCH_TEMPLATE: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "LaunchTemplateName", 128);
        let id = ec2::make_template(scope, &name, order.properties)?;
        Ok(template(&id, 1))
    },
    update: |scope, order, old| {
        let id = id_of(old);
        let latest = ec2::next_version(scope, &id, order.properties)?;
        Ok(template(&id, latest))
    },
    delete: |scope, resource| ec2::remove(scope, &id_of(resource)),
    live: |scope, resource| ec2::is_there(scope, &id_of(resource)).then(|| resource.properties.clone()),
    settling: AT_ONCE,
    going: AT_ONCE,
};

fn template(id: &str, latest: u64) -> Provided {
    made(
        id,
        [
            ("LaunchTemplateId", id.to_owned()),
            ("LatestVersionNumber", latest.to_string()),
            ("DefaultVersionNumber", "1".to_owned()),
        ],
    )
}

pub(super) const SUBNET: Provider = Provider {
    create: |scope, order| {
        let id = ec2::make_subnet(scope, order.properties)?;
        let zone = ec2::subnet_zone(scope, &id).unwrap_or_default();
        Ok(made(&id, [("SubnetId", id.clone()), ("AvailabilityZone", zone)]))
    },
    update: |_, _, old| Ok(same(old)),
    delete: |scope, resource| ec2::remove(scope, &id_of(resource)),
    live: |scope, resource| ec2::is_there(scope, &id_of(resource)).then(|| resource.properties.clone()),
    settling: AT_ONCE,
    going: AT_ONCE,
};

pub(super) const SECURITY_GROUP: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "GroupName", 255);
        let id = ec2::make_group(scope, &name, order.properties, None);
        Ok(made(&id, [("GroupId", id.clone()), ("Id", id.clone()), ("GroupName", name)]))
    },
    update: |scope, order, old| {
        let name = ec2::group_name(scope, &id_of(old)).unwrap_or_default();
        ec2::make_group(scope, &name, order.properties, old.physical.as_deref());
        Ok(same(old))
    },
    delete: |scope, resource| ec2::remove(scope, &id_of(resource)),
    live: |scope, resource| ec2::is_there(scope, &id_of(resource)).then(|| resource.properties.clone()),
    settling: AT_ONCE,
    going: AT_ONCE,
};

pub(super) const GROUP: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "AutoScalingGroupName", 255);
        let arn = autoscaling::make(scope, &name, order.properties, owner(order))?;
        Ok(made(&name, [("AutoScalingGroupARN", arn), ("AutoScalingGroupName", name.clone())]))
    },
    update: |scope, order, old| {
        let policy = order.said.get("UpdatePolicy");
        autoscaling::update(scope, &id_of(old), order.properties, owner(order), policy)?;
        Ok(same(old))
    },
    delete: |scope, resource| {
        autoscaling::leave(scope, &id_of(resource));
        Ok(())
    },
    live: |scope, resource| {
        let (min, max, desired, version) = autoscaling::size(scope, &id_of(resource))?;
        let text = |number: usize| Some(json!(number.to_string()));
        let mut seen = with(
            &resource.properties,
            &[("MinSize", text(min)), ("MaxSize", text(max)), ("DesiredCapacity", text(desired))],
        );
        for launches in ["/LaunchTemplate", "/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification"] {
            if let (Some(version), Some(launches)) = (&version, seen.pointer_mut(launches))
                && launches.get("Version").is_some()
            {
                put(launches, "Version", json!(version));
            }
        }
        Some(seen)
    },
    settling: |scope, resource| match autoscaling::progress(scope, &id_of(resource)) {
        Progress::Settled => Settling::Done,
        Progress::Moving => Settling::Wait,
        Progress::Failed(reason) => Settling::Failed(reason),
        Progress::Gone => Settling::Failed("the group is gone".to_owned()),
    },
    going: |scope, resource| match autoscaling::leave(scope, &id_of(resource)) {
        true => Settling::Done,
        false => Settling::Wait,
    },
};

pub(super) const SCALING_POLICY: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "PolicyName", 255);
        let arn = autoscaling::make_policy(scope, &name, order.properties)?;
        Ok(made(&arn, [("Arn", arn.clone()), ("PolicyName", name)]))
    },
    update: |scope, order, old| {
        let name = text(&Value::Object(old.attributes.clone()), "/PolicyName");
        autoscaling::make_policy(scope, &name, order.properties)?;
        Ok(same(old))
    },
    delete: |scope, resource| {
        autoscaling::forget_policy(scope, &id_of(resource), true);
        Ok(())
    },
    live: |scope, resource| {
        autoscaling::forget_policy(scope, &id_of(resource), false).then(|| resource.properties.clone())
    },
    settling: AT_ONCE,
    going: AT_ONCE,
};

/// What all things of a load balancer have in common.
const BALANCING: Provider = Provider {
    create: |_, _| Err("nothing is made here".to_owned()),
    update: |_, _, old| Ok(same(old)),
    delete: |scope, resource| elasticloadbalancing::remove(scope, &id_of(resource)),
    live: |scope, resource| {
        elasticloadbalancing::is_there(scope, &id_of(resource)).then(|| resource.properties.clone())
    },
    settling: AT_ONCE,
    going: AT_ONCE,
};

fn full_name(arn: &str, of: &str) -> String {
    arn.split_once(of).map(|(_, name)| name.to_owned()).unwrap_or_default()
}

pub(super) const LOAD_BALANCER: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "Name", 32);
        let arn = elasticloadbalancing::make_balancer(scope, &name, order.properties, None)?;
        let drawn = arn.rsplit('/').next().unwrap_or_default().to_owned();
        let host = format!("{name}-{drawn}.{}.elb.{}", scope.at.region, crate::partition_of(&scope.at.region).1);
        Ok(made(
            &arn,
            [
                ("LoadBalancerArn", arn.clone()),
                ("DNSName", host),
                ("CanonicalHostedZoneID", "Z215JYRZR1TBD5".to_owned()),
                ("LoadBalancerFullName", full_name(&arn, ":loadbalancer/")),
                ("LoadBalancerName", name),
            ],
        ))
    },
    update: |scope, order, old| {
        let name = text(&Value::Object(old.attributes.clone()), "/LoadBalancerName");
        elasticloadbalancing::make_balancer(scope, &name, order.properties, old.physical.as_deref())?;
        Ok(same(old))
    },
    ..BALANCING
};

pub(super) const TARGET_GROUP: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "Name", 32);
        let arn = elasticloadbalancing::make_group(scope, &name, order.properties, None)?;
        let full = format!("targetgroup/{}", full_name(&arn, ":targetgroup/"));
        let mut group =
            made(&arn, [("TargetGroupArn", arn.clone()), ("TargetGroupFullName", full), ("TargetGroupName", name)]);
        group.attributes.insert("LoadBalancerArns".to_owned(), json!([]));
        Ok(group)
    },
    update: |scope, order, old| {
        let name = text(&Value::Object(old.attributes.clone()), "/TargetGroupName");
        elasticloadbalancing::make_group(scope, &name, order.properties, old.physical.as_deref())?;
        Ok(same(old))
    },
    ..BALANCING
};

pub(super) const LISTENER: Provider = Provider {
    create: |scope, order| {
        let arn = elasticloadbalancing::make_listener(scope, order.properties, None)?;
        Ok(made(&arn, [("ListenerArn", arn.clone())]))
    },
    update: |scope, order, old| {
        elasticloadbalancing::make_listener(scope, order.properties, old.physical.as_deref())?;
        Ok(same(old))
    },
    ..BALANCING
};

pub(super) const LISTENER_RULE: Provider = Provider {
    create: |scope, order| {
        let arn = elasticloadbalancing::make_rule(scope, order.properties, None)?;
        Ok(made(&arn, [("RuleArn", arn.clone()), ("IsDefault", "false".to_owned())]))
    },
    update: |scope, order, old| {
        elasticloadbalancing::make_rule(scope, order.properties, old.physical.as_deref())?;
        Ok(same(old))
    },
    ..BALANCING
};

pub(super) const IMAGE_BUILDER: Provider = Provider {
    create: |scope, order| {
        let arn = imagebuilder::provide(scope, order.kind, order.properties, None)?;
        let name = text(order.properties, "/Name");
        Ok(made(&arn, [("Arn", arn.clone()), ("Name", name)]))
    },
    update: |scope, order, old| {
        imagebuilder::provide(scope, order.kind, order.properties, old.physical.as_deref())?;
        Ok(same(old))
    },
    delete: |scope, resource| imagebuilder::remove(scope, &id_of(resource)),
    live: |scope, resource| imagebuilder::is_there(scope, &id_of(resource)).then(|| resource.properties.clone()),
    settling: AT_ONCE,
    going: AT_ONCE,
};

/// A service as ECS's own operations take it.
fn service(order: &ProviderOrder<'_>, name: &str) -> Value {
    let mut input = small(order.properties);
    put(&mut input, "serviceName", json!(name));
    let mut tags = order.properties.get("Tags").and_then(Value::as_array).cloned().unwrap_or_default();
    tags.extend(owner(order).into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })));
    put(&mut input, "tags", small(&Value::Array(tags)));
    for member in ["desiredCount", "healthCheckGracePeriodSeconds"] {
        let number = input.get(member).and_then(Value::as_str).and_then(|text| text.parse().ok());
        if let Some(number) = number {
            put(&mut input, member, Value::Number(number));
        }
    }
    input
}

fn described(scope: &mut Scope<'_>, resource: &StackResource) -> Option<Value> {
    let arn = id_of(resource);
    let cluster = arn.rsplit('/').nth(1).unwrap_or("default").to_owned();
    let found = call(scope, "ecs", "DescribeServices", json!({ "cluster": cluster, "services": [arn] })).ok()?;
    found.pointer("/services/0").cloned()
}

pub(super) const ECS_SERVICE: Provider = Provider {
    create: |scope, order| {
        let name = named(scope, order, "ServiceName", 255);
        let found =
            call(scope, "ecs", "CreateService", service(order, &name)).map_err(|error| told("AmazonECS", &error))?;
        let arn = text(&found, "/service/serviceArn");
        Ok(made(&arn, [("ServiceArn", arn.clone()), ("Name", name)]))
    },
    update: |scope, order, old| {
        let arn = id_of(old);
        let mut input = service(order, "");
        if let Value::Object(members) = &mut input {
            members.remove("serviceName");
            members.remove("tags");
        }
        put(&mut input, "service", json!(arn));
        put(&mut input, "cluster", json!(arn.rsplit('/').nth(1)));
        call(scope, "ecs", "UpdateService", input).map_err(|error| told("AmazonECS", &error))?;
        Ok(same(old))
    },
    delete: |scope, resource| {
        let arn = id_of(resource);
        let input = json!({ "cluster": arn.rsplit('/').nth(1), "service": arn, "force": true });
        call(scope, "ecs", "DeleteService", input).map(|_| ()).map_err(|error| told("AmazonECS", &error))
    },
    live: |scope, resource| {
        let found = described(scope, resource)?;
        if text(&found, "/status") != "ACTIVE" {
            return None;
        }
        let now = [
            ("TaskDefinition", found.get("taskDefinition").cloned()),
            ("DesiredCount", found.get("desiredCount").cloned()),
        ];
        Some(with(&resource.properties, &now))
    },
    settling: |scope, resource| {
        let Some(found) = described(scope, resource) else { return Settling::Failed("the service is gone".to_owned()) };
        let deployments = found.get("deployments").and_then(Value::as_array).cloned().unwrap_or_default();
        let primary = deployments.iter().find(|one| text(one, "/status") == "PRIMARY").cloned().unwrap_or_default();
        let steady = deployments.len() == 1 && found.get("runningCount") == found.get("desiredCount");
        match text(&primary, "/rolloutState").as_str() {
            "FAILED" => Settling::Failed(format!(
                "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker was \
                 triggered'.\" ({})",
                text(&primary, "/rolloutStateReason")
            )),
            "COMPLETED" | "" if steady => Settling::Done,
            _ => Settling::Wait,
        }
    },
    going: |scope, resource| {
        let status = described(scope, resource).map(|found| text(&found, "/status")).unwrap_or_default();
        if status == "DRAINING" { Settling::Wait } else { Settling::Done }
    },
};
