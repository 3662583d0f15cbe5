//! Elastic Container Registry: repositories, images, scans.
//!
//! Every request record of the interface `ecr` is an [`Operation`]; [`DescribeImagesRequest`] is the plainest.

use std::fmt::Display;

use aws_sdk_ecr::types as sdk;
use serde_json::{Value, json};

use super::clients::Clients;
use super::error::{AwsError, ErrorKind, from_sdk, invalid};
use super::limits::{batch, gather};
use super::look::Look;
use super::names::{Given, ResourceKind};
use super::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{list, millis, size, word};
use crate::contract::bindings::kiln::aws_ecr::ecr::{
    BatchDeleteImageRequest, BatchDeleteImageResponse, BatchGetImageRequest, BatchGetImageResponse,
    BatchGetRepositoryScanningConfigurationRequest, BatchGetRepositoryScanningConfigurationResponse,
    DescribeImageScanFindingsRequest, DescribeImageScanFindingsResponse, DescribeImagesRequest, DescribeImagesResponse,
    DescribeRepositoriesRequest, DescribeRepositoriesResponse, Finding, Image, ImageDetail, ImageFailure, ImageId,
    PutImageRequest, PutImageResponse, Repository, ScanningConfiguration, StartImageScanRequest,
    StartImageScanResponse,
};
use crate::types::Digest;

/// The most images or repositories that one request may name.
pub(super) const MOST: usize = 100;

pub(super) const REPOSITORY: ResourceKind = ResourceKind::new("ecr", "a repository", "repository/", "-_./");

/// A repository as ECR wants it: the registry (an account) where it was named by an ARN, and the name.
pub(super) fn repository(aws: &Clients, given: &str) -> Result<(Option<String>, String), AwsError> {
    REPOSITORY.check(given)?;
    let arn = match Given::from(given) {
        Given::Name(name) => return Ok((None, name.to_owned())),
        Given::Arn(arn) => arn,
    };
    let name = REPOSITORY.name_in(&arn)?;
    // ECR takes no ARN, hence no region: a repository elsewhere would silently become the one of that name here.
    let client = aws.ecr();
    let region = client.config().region().map(AsRef::as_ref).unwrap_or_default();
    if arn.region() != region {
        return Err(invalid(format_args!("{given:?} is in another region than the stage, which acts in {region}")));
    }
    Ok((Some(arn.account().to_owned()), name.to_owned()))
}

fn identifier(id: &ImageId) -> Result<sdk::ImageIdentifier, AwsError> {
    if id.digest.is_none() && id.tag.is_none() {
        return Err(invalid("an image is named neither by digest nor by tag"));
    }
    Ok(sdk::ImageIdentifier::builder().set_image_digest(id.digest.clone()).set_image_tag(id.tag.clone()).build())
}

fn identifiers(ids: &[ImageId]) -> Result<Vec<sdk::ImageIdentifier>, AwsError> {
    ids.iter().map(identifier).collect()
}

fn image_id(id: Option<sdk::ImageIdentifier>) -> ImageId {
    id.map_or(ImageId { digest: None, tag: None }, |id| ImageId { digest: id.image_digest, tag: id.image_tag })
}

fn failures(failures: Option<Vec<sdk::ImageFailure>>) -> Vec<ImageFailure> {
    let failure = |failure: sdk::ImageFailure| ImageFailure {
        id: image_id(failure.image_id),
        code: word(failure.failure_code),
        reason: failure.failure_reason.unwrap_or_default(),
    };
    list(failures, failure)
}

heads! {
    DescribeRepositoriesRequest => DescribeRepositoriesResponse:
        "ecr:DescribeRepositories" on |it, at| REPOSITORY.arns(at, &it.names);
    DescribeImagesRequest => DescribeImagesResponse:
        "ecr:DescribeImages" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    BatchGetImageRequest => BatchGetImageResponse:
        "ecr:BatchGetImage" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    PutImageRequest => PutImageResponse: "ecr:PutImage" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    BatchDeleteImageRequest => BatchDeleteImageResponse:
        "ecr:BatchDeleteImage" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    StartImageScanRequest => StartImageScanResponse:
        "ecr:StartImageScan" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    DescribeImageScanFindingsRequest => DescribeImageScanFindingsResponse:
        "ecr:DescribeImageScanFindings" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    BatchGetRepositoryScanningConfigurationRequest => BatchGetRepositoryScanningConfigurationResponse:
        "ecr:BatchGetRepositoryScanningConfiguration" on |it, at| REPOSITORY.arns(at, &it.repositories);
}

