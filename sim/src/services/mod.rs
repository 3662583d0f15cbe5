//! The services: a module each, named as its interface in `wit`, and the table of them.

pub(crate) mod autoscaling;
pub(crate) mod cloudformation;
pub(crate) mod cloudwatch;
pub(crate) mod codebuild;
pub(crate) mod dynamodb;
pub(crate) mod ec2;
pub(crate) mod ecr;
pub(crate) mod ecs;
pub(crate) mod elasticloadbalancing;
pub(crate) mod events;
pub(crate) mod iam;
pub(crate) mod imagebuilder;
pub(crate) mod inspector2;
pub(crate) mod kms;
pub(crate) mod lambda;
pub(crate) mod logs;
pub(crate) mod s3;
pub(crate) mod scheduler;
pub(crate) mod secretsmanager;
pub(crate) mod ssm;
pub(crate) mod sts;
mod table;

pub(crate) use table::{ServiceId, actions, all};

/// Give every row to the macro `make`. The columns are
/// - the service's name as a type, and its module, named as the interface in `wit`, as the IAM prefix and as botocore's
///   name for it (but for `elasticloadbalancing`, which botocore calls `elbv2`); the module has a function `service`, what it offers;
/// - the type of what it holds in a place, if it holds anything there;
/// - the type of what happens by itself, if anything does; the module then has a function `happen`;
/// - its part of the world file, if it has one: when it is planted (a service stands behind those that its seeds need),
///   its tables with the types of their entries, and perhaps one setting. The module then has a function `plant`.
///
/// The order of the rows is the one in which operations are listed and the world file's tables are told.
macro_rules! each_service {
    ($make:ident) => {
        $make! {
            [Sts             sts             ()       ()       (1; roles RoleSeed)]
            [Iam             iam             ()       ()       ()]
            [SecretsManager  secretsmanager  (State)  (Event)  (4; secrets SecretSeed)]
            [Kms             kms             (State)  ()       (3; keys KeySeed)]
            [Ecr             ecr             (State)  (Event)  (5; repositories RepositorySeed, findings FindingSeed)]
            [CodeBuild       codebuild       (State)  (Event)  (6; projects ProjectSeed; concurrent_builds usize)]
            [Logs            logs            (State)  ()       ()]
            [Ecs             ecs             (State)  (Event)  (8; clusters ClusterSeed, services ServiceSeed, task_behaviours BehaviourSeed, task_definitions DefinitionSeed)]
            [CloudWatch      cloudwatch      (State)  (Event)  (7; alarms AlarmSeed, alarm_mute_rules MuteSeed)]
            [DynamoDb        dynamodb        (State)  ()       (2; tables TableSeed)]
            [Events          events          (State)  ()       (9; rules RuleSeed)]
            [Scheduler       scheduler       (State)  ()       (10; schedules ScheduleSeed)]
            [Lambda          lambda          (State)  ()       (11; functions FunctionSeed)]
            [Ec2             ec2             (State)  (Event)  (12; images MachineImageSeed, snapshots SnapshotSeed, launch_templates TemplateSeed, subnets SubnetSeed, security_groups SecurityGroupSeed, instances InstanceSeed, instance_behaviours InstanceBehaviourSeed, ec2_capacity CapacitySeed, spot_interruptions InterruptionSeed)]
            [Ssm             ssm             (State)  ()       (13; parameters ParameterSeed)]
            [Inspector2      inspector2      (State)  (Event)  (14; inspectors InspectorSeed, risks RiskSeed)]
            [ImageBuilder    imagebuilder    (State)  (Event)  (15; image_pipelines ImagePipelineSeed, image_recipes RecipeSeed, infrastructure_configurations InfrastructureSeed, distribution_configurations DistributionSeed, lifecycle_policies LifecycleSeed)]
            [LoadBalancing   elasticloadbalancing  (State)  (Event)  (16; target_groups TargetGroupSeed, load_balancers LoadBalancerSeed, traffic_behaviours TrafficBehaviourSeed)]
            [AutoScaling     autoscaling     (State)  (Event)  (17; launch_configurations LaunchConfigurationSeed, auto_scaling_groups GroupSeed)]
            [S3              s3              (State)  ()       (18; buckets BucketSeed)]
            [CloudFormation  cloudformation  (State)  (Event)  (19; stacks StackSeed, resource_behaviours ResourceBehaviourSeed)]
        }
    };
}
pub(crate) use each_service;
