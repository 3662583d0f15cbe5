//! `DescribeImages`.
//!
//! The main function is [`describe_images`].

use serde::{Deserialize, Serialize};

use super::errors::{no_image, no_token};
use super::filters::{Filter, FilterBy, keep};
use super::image::{Device, ImageState, MachineImage};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, listed};

/// The most images of a page.
const PAGE: usize = 1000;

const FILTERS: &[FilterBy<MachineImage>] = &[
    ("image-id", |image| vec![image.id.clone()]),
    ("name", |image| vec![image.name.clone()]),
    ("description", |image| vec![image.description.clone()]),
    ("state", |image| vec![word(image.state).to_owned()]),
    ("is-public", |image| vec![image.public.to_string()]),
    ("owner-id", |image| vec![image.owner.clone()]),
    ("architecture", |image| vec![image.architecture.clone()]),
    ("source-image-id", |image| image.source.iter().map(|(source, _)| source.clone()).collect()),
    ("source-image-region", |image| image.source.iter().map(|(_, region)| region.clone()).collect()),
    ("block-device-mapping.snapshot-id", |image| {
        image.devices.iter().filter_map(|device| device.snapshot.clone()).collect()
    }),
    ("block-device-mapping.encrypted", |image| {
        image.devices.iter().map(|device| device.encrypted.to_string()).collect()
    }),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeMachineImages {
    #[serde(default)]
    image_id: Vec<String>,
    #[serde(default)]
    owner: Vec<String>,
    #[serde(default)]
    executable_by: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    include_deprecated: bool,
    #[serde(default)]
    include_disabled: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeMachineImagesOutput {
    images_set: Vec<ImageView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageView {
    image_id: String,
    image_location: String,
    image_state: &'static str,
    image_owner_id: String,
    creation_date: String,
    is_public: bool,
    architecture: String,
    image_type: &'static str,
    name: String,
    description: Option<String>,
    root_device_type: &'static str,
    root_device_name: Option<String>,
    block_device_mapping: Vec<MappingView>,
    virtualization_type: &'static str,
    hypervisor: &'static str,
    ena_support: bool,
    platform_details: &'static str,
    usage_operation: &'static str,
    tag_set: Option<Vec<SmallTag>>,
    state_reason: Option<ReasonView>,
    deprecation_time: Option<String>,
    last_launched_time: Option<String>,
    source_image_id: Option<String>,
    source_image_region: Option<String>,
    deregistration_protection: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MappingView {
    device_name: String,
    ebs: EbsView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EbsView {
    delete_on_termination: bool,
    snapshot_id: Option<String>,
    volume_size: u64,
    volume_type: String,
    encrypted: bool,
    kms_key_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasonView {
    code: &'static str,
    message: String,
}

impl MappingView {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            device_name: device.name.clone(),
            ebs: EbsView {
                delete_on_termination: true,
                snapshot_id: device.snapshot.clone(),
                volume_size: device.size,
                volume_type: device.volume_type.clone(),
                encrypted: device.encrypted,
                kms_key_id: device.kms_key.clone(),
            },
        }
    }
}

/// EC2's word for a state.
pub(super) fn word(state: ImageState) -> &'static str {
    match state {
        ImageState::Pending => "pending",
        ImageState::Available => "available",
        ImageState::Disabled => "disabled",
        ImageState::Failed => "failed",
        ImageState::Deregistered => "deregistered",
    }
}

impl ImageView {
    fn of(ctx: &Ctx<'_>, image: MachineImage) -> Self {
        let (deprecated, launched) = (image.deprecated, image.last_launched(ctx.now()));
        let own = image.owner == ctx.at.account;
        let source = image.source.clone();
        Self {
            image_location: format!("{}/{}", image.owner, image.name),
            image_id: image.id,
            image_state: word(image.state),
            image_owner_id: image.owner,
            creation_date: image.created.to_string(),
            is_public: image.public,
            architecture: image.architecture,
            image_type: "machine",
            name: image.name,
            description: Some(image.description).filter(|text| !text.is_empty()),
            root_device_type: "ebs",
            root_device_name: image.devices.first().map(|device| device.name.clone()),
            block_device_mapping: image.devices.iter().map(MappingView::of).collect(),
            virtualization_type: "hvm",
            hypervisor: "xen",
            ena_support: true,
            platform_details: "Linux/UNIX",
            usage_operation: "RunInstances",
            // Tags are seen by the account that set them.
            tag_set: Some(listed(&image.tags)).filter(|tags: &Vec<SmallTag>| own && !tags.is_empty()),
            state_reason: image.reason.map(|message| ReasonView { code: "Client.InternalError", message }),
            deprecation_time: deprecated.map(|at| at.to_string()),
            // Only the owner sees when it was launched.
            last_launched_time: launched.filter(|_| own).map(|at| at.to_string()),
            source_image_id: source.as_ref().map(|(source, _)| source.clone()),
            source_image_region: source.map(|(_, region)| region),
            deregistration_protection: if image.protected { "enabled-without-cooldown" } else { "disabled" },
        }
    }
}

/// The images that a call can see, in the order of their ids.
pub(super) fn seen(ctx: &Ctx<'_>) -> Vec<MachineImage> {
    let (region, account) = (&ctx.at.region, &ctx.at.account);
    let here = ctx.world.places.iter().filter(|(at, _)| at.region == *region);
    let images = here.flat_map(|(_, place)| place.ec2.images.values());
    let seen = images.filter(|image| image.state != ImageState::Deregistered && image.seen_by(account));
    let mut seen: Vec<MachineImage> = seen.cloned().collect();
    seen.sort_by(|a, b| a.id.cmp(&b.id));
    seen
}

pub(super) fn describe_images(
    ctx: &mut Ctx<'_>,
    input: DescribeMachineImages,
) -> Result<DescribeMachineImagesOutput, AwsError> {
    let (account, now) = (ctx.at.account.clone(), ctx.now());
    let mut images = seen(ctx);
    for id in &input.image_id {
        if !images.iter().any(|image| image.id == *id) {
            return Err(no_image(id));
        }
    }
    images.retain(|image| {
        let named = input.image_id.contains(&image.id);
        let own = image.owner == account;
        let owned = |owner: &String| match owner.as_str() {
            "self" => own,
            owner => image.owner == owner,
        };
        let executable = |by: &String| match by.as_str() {
            "self" => image.shared.contains(&account),
            "all" => image.public,
            account => image.shared.contains(account),
        };
        // The owner sees what is deprecated in any case; others, where they name it or ask for it.
        let fresh = own || named || input.include_deprecated || !image.is_deprecated(now);
        (input.image_id.is_empty() || named)
            && (input.owner.is_empty() || input.owner.iter().any(owned))
            && (input.executable_by.is_empty() || input.executable_by.iter().any(executable))
            && (image.state != ImageState::Disabled || input.include_disabled)
            && fresh
    });
    let images = keep(images, &input.filter, FILTERS, |image| &image.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:images", images, size, input.next_token.as_deref(), |image: &MachineImage| &image.id)
        .map_err(no_token)?;
    Ok(DescribeMachineImagesOutput {
        images_set: page.into_iter().map(|image| ImageView::of(ctx, image)).collect(),
        next_token,
    })
}
