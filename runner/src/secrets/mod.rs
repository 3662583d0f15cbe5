//! Secrets: by reference wherever AWS resolves them itself, masked wherever they could show.

pub mod redact;
mod vault;

pub use vault::{ResolveError, SecretHandle, Vault, secret_name};
