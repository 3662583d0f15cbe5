//! EC2 Image Builder: pipelines and recipes, and images that are built, tested and distributed.

mod behaviour;
mod cancel;
mod configurations;
mod distribute;
mod events;
mod findings;
mod images;
mod lifecycle;
mod lists;
mod naming;
mod operations;
mod planting;
mod providing;
mod seeds;
mod start;
mod state;
mod steps;
mod walk;

pub(crate) use events::{Event, happen};
pub(crate) use naming::naming;
pub(crate) use operations::service;
pub(crate) use planting::plant;
pub(crate) use providing::{is_there, provide, remove};
pub(crate) use seeds::{DistributionSeed, ImagePipelineSeed, InfrastructureSeed, LifecycleSeed, RecipeSeed};
pub(crate) use state::State;
