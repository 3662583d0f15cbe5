//! Components: found, compiled, described, and made ready to run.

mod cache;
mod checks;
mod compile;
mod component;
mod engine;
mod error;
mod imports;
mod notes;
mod permissions;
mod precompiled;
mod quote;
mod registry;
mod schema;

pub use crate::contract::{standard_bytes, standard_names};
pub use cache::{CacheDir, CacheError};
pub use component::{Description, Plugin};
pub use engine::Engine;
pub use error::PluginError;
pub use permissions::PermissionProblem;
pub use precompiled::{Precompiled, PrecompiledComponent, Precompiler};
pub use registry::Plugins;
