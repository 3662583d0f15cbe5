//! Inspector's part of a world file.
//!
//! The main types are [`InspectorSeed`] and [`RiskSeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::findings::{Risk, RiskSeverity};
use super::state::InspectorSettings;
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// How Inspector is set up in an account's region, in a world file. It is off where nothing is said.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct InspectorSeed {
    /// Whether instances are looked at.
    #[serde(default = "yes")]
    instances: bool,
    /// Whether machine images can be scanned.
    #[serde(default = "yes")]
    machine_images: bool,
    /// How long a scan of a machine image takes: 2 minutes unless told.
    scan_takes: Option<Span>,
    /// Why scans of machine images fail: `UNSUPPORTED_OS`, `ACCESS_DENIED`, … They go well unless told.
    scan_fails: Option<String>,
    /// The account: the world's own unless told.
    account: Option<String>,
    /// The region: the world's own unless told.
    region: Option<String>,
}

fn yes() -> bool {
    true
}

/// A vulnerability of machine images, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RiskSeed {
    /// The machine images that have it: by id, by their name or by that of their recipe; `*` stands for any text.
    #[serde(default = "every")]
    image: String,
    /// Such as `CVE-2026-1234`.
    id: String,
    /// How bad it is.
    severity: RiskSeverity,
    /// The package that has it.
    #[serde(default = "openssl")]
    package: String,
    /// The package's version.
    #[serde(default = "version")]
    version: String,
    /// The version that mends it: none does unless told.
    fixed_in: Option<String>,
    /// Whether somebody has suppressed the finding.
    #[serde(default)]
    suppressed: bool,
}

fn every() -> String {
    "*".to_owned()
}

fn openssl() -> String {
    "openssl".to_owned()
}

fn version() -> String {
    "3.0.1".to_owned()
}

/// Why AWS says that a scan of a machine image fails.
const REASONS: [&str; 6] = [
    "ACCESS_DENIED",
    "INTERNAL_ERROR",
    "STORAGE_LIMIT_EXCEEDED",
    "EXTRACTION_COLLECTION_TIME_LIMIT_EXCEEDED",
    "UNSUPPORTED_OS",
    "RESOURCE_TERMINATED",
];

/// Set Inspector up as a world file says.
pub(crate) fn plant(world: &mut World, seeds: &[InspectorSeed], risks: &[RiskSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("inspectors", index);
        if let Some(reason) = seed.scan_fails.as_ref().filter(|reason| !REASONS.contains(&reason.as_str())) {
            problems.add("inspectors: scan-fails", format!("{reason} is none of {}", REASONS.join(", ")));
        }
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        scope.place().inspector2.settings = InspectorSettings {
            instances: seed.instances,
            machine_images: seed.machine_images,
            takes: seed.scan_takes,
            fails: seed.scan_fails.clone(),
        };
    }
    let home = world.home.clone();
    for (index, seed) in risks.iter().enumerate() {
        problems.reading("risks", index);
        if seed.id.is_empty() {
            problems.add("risks: id", "it is empty");
        }
        world.place(&home).inspector2.risks.push(Risk {
            image: seed.image.clone(),
            id: seed.id.clone(),
            severity: seed.severity,
            package: seed.package.clone(),
            version: seed.version.clone(),
            fixed_in: seed.fixed_in.clone(),
            suppressed: seed.suppressed,
        });
    }
}
