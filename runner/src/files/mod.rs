//! Files that somebody names: what may be read, and what may be replaced.
//!
//! The main types are the functions of [`read()`] and [`Destination`]: nothing else reads or writes what a command line or a pipeline
//! names.

mod read;
mod write;

pub(crate) use read::open;
pub use read::{ReadError, read, read_at_most, read_text};
pub use write::{Destination, Kept, WriteError};
