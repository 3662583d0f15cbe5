//! What this binary was built of.
//!
//! The main type is [`Provenance`]. The build script finds it out, by `origin.rs`.

#[cfg(test)]
mod origin;

/// What a binary was built of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The version of kiln.
    pub version: &'static str,
    /// The commit, where it is known: from `KILN_COMMIT`, an archive made by git, or the clone.
    pub commit: Option<&'static str>,
    /// Whether what the binary is made of differs from that commit.
    pub changed: bool,
    /// `SOURCE_DATE_EPOCH`, or when the commit was made, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// The target triple.
    pub target: &'static str,
    /// Cargo's profile.
    pub profile: &'static str,
    /// The compiler, as it says itself.
    pub compiler: &'static str,
}

impl Provenance {
    /// Of this binary.
    pub fn of_this_binary() -> Self {
        let said = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: said(env!("KILN_PROVENANCE_COMMIT")),
            changed: said(env!("KILN_PROVENANCE_CHANGED")).is_some(),
            date: env!("KILN_PROVENANCE_DATE").parse().ok(),
            target: env!("KILN_PROVENANCE_TARGET"),
            profile: env!("KILN_PROVENANCE_PROFILE"),
            compiler: env!("KILN_PROVENANCE_RUSTC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_binary_knows_its_target_and_profile() {
        let built = Provenance::of_this_binary();
        assert!(built.target.starts_with(std::env::consts::ARCH), "{built:?}");
        assert!(!built.profile.is_empty() && built.compiler.starts_with("rustc "), "{built:?}");
    }
}
