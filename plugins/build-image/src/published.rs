//! Decides whether the image that a tag names is the one that the build pushed.
//! The main function is [`judge`].
//!
//! A tag can be moved, and whoever follows it is surprised. From here on only the digest travels, so this is the place that
//! must not take another image for ours.

use kiln_plugin::aws::codebuild::Build;
use kiln_plugin::aws::ecr::ImageDetail;
use kiln_plugin::{Failure, Instant};

use crate::build::{EXPORTED_DIGEST, SECOND, failure, has_failed, may_have_pushed};
use crate::config::OnExistingTag;

/// The tag exists before the build: may its image be taken?
pub(crate) fn may_reuse(
    decision: OnExistingTag,
    repository: &str,
    tag: &str,
    existing: &ImageDetail,
) -> Result<(), Failure> {
    match decision {
        OnExistingTag::Reuse => Ok(()),
        OnExistingTag::Fail => {
            let pushed = existing.pushed.map(|at| format!(", pushed {}", Instant(at))).unwrap_or_default();
            Err(Failure::conflict(format!("the tag {repository}:{tag} exists already: it names {}{pushed}", existing.digest))
                .help("Tags name one image for ever. Build under another tag, or say `on-existing-tag = \"reuse\"` to take the image that is there."))
        }
    }
}

/// The build that failed and yet pushed the image, as far as ECR and CodeBuild tell: it was at work when the image was pushed, and
/// no build was that ended well or still goes on. The newest of several.
pub(crate) fn pushed_by_a_failed_build<'a>(builds: &'a [Build], image: &ImageDetail) -> Option<&'a Build> {
    let candidates: Vec<&Build> = builds.iter().filter(|build| may_have_pushed(build, image)).collect();
    let all_failed = candidates.iter().all(|build| has_failed(build));
    candidates.into_iter().filter(|_| all_failed).max_by_key(|build| build.started)
}

/// The tag names the image that a build pushed before it failed. Nobody takes that for a good one: what failed is told first.
pub(crate) fn of_a_failed_build(
    repository: &str,
    tag: &str,
    build: &Build,
    image: &ImageDetail,
    own: bool,
) -> Option<Failure> {
    let failed = failure(build)?;
    let whose = if own { "this run's own failed build" } else { "a failed build" };
    let pushed = image.pushed.map(|at| format!(" {}", Instant(at))).unwrap_or_default();
    let message = format!("the tag {repository}:{tag} is that of {whose}: {}", failed.message);
    Some(Failure { message, ..failed }
        .help(format!("Mend what failed, then build under another tag, or delete this one first: `aws ecr batch-delete-image --repository-name {repository} --image-ids imageTag={tag}`. Nothing takes the image of a failed build for a good one, not even `on-existing-tag = \"reuse\"`."))
        .detail(format!("{} was pushed{pushed}, while that build was at work", image.digest)))
}

/// The digest of the image that the build pushed, given what the tag names after it.
pub(crate) fn judge(
    repository: &str,
    tag: &str,
    build: &Build,
    tagged: Option<&ImageDetail>,
) -> Result<String, Failure> {
    let id = &build.id;
    let image = tagged.ok_or_else(|| {
        Failure::failed(format!("build {id} succeeded, but {repository} has no image with the tag {tag}"))
            .help("The build must push the image that it finds in the variable IMAGE_URI.")
    })?;
    let digest = &image.digest;
    if let Some(exported) = build.exported.iter().find(|variable| variable.name == EXPORTED_DIGEST) {
        // The build itself says what it pushed: no need to compare times.
        return if exported.value == *digest {
            Ok(digest.clone())
        } else {
            Err(moved(repository, tag)
                .detail(format!("build {id} pushed {}", exported.value))
                .detail(format!("the tag names {digest}")))
        };
    }
    let (Some(pushed), Some(started)) = (image.pushed, build.started) else {
        return Err(Failure::failed(format!("AWS does not say when {digest} was pushed or when build {id} started"))
            .help("Let the build export the digest that it pushed as the variable IMAGE_DIGEST."));
    };
    let times = [
        format!(
            "build {id}: {} to {}",
            Instant(started),
            build.ended.map(|at| Instant(at).to_string()).unwrap_or_default()
        ),
        format!("{digest} was pushed {}", Instant(pushed)),
    ];
    // ECR's times are whole seconds.
    if pushed.saturating_add(SECOND) < started {
        return Err(Failure::conflict(format!(
            "the tag {repository}:{tag} names an image that was pushed before build {id} started"
        ))
        .help("Somebody gave the tag to an older image. If the build is reproducible and the same image was there already, let it export the digest as the variable IMAGE_DIGEST.")
        .details(times));
    }
    if build.ended.is_some_and(|ended| pushed > ended.saturating_add(SECOND)) {
        return Err(moved(repository, tag).details(times));
    }
    Ok(digest.clone())
}

/// The last look: the image that is answered still bears the tag.
pub(crate) fn still_named(tag: &str, digest: &str, image: Option<&ImageDetail>) -> Result<(), Failure> {
    match image {
        Some(image) if image.tags.iter().any(|other| other == tag) => Ok(()),
        Some(_) => {
            Err(Failure::conflict(format!("the tag {tag} was taken from {digest} while the stage looked at it"))
                .help("Make the repository's tags immutable, and run it again under another tag."))
        }
        None => Err(Failure::conflict(format!("the image {digest} was deleted while the stage looked at it"))
            .help("Find out who deletes images, and run it again.")),
    }
}

