//! The services: one file each, named as its interface in `wit`.

pub(crate) mod cloudwatch;
pub(crate) mod codebuild;
pub(crate) mod dynamodb;
pub(crate) mod ecr;
pub(crate) mod ecs;
pub(crate) mod kms;
pub(crate) mod logs;
mod registry;
pub(crate) mod secretsmanager;
pub(crate) mod sts;

pub(crate) use registry::{actions, all};
