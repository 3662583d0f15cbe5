//! What Inspector finds.
//!
//! The main function is [`list_findings`]; the main type is [`Risk`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{all_risks, invalid};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::ids::sha256;
use crate::services::ec2;
use crate::services::ecr::wildcard;

/// A vulnerability, and the machine images that have it.
#[derive(Debug, Clone)]
pub(crate) struct Risk {
    /// An id, a name or a recipe's name; `*` stands for any text.
    pub(super) image: String,
    pub(crate) id: String,
    pub(crate) severity: RiskSeverity,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) fixed_in: Option<String>,
    pub(super) suppressed: bool,
}

/// How bad a vulnerability is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RiskSeverity {
    Untriaged,
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl RiskSeverity {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Untriaged => "UNTRIAGED",
            Self::Informational => "INFORMATIONAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// About the middle of the CVSS scores that go by this name.
    pub(crate) fn score(self) -> f64 {
        match self {
            Self::Untriaged | Self::Informational => 0.0,
            Self::Low => 3.3,
            Self::Medium => 5.5,
            Self::High => 7.8,
            Self::Critical => 9.8,
        }
    }
}

/// What is wrong with a machine image of these names, the worst first.
pub(crate) fn risks(scope: &mut Scope<'_>, names: &[String]) -> Vec<Risk> {
    let mut found = all_risks(scope);
    found.retain(|risk| names.iter().any(|name| wildcard(&risk.image, name)));
    found.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.id.cmp(&other.id)));
    found
}

/// The names of a machine image: its id, its own, and that of the recipe that it was made of.
fn names_of(scope: &Scope<'_>, id: &str) -> Vec<String> {
    let mut names = vec![id.to_owned()];
    if let Some(image) = ec2::image(scope, id) {
        names.push(image.name.clone());
        let recipe = image.builder.as_deref().and_then(|arn| arn.split_once(":image/")?.1.split('/').next());
        names.extend(recipe.map(str::to_owned));
    }
    names
}

/// The instances of this place that run, and the machine image of each.
pub(super) fn machines(scope: &mut Scope<'_>) -> Vec<(String, String)> {
    let running = |instance: &&ec2::Instance| instance.state == ec2::InstanceState::Running;
    ec2::instances(scope).filter(running).map(|one| (one.id.clone(), one.image.clone())).collect()
}

