//! CodeBuild: projects, and builds that walk through their phases.

mod behaviour;
mod builds;
mod events;
mod lines;
mod operations;
mod projects;
mod seeds;
mod shapes;
mod start;
mod state;
mod variables;
mod walk;
mod work;

pub(crate) use events::{Event, happen};
pub(crate) use operations::service;
pub(crate) use seeds::{ProjectSeed, plant};
pub(crate) use state::State;
