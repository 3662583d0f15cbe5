//! Pushing images.
//!
//! The main function is [`push`]: `PutImage`, builds and world files all go through it.

use std::collections::BTreeSet;

use super::layers::{self, Layer};
use super::manifest;
use super::replication;
use super::scans;
use super::state::{Image, ImageId, ImageStatus, Storage, find, invalid};
use crate::ctx::Scope;
use crate::error::AwsError;

/// Who pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody, by `PutImage`.
    Caller,
    /// A build of this world.
    Build,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    pub(crate) digest: String,
    pub(super) media_type: String,
    /// The bytes of the manifest itself.
    pub(crate) manifest_size: usize,
    /// The repository had this image with this tag already: nothing was changed.
    pub(super) already: bool,
}

/// Push a manifest under a tag. A tag that another image has moves, unless it is immutable.
pub(super) fn put(
    scope: &mut Scope<'_>,
    repository: &str,
    manifest: &str,
    media_type: Option<&str>,
    tag: Option<&str>,
    origin: Origin,
) -> Result<Pushed, AwsError> {
    let (now, account) = (scope.now(), scope.at.account.clone());
    let digest = manifest::digest(manifest);
    let held = find(scope, repository)?;
    let facts = manifest::read(manifest, media_type).map_err(|reason| {
        invalid(format!("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{reason}'"))
    })?;
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(invalid(format!(
            "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression \
             '[a-zA-Z0-9-_.]+'': {tag}"
        )));
    }
    let pushed = Pushed {
        digest: digest.clone(),
        media_type: facts.media_type.clone(),
        manifest_size: manifest.len(),
        already: true,
    };
    let missing: BTreeSet<_> =
        facts.lists.iter().filter(|digest| !held.images.contains_key(*digest)).cloned().collect();
    if !missing.is_empty() {
        let message = format!(
            "Images with digests '{missing:?}' required for pushing image into repository with name '{repository}' in \
             the registry with id '{account}' do not exist"
        );
        return Err(AwsError::new("ReferencedImagesNotFoundException", message));
    }
    let missing = layers::missing(scope.world, &scope.at, repository, manifest);
    if !missing.is_empty() {
        let message = format!(
            "The layers with digests '{missing:?}' required for pushing image into repository with name '{repository}' in the registry \
             with id '{account}' do not exist"
        );
        return Err(AwsError::new("LayersNotFoundException", message));
    }
    let held = find(scope, repository)?;
    let archived = held.images.get(&digest).is_some_and(|image| image.storage.status != ImageStatus::Active);
    if !archived
        && held.images.get(&digest).is_some_and(|image| tag.is_none_or(|tag| image.tags.iter().any(|one| one == tag)))
    {
        return Ok(pushed);
    }
    let id = ImageId { image_digest: None, image_tag: tag.map(str::to_owned) };
    if let (Some(tag), Some(_)) = (tag, held.image(&id))
        && held.is_immutable(tag)
    {
        let message = format!(
            "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because \
             the tag is immutable."
        );
        return Err(AwsError::new("ImageTagAlreadyExistsException", message));
    }

    if let Some(tag) = tag {
        for image in held.images.values_mut() {
            image.tags.retain(|one| one != tag);
        }
    }
    let size = match facts.lists.iter().filter_map(|digest| held.images.get(digest)).map(|image| image.size).max() {
        Some(largest) => largest,
        None => facts.size,
    };
    let fresh = !held.images.contains_key(&digest);
    let image = held.images.entry(digest.clone()).or_insert_with(|| Image {
        digest: digest.clone(),
        tags: Vec::new(),
        manifest: manifest.to_owned(),
        media_type: facts.media_type,
        artifact_media_type: facts.artifact_media_type,
        lists: facts.lists,
        subject: facts.subject,
        size,
        pushed: now,
        pulled: None,
        storage: Storage::default(),
        built: origin == Origin::Build,
        replicas: Vec::new(),
        scan: None,
    });
    if tag.is_some_and(|tag| image.tags.iter().all(|one| one != tag)) {
        image.tags.extend(tag.map(str::to_owned));
    }
    // Whoever pushes an archived image has it back.
    if image.storage.status != ImageStatus::Active {
        image.storage.status = ImageStatus::Active;
        image.storage.activated = Some(now);
    }
    if fresh {
        scans::pushed(scope, repository, &digest);
        replication::pushed(scope, repository, &digest);
    }
    Ok(Pushed { already: false, ..pushed })
}

/// Whether an image may be tagged so.
pub(super) fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=300).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

/// Have the bytes of layers in a repository.
pub(super) fn hold(scope: &mut Scope<'_>, repository: &str, blobs: Vec<(String, Vec<u8>)>) -> Result<(), AwsError> {
    let held = find(scope, repository)?;
    held.layers.extend(blobs.into_iter().map(|(digest, content)| {
        let layer = Layer { size: content.len() as u64, content: content.into() };
        (digest, layer)
    }));
    Ok(())
}

/// Push the image that a build made of `source`: the same source gives the same image. The same image under the same tag
/// again is fine; what the registry refuses is told in its words.
pub(crate) fn push(
    scope: &mut Scope<'_>,
    repository: &str,
    source: &str,
    size: u64,
    content: bool,
    tag: &str,
) -> Result<Pushed, String> {
    if !is_tag(tag) {
        return Err("invalid reference format".to_owned());
    }
    let manifest = if content {
        let made = manifest::make_whole(source, size);
        hold(scope, repository, made.blobs).map_err(|error| error.message)?;
        made.manifest
    } else {
        manifest::make(source, size)
    };
    put(scope, repository, &manifest, None, Some(tag), Origin::Build).map_err(|error| error.message)
}