#[derive(Deserialize)]
struct FindingFilter {
    comparison: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct FindingCriteria {
    #[serde(default)]
    machine_image_id: Vec<FindingFilter>,
    #[serde(default)]
    ec2_instance_image_id: Vec<FindingFilter>,
    #[serde(default)]
    resource_id: Vec<FindingFilter>,
    #[serde(default)]
    finding_status: Vec<FindingFilter>,
    #[serde(default)]
    severity: Vec<FindingFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListFindings {
    #[serde(default)]
    filter_criteria: FindingCriteria,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Findings {
    findings: Vec<FindingView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingView {
    finding_arn: String,
    aws_account_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    description: String,
    severity: &'static str,
    status: &'static str,
    inspector_score: f64,
    first_observed_at: Timestamp,
    last_observed_at: Timestamp,
    updated_at: Timestamp,
    fix_available: &'static str,
    exploit_available: &'static str,
    remediation: Value,
    resources: [Value; 1],
    package_vulnerability_details: Value,
}

/// What AWS tells of the package of a vulnerability.
pub(super) fn package(risk: &Risk) -> Value {
    let mut package = json!({
        "name": risk.package, "version": risk.version, "arch": "X86_64", "packageManager": "OS", "release": "1",
    });
    if let (Some(fixed), Some(members)) = (&risk.fixed_in, package.as_object_mut()) {
        members.insert("fixedInVersion".to_owned(), fixed.as_str().into());
    }
    json!({
        "vulnerabilityId": risk.id, "source": "NVD", "vulnerablePackages": [package],
        "sourceUrl": format!("https://nvd.nist.gov/vuln/detail/{}", risk.id),
        "relatedVulnerabilities": [], "referenceUrls": [], "vendorSeverity": risk.severity.text(),
    })
}

fn passes(filters: &[FindingFilter], value: &str) -> bool {
    let one = |filter: &FindingFilter| match filter.comparison.as_str() {
        "NOT_EQUALS" => filter.value != value,
        "PREFIX" => value.starts_with(&filter.value),
        _ => filter.value == value,
    };
    filters.is_empty() || filters.iter().any(one)
}

impl FindingView {
    fn of(scope: &Scope<'_>, risk: &Risk, resource: Value, id: &str, seen: Timestamp) -> Self {
        let number = sha256(format!("{id}\n{}\n{}", risk.id, risk.package).as_bytes());
        let mut arn = scope.arn("inspector2", &format!("finding/{number}"));
        arn.truncate(100);
        Self {
            finding_arn: arn,
            aws_account_id: scope.at.account.clone(),
            kind: "PACKAGE_VULNERABILITY",
            title: format!("{} - {}", risk.id, risk.package),
            description: format!("{} is found in {}", risk.id, risk.package),
            severity: risk.severity.text(),
            status: if risk.suppressed { "SUPPRESSED" } else { "ACTIVE" },
            inspector_score: risk.severity.score(),
            first_observed_at: seen,
            last_observed_at: seen,
            updated_at: seen,
            fix_available: if risk.fixed_in.is_some() { "YES" } else { "NO" },
            exploit_available: "NO",
            remediation: json!({ "recommendation": { "text": "None Provided" } }),
            resources: [resource],
            package_vulnerability_details: package(risk),
        }
    }
}

/// The findings of machine images that were scanned, and of instances that run.
pub(super) fn list_findings(ctx: &mut Ctx<'_>, input: ListFindings) -> Result<Findings, AwsError> {
    let criteria = &input.filter_criteria;
    let (partition, region, now) = (ctx.at.partition(), ctx.at.region.clone(), ctx.now());
    let inspector = ctx.place().inspector2.clone();
    let mut found = Vec::new();
    let mut images: Vec<String> = inspector.scans.iter().map(|scan| scan.image.clone()).collect();
    images.sort_unstable();
    images.dedup();
    for image in images {
        let Some(seen) = inspector.looked_at(&image) else { continue };
        let wanted = criteria.ec2_instance_image_id.is_empty()
            && passes(&criteria.machine_image_id, &image)
            && passes(&criteria.resource_id, &image);
        if wanted {
            let names = names_of(ctx, &image);
            let resource = json!({
                "type": "MACHINE_IMAGE", "id": image, "partition": partition, "region": region,
                "details": { "machineImage": { "machineImageId": image } },
            });
            for risk in risks(ctx, &names) {
                found.push(FindingView::of(ctx, &risk, resource.clone(), &image, seen));
            }
        }
    }
    for (instance, image) in if inspector.settings.instances { machines(ctx) } else { Vec::new() } {
        let wanted = criteria.machine_image_id.is_empty()
            && passes(&criteria.ec2_instance_image_id, &image)
            && passes(&criteria.resource_id, &instance);
        if wanted {
            let names = names_of(ctx, &image);
            let resource = json!({
                "type": "AWS_EC2_INSTANCE", "id": instance, "partition": partition, "region": region,
                "details": { "awsEc2Instance": { "imageId": image } },
            });
            for risk in risks(ctx, &names) {
                found.push(FindingView::of(ctx, &risk, resource.clone(), &instance, now));
            }
        }
    }
    found.retain(|one| passes(&criteria.finding_status, one.status) && passes(&criteria.severity, one.severity));
    // A page of Inspector's holds no more, whatever is asked for.
    let size = input.max_results.unwrap_or(100).min(25);
    let (findings, next_token) = ctx
        .page("inspector2:findings", found, size, input.next_token.as_deref(), |one: &FindingView| &one.finding_arn)
        .map_err(|_| invalid("Invalid nextToken."))?;
    Ok(Findings { findings, next_token })
}