impl Read for DescribeRepositoriesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("repositories", &self.names, MOST)?;
        let (registry, names) = repositories(aws, &self.names)?;
        let request = aws.ecr().describe_repositories().set_registry_id(registry).set_repository_names(Some(names));
        let repositories = gather("repositories", request.into_paginator().send(), |page| {
            list(page.repositories, described_repository)
        })
        .await?;
        Ok(DescribeRepositoriesResponse { repositories })
    }
}

/// Several repositories of one registry: ECR takes a single one for all of them.
fn repositories(aws: &Clients, given: &[String]) -> Result<(Option<String>, Vec<String>), AwsError> {
    let split = given.iter().map(|given| repository(aws, given)).collect::<Result<Vec<_>, _>>()?;
    let registry = split.first().and_then(|(registry, _)| registry.clone());
    if split.iter().any(|(other, _)| *other != registry) {
        return Err(invalid("the repositories of one request must all be names, or all be ARNs of one account"));
    }
    Ok((registry, split.into_iter().map(|(_, name)| name).collect()))
}

fn described_repository(repository: sdk::Repository) -> Repository {
    let encryption = repository.encryption_configuration;
    Repository {
        name: repository.repository_name.unwrap_or_default(),
        arn: repository.repository_arn.unwrap_or_default(),
        uri: repository.repository_uri.unwrap_or_default(),
        tag_mutability: word(repository.image_tag_mutability),
        scan_on_push: repository.image_scanning_configuration.is_some_and(|scanning| scanning.scan_on_push),
        encryption_type: encryption.as_ref().map_or("AES256", |by| by.encryption_type.as_str()).to_owned(),
        kms_key: encryption.and_then(|by| by.kms_key),
    }
}

impl Read for DescribeImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let mut request = aws.ecr().describe_images().set_registry_id(registry).repository_name(name);
        if self.images.is_empty() {
            request = request.max_results(1000);
            if let Some(status) = &self.tag_status {
                let status = sdk::TagStatus::from(status.as_str());
                request = request.filter(sdk::DescribeImagesFilter::builder().tag_status(status).build());
            }
        } else {
            batch("images", &self.images, MOST)?;
            if self.tag_status.is_some() {
                return Err(invalid("a tag status cannot be asked for together with named images"));
            }
            request = request.set_image_ids(Some(identifiers(&self.images)?));
        }
        let images =
            gather("images", request.into_paginator().send(), |page| list(page.image_details, described_image)).await?;
        Ok(DescribeImagesResponse { images })
    }
}

fn described_image(image: sdk::ImageDetail) -> ImageDetail {
    ImageDetail {
        digest: image.image_digest.unwrap_or_default(),
        tags: image.image_tags.unwrap_or_default(),
        pushed: millis(image.image_pushed_at),
        last_pulled: millis(image.last_recorded_pull_time),
        size: image.image_size_in_bytes.map_or(0, size),
        media_type: image.image_manifest_media_type,
        scan_status: image.image_scan_status.and_then(|scan| scan.status).map(|status| status.as_str().to_owned()),
    }
}

impl Read for BatchGetImageRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("images", &self.images, MOST)?;
        let (registry, name) = repository(aws, &self.repository)?;
        // No accepted media types are given: ECR then answers each manifest as it holds it, unconverted.
        let output = aws
            .ecr()
            .batch_get_image()
            .set_registry_id(registry)
            .repository_name(name)
            .set_image_ids(Some(identifiers(&self.images)?))
            .send()
            .await
            .map_err(from_sdk)?;
        let image = |image: sdk::Image| Image {
            id: image_id(image.image_id),
            manifest: image.image_manifest.unwrap_or_default(),
            media_type: image.image_manifest_media_type,
        };
        Ok(BatchGetImageResponse { images: list(output.images, image), failures: failures(output.failures) })
    }
}

