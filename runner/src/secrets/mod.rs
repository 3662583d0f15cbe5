//! Secrets: references, resolution, redaction.

/// A handle.
#[derive(Debug)]
pub struct SecretHandle;
