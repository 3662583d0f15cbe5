//! Reports of what other accounts do with an image.
//!
//! The main type is [`UsageReport`]. It is made of the world: instances and launch templates of other accounts that name the image, and what
//! the world file says of accounts that it does not describe.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::instance::InstanceState;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::tags::Tags;

/// The types of resources that use images.
pub(super) const INSTANCE: &str = "ec2:Instance";
pub(super) const TEMPLATE: &str = "ec2:LaunchTemplate";

/// Where a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReportState {
    /// It is being made.
    Pending,
    /// It is there.
    #[default]
    Available,
    /// It was not made.
    Error,
}

/// A report of an image's use.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UsageReport {
    pub(super) id: String,
    pub(super) image: String,
    pub(super) resource_types: Vec<String>,
    /// The accounts that it asks for: all, where there are none.
    pub(super) accounts: BTreeSet<String>,
    pub(super) state: ReportState,
    pub(super) created: Timestamp,
    pub(super) tags: Tags,
    /// How many resources of a type an account has, by account and type.
    #[serde(skip)]
    pub(super) entries: BTreeMap<(String, String), u64>,
}

/// A report has been made.
pub(super) fn is_made(scope: &mut Scope<'_>, id: &str) {
    let reports = &scope.place().ec2.usage_reports;
    let Some(report) = reports.get(id).filter(|report| report.state == ReportState::Pending).cloned() else { return };
    let entries = entries(scope, &report);
    if let Some(report) = scope.place().ec2.usage_reports.get_mut(id) {
        (report.state, report.entries) = (ReportState::Available, entries);
    }
}

/// What other accounts do with the image now.
pub(super) fn entries(scope: &mut Scope<'_>, report: &UsageReport) -> BTreeMap<(String, String), u64> {
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut add = |account: &str, resource: &str, count: u64| {
        let asked = report.resource_types.iter().any(|asked| asked == resource || asked == "all");
        if count > 0 && asked && (report.accounts.is_empty() || report.accounts.contains(account)) {
            *found.entry((account.to_owned(), resource.to_owned())).or_default() += count;
        }
    };
    let at = scope.at.clone();
    for (place, held) in scope.world.places.iter().filter(|(place, _)| place.region == at.region && **place != at) {
        let running = held
            .ec2
            .instances
            .values()
            .filter(|instance| instance.image == report.image && instance.state != InstanceState::Terminated);
        add(&place.account, INSTANCE, running.count() as u64);
        let naming = held.ec2.templates.values().filter(|template| {
            let mut versions = template.versions.values();
            versions.any(|version| version.data.get("ImageId").and_then(Value::as_str) == Some(&report.image))
        });
        add(&place.account, TEMPLATE, naming.count() as u64);
    }
    if let Some(image) = scope.place().ec2.images.get(&report.image) {
        for used in image.used_by.clone() {
            add(&used.account, &used.resource, used.count);
        }
    }
    found
}
