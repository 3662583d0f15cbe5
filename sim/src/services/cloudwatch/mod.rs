//! CloudWatch: metrics, alarms over them, and alarms that follow a script.

mod alarm;
mod alarms;
mod composite;
mod evaluate;
mod events;
mod history;
mod listing;
mod metrics;
mod mutes;
mod operations;
mod samples;
mod seeds;
mod state;

pub(crate) use alarm::{AlarmState, is_alarming, state_of, window_of};
pub(crate) use events::{Event, happen};
pub(crate) use mutes::MuteSeed;
pub(crate) use operations::service;
pub(crate) use seeds::{AlarmSeed, deployment_started, plant};
pub(crate) use state::State;
