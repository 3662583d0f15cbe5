//! The directory that compiled code and plugins' descriptions are kept in. What lies there is run, and believed: so nobody else
//! may write there.
//!
//! The main type is [`CacheDir`].

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// A directory for the cache in which only this user, or root, can have written.
#[derive(Debug, Clone)]
pub struct CacheDir(PathBuf);

/// Why a directory is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It, or one above it, is another user's.
    #[error("{} belongs to the user {owner}, who could put other code in the place of what kiln compiles", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Others may write to it, or to one above it.
    #[error("others may write to {} (mode {mode:03o}), and could put other code in the place of what kiln compiles", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something else is there.
    #[error("{} is no directory", _0.display())]
    NoDirectory(PathBuf),
    /// The operating system refused.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl CacheError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Open { path, .. } => {
                format!("`chmod go-w {}` after a look at what is in it, or name another by --cache-dir", path.display())
            }
            Self::Foreign { .. } | Self::NoDirectory(_) | Self::Io { .. } => "name another by --cache-dir".to_owned(),
        }
    }
}

impl CacheDir {
    /// The directory `path`, made where it is missing.
    ///
    /// # Errors
    /// Others could write there.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        make(path)?;
        let real = fs::canonicalize(path).map_err(io_error(path))?;
        for above in real.ancestors().skip(1) {
            check_above(above)?;
        }
        let cache = Self(real);
        let mode = check_own(&cache.0)?;
        for inner in [cache.code(), cache.descriptions()] {
            make(&inner)?;
            // Into a directory that is shut nobody else comes.
            if mode & 0o077 != 0 {
                check_own(&inner)?;
            }
        }
        Ok(cache)
    }

    /// Where compiled code is kept: a directory of its own, from which wasmtime removes what it does not know.
    pub(super) fn code(&self) -> PathBuf {
        self.0.join("code")
    }

    /// Where it is kept what plugins said of themselves.
    pub(super) fn descriptions(&self) -> PathBuf {
        self.0.join("descriptions")
    }
}

/// Whether only this user, or root, can have written what is found there.
pub(super) fn is_private(found: &Metadata) -> bool {
    is_trusted(found) && found.mode() & 0o022 == 0
}

/// Whether it is this user's, or root's, who may do everything anyway.
fn is_trusted(found: &Metadata) -> bool {
    found.uid() == 0 || found.uid() == geteuid().as_raw()
}

fn make(path: &Path) -> Result<(), CacheError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path))
}

/// The cache itself, or a part of it. Answers its mode.
fn check_own(path: &Path) -> Result<u32, CacheError> {
    let found = fs::symlink_metadata(path).map_err(io_error(path))?;
    if !found.is_dir() {
        return Err(CacheError::NoDirectory(path.to_owned()));
    }
    check_owner(path, &found)?;
    match found.mode() & 0o777 {
        mode if mode & 0o022 != 0 => Err(CacheError::Open { path: path.to_owned(), mode }),
        mode => Ok(mode),
    }
}

/// A directory above the cache: whoever may write there could put another in the cache's place.
fn check_above(path: &Path) -> Result<(), CacheError> {
    let found = fs::symlink_metadata(path).map_err(io_error(path))?;
    check_owner(path, &found)?;
    // In a sticky one (`/tmp`) nobody moves what is another's. A group's may be the user's own, as many systems have it; and
    // who replaced the cache could not make it this user's.
    let (mode, sticky) = (found.mode() & 0o777, found.mode() & 0o1000 != 0);
    match mode & 0o002 != 0 && !sticky {
        true => Err(CacheError::Open { path: path.to_owned(), mode }),
        false => Ok(()),
    }
}

fn check_owner(path: &Path, found: &Metadata) -> Result<(), CacheError> {
    match is_trusted(found) {
        true => Ok(()),
        false => Err(CacheError::Foreign { path: path.to_owned(), owner: found.uid() }),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io { path, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_cache_is_shut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kiln/components");
        CacheDir::open(&path).unwrap();
        for made in [dir.path().join("kiln"), path.clone(), path.join("code"), path.join("descriptions")] {
            assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700, "{}", made.display());
        }
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_no_cache() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        CacheDir::open(&path).unwrap();
        for open in [0o777, 0o770, 0o722, 0o1777] {
            mode(&path, open);
            let refused = CacheDir::open(&path).unwrap_err();
            assert!(matches!(refused, CacheError::Open { .. }), "{open:o}: {refused}");
        }
        for shut in [0o755, 0o750, 0o700] {
            mode(&path, shut);
            CacheDir::open(&path).unwrap();
        }
        for part in ["code", "descriptions"] {
            mode(&path, 0o755);
            mode(&path.join(part), 0o775);
            assert!(matches!(CacheDir::open(&path), Err(CacheError::Open { .. })), "{part}");
            mode(&path, 0o700);
            CacheDir::open(&path).unwrap();
            mode(&path.join(part), 0o700);
        }
        mode(dir.path(), 0o777);
        assert!(matches!(CacheDir::open(&path), Err(CacheError::Open { .. })), "it could be moved away");
        mode(dir.path(), 0o1777);
        CacheDir::open(&path).unwrap();
    }

    #[test]
    fn a_link_counts_for_what_it_leads_to_and_no_part_may_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let (open, link) = (dir.path().join("open"), dir.path().join("link"));
        fs::create_dir(&open).unwrap();
        symlink(&open, &link).unwrap();
        mode(&open, 0o777);
        assert!(matches!(CacheDir::open(&link), Err(CacheError::Open { path, .. }) if path.ends_with("open")));
        mode(&open, 0o755);
        CacheDir::open(&link).unwrap();
        fs::remove_dir(open.join("code")).unwrap();
        symlink(dir.path(), open.join("code")).unwrap();
        assert!(matches!(CacheDir::open(&link), Err(CacheError::NoDirectory(_))));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(CacheDir::open(&dir.path().join("file")).is_err());
    }

    #[test]
    fn another_users_directory_is_no_cache() {
        if !geteuid().is_root() {
            // Only root can give away what it has.
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("above/cache");
        CacheDir::open(&path).unwrap();
        chown(&path, Some(12345), None).unwrap();
        assert!(matches!(CacheDir::open(&path), Err(CacheError::Foreign { owner: 12345, .. })));
        chown(&path, Some(0), None).unwrap();
        chown(dir.path().join("above"), Some(12345), None).unwrap();
        assert!(matches!(CacheDir::open(&path), Err(CacheError::Foreign { owner: 12345, .. })));
    }
}
