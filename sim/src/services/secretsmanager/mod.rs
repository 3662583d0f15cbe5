//! Secrets Manager: secrets, their versions and stages, rotation and deletion.

mod catalogue;
mod events;
mod operations;
mod rotation;
mod seeds;
mod state;
mod values;
mod versions;

pub(crate) use events::{Event, happen};
pub(crate) use operations::service;
pub(crate) use seeds::{SecretSeed, plant};
pub(crate) use state::State;
pub(crate) use values::{fetch, value_of};
