//! Layers: whether they are there, getting them, and uploading them in parts.
//!
//! The main types are [`Layer`] and [`Upload`]. Images that a world file or a build makes up have layers without bytes, which can be
//! asked for and not got; those with `content`, and those that were uploaded, have them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest;
use super::state::{ImageStatus, Repository, enter, find, invalid};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::ids::sha256;
use crate::world::{PlaceKey, World};

/// The size of a part that ECR asks for, and the most that it takes.
const PART: u64 = 20 << 20;
/// The least size of a part, but for the last.
const LEAST: u64 = 5 << 20;
/// For how long what was given out to get a layer by is good.
const GOOD_FOR: std::time::Duration = std::time::Duration::from_secs(3600);

/// A layer, or the configuration of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Layer {
    pub(super) size: u64,
    #[serde(skip)]
    pub(super) content: Bytes,
}

/// A layer that is being uploaded.
#[derive(Debug, Clone, Default)]
pub(super) struct Upload {
    content: Vec<u8>,
    /// The sizes of its parts.
    parts: Vec<u64>,
}

/// What of the layers of a repository there is under a digest.
enum Known<'r> {
    Whole(&'r Layer),
    /// An image has it, and nobody made up its bytes.
    Named {
        size: u64,
        archived: bool,
    },
    Nothing,
}

fn known<'r>(repository: &'r Repository, digest: &str) -> Known<'r> {
    if let Some(layer) = repository.layers.get(digest) {
        return Known::Whole(layer);
    }
    let named = repository.images.values().find_map(|image| {
        let part = manifest::parts(&image.manifest).into_iter().find(|(part, _)| part == digest)?;
        Some(Known::Named { size: part.1, archived: image.storage.status != ImageStatus::Active })
    });
    named.unwrap_or(Known::Nothing)
}

