//! ECS: clusters, task definitions, services, their rolling deployments, and the tasks of all of them.

mod behaviour;
mod capacity;
mod clusters;
mod definition;
mod definitions;
mod deployment;
mod deployments;
mod events;
mod fargate;
mod image;
mod lifecycle;
mod logging;
mod network;
mod operations;
mod plan;
mod reconcile;
mod registration;
mod rollout;
mod seeds;
mod service;
mod services;
mod state;
mod tags;
mod task;
mod tasks;
mod updates;
mod views;
mod words;

pub(crate) use events::{Event, happen};
pub(crate) use operations::service;
pub(crate) use rollout::alarm_changed;
pub(crate) use seeds::{BehaviourSeed, ClusterSeed, DefinitionSeed, ServiceSeed, plant};
pub(crate) use state::State;