impl Write for PutImageRequest {
    const RETRY: RetryClass = RetryClass::Natural;

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let sent = aws
            .ecr()
            .put_image()
            .set_registry_id(registry)
            .repository_name(name)
            .image_manifest(&self.manifest)
            .set_image_manifest_media_type(self.media_type.clone())
            .set_image_tag(self.tag.clone())
            .send()
            .await;
        match sent {
            Ok(output) => Ok(PutImageResponse { id: image_id(output.image.and_then(|image| image.image_id)) }),
            // ECR holds exactly this manifest under this tag: what was asked for is so, whoever did it.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_image_already_exists_exception()) => {
                let digest = Some(Digest::of(self.manifest.as_bytes()).to_string());
                Ok(PutImageResponse { id: ImageId { digest, tag: self.tag.clone() } })
            }
            Err(error) => Err(from_sdk(error)),
        }
    }

    async fn fate(&self, _: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        // ECR knows the manifest by its digest, and what it answers the second time is answered here as the first.
        Ok(Fate::SendAgain)
    }
}

impl Write for BatchDeleteImageRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ecr:BatchGetImage"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        batch("images", &self.images, MOST)?;
        let (registry, name) = repository(aws, &self.repository)?;
        let output = aws
            .ecr()
            .batch_delete_image()
            .set_registry_id(registry)
            .repository_name(name)
            .set_image_ids(Some(identifiers(&self.images)?))
            .send()
            .await
            .map_err(from_sdk)?;
        let deleted = output.image_ids.unwrap_or_default().into_iter().map(|id| image_id(Some(id))).collect();
        Ok(BatchDeleteImageResponse { deleted, failures: failures(output.failures) })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        Ok(Some(Value::Array(self.seen(look).await?)))
    }

    /// A tag may name another image by then.
    fn means_the_same_later(&self) -> bool {
        self.images.iter().all(|id| id.tag.is_none())
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let Some(before) = unanswered.before.and_then(Value::as_array) else {
            return Ok(match self.means_the_same_later() {
                true => Fate::SendAgain,
                false => Fate::Unknown {
                    evidence: "it is not known which images the tags named".to_owned(),
                    check: "see in CloudTrail whether the images were deleted".to_owned(),
                    likely: None,
                },
            });
        };
        let now = self.seen(look).await?;
        let had = || before.iter().zip(&now).filter(|(before, _)| !before.is_null());
        // A tag that was deleted and pushed again, or moved, names what nobody asked to delete.
        let is_new = |before: &Value, now: &Value| now.is_string() && before != now && *before != Value::Bool(true);
        let mut named = self.images.iter().zip(before.iter().zip(&now));
        if let Some((id, _)) = named.find(|(_, (before, now))| is_new(before, now)) {
            let name = id.tag.as_ref().or(id.digest.as_ref()).map_or("", String::as_str);
            return Ok(Fate::Unknown {
                evidence: format!("{name} was pushed to {} since, or moved", self.repository),
                check: format!("see in CloudTrail whether the images were deleted, and before {name} was pushed"),
                likely: Some(self.done(before)),
            });
        }
        let (all, left) = (had().count(), had().filter(|(_, now)| !now.is_null()).count());
        Ok(match left {
            0 if all > 0 => {
                let evidence = match all {
                    1 => "the image is not there any more".to_owned(),
                    all => format!("none of the {all} images is there any more"),
                };
                Fate::Happened { output: self.done(before), evidence }
            }
            left if left == all && all > 0 => Fate::NotHappened {
                evidence: match all {
                    1 => "the image is still there".to_owned(),
                    all => format!("all {all} images are still there"),
                },
            },
            // Some are gone: the others are deleted by the same request, and `amend` counts those that are gone already.
            _ => Fate::SendAgain,
        })
    }

    fn amend(&self, before: Option<&Value>, output: Self::Output) -> Self::Output {
        let Some(before) = before.and_then(Value::as_array) else { return output };
        let BatchDeleteImageResponse { mut deleted, mut failures } = output;
        let was_there = |failure: &ImageFailure| {
            let mut named = self.images.iter().zip(before);
            let known = named.find(|(id, before)| **id == failure.id && !before.is_null());
            known.filter(|_| failure.code == NOT_FOUND).map(|(id, before)| in_full(id, before))
        };
        deleted.extend(failures.iter().filter_map(was_there));
        failures.retain(|failure| was_there(failure).is_none());
        BatchDeleteImageResponse { deleted, failures }
    }
}

