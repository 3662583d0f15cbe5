//! Stacks through simulated time: templates as people write them, made, changed, made to fail and taken back.

#![expect(clippy::indexing_slicing, reason = "a test whose world lacks what it looks at has failed")]

mod account;
mod failing;
mod growth;
mod recovery;
#[path = "../signer/mod.rs"]
#[expect(dead_code, reason = "stacks are asked for in JSON alone")]
mod signer;
mod templates;
mod updates;
mod values;
