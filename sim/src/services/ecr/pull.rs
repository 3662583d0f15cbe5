//! Pulling images, as ECS does when it starts a task.
//!
//! The main functions are [`pullable`] and [`is_built`].

use super::store::{Image, ImageId};
use crate::world::{PlaceKey, World};

/// The digest of the image that an image name means, where it is in this account and region's own registry; none where
/// it is not. Where the image is not there: the words with which ECS stops the task.
pub(crate) fn pullable(world: &World, at: &PlaceKey, image: &str) -> Result<Option<String>, String> {
    let missing = || {
        format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: \
             {image}: not found"
        )
    };
    match find(world, at, image) {
        Found::Elsewhere => Ok(None),
        Found::Nothing => Err(missing()),
        Found::Image(image) => Ok(Some(image.digest.clone())),
    }
}

/// Whether a build of this world pushed the image of this name.
pub(crate) fn is_built(world: &World, at: &PlaceKey, image: &str) -> bool {
    match find(world, at, image) {
        Found::Image(image) => image.built,
        Found::Elsewhere | Found::Nothing => false,
    }
}

/// What an image name means.
enum Found<'w> {
    /// It is not of this registry.
    Elsewhere,
    Nothing,
    Image(&'w Image),
}

fn find<'w>(world: &'w World, at: &PlaceKey, image: &str) -> Found<'w> {
    let domain = if at.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let registry = format!("{}.dkr.ecr.{}.{domain}/", at.account, at.region);
    let Some(name) = image.strip_prefix(&registry) else { return Found::Elsewhere };
    let (repository, id) = parse(name);
    let repository = world.places.get(at).and_then(|place| place.ecr.repositories.get(repository));
    repository.and_then(|repository| repository.image(&id)).map_or(Found::Nothing, Found::Image)
}

/// `NAME`, `NAME:TAG`, `NAME@DIGEST` or `NAME:TAG@DIGEST`, of which the digest counts; the tag is `latest` where neither
/// is said.
fn parse(name: &str) -> (&str, ImageId) {
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (name, None),
    };
    let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
    let tag = digest.is_none().then(|| tag.to_owned());
    (repository, ImageId { image_digest: digest, image_tag: tag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_name_counts_before_its_tag() {
        let id = |digest: Option<&str>, tag: Option<&str>| ImageId {
            image_digest: digest.map(str::to_owned),
            image_tag: tag.map(str::to_owned),
        };
        assert_eq!(parse("a/web"), ("a/web", id(None, Some("latest"))));
        assert_eq!(parse("web:1.2"), ("web", id(None, Some("1.2"))));
        assert_eq!(parse("web@sha256:aa"), ("web", id(Some("sha256:aa"), None)));
        assert_eq!(parse("web:1@sha256:aa"), ("web", id(Some("sha256:aa"), None)));
    }
}