/// What ECR says of an image that is not there.
const NOT_FOUND: &str = "ImageNotFound";

impl BatchDeleteImageRequest {
    /// What each of the images is: nothing if it is not there, else its digest, or `true` where ECR does not tell that.
    async fn seen(&self, look: &Look) -> Result<Vec<Value>, AwsError> {
        let request = BatchGetImageRequest { repository: self.repository.clone(), images: self.images.clone() };
        let BatchGetImageResponse { images, failures } = look.read(&request).await?;
        let seen = |id: &ImageId| {
            // Whatever else ECR says of an image, such as that its key is not there, does not mean that it is gone.
            if failures.iter().any(|failure| failure.code == NOT_FOUND && failure.id == *id) {
                return Value::Null;
            }
            let digest = images.iter().find(|image| is_named(&image.id, id)).and_then(|image| image.id.digest.clone());
            digest.map_or(Value::Bool(true), Value::String)
        };
        Ok(self.images.iter().map(seen).collect())
    }

    /// The answer if all images that were there before are deleted.
    fn done(&self, before: &[Value]) -> BatchDeleteImageResponse {
        let mut done = BatchDeleteImageResponse { deleted: Vec::new(), failures: Vec::new() };
        for (id, before) in self.images.iter().zip(before) {
            match before {
                Value::Null => done.failures.push(ImageFailure {
                    id: id.clone(),
                    code: NOT_FOUND.to_owned(),
                    reason: "Requested image not found".to_owned(),
                }),
                _ => done.deleted.push(in_full(id, before)),
            }
        }
        done
    }
}

/// An image as ECR names it when it is deleted: with its digest, if that was seen.
fn in_full(id: &ImageId, before: &Value) -> ImageId {
    let digest = id.digest.clone().or_else(|| before.as_str().map(str::to_owned));
    ImageId { digest, tag: id.tag.clone() }
}

/// Whether `name`, a digest or a tag or both, names the image `id`.
fn is_named(id: &ImageId, name: &ImageId) -> bool {
    (name.digest.is_none() || name.digest == id.digest) && (name.tag.is_none() || name.tag == id.tag)
}

impl Write for StartImageScanRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ecr:DescribeImageScanFindings"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let output = aws
            .ecr()
            .start_image_scan()
            .set_registry_id(registry)
            .repository_name(name)
            .image_id(identifier(&self.image)?)
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(StartImageScanResponse { status: scan_status(output.image_scan_status).0 })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let scan =
            self.scan(look).await?.map(|(status, completed)| json!({ "status": status, "completed": completed }));
        Ok(Some(json!({ "scan": scan })))
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let Some((status, completed)) = self.scan(look).await? else {
            return Ok(Fate::NotHappened { evidence: "the image was never scanned".to_owned() });
        };
        let now = json!({ "status": status, "completed": completed });
        let before = unanswered.before.and_then(|before| before.get("scan"));
        let is_over = !matches!(status.as_str(), "PENDING" | "IN_PROGRESS");
        let evidence = format!("the image's scan is {status}");
        // ECR scans an image once a day: a scan that was over before is not the one that was asked for.
        Ok(match (before, completed) {
            (Some(before), _) if *before == now && is_over => {
                Fate::NotHappened { evidence: format!("{evidence}, as before") }
            }
            (None, Some(completed)) if is_over && completed < unanswered.sent => {
                Fate::NotHappened { evidence: format!("{evidence}, and older than the call") }
            }
            // Another scan was running already, or a failed one may be from before: AWS decides.
            (Some(before), _) if *before == now => Fate::SendAgain,
            (None, None) if is_over => Fate::SendAgain,
            (Some(_) | None, _) => Fate::Happened { output: StartImageScanResponse { status }, evidence },
        })
    }
}

