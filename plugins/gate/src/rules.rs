//! What a pipeline says of the gate, and what it is told of findings.
//! The main types are [`Severity`], [`Accepted`] and [`Found`].

use std::fmt;

use kiln_plugin::{Date, JsonSchema};
use serde::{Deserialize, Serialize};

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
