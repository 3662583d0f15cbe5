//! CloudFormation: stacks of resources, planned, made, changed, rolled back and deleted.

mod changes;
mod changesets;
mod deleting;
mod describe;
mod drift;
mod engine;
mod events;
mod execution;
mod exports;
mod facts;
mod finishing;
mod lifecycle;
mod making;
mod nested;
mod operations;
mod permissions;
mod planning;
mod policy;
mod prepare;
mod properties;
mod providers;
mod recovery;
mod requests;
mod seeds;
mod settle;
mod signals;
mod stack;
mod state;
mod telling;
mod templates;
mod watch;

pub(crate) use events::{Event, happen};
pub(crate) use operations::service;
pub(crate) use seeds::{ResourceBehaviourSeed, StackSeed, plant};
pub(crate) use state::State;