impl StartImageScanRequest {
    /// The image's scan, if it has one: its status, and when it was over.
    async fn scan(&self, look: &Look) -> Result<Option<(String, Option<u64>)>, AwsError> {
        let (repository, image) = (self.repository.clone(), self.image.clone());
        let request = DescribeImageScanFindingsRequest { repository, image };
        match look.read(&request).await {
            Ok(scan) => Ok(Some((scan.status, scan.completed))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A scan's status and AWS's explanation of it.
fn scan_status(status: Option<sdk::ImageScanStatus>) -> (String, Option<String>) {
    let Some(status) = status else { return (String::new(), None) };
    (word(status.status), status.description)
}

impl Read for DescribeImageScanFindingsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let request = aws
            .ecr()
            .describe_image_scan_findings()
            .set_registry_id(registry)
            .repository_name(name)
            .image_id(identifier(&self.image)?)
            .max_results(1000);
        let (mut status, mut status_description, mut completed) = (String::new(), None, None);
        let findings = gather("findings", request.into_paginator().send(), |page| {
            // The last page is the newest word on where the scan stands.
            (status, status_description) = scan_status(page.image_scan_status);
            let Some(scan) = page.image_scan_findings else { return Vec::new() };
            completed = millis(scan.image_scan_completed_at).or(completed);
            let basic = scan.findings.unwrap_or_default().into_iter().map(basic_finding);
            // What Inspector calls closed has been mended: it is a finding no longer.
            let enhanced = scan.enhanced_findings.unwrap_or_default().into_iter();
            let enhanced = enhanced.filter(|finding| finding.status.as_deref() != Some("CLOSED"));
            basic.chain(enhanced.map(enhanced_finding)).collect()
        })
        .await?;
        Ok(DescribeImageScanFindingsResponse { status, status_description, completed, findings })
    }
}

fn basic_finding(finding: sdk::ImageScanFinding) -> Finding {
    let attributes = finding.attributes.unwrap_or_default();
    let attribute = |key| attributes.iter().find(|attribute| attribute.key == key).and_then(|a| a.value.as_deref());
    Finding {
        id: finding.name.unwrap_or_default(),
        severity: word(finding.severity),
        package: attribute("package_name").map(|name| package(name, attribute("package_version"))),
        fixed_in: None,
        description: finding.description.unwrap_or_default(),
        uri: finding.uri,
    }
}

fn enhanced_finding(finding: sdk::EnhancedImageScanFinding) -> Finding {
    let details = finding.package_vulnerability_details;
    let packages = details.as_ref().and_then(|details| details.vulnerable_packages.as_deref()).unwrap_or_default();
    let package = packages.iter().filter_map(|vulnerable| {
        let name = vulnerable.name.as_deref()?;
        Some(package(name, vulnerable.version.as_deref()))
    });
    // Inspector writes `NotAvailable` where there is no such version.
    let fixed = packages.iter().filter_map(|vulnerable| vulnerable.fixed_in_version.clone());
    let fixed = fixed.filter(|version| version != "NotAvailable");
    let (package, fixed_in) = (distinct(package), distinct(fixed));
    let (id, uri) = details.map_or((None, None), |details| (details.vulnerability_id, details.source_url));
    Finding {
        id: id.or(finding.title).unwrap_or_default(),
        severity: finding.severity.unwrap_or_default(),
        package,
        fixed_in,
        description: finding.description.unwrap_or_default(),
        uri,
    }
}

fn package(name: &str, version: Option<&str>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
}

/// Each of `texts` once, in one line.
fn distinct<T: Display + PartialEq>(texts: impl Iterator<Item = T>) -> Option<String> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    let texts: Vec<String> = seen.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

impl Read for BatchGetRepositoryScanningConfigurationRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("repositories", &self.repositories, 25)?;
        let (registry, names) = repositories(aws, &self.repositories)?;
        if registry.is_some() {
            return Err(invalid(
                "ECR tells scanning configurations of the stage's own account only: give names, not ARNs",
            ));
        }
        let request = aws.ecr().batch_get_repository_scanning_configuration().set_repository_names(Some(names));
        let output = request.send().await.map_err(from_sdk)?;
        let configuration = |configuration: sdk::RepositoryScanningConfiguration| ScanningConfiguration {
            repository: configuration.repository_name.unwrap_or_default(),
            scan_on_push: configuration.scan_on_push,
            frequency: word(configuration.scan_frequency),
        };
        let configurations = list(output.scanning_configurations, configuration);
        Ok(BatchGetRepositoryScanningConfigurationResponse { configurations })
    }
}
