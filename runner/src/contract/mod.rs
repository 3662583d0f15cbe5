//! The contract with plugins, as the host has it: the bindings that are made of `wit/`, what a guest may use, and the components that the
//! binary carries.

pub mod bindings;
mod limits;
mod standard;

pub use limits::Limits;
pub(crate) use standard::{Standard, standard, standard_component};
pub use standard::{standard_bytes, standard_names};
