//! What scans find.
//!
//! The main function is [`describe_image_scan_findings`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::ImageScanStatus;
use super::manifest::platform_of;
use super::seeds::FindingSeed;
use super::state::{Image, ImageId, Repository, Scan, ScanType, enter, find_image, invalid_token, page_size, wildcard};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::ids::sha256;

/// How bad a finding is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    Undefined,
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Inspector has another word for what nobody has judged yet.
    fn enhanced(self) -> &'static str {
        match self {
            Severity::Undefined => "UNTRIAGED",
            Severity::Informational => "INFORMATIONAL",
            Severity::Low => "LOW",
            Severity::Medium => "MEDIUM",
            Severity::High => "HIGH",
            Severity::Critical => "CRITICAL",
        }
    }

    /// About the middle of the CVSS scores that go by this name.
    fn score(self) -> f64 {
        match self {
            Severity::Undefined | Severity::Informational => 0.0,
            Severity::Low => 3.3,
            Severity::Medium => 5.5,
            Severity::High => 7.8,
            Severity::Critical => 9.8,
        }
    }
}

/// The findings that the world has for an image, the worst first. What is said of an index by its tag holds of the images that it
/// lists, too.
pub(super) fn found(all: &[FindingSeed], repository: &Repository, image: &Image) -> Vec<FindingSeed> {
    let wholes: Vec<&Image> = repository.images.values().filter(|whole| whole.lists.contains(&image.digest)).collect();
    let platform = wholes.iter().find_map(|whole| platform_of(&whole.manifest, &image.digest));
    let tags = wholes.iter().flat_map(|whole| &whole.tags).chain(&image.tags);
    let concerns = |finding: &&FindingSeed| {
        wildcard(&finding.repository, &repository.name)
            && finding.platform.as_ref().is_none_or(|wanted| platform.as_ref() == Some(wanted))
            && match finding.tag.as_str() {
                "built" => image.built || wholes.iter().any(|whole| whole.built),
                digest if digest.starts_with("sha256:") => image.digest == digest,
                "*" => true,
                tag => tags.clone().any(|one| wildcard(tag, one)),
            }
    };
    let mut findings: Vec<FindingSeed> = all.iter().filter(|finding| concerns(finding)).cloned().collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    findings
}

