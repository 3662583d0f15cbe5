//! The plugins that the binary carries.
//!
//! The main function is [`standard`]. The components are built by `cargo xtask plugins`; a host that was built without
//! them carries none.

use crate::types::Digest;

/// A component that is built with the host.
pub(crate) struct Standard {
    /// The plugin's name.
    name: &'static str,
    /// The digest of the component, reckoned when the host was built.
    pub(crate) digest: &'static str,
    /// The component.
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/standard_plugins.rs"));

/// A standard plugin.
pub(crate) fn standard(name: &str) -> Option<&'static Standard> {
    STANDARD.iter().find(|standard| standard.name == name)
}

/// The bytes of a standard plugin.
pub fn standard_bytes(name: &str) -> Option<&'static [u8]> {
    standard(name).map(|standard| standard.bytes)
}

/// The bytes of the standard plugin of a digest.
pub(crate) fn standard_component(digest: &Digest) -> Option<Vec<u8>> {
    STANDARD.iter().find(|standard| standard.digest == digest.as_str()).map(|standard| standard.bytes.to_vec())
}

/// The standard plugins with the digests of their components.
pub(crate) fn standard_digests() -> impl Iterator<Item = (&'static str, &'static str)> {
    STANDARD.iter().map(|standard| (standard.name, standard.digest))
}

/// The names of the standard plugins, sorted.
pub fn standard_names() -> Vec<&'static str> {
    STANDARD.iter().map(|standard| standard.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_of_the_components() {
        for standard in STANDARD {
            assert_eq!(Digest::of(standard.bytes).as_str(), standard.digest, "{}", standard.name);
        }
    }
}
