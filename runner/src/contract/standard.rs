//! The plugins that the binary carries.
//!
//! The main function is [`standard`]. The components are built by `cargo xtask plugins`; a host that was built without
//! them carries none.

use crate::types::Digest;

include!(concat!(env!("OUT_DIR"), "/standard_plugins.rs"));

/// The bytes of a standard plugin.
pub(crate) fn standard(name: &str) -> Option<&'static [u8]> {
    STANDARD.iter().find(|(standard, _)| *standard == name).map(|(_, bytes)| *bytes)
}

/// The bytes of the standard plugin of a digest.
pub(crate) fn standard_component(digest: &Digest) -> Option<Vec<u8>> {
    STANDARD.iter().find(|(_, bytes)| Digest::of(bytes) == *digest).map(|(_, bytes)| bytes.to_vec())
}

/// The standard plugins with the digests of their components.
pub(crate) fn standard_digests() -> impl Iterator<Item = (&'static str, Digest)> {
    STANDARD.iter().map(|(name, bytes)| (*name, Digest::of(bytes)))
}

/// The names of the standard plugins, sorted.
pub fn standard_names() -> Vec<&'static str> {
    STANDARD.iter().map(|(name, _)| *name).collect()
}
