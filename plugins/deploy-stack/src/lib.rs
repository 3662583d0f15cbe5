//! Deploys a CloudFormation stack: a change set is made, read and checked before it is executed, and followed resource by resource to its
//! end; what fails is told by its first cause.
//! The main type is [`DeployStack`]; the steps of a run are in [`run`](crate::DeployStack), the way back in `way_back`. How stacks
//! are changed and followed, and what a plan forecasts, is `kiln-stack`'s.

mod alarms;
mod checks;
mod config;
mod deploy;
mod drift;
mod outline;
mod parameters;
mod protection;
mod remembered;
mod source;
mod way_back;

use kiln_plugin::{Checked, Checks, Failure, Permission, Plan, Stage};
use serde_json::Value;

pub use crate::config::{Capability, Config, Drift, Fixed, Mode, OnStackFailure, Outputs, ParameterValue};

/// The plugin.
pub struct DeployStack;

impl Stage for DeployStack {
    const NAME: &'static str = "deploy-stack";
    const SUMMARY: &'static str =
        "Deploys a CloudFormation stack by a change set that is read before it is executed, and follows it to its end";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let on_stack = |action: &str, reason: &str| {
            Permission::new(&format!("cloudformation:{action}"), reason).on("cloudformation", "stack/${with.stack}/*")
        };
        let nested =
            |action: &str, reason: &str| on_stack(action, reason).on("cloudformation", "stack/${with.stack}-*/*");
        vec![
            nested("DescribeStacks", "to see whether the stack is there, and how it stands"),
            nested("DescribeStackEvents", "to follow what happens to each resource, and to find the first that failed"),
            on_stack("DescribeEvents", "to tell which checks of AWS failed"),
            nested("DescribeChangeSet", "to read what would happen before it does"),
            on_stack("ListStackResources", "to name the resources that a deletion could not delete"),
            on_stack("GetTemplate", "to compare with the template that the stack has, and to go back to it"),
            on_stack("GetStackPolicy", "to see whether the stack has the policy of the config"),
            on_stack("DetectStackDrift", "to see what was changed behind the stack's back"),
            Permission::new("cloudformation:DescribeStackDriftDetectionStatus", "to wait until that is known").on_any(),
            on_stack("DescribeStackResourceDrifts", "to tell which resources that are"),
            on_stack("CreateChangeSet", "to find out what would happen"),
            on_stack("TagResource", "to give the stack its tags"),
            on_stack("DeleteChangeSet", "to delete a change set that is not executed"),
            on_stack("ExecuteChangeSet", "to let it happen"),
            on_stack("SetStackPolicy", "to give the stack the policy of the config"),
            on_stack("UpdateTerminationProtection", "to protect the stack from deletion, or not, as the config says"),
            on_stack("ContinueUpdateRollback", "to go on with a way back that failed, where the config says so"),
            on_stack("RollbackStack", "to go back from where something failed, where the config says so"),
            on_stack("CancelUpdateStack", "to bring an update back that is undone while it goes on"),
            on_stack("DeleteStack", "to take a first creation back, and to delete a stack that can only be deleted"),
            Permission::new("iam:PassRole", "to let CloudFormation act in the role of the config")
                .on_arn("arn:${partition}:iam::${account}:role/${with.role}"),
            Permission::new("s3:PutObject", "to keep a template that is too large for a request")
                .on_arn("arn:${partition}:s3:::${with.template-bucket}/*"),
            Permission::new("s3:GetObject", "CloudFormation reads it as whoever asks")
                .on_arn("arn:${partition}:s3:::${with.template-bucket}/*"),
            Permission::new("kms:GenerateDataKey", "to encrypt it by the key of the config")
                .on("kms", "key/${with.template-key}"),
            // Composite alarms are described only to who may describe all, and one that is not shown looks as if it were not there.
            Permission::new("cloudwatch:DescribeAlarms", "to see whether the alarms that watch the change can ring")
                .on_any(),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        outline::plan(&config)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        deploy::run(&config)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        way_back::go(&config)
    }
}

impl Checks for DeployStack {
    fn check(config: &Value, unknown: &[String]) -> Checked {
        checks::check(config, unknown)
    }
}

kiln_plugin::export!(DeployStack);
kiln_plugin::export_checks!(DeployStack);
