//! What Image Builder holds.
//!
//! The main types are [`State`] and [`Bake`], an image that is or was made.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::behaviour::BakeBehaviour;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::page::InvalidToken;
use crate::tags::Tags;

/// Everything by its ARN.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) pipelines: BTreeMap<String, ImagePipeline>,
    pub(super) recipes: BTreeMap<String, ImageRecipe>,
    pub(super) infrastructures: BTreeMap<String, Infrastructure>,
    pub(super) distributions: BTreeMap<String, DistributionConfiguration>,
    pub(super) policies: BTreeMap<String, ImagePolicy>,
    /// In the order in which they were begun.
    pub(super) bakes: Vec<Bake>,
    /// How many images each version has had: a number is given once.
    #[serde(skip)]
    pub(super) numbers: BTreeMap<String, u64>,
}

/// A pipeline.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ImagePipeline {
    pub(super) arn: String,
    pub(super) name: String,
    /// ARNs.
    pub(super) recipe: String,
    pub(super) infrastructure: String,
    pub(super) distribution: Option<String>,
    pub(super) tests: bool,
    pub(super) scans: bool,
    pub(super) schedule: Option<String>,
    pub(super) enabled: bool,
    pub(super) log_group: Option<String>,
    pub(super) created: Timestamp,
    pub(super) last_run: Option<Timestamp>,
}

/// A version of a recipe.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ImageRecipe {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) platform: String,
    pub(super) parent: String,
    /// ARNs.
    pub(super) components: Vec<String>,
    pub(super) encrypted: Option<bool>,
    pub(super) key: Option<String>,
    pub(super) size: u64,
    pub(super) created: Timestamp,
    /// How its bakes go.
    #[serde(skip)]
    pub(super) behaviour: BakeBehaviour,
}

/// On what images are built.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Infrastructure {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) instance_types: Vec<String>,
    pub(super) instance_profile: String,
    pub(super) subnet: Option<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) terminates: bool,
    pub(super) http_tokens: Option<String>,
    pub(super) created: Timestamp,
}

/// Where images go.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DistributionConfiguration {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) regions: Vec<RegionTarget>,
    pub(super) created: Timestamp,
}

/// What a region gets.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RegionTarget {
    pub(super) region: String,
    pub(super) ami_name: Option<String>,
    pub(super) accounts: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) public: bool,
    pub(super) launch_accounts: Vec<String>,
    pub(super) tags: Tags,
    pub(super) parameters: Vec<String>,
}

/// A lifecycle policy. Nothing is done by it in the simulator.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ImagePolicy {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    /// As AWS's model has `policyDetails` and `resourceSelection`.
    pub(super) details: Vec<Value>,
    pub(super) selection: Map<String, Value>,
    pub(super) role: String,
    pub(super) created: Timestamp,
}

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum BakeStatus {
    Pending,
    Creating,
    Building,
    Testing,
    Distributing,
    Integrating,
    Available,
    Cancelled,
    Failed,
}

impl BakeStatus {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Creating => "CREATING",
            Self::Building => "BUILDING",
            Self::Testing => "TESTING",
            Self::Distributing => "DISTRIBUTING",
            Self::Integrating => "INTEGRATING",
            Self::Available => "AVAILABLE",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing more becomes of it.
    pub(super) fn is_over(self) -> bool {
        match self {
            Self::Available | Self::Cancelled | Self::Failed => true,
            Self::Pending
            | Self::Creating
            | Self::Building
            | Self::Testing
            | Self::Distributing
            | Self::Integrating => false,
        }
    }
}

/// An image: one build.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Bake {
    /// With the build number.
    pub(super) arn: String,
    pub(super) status: BakeStatus,
    pub(super) reason: Option<String>,
    /// As AWS's model has `failureContext`.
    pub(super) failure: Option<Value>,
    /// It is to end as soon as it can.
    pub(super) cancelling: bool,
    /// As they were when it was begun.
    pub(super) recipe: ImageRecipe,
    pub(super) infrastructure: String,
    pub(super) distribution: Option<DistributionConfiguration>,
    /// ARN and name.
    pub(super) pipeline: Option<(String, String)>,
    pub(super) scheduled: bool,
    pub(super) tests: bool,
    pub(super) scans: bool,
    pub(super) scan: Option<&'static str>,
    pub(super) log_group: Option<String>,
    pub(super) created: Timestamp,
    pub(super) workflows: Vec<Workflow>,
    pub(super) amis: Vec<MadeAmi>,
    pub(super) tags: Tags,
    /// Which of its recipe's bakes it is, from 1.
    #[serde(skip)]
    pub(super) number: u64,
}

/// An AMI that came of a build.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MadeAmi {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) ami: String,
    pub(super) name: String,
}

/// Of what sort a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum WorkflowKind {
    Build,
    Test,
    Distribution,
}

/// How a workflow or a step of it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Standing {
    Pending,
    Running,
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

/// A workflow that runs for an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Workflow {
    pub(super) id: String,
    pub(super) kind: WorkflowKind,
    pub(super) standing: Standing,
    pub(super) message: Option<String>,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) steps: Vec<WorkflowStep>,
}

/// A step of a workflow.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct WorkflowStep {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) action: &'static str,
    pub(super) standing: Standing,
    pub(super) message: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

impl Bake {
    /// The version and build number, as the log stream is named.
    pub(super) fn version(&self) -> &str {
        self.arn.split_once(":image/").and_then(|(_, resource)| resource.split_once('/')).map_or("", |(_, it)| it)
    }
}

impl State {
    pub(super) fn bake(&mut self, arn: &str) -> Option<&mut Bake> {
        self.bakes.iter_mut().find(|bake| bake.arn == arn)
    }
}

/// Whether a version is of a pattern in which `x` stands for any number.
pub(super) fn is_version(pattern: &str, version: &str) -> bool {
    let (mut patterns, mut numbers) = (pattern.split('.'), version.split('.'));
    loop {
        match (patterns.next(), numbers.next()) {
            (None, None) => return true,
            (Some(pattern), Some(number)) if pattern == "x" || pattern == number => {}
            _ => return false,
        }
    }
}

/// A version's numbers, to compare by.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

/// What AWS answers where there is no such thing.
pub(super) fn missing(arn: &str) -> AwsError {
    let message = format!("The resource with ARN '{arn}' cannot be found.");
    AwsError::new("ResourceNotFoundException", message).status(404)
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidRequestException", message)
}

pub(super) fn invalid_token(_: InvalidToken) -> AwsError {
    AwsError::new("InvalidPaginationTokenException", "The pagination token is invalid.")
}

/// Put a member into an object.
pub(super) fn put(object: &mut Value, member: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
}

/// The id of a request, as answers repeat it.
pub(super) fn request_id(scope: &mut Scope<'_>) -> String {
    scope.world.ids.uuid("imagebuilder/request")
}

/// An instant as Image Builder writes it.
pub(super) fn text(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or_default()).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
