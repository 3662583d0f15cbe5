//! As whom the resources of a stack are made, and whether they may be.
//!
//! The main functions are [`check`] and [`assumed`]. Where a stack has a role, its operations act as that, and else as whoever asked for
//! them. Of what a resource's handler calls, the simulator asks for the one action that makes, changes or deletes the thing, by the name that
//! AWS's schema has for it; which others are needed depends on properties.

use kiln_template::rules;
use serde_json::Value;

use super::state::{ResourceStep, invalid, stack};
use crate::access::{Policy, Verdict};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::partition::partition_of;
use crate::services::sts;

/// Who asked for an operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Requester {
    arn: String,
    access_key: String,
}

impl Requester {
    pub(super) fn of(ctx: &Ctx<'_>) -> Self {
        Self { arn: ctx.caller.arn.clone(), access_key: ctx.access_key.clone() }
    }
}

/// Actions that are not spelled as their types are: type, and what creates, updates and deletes it.
const NAMED: &[(&str, [&str; 3])] = &[
    (
        "AWS::ApplicationAutoScaling::ScalableTarget",
        [
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:DeregisterScalableTarget",
        ],
    ),
    (
        "AWS::AutoScaling::ScalingPolicy",
        ["autoscaling:PutScalingPolicy", "autoscaling:PutScalingPolicy", "autoscaling:DeletePolicy"],
    ),
    (
        "AWS::AutoScaling::ScheduledAction",
        [
            "autoscaling:PutScheduledUpdateGroupAction",
            "autoscaling:PutScheduledUpdateGroupAction",
            "autoscaling:DeleteScheduledAction",
        ],
    ),
    ("AWS::CloudWatch::Alarm", ["cloudwatch:PutMetricAlarm", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"]),
    (
        "AWS::CloudWatch::CompositeAlarm",
        ["cloudwatch:PutCompositeAlarm", "cloudwatch:PutCompositeAlarm", "cloudwatch:DeleteAlarms"],
    ),
    (
        "AWS::CloudWatch::Dashboard",
        ["cloudwatch:PutDashboard", "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"],
    ),
    ("AWS::CodeBuild::Project", ["codebuild:CreateProject", "codebuild:UpdateProject", "codebuild:DeleteProject"]),
    ("AWS::EC2::EIP", ["ec2:AllocateAddress", "ec2:AssociateAddress", "ec2:ReleaseAddress"]),
    ("AWS::EC2::Instance", ["ec2:RunInstances", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"]),
    (
        "AWS::EC2::LaunchTemplate",
        ["ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate"],
    ),
    (
        "AWS::EC2::SecurityGroupEgress",
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
            "ec2:RevokeSecurityGroupEgress",
        ],
    ),
    (
        "AWS::EC2::SecurityGroupIngress",
        [
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
            "ec2:RevokeSecurityGroupIngress",
        ],
    ),
    ("AWS::EC2::Subnet", ["ec2:CreateSubnet", "ec2:ModifySubnetAttribute", "ec2:DeleteSubnet"]),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        ["ec2:AssociateRouteTable", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable"],
    ),
    ("AWS::EC2::VPC", ["ec2:CreateVpc", "ec2:ModifyVpcAttribute", "ec2:DeleteVpc"]),
    ("AWS::EC2::VPCEndpoint", ["ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints"]),
    (
        "AWS::EC2::VPCGatewayAttachment",
        ["ec2:AttachInternetGateway", "ec2:AttachInternetGateway", "ec2:DetachInternetGateway"],
    ),
    ("AWS::ECR::Repository", ["ecr:CreateRepository", "ecr:PutImageTagMutability", "ecr:DeleteRepository"]),
    (
        "AWS::ECS::ClusterCapacityProviderAssociations",
        ["ecs:PutClusterCapacityProviders", "ecs:PutClusterCapacityProviders", "ecs:PutClusterCapacityProviders"],
    ),
    ("AWS::ECS::TaskDefinition", ["ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:DeregisterTaskDefinition"]),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        [
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:DeleteListener",
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        ["elasticloadbalancing:CreateRule", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:DeleteRule"],
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        [
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:DeleteLoadBalancer",
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        [
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:DeleteTargetGroup",
        ],
    ),
    ("AWS::IAM::ManagedPolicy", ["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy"]),
    ("AWS::IAM::Policy", ["iam:PutRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"]),
    ("AWS::KMS::Key", ["kms:CreateKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]),
    ("AWS::Lambda::Permission", ["lambda:AddPermission", "lambda:AddPermission", "lambda:RemovePermission"]),
    ("AWS::RDS::DBInstance", ["rds:CreateDBInstance", "rds:ModifyDBInstance", "rds:DeleteDBInstance"]),
    ("AWS::SNS::Subscription", ["sns:Subscribe", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"]),
    ("AWS::SNS::Topic", ["sns:CreateTopic", "sns:SetTopicAttributes", "sns:DeleteTopic"]),
    ("AWS::SNS::TopicPolicy", ["sns:SetTopicAttributes", "sns:SetTopicAttributes", "sns:SetTopicAttributes"]),
    ("AWS::SQS::Queue", ["sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue"]),
    ("AWS::SQS::QueuePolicy", ["sqs:SetQueueAttributes", "sqs:SetQueueAttributes", "sqs:SetQueueAttributes"]),
    (
        "AWS::SecretsManager::RotationSchedule",
        ["secretsmanager:RotateSecret", "secretsmanager:RotateSecret", "secretsmanager:CancelRotateSecret"],
    ),
    (
        "AWS::ServiceDiscovery::PrivateDnsNamespace",
        [
            "servicediscovery:CreatePrivateDnsNamespace",
            "servicediscovery:UpdatePrivateDnsNamespace",
            "servicediscovery:DeleteNamespace",
        ],
    ),
];

/// The action that a step takes on a thing of a type, where it takes one.
fn action(kind: &str, step: ResourceStep) -> Option<String> {
    let (handler, verbs, place): (&str, &[&str], usize) = match step {
        ResourceStep::Create => ("create", &["Create", "Put", "Register"], 0),
        ResourceStep::Update => ("update", &["Update", "Put", "Modify"], 1),
        ResourceStep::Delete => ("delete", &["Delete"], 2),
    };
    if let Some((_, named)) = NAMED.iter().find(|(named, _)| *named == kind) {
        return named.get(place).map(|action| (*action).to_owned());
    }
    let noun = kind.rsplit("::").next()?;
    let known = rules(kind)?.permissions.get(handler)?;
    let is_it = |action: &&String| {
        let name = action.split(':').nth(1).unwrap_or_default();
        !action.starts_with("managed-fleets:") && verbs.iter().any(|verb| name.strip_prefix(verb) == Some(noun))
    };
    known.iter().find(is_it).cloned()
}

/// What stands behind the account in the ARNs of a type.
const RESOURCES: &[(&str, &str)] = &[
    ("AWS::AutoScaling::AutoScalingGroup", "autoScalingGroup:*:autoScalingGroupName/{name}"),
    ("AWS::CloudTrail::Trail", "trail/{name}"),
    ("AWS::CloudWatch::Alarm", "alarm:{name}"),
    ("AWS::CloudWatch::CompositeAlarm", "alarm:{name}"),
    ("AWS::CodeBuild::Project", "project/{name}"),
    ("AWS::CodeCommit::Repository", "{name}"),
    ("AWS::CodePipeline::Pipeline", "{name}"),
    ("AWS::DynamoDB::Table", "table/{name}"),
    ("AWS::ECR::Repository", "repository/{name}"),
    ("AWS::ECS::Cluster", "cluster/{name}"),
    ("AWS::Events::EventBus", "event-bus/{name}"),
    ("AWS::Events::Rule", "rule/{name}"),
    ("AWS::IAM::InstanceProfile", "instance-profile{path}{name}"),
    ("AWS::IAM::ManagedPolicy", "policy{path}{name}"),
    ("AWS::IAM::Role", "role{path}{name}"),
    ("AWS::Logs::LogGroup", "log-group:{name}"),
    ("AWS::RDS::DBInstance", "db:{name}"),
    ("AWS::S3::Bucket", "{name}"),
    ("AWS::SNS::Topic", "{name}"),
    ("AWS::SQS::Queue", "{name}"),
    ("AWS::SSM::Parameter", "parameter/{bare}"),
    ("AWS::SecretsManager::Secret", "secret:{name}-XXXXXX"),
];

/// What is done, as IAM is asked about it.
pub(super) struct PermissionAsked<'a> {
    pub(super) kind: &'a str,
    pub(super) logical: &'a str,
    pub(super) step: ResourceStep,
    pub(super) properties: &'a Value,
    /// Of what is there already.
    pub(super) physical: Option<&'a str>,
}

/// The ARN of what is made, as far as it is known before it is: what AWS draws is `X`.
fn resource(scope: &Scope<'_>, stack: &str, asked: &PermissionAsked<'_>) -> String {
    if let Some(arn) = asked.physical.filter(|id| id.starts_with("arn:")) {
        return arn.to_owned();
    }
    let Some((_, form)) = RESOURCES.iter().find(|(kind, _)| *kind == asked.kind) else { return "*".to_owned() };
    let text = |name: &str| asked.properties.get(name).and_then(Value::as_str);
    let property = rules(asked.kind)
        .and_then(|rules| rules.identifier.iter().find(|name| !rules.read_only.contains(name)).cloned())
        .unwrap_or_else(|| "Name".to_owned());
    let name = asked.physical.or_else(|| text(&property)).or_else(|| text("TopicName")).or_else(|| text("QueueName"));
    let name = name.map_or_else(|| format!("{stack}-{}-XXXXXXXXXXXX", asked.logical), str::to_owned);
    // A queue is identified by its address.
    let name = if name.starts_with("https://") { name.rsplit('/').next().unwrap_or_default() } else { &name };
    // A rule is known by its bus and its name.
    let name = &name.replace('|', "/");
    let filled = form
        .replace("{bare}", name.trim_start_matches('/'))
        .replace("{path}", text("Path").unwrap_or("/"))
        .replace("{name}", name);
    let service = asked.kind.split("::").nth(1).unwrap_or_default().to_lowercase();
    let partition = partition_of(&scope.at.region).0;
    match service.as_str() {
        "s3" => format!("arn:{partition}:s3:::{}", filled.to_lowercase()),
        "iam" => format!("arn:{partition}:iam::{}:{filled}", scope.at.account),
        _ => scope.arn(&service, &filled),
    }
}

/// The role that is handed over must be there.
pub(super) fn assumed(scope: &Scope<'_>, role: Option<&str>) -> Result<(), AwsError> {
    let Some(role) = role else { return Ok(()) };
    let account = role.split(':').nth(4).unwrap_or_default();
    match sts::policy_of_role(scope.world, account, role) {
        Some(_) => Ok(()),
        None => Err(invalid(format!("Role {role} is invalid or cannot be assumed"))),
    }
}

/// Who acts, and what binds them.
fn acting(scope: &mut Scope<'_>, id: &str) -> (String, Vec<(&'static str, Policy)>) {
    let Some(found) = stack(scope, id) else { return (String::new(), Vec::new()) };
    let requester = found.execution.as_ref().map(|execution| execution.options.requester.clone()).unwrap_or_default();
    let Some(role) = found.goal.role.clone() else {
        let policies = sts::policies(scope.world, &requester.access_key);
        return (requester.arn, policies);
    };
    let account = role.split(':').nth(4).unwrap_or_default().to_owned();
    let name = role.rsplit('/').next().unwrap_or_default();
    let arn = format!("arn:{}:sts::{account}:assumed-role/{name}/AWSCloudFormation", scope.at.partition());
    let policy = sts::policy_of_role(scope.world, &account, &role).flatten();
    (arn, policy.map(|policy| ("identity-based", policy)).into_iter().collect())
}

/// Whether a step may be taken with a resource by whoever acts for its stack.
pub(super) fn check(scope: &mut Scope<'_>, id: &str, asked: &PermissionAsked<'_>) -> Result<(), String> {
    let (arn, policies) = acting(scope, id);
    let Some(action) = action(asked.kind, asked.step).filter(|_| !policies.is_empty()) else { return Ok(()) };
    let name = stack(scope, id).map(|found| found.name.clone()).unwrap_or_default();
    let resource = resource(scope, &name, asked);
    for (kind, policy) in policies {
        let because = match policy.verdict(&action, &resource, None) {
            Verdict::Allowed => continue,
            Verdict::Denied => format!("with an explicit deny in an {kind} policy"),
            Verdict::Silent => format!("because no {kind} policy allows the {action} action"),
        };
        return Err(format!(
            "User: {arn} is not authorized to perform: {action} on resource: {resource} {because} (HandlerErrorCode: \
             AccessDenied)"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kiln_template::supported;

    use super::*;

    #[test]
    fn whatever_calls_aws_has_an_action_for_making_and_for_deleting() {
        let own = ["AWS::CloudFormation::CustomResource", super::super::signals::WAIT_CONDITION];
        for kind in supported().filter(|kind| !own.contains(kind) && !kind.ends_with("WaitConditionHandle")) {
            for step in [ResourceStep::Create, ResourceStep::Delete] {
                assert!(action(kind, step).is_some(), "{kind} {step:?}");
            }
        }
    }

    #[test]
    fn the_actions_that_are_named_here_are_those_of_schemas() {
        for (kind, actions) in NAMED.iter().filter(|(kind, _)| *kind != "AWS::CodeBuild::Project") {
            let known = rules(kind).map(|rules| rules.permissions.clone()).unwrap_or_default();
            let all: Vec<&String> = known.values().flatten().collect();
            for action in actions {
                assert!(all.iter().any(|known| known == action), "{kind} has no {action}: {all:?}");
            }
        }
    }
}
