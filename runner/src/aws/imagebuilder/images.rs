//! Images: what came of each build, and Inspector's findings of it.
//!
//! The main types are [`GetImageRequest`] and [`ListImagePipelineImagesRequest`].

use aws_sdk_imagebuilder::types as sdk;

use super::configurations::recipe;
use super::{IMAGE, PIPELINE, instant, pairs};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, from_sdk, invalid};
use crate::aws::limits::gather;
use crate::aws::look::Look;
use crate::aws::names;
use crate::aws::operation::{Fate, Operation, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::{decimal, incomplete, list, word};
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    DeleteImageRequest, DeleteImageResponse, GetImageRequest, GetImageResponse, Image, ImageScanFinding, ImageSummary,
    ImageVersion, ListImageBuildVersionsRequest, ListImageBuildVersionsResponse, ListImagePipelineImagesRequest,
    ListImagePipelineImagesResponse, ListImageScanFindingsRequest, ListImageScanFindingsResponse, ListImagesRequest,
    ListImagesResponse, OutputAmi, RegionFailure, VulnerablePackage,
};
use crate::types::{Arn, Place};

/// The most that a page of Image Builder's holds.
pub(super) const PAGE: i32 = 25;

heads! {
    GetImageRequest => GetImageResponse: "imagebuilder:GetImage" on |it, at| [IMAGE.arn(at, &it.image)];
    DeleteImageRequest => DeleteImageResponse: "imagebuilder:DeleteImage" on |it, at| [IMAGE.arn(at, &it.image)];
    ListImagePipelineImagesRequest => ListImagePipelineImagesResponse:
        "imagebuilder:ListImagePipelineImages" on |it, at| [PIPELINE.arn(at, &it.pipeline)];
    ListImagesRequest => ListImagesResponse: "imagebuilder:ListImages" on |_, _| [];
    ListImageBuildVersionsRequest => ListImageBuildVersionsResponse:
        "imagebuilder:ListImageBuildVersions" on |it, at| [IMAGE.arn(at, &it.version)];
}

impl Operation for ListImageScanFindingsRequest {
    type Output = ListImageScanFindingsResponse;
    const ACTION: &'static str = "imagebuilder:ListImageScanFindings";
    const REQUIRES: &'static [&'static str] = &["inspector2:ListFindings"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![IMAGE.arn(at, &self.image)]
    }

    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        vec![("inspector2:ListFindings", Vec::new())]
    }
}

impl Read for GetImageRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        IMAGE.check_arn(&self.image)?;
        let request = aws.imagebuilder().get_image().image_build_version_arn(&self.image);
        let found = request.send().await.map_err(from_sdk)?.image.ok_or_else(|| incomplete("the image"))?;
        Ok(GetImageResponse { image: image(found) })
    }
}

impl Write for DeleteImageRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["imagebuilder:GetImage"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check_build(&self.image)?;
        let request = aws.imagebuilder().delete_image().image_build_version_arn(&self.image);
        let deleted = request.send().await.map_err(from_sdk)?;
        Ok(DeleteImageResponse { image: deleted.image_build_version_arn.unwrap_or_else(|| self.image.clone()) })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let gone = match look.read(&GetImageRequest { image: self.image.clone() }).await {
            Ok(found) => found.image.status == "DELETED",
            Err(error) if error.kind == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        Ok(match gone {
            true => Fate::Happened {
                output: DeleteImageResponse { image: self.image.clone() },
                evidence: format!("{} is there no more", self.image),
            },
            // A build number is given once: the same ARN means the same image.
            false => Fate::SendAgain,
        })
    }
}

/// Refuse what is not the ARN of one build: a version would mean its newest build.
pub(super) fn check_build(given: &str) -> Result<(), AwsError> {
    IMAGE.check_arn(given)?;
    match given.rsplit('/').take(3).collect::<Vec<_>>()[..] {
        [build, version, name]
            if !name.contains(':') && version.contains('.') && build.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(())
        }
        _ => Err(invalid(format_args!("{given:?} is not the ARN of one build of an image"))),
    }
}

impl Read for ListImagePipelineImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        PIPELINE.check_arn(&self.pipeline)?;
        let request = aws.imagebuilder().list_image_pipeline_images().image_pipeline_arn(&self.pipeline);
        let pages = request.max_results(PAGE).into_paginator().send();
        let images = gather("images", pages, |page| list(page.image_summary_list, summary)).await?;
        Ok(ListImagePipelineImagesResponse { images })
    }
}

impl Read for ListImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = aws.imagebuilder().list_images().owner(sdk::Ownership::SelfValue).include_deprecated(true);
        let request = request.set_filters(by_name(self.name.as_deref())?).max_results(PAGE);
        let versions = gather("versions of images", request.into_paginator().send(), |page| {
            list(page.image_version_list, |version: sdk::ImageVersion| ImageVersion {
                arn: version.arn.unwrap_or_default(),
                name: version.name.unwrap_or_default(),
                version: version.version.unwrap_or_default(),
                created: instant(version.date_created),
            })
        })
        .await?;
        Ok(ListImagesResponse { versions })
    }
}

