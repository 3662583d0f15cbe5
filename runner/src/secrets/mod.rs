//! Secrets: by reference wherever AWS resolves them itself, masked wherever they could show.

pub mod redact;
mod vault;

pub(crate) use vault::Resolved;
pub use vault::{AlreadyOpen, SecretHandle, Vault, secret_name};
