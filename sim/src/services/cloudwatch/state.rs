//! What CloudWatch holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::alarm::Alarm;
use super::history::HistoryItem;
use super::mutes::MuteRule;
use super::samples::Samples;
use super::seeds::Scripted;

/// What CloudWatch holds in an account's region.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) alarms: BTreeMap<String, Alarm>,
    pub(super) metrics: Samples,
    /// Rules that mute alarms.
    pub(super) mutes: BTreeMap<String, MuteRule>,
    /// Newest last.
    #[serde(skip)]
    pub(super) history: Vec<HistoryItem>,
    /// What alarms of the world file do when a service is deployed.
    #[serde(skip)]
    pub(super) scripts: Vec<Scripted>,
    /// How often each service was deployed, by `CLUSTER/SERVICE`.
    #[serde(skip)]
    pub(super) deployments: BTreeMap<String, u64>,
}
