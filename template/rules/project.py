"""Project AWS's resource schemas to the rules that kiln needs: which property replaces, which is read-only, what is required, what
identifies a resource, and which permissions its handlers take.

    pip install cfn-lint==1.58.0
    python template/rules/project.py > template/rules/rules.json

The schemas are AWS's own, as the Python package cfn-lint carries them (MIT-0, see README.md beside this). TYPES below is what is
supported: add a line, and write the file again.
"""

import json
import pathlib
import sys

import cfnlint
from cfnlint.schema import Schema

REGION = "us-east-1"

TYPES = """
AWS::ApplicationAutoScaling::ScalableTarget AWS::ApplicationAutoScaling::ScalingPolicy
AWS::AutoScaling::AutoScalingGroup AWS::AutoScaling::LaunchConfiguration AWS::AutoScaling::LifecycleHook
AWS::AutoScaling::ScalingPolicy AWS::AutoScaling::ScheduledAction AWS::AutoScaling::WarmPool
AWS::CloudFormation::CustomResource AWS::CloudFormation::Stack AWS::CloudFormation::WaitCondition
AWS::CloudFormation::WaitConditionHandle
AWS::CloudTrail::Trail
AWS::CloudWatch::Alarm AWS::CloudWatch::CompositeAlarm AWS::CloudWatch::Dashboard
AWS::CodeBuild::Project AWS::CodeCommit::Repository AWS::CodePipeline::Pipeline
AWS::DynamoDB::Table
AWS::EC2::EIP AWS::EC2::Instance AWS::EC2::InternetGateway AWS::EC2::LaunchTemplate AWS::EC2::NatGateway AWS::EC2::Route
AWS::EC2::RouteTable AWS::EC2::SecurityGroup AWS::EC2::SecurityGroupEgress AWS::EC2::SecurityGroupIngress AWS::EC2::Subnet
AWS::EC2::SubnetRouteTableAssociation AWS::EC2::VPC AWS::EC2::VPCEndpoint AWS::EC2::VPCGatewayAttachment
AWS::ECR::Repository
AWS::ECS::CapacityProvider AWS::ECS::Cluster AWS::ECS::ClusterCapacityProviderAssociations AWS::ECS::Service AWS::ECS::TaskDefinition
AWS::ElasticLoadBalancingV2::Listener AWS::ElasticLoadBalancingV2::ListenerRule AWS::ElasticLoadBalancingV2::LoadBalancer
AWS::ElasticLoadBalancingV2::TargetGroup
AWS::Events::EventBus AWS::Events::Rule
AWS::IAM::InstanceProfile AWS::IAM::ManagedPolicy AWS::IAM::Policy AWS::IAM::Role AWS::IAM::RolePolicy
AWS::ImageBuilder::Component AWS::ImageBuilder::DistributionConfiguration AWS::ImageBuilder::Image AWS::ImageBuilder::ImagePipeline
AWS::ImageBuilder::ImageRecipe AWS::ImageBuilder::InfrastructureConfiguration AWS::ImageBuilder::LifecyclePolicy
AWS::KMS::Alias AWS::KMS::Key
AWS::Lambda::Function AWS::Lambda::Permission
AWS::Logs::LogGroup AWS::Logs::LogStream AWS::Logs::MetricFilter
AWS::RDS::DBInstance
AWS::S3::Bucket AWS::S3::BucketPolicy
AWS::SNS::Subscription AWS::SNS::Topic AWS::SNS::TopicPolicy
AWS::SQS::Queue AWS::SQS::QueuePolicy
AWS::SSM::Parameter
AWS::SecretsManager::ResourcePolicy AWS::SecretsManager::RotationSchedule AWS::SecretsManager::Secret
AWS::ServiceDiscovery::PrivateDnsNamespace
""".split()


def kind(schema, body):
    """What a property's value is: one of AWS's words, or `any` where it may be several."""
    seen = set()
    while "$ref" in body and body["$ref"] not in seen:
        seen.add(body["$ref"])
        at = schema
        for part in body["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        body = at
    told = body.get("type", "any")
    return told if isinstance(told, str) else "any"


def paths(schema, key):
    return sorted(path.removeprefix("/properties/").replace("/properties/", "/") for path in schema.get(key, []))


def attributes(schema):
    """What `Fn::GetAtt` gives, as cfn-lint knows it: a pattern where names are free, as the outputs of a nested stack are."""
    return sorted(name.replace("\\.", ".") for name in Schema(schema).get_atts.data)


def rules(schema):
    handlers = {name: sorted(each.get("permissions", [])) for name, each in schema.get("handlers", {}).items()}
    told = {
        "identifier": [path.removeprefix("/properties/") for path in schema.get("primaryIdentifier", [])],
        "properties": {name: kind(schema, body) for name, body in sorted(schema["properties"].items())},
        "required": sorted(schema.get("required", [])),
        "create_only": paths(schema, "createOnlyProperties"),
        "conditional_create_only": paths(schema, "conditionalCreateOnlyProperties"),
        "read_only": paths(schema, "readOnlyProperties"),
        "write_only": paths(schema, "writeOnlyProperties"),
        "attributes": attributes(schema),
        "tags": schema.get("tagging", {}).get("tagProperty", "").removeprefix("/properties/"),
        "permissions": {name: handlers[name] for name in ("create", "read", "update", "delete") if handlers.get(name)},
    }
    return {name: value for name, value in told.items() if value}


def main():
    data = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas"
    providers = json.loads((data / "providers" / f"{REGION}.json").read_text())
    lines = []
    for name in sorted(TYPES):
        schema = json.loads((data / "resources" / f"{providers[name]}.json").read_text())
        lines.append(f"{json.dumps(name)}: {json.dumps(rules(schema), separators=(',', ':'))}")
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


main()
