//! Things that a few calls of the simulator's own operations make: parameters, log groups, alarms, repositories, keys, projects, secrets.
//!
//! The main type is [`Plain`], a row of calls.

use serde_json::{Map, Value, json};

use super::calls::{call, small, text, told};
use super::{Provided, ProviderOrder, kept, named};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::cloudformation::stack::StackResource;
use crate::services::{cloudwatch, dynamodb, events, kms};

/// How the things of a type are made: each step tells what it did.
pub(super) struct Plain {
    pub(super) kind: &'static str,
    /// The property that its name stands in, and how long that may be.
    pub(super) name: (&'static str, usize),
    service: &'static str,
    /// Make it, of its name and its properties: the physical id, and its attributes.
    make: fn(&mut Scope<'_>, &str, &Value) -> Result<Provided, AwsError>,
    /// Bring it to other properties: of its physical id, these and those that it had.
    change: fn(&mut Scope<'_>, &str, &Value, &Value) -> Result<(), AwsError>,
    remove: fn(&mut Scope<'_>, &str, &Value) -> Result<(), AwsError>,
    /// What it is now, of what its properties say: nothing where it is gone.
    look: fn(&mut Scope<'_>, &str, &Value) -> Option<Value>,
}

/// The row of a type, if it has one.
pub(super) fn row(kind: &str) -> Option<&'static Plain> {
    ROWS.iter().find(|row| row.kind == kind)
}

const ROWS: &[Plain] = &[
    Plain {
        kind: "AWS::SSM::Parameter",
        name: ("Name", 1011),
        service: "AmazonSSM",
        make: |scope, name, given| {
            put_parameter(scope, name, given, false)?;
            Ok(made(
                name,
                [
                    ("Arn", scope.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))),
                    ("Name", name.to_owned()),
                ],
            ))
        },
        change: |scope, id, given, _| put_parameter(scope, id, given, true),
        remove: |scope, id, _| done(call(scope, "ssm", "DeleteParameter", json!({ "Name": id }))),
        look: |scope, id, given| {
            let found = call(scope, "ssm", "GetParameter", json!({ "Name": id })).ok()?;
            Some(with(given, &[("Value", found.pointer("/Parameter/Value").cloned())]))
        },
    },
    Plain {
        kind: "AWS::Logs::LogGroup",
        name: ("LogGroupName", 512),
        service: "CloudWatchLogs",
        make: |scope, name, given| {
            let mut input = small(given);
            put(&mut input, "logGroupName", json!(name));
            call(scope, "logs", "CreateLogGroup", input)?;
            retain(scope, name, given)?;
            let arn = scope.arn("logs", &format!("log-group:{name}:*"));
            Ok(made(name, [("Arn", arn)]))
        },
        change: |scope, id, given, _| retain(scope, id, given),
        remove: |scope, id, _| done(call(scope, "logs", "DeleteLogGroup", json!({ "logGroupName": id }))),
        look: |scope, id, given| {
            let found = call(scope, "logs", "DescribeLogGroups", json!({ "logGroupNamePrefix": id })).ok()?;
            let groups = found.get("logGroups")?.as_array()?;
            let group = groups.iter().find(|group| group.get("logGroupName").is_some_and(|name| name == id))?;
            Some(with(given, &[("RetentionInDays", group.get("retentionInDays").cloned())]))
        },
    },
    Plain {
        kind: "AWS::CloudWatch::Alarm",
        name: ("AlarmName", 255),
        service: "CloudWatch",
        make: |scope, name, given| {
            put_alarm(scope, "PutMetricAlarm", name, given)?;
            Ok(made(name, [("Arn", scope.arn("cloudwatch", &format!("alarm:{name}")))]))
        },
        change: |scope, id, given, _| put_alarm(scope, "PutMetricAlarm", id, given),
        remove: |scope, id, _| done(call(scope, "cloudwatch", "DeleteAlarms", json!({ "AlarmNames": [id] }))),
        look: |scope, id, given| {
            cloudwatch::is_alarming(scope, id)?;
            let found = call(scope, "cloudwatch", "DescribeAlarms", json!({ "AlarmNames": [id] })).ok()?;
            let alarm = found.pointer("/MetricAlarms/0")?.clone();
            let each = ["Threshold", "ActionsEnabled", "Period", "EvaluationPeriods"]
                .map(|name| (name, alarm.get(name).cloned()));
            Some(with(given, &each))
        },
    },
    Plain {
        kind: "AWS::CloudWatch::CompositeAlarm",
        name: ("AlarmName", 255),
        service: "CloudWatch",
        make: |scope, name, given| {
            put_alarm(scope, "PutCompositeAlarm", name, given)?;
            Ok(made(name, [("Arn", scope.arn("cloudwatch", &format!("alarm:{name}")))]))
        },
        change: |scope, id, given, _| put_alarm(scope, "PutCompositeAlarm", id, given),
        remove: |scope, id, _| done(call(scope, "cloudwatch", "DeleteAlarms", json!({ "AlarmNames": [id] }))),
        look: |scope, id, given| cloudwatch::is_alarming(scope, id).map(|_| given.clone()),
    },
    Plain {
        kind: "AWS::ECR::Repository",
        name: ("RepositoryName", 256),
        service: "Ecr",
        make: |scope, name, given| {
            let name = name.to_lowercase();
            let mut input = small(given);
            put(&mut input, "repositoryName", json!(name));
            // CloudFormation's tags are those of ECR as they are.
            put(&mut input, "tags", given.get("Tags").cloned().unwrap_or_else(|| json!([])));
            call(scope, "ecr", "CreateRepository", input)?;
            lifecycle(scope, &name, given)?;
            let uri = format!("{}/{name}", scope.at.registry());
            Ok(made(&name, [("Arn", scope.arn("ecr", &format!("repository/{name}"))), ("RepositoryUri", uri)]))
        },
        change: |scope, id, given, _| {
            let mutability = given.get("ImageTagMutability").cloned().unwrap_or_else(|| json!("MUTABLE"));
            call(
                scope,
                "ecr",
                "PutImageTagMutability",
                json!({ "repositoryName": id, "imageTagMutability": mutability }),
            )?;
            if let Some(scanning) = given.get("ImageScanningConfiguration") {
                let input = json!({ "repositoryName": id, "imageScanningConfiguration": small(scanning) });
                call(scope, "ecr", "PutImageScanningConfiguration", input)?;
            }
            lifecycle(scope, id, given)
        },
        remove: |scope, id, given| {
            let force = given.get("EmptyOnDelete").is_some_and(|empty| empty == true);
            done(call(scope, "ecr", "DeleteRepository", json!({ "repositoryName": id, "force": force })))
        },
        look: |scope, id, given| {
            let found = call(scope, "ecr", "DescribeRepositories", json!({ "repositoryNames": [id] })).ok()?;
            Some(with(given, &[("ImageTagMutability", found.pointer("/repositories/0/imageTagMutability").cloned())]))
        },
    },
    Plain {
        kind: "AWS::KMS::Key",
        name: ("", 0),
        service: "Kms",
        make: |scope, _, given| {
            let found = call(scope, "kms", "CreateKey", given.clone())?;
            let (id, arn) = (text(&found, "/KeyMetadata/KeyId"), text(&found, "/KeyMetadata/Arn"));
            set_key(scope, &id, given)?;
            Ok(made(&id, [("Arn", arn), ("KeyId", id.clone())]))
        },
        change: |scope, id, given, _| set_key(scope, id, given),
        remove: |scope, id, _| {
            kms::forget(scope, id);
            Ok(())
        },
        look: |scope, id, given| {
            let found = call(scope, "kms", "DescribeKey", json!({ "KeyId": id })).ok()?;
            Some(with(given, &[("Enabled", found.pointer("/KeyMetadata/Enabled").cloned())]))
        },
    },
    Plain {
        kind: "AWS::KMS::Alias",
        name: ("AliasName", 256),
        service: "Kms",
        make: |scope, name, given| {
            call(scope, "kms", "CreateAlias", given.clone())?;
            Ok(made(name, []))
        },
        change: |scope, id, given, _| {
            call(scope, "kms", "DeleteAlias", json!({ "AliasName": id }))?;
            done(call(scope, "kms", "CreateAlias", given.clone()))
        },
        remove: |scope, id, _| done(call(scope, "kms", "DeleteAlias", json!({ "AliasName": id }))),
        look: |scope, id, given| kms::key_arn(scope, id).map(|_| given.clone()),
    },
    Plain {
        kind: "AWS::CodeBuild::Project",
        name: ("Name", 150),
        service: "AWSCodeBuild",
        make: |scope, name, given| {
            let found = call(scope, "codebuild", "CreateProject", project(name, given))?;
            Ok(made(name, [("Arn", text(&found, "/project/arn")), ("Id", name.to_owned())]))
        },
        change: |scope, id, given, _| done(call(scope, "codebuild", "UpdateProject", project(id, given))),
        remove: |scope, id, _| done(call(scope, "codebuild", "DeleteProject", json!({ "name": id }))),
        look: |scope, id, given| {
            let found = call(scope, "codebuild", "BatchGetProjects", json!({ "names": [id] })).ok()?;
            let project = found.pointer("/projects/0")?;
            Some(with(given, &[("TimeoutInMinutes", project.get("timeoutInMinutes").cloned())]))
        },
    },
    Plain {
        kind: "AWS::SecretsManager::Secret",
        name: ("Name", 512),
        service: "AWSSecretsManager",
        make: |scope, name, given| {
            let mut input = given.clone();
            put(&mut input, "Name", json!(name));
            if let Some(generated) = generated(scope, name, given) {
                put(&mut input, "SecretString", json!(generated));
            }
            let found = call(scope, "secretsmanager", "CreateSecret", input)?;
            let arn = text(&found, "/ARN");
            Ok(made(&arn, [("Id", arn.clone())]))
        },
        change: |scope, id, given, old| {
            let mut input =
                json!({ "SecretId": id, "Description": given.get("Description"), "KmsKeyId": given.get("KmsKeyId") });
            if given.get("SecretString") != old.get("SecretString") {
                put(&mut input, "SecretString", given.get("SecretString").cloned().unwrap_or_default());
            }
            done(call(scope, "secretsmanager", "UpdateSecret", input))
        },
        remove: |scope, id, _| {
            done(call(
                scope,
                "secretsmanager",
                "DeleteSecret",
                json!({ "SecretId": id, "ForceDeleteWithoutRecovery": true }),
            ))
        },
        look: |scope, id, given| {
            let found = call(scope, "secretsmanager", "DescribeSecret", json!({ "SecretId": id })).ok()?;
            if found.get("DeletedDate").is_some() {
                return None;
            }
            Some(with(given, &[("Description", found.get("Description").cloned())]))
        },
    },
    Plain {
        kind: "AWS::DynamoDB::Table",
        name: ("TableName", 255),
        service: "AmazonDynamoDB",
        make: |scope, name, given| {
            dynamodb::make(scope, name, &key(given, "HASH").unwrap_or_default(), key(given, "RANGE").as_deref())?;
            let arn = scope.arn("dynamodb", &format!("table/{name}"));
            Ok(made(name, [("StreamArn", format!("{arn}/stream/2026")), ("Arn", arn)]))
        },
        change: |_, _, _, _| Ok(()),
        remove: |scope, id, _| {
            dynamodb::forget(scope, id);
            Ok(())
        },
        look: |scope, id, given| dynamodb::has(scope, id).then(|| given.clone()),
    },
    Plain {
        kind: "AWS::Events::Rule",
        name: ("Name", 64),
        service: "AmazonCloudWatchEvents",
        make: |scope, name, given| {
            put_rule(scope, name, given)?;
            // One of another bus than the default one is known with it.
            let bus = given.get("EventBusName").and_then(Value::as_str).and_then(|bus| bus.rsplit('/').next());
            let bus = bus.filter(|bus| *bus != "default");
            let arn =
                scope.arn("events", &format!("rule/{}{name}", bus.map(|bus| format!("{bus}/")).unwrap_or_default()));
            let id = bus.map_or_else(|| name.to_owned(), |bus| format!("{bus}|{name}"));
            Ok(made(&id, [("Arn", arn), ("RuleName", name.to_owned())]))
        },
        change: |scope, id, given, _| {
            let name = id.rsplit('|').next().unwrap_or_default().to_owned();
            events::forget(scope, given.get("EventBusName").and_then(Value::as_str), &name);
            put_rule(scope, &name, given)
        },
        remove: |scope, id, given| {
            let name = id.rsplit('|').next().unwrap_or_default().to_owned();
            events::forget(scope, given.get("EventBusName").and_then(Value::as_str), &name);
            Ok(())
        },
        look: |scope, id, given| {
            let name = id.rsplit('|').next().unwrap_or_default();
            let input = json!({ "NamePrefix": name, "EventBusName": given.get("EventBusName") });
            let found = call(scope, "events", "ListRules", input).ok()?;
            let rules = found.get("Rules")?.as_array()?;
            let rule = rules.iter().find(|rule| rule.get("Name").is_some_and(|found| found == name))?;
            Some(with(given, &[("State", rule.get("State").cloned())]))
        },
    },
    Plain {
        kind: "AWS::Events::EventBus",
        name: ("Name", 256),
        service: "AmazonCloudWatchEvents",
        make: |scope, name, given| {
            call(scope, "events", "CreateEventBus", given.clone())?;
            Ok(made(name, [("Arn", scope.arn("events", &format!("event-bus/{name}"))), ("Name", name.to_owned())]))
        },
        change: |_, _, _, _| Ok(()),
        remove: |scope, id, _| {
            events::forget_bus(scope, id);
            Ok(())
        },
        look: |scope, id, given| {
            let found = call(scope, "events", "ListEventBuses", json!({ "NamePrefix": id })).ok()?;
            let buses = found.get("EventBuses")?.as_array()?;
            buses.iter().any(|bus| bus.get("Name").is_some_and(|name| name == id)).then(|| given.clone())
        },
    },
    Plain {
        kind: "AWS::ECS::Cluster",
        name: ("ClusterName", 255),
        service: "AmazonECS",
        make: |scope, name, given| {
            let mut input = small(given);
            put(&mut input, "clusterName", json!(name));
            let found = call(scope, "ecs", "CreateCluster", input)?;
            Ok(made(name, [("Arn", text(&found, "/cluster/clusterArn"))]))
        },
        change: |_, _, _, _| Ok(()),
        remove: |scope, id, _| done(call(scope, "ecs", "DeleteCluster", json!({ "cluster": id }))),
        look: |scope, id, given| {
            let found = call(scope, "ecs", "DescribeClusters", json!({ "clusters": [id] })).ok()?;
            (text(&found, "/clusters/0/status") == "ACTIVE").then(|| given.clone())
        },
    },
    Plain {
        kind: "AWS::ECS::TaskDefinition",
        name: ("Family", 255),
        service: "AmazonECS",
        make: |scope, name, given| {
            let mut input = small(given);
            put(&mut input, "family", json!(name));
            let found = call(scope, "ecs", "RegisterTaskDefinition", input)?;
            let arn = text(&found, "/taskDefinition/taskDefinitionArn");
            Ok(made(&arn, [("TaskDefinitionArn", arn.clone())]))
        },
        change: |_, _, _, _| Ok(()),
        remove: |scope, id, _| done(call(scope, "ecs", "DeregisterTaskDefinition", json!({ "taskDefinition": id }))),
        look: |scope, id, given| {
            let found = call(scope, "ecs", "DescribeTaskDefinition", json!({ "taskDefinition": id })).ok()?;
            (text(&found, "/taskDefinition/status") == "ACTIVE").then(|| given.clone())
        },
    },
];

pub(super) fn made<const N: usize>(id: &str, attributes: [(&str, String); N]) -> Provided {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
    Provided { physical: id.to_owned(), attributes: attributes.collect() }
}

fn done(outcome: Result<Value, AwsError>) -> Result<(), AwsError> {
    outcome.map(|_| ())
}

pub(super) fn put(value: &mut Value, name: &str, member: Value) {
    if let Value::Object(members) = value {
        members.insert(name.to_owned(), member);
    }
}

/// Properties with what some of them are now: of those alone that are said.
pub(super) fn with(given: &Value, now: &[(&str, Option<Value>)]) -> Value {
    let mut seen = given.clone();
    for (name, value) in now {
        if given.get(name).is_some() {
            match value {
                Some(value) => put(&mut seen, name, value.clone()),
                None => {
                    if let Value::Object(members) = &mut seen {
                        members.remove(*name);
                    }
                }
            }
        }
    }
    seen
}

fn put_parameter(scope: &mut Scope<'_>, name: &str, given: &Value, overwrite: bool) -> Result<(), AwsError> {
    let member = |name: &str| given.get(name).cloned().unwrap_or_default();
    let input = json!({
        "Name": name, "Value": member("Value"), "Type": if overwrite { Value::Null } else { member("Type") },
        "Description": member("Description"), "DataType": member("DataType"), "Overwrite": overwrite,
    });
    done(call(scope, "ssm", "PutParameter", input))
}

fn retain(scope: &mut Scope<'_>, name: &str, given: &Value) -> Result<(), AwsError> {
    match given.get("RetentionInDays") {
        Some(days) => {
            let input = json!({ "logGroupName": name, "retentionInDays": days });
            done(call(scope, "logs", "PutRetentionPolicy", input))
        }
        None => done(call(scope, "logs", "DeleteRetentionPolicy", json!({ "logGroupName": name }))),
    }
}

fn put_alarm(scope: &mut Scope<'_>, operation: &str, name: &str, given: &Value) -> Result<(), AwsError> {
    let mut input = given.clone();
    put(&mut input, "AlarmName", json!(name));
    // The handler reads whole numbers and numbers as such, and CloudFormation has them as text, too.
    for member in ["Threshold", "Period", "EvaluationPeriods", "DatapointsToAlarm"] {
        let number = given.get(member).and_then(Value::as_str).and_then(|text| text.parse().ok());
        if let Some(number) = number {
            put(&mut input, member, Value::Number(number));
        }
    }
    done(call(scope, "cloudwatch", operation, input))
}

fn lifecycle(scope: &mut Scope<'_>, name: &str, given: &Value) -> Result<(), AwsError> {
    let text = given.get("LifecyclePolicy").and_then(|policy| policy.get("LifecyclePolicyText"));
    match text {
        Some(text) => {
            let input = json!({ "repositoryName": name, "lifecyclePolicyText": text });
            done(call(scope, "ecr", "PutLifecyclePolicy", input))
        }
        None => {
            // There may be none to delete.
            let _ = call(scope, "ecr", "DeleteLifecyclePolicy", json!({ "repositoryName": name }));
            Ok(())
        }
    }
}

fn set_key(scope: &mut Scope<'_>, id: &str, given: &Value) -> Result<(), AwsError> {
    if let Some(policy) = given.get("KeyPolicy") {
        let policy = policy.as_str().map_or_else(|| policy.to_string(), str::to_owned);
        call(scope, "kms", "PutKeyPolicy", json!({ "KeyId": id, "PolicyName": "default", "Policy": policy }))?;
    }
    let disabled = given.get("Enabled").is_some_and(|enabled| enabled == false);
    let operation = if disabled { "DisableKey" } else { "EnableKey" };
    done(call(scope, "kms", operation, json!({ "KeyId": id })))
}

fn project(name: &str, given: &Value) -> Value {
    let mut input = small(given);
    put(&mut input, "name", json!(name));
    // CloudFormation spells two of the members otherwise.
    if let Some(source) = input.get_mut("source")
        && let Some(buildspec) = source.get("buildSpec").cloned()
    {
        put(source, "buildspec", buildspec);
    }
    if let Some(logs) = input.get_mut("logsConfig") {
        for (ours, theirs) in [("cloudWatchLogs", "cloudWatchLogs"), ("s3Logs", "s3Logs")] {
            if let Some(value) = logs.get(ours).cloned() {
                put(logs, theirs, value);
            }
        }
    }
    input
}

/// A secret that is drawn, as its properties ask for it.
fn generated(scope: &mut Scope<'_>, name: &str, given: &Value) -> Option<String> {
    let asked = given.get("GenerateSecretString")?;
    let length = asked.get("PasswordLength").and_then(Value::as_u64).unwrap_or(32);
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let kind = format!("cloudformation/secret/{}/{name}", scope.at);
    let mut drawn = String::new();
    while (drawn.len() as u64) < length.min(4096) {
        drawn.push_str(&scope.world.ids.characters(&kind, LETTERS, 32));
    }
    drawn.truncate(usize::try_from(length).unwrap_or(32));
    let template = asked.get("SecretStringTemplate").and_then(Value::as_str);
    let key = asked.get("GenerateStringKey").and_then(Value::as_str);
    match (template, key) {
        (Some(template), Some(key)) => {
            let mut members: Map<String, Value> = serde_json::from_str(template).ok()?;
            members.insert(key.to_owned(), Value::String(drawn));
            Some(Value::Object(members).to_string())
        }
        _ => Some(drawn),
    }
}

fn key(given: &Value, kind: &str) -> Option<String> {
    let keys = given.get("KeySchema")?.as_array()?;
    let found = keys.iter().find(|key| key.get("KeyType").is_some_and(|found| found == kind))?;
    found.get("AttributeName")?.as_str().map(str::to_owned)
}

fn put_rule(scope: &mut Scope<'_>, name: &str, given: &Value) -> Result<(), AwsError> {
    let mut input = given.clone();
    put(&mut input, "Name", json!(name));
    if let Some(pattern) = given.get("EventPattern").filter(|pattern| pattern.is_object()) {
        put(&mut input, "EventPattern", json!(pattern.to_string()));
    }
    call(scope, "events", "PutRule", input)?;
    let targets = given.get("Targets").cloned().filter(|targets| targets.as_array().is_some_and(|all| !all.is_empty()));
    let Some(targets) = targets else { return Ok(()) };
    done(call(
        scope,
        "events",
        "PutTargets",
        json!({ "Rule": name, "EventBusName": given.get("EventBusName"), "Targets": targets }),
    ))
}

pub(super) fn create(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Result<Provided, String> {
    let Some(row) = row(order.kind) else { return kept::create(scope, order) };
    let (property, longest) = row.name;
    let name = if longest == 0 { String::new() } else { named(scope, order, property, longest) };
    (row.make)(scope, &name, order.properties).map_err(|error| told(row.service, &error))
}

pub(super) fn update(
    scope: &mut Scope<'_>,
    order: &ProviderOrder<'_>,
    old: &StackResource,
) -> Result<Provided, String> {
    let Some(row) = row(order.kind) else { return kept::update(scope, order, old) };
    let id = old.physical.clone().unwrap_or_default();
    (row.change)(scope, &id, order.properties, &old.properties).map_err(|error| told(row.service, &error))?;
    Ok(Provided { physical: id, attributes: old.attributes.clone() })
}

pub(super) fn delete(scope: &mut Scope<'_>, resource: &StackResource) -> Result<(), String> {
    let Some(row) = row(&resource.kind) else { return kept::delete(scope, resource) };
    let id = resource.physical.clone().unwrap_or_default();
    // What is gone already is as it is to be.
    if (row.look)(scope, &id, &resource.properties).is_none() {
        return Ok(());
    }
    (row.remove)(scope, &id, &resource.properties).map_err(|error| told(row.service, &error))
}

pub(super) fn live(scope: &mut Scope<'_>, resource: &StackResource) -> Option<Value> {
    let row = row(&resource.kind)?;
    let read = crate::services::cloudformation::properties::dynamic(scope, resource.properties.clone()).ok();
    let given = read.unwrap_or_else(|| resource.properties.clone());
    (row.look)(scope, resource.physical.as_deref()?, &given)
}
