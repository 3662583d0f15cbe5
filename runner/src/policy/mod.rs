//! What a stage may do: the permissions that its plugin declares, resolved over its config.
//!
//! The main type is [`Grants`]: the host asks it at every call, and AWS asks the session policy that it writes.

mod denied;
mod grants;
mod pattern;
mod required;
mod template;
mod untied;

#[cfg(test)]
mod tests;

pub use denied::{Denied, DeniedReason};
pub use grants::{Declared, Grant, Grants, reaches_elsewhere};
pub use pattern::ResourcePattern;
pub use required::{missing_types, required_types};
pub(crate) use template::config_paths;
pub use template::{PolicyError, repository_of};
