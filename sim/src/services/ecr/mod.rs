//! Elastic Container Registry: repositories, images and their scans.

mod delete;
mod describe;
mod events;
mod findings;
mod images;
mod layers;
mod lifecycle;
mod manifest;
mod operations;
mod policies;
mod pull;
mod push;
mod registry;
mod replication;
mod repositories;
mod scans;
mod seeds;
mod state;
mod storage;

pub(crate) use events::{Event, happen};
pub(crate) use layers::{LAYERS, download};
pub(crate) use operations::service;
pub(crate) use pull::{is_built, pullable};
pub(crate) use push::push;
pub(crate) use seeds::{FindingSeed, RepositorySeed, plant};
pub(crate) use state::{State, wildcard};
