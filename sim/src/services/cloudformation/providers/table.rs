//! Who makes the things of each type.
//!
//! The main function is [`provider`].

use super::{Provider, Settling, bucket, fleet, plain, scripted};

const SCRIPTED: Provider = Provider { create: scripted::create, update: scripted::update, ..Provider::KEPT };

const PLAIN: Provider = Provider {
    create: plain::create,
    update: plain::update,
    delete: plain::delete,
    live: plain::live,
    settling: |_, _| Settling::Done,
    going: |_, _| Settling::Done,
};

/// The provider of a type.
pub(super) fn provider(kind: &str) -> &'static Provider {
    match kind {
        "AWS::AutoScaling::AutoScalingGroup" => &fleet::GROUP,
        "AWS::AutoScaling::ScalingPolicy" => &fleet::SCALING_POLICY,
        "AWS::EC2::LaunchTemplate" => &fleet::LAUNCH_TEMPLATE,
        "AWS::EC2::SecurityGroup" => &fleet::SECURITY_GROUP,
        "AWS::EC2::Subnet" => &fleet::SUBNET,
        "AWS::ECS::Service" => &fleet::ECS_SERVICE,
        "AWS::ElasticLoadBalancingV2::Listener" => &fleet::LISTENER,
        "AWS::ElasticLoadBalancingV2::ListenerRule" => &fleet::LISTENER_RULE,
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => &fleet::LOAD_BALANCER,
        "AWS::ElasticLoadBalancingV2::TargetGroup" => &fleet::TARGET_GROUP,
        "AWS::ImageBuilder::DistributionConfiguration"
        | "AWS::ImageBuilder::ImagePipeline"
        | "AWS::ImageBuilder::ImageRecipe"
        | "AWS::ImageBuilder::InfrastructureConfiguration" => &fleet::IMAGE_BUILDER,
        "AWS::S3::Bucket" => &bucket::BUCKET,
        "AWS::CloudFormation::CustomResource" => &SCRIPTED,
        custom if custom.starts_with("Custom::") => &SCRIPTED,
        plain if plain::row(plain).is_some() => &PLAIN,
        _ => &Provider::KEPT,
    }
}
