//! Repositories, images and scans.

use serde_json::json;

use super::canned::{Answer, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_ecr::ecr::{
    DescribeImageScanFindingsRequest, DescribeImagesRequest, DescribeRepositoriesRequest, Finding, ImageDetail,
    ImageId, PutImageRequest,
};
use crate::contract::bindings::kiln::aws_ecr_storage::ecr_storage::{
    DescribeStoredImagesRequest, StoredImage, UpdateImageStorageClassRequest,
};
use crate::types::Digest;

fn tagged(tag: &str) -> ImageId {
    ImageId { digest: None, tag: Some(tag.to_owned()) }
}

fn images(repository: &str) -> DescribeImagesRequest {
    DescribeImagesRequest { repository: repository.to_owned(), images: vec![], tag_status: None }
}

#[test]
fn pages_of_images_are_followed_to_their_end() {
    hermetic(async {
        let pages = [
            json!({ "nextToken": "second", "imageDetails": [{
                "imageDigest": "sha256:0a", "imageTags": ["v1", "v2"], "imageSizeInBytes": 7, "imagePushedAt": 1.5,
                "lastRecordedPullTime": -3.0, "imageManifestMediaType": "application/x",
                "imageScanStatus": { "status": "DAYDREAMING" }, "colour": "blue",
            }] }),
            json!({ "nextToken": "third", "imageDetails": [] }),
            json!({ "imageDetails": [{ "imageSizeInBytes": -1 }] }),
        ];
        let (output, asked) = sent(&images("web"), pages.map(Answer::ok)).await;
        let full = ImageDetail {
            digest: "sha256:0a".to_owned(),
            tags: vec!["v1".to_owned(), "v2".to_owned()],
            pushed: Some(1500),
            last_pulled: None,
            size: 7,
            media_type: Some("application/x".to_owned()),
            scan_status: Some("DAYDREAMING".to_owned()),
        };
        let bare = ImageDetail {
            digest: String::new(),
            tags: vec![],
            pushed: None,
            last_pulled: None,
            size: 0,
            media_type: None,
            scan_status: None,
        };
        assert_eq!(output.images, [full, bare]);
        let asked: Vec<_> = asked.iter().map(|asked| (asked.operation.as_str(), asked.json())).collect();
        let page = |token: Option<&str>| {
            let mut body = json!({ "repositoryName": "web", "maxResults": 1000 });
            if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
                body.insert("nextToken".to_owned(), json!(token));
            }
            ("DescribeImages", body)
        };
        assert_eq!(asked, [page(None), page(Some("second")), page(Some("third"))]);
    });
}

#[test]
fn stored_images_are_listed_in_every_storage_class() {
    hermetic(async {
        let archived = json!({
            "imageDigest": "sha256:0a", "imageTags": ["v1"], "imageSizeInBytes": 7, "imagePushedAt": 1.5,
            "lastRecordedPullTime": 3.0, "imageManifestMediaType": "application/vnd.oci.image.index.v1+json",
            "subjectManifestDigest": "sha256:0b", "imageStatus": "ARCHIVED", "lastArchivedAt": 4.0,
        });
        let pages = [json!({ "nextToken": "second", "imageDetails": [archived] }), json!({ "imageDetails": [{}] })];
        let request = DescribeStoredImagesRequest { repository: "web".to_owned(), digests: vec![] };
        let (output, asked) = sent(&request, pages.map(Answer::ok)).await;
        let full = StoredImage {
            digest: "sha256:0a".to_owned(),
            tags: vec!["v1".to_owned()],
            pushed: Some(1500),
            last_pulled: Some(3000),
            size: 7,
            index: true,
            subject: Some("sha256:0b".to_owned()),
            status: "ARCHIVED".to_owned(),
            archived: Some(4000),
        };
        let bare = StoredImage {
            digest: String::new(),
            tags: vec![],
            pushed: None,
            last_pulled: None,
            size: 0,
            index: false,
            subject: None,
            status: "ACTIVE".to_owned(),
            archived: None,
        };
        assert_eq!(output.images, [full, bare]);
        let all = json!({ "repositoryName": "web", "maxResults": 1000, "filter": { "imageStatus": "ANY" } });
        assert_eq!(asked[0].json(), all);

        let digests = vec!["sha256:0a".to_owned()];
        let named = DescribeStoredImagesRequest { digests, ..request };
        let (_, asked) = sent(&named, [Answer::ok(json!({ "imageDetails": [] }))]).await;
        let ids = json!([{ "imageDigest": "sha256:0a" }]);
        assert_eq!(asked[0].json(), json!({ "repositoryName": "web", "imageIds": ids }));
        let many = DescribeStoredImagesRequest { digests: vec!["sha256:0a".to_owned(); 101], ..named };
        assert_eq!(refused(&many).await, "the list of digests has 101 entries; it takes 1 to 100");
    });
}

