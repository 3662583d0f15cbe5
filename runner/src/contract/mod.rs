//! The contract with plugins, as the host has it: the bindings that are made of `wit/`, and what a guest may use.

pub mod bindings;
mod limits;

pub use limits::Limits;
