//! The types of resources that IAM requires for an action: a policy must allow the action on one of each type.
//!
//! The main function is [`required_types`]. From AWS's service authorization reference: the types that it marks as required (`*`), by
//! how the resource of their ARNs begins. An action that has none is only granted on `*` (see [`untied`](super::untied)).

/// Every action that kiln asks for and that IAM ties to resources. Sorted, for the reader.
const REQUIRED: &[(&str, &[&str])] = &[
    ("autoscaling:CancelInstanceRefresh", &["autoScalingGroup:"]),
    ("autoscaling:RollbackInstanceRefresh", &["autoScalingGroup:"]),
    ("autoscaling:StartInstanceRefresh", &["autoScalingGroup:"]),
    ("cloudformation:CancelUpdateStack", &["stack/"]),
    ("cloudformation:ContinueUpdateRollback", &["stack/"]),
    ("cloudformation:CreateChangeSet", &["stack/"]),
    ("cloudformation:DeleteChangeSet", &["stack/"]),
    ("cloudformation:DeleteStack", &["stack/"]),
    ("cloudformation:DescribeChangeSet", &["stack/"]),
    ("cloudformation:DescribeEvents", &["stack/"]),
    ("cloudformation:DescribeStackEvents", &["stack/"]),
    ("cloudformation:DescribeStackResourceDrifts", &["stack/"]),
    ("cloudformation:DescribeStacks", &["stack/"]),
    ("cloudformation:DetectStackDrift", &["stack/"]),
    ("cloudformation:ExecuteChangeSet", &["stack/"]),
    ("cloudformation:GetStackPolicy", &["stack/"]),
    ("cloudformation:GetTemplate", &["stack/"]),
    // Of a stack, or of a template that is none's.
    ("cloudformation:GetTemplateSummary", &[]),
    ("cloudformation:ListStackResources", &["stack/"]),
    ("cloudformation:RollbackStack", &["stack/"]),
    ("cloudformation:SetStackPolicy", &["stack/"]),
    // One type of many: that of what is tagged.
    ("cloudformation:TagResource", &["stack/"]),
    ("cloudformation:UpdateTerminationProtection", &["stack/"]),
    ("cloudwatch:DescribeAlarms", &["alarm:"]),
    ("cloudwatch:GetAlarmMuteRule", &["alarm-mute-rule:"]),
    ("codebuild:BatchGetBuilds", &["project/"]),
    ("codebuild:BatchGetProjects", &["project/"]),
    ("codebuild:ListBuildsForProject", &["project/"]),
    ("codebuild:StartBuild", &["project/"]),
    ("codebuild:StopBuild", &["project/"]),
    ("dynamodb:ConditionCheckItem", &["table/"]),
    ("dynamodb:GetItem", &["table/"]),
    ("dynamodb:PutItem", &["table/"]),
    // Of an index only where one is asked; kiln asks none.
    ("dynamodb:Query", &["table/"]),
    // The image, and the report, which gets its id only then.
    ("ec2:CreateImageUsageReport", &["image/", "image-usage-report/"]),
    ("ec2:CreateLaunchTemplateVersion", &["launch-template/"]),
    // One type of many: that of what is tagged.
    ("ec2:CreateTags", &[]),
    ("ec2:DeleteSnapshot", &["snapshot/"]),
    ("ec2:DeregisterImage", &["image/"]),
    ("ec2:DescribeImageAttribute", &["image/"]),
    ("ec2:DisableImage", &["image/"]),
    ("ec2:EnableImageDeprecation", &["image/"]),
    ("ec2:GetConsoleOutput", &["instance/"]),
    ("ec2:ModifyLaunchTemplate", &["launch-template/"]),
    // Of those that the reference marks; a launch template is one of the others.
    ("ec2:RunInstances", &["image/", "instance/", "network-interface/", "security-group/", "subnet/", "volume/"]),
    ("ecr:BatchCheckLayerAvailability", &["repository/"]),
    ("ecr:BatchDeleteImage", &["repository/"]),
    ("ecr:BatchGetImage", &["repository/"]),
    ("ecr:BatchGetRepositoryScanningConfiguration", &["repository/"]),
    ("ecr:CompleteLayerUpload", &["repository/"]),
    ("ecr:DescribeImageReplicationStatus", &["repository/"]),
    ("ecr:DescribeImageScanFindings", &["repository/"]),
    ("ecr:DescribeImages", &["repository/"]),
    ("ecr:DescribeRepositories", &["repository/"]),
    ("ecr:GetDownloadUrlForLayer", &["repository/"]),
    ("ecr:InitiateLayerUpload", &["repository/"]),
    ("ecr:PutImage", &["repository/"]),
    ("ecr:StartImageScan", &["repository/"]),
    ("ecr:UpdateImageStorageClass", &["repository/"]),
    ("ecr:UploadLayerPart", &["repository/"]),
    // The two that the reference marks twice.
    ("ecs:DescribeServiceDeployments", &["service-deployment/", "service/"]),
    ("ecs:DescribeServiceRevisions", &["service-revision/", "service/"]),
    ("ecs:DescribeServices", &["service/"]),
    ("ecs:DescribeTasks", &["task/"]),
    ("ecs:ListServiceDeployments", &["service/"]),
    ("ecs:ListTasks", &["container-instance/"]),
    ("ecs:RegisterTaskDefinition", &["task-definition/"]),
    // Taken to be as for DescribeServiceDeployments: whoever may stop a deployment of a service has both.
    ("ecs:StopServiceDeployment", &["service-deployment/", "service/"]),
    // One type of many: that of what is tagged.
    ("ecs:TagResource", &["task-definition/"]),
    ("ecs:UpdateService", &["service/"]),
    // `rule-on-default-event-bus` and `rule-on-custom-event-bus` are alternatives.
    ("events:ListTargetsByRule", &["rule/"]),
    ("iam:PassRole", &["role/"]),
    // A user, a role or a group, whichever is asked about.
    ("iam:SimulatePrincipalPolicy", &[]),
    ("imagebuilder:CancelImageCreation", &["image/"]),
    ("imagebuilder:CreateImage", &["image/"]),
    ("imagebuilder:DeleteImage", &["image/"]),
    ("imagebuilder:GetDistributionConfiguration", &["distribution-configuration/"]),
    ("imagebuilder:GetImage", &["image/"]),
    ("imagebuilder:GetImagePipeline", &["image-pipeline/"]),
    ("imagebuilder:GetImageRecipe", &["image-recipe/"]),
    ("imagebuilder:GetInfrastructureConfiguration", &["infrastructure-configuration/"]),
    ("imagebuilder:GetLifecyclePolicy", &["lifecycle-policy/"]),
    ("imagebuilder:ListImageBuildVersions", &["image/"]),
    ("imagebuilder:ListImagePipelineImages", &["image-pipeline/"]),
    // Of an image or of a pipeline.
    ("imagebuilder:ListImageScanFindings", &[]),
    ("imagebuilder:ListWorkflowExecutions", &["image/"]),
    ("imagebuilder:ListWorkflowStepExecutions", &["workflow-execution/"]),
    ("imagebuilder:StartImagePipelineExecution", &["image-pipeline/"]),
    // One type of many: that of what is tagged.
    ("imagebuilder:TagResource", &["image/"]),
    // By its key or by an alias of it.
    ("kms:Decrypt", &[]),
    ("kms:DescribeKey", &[]),
    ("kms:Encrypt", &[]),
    ("kms:GenerateDataKey", &["key/"]),
    ("kms:GetKeyPolicy", &["key/"]),
    ("kms:ListGrants", &["key/"]),
    ("lambda:GetFunction", &["function:"]),
    ("logs:GetLogEvents", &["log-group:"]),
    // An object: its ARN is the bucket and the key.
    ("s3:GetObject", &[]),
    ("s3:PutObject", &[]),
    ("scheduler:GetSchedule", &["schedule/"]),
    ("secretsmanager:DescribeSecret", &["secret:"]),
    ("secretsmanager:GetSecretValue", &["secret:"]),
    ("ssm:GetParameter", &["parameter/"]),
    ("ssm:GetParameterHistory", &["parameter/"]),
    ("ssm:GetParametersByPath", &["parameter/"]),
    ("ssm:PutParameter", &["parameter/"]),
    ("sts:AssumeRole", &["role/"]),
];

