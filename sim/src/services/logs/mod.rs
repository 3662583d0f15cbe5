//! CloudWatch Logs: groups, streams and events.

mod filter;
mod groups;
mod log_events;
mod operations;
mod state;
mod streams;

pub(crate) use operations::service;
pub(crate) use state::{State, append, has_group, open_group};