/// How many findings there are of each severity.
pub(super) fn counts(findings: &[FindingSeed]) -> BTreeMap<Severity, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += 1;
    }
    counts
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImageScanFindings {
    registry_id: Option<String>,
    repository_name: String,
    image_id: ImageId,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImageScanFindingsOutput {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_scan_status: ImageScanStatus,
    image_scan_findings: Option<ImageScanFindings>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageScanFindings {
    image_scan_completed_at: Timestamp,
    vulnerability_source_updated_at: Timestamp,
    finding_severity_counts: BTreeMap<Severity, u64>,
    findings: Option<Vec<BasicFinding>>,
    enhanced_findings: Option<Vec<EnhancedFinding>>,
}

#[derive(Serialize)]
struct BasicFinding {
    name: String,
    description: String,
    uri: Option<String>,
    severity: Severity,
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct Attribute {
    key: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnhancedFinding {
    aws_account_id: String,
    finding_arn: String,
    title: String,
    description: String,
    severity: &'static str,
    score: f64,
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    first_observed_at: Timestamp,
    last_observed_at: Timestamp,
    updated_at: Timestamp,
    fix_available: &'static str,
    exploit_available: &'static str,
    package_vulnerability_details: Vulnerability,
    remediation: Remediation,
    resources: Vec<Resource>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vulnerability {
    vulnerability_id: String,
    source: &'static str,
    source_url: Option<String>,
    vulnerable_packages: Vec<Package>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: String,
    version: Option<String>,
    fixed_in_version: String,
}

#[derive(Serialize)]
struct Remediation {
    recommendation: Recommendation,
}

#[derive(Serialize)]
struct Recommendation {
    text: String,
}

#[derive(Serialize)]
struct Resource {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

fn basic(finding: &FindingSeed) -> BasicFinding {
    let mut attributes = Vec::new();
    let mut attribute = |key, value: &Option<String>| {
        attributes.extend(value.clone().map(|value| Attribute { key, value }));
    };
    attribute("package_version", &finding.version);
    attribute("package_name", &finding.package);
    attribute("CVSS3_SCORE", &Some(format!("{:.1}", finding.severity.score())));
    BasicFinding {
        name: finding.id.clone(),
        description: finding.description(),
        uri: finding.link(),
        severity: finding.severity,
        attributes,
    }
}

fn enhanced(
    scope: &Scope<'_>,
    finding: &FindingSeed,
    repository: &str,
    image: &Image,
    seen: Timestamp,
) -> EnhancedFinding {
    let package = finding.package.clone();
    let what = package.clone().unwrap_or_else(|| "image".to_owned());
    // Inspector's words where there is no such version.
    let fixed_in_version = finding.fixed_in.clone().unwrap_or_else(|| "NotAvailable".to_owned());
    let text = match &finding.fixed_in {
        Some(version) => format!("Update {what} to {version}"),
        None => "None Provided".to_owned(),
    };
    let id = sha256(format!("{}\n{}\n{what}", image.digest, finding.id).as_bytes());
    EnhancedFinding {
        aws_account_id: scope.at.account.clone(),
        finding_arn: scope.arn("inspector2", &format!("finding/{}", id.get(..32).unwrap_or_default())),
        title: format!("{} - {what}", finding.id),
        description: finding.description(),
        severity: finding.severity.enhanced(),
        score: finding.severity.score(),
        status: "ACTIVE",
        kind: "PACKAGE_VULNERABILITY",
        first_observed_at: seen,
        last_observed_at: seen,
        updated_at: seen,
        fix_available: if finding.fixed_in.is_some() { "YES" } else { "NO" },
        exploit_available: "NO",
        package_vulnerability_details: Vulnerability {
            vulnerability_id: finding.id.clone(),
            source: "NVD",
            source_url: finding.link(),
            vulnerable_packages: package
                .map(|name| Package { name, version: finding.version.clone(), fixed_in_version })
                .into_iter()
                .collect(),
        },
        remediation: Remediation { recommendation: Recommendation { text } },
        resources: vec![Resource {
            id: format!("{}/{}", scope.arn("ecr", &format!("repository/{repository}")), image.digest),
            kind: "AWS_ECR_CONTAINER_IMAGE",
        }],
    }
}

pub(super) fn describe_image_scan_findings(
    ctx: &mut Ctx<'_>,
    input: DescribeImageScanFindings,
) -> Result<DescribeImageScanFindingsOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, registry) = (input.repository_name, ctx.at.account.clone());
    let size = page_size(input.max_results)?;
    let image = find_image(ctx, &name, &input.image_id)?;
    let Some(scan) = image.scan.clone() else {
        let message = format!(
            "Image scan does not exist for the image with '{}' in the repository with name '{name}' in the registry with \
             id '{registry}'",
            input.image_id.text()
        );
        return Err(AwsError::new("ScanNotFoundException", message));
    };
    let image_id = ImageId { image_digest: Some(image.digest.clone()), image_tag: input.image_id.image_tag };
    let list = format!("ecr:findings:{}:{}", image.digest, scan.started.0);
    let Scan { scan_type, status, description, completed, findings, .. } = scan;
    let image_scan_status = ImageScanStatus { status, description };
    let finding_severity_counts = counts(&findings);
    let (findings, next_token) = ctx
        .page(&list, findings, size, input.next_token.as_deref(), |finding: &FindingSeed| &finding.id)
        .map_err(invalid_token)?;
    let image_scan_findings = completed.map(|at| {
        let (findings, enhanced_findings) = match scan_type {
            ScanType::Basic => (Some(findings.iter().map(basic).collect()), None),
            ScanType::Enhanced => {
                (None, Some(findings.iter().map(|finding| enhanced(ctx, finding, &name, &image, at)).collect()))
            }
        };
        ImageScanFindings {
            image_scan_completed_at: at,
            vulnerability_source_updated_at: at,
            finding_severity_counts,
            findings,
            enhanced_findings,
        }
    });
    Ok(DescribeImageScanFindingsOutput {
        registry_id: registry,
        repository_name: name,
        image_id,
        image_scan_status,
        image_scan_findings,
        next_token,
    })
}
