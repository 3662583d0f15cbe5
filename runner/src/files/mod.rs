//! Files that somebody names: what may be read, and what may be replaced.
//!
//! The main functions are [`read`] and [`read_text`]; nothing else reads what a command line or a pipeline names.

mod read;

pub(crate) use read::open;
pub use read::{ReadError, read, read_at_most, read_text};
