//! Blobs: what is too large for a frame, and files that belong to a run, each by its content's digest.
//!
//! The main functions are [`attach`] and [`attached`]. A blob is written and synced before the frame that names it, so a
//! frame whose blob is missing is damage, and a blob that no frame names is only left over.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use crate::files;
use crate::types::Digest;

/// The mode of what holds records of a run, for its owner alone: what AWS answered and was told stands there as it is, with the plain
/// variables of task definitions and builds.
pub(crate) const PRIVATE: u32 = 0o600;

/// Let nobody but its owner read an open file, whoever could before: it may have come as an artifact of a build.
pub(super) fn make_private(file: &File) -> io::Result<()> {
    match file.metadata()?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(PRIVATE)),
    }
}

/// No blob is longer: a component, the largest of them, has at most 32 MiB.
const LONGEST: u64 = 64 << 20;

/// Keep `bytes` beside the journal in `dir`, durably, and answer the digest by which [`attached`] finds them. Needs no
/// journal yet: what the first record names is attached before it.
///
/// Only the owner may read it: a record may lie in it.
pub fn attach(dir: &Path, bytes: &[u8]) -> Result<Digest, JournalError> {
    keep(dir, bytes, PRIVATE)
}

/// Keep `bytes`, readable as `mode` says.
pub(super) fn keep(dir: &Path, bytes: &[u8], mode: u32) -> Result<Digest, JournalError> {
    let digest = Digest::of(bytes);
    let path = path(dir, &digest);
    if path.exists() && attached(dir, &digest).is_ok() {
        return Ok(digest);
    }
    let blobs = dir.join("blobs");
    make_dir(&blobs)?;
    // Written under another name first, so that a blob is there with all of its content or not at all.
    let partial = blobs.join(format!("{}.{}.partial", hex(&digest), uuid::Uuid::new_v4().simple()));
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial);
    let written = created.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    });
    if let Err(source) = written {
        // The first error is the one to tell; what is left over does no harm.
        let _ = fs::remove_file(&partial);
        return Err(JournalError::Io { action: "write the blob", path, source });
    }
    sync_dir(&blobs)?;
    Ok(digest)
}

/// What was kept beside the journal in `dir` under `digest`, checked against it.
pub fn attached(dir: &Path, digest: &Digest) -> Result<Vec<u8>, JournalError> {
    let path = path(dir, digest);
    let bytes = match files::read(&path, LONGEST).map_err(io::Error::from) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::Blob { digest: digest.clone(), path, reason: "is missing".to_owned() });
        }
        Err(source) => return Err(JournalError::Io { action: "read the blob", path, source }),
    };
    let found = Digest::of(&bytes);
    if found != *digest {
        return Err(JournalError::Blob {
            digest: digest.clone(),
            path,
            reason: format!("is damaged: its content has the digest {found}"),
        });
    }
    Ok(bytes)
}

/// Make `dir` and what is missing above it, each durably.
pub(crate) fn make_dir(dir: &Path) -> Result<(), JournalError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(source) => Err(JournalError::Io { action: "make the directory", path: dir.to_owned(), source }),
    }
}

/// Make the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(JournalError::io("sync the directory", dir))
}

pub(super) fn path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs").join(hex(digest))
}

fn hex(digest: &Digest) -> &str {
    digest.as_str().trim_start_matches("sha256:")
}
