//! What EventBridge holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Rules, and the buses that somebody made.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// Names. That of the default bus, which is always there, is not among them.
    pub(super) buses: Vec<String>,
    /// By the name of the bus, and that of the rule.
    pub(super) rules: BTreeMap<String, BTreeMap<String, EventRule>>,
}

/// A rule.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EventRule {
    pub(super) schedule: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) state: String,
    pub(super) description: Option<String>,
    /// By id: as AWS's `Target` has them.
    pub(super) targets: BTreeMap<String, Value>,
}
