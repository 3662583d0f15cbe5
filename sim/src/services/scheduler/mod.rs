//! EventBridge Scheduler: schedules and what they start. The simulator starts nothing by them: they are there to be found.

mod operations;
mod schedules;
mod seeds;
mod state;

pub(crate) use operations::service;
pub(crate) use seeds::{ScheduleSeed, plant};
pub(crate) use state::State;
