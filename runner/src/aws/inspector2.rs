//! Inspector: findings of machine images and of instances, and what it looks at.
//!
//! Every request record of the interface `inspector2` is an [`Operation`](super::operation::Operation); [`ListFindingsRequest`] is the
//! one that answers most.

use std::time::Duration;

use aws_sdk_inspector2::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::limits::{batch, gather};
use super::look::Look;
use super::names;
use super::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{decimal, incomplete, is_since, list, millis, optional_word, word};
use crate::contract::bindings::kiln::aws_inspector2::inspector2::{
    AffectedPackage, BatchGetAccountStatusRequest, BatchGetAccountStatusResponse, CoveredResource,
    GetOnDemandScanStatusRequest, GetOnDemandScanStatusResponse, InspectorFinding, ListCoverageRequest,
    ListCoverageResponse, ListFindingsRequest, ListFindingsResponse, ListOnDemandScansRequest,
    ListOnDemandScansResponse, OnDemandScan, StartOnDemandScanRequest, StartOnDemandScanResponse,
};

/// The most values that a filter takes.
const MOST: usize = 10;

heads! {
    ListFindingsRequest => ListFindingsResponse: "inspector2:ListFindings" on |_, _| [];
    ListCoverageRequest => ListCoverageResponse: "inspector2:ListCoverage" on |_, _| [];
    BatchGetAccountStatusRequest => BatchGetAccountStatusResponse: "inspector2:BatchGetAccountStatus" on |_, _| [];
    StartOnDemandScanRequest => StartOnDemandScanResponse: "inspector2:StartOnDemandScan" on |_, _| [];
    GetOnDemandScanStatusRequest => GetOnDemandScanStatusResponse: "inspector2:GetOnDemandScanStatus" on |_, _| [];
    ListOnDemandScansRequest => ListOnDemandScansResponse: "inspector2:ListOnDemandScans" on |_, _| [];
}

fn check_machine_image(id: &str) -> Result<(), AwsError> {
    names::check("a machine image", id, "-")?;
    match id.starts_with("ami-") {
        true => Ok(()),
        false => Err(invalid(format_args!("{id:?} is not the id of a machine image: those begin with ami-"))),
    }
}

/// A filter for one of `ids`; none where there are none.
fn any_of(what: &str, ids: &[String]) -> Result<Option<Vec<sdk::StringFilter>>, AwsError> {
    if ids.is_empty() {
        return Ok(None);
    }
    batch(what, ids, MOST)?;
    let equals = |id: &String| {
        names::check("a resource", id, "-_./:")?;
        let filter = sdk::StringFilter::builder().comparison(sdk::StringComparison::Equals).value(id);
        filter.build().map_err(invalid)
    };
    ids.iter().map(equals).collect::<Result<_, _>>().map(Some)
}

impl Read for ListFindingsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if self.machine_images.is_empty() && self.of_instances_from.is_empty() && self.resources.is_empty() {
            return Err(invalid("the findings of nothing are asked for: without a filter they would be those of all"));
        }
        let criteria = sdk::FilterCriteria::builder()
            .set_machine_image_id(any_of("machine images", &self.machine_images)?)
            .set_ec2_instance_image_id(any_of("machine images", &self.of_instances_from)?)
            .set_resource_id(any_of("resources", &self.resources)?)
            .build();
        let request = aws.inspector2().list_findings().filter_criteria(criteria).max_results(100);
        let findings = gather("findings", request.into_paginator().send(), |page| list(page.findings, finding)).await?;
        Ok(ListFindingsResponse { findings })
    }
}

fn finding(finding: sdk::Finding) -> InspectorFinding {
    let (vulnerability, packages) = finding
        .package_vulnerability_details
        .map_or((None, None), |details| (Some(details.vulnerability_id), details.vulnerable_packages));
    InspectorFinding {
        arn: finding.finding_arn,
        vulnerability,
        severity: finding.severity.as_str().to_owned(),
        status: finding.status.as_str().to_owned(),
        title: finding.title.unwrap_or_default(),
        finding_type: finding.r#type.as_str().to_owned(),
        score: finding.inspector_score.and_then(decimal),
        packages: list(packages, |package: sdk::VulnerablePackage| AffectedPackage {
            name: package.name,
            version: package.version,
            fixed_in: package.fixed_in_version,
        }),
        fix_available: word(finding.fix_available),
        exploit_available: word(finding.exploit_available),
        resources: finding.resources.into_iter().map(|resource| resource.id).collect(),
        last_observed: millis(Some(finding.last_observed_at)),
    }
}

