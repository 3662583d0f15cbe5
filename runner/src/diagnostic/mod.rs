//! What is wrong with an input, where, and what to do about it.
//!
//! The main type is [`Diagnostic`]; [`render`] writes it for people, [`to_json`] for machines.

mod list;
mod literal_secret;
mod problem;
mod render;
mod source;

pub(crate) use list::Diagnostics;
pub use literal_secret::{LiteralSecret, literal_secrets};
pub use problem::{Diagnostic, Label, Severity};
pub use render::{render, to_json};
pub use source::SourceFile;
