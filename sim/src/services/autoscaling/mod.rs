//! Auto Scaling: groups that launch, check, replace and end instances over time, and refreshes that bring them all to something new.

mod activities;
mod configuration;
mod describe;
mod events;
mod group;
mod hooks;
mod launching;
mod leaving;
mod member;
mod operations;
mod planting;
mod providing;
mod refresh;
mod refreshes;
mod rolling;
mod root_volumes;
mod scaling;
mod seeds;
mod settings;
mod state;
mod warm;

pub(crate) use events::{Event, alarm_changed, happen, instance_turned, target_turned};
pub(crate) use operations::service;
pub(crate) use planting::{complete, foretell, plant};
pub(crate) use providing::{Progress, forget_policy, leave, make, make_policy, progress, size, update};
pub(crate) use seeds::{GroupSeed, LaunchConfigurationSeed, RefreshSeed};
pub(crate) use state::State;
