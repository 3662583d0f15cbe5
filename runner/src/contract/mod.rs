//! The contract with plugins, as the host has it: the bindings that are made of `wit/`, what a guest may use, and the components that the
//! binary carries.

pub mod bindings;
mod limits;
mod packages;
mod standard;

pub use limits::Limits;
pub use packages::OFFERED;
pub use standard::standard_names;
pub(crate) use standard::{standard, standard_component, standard_digests};
