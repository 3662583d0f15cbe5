//! Pulling images, as ECS does when it starts a task.
//!
//! The main function is [`pullable`].

use super::store::ImageId;
use crate::ctx::Scope;

/// The digest of the image that an image name means, where it is in this account and region's own registry; none where
/// it is not. Where the image is not there: the words with which ECS stops the task. A pull that succeeds is recorded.
pub(crate) fn pullable(scope: &mut Scope<'_>, image: &str) -> Result<Option<String>, String> {
    let now = scope.now();
    let domain = if scope.at.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let registry = format!("{}.dkr.ecr.{}.{domain}/", scope.at.account, scope.at.region);
    let Some(name) = image.strip_prefix(&registry) else { return Ok(None) };
    let (repository, id) = parse(name);
    let missing = || {
        format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: \
             {image}: not found"
        )
    };
    let held = scope.place().ecr.repositories.get_mut(repository).ok_or_else(missing)?;
    let digest = held.image(&id).map(|image| image.digest.clone()).ok_or_else(missing)?;
    if let Some(image) = held.images.get_mut(&digest) {
        image.pulled = Some(now);
    }
    Ok(Some(digest))
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
