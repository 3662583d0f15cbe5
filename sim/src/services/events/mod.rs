//! EventBridge: rules and what they start. The simulator starts nothing by them: they are there to be found.

mod operations;
mod rules;
mod seeds;
mod state;

pub(crate) use operations::service;
pub(crate) use seeds::{RuleSeed, plant};
pub(crate) use state::{State, forget, forget_bus};
