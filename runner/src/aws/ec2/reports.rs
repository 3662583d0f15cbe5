//! Reports of what other accounts do with an image.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`CreateImageUsageReportRequest`] begins a report.

use std::time::Duration;

use super::ids::{IMAGE, REPORT, some, when};
use super::pages::{all, paged};
use super::wire::{
    self, CreateImageUsageReport, DescribeImageUsageReportEntries, DescribeImageUsageReports, EntriesAnswer,
    ReportAnswer, ReportsAnswer, UsageType,
};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::batch;
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Operation, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::{incomplete, is_since};
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    CreateImageUsageReportRequest, CreateImageUsageReportResponse, DescribeImageUsageReportEntriesRequest,
    DescribeImageUsageReportEntriesResponse, DescribeImageUsageReportsRequest, DescribeImageUsageReportsResponse,
    UsageEntry, UsageReport,
};
use crate::types::{Arn, Place};

heads! {
    DescribeImageUsageReportsRequest => DescribeImageUsageReportsResponse:
        "ec2:DescribeImageUsageReports" on |_, _| [];
    DescribeImageUsageReportEntriesRequest => DescribeImageUsageReportEntriesResponse:
        "ec2:DescribeImageUsageReportEntries" on |_, _| [];
}

paged! {
    "DescribeImageUsageReports": DescribeImageUsageReports => ReportsAnswer.image_usage_report_set of wire::UsageReport;
    "DescribeImageUsageReportEntries":
        DescribeImageUsageReportEntries => EntriesAnswer.image_usage_report_entry_set of wire::UsageEntry;
}

/// The most items of a page.
const PAGE: u32 = 1000;

/// The most images, or reports, of one request.
const MOST: usize = 200;

/// What a report can tell of.
const TYPES: [&str; 2] = ["ec2:Instance", "ec2:LaunchTemplate"];

impl Operation for CreateImageUsageReportRequest {
    type Output = CreateImageUsageReportResponse;
    const ACTION: &'static str = "ec2:CreateImageUsageReport";

    /// IAM checks the image, and the report, which has no id yet.
    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![IMAGE.arn(at, &self.image), REPORT.arn(at, "*")]
    }
}

impl Write for CreateImageUsageReportRequest {
    const RETRY: RetryClass = RetryClass::Token;
    // The model says nothing of it; other tokens of EC2's last for a day.
    const TOKEN_LASTS: Duration = Duration::from_secs(600);
    const LOOKS: &'static [&'static str] = &["ec2:DescribeImageUsageReports"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        IMAGE.check(&self.image)?;
        batch("types of resources", &self.resource_types, TYPES.len())?;
        if let Some(unknown) = self.resource_types.iter().find(|each| !TYPES.contains(&each.as_str())) {
            return Err(invalid(format_args!("a report tells of {}, not of {unknown:?}", TYPES.join(" and "))));
        }
        let types = self.resource_types.iter().map(|each| UsageType { resource_type: each.clone() });
        let request = CreateImageUsageReport {
            image_id: self.image.clone(),
            resource_type: types.collect(),
            client_token: token.as_str().to_owned(),
        };
        let (answer, _) = aws.ec2().call::<_, ReportAnswer>("CreateImageUsageReport", &request).await?;
        let report = some(answer.report_id).ok_or_else(|| incomplete("the id of the report"))?;
        Ok(CreateImageUsageReportResponse { report })
    }

    /// Whoever began a report of the same since, it tells the same.
    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if asked.age < Self::TOKEN_LASTS && !asked.given_up {
            return Ok(Fate::SendAgain);
        }
        let found = look.read(&DescribeImageUsageReportsRequest { images: vec![self.image.clone()] }).await?.reports;
        let same = |report: &UsageReport| {
            let mut wanted = self.resource_types.clone();
            let mut told = report.resource_types.clone();
            wanted.sort();
            told.sort();
            wanted == told && report.accounts.is_empty() && is_since(report.created, asked.sent)
        };
        let newest = found.into_iter().filter(same).max_by_key(|report| report.created);
        Ok(match newest {
            Some(report) => Fate::Happened {
                evidence: format!("the report {} of {} was begun then", report.id, self.image),
                output: CreateImageUsageReportResponse { report: report.id },
            },
            None => Fate::NotHappened { evidence: format!("no report of {} was begun since", self.image) },
        })
    }
}

impl Read for DescribeImageUsageReportsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("images", &self.images, MOST)?;
        IMAGE.check_all(&self.images)?;
        let request =
            DescribeImageUsageReports { image_id: self.images.clone(), max_results: Some(PAGE), next_token: None };
        let reports = all(aws, "reports", request).await?;
        let report = |report: wire::UsageReport| UsageReport {
            id: report.report_id,
            image: report.image_id,
            state: report.state,
            reason: some(report.state_reason),
            resource_types: report.resource_type_set.item.into_iter().map(|each| each.resource_type).collect(),
            accounts: report.account_id_set.item,
            created: when(report.creation_time),
        };
        Ok(DescribeImageUsageReportsResponse { reports: reports.into_iter().map(report).collect() })
    }
}

impl Read for DescribeImageUsageReportEntriesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("reports", &self.reports, MOST)?;
        REPORT.check_all(&self.reports)?;
        let request = DescribeImageUsageReportEntries {
            report_id: self.reports.clone(),
            max_results: Some(PAGE),
            next_token: None,
        };
        let entries = all(aws, "entries", request).await?;
        let entry = |entry: wire::UsageEntry| UsageEntry {
            report: entry.report_id,
            image: entry.image_id,
            account: entry.account_id,
            resource_type: entry.resource_type,
            count: entry.usage_count,
        };
        Ok(DescribeImageUsageReportEntriesResponse { entries: entries.into_iter().map(entry).collect() })
    }
}
