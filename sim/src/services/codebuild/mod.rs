//! CodeBuild: projects, and builds that walk through their phases.

mod behaviour;
mod builds;
mod lines;
mod projects;
mod shapes;
mod start;
mod store;
mod table;
mod variables;
mod walk;
mod work;

pub(crate) use behaviour::{ProjectSeed, plant};
pub(crate) use store::State;
pub(crate) use table::service;
pub(crate) use walk::{Event, happen};
