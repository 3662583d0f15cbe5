//! Images and snapshots: what there is, who may launch it, what names it.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`DescribeImagesRequest`] is the plainest.

use super::ids::{IMAGE, SNAPSHOT, page, pairs, some, when};
use super::pages::{all, paged};
use super::wire;
use super::wire::{
    DescribeImageAttribute, DescribeImageReferences, DescribeImages, DescribeSnapshots, Filter as SentFilter,
    ImageAttributeAnswer, ImagesAnswer, ReferenceType, ReferencesAnswer, SnapshotsAnswer, TypeOption,
};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::batch;
use crate::aws::operation::{Read, heads};
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    DescribeImageReferencesRequest, DescribeImageReferencesResponse, DescribeImagesRequest, DescribeImagesResponse,
    DescribeLaunchPermissionRequest, DescribeLaunchPermissionResponse, DescribeSnapshotsRequest,
    DescribeSnapshotsResponse, Filter, Image, ImageDevice, ImageReference, Snapshot,
};

heads! {
    DescribeImagesRequest => DescribeImagesResponse: "ec2:DescribeImages" on |_, _| [];
    DescribeLaunchPermissionRequest => DescribeLaunchPermissionResponse:
        "ec2:DescribeImageAttribute" on |it, at| [IMAGE.arn(at, &it.image)];
    DescribeSnapshotsRequest => DescribeSnapshotsResponse: "ec2:DescribeSnapshots" on |_, _| [];
    DescribeImageReferencesRequest => DescribeImageReferencesResponse: "ec2:DescribeImageReferences" on |_, _| [];
}

paged! {
    "DescribeImages": DescribeImages => ImagesAnswer.images_set of wire::Image;
    "DescribeSnapshots": DescribeSnapshots => SnapshotsAnswer.snapshot_set of wire::Snapshot;
    "DescribeImageReferences": DescribeImageReferences => ReferencesAnswer.image_reference_set of wire::NamingResource;
}

/// The most items of a page.
const PAGE: u32 = 1000;

/// What references are looked for in. Types that EC2 learns later are told, too.
const VERSION_DEPTH: &str = "version-depth";

/// Filters, as they are sent: one without a value would be none.
pub(super) fn filters(filters: &[Filter]) -> Result<Vec<SentFilter>, AwsError> {
    if let Some(empty) = filters.iter().find(|filter| filter.name.is_empty() || filter.values.is_empty()) {
        return Err(invalid(format_args!("the filter {:?} has no name or no values", empty.name)));
    }
    let sent = |filter: &Filter| SentFilter { name: filter.name.clone(), value: filter.values.clone() };
    Ok(filters.iter().map(sent).collect())
}

impl Read for DescribeImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        IMAGE.check_all(&self.ids)?;
        let request = DescribeImages {
            image_id: self.ids.clone(),
            owner: self.owners.clone(),
            filter: filters(&self.filters)?,
            // What is deprecated can be launched all the same.
            include_deprecated: true,
            include_disabled: self.include_disabled,
            max_results: page(&self.ids, PAGE),
            next_token: None,
        };
        let images = all(aws, "images", request).await?;
        Ok(DescribeImagesResponse { images: images.into_iter().map(image).collect() })
    }
}

fn image(image: wire::Image) -> Image {
    Image {
        id: image.image_id,
        name: image.name.unwrap_or_default(),
        description: image.description.unwrap_or_default(),
        state: image.image_state,
        state_reason: image.state_reason.and_then(|reason| some(reason.message).or_else(|| some(reason.code))),
        owner: image.image_owner_id,
        created: when(image.creation_date),
        deprecated: when(image.deprecation_time),
        last_launched: when(image.last_launched_time),
        is_public: image.is_public,
        architecture: image.architecture,
        root_device: image.root_device_name.unwrap_or_default(),
        // What is no volume is storage of the machine, or nothing.
        devices: image.block_device_mapping.item.into_iter().filter_map(device).collect(),
        tags: pairs(image.tag_set),
        source_image: some(image.source_image_id),
        source_region: some(image.source_image_region),
        deregistration_protection: some(image.deregistration_protection).unwrap_or_else(|| "disabled".to_owned()),
    }
}

fn device(mapping: wire::Mapping) -> Option<ImageDevice> {
    let ebs = mapping.ebs?;
    Some(ImageDevice {
        name: mapping.device_name,
        snapshot: some(ebs.snapshot_id),
        size: ebs.volume_size,
        volume_type: ebs.volume_type.unwrap_or_default(),
        encrypted: ebs.encrypted,
        kms_key: some(ebs.kms_key_id),
    })
}

impl Read for DescribeLaunchPermissionRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        IMAGE.check(&self.image)?;
        let request = DescribeImageAttribute { image_id: self.image.clone(), attribute: "launchPermission" };
        let (answer, _) = aws.ec2().call::<_, ImageAttributeAnswer>("DescribeImageAttribute", &request).await?;
        let mut granted =
            DescribeLaunchPermissionResponse { accounts: Vec::new(), everybody: false, organizations: Vec::new() };
        for permission in answer.launch_permission.item {
            granted.accounts.extend(some(permission.user_id));
            granted.organizations.extend(some(permission.organization_arn));
            granted.organizations.extend(some(permission.organizational_unit_arn));
            // The only group that there is.
            granted.everybody |= some(permission.group).is_some();
        }
        Ok(granted)
    }
}

impl Read for DescribeSnapshotsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        SNAPSHOT.check_all(&self.ids)?;
        let request = DescribeSnapshots {
            snapshot_id: self.ids.clone(),
            owner: self.owners.clone(),
            filter: filters(&self.filters)?,
            max_results: page(&self.ids, PAGE),
            next_token: None,
        };
        let snapshots = all(aws, "snapshots", request).await?;
        Ok(DescribeSnapshotsResponse { snapshots: snapshots.into_iter().map(snapshot).collect() })
    }
}

fn snapshot(snapshot: wire::Snapshot) -> Snapshot {
    Snapshot {
        id: snapshot.snapshot_id,
        description: snapshot.description.unwrap_or_default(),
        state: snapshot.status,
        owner: snapshot.owner_id,
        started: when(snapshot.start_time),
        size: snapshot.volume_size,
        full_size: snapshot.full_snapshot_size_in_bytes,
        encrypted: snapshot.encrypted,
        kms_key: some(snapshot.kms_key_id),
        tier: some(snapshot.storage_tier).unwrap_or_else(|| "standard".to_owned()),
        tags: pairs(snapshot.tag_set),
    }
}

impl Read for DescribeImageReferencesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("images", &self.images, 10)?;
        IMAGE.check_all(&self.images)?;
        if !(1..=10_000).contains(&self.template_versions) {
            let message =
                format_args!("1 to 10000 versions of launch templates are looked at, not {}", self.template_versions);
            return Err(invalid(message));
        }
        let depth = TypeOption { option_name: VERSION_DEPTH, option_value: vec![self.template_versions.to_string()] };
        let request = DescribeImageReferences {
            image_id: self.images.clone(),
            include_all_resource_types: true,
            resource_type: vec![ReferenceType {
                resource_type: "ec2:LaunchTemplate",
                resource_type_option: vec![depth],
            }],
            max_results: Some(PAGE),
            next_token: None,
        };
        let references = all(aws, "references", request).await?;
        let reference = |reference: wire::NamingResource| ImageReference {
            image: reference.image_id,
            resource_type: reference.resource_type,
            arn: reference.arn,
        };
        Ok(DescribeImageReferencesResponse { references: references.into_iter().map(reference).collect() })
    }
}
