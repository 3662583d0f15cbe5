//! What EventBridge holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::ctx::Scope;

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

/// A rule is gone, with its targets.
pub(crate) fn forget(scope: &mut Scope<'_>, bus: Option<&str>, rule: &str) {
    let bus = bus.unwrap_or("default");
    let bus = bus.rsplit('/').next().unwrap_or(bus);
    let rules = &mut scope.place().events.rules;
    if let Some(of_bus) = rules.get_mut(bus) {
        of_bus.remove(rule);
        if of_bus.is_empty() {
            rules.remove(bus);
        }
    }
}

/// A bus is gone, with its rules.
pub(crate) fn forget_bus(scope: &mut Scope<'_>, name: &str) {
    let state = &mut scope.place().events;
    state.buses.retain(|bus| bus != name);
    state.rules.remove(name);
}
