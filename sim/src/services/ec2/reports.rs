//! Reports of an image's use are made and read.
//!
//! The main functions are [`create_image_usage_report`] and those that describe reports and their entries.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::errors::{invalid, missing, no_image, no_token};
use super::events::Event;
use super::filters::{Filter, FilterBy, keep};
use super::image::image;
use super::usage::{INSTANCE, ReportState, TEMPLATE, UsageReport};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, Tag, Tags, kept, listed};

/// The most items of a page.
const PAGE: usize = 1000;
/// A report is made in so long, unless it takes longer.
const TAKES: Duration = Duration::from_secs(60);
/// A report is kept so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A client token is remembered so long.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

const FILTERS: &[FilterBy<UsageReport>] = &[
    ("state", |report| vec![word(report.state).to_owned()]),
    ("creation-time", |report| vec![report.created.to_string()]),
];
const ENTRY_FILTERS: &[FilterBy<Entry>] = &[
    ("account-id", |entry| vec![entry.account.clone()]),
    ("resource-type", |entry| vec![entry.resource.clone()]),
    ("creation-time", |entry| vec![entry.created.to_string()]),
];

fn word(state: ReportState) -> &'static str {
    match state {
        ReportState::Pending => "pending",
        ReportState::Available => "available",
        ReportState::Error => "error",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateImageUsageReport {
    image_id: String,
    resource_type: Vec<AskedType>,
    #[serde(default)]
    account_id: Vec<String>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedType {
    resource_type: String,
}

/// Tags of a thing that is made.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagSpecification {
    pub(super) resource_type: String,
    #[serde(default)]
    pub(super) tag: Vec<Tag>,
}

/// The tags of specifications that may be of one type only.
pub(super) fn specified(given: Vec<TagSpecification>, of: &str) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for specification in given {
        if specification.resource_type != of {
            let message =
                format!("'{}' is not a valid taggable resource type for this operation.", specification.resource_type);
            return Err(invalid(message));
        }
        tags.extend(kept(specification.tag));
    }
    Ok(tags)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportMade {
    report_id: String,
}

pub(super) fn create_image_usage_report(
    ctx: &mut Ctx<'_>,
    input: CreateImageUsageReport,
) -> Result<ReportMade, AwsError> {
    let token = input.client_token.as_deref();
    let mismatch = || AwsError::new("IdempotentParameterMismatch", "The client token was used with other parameters.");
    if let Some(report_id) = ctx.made(token, mismatch)? {
        return Ok(ReportMade { report_id });
    }
    let own = image(ctx, &input.image_id).is_some_and(|image| image.owner == ctx.at.account);
    if !own {
        return Err(no_image(&input.image_id));
    }
    let resource_types: Vec<String> = input.resource_type.into_iter().map(|asked| asked.resource_type).collect();
    if let Some(unknown) = resource_types.iter().find(|each| ![INSTANCE, TEMPLATE].contains(&each.as_str())) {
        return Err(invalid(format!("The resource type '{unknown}' is not valid")));
    }
    let tags = specified(input.tag_specification, "image-usage-report")?;
    let kind = format!("ec2/report/{}", ctx.at);
    let id = format!("amiur-0{}", ctx.world.ids.hex(&kind, 16));
    let report = UsageReport {
        id: id.clone(),
        image: input.image_id,
        resource_types,
        accounts: input.account_id.into_iter().collect(),
        state: ReportState::Pending,
        created: ctx.now(),
        tags,
        entries: BTreeMap::new(),
    };
    ctx.place().ec2.usage_reports.insert(id.clone(), report);
    ctx.schedule(TAKES, Event::Report { id: id.clone() });
    ctx.remember(token, REMEMBERED, &id);
    ctx.touch(id.clone());
    Ok(ReportMade { report_id: id })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhichReports {
    #[serde(default)]
    image_id: Vec<String>,
    #[serde(default)]
    report_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeReportsOutput {
    image_usage_report_set: Vec<ReportView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportView {
    report_id: String,
    image_id: String,
    resource_type_set: Vec<TypeView>,
    account_id_set: Option<Vec<String>>,
    state: &'static str,
    creation_time: Timestamp,
    expiration_time: Timestamp,
    tag_set: Option<Vec<SmallTag>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypeView {
    resource_type: String,
}

/// The reports that a call asks for; those that are too old have gone.
fn asked(ctx: &mut Ctx<'_>, images: &[String], reports: &[String]) -> Result<Vec<UsageReport>, AwsError> {
    let now = ctx.now();
    let mut found: Vec<UsageReport> = ctx.place().ec2.usage_reports.values().cloned().collect();
    found.retain(|report| now.since(report.created) < KEPT);
    for id in reports {
        if !found.iter().any(|report| report.id == *id) {
            return Err(missing("InvalidImageUsageReportId.NotFound", "image usage report", id));
        }
    }
    found.retain(|report| {
        (reports.is_empty() || reports.contains(&report.id)) && (images.is_empty() || images.contains(&report.image))
    });
    Ok(found)
}

pub(super) fn describe_image_usage_reports(
    ctx: &mut Ctx<'_>,
    input: WhichReports,
) -> Result<DescribeReportsOutput, AwsError> {
    let reports = asked(ctx, &input.image_id, &input.report_id)?;
    let reports = keep(reports, &input.filter, FILTERS, |report| &report.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:reports", reports, size, input.next_token.as_deref(), |report: &UsageReport| &report.id)
        .map_err(no_token)?;
    let view = |report: UsageReport| ReportView {
        report_id: report.id,
        image_id: report.image,
        resource_type_set: report.resource_types.into_iter().map(|resource_type| TypeView { resource_type }).collect(),
        account_id_set: Some(report.accounts.into_iter().collect()).filter(|all: &Vec<String>| !all.is_empty()),
        state: word(report.state),
        creation_time: report.created,
        expiration_time: report.created + KEPT,
        tag_set: Some(listed(&report.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
    };
    Ok(DescribeReportsOutput { image_usage_report_set: page.into_iter().map(view).collect(), next_token })
}

/// What one account does with an image, by one type of resource.
struct Entry {
    key: String,
    report: String,
    image: String,
    account: String,
    resource: String,
    count: u64,
    created: Timestamp,
    tags: Tags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeEntriesOutput {
    image_usage_report_entry_set: Vec<EntryView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    report_id: String,
    image_id: String,
    account_id: String,
    resource_type: String,
    usage_count: u64,
    report_creation_time: Timestamp,
}

pub(super) fn describe_image_usage_report_entries(
    ctx: &mut Ctx<'_>,
    input: WhichReports,
) -> Result<DescribeEntriesOutput, AwsError> {
    let mut entries = Vec::new();
    for report in asked(ctx, &input.image_id, &input.report_id)? {
        for ((account, resource), count) in &report.entries {
            entries.push(Entry {
                key: format!("{} {account} {resource}", report.id),
                report: report.id.clone(),
                image: report.image.clone(),
                account: account.clone(),
                resource: resource.clone(),
                count: *count,
                created: report.created,
                tags: report.tags.clone(),
            });
        }
    }
    let entries = keep(entries, &input.filter, ENTRY_FILTERS, |entry| &entry.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:report-entries", entries, size, input.next_token.as_deref(), |entry: &Entry| &entry.key)
        .map_err(no_token)?;
    let view = |entry: Entry| EntryView {
        report_id: entry.report,
        image_id: entry.image,
        account_id: entry.account,
        resource_type: entry.resource,
        usage_count: entry.count,
        report_creation_time: entry.created,
    };
    Ok(DescribeEntriesOutput { image_usage_report_entry_set: page.into_iter().map(view).collect(), next_token })
}
