//! What Inspector found on the instances that images were built on.
//!
//! The main function is [`list_image_scan_findings`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lists::{BuilderFilter, PAGE};
use super::state::{Bake, invalid, invalid_token, put, request_id};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::inspector2::{Risk, risks};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListScanFindings {
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanFindings {
    request_id: String,
    findings: Vec<ScanFinding>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanFinding {
    aws_account_id: String,
    image_build_version_arn: String,
    image_pipeline_arn: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    description: String,
    severity: &'static str,
    first_observed_at: Timestamp,
    updated_at: Timestamp,
    inspector_score: f64,
    remediation: Value,
    package_vulnerability_details: Value,
    fix_available: &'static str,
    #[serde(skip)]
    key: String,
}

fn view(scope: &Scope<'_>, bake: &Bake, risk: &Risk) -> ScanFinding {
    let mut package = json!({
        "name": risk.package, "version": risk.version, "release": "1", "arch": "X86_64", "packageManager": "OS",
    });
    if let Some(fixed) = &risk.fixed_in {
        put(&mut package, "fixedInVersion", fixed.as_str().into());
    }
    ScanFinding {
        aws_account_id: scope.at.account.clone(),
        image_build_version_arn: bake.arn.clone(),
        image_pipeline_arn: bake.pipeline.as_ref().map(|(arn, _)| arn.clone()),
        kind: "PACKAGE_VULNERABILITY",
        title: format!("{} - {}", risk.id, risk.package),
        description: format!("{} is found in {}", risk.id, risk.package),
        severity: risk.severity.text(),
        first_observed_at: bake.created,
        updated_at: bake.created,
        inspector_score: risk.severity.score(),
        remediation: json!({ "recommendation": { "text": "None Provided" } }),
        package_vulnerability_details: json!({
            "vulnerabilityId": risk.id, "vulnerablePackages": [package], "source": "NVD",
            "sourceUrl": format!("https://nvd.nist.gov/vuln/detail/{}", risk.id),
            "vendorSeverity": risk.severity.text(),
        }),
        fix_available: if risk.fixed_in.is_some() { "YES" } else { "NO" },
        key: format!("{}/{}/{}", bake.arn, risk.id, risk.package),
    }
}

pub(super) fn list_image_scan_findings(ctx: &mut Ctx<'_>, input: ListScanFindings) -> Result<ScanFindings, AwsError> {
    let state = &ctx.place().imagebuilder;
    let mut bakes: Vec<Bake> = state.bakes.iter().filter(|bake| bake.scan == Some("COMPLETED")).cloned().collect();
    for filter in &input.filters {
        let named = |name: &str| filter.values.iter().any(|value| value == name);
        match filter.name.as_str() {
            "imageBuildVersionArn" => bakes.retain(|bake| named(&bake.arn)),
            "imagePipelineArn" => {
                bakes.retain(|bake| bake.pipeline.as_ref().is_some_and(|(pipeline, _)| named(pipeline)));
            }
            other => return Err(invalid(format!("The filter {other} is not supported."))),
        }
    }
    let mut found = Vec::new();
    for bake in bakes {
        let mut names = vec![bake.recipe.name.clone(), bake.arn.clone()];
        names.extend(bake.amis.iter().flat_map(|made| [made.ami.clone(), made.name.clone()]));
        for risk in risks(ctx, &names) {
            found.push(view(ctx, &bake, &risk));
        }
    }
    let size = input.max_results.unwrap_or(PAGE);
    let (findings, next_token) = ctx
        .page("imagebuilder:findings", found, size, input.next_token.as_deref(), |one: &ScanFinding| &one.key)
        .map_err(invalid_token)?;
    Ok(ScanFindings { request_id: request_id(ctx), findings, next_token })
}
