//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use std::fmt;

use kiln_plugin::{Date, Duration, JsonSchema, Known, PinnedImage};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The image by digest, in ECR.
    pub image: Known<PinnedImage>,
    /// The mildest severity that closes the gate.
    #[serde(default)]
    pub fail_on: Severity,
    /// Findings that somebody has looked at and accepts for a while.
    #[serde(default)]
    pub accept: Vec<Accepted>,
    /// Ignore, for a while, findings of which the scan knows that nothing mends them yet. A basic scan does not tell: this holds
    /// for what enhanced scans find.
    pub ignore_unfixed: Option<IgnoreUnfixed>,
    /// Which scan must have looked at the image.
    #[serde(default, rename = "type")]
    pub scan_type: ScanType,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
    /// How long the scan may take; without it, as long as the stage.
    pub timeout: Option<Duration>,
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

/// How severe a finding is, the worst first.
///
/// Findings that nobody has rated yet (`UNTRIAGED`, `UNDEFINED`) and informational ones are shown; they close the gate only
/// where it is at its strictest, `low`, and informational ones not even there. A severity that this plugin does not know
/// closes every gate: it may be worse than critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The worst.
    #[default]
    Critical,
    /// Bad.
    High,
    /// Middling.
    Medium,
    /// The strictest gate: it also closes at findings that nobody has rated yet.
    Low,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        })
    }
}

/// An accepted finding. Acceptance ends: a person has to look again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Accepted {
    /// The finding, such as `CVE-2026-0001`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Why it does no harm here.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// The last day (UTC) on which it is accepted.
    pub until: Date,
}

/// For how long findings without a fix are ignored, and why. That ends, too: a person has to look again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IgnoreUnfixed {
    /// Why they may be ignored.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// The last day (UTC) on which they are ignored.
    pub until: Date,
}

/// Which scan must have looked at the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScanType {
    /// Whichever the registry uses.
    #[default]
    Auto,
    /// ECR's own.
    Basic,
    /// Inspector's.
    Enhanced,
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The status of the scan: `COMPLETE` (basic) or `ACTIVE` (enhanced); both where the images of an index have different ones.
    pub status: String,
    /// How many critical findings there are, accepted ones included. What is in several images of an index counts once.
    pub critical: u32,
    /// How many high ones.
    pub high: u32,
    /// How many medium ones.
    pub medium: u32,
    /// How many low ones.
    pub low: u32,
    /// How many findings would have closed the gate and are accepted.
    pub accepted: u32,
    /// How many would have closed the gate and are ignored because nothing mends them yet.
    pub unfixed: u32,
    /// The findings, the worst first; at most 100.
    pub findings: Vec<Found>,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Such as `CVE-2026-0001`.
    pub id: String,
    /// As AWS words it.
    pub severity: String,
    /// The package, with its version where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The version that mends it, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// Whether it is accepted.
    pub accepted: bool,
    /// The platforms of the images that have it, where the image is an index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}
