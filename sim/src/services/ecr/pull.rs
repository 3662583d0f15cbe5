//! Pulling images, as ECS does when it starts a task.
//!
//! The main functions are [`pullable`] and [`is_built`].

use super::state::{Image, ImageId, ImageStatus};
use crate::world::{PlaceKey, World};

/// The digest of the image that an image name means, where it is in this account and region's own registry, or in that of another
/// account or region that the world has such a repository in; none where it is not. Where the image is not there: the words with which ECS stops the task.
pub(crate) fn pullable(world: &World, at: &PlaceKey, image: &str) -> Result<Option<String>, String> {
    let missing = || {
        format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: \
             {image}: not found"
        )
    };
    match find(world, at, image) {
        NamedImage::Elsewhere => Ok(None),
        NamedImage::Nothing => Err(missing()),
        NamedImage::Image(found) if found.storage.status != ImageStatus::Active => Err(format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: \
             {image}: the image is archived"
        )),
        NamedImage::Image(image) => Ok(Some(image.digest.clone())),
    }
}

/// Whether a build of this world pushed the image of this name.
pub(crate) fn is_built(world: &World, at: &PlaceKey, image: &str) -> bool {
    match find(world, at, image) {
        NamedImage::Image(image) => image.built,
        NamedImage::Elsewhere | NamedImage::Nothing => false,
    }
}

/// What an image name means.
enum NamedImage<'w> {
    /// It is not of this registry.
    Elsewhere,
    Nothing,
    Image(&'w Image),
}

fn find<'w>(world: &'w World, at: &PlaceKey, image: &str) -> NamedImage<'w> {
    let Some((registry, name)) = image.split_once('/') else { return NamedImage::Elsewhere };
    let (repository, id) = parse(name);
    let own = registry == at.registry();
    let of_this_registry = world.places.iter().find(|(key, _)| key.registry() == registry);
    let repository = of_this_registry.and_then(|(_, place)| place.ecr.repositories.get(repository));
    if repository.is_none() && !own {
        return NamedImage::Elsewhere;
    }
    let image = repository.and_then(|repository| repository.image(&id));
    image.map_or(NamedImage::Nothing, NamedImage::Image)
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
#[expect(clippy::panic, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::worldfile::{WorldError, WorldFile};

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

    #[test]
    fn an_image_of_this_registry_is_there_or_not() -> Result<(), WorldError> {
        let text = "account = '111111111111'\nregion = 'us-west-2'\n[[repositories]]\nname = 'web'\n\
            images = [{ tags = ['v1'] }]";
        let world = WorldFile::parse(text)?.world(Timestamp(1_000));
        let registry = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
        let pull = |image: &str| pullable(&world, &world.home, image);
        let Ok(Some(digest)) = pull(&format!("{registry}/web:v1")) else { panic!("v1 is there") };
        assert_eq!(pull(&format!("{registry}/web@{digest}")), Ok(Some(digest.clone())));
        assert_eq!(pull("public.ecr.aws/nginx/nginx:latest"), Ok(None));
        assert_eq!(pull(&format!("222222222222{}/web:v1", registry.trim_start_matches('1'))), Ok(None));
        for missing in ["web:v2", "web", "api:v1", "web@sha256:aa"] {
            let name = format!("{registry}/{missing}");
            assert!(
                pull(&name).is_err_and(|text| {
                    text.starts_with("CannotPullContainerError: ") && text.ends_with(&format!("{name}: not found"))
                }),
                "{missing}"
            );
        }
        assert!(!is_built(&world, &world.home, &format!("{registry}/web:v1")));
        Ok(())
    }
}