/// The layers of a manifest that a push must find in the repository and does not: those whose bytes there are somewhere in the world. A
/// manifest that somebody made up has layers that nobody ever had.
pub(super) fn missing(world: &World, at: &PlaceKey, repository: &str, manifest: &str) -> BTreeSet<String> {
    let held = world.places.get(at).and_then(|place| place.ecr.repositories.get(repository));
    let here = |digest: &String| held.is_some_and(|held| held.layers.contains_key(digest));
    let anywhere = |digest: &String| {
        let all = world.places.values().flat_map(|place| place.ecr.repositories.values());
        all.into_iter().any(|held| held.layers.contains_key(digest))
    };
    let parts = manifest::parts(manifest).into_iter().map(|(digest, _)| digest);
    parts.filter(|digest| !here(digest) && anywhere(digest)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchCheckLayerAvailability {
    registry_id: Option<String>,
    repository_name: String,
    layer_digests: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct BatchCheckLayerAvailabilityOutput {
    layers: Vec<LayerOutput>,
    failures: Vec<LayerFailure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerOutput {
    layer_digest: String,
    layer_availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_size: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerFailure {
    layer_digest: String,
    failure_code: &'static str,
    failure_reason: &'static str,
}

pub(super) fn batch_check_layer_availability(
    ctx: &mut Ctx<'_>,
    input: BatchCheckLayerAvailability,
) -> Result<BatchCheckLayerAvailabilityOutput, AwsError> {
    if !(1..=100).contains(&input.layer_digests.len()) {
        return Err(invalid(
            "Invalid parameter at 'layerDigests' failed to satisfy constraint: 'Member must have length between 1 and 100'",
        ));
    }
    enter(ctx, input.registry_id)?;
    let repository = find(ctx, &input.repository_name)?;
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    for layer_digest in input.layer_digests {
        if !is_digest(&layer_digest) {
            let (failure_code, failure_reason) = ("InvalidLayerDigest", "The layer digest is not valid");
            failures.push(LayerFailure { layer_digest, failure_code, failure_reason });
            continue;
        }
        let (layer_availability, layer_size) = match known(repository, &layer_digest) {
            Known::Whole(layer) => ("AVAILABLE", Some(layer.size)),
            Known::Named { archived: true, size } => ("ARCHIVED", Some(size)),
            Known::Named { archived: false, size } => ("AVAILABLE", Some(size)),
            Known::Nothing => ("UNAVAILABLE", None),
        };
        layers.push(LayerOutput { layer_digest, layer_availability, layer_size });
    }
    Ok(BatchCheckLayerAvailabilityOutput { layers, failures })
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetDownloadUrlForLayer {
    registry_id: Option<String>,
    repository_name: String,
    layer_digest: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetDownloadUrlForLayerOutput {
    download_url: String,
    layer_digest: String,
}

pub(super) fn get_download_url_for_layer(
    ctx: &mut Ctx<'_>,
    input: GetDownloadUrlForLayer,
) -> Result<GetDownloadUrlForLayerOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, digest, account) = (input.repository_name, input.layer_digest, ctx.at.account.clone());
    match known(find(ctx, &name)?, &digest) {
        Known::Whole(_) => {}
        Known::Named { .. } => {
            let message = format!(
                "The layer with digest '{digest}' of the repository with name '{name}' was made up without bytes: say `content = true` of \
                 its image in the world file"
            );
            return Err(AwsError::new("LayerInaccessibleException", message));
        }
        Known::Nothing => {
            let message = format!(
                "The layers with digests '[{digest}]' required for pushing image into repository with name '{name}' in the registry with \
                 id '{account}' do not exist"
            );
            return Err(AwsError::new("LayersNotFoundException", message));
        }
    }
    let expires = ctx.now() + GOOD_FOR;
    let path = format!("{account}/{}/{name}/{digest}", ctx.at.region);
    let download_url = format!("{}{LAYERS}{path}?{}", ctx.origin, ticket(&path, expires));
    Ok(GetDownloadUrlForLayerOutput { download_url, layer_digest: digest })
}

/// Where layers are got: a path of the simulator itself, as AWS has a host of its own for them.
pub(crate) const LAYERS: &str = "/_kiln/layers/";

/// What stands behind the path: until when it is good, and that the simulator gave it out.
fn ticket(path: &str, expires: Timestamp) -> String {
    format!("X-Amz-Expires={}&X-Amz-Signature={}", expires.0, sha256(format!("{path} until {}", expires.0).as_bytes()))
}

/// The bytes of the layer that a path behind [`LAYERS`] and a query name, where these were given out and are good yet; otherwise the
/// status of the answer.
pub(crate) fn download(world: &World, path: &str, query: &str) -> Result<Bytes, u16> {
    let expires = query.strip_prefix("X-Amz-Expires=").and_then(|rest| rest.split('&').next()?.parse().ok());
    let expires = Timestamp(expires.ok_or(403_u16)?);
    if query != ticket(path, expires) || world.now >= expires {
        return Err(403);
    }
    let (account, rest) = path.split_once('/').ok_or(404_u16)?;
    let (region, rest) = rest.split_once('/').ok_or(404_u16)?;
    let (repository, digest) = rest.rsplit_once('/').ok_or(404_u16)?;
    let at = PlaceKey { account: account.to_owned(), region: region.to_owned() };
    let layer = world.places.get(&at).and_then(|place| place.ecr.repositories.get(repository)?.layers.get(digest));
    Ok(layer.ok_or(404_u16)?.content.clone())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitiateLayerUpload {
    registry_id: Option<String>,
    repository_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitiateLayerUploadOutput {
    upload_id: String,
    part_size: u64,
}

pub(super) fn initiate_layer_upload(
    ctx: &mut Ctx<'_>,
    input: InitiateLayerUpload,
) -> Result<InitiateLayerUploadOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let upload_id = ctx.world.ids.uuid("layer-upload");
    let repository = find(ctx, &input.repository_name)?;
    repository.uploads.insert(upload_id.clone(), Upload::default());
    // Nothing is there yet, and what nobody goes on with never will be.
    ctx.unchanged();
    Ok(InitiateLayerUploadOutput { upload_id, part_size: PART })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UploadLayerPart {
    registry_id: Option<String>,
    repository_name: String,
    upload_id: String,
    part_first_byte: u64,
    part_last_byte: u64,
    layer_part_blob: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UploadLayerPartOutput {
    registry_id: String,
    repository_name: String,
    upload_id: String,
    last_byte_received: u64,
}

pub(super) fn upload_layer_part(ctx: &mut Ctx<'_>, input: UploadLayerPart) -> Result<UploadLayerPartOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let registry_id = ctx.at.account.clone();
    let (name, upload_id) = (input.repository_name, input.upload_id);
    let part = STANDARD.decode(&input.layer_part_blob).map_err(|error| invalid(format!("layerPartBlob: {error}")))?;
    let repository = find(ctx, &name)?;
    let arn = repository.arn.clone();
    let Some(upload) = repository.uploads.get_mut(&upload_id) else { return Err(no_upload(&upload_id, &name)) };
    let (received, length) = (upload.content.len() as u64, part.len() as u64);
    let fits = input.part_first_byte == received
        && length > 0
        && length <= PART
        && input.part_last_byte.checked_add(1) == input.part_first_byte.checked_add(length);
    if !fits {
        let message = format!(
            "The layer part of bytes {} to {} with {length} bytes does not follow the last byte received, {received} bytes so far",
            input.part_first_byte, input.part_last_byte
        );
        let refused = AwsError::new("InvalidLayerPartException", message);
        let last = received.checked_sub(1).map(|last| ("lastValidByteReceived", Value::from(last)));
        let said = [("repositoryName", Value::from(name)), ("uploadId", Value::from(upload_id))];
        return Err(said.into_iter().chain(last).fold(refused, |refused, (member, value)| refused.with(member, value)));
    }
    upload.content.extend_from_slice(&part);
    upload.parts.push(length);
    let last_byte_received = upload.content.len() as u64 - 1;
    ctx.touch(arn);
    Ok(UploadLayerPartOutput { registry_id, repository_name: name, upload_id, last_byte_received })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompleteLayerUpload {
    registry_id: Option<String>,
    repository_name: String,
    upload_id: String,
    layer_digests: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompleteLayerUploadOutput {
    registry_id: String,
    repository_name: String,
    upload_id: String,
    layer_digest: String,
}

pub(super) fn complete_layer_upload(
    ctx: &mut Ctx<'_>,
    input: CompleteLayerUpload,
) -> Result<CompleteLayerUploadOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let registry_id = ctx.at.account.clone();
    let (name, upload_id) = (input.repository_name, input.upload_id);
    let repository = find(ctx, &name)?;
    let arn = repository.arn.clone();
    let Some(upload) = repository.uploads.get(&upload_id) else { return Err(no_upload(&upload_id, &name)) };
    let Some((_, all_but_last)) = upload.parts.split_last() else {
        return Err(AwsError::new(
            "EmptyUploadException",
            "The specified layer upload does not contain any layer parts.",
        ));
    };
    if all_but_last.iter().any(|part| *part < LEAST) {
        return Err(AwsError::new("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size."));
    }
    let digest = format!("sha256:{}", sha256(&upload.content));
    if !input.layer_digests.contains(&digest) {
        let message = "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the digest \
                       specified.";
        return Err(AwsError::new("InvalidLayerException", message));
    }
    if repository.layers.contains_key(&digest) {
        let message = format!("The layer with digest '{digest}' exists already in the repository with name '{name}'");
        return Err(AwsError::new("LayerAlreadyExistsException", message));
    }
    let content = repository.uploads.remove(&upload_id).map(|upload| Bytes::from(upload.content)).unwrap_or_default();
    repository.layers.insert(digest.clone(), Layer { size: content.len() as u64, content });
    ctx.touch(arn);
    Ok(CompleteLayerUploadOutput { registry_id, repository_name: name, upload_id, layer_digest: digest })
}

fn no_upload(id: &str, repository: &str) -> AwsError {
    AwsError::new(
        "UploadNotFoundException",
        format!("The upload with id '{id}' of the repository with name '{repository}' does not exist"),
    )
}

/// Layers of a repository by their digests.
pub(super) type Layers = BTreeMap<String, Layer>;
