//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_gate::{Accepted, Found, IgnoreUnfixed, Severity};
use kiln_plugin::{Duration, JsonSchema, Known};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The machine image, by id, in the stage's own account and region.
    pub ami: Known<AmiId>,
    /// The mildest severity that closes the gate.
    #[serde(default)]
    pub fail_on: Severity,
    /// Findings that somebody has looked at and accepts for a while. What is suppressed in Inspector counts nevertheless: what a
    /// pipeline lets pass, and until when, stands here.
    #[serde(default)]
    pub accept: Vec<Accepted>,
    /// Ignore, for a while, findings of which Inspector says that nothing mends them yet.
    pub ignore_unfixed: Option<IgnoreUnfixed>,
    /// Which scan must have looked at it.
    #[serde(default)]
    pub by: By,
    /// How old a scan on demand may be that is there already. An older one is made anew.
    #[serde(default = "day")]
    pub max_age: Duration,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
    /// How long the scan may take; without it, as long as the stage.
    pub timeout: Option<Duration>,
}

fn day() -> Duration {
    Duration::from_secs(24 * 3600)
}

fn default_poll() -> Duration {
    Duration::from_secs(15)
}

/// The id of a machine image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, extend("pattern" = r"^ami-[0-9a-f]{8,17}$"))]
#[serde(try_from = "String")]
pub struct AmiId(pub String);

impl TryFrom<String> for AmiId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("ami-").unwrap_or_default();
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match is_hex && (8..=17).contains(&digits.len()) {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is not the id of a machine image: those look like ami-0123456789abcdef0")),
        }
    }
}

/// Which scan must have looked at the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Image Builder's, where it made the image here and keeps the findings; else a scan on demand.
    #[default]
    Auto,
    /// Image Builder's: what Inspector found on the instance that the image was built on.
    Builder,
    /// A scan of the image itself, which the stage starts where there is none that is new enough.
    OnDemand,
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The machine image.
    pub ami: String,
    /// Which scan looked at it: `builder` or `on-demand`.
    pub by: String,
    /// The status of the scan, as AWS words it: `COMPLETED` or `SUCCESSFUL`.
    pub status: String,
    /// How many critical findings there are, accepted ones included.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_looks_like_one() {
        for good in ["ami-0123abcd", "ami-0123456789abcdef0"] {
            assert!(AmiId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in
            ["", "ami-", "ami-xyz01234", "i-0123456789abcdef0", "ami-0123456789ABCDEF0", "ami-0123456789abcdef01"]
        {
            assert!(AmiId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
