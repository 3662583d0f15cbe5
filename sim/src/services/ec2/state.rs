//! What EC2 holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::capacity::CapacityLimit;
use super::image::MachineImage;
use super::instance::{Behaviour, Instance};
use super::network::{SecurityGroup, Subnet};
use super::snapshot::Snapshot;
use super::template::Template;
use super::usage::UsageReport;

/// What EC2 holds in an account's region, by id.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) images: BTreeMap<String, MachineImage>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) templates: BTreeMap<String, Template>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) subnets: BTreeMap<String, Subnet>,
    pub(super) security_groups: BTreeMap<String, SecurityGroup>,
    pub(super) usage_reports: BTreeMap<String, UsageReport>,
    /// How many instances there is room for.
    #[serde(skip)]
    pub(super) limits: Vec<CapacityLimit>,
    /// How instances of an image do.
    #[serde(skip)]
    pub(super) behaviours: Vec<Behaviour>,
}

impl State {
    /// The image of an id that this place has, whatever became of it.
    pub(crate) fn held(&self, id: &str) -> Option<&MachineImage> {
        self.images.get(id)
    }

    /// All images that this place has.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MachineImage> {
        self.images.values()
    }
}
