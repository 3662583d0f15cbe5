//! Secrets Manager: secrets, their versions and stages, rotation and deletion.

mod catalogue;
mod rotation;
mod store;
mod table;
mod values;

pub(crate) use rotation::{Event, happen};
pub(crate) use store::{SecretSeed, State, plant};
pub(crate) use table::service;
pub(crate) use values::fetch;
