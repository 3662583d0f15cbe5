//! What became of calls of ECR whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, SENT, before, fate, hermetic, in_words};
use crate::aws::operation::Write;
use crate::contract::bindings::kiln::aws_ecr::ecr::{
    BatchDeleteImageRequest, BatchDeleteImageResponse, ImageFailure, ImageId, PutImageRequest, StartImageScanRequest,
};
use crate::contract::bindings::kiln::aws_ecr_storage::ecr_storage::UpdateImageStorageClassRequest;

fn tagged(tag: &str) -> ImageId {
    ImageId { digest: None, tag: Some(tag.to_owned()) }
}

fn digest(digest: &str) -> ImageId {
    ImageId { digest: Some(format!("sha256:{digest}")), tag: None }
}

/// What a tag names.
fn named(tag: &str, digest: &str) -> ImageId {
    ImageId { digest: Some(format!("sha256:{digest}")), tag: Some(tag.to_owned()) }
}

fn missing(id: ImageId) -> ImageFailure {
    failure(id, "ImageNotFound", "Requested image not found")
}

fn failure(id: ImageId, code: &str, reason: &str) -> ImageFailure {
    ImageFailure { id, code: code.to_owned(), reason: reason.to_owned() }
}

fn wire(id: &ImageId) -> Value {
    match (&id.digest, &id.tag) {
        (Some(digest), Some(tag)) => json!({ "imageDigest": digest, "imageTag": tag }),
        (Some(digest), None) => json!({ "imageDigest": digest }),
        (None, tag) => json!({ "imageTag": tag }),
    }
}

/// ECR holds the images `there`, and says of others what is to be said.
fn holds(there: &[ImageId], not: &[ImageFailure]) -> [Answer; 1] {
    let images: Vec<_> = there.iter().map(|id| json!({ "imageId": wire(id), "imageManifest": "{}" })).collect();
    let failure = |failure: &ImageFailure| json!({ "imageId": wire(&failure.id), "failureCode": failure.code, "failureReason": failure.reason });
    [Answer::ok(json!({ "images": images, "failures": not.iter().map(failure).collect::<Vec<_>>() }))]
}

/// Two images that are there, and one that is not.
fn deletion() -> BatchDeleteImageRequest {
    let images = vec![digest("0a"), tagged("v1"), tagged("gone")];
    BatchDeleteImageRequest { repository: "web".to_owned(), images }
}

async fn seen() -> Value {
    before(&deletion(), holds(&[digest("0a"), named("v1", "0b")], &[missing(tagged("gone"))])).await
}

fn answer(deleted: Vec<ImageId>, failures: Vec<ImageFailure>) -> BatchDeleteImageResponse {
    BatchDeleteImageResponse { deleted, failures }
}

/// The answer to [`deletion`] if it came.
fn all_done() -> BatchDeleteImageResponse {
    answer(vec![digest("0a"), named("v1", "0b")], vec![missing(tagged("gone"))])
}

#[test]
fn an_image_is_put_again_without_a_look() {
    hermetic(async {
        let request = PutImageRequest {
            repository: "web".to_owned(),
            manifest: "{}".to_owned(),
            media_type: None,
            tag: Some("v1".to_owned()),
        };
        // That it is there already is no error: `to_put_the_same_image_again_is_harmless`.
        assert_eq!(in_words(fate(&request, None, 1, []).await).0, "send again");
    });
}

#[test]
fn images_that_were_there_and_are_gone_were_deleted() {
    hermetic(async {
        let none = holds(&[], &[missing(digest("0a")), missing(tagged("v1")), missing(tagged("gone"))]);
        let (told, output) = in_words(fate(&deletion(), Some(&seen().await), 1, none).await);
        assert_eq!(told, "happened: none of the 2 images is there any more");
        assert_eq!(output, Some(all_done()), "what was not there before was not deleted");
    });
}

#[test]
fn images_that_are_all_there_were_not_deleted() {
    hermetic(async {
        let all = holds(&[digest("0a"), named("v1", "0b")], &[missing(tagged("gone"))]);
        let (told, _) = in_words(fate(&deletion(), Some(&seen().await), 1, all).await);
        assert_eq!(told, "not happened: all 2 images are still there");
    });
}

