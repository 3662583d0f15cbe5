//! The report for people who look into a run afterwards: one page that needs nothing but itself.
//!
//! The main type is [`Html`]: it gathers a [`recording::Recording`] while the run goes on and writes the page at its end.

mod account;
mod bounded;
mod calls;
mod difference;
mod page;
mod recording;
mod stages;
mod timeline;
mod value;
mod write;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

pub use write::{Comparison, Delivery, Html, Origin};
