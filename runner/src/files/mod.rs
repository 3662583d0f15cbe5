//! Files that somebody names: what may be read, and what may be replaced.
//!
//! The main function is [`read()`], the main type [`Destination`]: nothing else reads or writes what a command line or a pipeline
//! names.

mod beside;
mod presence;
mod read;
mod write;

pub use beside::{BesideError, read_beside};
pub use presence::Gone;
pub(crate) use presence::still_there;
pub(crate) use read::open;
pub use read::{ReadError, read, read_at_most, read_text};
pub use write::{Destination, Kept, WriteError};
