//! S3: buckets with objects and their versions, as far as templates need them.

mod objects;
mod operations;
mod seeds;
mod state;

pub(crate) use operations::service;
pub(crate) use seeds::{BucketSeed, plant};
pub(crate) use state::{State, is_versioned, make, remove, set_versioned, text_at};