impl Read for ListCoverageRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("resources", &self.resources, MOST)?;
        let equals = |id: &String| {
            names::check("a resource", id, "-_./:")?;
            let filter = sdk::CoverageStringFilter::builder().comparison(sdk::CoverageStringComparison::Equals);
            filter.value(id).build().map_err(invalid)
        };
        let ids: Vec<_> = self.resources.iter().map(equals).collect::<Result<_, AwsError>>()?;
        let criteria = sdk::CoverageFilterCriteria::builder().set_resource_id(Some(ids)).build();
        let request = aws.inspector2().list_coverage().filter_criteria(criteria).max_results(200);
        let resources = gather("resources", request.into_paginator().send(), |page| {
            list(page.covered_resources, |resource: sdk::CoveredResource| {
                let (status, reason) = resource.scan_status.map_or((String::new(), String::new()), |status| {
                    (status.status_code.as_str().to_owned(), status.reason.as_str().to_owned())
                });
                CoveredResource {
                    id: resource.resource_id,
                    resource_type: resource.resource_type.as_str().to_owned(),
                    scan_type: resource.scan_type.as_str().to_owned(),
                    status,
                    reason,
                    last_scanned: millis(resource.last_scanned_at),
                }
            })
        })
        .await?;
        Ok(ListCoverageResponse { resources })
    }
}

impl Read for BatchGetAccountStatusRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let accounts = self.account.clone().map(|account| vec![account]);
        let request = aws.inspector2().batch_get_account_status().set_account_ids(accounts);
        let output = request.send().await.map_err(from_sdk)?;
        if let Some(failed) = output.failed_accounts.unwrap_or_default().into_iter().next() {
            let (code, account) = (failed.error_code.as_str().to_owned(), failed.account_id);
            let message = format!("Inspector does not tell of account {account}: {}", failed.error_message);
            return Err(AwsError { code, ..super::error::other(message) });
        }
        let account = output.accounts.into_iter().next().ok_or_else(|| incomplete("an account"))?;
        let status = |state: Option<sdk::State>| word(state.map(|state| state.status));
        let (instances, machine_images) =
            account.resource_state.map_or((None, None), |resources| (resources.ec2, resources.ami));
        Ok(BatchGetAccountStatusResponse {
            status: status(account.state),
            instances: status(instances),
            machine_images: status(machine_images),
        })
    }
}

impl Write for StartOnDemandScanRequest {
    const RETRY: RetryClass = RetryClass::Token;
    // Nobody says for how long Inspector knows one.
    const TOKEN_LASTS: Duration = Duration::from_secs(240);
    const LOOKS: &'static [&'static str] = &["inspector2:ListOnDemandScans"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        check_machine_image(&self.machine_image)?;
        let request = aws.inspector2().start_on_demand_scan().resource_id(&self.machine_image);
        let request = request.resource_type(sdk::OnDemandResourceType::Ami).client_token(token.as_str());
        Ok(StartOnDemandScanResponse { scan: request.send().await.map_err(from_sdk)?.scan_id })
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if unanswered.age < Self::TOKEN_LASTS && !unanswered.given_up {
            return Ok(Fate::SendAgain);
        }
        let machine_image = self.machine_image.clone();
        let mut scans = look.read(&ListOnDemandScansRequest { machine_image }).await?.scans;
        scans.retain(|scan| is_since(scan.started, unanswered.sent));
        let image = &self.machine_image;
        Ok(match (scans.pop(), scans.len()) {
            (None, _) => Fate::NotHappened { evidence: format!("no scan of {image} was started since") },
            (Some(scan), 0) => Fate::Happened {
                evidence: format!("the scan {} of {image} was started then, and no other", scan.id),
                output: StartOnDemandScanResponse { scan: scan.id },
            },
            (Some(scan), others) => Fate::Unknown {
                evidence: format!("{} scans of {image} were started since", others + 1),
                check: format!("see in CloudTrail which of them has the token {}", unanswered.token.as_str()),
                likely: Some(StartOnDemandScanResponse { scan: scan.id }),
            },
        })
    }
}

impl Read for GetOnDemandScanStatusRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_machine_image(&self.machine_image)?;
        let request = aws.inspector2().get_on_demand_scan_status().resource_id(&self.machine_image);
        let request = request.scan_id(&self.scan).resource_type(sdk::OnDemandResourceType::Ami);
        let scan = request.send().await.map_err(from_sdk)?;
        Ok(GetOnDemandScanStatusResponse {
            scan: OnDemandScan {
                id: scan.scan_id,
                machine_image: scan.resource_id,
                status: scan.scan_status.as_str().to_owned(),
                reason: optional_word(scan.scan_status_reason),
                started: millis(Some(scan.started_at)),
                completed: millis(scan.completed_at),
            },
        })
    }
}

impl Read for ListOnDemandScansRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_machine_image(&self.machine_image)?;
        let request = aws.inspector2().list_on_demand_scans().resource_id(&self.machine_image);
        let request = request.resource_type(sdk::OnDemandResourceType::Ami).max_results(100);
        let scans = gather("scans", request.into_paginator().send(), |page| {
            list(Some(page.items), |scan: sdk::OnDemandScan| OnDemandScan {
                id: scan.scan_id,
                machine_image: scan.resource_id,
                status: scan.scan_status.as_str().to_owned(),
                reason: optional_word(scan.scan_status_reason),
                started: millis(Some(scan.started_at)),
                completed: millis(scan.completed_at),
            })
        })
        .await?;
        Ok(ListOnDemandScansResponse { scans })
    }
}
