//! Makes a checked pipeline of a file, or says all that is wrong with it.
//!
//! The main function is [`load`].

mod attached;
mod declarations;
mod given;
mod inputs;
mod load;
mod order;
mod places;
mod stages;
mod structure;
mod with;

pub use attached::Files;
pub(crate) use load::open;
pub use load::{Values, check, load};
pub(crate) use places::Places;
pub(crate) use structure::read_as;
