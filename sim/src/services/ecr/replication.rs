//! Replication: what a registry copies to others by itself, as the world file says.
//!
//! The main type is [`Replica`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::state::{ImageId, Repository, enter, find_image};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::world::PlaceKey;

/// Where a repository's images go by themselves, and how long that takes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Destination {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) takes: Duration,
    /// Why it fails.
    pub(super) fails: Option<String>,
}

/// An image on its way to a destination.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Replica {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) status: ReplicaStatus,
    pub(super) code: Option<String>,
    pub(super) began: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ReplicaStatus {
    InProgress,
    Complete,
    Failed,
}

/// An image was pushed: it goes where the repository's images go.
pub(super) fn pushed(scope: &mut Scope<'_>, repository: &str, digest: &str) {
    let now = scope.now();
    let Some(held) = scope.place().ecr.repositories.get_mut(repository) else { return };
    let destinations = held.destinations.clone();
    let Some(image) = held.images.get_mut(digest) else { return };
    for Destination { account, region, .. } in &destinations {
        let (account, region) = (account.clone(), region.clone());
        image.replicas.push(Replica { account, region, status: ReplicaStatus::InProgress, code: None, began: now });
    }
    for (index, destination) in destinations.iter().enumerate() {
        let event = Event::Replicated { repository: repository.to_owned(), digest: digest.to_owned(), replica: index };
        scope.schedule(destination.takes, event);
    }
}

/// An image arrives at a destination, or does not.
pub(super) fn arrive(scope: &mut Scope<'_>, repository: &str, digest: &str, index: usize) {
    let Some(held) = scope.place().ecr.repositories.get_mut(repository) else { return };
    let fails = held.destinations.get(index).and_then(|destination| destination.fails.clone());
    let layers = held.layers.clone();
    let Some(image) = held.images.get_mut(digest) else { return };
    let copy = image.clone();
    let Some(replica) = image.replicas.get_mut(index) else { return };
    if let Some(code) = fails {
        (replica.status, replica.code) = (ReplicaStatus::Failed, Some(code));
        return;
    }
    replica.status = ReplicaStatus::Complete;
    let to = PlaceKey { account: replica.account.clone(), region: replica.region.clone() };
    let now = scope.now();
    let there = &mut Scope { world: &mut *scope.world, at: to };
    let made = Repository::new(there, repository);
    // ECR makes the repository where there is none.
    let held = there.place().ecr.repositories.entry(repository.to_owned()).or_insert(made);
    for (part, _) in super::manifest::parts(&copy.manifest) {
        if let Some(layer) = layers.get(&part) {
            held.layers.entry(part).or_insert_with(|| layer.clone());
        }
    }
    for other in held.images.values_mut() {
        other.tags.retain(|tag| !copy.tags.contains(tag));
    }
    let copy = super::state::Image { pushed: now, pulled: None, replicas: Vec::new(), scan: None, ..copy };
    held.images.insert(digest.to_owned(), copy);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImageReplicationStatus {
    registry_id: Option<String>,
    repository_name: String,
    image_id: ImageId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImageReplicationStatusOutput {
    repository_name: String,
    image_id: ImageId,
    replication_statuses: Vec<StatusOutput>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOutput {
    region: String,
    registry_id: String,
    status: ReplicaStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<String>,
}

pub(super) fn describe_image_replication_status(
    ctx: &mut Ctx<'_>,
    input: DescribeImageReplicationStatus,
) -> Result<DescribeImageReplicationStatusOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let name = input.repository_name;
    let image = find_image(ctx, &name, &input.image_id)?;
    let replication_statuses = image.replicas.iter().map(|replica| StatusOutput {
        region: replica.region.clone(),
        registry_id: replica.account.clone(),
        status: replica.status,
        failure_code: replica.code.clone(),
    });
    let replication_statuses = replication_statuses.collect();
    let image_id = ImageId { image_digest: Some(image.digest.clone()), image_tag: input.image_id.image_tag };
    Ok(DescribeImageReplicationStatusOutput { repository_name: name, image_id, replication_statuses })
}
