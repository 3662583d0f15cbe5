//! Operations against canned answers of AWS, over HTTP on the loopback interface.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

pub(crate) mod canned;

mod autoscaling;
mod cloudformation;
mod cloudwatch;
mod codebuild;
mod declared;
mod ec2;
mod ecr;
mod ecs;
mod elasticloadbalancing;
mod errors;
mod fates_autoscaling;
mod fates_cloudformation;
mod fates_codebuild;
mod fates_ec2;
mod fates_ecr;
mod fates_ecs;
mod fates_imagebuilder;
mod fates_inspector2;
mod fates_ssm;
mod iam;
mod imagebuilder;
mod inspector2;
mod members;
mod parameters;
mod secrets;
mod starts;
mod task_definitions;
