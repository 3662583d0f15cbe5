//! Scans of machine images.
//!
//! The main function is [`start_on_demand_scan`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::state::{MachineScan, invalid, text};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::services::ec2;

/// How long a client token is known.
const TOKEN_LASTS: Duration = Duration::from_secs(8 * 3600);

/// How long a scan takes unless told.
const TAKES: Duration = Duration::from_secs(120);

fn check_type(kind: &str) -> Result<(), AwsError> {
    match kind {
        "AMI" => Ok(()),
        other => Err(invalid(format!("{other} is not the type of a resource that is scanned on demand"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartOnDemandScan {
    resource_id: String,
    resource_type: String,
    client_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanStarted {
    scan_id: String,
}

pub(super) fn start_on_demand_scan(ctx: &mut Ctx<'_>, input: StartOnDemandScan) -> Result<ScanStarted, AwsError> {
    check_type(&input.resource_type)?;
    let conflict = |message: String, image: &str| {
        let error = AwsError::new("ConflictException", message).status(409);
        error.with("resourceId", image.into()).with("resourceType", "AMI".into())
    };
    let token = input.client_token.as_deref();
    let image = input.resource_id.as_str();
    let mismatch = || conflict("The client token means another scan.".to_owned(), image);
    if let Some(scan_id) = ctx.made(token, mismatch)? {
        return Ok(ScanStarted { scan_id });
    }
    if !ctx.place().inspector2.settings.machine_images {
        let message = "Scanning of machine images is not enabled for this account.";
        return Err(AwsError::new("AccessDeniedException", message).status(403));
    }
    if ec2::image(ctx, image).is_none_or(|found| found.owner != ctx.at.account) {
        return Err(invalid(format!("The machine image {image} is not one of this account.")));
    }
    let inspector = &ctx.place().inspector2;
    if inspector.scans.iter().any(|scan| scan.image == image && scan.ended.is_none()) {
        return Err(conflict(format!("A scan of {image} is in progress."), image));
    }
    let takes = inspector.settings.takes.map_or(TAKES, |takes| takes.duration());
    let (id, started) = (ctx.world.ids.uuid(&format!("inspector2/scan/{image}")), ctx.now());
    let scan = MachineScan { id: id.clone(), image: image.to_owned(), started, ended: None, failed: None };
    ctx.place().inspector2.scans.push(scan);
    ctx.schedule(takes, Event::ScanEnds { scan: id.clone() });
    ctx.touch(image);
    ctx.remember(token, TOKEN_LASTS, &id);
    Ok(ScanStarted { scan_id: id })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanView {
    scan_id: String,
    resource_id: String,
    resource_type: &'static str,
    scan_status: &'static str,
    scan_status_reason: Option<String>,
    started_at: String,
    completed_at: Option<String>,
}

impl ScanView {
    fn of(scan: &MachineScan) -> Self {
        Self {
            scan_id: scan.id.clone(),
            resource_id: scan.image.clone(),
            resource_type: "AMI",
            scan_status: scan.status(),
            scan_status_reason: scan.failed.clone(),
            started_at: text(scan.started),
            completed_at: scan.ended.map(text),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichScan {
    resource_id: String,
    resource_type: String,
    scan_id: String,
}

pub(super) fn get_on_demand_scan_status(ctx: &mut Ctx<'_>, input: WhichScan) -> Result<ScanView, AwsError> {
    check_type(&input.resource_type)?;
    let mut scans = ctx.place().inspector2.scans.iter();
    let found = scans.find(|scan| scan.id == input.scan_id && scan.image == input.resource_id);
    let missing = || AwsError::new("ResourceNotFoundException", format!("Scan {} was not found.", input.scan_id));
    found.map(ScanView::of).ok_or_else(|| missing().status(404))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOnDemandScans {
    resource_id: String,
    resource_type: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scans {
    items: Vec<ScanView>,
    next_token: Option<String>,
}

/// The newest first.
pub(super) fn list_on_demand_scans(ctx: &mut Ctx<'_>, input: ListOnDemandScans) -> Result<Scans, AwsError> {
    check_type(&input.resource_type)?;
    let scans = ctx.place().inspector2.scans.iter().rev();
    let views = scans.filter(|scan| scan.image == input.resource_id).map(ScanView::of).collect();
    let (list, size) = (format!("inspector2:scans:{}", input.resource_id), input.max_results.unwrap_or(100));
    let (items, next_token) = ctx
        .page(&list, views, size, input.next_token.as_deref(), |view: &ScanView| &view.scan_id)
        .map_err(|_| invalid("Invalid nextToken."))?;
    Ok(Scans { items, next_token })
}