#[test]
fn an_image_is_moved_to_another_storage_class() {
    hermetic(async {
        let request = UpdateImageStorageClassRequest {
            repository: "web".to_owned(),
            digest: "sha256:0a".to_owned(),
            storage_class: "ARCHIVE".to_owned(),
        };
        let (output, asked) = sent(&request, [Answer::ok(json!({ "imageStatus": "ARCHIVED" }))]).await;
        assert_eq!(output.status, "ARCHIVED");
        let id = json!({ "imageDigest": "sha256:0a" });
        let expected = json!({ "repositoryName": "web", "imageId": id, "targetStorageClass": "ARCHIVE" });
        assert_eq!(asked[0].json(), expected);
        let cold = UpdateImageStorageClassRequest { storage_class: "COLD".to_owned(), ..request };
        assert_eq!(refused(&cold).await, "\"COLD\" is no storage class");
    });
}

#[test]
fn named_images_are_asked_for_in_one_page() {
    hermetic(async {
        let digest = ImageId { digest: Some("sha256:0a".to_owned()), tag: None };
        let request = DescribeImagesRequest { images: vec![digest, tagged("v1")], ..images("web") };
        let (_, asked) = sent(&request, [Answer::ok(json!({ "imageDetails": [] }))]).await;
        let ids = json!([{ "imageDigest": "sha256:0a" }, { "imageTag": "v1" }]);
        assert_eq!(asked[0].json(), json!({ "repositoryName": "web", "imageIds": ids }));

        let request = DescribeImagesRequest { tag_status: Some("TAGGED".to_owned()), ..request };
        assert_eq!(refused(&request).await, "a tag status cannot be asked for together with named images");
        let nameless = ImageId { digest: None, tag: None };
        let request = DescribeImagesRequest { images: vec![nameless], ..images("web") };
        assert_eq!(refused(&request).await, "an image is named neither by digest nor by tag");
    });
}

#[test]
fn a_repository_that_is_named_by_its_arn_is_that_one() {
    hermetic(async {
        let request = images("arn:aws:ecr:us-west-2:222222222222:repository/team/web");
        let (_, asked) = sent(&request, [Answer::ok(json!({}))]).await;
        let expected = json!({ "registryId": "222222222222", "repositoryName": "team/web", "maxResults": 1000 });
        assert_eq!(asked[0].json(), expected);

        let elsewhere = images("arn:aws:ecr:eu-west-1:111111111111:repository/web");
        assert!(refused(&elsewhere).await.contains("is in another region than the stage, which acts in us-west-2"));
        let queue = images("arn:aws:sqs:us-west-2:111111111111:web");
        assert!(refused(&queue).await.contains("is not the ARN of a repository"));
        let mixed = ["web", "arn:aws:ecr:us-west-2:222222222222:repository/web"];
        let mixed = DescribeRepositoriesRequest { names: mixed.map(str::to_owned).into() };
        assert!(refused(&mixed).await.contains("must all be names, or all be ARNs of one account"));
    });
}

#[test]
fn a_repository_with_next_to_nothing_is_still_one() {
    hermetic(async {
        let full = json!({
            "repositoryName": "web", "repositoryArn": "arn", "repositoryUri": "uri", "imageTagMutability": "ON_SUNDAYS",
            "imageScanningConfiguration": { "scanOnPush": true },
            "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "key" },
        });
        let request = DescribeRepositoriesRequest { names: vec!["web".to_owned()] };
        let (output, _) = sent(&request, [Answer::ok(json!({ "repositories": [full, {}] }))]).await;
        let seen: Vec<_> = output
            .repositories
            .iter()
            .map(|r| (r.tag_mutability.as_str(), r.scan_on_push, r.encryption_type.as_str(), r.kms_key.as_deref()))
            .collect();
        assert_eq!(seen, [("ON_SUNDAYS", true, "KMS", Some("key")), ("", false, "AES256", None)]);
    });
}

