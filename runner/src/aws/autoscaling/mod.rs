//! Auto Scaling: groups of instances, and refreshes that replace their instances.

mod activities;
mod groups;
mod refreshes;
mod settings;
