//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_gate::{Accepted, Found, IgnoreUnfixed, Severity};
use kiln_plugin::{Duration, JsonSchema, Known, PinnedImage};
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
