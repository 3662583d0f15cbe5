//! Lambda: functions that are made of images. The simulator runs none of them: they are there to be found.

mod functions;
mod operations;
mod seeds;
mod state;

pub(crate) use operations::service;
pub(crate) use seeds::{FunctionSeed, plant};
pub(crate) use state::State;
