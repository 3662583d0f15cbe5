//! Snapshots of volumes.
//!
//! The main type is [`Snapshot`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::tags::Tags;

/// Where a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SnapshotState {
    /// It is being made.
    Pending,
    /// It is there.
    #[default]
    Completed,
    /// It was not made.
    Error,
}

/// A snapshot of a volume.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) description: String,
    pub(crate) state: SnapshotState,
    pub(crate) started: Timestamp,
    /// The volume's size in GiB.
    pub(crate) size: u64,
    /// All that it holds, in bytes.
    pub(crate) full_size: u64,
    pub(crate) encrypted: bool,
    /// The key's ARN.
    pub(crate) kms_key: Option<String>,
    pub(crate) volume: String,
    pub(crate) tags: Tags,
}
