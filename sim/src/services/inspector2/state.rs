//! What Inspector holds.
//!
//! The main types are [`State`] and [`MachineScan`].

use serde::Serialize;

use super::findings::Risk;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::worldfile::Span;

/// What Inspector does in an account's region.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// Where nothing is said it is off.
    pub(super) settings: InspectorSettings,
    /// Scans of machine images, in the order in which they were started.
    pub(super) scans: Vec<MachineScan>,
    /// What it finds, as the world file says: all of it is in the world's own place.
    #[serde(skip)]
    pub(super) risks: Vec<Risk>,
}

/// How Inspector is set up.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct InspectorSettings {
    /// Whether instances are looked at.
    pub(super) instances: bool,
    /// Whether machine images can be.
    pub(super) machine_images: bool,
    /// How long a scan of a machine image takes.
    #[serde(skip)]
    pub(super) takes: Option<Span>,
    /// Why scans of machine images fail.
    pub(super) fails: Option<String>,
}

/// A scan of a machine image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MachineScan {
    pub(super) id: String,
    pub(super) image: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    /// Why it failed.
    pub(super) failed: Option<String>,
}

impl MachineScan {
    /// AWS's word for how it stands.
    pub(super) fn status(&self) -> &'static str {
        match (self.ended, &self.failed) {
            (None, _) => "IN_PROGRESS",
            (Some(_), None) => "SUCCESSFUL",
            (Some(_), Some(_)) => "FAILED",
        }
    }
}

impl State {
    /// The newest scan of a machine image that went well.
    pub(super) fn looked_at(&self, image: &str) -> Option<Timestamp> {
        let good = |scan: &&MachineScan| scan.image == image && scan.failed.is_none();
        self.scans.iter().filter(good).filter_map(|scan| scan.ended).max()
    }
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message).with("reason", "OTHER".into())
}

/// An instant as AWS writes it where it writes texts.
pub(super) fn text(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or_default()).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What Inspector finds anywhere.
pub(super) fn all_risks(scope: &mut Scope<'_>) -> Vec<Risk> {
    let home = scope.world.home.clone();
    scope.world.place(&home).inspector2.risks.clone()
}
