//! CloudWatch: metrics, alarms over them, and alarms that follow a script.

mod alarm;
mod alarms;
mod composite;
mod evaluate;
mod history;
mod metrics;
mod schedule;
mod seeds;
mod store;
mod table;

pub(crate) use alarm::{AlarmState, State, state_of, window_of};
pub(crate) use schedule::{Event, happen};
pub(crate) use seeds::{AlarmSeed, deployment_started, plant};
pub(crate) use table::service;
