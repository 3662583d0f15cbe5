//! The services: a module each, named as its interface in `wit`, and the table of them.

pub(crate) mod cloudwatch;
pub(crate) mod codebuild;
pub(crate) mod dynamodb;
pub(crate) mod ecr;
pub(crate) mod ecs;
pub(crate) mod kms;
pub(crate) mod logs;
pub(crate) mod secretsmanager;
pub(crate) mod sts;
mod table;

pub(crate) use table::{ServiceId, actions, all, each_service};
