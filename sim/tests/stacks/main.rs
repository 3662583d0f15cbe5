//! Stacks through simulated time: templates as people write them, made, changed, made to fail and taken back.

#![expect(clippy::indexing_slicing, reason = "a test whose world lacks what it looks at has failed")]

mod account;
mod growth;
mod recovery;
mod templates;
