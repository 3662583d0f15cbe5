//! The contract with plugins, as the host has it: the bindings that are made of `wit/`, what a guest may use, and the components that the
//! binary carries.

pub mod bindings;
mod interfaces;
mod limits;
mod standard;

pub(crate) use interfaces::INTERFACES;
pub use limits::Limits;
pub(crate) use standard::{Standard, standard, standard_component, standard_digests};
pub use standard::{standard_bytes, standard_names};
