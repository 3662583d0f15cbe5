//! Components that runs use, kept once for all runs of a state directory by their digest.
//!
//! The main functions are [`keep_component`] and [`kept_component`].

use std::path::{Path, PathBuf};

use super::blob::{self, attached};
use super::error::JournalError;
use crate::types::Digest;

/// Keep the component `bytes`, whose digest is `digest`, in the state directory, durably. Nothing is written where it is
/// kept already.
pub fn keep_component(state: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), JournalError> {
    let home = home(state);
    if blob::path(&home, digest).is_file() {
        return Ok(());
    }
    // What is no secret, and a state directory may be several people's.
    blob::keep(&home, bytes, 0o644).map(|_| ())
}

/// The component of this digest, if it is kept.
pub fn kept_component(state: &Path, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
    let home = home(state);
    if !blob::path(&home, digest).is_file() {
        return Ok(None);
    }
    attached(&home, digest).map(Some)
}

fn home(state: &Path) -> PathBuf {
    state.join("components")
}
