//! Key Management Service: keys, aliases, and ciphertexts that only their key and context open.

mod aliases;
mod ciphertexts;
mod grants;
mod keys;
mod operations;
mod seeds;
mod state;

pub(crate) use operations::service;
pub(crate) use seeds::{KeySeed, plant};
pub(crate) use state::{State, forget, is_disabled, key_arn, key_of_aws};