#[test]
fn basic_and_enhanced_findings_are_alike() {
    hermetic(async {
        let basic = json!({
            "nextToken": "more",
            "imageScanStatus": { "status": "IN_PROGRESS" },
            "imageScanFindings": { "imageScanCompletedAt": 2, "findings": [
                { "name": "CVE-2026-0001", "severity": "HIGH", "description": "bad", "uri": "https://x",
                  "attributes": [{ "key": "package_name", "value": "zlib" }, { "key": "package_version", "value": "1.2" }] },
                { "name": "CVE-2026-0002", "severity": "SCARY" },
            ] },
        });
        let package = |name: &str, fixed: &str| json!({ "name": name, "version": "3.0", "fixedInVersion": fixed });
        let enhanced = json!({
            "imageScanStatus": { "status": "ACTIVE", "description": "Continuous scan is selected for image." },
            "imageScanFindings": { "enhancedFindings": [
                { "severity": "UNTRIAGED", "description": "worse", "status": "ACTIVE", "title": "CVE-2026-0003 - openssl",
                  "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-2026-0003", "sourceUrl": "https://y",
                    "vulnerablePackages": [package("ssl", "3.1"), package("crypto", "3.1"), package("ssl", "NotAvailable")] } },
                { "title": "a port is open", "severity": "LOW", "status": "ACTIVE" },
                { "title": "mended", "severity": "CRITICAL", "status": "CLOSED" },
            ] },
        });
        let request = DescribeImageScanFindingsRequest { repository: "web".to_owned(), image: tagged("v1") };
        let (output, asked) = sent(&request, [basic, enhanced].map(Answer::ok)).await;
        let finding = |id: &str, severity: &str, rest: [Option<&str>; 3], description: &str| Finding {
            id: id.to_owned(),
            severity: severity.to_owned(),
            package: rest[0].map(str::to_owned),
            fixed_in: rest[1].map(str::to_owned),
            uri: rest[2].map(str::to_owned),
            description: description.to_owned(),
        };
        let findings = [
            finding("CVE-2026-0001", "HIGH", [Some("zlib 1.2"), None, Some("https://x")], "bad"),
            finding("CVE-2026-0002", "SCARY", [None; 3], ""),
            finding(
                "CVE-2026-0003",
                "UNTRIAGED",
                [Some("ssl 3.0, crypto 3.0"), Some("3.1"), Some("https://y")],
                "worse",
            ),
            finding("a port is open", "LOW", [None; 3], ""),
        ];
        assert_eq!(output.findings, findings);
        assert_eq!((output.status.as_str(), output.completed), ("ACTIVE", Some(2000)));
        assert_eq!(output.status_description.as_deref(), Some("Continuous scan is selected for image."));
        assert_eq!(
            asked.iter().map(|asked| asked.json()["nextToken"].clone()).collect::<Vec<_>>(),
            [json!(null), json!("more")]
        );
    });
}

#[test]
fn an_image_that_was_never_scanned_is_an_error_and_not_a_clean_one() {
    hermetic(async {
        let request = DescribeImageScanFindingsRequest { repository: "web".to_owned(), image: tagged("v1") };
        let error = failed(&request, Answer::error(400, "ScanNotFoundException")).await;
        assert_eq!(error, Some((ErrorKind::NotFound, "ScanNotFoundException".to_owned())));
        // An answer without status or findings says neither that it was scanned nor that it is clean.
        let (output, _) = sent(&request, [Answer::ok(json!({}))]).await;
        assert_eq!((output.status.as_str(), output.findings.len()), ("", 0));
    });
}

#[test]
fn to_put_the_same_image_again_is_harmless() {
    hermetic(async {
        let manifest = r#"{"schemaVersion": 2}"#;
        let request = PutImageRequest {
            repository: "web".to_owned(),
            manifest: manifest.to_owned(),
            media_type: None,
            tag: Some("v1".to_owned()),
        };
        let again = Answer::error(400, "ImageAlreadyExistsException");
        let (output, asked) = sent(&request, [again]).await;
        let digest = Some(Digest::of(manifest.as_bytes()).to_string());
        assert_eq!(output.id, ImageId { digest, tag: Some("v1".to_owned()) });
        assert_eq!(asked[0].json()["imageManifest"], manifest);
        // Another image under a tag that cannot move is not harmless.
        let error = failed(&request, Answer::error(400, "ImageTagAlreadyExistsException")).await;
        assert_eq!(error.map(|(kind, _)| kind), Some(ErrorKind::AlreadyExists));
    });
}
