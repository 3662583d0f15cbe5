//! CloudWatch Logs: groups, streams and events.

mod events;
mod filter;
mod groups;
mod store;
mod streams;
mod table;

pub(crate) use store::{State, append};
pub(crate) use table::service;
