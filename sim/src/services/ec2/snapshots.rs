//! Snapshots are listed and deleted.
//!
//! The main functions are [`describe_snapshots`] and [`delete_snapshot`].

use serde::{Deserialize, Serialize};

use super::errors::{missing, no_token};
use super::filters::{Filter, FilterBy, keep};
use super::image::ImageState;
use super::snapshot::{Snapshot, SnapshotState};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;
use crate::tags::{SmallTag, listed};

/// The most snapshots of a page.
const PAGE: usize = 1000;

const FILTERS: &[FilterBy<Snapshot>] = &[
    ("snapshot-id", |snapshot| vec![snapshot.id.clone()]),
    ("description", |snapshot| vec![snapshot.description.clone()]),
    ("encrypted", |snapshot| vec![snapshot.encrypted.to_string()]),
    ("owner-id", |snapshot| vec![snapshot.owner.clone()]),
    ("status", |snapshot| vec![word(snapshot.state).to_owned()]),
    ("volume-id", |snapshot| vec![snapshot.volume.clone()]),
    ("volume-size", |snapshot| vec![snapshot.size.to_string()]),
];

fn word(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::Pending => "pending",
        SnapshotState::Completed => "completed",
        SnapshotState::Error => "error",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSnapshots {
    #[serde(default)]
    snapshot_id: Vec<String>,
    #[serde(default)]
    owner: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSnapshotsOutput {
    snapshot_set: Vec<SnapshotView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotView {
    snapshot_id: String,
    volume_id: String,
    status: &'static str,
    start_time: Timestamp,
    progress: &'static str,
    owner_id: String,
    volume_size: u64,
    full_snapshot_size_in_bytes: u64,
    description: String,
    encrypted: bool,
    kms_key_id: Option<String>,
    storage_tier: &'static str,
    tag_set: Option<Vec<SmallTag>>,
}

impl SnapshotView {
    fn of(snapshot: Snapshot) -> Self {
        Self {
            tag_set: Some(listed(&snapshot.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
            snapshot_id: snapshot.id,
            volume_id: snapshot.volume,
            status: word(snapshot.state),
            start_time: snapshot.started,
            progress: if snapshot.state == SnapshotState::Completed { "100%" } else { "0%" },
            owner_id: snapshot.owner,
            volume_size: snapshot.size,
            full_snapshot_size_in_bytes: snapshot.full_size,
            description: snapshot.description,
            encrypted: snapshot.encrypted,
            kms_key_id: snapshot.kms_key,
            storage_tier: "standard",
        }
    }
}

pub(super) fn describe_snapshots(
    ctx: &mut Ctx<'_>,
    input: DescribeSnapshots,
) -> Result<DescribeSnapshotsOutput, AwsError> {
    let account = ctx.at.account.clone();
    let mut snapshots: Vec<Snapshot> = ctx.place().ec2.snapshots.values().cloned().collect();
    for id in &input.snapshot_id {
        if !snapshots.iter().any(|snapshot| snapshot.id == *id) {
            return Err(missing("InvalidSnapshot.NotFound", "snapshot", id));
        }
    }
    snapshots.retain(|snapshot| {
        let owned = |owner: &String| if owner == "self" { snapshot.owner == account } else { snapshot.owner == *owner };
        (input.snapshot_id.is_empty() || input.snapshot_id.contains(&snapshot.id))
            && (input.owner.is_empty() || input.owner.iter().any(owned))
    });
    let snapshots = keep(snapshots, &input.filter, FILTERS, |snapshot| &snapshot.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:snapshots", snapshots, size, input.next_token.as_deref(), |snapshot: &Snapshot| &snapshot.id)
        .map_err(no_token)?;
    Ok(DescribeSnapshotsOutput { snapshot_set: page.into_iter().map(SnapshotView::of).collect(), next_token })
}

/// The images that are there and made of a snapshot.
pub(super) fn images_of(scope: &mut Scope<'_>, snapshot: &str) -> Vec<String> {
    let images = scope.place().ec2.images.values().filter(|image| image.state != ImageState::Deregistered);
    let made = images.filter(|image| image.devices.iter().any(|device| device.snapshot.as_deref() == Some(snapshot)));
    made.map(|image| image.id.clone()).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSnapshot {
    snapshot_id: String,
}

pub(super) fn delete_snapshot(ctx: &mut Ctx<'_>, input: DeleteSnapshot) -> Result<Empty, AwsError> {
    let id = input.snapshot_id;
    if !ctx.place().ec2.snapshots.contains_key(&id) {
        return Err(missing("InvalidSnapshot.NotFound", "snapshot", &id));
    }
    if let Some(image) = images_of(ctx, &id).first() {
        let message = format!("The snapshot {id} is currently in use by {image}");
        return Err(AwsError::new("InvalidSnapshot.InUse", message));
    }
    ctx.place().ec2.snapshots.remove(&id);
    ctx.touch(id);
    Ok(Empty)
}
