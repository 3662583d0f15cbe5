//! Systems Manager: parameters with their versions.

mod history;
mod listing;
mod naming;
mod operations;
mod seeds;
mod state;
mod writing;

pub(crate) use naming::naming;
pub(crate) use operations::service;
pub(crate) use seeds::{ParameterSeed, plant};
pub(crate) use state::{State, put_text, value_of};
