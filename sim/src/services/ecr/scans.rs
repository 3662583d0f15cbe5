//! Scanning images.
//!
//! The main functions are [`pushed`] and [`start_image_scan`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::describe::ImageScanStatus;
use super::events::Event;
use super::findings::found;
use super::manifest::is_index;
use super::state::{ImageId, Scan, ScanFrequency, ScanStatus, ScanType, enter, find, find_image};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

const DAY: Duration = Duration::from_hours(24);

/// The scan that was started then ends.
pub(super) fn end(scope: &mut Scope<'_>, name: &str, digest: &str, started: Timestamp) {
    let state = &mut scope.place().ecr;
    let Some(repository) = state.repositories.get_mut(name) else { return };
    let Some(image) = repository.images.get(digest) else { return };
    let findings = found(&state.findings, repository, image);
    let Some(image) = repository.images.get_mut(digest) else { return };
    let Some(scan) = image.scan.as_mut().filter(|scan| scan.started == started && scan.completed.is_none()) else {
        return;
    };
    let usual = match scan.scan_type {
        ScanType::Basic => ScanStatus::Complete,
        ScanType::Enhanced => ScanStatus::Active,
    };
    scan.status = repository.scans.status.unwrap_or(usual);
    scan.description = match &repository.scans.description {
        Some(description) => description.clone(),
        None => describe(scan.status).to_owned(),
    };
    match scan.status {
        ScanStatus::Complete | ScanStatus::Active => {
            scan.completed = Some(started + repository.scans.takes);
            scan.findings = findings;
        }
        ScanStatus::Pending
        | ScanStatus::InProgress
        | ScanStatus::Failed
        | ScanStatus::UnsupportedImage
        | ScanStatus::ScanEligibilityExpired
        | ScanStatus::FindingsUnavailable
        | ScanStatus::LimitExceeded => {}
    }
}

/// What AWS says of a status.
fn describe(status: ScanStatus) -> &'static str {
    match status {
        ScanStatus::Pending => "The scan is pending.",
        ScanStatus::InProgress => "The scan is in progress.",
        ScanStatus::Complete => "The scan was completed successfully.",
        ScanStatus::Active => "Continuous scan is selected for image.",
        ScanStatus::Failed => "The scan failed.",
        ScanStatus::UnsupportedImage => {
            "UnsupportedImageError: The operating system and/or package manager are not supported."
        }
        ScanStatus::ScanEligibilityExpired => "The scan eligibility of the image has expired.",
        ScanStatus::FindingsUnavailable => "The findings of the image are not available.",
        ScanStatus::LimitExceeded => "The scan quota of the registry has been exceeded.",
    }
}

/// Begin the scan of an image that exists.
fn begin(scope: &mut Scope<'_>, repository: &str, digest: &str) {
    let started = scope.now();
    let state = &mut scope.place().ecr;
    let scan_type = state.scanning.scan_type;
    let Some(held) = state.repositories.get_mut(repository) else { return };
    let Some(image) = held.images.get_mut(digest) else { return };
    let status = match scan_type {
        ScanType::Basic => ScanStatus::InProgress,
        ScanType::Enhanced => ScanStatus::Pending,
    };
    let description = describe(status).to_owned();
    image.scan = Some(Scan { scan_type, status, description, started, completed: None, findings: Vec::new() });
    let takes = held.scans.takes;
    let event = Event::Scanned { repository: repository.to_owned(), digest: digest.to_owned(), started };
    scope.schedule(takes, event);
}

/// An image was pushed that was not there before: scan it, where the repository is scanned on push.
pub(super) fn pushed(scope: &mut Scope<'_>, repository: &str, digest: &str) {
    let state = &scope.place().ecr;
    let Some(held) = state.repositories.get(repository) else { return };
    let wanted = match state.frequency(held).0 {
        ScanFrequency::Manual => false,
        ScanFrequency::ScanOnPush | ScanFrequency::ContinuousScan => true,
    };
    // Not an index itself: the images that it lists are scanned.
    if wanted && held.images.get(digest).is_some_and(|image| !is_index(&image.media_type)) {
        begin(scope, repository, digest);
    }
}

/// How the registry scans has changed: enhanced scanning looks at images that are there already.
pub(super) fn reconsider(scope: &mut Scope<'_>) {
    let state = &scope.place().ecr;
    if state.scanning.scan_type == ScanType::Basic {
        return;
    }
    let mut waiting = Vec::new();
    for repository in state.repositories.values() {
        if state.frequency(repository).0 == ScanFrequency::Manual {
            continue;
        }
        let unseen = repository.images.values().filter(|image| {
            !is_index(&image.media_type) && image.scan.as_ref().is_none_or(|scan| scan.scan_type == ScanType::Basic)
        });
        waiting.extend(unseen.map(|image| (repository.name.clone(), image.digest.clone())));
    }
    for (repository, digest) in waiting {
        begin(scope, &repository, &digest);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartImageScan {
    registry_id: Option<String>,
    repository_name: String,
    image_id: ImageId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_scan_status: ImageScanStatus,
}

pub(super) fn start_image_scan(ctx: &mut Ctx<'_>, input: StartImageScan) -> Result<Started, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, now) = (input.repository_name, ctx.now());
    let arn = find(ctx, &name)?.arn.clone();
    let image = find_image(ctx, &name, &input.image_id)?;
    if ctx.place().ecr.scanning.scan_type == ScanType::Enhanced {
        return Err(AwsError::new("ValidationException", "This feature is disabled"));
    }
    if is_index(&image.media_type) {
        let message = "The image is a manifest list, which is not supported for scanning";
        return Err(AwsError::new("UnsupportedImageTypeException", message));
    }
    if image.scan.is_some_and(|scan| scan.scan_type == ScanType::Basic && now.since(scan.started) < DAY) {
        let message = "The scan quota per image has been exceeded. Wait and try again.";
        return Err(AwsError::new("LimitExceededException", message));
    }
    begin(ctx, &name, &image.digest);
    ctx.touch(arn);
    let status = ScanStatus::InProgress;
    Ok(Started {
        registry_id: ctx.at.account.clone(),
        repository_name: name,
        image_id: ImageId { image_digest: Some(image.digest), image_tag: input.image_id.image_tag },
        image_scan_status: ImageScanStatus { status, description: describe(status).to_owned() },
    })
}
