//! What others wrote, made fit to be shown. Text of plugins, of AWS, of files and of whoever names things must not move a cursor, hide
//! or reorder what is read, or give a CI service a command. Nothing of it is shown but by way of this module, and which characters
//! and words act is said here and nowhere else.
//!
//! The main function is [`line`].
//!
//! - [`line`] and [`lines`]: for all that people read. What would act is written out: `\u{1b}`.
//! - [`json`]: for machines. The value stays as it is, and what would act is written as JSON escapes.
//! - [`sanitise`]: for what guests say, before it becomes part of an event. What would act is taken away, and lines stay lines.
//! - [`is_hidden`], [`is_unseen`]: for names and files in which such characters are refused.

mod character;
mod command;
mod line;
mod strip;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
pub(crate) mod hostile_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod sinks_tests;

pub(crate) use character::{escape, is_bidi, is_control, symbol};
pub use character::{is_hidden, is_unseen};
pub(crate) use command::breaks;
pub use line::{json, line, lines};
pub use strip::sanitise;
