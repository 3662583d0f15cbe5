//! How a write may be sent again when it is not known whether it happened.
//!
//! The main type is [`RetryClass`].

use serde::{Deserialize, Serialize};

/// How a write may be sent again when it is not known whether it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryClass {
    /// It carries a client token, by which AWS knows it again.
    Token,
    /// The same request again is harmless, or is found by its key.
    Natural,
    /// It must be looked up first.
    Unsafe,
}
