//! The list of what was changed.
//!
//! The main type is [`Effect`]: one write that an operation made.

use serde::Serialize;

use crate::clock::Timestamp;

/// A write that happened. The same call with the same client token again is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effect {
    /// Its place in the list, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The account that it happened in.
    pub account: String,
    /// The region that it happened in.
    pub region: String,
    /// The IAM action, such as `ecs:UpdateService`.
    pub action: String,
    /// What was changed: ARNs, where the operation names them.
    pub resources: Vec<String>,
    /// The client token of the call, where it has one.
    pub token: Option<String>,
    /// The ARN of the caller.
    pub caller: String,
    /// The id of the request that did it.
    pub request_id: String,
}
