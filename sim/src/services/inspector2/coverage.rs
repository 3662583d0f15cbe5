//! What Inspector looks at, and whether it does.
//!
//! The main functions are [`list_coverage`] and [`batch_get_account_status`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::machines;
use super::state::invalid;
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
struct CoverageFilter {
    comparison: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct CoverageCriteria {
    #[serde(default)]
    resource_id: Vec<CoverageFilter>,
    #[serde(default)]
    resource_type: Vec<CoverageFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListCoverage {
    #[serde(default)]
    filter_criteria: CoverageCriteria,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Coverage {
    covered_resources: Vec<Covered>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Covered {
    resource_type: &'static str,
    resource_id: String,
    account_id: String,
    scan_type: &'static str,
    scan_status: Value,
    last_scanned_at: Option<Timestamp>,
}

fn passes(filters: &[CoverageFilter], value: &str) -> bool {
    let one = |filter: &CoverageFilter| match filter.comparison.as_str() {
        "NOT_EQUALS" => filter.value != value,
        _ => filter.value == value,
    };
    filters.is_empty() || filters.iter().any(one)
}

pub(super) fn list_coverage(ctx: &mut Ctx<'_>, input: ListCoverage) -> Result<Coverage, AwsError> {
    let account = ctx.at.account.clone();
    let status = |code: &str, reason: &str| json!({ "statusCode": code, "reason": reason });
    let mut covered = Vec::new();
    let inspector = ctx.place().inspector2.clone();
    let mut images: Vec<&str> = inspector.scans.iter().map(|scan| scan.image.as_str()).collect();
    images.sort_unstable();
    images.dedup();
    for image in images {
        let newest = inspector.scans.iter().rfind(|scan| scan.image == image);
        let Some(newest) = newest else { continue };
        let (code, reason) = match (newest.ended, &newest.failed) {
            (Some(_), None) => ("ACTIVE", "SUCCESSFUL"),
            (None, _) => ("ACTIVE", "PENDING_INITIAL_SCAN"),
            // Coverage has fewer words than scans have.
            (Some(_), Some(why)) => match why.as_str() {
                "ACCESS_DENIED" => ("INACTIVE", "ACCESS_DENIED"),
                "UNSUPPORTED_OS" => ("INACTIVE", "UNSUPPORTED_OS"),
                "RESOURCE_TERMINATED" => ("INACTIVE", "RESOURCE_TERMINATED"),
                _ => ("INACTIVE", "INTERNAL_ERROR"),
            },
        };
        covered.push(Covered {
            resource_type: "MACHINE_IMAGE",
            resource_id: image.to_owned(),
            account_id: account.clone(),
            scan_type: "PACKAGE",
            scan_status: status(code, reason),
            last_scanned_at: inspector.looked_at(image),
        });
    }
    if inspector.settings.instances {
        for (id, _) in machines(ctx) {
            covered.push(Covered {
                resource_type: "AWS_EC2_INSTANCE",
                resource_id: id,
                account_id: account.clone(),
                scan_type: "PACKAGE",
                scan_status: status("ACTIVE", "SUCCESSFUL"),
                last_scanned_at: Some(ctx.now()),
            });
        }
    }
    let criteria = &input.filter_criteria;
    covered.retain(|one| {
        passes(&criteria.resource_id, &one.resource_id) && passes(&criteria.resource_type, one.resource_type)
    });
    let size = input.max_results.unwrap_or(200);
    let (covered_resources, next_token) = ctx
        .page("inspector2:coverage", covered, size, input.next_token.as_deref(), |one: &Covered| &one.resource_id)
        .map_err(|_| invalid("Invalid nextToken."))?;
    Ok(Coverage { covered_resources, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichAccounts {
    account_ids: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountStates {
    accounts: Vec<Value>,
    failed_accounts: Vec<Value>,
}

/// Of other accounts nobody is told here.
pub(super) fn batch_get_account_status(ctx: &mut Ctx<'_>, input: WhichAccounts) -> Result<AccountStates, AwsError> {
    let own = ctx.at.account.clone();
    let settings = ctx.place().inspector2.settings.clone();
    let state = |is_on: bool| {
        let (status, code) = if is_on { ("ENABLED", "ALREADY_ENABLED") } else { ("DISABLED", "RESOURCE_NOT_FOUND") };
        json!({ "status": status, "errorCode": code, "errorMessage": "-" })
    };
    let (mut accounts, mut failed_accounts) = (Vec::new(), Vec::new());
    for account in input.account_ids.unwrap_or_else(|| vec![own.clone()]) {
        if account == own {
            accounts.push(json!({
                "accountId": account,
                "state": state(settings.instances || settings.machine_images),
                "resourceState": {
                    "ec2": state(settings.instances), "ecr": state(false), "ami": state(settings.machine_images),
                },
            }));
        } else {
            failed_accounts.push(json!({
                "accountId": account, "errorCode": "ACCESS_DENIED",
                "errorMessage": "This account is not a member of the caller's organization.",
            }));
        }
    }
    Ok(AccountStates { accounts, failed_accounts })
}
