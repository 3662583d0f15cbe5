//! Plans: what a stage would do.
//! The main type is [`Plan`].

use serde::Serialize;

pub use crate::bindings::kiln::stage::types::{Change, ChangeAction, StagePlan as Plan};

impl Plan {
    /// A plan of which so far only the summary is known: one sentence.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), changes: Vec::new(), outputs: None }
    }

    /// And then this would happen.
    #[must_use]
    pub fn change(mut self, action: ChangeAction, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        self.changes.push(Change { action, subject: subject.into(), detail: detail.into() });
        self
    }

    /// The outputs are known already.
    #[must_use]
    pub fn outputs(mut self, outputs: &impl Serialize) -> Self {
        // Outputs that cannot be written as JSON are reported by `run`; a plan just does without them.
        self.outputs = serde_json::to_string(outputs).ok();
        self
    }
}
