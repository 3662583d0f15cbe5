//! Lists of images.
//!
//! The main functions are [`describe_images`] and [`list_images`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::findings::{Severity, counts};
use super::state::{Image, ImageId, ScanStatus, enter, find, find_image, invalid, invalid_token, page_size};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TagStatus {
    Tagged,
    Untagged,
    #[default]
    Any,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ImageStatus {
    #[default]
    Active,
    Archived,
    Activating,
    Any,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageFilter {
    #[serde(default)]
    tag_status: TagStatus,
    #[serde(default)]
    image_status: ImageStatus,
}

impl ImageFilter {
    fn wants(&self, image: &Image) -> bool {
        let status = match self.image_status {
            ImageStatus::Active => image.archived.is_none(),
            ImageStatus::Archived => image.archived.is_some(),
            // An image of the simulator never comes back.
            ImageStatus::Activating => false,
            ImageStatus::Any => true,
        };
        status
            && match self.tag_status {
                TagStatus::Tagged => !image.tags.is_empty(),
                TagStatus::Untagged => image.tags.is_empty(),
                TagStatus::Any => true,
            }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImages {
    registry_id: Option<String>,
    repository_name: String,
    image_ids: Option<Vec<ImageId>>,
    next_token: Option<String>,
    max_results: Option<usize>,
    filter: Option<ImageFilter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageDetails {
    image_details: Vec<ImageDetail>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageDetail {
    registry_id: String,
    repository_name: String,
    image_digest: String,
    image_tags: Option<Vec<String>>,
    image_size_in_bytes: u64,
    image_pushed_at: Timestamp,
    image_scan_status: Option<ImageScanStatus>,
    image_scan_findings_summary: Option<FindingsSummary>,
    image_manifest_media_type: String,
    artifact_media_type: Option<String>,
    last_recorded_pull_time: Option<Timestamp>,
    image_status: &'static str,
    last_archived_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct ImageScanStatus {
    pub(super) status: ScanStatus,
    pub(super) description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingsSummary {
    image_scan_completed_at: Timestamp,
    vulnerability_source_updated_at: Timestamp,
    finding_severity_counts: BTreeMap<Severity, u64>,
}

impl ImageDetail {
    fn of(image: &Image, registry: &str, repository: &str) -> Self {
        let scan = image.scan.as_ref();
        let completed = scan.and_then(|scan| scan.completed.map(|at| (scan, at)));
        Self {
            registry_id: registry.to_owned(),
            repository_name: repository.to_owned(),
            image_digest: image.digest.clone(),
            image_tags: (!image.tags.is_empty()).then(|| image.tags.clone()),
            image_size_in_bytes: image.size,
            image_pushed_at: image.pushed,
            image_scan_status: scan
                .map(|scan| ImageScanStatus { status: scan.status, description: scan.description.clone() }),
            image_scan_findings_summary: completed.map(|(scan, at)| FindingsSummary {
                image_scan_completed_at: at,
                vulnerability_source_updated_at: at,
                finding_severity_counts: counts(&scan.findings),
            }),
            image_manifest_media_type: image.media_type.clone(),
            artifact_media_type: image.artifact_media_type.clone(),
            last_recorded_pull_time: image.pulled,
            image_status: if image.archived.is_some() { "ARCHIVED" } else { "ACTIVE" },
            last_archived_at: image.archived,
        }
    }
}

pub(super) fn describe_images(ctx: &mut Ctx<'_>, input: DescribeImages) -> Result<ImageDetails, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, registry) = (input.repository_name, ctx.at.account.clone());
    find(ctx, &name)?;
    if let Some(ids) = input.image_ids {
        if input.max_results.is_some() || input.next_token.is_some() {
            return Err(invalid("Invalid parameter: pages are not for images that are named"));
        }
        let mut image_details: Vec<ImageDetail> = Vec::new();
        for id in &ids {
            let image = find_image(ctx, &name, id)?;
            // Tag and digest may name the same image: it is answered once.
            if image_details.iter().all(|other| other.image_digest != image.digest) {
                image_details.push(ImageDetail::of(&image, &registry, &name));
            }
        }
        return Ok(ImageDetails { image_details, next_token: None });
    }
    let size = page_size(input.max_results)?;
    let filter = input.filter.unwrap_or_default();
    let images = find(ctx, &name)?.images.values().filter(|image| filter.wants(image));
    let images = images.map(|image| ImageDetail::of(image, &registry, &name)).collect();
    let list = format!("ecr:images:{name}");
    let (image_details, next_token) = ctx
        .page(&list, images, size, input.next_token.as_deref(), |image: &ImageDetail| &image.image_digest)
        .map_err(invalid_token)?;
    Ok(ImageDetails { image_details, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListImages {
    registry_id: Option<String>,
    repository_name: String,
    next_token: Option<String>,
    max_results: Option<usize>,
    filter: Option<ImageFilter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageIds {
    image_ids: Vec<ImageId>,
    next_token: Option<String>,
}

pub(super) fn list_images(ctx: &mut Ctx<'_>, input: ListImages) -> Result<ImageIds, AwsError> {
    enter(ctx, input.registry_id)?;
    let name = input.repository_name;
    let size = page_size(input.max_results)?;
    let filter = input.filter.unwrap_or_default();
    // Each with a name for its place in the list.
    let mut entries: Vec<(String, ImageId)> = Vec::new();
    for image in find(ctx, &name)?.images.values().filter(|image| filter.wants(image)) {
        let tags: Vec<Option<&String>> =
            if image.tags.is_empty() { vec![None] } else { image.tags.iter().map(Some).collect() };
        for tag in tags {
            let id = ImageId { image_digest: Some(image.digest.clone()), image_tag: tag.cloned() };
            entries.push((format!("{}:{}", image.digest, tag.map_or("", |tag| tag)), id));
        }
    }
    let list = format!("ecr:image-ids:{name}");
    let (entries, next_token) =
        ctx.page(&list, entries, size, input.next_token.as_deref(), |(key, _)| key).map_err(invalid_token)?;
    Ok(ImageIds { image_ids: entries.into_iter().map(|(_, id)| id).collect(), next_token })
}