fn moved(repository: &str, tag: &str) -> Failure {
    Failure::conflict(format!("the tag {repository}:{tag} was moved to another image since the build"))
        .help("Make the repository's tags immutable, and run it again under another tag.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tests::build;
    use kiln_plugin::FailureKind;
    use kiln_plugin::aws::codebuild::ExportedVariable;

    fn image(pushed: Option<u64>) -> ImageDetail {
        ImageDetail {
            digest: "sha256:aa".to_owned(),
            tags: vec!["v1".to_owned()],
            pushed,
            last_pulled: None,
            size: 1,
            media_type: None,
            scan_status: None,
        }
    }

    fn kind(result: Result<String, Failure>) -> Option<FailureKind> {
        result.err().map(|failure| failure.kind)
    }

    #[test]
    fn an_image_that_was_pushed_within_the_build_is_ours() {
        let build = build("SUCCEEDED");
        assert_eq!(judge("web", "v1", &build, Some(&image(Some(150_000)))), Ok("sha256:aa".to_owned()));
        assert!(judge("web", "v1", &build, Some(&image(Some(99_000)))).is_ok(), "ECR rounds to seconds");
    }

    #[test]
    fn an_image_of_another_time_is_not() {
        let build = build("SUCCEEDED");
        assert_eq!(kind(judge("web", "v1", &build, Some(&image(Some(98_000))))), Some(FailureKind::Conflict));
        assert_eq!(kind(judge("web", "v1", &build, Some(&image(Some(202_000))))), Some(FailureKind::Conflict));
        assert_eq!(kind(judge("web", "v1", &build, Some(&image(None)))), Some(FailureKind::Failed));
        assert_eq!(kind(judge("web", "v1", &build, None)), Some(FailureKind::Failed));
    }

    #[test]
    fn what_the_build_exports_decides() {
        let mut build = build("SUCCEEDED");
        let exports =
            |digest: &str| vec![ExportedVariable { name: "IMAGE_DIGEST".to_owned(), value: digest.to_owned() }];
        build.exported = exports("sha256:aa");
        assert!(judge("web", "v1", &build, Some(&image(Some(1)))).is_ok(), "a reproducible build of an older image");
        build.exported = exports("sha256:bb");
        assert_eq!(kind(judge("web", "v1", &build, Some(&image(Some(150_000))))), Some(FailureKind::Conflict));
    }

    #[test]
    fn an_existing_tag_is_refused_unless_it_may_be_reused() {
        let existing = image(Some(1_795_430_096_000));
        assert!(may_reuse(OnExistingTag::Reuse, "web", "v1", &existing).is_ok());
        let failure = may_reuse(OnExistingTag::Fail, "web", "v1", &existing).err();
        assert_eq!(
            failure.map(|failure| failure.message),
            Some("the tag web:v1 exists already: it names sha256:aa, pushed 2026-11-23T10:34:56Z".to_owned())
        );
    }

    fn at(id: &str, status: &str, started: u64, ended: u64) -> Build {
        Build { id: id.to_owned(), started: Some(started), ended: Some(ended), ..build(status) }
    }

    #[test]
    fn an_image_that_was_pushed_while_only_failed_builds_were_at_work_is_of_one() {
        let image = image(Some(150_000));
        let failed = at("failed", "FAILED", 100_000, 200_000);
        let found = |builds: &[Build]| pushed_by_a_failed_build(builds, &image).map(|build| build.id.clone());
        assert_eq!(found(&[]), None);
        assert_eq!(found(std::slice::from_ref(&failed)), Some("failed".to_owned()));
        assert_eq!(found(&[at("later", "FAILED", 160_000, 200_000)]), None, "it began after the push");
        assert_eq!(found(&[at("before", "FAILED", 100_000, 148_000)]), None, "it had ended");
        assert_eq!(
            found(&[failed.clone(), at("good", "SUCCEEDED", 140_000, 190_000)]),
            None,
            "it may be the good one's"
        );
        assert_eq!(found(&[failed.clone(), at("now", "IN_PROGRESS", 140_000, 190_000)]), None);
        let stopped = at("stopped", "STOPPED", 120_000, 160_000);
        assert_eq!(found(&[failed.clone(), stopped]), Some("stopped".to_owned()), "the newest");

        let mut other = failed;
        other.exported = vec![ExportedVariable { name: "IMAGE_DIGEST".to_owned(), value: "sha256:bb".to_owned() }];
        assert_eq!(found(&[other]), None, "it says that it pushed another");
    }

    #[test]
    fn the_image_of_a_failed_build_is_refused_with_what_failed() {
        let failure = of_a_failed_build("web", "v1", &build("FAILED"), &image(Some(150_000)), true);
        let failure = failure.unwrap_or_else(|| unreachable!("it failed"));
        assert_eq!(failure.kind, FailureKind::Failed);
        assert_eq!(failure.message, "the tag web:v1 is that of this run's own failed build: build web-image:1 failed");
        assert_eq!(failure.details, ["sha256:aa was pushed 1970-01-01T00:02:30Z, while that build was at work"]);
        assert_eq!(of_a_failed_build("web", "v1", &build("SUCCEEDED"), &image(None), true), None);
    }

    #[test]
    fn a_tag_that_wanders_off_is_noticed() {
        assert!(still_named("v1", "sha256:aa", Some(&image(None))).is_ok());
        assert!(still_named("v2", "sha256:aa", Some(&image(None))).is_err());
        assert!(still_named("v1", "sha256:aa", None).is_err());
    }
}
