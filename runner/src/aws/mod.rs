//! AWS: one module a service, named as its WIT file, and the one way through which every call goes.

pub mod clients;
pub mod error;
mod limits;
mod names;
pub mod operation;
pub(crate) mod pacing;
mod raw_json;
pub mod request_id;
pub(crate) mod retry;
mod values;

pub mod cloudwatch;
pub mod codebuild;
pub mod ecr;
pub mod ecs;
pub mod kms;
pub mod logs;
pub mod secretsmanager;
pub mod sts;

#[cfg(test)]
mod tests;