/// How the resources begin of which IAM requires one each for `action`; none for an action that kiln never asks for or that is not tied
/// to resources.
pub fn required_types(action: &str) -> Option<&'static [&'static str]> {
    REQUIRED.iter().find(|(required, _)| *required == action).map(|(_, types)| *types)
}

/// The required types that none of `resources` is of, where they do not reach all.
pub fn missing_types(action: &str, resources: &[String]) -> Vec<&'static str> {
    let of_type = |begin: &str| {
        resources.iter().any(|resource| {
            resource == "*" || resource.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with(begin))
        })
    };
    required_types(action).unwrap_or_default().iter().copied().filter(|begin| !of_type(begin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_required_type_must_be_among_the_resources() {
        let missing = |resources: &[&str]| {
            let resources: Vec<String> = resources.iter().map(ToString::to_string).collect();
            missing_types("ecs:DescribeServiceRevisions", &resources)
        };
        let arn = |resource: &str| format!("arn:aws:ecs:us-west-2:111111111111:{resource}");
        let (revision, service) = (arn("service-revision/web/web/*"), arn("service/web/web"));
        assert_eq!(missing(&[&revision]), ["service/"]);
        assert_eq!(missing(&[&service]), ["service-revision/"]);
        assert!(missing(&[&revision, &service]).is_empty() && missing(&["*"]).is_empty());
        assert!(REQUIRED.is_sorted_by_key(|(action, _)| *action));
    }
}
