//! The actions that IAM does not tie to a resource: for them alone the template `*` is accepted.
//!
//! The main function is [`tie`]. From AWS's service authorization reference: an action whose column "resource types" is
//! empty can only be granted on `*`. An action that is not listed here is tied.

/// How IAM ties an action to resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// It is granted on ARNs.
    Always,
    /// It is granted on ARNs, but some of its uses need `*`.
    Sometimes,
    /// It can only be granted on `*`.
    Never,
}

/// Sorted, for the reader.
const UNTIED: &[(&str, Tie)] = &[
    ("autoscaling:DescribeAutoScalingGroups", Tie::Never),
    ("autoscaling:DescribeInstanceRefreshes", Tie::Never),
    ("autoscaling:DescribeLaunchConfigurations", Tie::Never),
    ("autoscaling:DescribeLifecycleHooks", Tie::Never),
    ("autoscaling:DescribePolicies", Tie::Never),
    ("autoscaling:DescribeScalingActivities", Tie::Never),
    ("autoscaling:DescribeTrafficSources", Tie::Never),
    ("autoscaling:DescribeWarmPool", Tie::Never),
    ("cloudformation:DescribeStackDriftDetectionStatus", Tie::Never),
    // Of a template that is no stack's.
    ("cloudformation:GetTemplateSummary", Tie::Sometimes),
    ("cloudformation:ListExports", Tie::Never),
    ("cloudformation:ListImports", Tie::Never),
    ("cloudformation:ValidateTemplate", Tie::Never),
    // Composite alarms are described only to who may describe `*`.
    ("cloudwatch:DescribeAlarms", Tie::Sometimes),
    ("cloudwatch:GetMetricData", Tie::Never),
    ("cloudwatch:GetMetricStatistics", Tie::Never),
    // Rules that mute alarms are resources, and a list of them is one of all.
    ("cloudwatch:ListAlarmMuteRules", Tie::Sometimes),
    ("cloudwatch:ListMetrics", Tie::Never),
    ("codebuild:ListProjects", Tie::Never),
    ("ec2:DescribeImageReferences", Tie::Never),
    ("ec2:DescribeImageUsageReportEntries", Tie::Never),
    ("ec2:DescribeImageUsageReports", Tie::Never),
    ("ec2:DescribeImages", Tie::Never),
    ("ec2:DescribeInstanceStatus", Tie::Never),
    ("ec2:DescribeInstances", Tie::Never),
    ("ec2:DescribeLaunchTemplateVersions", Tie::Never),
    ("ec2:DescribeLaunchTemplates", Tie::Never),
    ("ec2:DescribeSecurityGroups", Tie::Never),
    ("ec2:DescribeSnapshots", Tie::Never),
    ("ec2:DescribeSubnets", Tie::Never),
    ("ecr:DescribeRegistry", Tie::Never),
    ("ecr:GetAuthorizationToken", Tie::Never),
    ("ecr:GetRegistryScanningConfiguration", Tie::Never),
    ("ecs:DeregisterTaskDefinition", Tie::Never),
    ("ecs:DescribeTaskDefinition", Tie::Never),
    ("ecs:ListClusters", Tie::Never),
    // Tied to a cluster by a condition, not by a resource.
    ("ecs:ListServices", Tie::Never),
    ("ecs:ListTaskDefinitionFamilies", Tie::Never),
    ("ecs:ListTaskDefinitions", Tie::Never),
    // Tied to a container instance where one is asked for.
    ("ecs:ListTasks", Tie::Sometimes),
    // Older regions and policies know no task definition here.
    ("ecs:RegisterTaskDefinition", Tie::Sometimes),
    ("elasticloadbalancing:DescribeListeners", Tie::Never),
    ("elasticloadbalancing:DescribeLoadBalancers", Tie::Never),
    ("elasticloadbalancing:DescribeRules", Tie::Never),
    ("elasticloadbalancing:DescribeTargetGroupAttributes", Tie::Never),
    ("elasticloadbalancing:DescribeTargetGroups", Tie::Never),
    ("elasticloadbalancing:DescribeTargetHealth", Tie::Never),
    ("events:ListEventBuses", Tie::Never),
    ("events:ListRules", Tie::Never),
    ("imagebuilder:ListImageRecipes", Tie::Never),
    ("imagebuilder:ListImages", Tie::Never),
    ("imagebuilder:ListLifecyclePolicies", Tie::Never),
    ("inspector2:BatchGetAccountStatus", Tie::Never),
    ("inspector2:GetOnDemandScanStatus", Tie::Never),
    ("inspector2:ListCoverage", Tie::Never),
    ("inspector2:ListFindings", Tie::Never),
    ("inspector2:ListOnDemandScans", Tie::Never),
    ("inspector2:StartOnDemandScan", Tie::Never),
    ("kms:ListAliases", Tie::Never),
    ("kms:ListKeys", Tie::Never),
    ("lambda:ListFunctions", Tie::Never),
    ("logs:DescribeLogGroups", Tie::Sometimes),
    ("scheduler:ListSchedules", Tie::Never),
    ("secretsmanager:GetRandomPassword", Tie::Never),
    ("secretsmanager:ListSecrets", Tie::Never),
    ("ssm:DescribeParameters", Tie::Never),
    ("sts:GetCallerIdentity", Tie::Never),
];

/// How IAM ties `action` to resources.
pub(super) fn tie(action: &str) -> Tie {
    UNTIED.iter().find(|(untied, _)| *untied == action).map_or(Tie::Always, |(_, tie)| *tie)
}