#[test]
fn of_a_deletion_that_was_half_done_nothing_is_missing_in_the_answer() {
    hermetic(async {
        let seen = seen().await;
        let half = holds(&[named("v1", "0b")], &[missing(digest("0a")), missing(tagged("gone"))]);
        assert_eq!(in_words(fate(&deletion(), Some(&seen), 1, half).await).0, "send again");

        let again = answer(vec![named("v1", "0b")], vec![missing(digest("0a")), missing(tagged("gone"))]);
        let amended = deletion().amend(Some(&seen), again.clone());
        assert_eq!(amended, answer(vec![named("v1", "0b"), digest("0a")], vec![missing(tagged("gone"))]));
        assert_eq!(deletion().amend(None, again.clone()), again, "it is not known what was there");
        let listed = answer(vec![], vec![failure(digest("0a"), "ImageReferencedByManifestList", "in use")]);
        assert_eq!(deletion().amend(Some(&seen), listed.clone()), listed, "only what is gone was deleted");
    });
}

#[test]
fn an_image_that_ecr_cannot_tell_of_is_not_gone() {
    hermetic(async {
        let locked = failure(digest("0a"), "KmsError", "the key is disabled");
        let failures = [locked.clone(), missing(tagged("v1")), missing(tagged("gone"))];
        assert_eq!(in_words(fate(&deletion(), Some(&seen().await), 1, holds(&[], &failures)).await).0, "send again");
        // Nor is it missing before.
        let seen = before(&deletion(), holds(&[named("v1", "0b")], &[locked, missing(tagged("gone"))])).await;
        let none = holds(&[], &[missing(digest("0a")), missing(tagged("v1")), missing(tagged("gone"))]);
        assert_eq!(in_words(fate(&deletion(), Some(&seen), 1, none).await).1, Some(all_done()));
    });
}

#[test]
fn what_somebody_pushed_meanwhile_is_not_deleted() {
    hermetic(async {
        let check = |tag| format!("see in CloudTrail whether the images were deleted, and before {tag} was pushed");
        let moved = holds(&[named("v1", "0c")], &[missing(digest("0a")), missing(tagged("gone"))]);
        let (unknown, likely) = in_words(fate(&deletion(), Some(&seen().await), 1, moved).await);
        assert_eq!(unknown, format!("unknown: v1 was pushed to web since, or moved; {}", check("v1")));
        assert_eq!(likely, Some(all_done()));

        let come = holds(&[digest("0a"), named("v1", "0b"), named("gone", "0d")], &[]);
        let (unknown, _) = in_words(fate(&deletion(), Some(&seen().await), 1, come).await);
        assert_eq!(unknown, format!("unknown: gone was pushed to web since, or moved; {}", check("gone")));
    });
}

#[test]
fn a_deletion_that_finds_nothing_to_delete_is_asked_for_again() {
    hermetic(async {
        let request = BatchDeleteImageRequest { repository: "web".to_owned(), images: vec![tagged("gone")] };
        let nothing = || holds(&[], &[missing(tagged("gone"))]);
        let seen = before(&request, nothing()).await;
        assert_eq!(in_words(fate(&request, Some(&seen), 1, nothing()).await).0, "send again");
    });
}

#[test]
fn a_tag_of_which_nobody_knows_what_it_named_is_not_deleted_again() {
    hermetic(async {
        let request = |id| BatchDeleteImageRequest { repository: "web".to_owned(), images: vec![id] };
        assert_eq!(in_words(fate(&request(digest("0a")), None, 1, []).await).0, "send again");
        let (unknown, _) = in_words(fate(&request(tagged("v1")), None, 1, []).await);
        let check = "see in CloudTrail whether the images were deleted";
        assert_eq!(unknown, format!("unknown: it is not known which images the tags named; {check}"));
    });
}

