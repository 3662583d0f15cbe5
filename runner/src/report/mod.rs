//! What people and machines get to read of a run, a plan and a journal. Nothing else of kiln prints.
//!
//! The main type is [`Report`]: a consumer of [`crate::event::Event`]s that never reaches back. [`reports_of_run`] makes the
//! right one. Where things go:
//!
//! - [`Plain`], the lines of a CI log, and [`Json`], the events themselves, go to stdout: `kiln run | tee log` holds all.
//! - [`Console`] redraws its live lines, so it goes to stderr, and is chosen only where both streams are terminals.
//! - Either is written [`Apart`] where a run works on AWS: its reader may stop reading, and the run must not.
//! - [`Html`], one page for whoever looks into the run afterwards, goes to a file.
//! - Diagnostics of bad input and the trace log are not reports; they go to stderr.

pub mod access;
mod apart;
mod choice;
mod columns;
mod console;
mod courier;
mod fields;
mod fit;
pub mod health;
mod html;
mod json;
mod line_writer;
mod live;
mod outputs;
pub mod permissions;
mod plain;
pub mod plan;
mod recorded;
mod sentence;
pub mod show;
mod sink;
mod style;
mod summary;
mod summary_text;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod screen;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod story;

pub use apart::{Apart, Backlog};
pub use choice::{Output, Settings, reports_of_run};
pub(crate) use columns::columns;
pub use console::Console;
pub(crate) use courier::Courier;
pub(crate) use fields::fields_of;
pub use html::{Comparison, Delivery, Html, Origin};
pub use json::Json;
pub use kiln_span::{duration, human};
pub use plain::Plain;
pub use recorded::view;
pub(crate) use sentence::{why_skipped, word_of_run};
pub use sink::{Report, Reports};
pub use style::Style;
pub(crate) use style::Tone;
