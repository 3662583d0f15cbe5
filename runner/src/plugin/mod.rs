//! Components: found, compiled, described, and made ready to run.

pub mod bindings;
mod cache;
mod compile;
mod component;
mod engine;
mod error;
mod limiter;
mod notes;
mod registry;
mod schema;
mod standard;
mod text;

pub use cache::{CacheDir, CacheError};
pub use component::{Description, Plugin};
pub use engine::{Engine, Limits};
pub use error::PluginError;
pub(crate) use limiter::Limiter;
pub use registry::Plugins;
pub(crate) use standard::standard_component;
pub use standard::standard_names;
