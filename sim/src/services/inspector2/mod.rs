//! Inspector: findings of machine images and of the instances that were launched from them.

mod coverage;
mod events;
mod findings;
mod operations;
mod scans;
mod seeds;
mod state;

pub(crate) use events::{Event, happen};
pub(crate) use findings::{Risk, risks};
pub(crate) use operations::service;
pub(crate) use seeds::{InspectorSeed, RiskSeed, plant};
pub(crate) use state::State;
