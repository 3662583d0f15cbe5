//! Images: what a container's image text names, and whether it can be pulled.
//!
//! The main functions are [`pull`] and [`planted`]; ECR has the last word on repositories of this account.

use crate::ctx::Scope;
use crate::ids;
use crate::services::ecr::pullable;

/// The digest of an image, or the text of the error that pulling it ends with. An image of another registry always can
/// be pulled; where its text names no digest, it has one that is made of its text.
pub(super) fn pull(scope: &mut Scope<'_>, image: &str) -> Result<String, String> {
    let resolved = pullable(scope.world, &scope.at, image)?;
    Ok(resolved.or_else(|| named_digest(image)).unwrap_or_else(|| format!("sha256:{}", ids::sha256(image.as_bytes()))))
}

fn named_digest(image: &str) -> Option<String> {
    image.rsplit_once('@').map(|(_, digest)| digest.to_owned())
}

/// An image of a world file as a task definition names it. `web:release-41` is of the repository `web` of this account,
/// and is named by the digest that ECR has for it; whatever names a registry is left as it is.
pub(super) fn planted(scope: &mut Scope<'_>, given: &str) -> Result<String, String> {
    let registry = given.split_once('/').map(|(registry, _)| registry);
    if registry.is_some_and(|registry| registry.contains(['.', ':'])) {
        return Ok(given.to_owned());
    }
    let registry = scope.at.registry();
    let image = format!("{registry}/{given}");
    match pullable(scope.world, &scope.at, &image)? {
        Some(digest) => {
            let repository = given.split(['@', ':']).next().unwrap_or(given);
            Ok(format!("{registry}/{repository}@{digest}"))
        }
        None => Ok(image),
    }
}
