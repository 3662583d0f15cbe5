//! Physical ids and attributes of things, in AWS's forms.
//!
//! The main function is [`made`].

use kiln_template::rules;
use serde_json::{Map, Value};

use super::{Provided, ProviderOrder, named};
use crate::ctx::Scope;
use crate::partition::partition_of;

/// The form of a type: what its name stands in, how long that may be, what identifies it, and its attributes. In them `{name}` is the name,
/// `{hex}` and `{uuid}` are drawn once, `{id}` is the physical id, and `{Property}` is a property.
struct ResourceForm {
    kind: &'static str,
    name: &'static str,
    longest: usize,
    physical: &'static str,
    attributes: &'static [(&'static str, &'static str)],
}

const fn form(
    kind: &'static str,
    (name, longest): (&'static str, usize),
    physical: &'static str,
    attributes: &'static [(&'static str, &'static str)],
) -> ResourceForm {
    ResourceForm { kind, name, longest, physical, attributes }
}

const FORMS: &[ResourceForm] = &[
    form(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        ("", 0),
        "{ResourceId}|{ScalableDimension}|{ServiceNamespace}",
        &[("Id", "{id}")],
    ),
    form(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        ("PolicyName", 256),
        "{arn:autoscaling}scalingPolicy:{uuid}:policyName/{name}",
        &[("Arn", "{id}")],
    ),
    form("AWS::AutoScaling::LaunchConfiguration", ("LaunchConfigurationName", 255), "{name}", &[]),
    form("AWS::AutoScaling::LifecycleHook", ("LifecycleHookName", 255), "{name}", &[]),
    form(
        "AWS::AutoScaling::ScheduledAction",
        ("ScheduledActionName", 255),
        "{name}",
        &[("ScheduledActionName", "{id}")],
    ),
    form(
        "AWS::CloudFormation::WaitCondition",
        ("", 0),
        "{arn:cloudformation}stack/{stack}/{uuid}/{logical}",
        &[("Id", "{id}"), ("Data", "{}")],
    ),
    form(
        "AWS::CloudFormation::WaitConditionHandle",
        ("", 0),
        "https://cloudformation-waitcondition-{region}.s3.{region}.{suffix}/{uuid}",
        &[("Id", "{id}")],
    ),
    form(
        "AWS::CloudTrail::Trail",
        ("TrailName", 128),
        "{name}",
        &[("Arn", "{arn:cloudtrail}trail/{name}"), ("SnsTopicArn", "{arn:sns}{SnsTopicName}")],
    ),
    form("AWS::CloudWatch::Dashboard", ("DashboardName", 255), "{name}", &[]),
    form(
        "AWS::CodeCommit::Repository",
        ("RepositoryName", 100),
        "{uuid}",
        &[
            ("Arn", "{arn:codecommit}{name}"),
            ("Name", "{name}"),
            ("RepositoryId", "{id}"),
            ("CloneUrlHttp", "https://git-codecommit.{region}.{suffix}/v1/repos/{name}"),
            ("CloneUrlSsh", "ssh://git-codecommit.{region}.{suffix}/v1/repos/{name}"),
        ],
    ),
    form(
        "AWS::CodePipeline::Pipeline",
        ("Name", 100),
        "{name}",
        &[("Arn", "{arn:codepipeline}{name}"), ("Version", "#1")],
    ),
    form("AWS::EC2::EIP", ("", 0), "203.0.113.{octet}", &[("PublicIp", "{id}"), ("AllocationId", "eipalloc-{hex}")]),
    form("AWS::EC2::InternetGateway", ("", 0), "igw-{hex}", &[("InternetGatewayId", "{id}")]),
    form("AWS::EC2::NatGateway", ("", 0), "nat-{hex}", &[("NatGatewayId", "{id}"), ("EniId", "eni-{hex}")]),
    form(
        "AWS::EC2::Route",
        ("", 0),
        "{RouteTableId}|{DestinationCidrBlock}",
        &[("CidrBlock", "{DestinationCidrBlock}")],
    ),
    form("AWS::EC2::RouteTable", ("", 0), "rtb-{hex}", &[("RouteTableId", "{id}")]),
    form("AWS::EC2::SecurityGroupEgress", ("", 0), "sgr-{hex}", &[("Id", "{id}")]),
    form("AWS::EC2::SecurityGroupIngress", ("", 0), "sgr-{hex}", &[("Id", "{id}")]),
    form("AWS::EC2::SubnetRouteTableAssociation", ("", 0), "rtbassoc-{hex}", &[("Id", "{id}")]),
    form(
        "AWS::EC2::VPC",
        ("", 0),
        "vpc-{hex}",
        &[
            ("VpcId", "{id}"),
            ("DefaultSecurityGroup", "sg-{hex}"),
            ("DefaultNetworkAcl", "acl-{hex}"),
            ("CidrBlock", "{CidrBlock}"),
        ],
    ),
    form("AWS::EC2::VPCEndpoint", ("", 0), "vpce-{hex}", &[("Id", "{id}")]),
    form("AWS::EC2::VPCGatewayAttachment", ("", 0), "IGW|{VpcId}", &[("AttachmentType", "IGW")]),
    form(
        "AWS::IAM::InstanceProfile",
        ("InstanceProfileName", 128),
        "{name}",
        &[("Arn", "{arn:iam}instance-profile{path}{name}")],
    ),
    form(
        "AWS::IAM::ManagedPolicy",
        ("ManagedPolicyName", 128),
        "{arn:iam}policy{path}{name}",
        &[("PolicyArn", "{id}"), ("PolicyId", "ANPA{upper}"), ("DefaultVersionId", "v1"), ("AttachmentCount", "#0")],
    ),
    form("AWS::IAM::Policy", ("", 128), "{name}", &[("Id", "{id}")]),
    form(
        "AWS::IAM::Role",
        ("RoleName", 64),
        "{name}",
        &[("Arn", "{arn:iam}role{path}{name}"), ("RoleId", "AROA{upper}")],
    ),
    form("AWS::IAM::RolePolicy", ("PolicyName", 128), "{name}|{RoleName}", &[]),
    form("AWS::Lambda::Permission", ("", 64), "{name}", &[("Id", "{id}")]),
    form(
        "AWS::RDS::DBInstance",
        ("DBInstanceIdentifier", 63),
        "{lower}",
        &[
            ("Endpoint.Address", "{lower}.c{hex}.{region}.rds.{suffix}"),
            ("Endpoint.Port", "5432"),
            ("Endpoint.HostedZoneId", "Z{upper}"),
            ("DBInstanceArn", "{arn:rds}db:{lower}"),
            ("DbiResourceId", "db-{upper}"),
            ("DBInstanceIdentifier", "{id}"),
            ("MasterUserSecret.SecretArn", "{arn:secretsmanager}secret:rds!db-{uuid}"),
        ],
    ),
    form(
        "AWS::S3::Bucket",
        ("BucketName", 63),
        "{lower}",
        &[
            ("Arn", "arn:{partition}:s3:::{lower}"),
            ("DomainName", "{lower}.s3.{suffix}"),
            ("RegionalDomainName", "{lower}.s3.{region}.{suffix}"),
            ("DualStackDomainName", "{lower}.s3.dualstack.{region}.{suffix}"),
            ("WebsiteURL", "http://{lower}.s3-website-{region}.{suffix}"),
        ],
    ),
    form("AWS::S3::BucketPolicy", ("", 0), "{Bucket}", &[]),
    form("AWS::SNS::Subscription", ("", 0), "{TopicArn}:{uuid}", &[("Arn", "{id}")]),
    form("AWS::SNS::Topic", ("TopicName", 256), "{arn:sns}{name}", &[("TopicArn", "{id}"), ("TopicName", "{name}")]),
    form("AWS::SNS::TopicPolicy", ("", 128), "{name}", &[("Id", "{id}")]),
    form(
        "AWS::SQS::Queue",
        ("QueueName", 80),
        "https://sqs.{region}.{suffix}/{account}/{name}",
        &[("Arn", "{arn:sqs}{name}"), ("QueueName", "{name}"), ("QueueUrl", "{id}")],
    ),
    form("AWS::SQS::QueuePolicy", ("", 128), "{name}", &[("Id", "{id}")]),
    form("AWS::SecretsManager::ResourcePolicy", ("", 0), "{SecretId}", &[("Id", "{id}")]),
    form("AWS::SecretsManager::RotationSchedule", ("", 0), "{SecretId}", &[("Id", "{id}")]),
    form(
        "AWS::ServiceDiscovery::PrivateDnsNamespace",
        ("", 0),
        "ns-{upper}",
        &[("Id", "{id}"), ("Arn", "{arn:servicediscovery}namespace/{id}"), ("HostedZoneId", "Z{upper}")],
    ),
    form(
        "AWS::ImageBuilder::LifecyclePolicy",
        ("Name", 128),
        "{arn:imagebuilder}lifecycle-policy/{lower}",
        &[("Arn", "{id}")],
    ),
];

/// The physical id of a new thing, and its attributes.
pub(super) fn made(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Provided {
    let usual = form("", ("", 128), "{name}", &[]);
    let form = FORMS.iter().find(|form| form.kind == order.kind).unwrap_or(&usual);
    let known = rules(order.kind);
    // A name stands in what identifies a thing, where that can be given.
    let given = known.and_then(|rules| rules.identifier.iter().find(|name| !rules.read_only.contains(name)));
    let property = if form.kind.is_empty() { given.map_or("", String::as_str) } else { form.name };
    let longest = if form.longest == 0 { 128 } else { form.longest };
    let drawn = Drawn::new(scope, order, property, longest);
    let physical = drawn.filled(form.physical, "", order.properties);
    let mut attributes = Map::new();
    for (name, told) in form.attributes {
        let value = match told.strip_prefix('#') {
            Some(number) => number.parse::<u64>().map_or(Value::Null, Value::from),
            None => Value::String(drawn.filled(told, &physical, order.properties)),
        };
        attributes.insert((*name).to_owned(), value);
    }
    // Whatever else can be asked for is there, too.
    for name in known.iter().flat_map(|rules| &rules.attributes).filter(|name| !name.contains(['.', '*'])) {
        if order.properties.get(name).is_none() && !attributes.contains_key(name) {
            let value = if name.ends_with("Arn") || name.ends_with("ARN") {
                drawn.arn(order.kind, &physical)
            } else {
                physical.clone()
            };
            attributes.insert(name.clone(), Value::String(value));
        }
    }
    Provided { physical, attributes }
}

/// What the names and ids of a thing are made of.
struct Drawn {
    name: String,
    hex: String,
    uuid: String,
    upper: String,
    octet: u8,
    region: String,
    account: String,
    stack: String,
    logical: String,
}

impl Drawn {
    fn new(scope: &mut Scope<'_>, order: &ProviderOrder<'_>, property: &str, longest: usize) -> Self {
        let kind = format!("cloudformation/thing/{}/{}", order.stack, order.logical);
        let name = named(scope, order, property, longest);
        let ids = &mut scope.world.ids;
        let octet = ids.bytes(&format!("{kind}/octet")).first().copied().unwrap_or_default();
        Self {
            name,
            hex: format!("0{}", ids.hex(&kind, 16)),
            uuid: ids.uuid(&kind),
            upper: ids.characters(&kind, super::UPPER, 17),
            octet: octet.clamp(1, 254),
            region: scope.at.region.clone(),
            account: scope.at.account.clone(),
            stack: order.name.to_owned(),
            logical: order.logical.to_owned(),
        }
    }

    fn arn(&self, kind: &str, id: &str) -> String {
        let service = kind.split("::").nth(1).unwrap_or_default().to_lowercase();
        if id.starts_with("arn:") {
            return id.to_owned();
        }
        format!("arn:{}:{service}:{}:{}:{id}", partition_of(&self.region).0, self.region, self.account)
    }

    fn filled(&self, form: &str, id: &str, properties: &Value) -> String {
        let (partition, suffix) = partition_of(&self.region);
        let mut out = String::new();
        let mut rest = form;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((word, after)) = behind.split_once('}') else { break };
            out.push_str(before);
            match word {
                "" => out.push_str("{}"),
                "name" => out.push_str(&self.name),
                "lower" => out.push_str(&self.name.to_lowercase()),
                "hex" => out.push_str(&self.hex),
                "uuid" => out.push_str(&self.uuid),
                "upper" => out.push_str(&self.upper),
                "octet" => out.push_str(&self.octet.to_string()),
                "id" => out.push_str(id),
                "region" => out.push_str(&self.region),
                "account" => out.push_str(&self.account),
                "partition" => out.push_str(partition),
                "suffix" => out.push_str(suffix),
                "stack" => out.push_str(&self.stack),
                "logical" => out.push_str(&self.logical),
                "path" => out.push_str(properties.get("Path").and_then(Value::as_str).unwrap_or("/")),
                "arn:iam" => out.push_str(&format!("arn:{partition}:iam::{}:", self.account)),
                word => match word.strip_prefix("arn:") {
                    Some(service) => {
                        out.push_str(&format!("arn:{partition}:{service}:{}:{}:", self.region, self.account));
                    }
                    None => {
                        out.push_str(&super::super::finishing::shown(properties.get(word).unwrap_or(&Value::from(""))))
                    }
                },
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}