fn scan(status: &str, completed: Option<u64>) -> Answer {
    let findings = completed.map(|completed| json!({ "imageScanCompletedAt": completed }));
    Answer::ok(json!({ "imageScanStatus": { "status": status }, "imageScanFindings": findings }))
}

fn never() -> Answer {
    Answer::error(400, "ScanNotFoundException")
}

#[test]
fn a_scan_that_is_new_is_the_one_that_was_asked_for() {
    hermetic(async {
        let request = StartImageScanRequest { repository: "web".to_owned(), image: tagged("v1") };
        let old = || scan("COMPLETE", Some(SENT - 86_400));
        let cases = [
            (never(), never(), "not happened: the image was never scanned"),
            (never(), scan("IN_PROGRESS", None), "happened: the image's scan is IN_PROGRESS"),
            (never(), scan("FAILED", None), "happened: the image's scan is FAILED"),
            (never(), scan("COMPLETE", Some(SENT + 30)), "happened: the image's scan is COMPLETE"),
            (old(), old(), "not happened: the image's scan is COMPLETE, as before"),
            (old(), scan("IN_PROGRESS", Some(SENT - 86_400)), "happened: the image's scan is IN_PROGRESS"),
            (old(), scan("COMPLETE", Some(SENT + 30)), "happened: the image's scan is COMPLETE"),
            (scan("FAILED", None), scan("FAILED", None), "not happened: the image's scan is FAILED, as before"),
            (scan("IN_PROGRESS", None), scan("IN_PROGRESS", None), "send again"),
        ];
        for (earlier, now, expected) in cases {
            let seen = before(&request, [earlier]).await;
            let (told, output) = in_words(fate(&request, Some(&seen), 60, [now]).await);
            assert_eq!(told, expected, "{seen}");
            assert_eq!(output.is_some(), expected.starts_with("happened"));
        }
    });
}

#[test]
fn without_knowing_what_was_before_only_a_scan_of_that_time_counts() {
    hermetic(async {
        let request = StartImageScanRequest { repository: "web".to_owned(), image: tagged("v1") };
        let look = async |now| in_words(fate(&request, None, 60, [now]).await).0;
        assert_eq!(look(scan("PENDING", None)).await, "happened: the image's scan is PENDING");
        assert_eq!(look(scan("FAILED", None)).await, "send again");
        let older = "not happened: the image's scan is COMPLETE, and older than the call";
        assert_eq!(look(scan("COMPLETE", Some(SENT - 1))).await, older);
    });
}

#[test]
fn an_image_that_is_where_it_was_to_go_was_moved() {
    hermetic(async {
        let request = |class: &str| UpdateImageStorageClassRequest {
            repository: "web".to_owned(),
            digest: "sha256:0a".to_owned(),
            storage_class: class.to_owned(),
        };
        let found = async |class: &str, status: &str| {
            let image = json!({ "imageDigest": "sha256:0a", "imageStatus": status });
            let fate = fate(&request(class), None, 5, [Answer::ok(json!({ "imageDetails": [image] }))]).await;
            let (words, output) = in_words(fate);
            (words, output.map(|output| output.status))
        };
        let happened = |status: &str| (format!("happened: the image's status is {status}"), Some(status.to_owned()));
        let not = |status: &str| (format!("not happened: the image's status is {status}"), None);
        assert_eq!(found("ARCHIVE", "ARCHIVED").await, happened("ARCHIVED"));
        assert_eq!(found("ARCHIVE", "ACTIVE").await, not("ACTIVE"));
        assert_eq!(found("ARCHIVE", "ACTIVATING").await, not("ACTIVATING"));
        assert_eq!(found("STANDARD", "ACTIVATING").await, happened("ACTIVATING"));
        assert_eq!(found("STANDARD", "ACTIVE").await, happened("ACTIVE"));
        assert_eq!(found("STANDARD", "ARCHIVED").await, not("ARCHIVED"));

        let gone = fate(&request("ARCHIVE"), None, 5, [Answer::error(400, "ImageNotFoundException")]).await;
        assert_eq!(in_words(gone).0, "send again");
        assert!(!request("ARCHIVE").means_the_same_later(), "somebody may have brought it back");
    });
}
