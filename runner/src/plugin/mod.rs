//! Components: found, compiled, described, and made ready to run.

pub mod bindings;
mod component;
mod engine;
mod error;
mod registry;
mod standard;

pub use component::{Description, Plugin};
pub use engine::{Engine, Limits};
pub use error::PluginError;
pub use registry::Plugins;
pub use standard::standard_names;
