//! Components: found, compiled, described, and made ready to run.

pub mod bindings;