impl Read for ListImageBuildVersionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        IMAGE.check_arn(&self.version)?;
        let request = aws.imagebuilder().list_image_build_versions().image_version_arn(&self.version);
        let pages = request.max_results(PAGE).into_paginator().send();
        let images = gather("images", pages, |page| list(page.image_summary_list, summary)).await?;
        Ok(ListImageBuildVersionsResponse { images })
    }
}

impl Read for ListImageScanFindingsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_build(&self.image)?;
        let of_image = sdk::ImageScanFindingsFilter::builder().name("imageBuildVersionArn").values(&self.image).build();
        let request = aws.imagebuilder().list_image_scan_findings().filters(of_image).max_results(PAGE);
        let findings = gather("findings", request.into_paginator().send(), |page| list(page.findings, finding)).await?;
        Ok(ListImageScanFindingsResponse { findings })
    }
}

/// Image Builder's filter by name; none for all.
pub(super) fn by_name(name: Option<&str>) -> Result<Option<Vec<sdk::Filter>>, AwsError> {
    let Some(name) = name else { return Ok(None) };
    names::check("an image or recipe", name, "-_ ")?;
    Ok(Some(vec![sdk::Filter::builder().name("name").values(name).build()]))
}

fn image(image: sdk::Image) -> Image {
    let state = image.state;
    let (status, reason, failure) =
        state.map_or((String::new(), None, None), |state| (word(state.status), state.reason, state.failure_context));
    let (failed_step, failure) =
        failure.map_or((None, None), |failure| (failure.failed_step, failure.distribution_failure));
    let scan = image.scan_state;
    let arn = image.arn.unwrap_or_default();
    let is_on = |is_on: Option<bool>, otherwise: bool| is_on.unwrap_or(otherwise);
    Image {
        name: image.name.unwrap_or_default(),
        version: version_in(&arn, image.version),
        arn,
        image_type: word(image.r#type),
        status,
        reason,
        failed_step,
        region_failures: list(failure.and_then(|failure| failure.region_failures), region_failure),
        recipe: image.image_recipe.map(recipe),
        pipeline: image.source_pipeline_arn,
        distribution: image.distribution_configuration.and_then(|distribution| distribution.arn),
        build_type: word(image.build_type),
        created: instant(image.date_created),
        tests: is_on(image.image_tests_configuration.and_then(|tests| tests.image_tests_enabled), true),
        scans: is_on(image.image_scanning_configuration.and_then(|scan| scan.image_scanning_enabled), false),
        scan_status: word(scan.as_ref().and_then(|scan| scan.status.clone())),
        scan_reason: scan.and_then(|scan| scan.reason),
        amis: amis(image.output_resources),
        log_group: image.logging_configuration.and_then(|logging| logging.log_group_name),
        tags: pairs(image.tags),
    }
}

/// Version and build number, as the ARN has them: the log stream is named so.
fn version_in(arn: &str, told: Option<String>) -> String {
    let of_arn = arn.split_once(":image/").and_then(|(_, resource)| resource.split_once('/'));
    of_arn.map_or_else(|| told.unwrap_or_default(), |(_, version)| version.to_owned())
}

fn region_failure(failure: sdk::RegionFailure) -> RegionFailure {
    let step = word(failure.image_configuration_step);
    let message = failure.error_message.unwrap_or_default();
    RegionFailure {
        region: failure.region.unwrap_or_default(),
        account: failure.target_account_id,
        status: word(failure.status),
        message: if step.is_empty() { message } else { format!("{step}: {message}") },
    }
}

fn amis(output: Option<sdk::OutputResources>) -> Vec<OutputAmi> {
    list(output.and_then(|output| output.amis), |ami: sdk::Ami| {
        let (status, reason) = ami.state.map_or((String::new(), None), |state| (word(state.status), state.reason));
        OutputAmi {
            region: ami.region.unwrap_or_default(),
            account: ami.account_id.unwrap_or_default(),
            ami: ami.image.unwrap_or_default(),
            name: ami.name.unwrap_or_default(),
            status,
            reason,
        }
    })
}

fn summary(image: sdk::ImageSummary) -> ImageSummary {
    ImageSummary {
        arn: image.arn.unwrap_or_default(),
        name: image.name.unwrap_or_default(),
        version: image.version.unwrap_or_default(),
        status: word(image.state.and_then(|state| state.status)),
        build_type: word(image.build_type),
        created: instant(image.date_created),
        amis: amis(image.output_resources),
        tags: pairs(image.tags),
    }
}

fn finding(finding: sdk::ImageScanFinding) -> ImageScanFinding {
    let (vulnerability, packages) = finding
        .package_vulnerability_details
        .map_or((None, None), |details| (Some(details.vulnerability_id), details.vulnerable_packages));
    ImageScanFinding {
        vulnerability,
        severity: finding.severity.unwrap_or_default(),
        title: finding.title.unwrap_or_default(),
        finding_type: finding.r#type.unwrap_or_default(),
        score: finding.inspector_score.and_then(decimal),
        packages: list(packages, |package: sdk::VulnerablePackage| VulnerablePackage {
            name: package.name.unwrap_or_default(),
            version: package.version.unwrap_or_default(),
            fixed_in: package.fixed_in_version,
        }),
        fix_available: finding.fix_available.unwrap_or_default(),
    }
}
