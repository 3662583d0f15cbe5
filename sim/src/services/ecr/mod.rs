//! Elastic Container Registry: repositories, images and their scans.

mod delete;
mod describe;
mod findings;
mod images;
mod manifest;
mod pull;
mod push;
mod registry;
mod repositories;
mod scans;
mod seed;
mod store;
mod table;

pub(crate) use pull::pullable;
pub(crate) use push::push;
pub(crate) use scans::{Event, happen};
pub(crate) use seed::{FindingSeed, RepositorySeed, plant};
pub(crate) use store::State;
pub(crate) use table::service;
