//! Write stages of kiln pipelines: a plugin is one type that implements [`Stage`].
//!
//! ```ignore
//! use kiln_plugin::{Failure, JsonSchema, Permission, Plan, Stage};
//!
//! struct Greet;
//!
//! impl Stage for Greet {
//!     const NAME: &'static str = "greet";
//!     const SUMMARY: &'static str = "Says who is greeting";
//!     type Config = Config;       // serde::Deserialize + JsonSchema
//!     type Outputs = Outputs;     // serde::Serialize + JsonSchema
//!     …
//! }
//!
//! kiln_plugin::export!(Greet);
//! ```
//!
//! - [`aws`] holds one module a service: each function is one AWS call, which the host authorises, journals and sends.
//! - [`poll`] waits for something with the host's clock and the stage's deadline.
//! - [`Failure`] says why a stage failed, in the words of a person who has to act on it.
//! - [`FilePath`] is a config value that names a file beside the pipeline; a plugin that implements [`Checks`] looks at it before a run.
//! - [`Known`] is a config value that may not be known while planning.
//! - A plugin must be deterministic: no clock, randomness, file or network but through the host. When a run is resumed, the
//!   plugin runs again against the record of its own calls.
//!
//! The crate also builds for the machine that you work on, so that decisions can be tested there; only calling the host
//! needs the sandbox. `docs/plugin-authors.md` tells the whole story.

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod check;
#[doc(hidden)]
pub mod checker_bindings;
mod duration;
mod failure;
mod file;
mod image;
mod instant;
mod known;
mod panic;
mod permission;
mod plan;
mod polling;
mod refused;
mod stage;
mod words;

pub mod elsewhere;
pub mod log;
pub mod memory;
pub mod schema;

#[doc(hidden)]
pub mod lifecycle;

pub use check::{Checked, Checks, FilePlace, Problem};
pub use duration::{Duration, InvalidDuration};
pub use failure::{During, Failure, FailureKind};
pub use file::FilePath;
pub use image::{EcrRepository, ImageReference, InvalidImage, PinnedImage};
pub use instant::{Date, Instant, InvalidDate};
pub use known::Known;
pub use permission::Permission;
pub use plan::{Change, ChangeAction, Plan};
pub use polling::{Look, poll, poll_within};
pub use schemars::JsonSchema;
pub use stage::Stage;
pub use words::{count, grouped};

pub use bindings::kiln::stage::{context, progress, secrets, timer};

/// AWS, one module a service, one function an operation. Requests and answers are plain records.
pub mod aws {
    pub use crate::bindings::kiln::aws::types::{Error, ErrorKind, Pair};
    pub use crate::bindings::kiln::aws_autoscaling::autoscaling;
    pub use crate::bindings::kiln::aws_cloudformation::cloudformation;
    pub use crate::bindings::kiln::aws_cloudwatch::cloudwatch;
    pub use crate::bindings::kiln::aws_codebuild::codebuild;
    pub use crate::bindings::kiln::aws_ec2::ec2;
    pub use crate::bindings::kiln::aws_ecr::ecr;
    pub use crate::bindings::kiln::aws_ecr_promote::{ecr_layers, ecr_promote};
    pub use crate::bindings::kiln::aws_ecr_storage::ecr_storage;
    pub use crate::bindings::kiln::aws_ecs::ecs;
    pub use crate::bindings::kiln::aws_ecs_inventory::ecs_inventory;
    pub use crate::bindings::kiln::aws_elasticloadbalancing::elasticloadbalancing;
    pub use crate::bindings::kiln::aws_events::events;
    pub use crate::bindings::kiln::aws_imagebuilder::imagebuilder;
    pub use crate::bindings::kiln::aws_inspector2::inspector2;
    pub use crate::bindings::kiln::aws_kms::kms;
    pub use crate::bindings::kiln::aws_kms_access::kms_access;
    pub use crate::bindings::kiln::aws_lambda::lambda;
    pub use crate::bindings::kiln::aws_logs::logs;
    pub use crate::bindings::kiln::aws_s3::s3;
    pub use crate::bindings::kiln::aws_scheduler::scheduler;
    pub use crate::bindings::kiln::aws_secretsmanager::secretsmanager;
    pub use crate::bindings::kiln::aws_ssm::ssm;
    pub use crate::bindings::kiln::aws_sts::sts;
}

/// What [`export!`] expands to needs these paths; they are no part of the interface.
#[doc(hidden)]
pub mod exported {
    pub use crate::bindings::exports::kiln::stage::lifecycle::Guest;
    pub use crate::bindings::kiln::stage::types::Description;
    pub use crate::checker_bindings::exports::kiln::checks::checks::{Checked as CheckedRecord, Guest as CheckGuest};
    pub use schemars;
}
