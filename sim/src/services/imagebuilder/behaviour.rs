//! How bakes of a recipe go, as the world file says.
//!
//! The main type is [`BakeBehaviour`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::worldfile::Span;

/// How bakes go.
#[derive(Debug, Clone, Default)]
pub(super) struct BakeBehaviour {
    pub(super) takes: BTreeMap<BakePhase, Span>,
    pub(super) fail: Option<BakeFailure>,
    pub(super) scan: Option<ScanEnd>,
    pub(super) log: Vec<String>,
}

/// A part of a bake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BakePhase {
    // No doc comments: with them the schema of a table by phase would not name the phases.
    // It waits for its turn.
    Start,
    // The image is built.
    Build,
    // It is tested.
    Test,
    // It is given to regions and accounts.
    Distribution,
    // What uses it is told.
    Integration,
    // Inspector looks at what was built, which takes its time beside the rest.
    Scan,
}

impl BakeBehaviour {
    /// How long a phase takes.
    pub(super) fn duration(&self, phase: BakePhase) -> Duration {
        let usual = match phase {
            BakePhase::Start | BakePhase::Integration => 5,
            BakePhase::Build => 600,
            BakePhase::Test => 300,
            BakePhase::Distribution => 240,
            BakePhase::Scan => 120,
        };
        self.takes.get(&phase).map_or(Duration::from_secs(usual), |span| span.duration())
    }
}

/// How a bake fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BakeFailure {
    /// In which phase: `build`, `test` or `distribution`.
    #[serde(rename = "in")]
    pub(super) phase: BakePhase,
    /// Of `distribution`: in which region.
    pub(super) region: Option<String>,
    /// What Image Builder says of it.
    pub(super) message: Option<String>,
    /// The last lines that are logged.
    #[serde(default)]
    pub(super) log: Vec<String>,
    /// How many of the recipe's bakes fail; all unless told.
    pub(super) times: Option<u64>,
}

impl BakeFailure {
    /// Whether it befalls the recipe's bake of this number, in this phase.
    pub(super) fn strikes(&self, phase: BakePhase, number: u64) -> bool {
        self.phase == phase && self.times.is_none_or(|times| number <= times)
    }
}

/// How Inspector's look at a build ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScanEnd {
    /// The findings are there.
    Completed,
    /// It fails.
    Failed,
    /// Nobody went on with it.
    Abandoned,
    /// It takes too long.
    TimedOut,
}

impl ScanEnd {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Abandoned => "ABANDONED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}
